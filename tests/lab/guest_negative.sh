#!/usr/bin/env bash
# Runs inside a two-node machine of the lab for check.sh: three states in which figures would mislead. Leaves in
# the folder $1 what the sweep and the benchmarks say; truth.py looks whether they say so.
set -uo pipefail
out=$1
sweep=(harness/run_matrix.sh --bench latency --rounds 1 --extra-rounds 0 --no-sentinel --no-pictures)

# Waits for the latency benchmark, and moves its pages from node 1 to node 0 while it measures for 6 s or more.
move_pages_away() {
    local pid='' pages try
    for ((try = 0; try < 600; try++)); do
        sleep 0.1
        pid=$(pgrep -x latency) || continue # the local cell's too, which never has pages there
        pages=$(grep -o 'N1=[0-9]*' "/proc/$pid/numa_maps" | sort -t = -k 2 -n | tail -n 1)
        pages=${pages#N1=}
        [ "${pages:-0}" -ge 4096 ] || continue # until the 16 MiB are written
        sleep 2
        migratepages "$pid" 1 0 || echo "migratepages: status $?" >>"$out/failures"
        return
    done
    echo "the benchmark's 16 MiB were never on node 1" >>"$out/failures"
}

echo 0 >/proc/sys/kernel/numa_balancing
move_pages_away &
"${sweep[@]}" --cpus 0 --mem-nodes 1 --sizes 16M --max-samples 8 --min-sample-ms 1000 --out "$out/moved" >"$out/log" 2>&1
echo $? >"$out/moved/status"
wait

# A thread alone on node 0 whose memory is on node 1, without a policy.
echo 1 >/proc/sys/kernel/numa_balancing
"${sweep[@]}" --cpus 0 --mem-nodes 0 --sizes 1M --out "$out/machine" >>"$out/log" 2>&1
mkdir "$out/balanced"
cp "$out/machine/environment.json" "$out/balanced/"
taskset -c 0,2 bench/latency --cpu 0 --fill-cpu 2 --size 16M --max-samples 12 --min-sample-ms 1000 --csv \
    >"$out/balanced/samples.csv" 2>"$out/balanced/errors" || echo "latency: status $?" >>"$out/failures"
echo 0 >/proc/sys/kernel/numa_balancing

# A cpuset that hides node 1.
cpuset=/sys/fs/cgroup/half
echo +cpuset >/sys/fs/cgroup/cgroup.subtree_control
mkdir $cpuset
echo 0-1 >$cpuset/cpuset.cpus
echo 0 >$cpuset/cpuset.mems
(
    echo $BASHPID >$cpuset/cgroup.procs
    "${sweep[@]}" --sizes 1M --out "$out/hidden" >>"$out/log" 2>&1
    echo $? >"$out/hidden/status"
)
exit 0
