#!/usr/bin/env bash
# Runs inside a two-node machine of the lab for check.sh: limits of the whole system reached, and a machine that changes
# under a running program. Who is refused keeps what it has, and gets more once the cause is gone. Prints TAP;
# exit status 1 when a promise is broken. $1: the holder program.
set -uo pipefail
holder=$1
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
log=/tmp/limits.log
failed=0
trap "" PIPE # a holder may be killed
memory_folder=/sys/devices/system/memory
group=/sys/fs/cgroup/held

# $1: promise; then what was seen and an extended regular expression that it must match, pair by pair.
expect() {
    local promise=$1
    shift
    while [ $# -gt 0 ]; do
        if [[ ! $1 =~ ^($2)$ ]]; then
            echo "not ok - limits: $promise"
            echo "# '$1', not '$2'"
            sed 's/^/# /' $log
            failed=1
            return
        fi
        shift 2
    done
    echo "ok - limits: $promise"
}

# Starts a holder under a policy, in the cgroup that $2 names, if any.
begin() {
    coproc held {
        if [ -n "${2:-}" ]; then echo $BASHPID >"$2/cgroup.procs"; fi
        exec env LD_PRELOAD=$library NUMA_ALLOC_POLICY="$1" "$holder" 2>$log
    }
    pid=$! # the coproc's, also once it has ended
}

# Has the holder do something; its answer, or `gone`, is left in $answer.
tell() {
    answer=gone
    { echo "$*" >&"${held[1]}"; } 2>/dev/null || return 0
    read -r -t 120 answer <&"${held[0]}" || answer=gone
}

# Ends the holder; its exit status is left in $status.
end() {
    local input=${held[1]:-}
    if [ -n "$input" ]; then exec {input}>&-; fi
    wait "$pid" 2>/dev/null
    status=$?
}

# $1: node. What it has free, in MiB.
free_mib() { awk '/MemFree/ { print int($4 / 1024) }' "/sys/devices/system/node/node$1/meminfo"; }

# --- vm.overcommit_memory=2

# Lets the system promise $1 MiB more than it has.
nothing_overcommitted() {
    echo $(($(awk '/Committed_AS/ { print $2 }' /proc/meminfo) + ($1 << 10))) >/proc/sys/vm/overcommit_kbytes
    echo 2 >/proc/sys/vm/overcommit_memory
}

for policy in bind:1 interleave:all local none; do
    nothing_overcommitted 200 # before it starts: what was mapped earlier does not count
    begin $policy
    tell small 1000
    tell take 4000
    refused=$answer
    tell small 100
    tell check
    intact=$answer
    echo 0 >/proc/sys/vm/overcommit_memory
    tell reserve 3000
    again=$answer
    tell give
    end
    expect "overcommit refused under $policy: NULL, what is held stays, and later calls succeed" \
        "$refused" 'refused [0-9]+' "$intact" intact "$again" 'taken 1' "$status" 0
done
# --- vm.max_map_count
for policy in bind:1 interleave:all weighted:0=3,1=1 local; do
    begin $policy
    tell small 1000
    echo 60 >/proc/sys/vm/max_map_count
    for ((i = 0; i < 60; i++)); do
        tell reserve 40
        case $answer in refused*) break ;; esac
    done
    refused=$answer
    tell take 600
    tell small 10000
    tell check
    intact=$answer
    tell give
    given=$answer
    tell take 20
    echo 65530 >/proc/sys/vm/max_map_count
    tell take 100
    again=$answer
    tell check
    expect "mappings used up under $policy: NULL, what is held stays, and later calls succeed" \
        "$refused" 'refused 1' "$intact" intact "$given" given "$again" 'taken 100' "$answer" intact
    end
done

# --- a full node
begin preferred:1
tell take $(($(free_mib 1) + 100))
taken=$answer
tell where
where=$answer
tell check
expect "a full node spills under preferred" "$taken" 'taken [0-9]+' "$where" 'N0=[0-9]+ N1=[0-9]+ elsewhere=0' \
    "$answer" intact
end
begin bind:1
tell take 40
sleep 0.3 # it is looked ten times a second at most
tell reserve 2000
tell full
expect "a demand for more than the node has is counted under bind" "$answer" 'full [1-9][0-9]* refusals 0'
tell take $(($(free_mib 1) + 300))
end
expect "a full node kills under bind, as documented, and nothing else does" "$status" 137
sleep 1

# --- a control group
echo '+memory +cpuset' >/sys/fs/cgroup/cgroup.subtree_control
mkdir $group
echo 200M >$group/memory.max
begin bind:1 $group
tell take 150
taken=$answer
tell give
sleep 0.5
left=$(cat $group/memory.current)
tell take 150
again=$answer
tell check
expect "memory given back no longer counts in a control group" "$taken" 'taken 150' "$again" 'taken 150' "$answer" intact \
    "$([ "$left" -lt $((40 << 20)) ] && echo returned || echo "$left")" returned
echo 1 >$group/memory.oom.group
tell take 300
end
expect "a control group that is full kills, as documented, and nothing else does" "$status" 137
echo max >$group/memory.max

# --- a cpuset that shrinks
echo 0-3 >$group/cpuset.cpus
for policy in bind:1 preferred:1 interleave:all weighted:0=1,1=1 local; do
    echo 0-1 >$group/cpuset.mems
    begin $policy $group
    tell node 1
    tell take 60
    tell small 1000
    echo 0 >$group/cpuset.mems
    sleep 0.5
    tell check
    kept=$answer
    tell take 60
    taken=$answer
    tell reserve 2000
    tell small 20000
    tell where
    where=$answer
    echo 0-1 >$group/cpuset.mems
    tell take 20
    again=$answer
    tell check
    expect "a cpuset shrunk under $policy: what is held stays, and memory is had where it may be" \
        "$kept" intact "$taken" 'taken 60' "$where" 'N0=[0-9]+ (N1=[0-9]+ )?elsewhere=0' "$again" 'taken 20' \
        "$answer" intact "$(grep -vc numa_alloc: $log)" 0 "$(wc -l <$log)" '[01]'
    end
done

# --- CPUs that go
begin local
tell node 1
tell take 20
echo 0 >/sys/devices/system/cpu/cpu2/online
tell small 5000
echo 0 >/sys/devices/system/cpu/cpu3/online
tell take 20
taken=$answer
tell small 5000
tell check
intact=$answer
tell where
where=$answer
echo 1 >/sys/devices/system/cpu/cpu2/online
echo 1 >/sys/devices/system/cpu/cpu3/online
tell node 1
tell give
tell take 20
tell where
expect "a node's CPUs go off and on under local: blocks stay, and threads are followed" "$taken" 'taken 20' \
    "$intact" intact "$where" 'N0=[0-9]+ N1=[0-9]+ elsewhere=0' "$answer" 'N1=5120 elsewhere=0'
end

# --- memory that goes
for policy in bind:1 preferred:1 interleave:all local; do
    begin $policy
    tell node 1
    tell take 200
    gone=()
    for block in "$memory_folder"/memory*/; do
        [ -e "$block/node1" ] || continue
        if echo offline >"$block/state" 2>/dev/null; then gone+=("$block"); fi
    done
    tell check
    kept=$answer
    tell take 50
    taken=$answer
    tell small 5000
    for block in "${gone[@]}"; do echo online >"$block/state"; done
    tell take 50
    again=$answer
    tell check
    echo "# ${#gone[@]} blocks of node 1 went off under $policy"
    expect "memory off-lined under $policy: what is held stays" "$kept" intact "$taken" 'taken 50' "$again" 'taken 50' \
        "$answer" intact "$([ ${#gone[@]} -gt 0 ] && echo some)" some
    end
done
exit $failed
