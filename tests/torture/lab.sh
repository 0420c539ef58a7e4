#!/usr/bin/env bash
# Tortures the allocator where there are several nodes and reserved huge pages: in the lab's machine. The
# log is that of tests/torture/run.sh.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

seconds=${1:-300} topology=${2:-2-socket-cxl}
[[ "$seconds" =~ ^[1-9][0-9]*$ ]] || {
    echo "Usage: tests/torture/lab.sh [SECONDS [TOPOLOGY]]" >&2
    exit 2
}
# Of pages of 2 MiB, few enough that they run out at times.
exec harness/lab.sh --no-pace --topology "$topology" -- \
    sh -c "echo 60 >/proc/sys/vm/nr_hugepages && exec tests/torture/run.sh $seconds 10"
