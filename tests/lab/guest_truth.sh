#!/usr/bin/env bash
# Runs inside a paced machine of the lab for check.sh: leaves in a folder what the kernel, the allocator and the
# benchmarks say of the machine; truth.py compares it with the topology. $1: the folder; $2: CPUs that
# bandwidth is measured from, or all.
set -uo pipefail
out=$1 bandwidth_cpus=$2
sysfs=/sys/devices/system/node
# One round without a sentinel: what a machine shows is known, and time in it is dear.
sweep=(harness/run_matrix.sh --sizes 1M --max-samples 6 --min-sample-ms 50 --rounds 1 --extra-rounds 0 --no-sentinel --no-pictures)

# The kernel's own words.
for folder in "$sysfs"/node[0-9]*; do
    printf '%s;%s;%s;%s\n' "${folder##*/node}" "$(cat "$folder/cpulist")" \
        "$(sed -n 's/.*MemTotal: *\([0-9]*\) kB/\1/p' "$folder/meminfo")" "$(cat "$folder/distance")"
done >"$out/nodes"

# What the allocator finds: interleaving over everything it knows of.
NUMA_ALLOC_STATS="$out/allocator.json" NUMA_ALLOC_POLICY=interleave:all LD_PRELOAD=alloc/numa_alloc.so /bin/true

if [ "$bandwidth_cpus" = all ]; then
    "${sweep[@]}" --out "$out/run" >"$out/log" 2>&1 || echo "run_matrix.sh: status $?" >>"$out/failures"
else
    "${sweep[@]}" --bench latency --out "$out/run" >"$out/log" 2>&1 ||
        echo "run_matrix.sh: status $?" >>"$out/failures"
    "${sweep[@]}" --bench bandwidth --cpus "$bandwidth_cpus" --out "$out/run-bandwidth" >>"$out/log" 2>&1 ||
        echo "run_matrix.sh for bandwidth: status $?" >>"$out/failures"
fi

taskset -c 0-1 env NUMA_ALLOC_POLICY=bind:0 LD_PRELOAD=alloc/numa_alloc.so \
    bench/loaded --cpu 0 --size 1M --max-samples 8 --min-sample-ms 50 --csv >"$out/loaded.csv" 2>"$out/loaded.errors" ||
    echo "bench/loaded: status $?" >>"$out/failures"
exit 0
