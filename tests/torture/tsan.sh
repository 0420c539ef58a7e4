#!/usr/bin/env bash
# Runs the torture of the ThreadSanitizer build for some seconds in all, in turns under the policies,
# with a threshold, and with checks on. A data race ends a run with status 66 and ThreadSanitizer's report.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

total_seconds=${1:-60}
[[ "$total_seconds" =~ ^[1-9][0-9]*$ ]] || {
    echo "Usage: tests/torture/tsan.sh [SECONDS]" >&2
    exit 2
}
node=$(sed 's/[^0-9].*//' /sys/devices/system/node/has_memory 2>/dev/null)
node=${node:-0}
modes=("bind:$node 0 off" "local 0 off" "interleave:all 0 off" "none 4K off" "weighted:$node=2 0 off"
    "local 64K off" "preferred:all 4K off" "bind:$node 1M off" "bind:$node 0 on" "local 4K on" "interleave:all 0 on")
run_seconds=$((total_seconds / ${#modes[@]}))
[ "$run_seconds" -gt 0 ] || run_seconds=1

# A thread that pthread_join has joined is at times reported as leaked: of no interest here.
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 history_size=7 report_thread_leaks=0"
failed=0
build/tsan_planted/torture --threads 6 --seconds 60 2>build/tsan/errors.txt
if [ $? -ne 66 ] || ! grep -q 'data race.* in mail_open' build/tsan/errors.txt; then
    failed=1
    echo "FAILED: the planted race was not found:"
    cat build/tsan/errors.txt
fi
for mode in "${modes[@]}"; do
    read -r policy min_size checks <<<"$mode"
    build/tsan/torture --policy "$policy" --min-size "$min_size" --checks "$checks" --threads 6 \
        --seconds "$run_seconds" 2>build/tsan/errors.txt ||
        {
            failed=$((failed + 1))
            echo "FAILED under $policy, threshold $min_size, checks $checks:"
            cat build/tsan/errors.txt
        }
done
echo "$((${#modes[@]} + 1 - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
