#!/usr/bin/env bash
# Runs inside the virtual machine for check.sh: every policy's shares of the nodes, and how many mappings
# they cost. Prints TAP; exit status 1 when a promise is broken. $1: folder of the test programs;
# $2: quick (a choice) or full.
set -uo pipefail
programs=$1 extent=$2
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
nodes=$(find /sys/devices/system/node -maxdepth 1 -name 'node[0-9]*' | wc -l)
kernel=$(uname -r)
label_start="$nodes nodes, Linux ${kernel%%-*}"
failed=0
# What has no policy of its own is moved by the kernel towards who uses it, as time permits.
echo 0 >/proc/sys/kernel/numa_balancing

# $1: label, the rest: a command. Passes its TAP on, with the label; a status above 1 is a failure of its own.
labelled() {
    local label="$label_start, $1" status
    shift
    "$@" | sed -E "s/^(ok|not ok) - /&$label: /"
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || failed=1
    [ "$status" -le 1 ] || echo "not ok - $label: the program ended with status $status"
}

# $1: CPU, $2: policy, $3: as or within, $4: shares, $5: smallest size of the policy's blocks, $6: node of
# the CPU.
spread() {
    local environment=("LD_PRELOAD=$library" "NUMA_ALLOC_POLICY=$2" ${5:+"NUMA_ALLOC_MIN_SIZE=$5"})
    labelled "$2${5:+ from $5 bytes} on cpu $1" \
        taskset -c "$1" env "${environment[@]}" "$programs/shares" "$3" "$4" ${5:+"$5" "$6"}
}

# $1: policy.
few_mappings() {
    labelled "$1" env LD_PRELOAD=$library NUMA_ALLOC_POLICY="$1" "$programs/mappings" 20000 1 2000
}

two_nodes() {
    spread 2 interleave:all as 0-1
    spread 0 weighted:0=3,1=1 as 0=3,1=1
    spread 3 weighted:0=1,1=2 as 0=1,1=2 65536 1
    spread 1 preferred:1 as 1
    few_mappings weighted:0=3,1=1
    few_mappings interleave:all
    [ "$extent" = full ] || return
    spread 0 bind:0 as 0
    spread 0 bind:1 as 1
    spread 2 preferred:0,1 within 0-1
    spread 0 interleave:1 as 1
    spread 2 weighted:0=1,1=5 as 0=1,1=5
    spread 0 weighted:0=255,1=85 as 0=255,1=85
    spread 0 local as 0
    spread 2 local as 1
    spread 3 none as 1
    spread 2 interleave:all as 0-1 65536 1
    spread 0 interleave:all as 0-1 1048576 0
    spread 1 bind:1 as 1 1024 0
    spread 3 preferred:0 as 0 33554432 1
    for policy in bind:0 preferred:1 local none; do few_mappings $policy; done
    few_stripes
}

three_nodes() {
    spread 2 interleave:all as 0-2
    spread 0 weighted:0=4,1=2,2=1 as 0=4,1=2,2=1
    spread 0 bind:2 as 2
    few_mappings weighted:0=4,1=2,2=1
    [ "$extent" = full ] || return
    spread 2 interleave:0,2 as 0,2
    spread 0 interleave:1-2 as 1-2
    spread 2 weighted:0=1,2=7 as 0=1,2=7
    spread 0 weighted:0=3,2=1 as 0=3,2=1 65536 0
    spread 3 weighted:0=3,2=1 as 0=3,2=1 4096 1
    spread 0 preferred:2 as 2
    spread 0 preferred:1-2 within 1-2
    spread 3 preferred:0,2 within 0,2
    spread 0 local as 0
    spread 3 local as 1
    spread 3 none as 1
    spread 2 bind:2 as 2 8192 1
    few_mappings interleave:all
}

# Stripes are mappings: they may take an eighth of what the kernel allows, and grow instead.
few_stripes() {
    local allowed=/proc/sys/vm/max_map_count before
    before=$(<$allowed)
    echo 4000 >$allowed
    labelled "weighted:0=3,1=1 where 4000 mappings are allowed" env LD_PRELOAD=$library \
        NUMA_ALLOC_POLICY=weighted:0=3,1=1 "$programs/mappings" 3000 64 750 # 500, and its others
    echo "$before" >$allowed
}

# The kernel's own weights of weighted interleave, where it has them: equal to the user's, and not.
kernel_weights() {
    local folder=/sys/kernel/mm/mempolicy/weighted_interleave
    [ -w $folder/node0 ] || return 0
    echo 3 >$folder/node0
    echo 1 >$folder/node1
    label_start+=", kernel's weights 3 and 1"
    spread 0 weighted:0=3,1=1 as 0=3,1=1
    spread 0 weighted:0=1,1=3 as 0=1,1=3
    few_mappings weighted:0=3,1=1
}

case $nodes in
2) two_nodes ;;
3) three_nodes ;;
*) echo "not ok - a machine of $nodes nodes is not known here" && failed=1 ;;
esac
[ "$extent" != full ] || kernel_weights
exit "$failed"
