#!/usr/bin/env bash
# `make check-vm` and `make check-vm-full`: the allocator's placement and a small sweep in virtual machines.
# Ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
Usage: tests/lab/check.sh [--full] [VM_OPTION...]
Without --full: two nodes under Linux 6.1, a choice of policies; under 5 minutes. With it: every policy, on two
nodes and on three (one without CPUs), under Linux 6.1 and 6.12 (which has weighted interleave of its own).
The rest are options of vm.sh, such as --console FILE or --accel kvm; --topology and --kernel limit --full to
one machine. NUMA_LAB_TIMEOUT: seconds that each machine may take (default 900).
END
}

extent=quick topologies=(2-node) kernels=('') options=()
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --full) extent=full topologies=(2-node 3-node) kernels=(6.1 6.12) && shift ;;
    --topology) topologies=("${2:-}") && shift $(($# < 2 ? 1 : 2)) ;;
    --kernel) kernels=("${2:-}") && shift $(($# < 2 ? 1 : 2)) ;;
    *) options+=("$1") && shift ;;
    esac
done
started=$SECONDS

for built in alloc/numa_alloc.so bench/latency bench/bandwidth build/tests/refuse; do
    [ -r "$built" ] || {
        echo "vm: '$built' is not built; run: make all build/tests/refuse" >&2
        exit 1
    }
done
mkdir -p build/lab
for program in placement shares mappings mapped; do
    "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -pthread \
        -o build/lab/$program tests/lab/$program.c
done
work=$(mktemp -d "${TMPDIR:-/tmp}/numa_alloc-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Boots the machine of $topology and $kernel for one script, the arguments.
in_machine() {
    local status=0 passed_here failed_here
    mkdir -p "$work/out"
    echo "== $topology, Linux ${kernel:-6.1}: $1"
    harness/lab.sh --topology "$topology" ${kernel:+--kernel "$kernel"} --timeout "${NUMA_LAB_TIMEOUT:-900}" \
        --out "$work/out" "${options[@]}" -- "$@" | tee "$work/tap" || status=$?
    passed_here=$(grep -c '^ok' "$work/tap" || true)
    failed_here=$(grep -c '^not ok' "$work/tap" || true)
    # A machine or a script that died is a failure of its own, even if every test so far had passed.
    [ "$status" -eq 0 ] || [ "$failed_here" -gt 0 ] || failed_here=1
    [ "$passed_here" -gt 0 ] || [ "$failed_here" -gt 0 ] || failed_here=1
    passed=$((passed + passed_here)) failed=$((failed + failed_here))
    rm -rf "$work/out"
}

for kernel in "${kernels[@]}"; do
    for topology in "${topologies[@]}"; do
        [ "$topology" != 2-node ] || in_machine tests/lab/guest_check.sh build/lab/placement "$work/out"
        in_machine tests/lab/guest_shares.sh build/lab "$extent"
        in_machine tests/lab/guest_pages.sh build/lab build/tests/refuse
    done
done
echo "took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
