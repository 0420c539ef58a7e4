#!/usr/bin/env bash
# Runs inside a machine of the lab for check.sh: the allocator's promises of placement, on two nodes with CPUs.
# Prints TAP; exit status 1 when a promise is broken. $1: the placement program.
set -uo pipefail
placement=$1
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
failed=0

report() { # $1: ok or not ok, $2: promise
    echo "$1 - $2"
    [ "$1" = ok ] || failed=1
}

# $1: label, $2: CPU, $3: policy or '' for none given; the rest: the placement program's arguments.
placed() {
    local label=$1 cpu=$2 policy=$3 environment=("LD_PRELOAD=$library") status
    shift 3
    [ -z "$policy" ] || environment+=("NUMA_ALLOC_POLICY=$policy")
    taskset -c "$cpu" env "${environment[@]}" "$placement" "$@" | sed -E "s/^(ok|not ok) - /&$label: /"
    status=${PIPESTATUS[0]}
    case "$status" in
    0) ;;
    1) failed=1 ;;
    *) report "not ok" "$label: the program ended with status $status" ;;
    esac
}

for cpu in 0 2; do
    for node in 0 1; do
        placed "bind:$node from cpu $cpu" $cpu bind:$node fixed $node bind:$node
    done
done
placed "no policy given, from cpu 3" 3 '' fixed 0 bind:0
placed "preferred:1 from cpu 1" 1 preferred:1 fixed 1 prefer:1
placed "local from node 0" 0 local local 0
placed "local from node 1" 2 local local 1
placed "none" 0 none first-touch
exit "$failed"
