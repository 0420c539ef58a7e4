#!/usr/bin/env bash
# `make check-vm`: the allocator's placement and a small sweep in a two-node virtual machine.
# Ends with `N passed, N failed`. Takes vm.sh's options, such as --console FILE or --accel kvm.
set -euo pipefail
cd "$(dirname "$0")/../.."
started=$SECONDS

if ! [ -r alloc/numa_alloc.so ] || ! [ -x bench/latency ] || ! [ -x bench/bandwidth ]; then
    echo "vm: nothing is built here; run make first" >&2
    exit 1
fi
mkdir -p build/vm
"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -pthread -o build/vm/placement tests/vm/placement.c
work=$(mktemp -d "${TMPDIR:-/tmp}/numa_alloc-check.XXXXXX")
trap 'rm -rf "$work"' EXIT

status=0
tests/vm/vm.sh "$@" --timeout "${NUMA_ALLOC_VM_TIMEOUT:-600}" --out "$work" -- \
    tests/vm/guest_check.sh build/vm/placement "$work" | tee "$work/tap" || status=$?
passed=$(grep -c '^ok' "$work/tap" || true)
failed=$(grep -c '^not ok' "$work/tap" || true)
# A machine or a script that died is a failure of its own, even if every test so far had passed.
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
[ "$passed" -gt 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
