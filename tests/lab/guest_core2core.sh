#!/usr/bin/env bash
# Runs inside a machine of the lab for check.sh: lines handed over between every two CPUs, homed on every node with
# memory in turn, one without CPUs included. Prints TAP; exit status 1 when a promise is broken. Times are not judged.
set -uo pipefail
sysfs=/sys/devices/system
work=/tmp/core2core
failed=0
mkdir -p $work

# Ids of a list such as 0,2-3, one a line.
ids() {
    tr ',' '\n' <<<"$1" | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

cpus=$(ids "$(cat $sysfs/cpu/online)")
# What the rows must say: cpu, its node, the other one, its node.
for cpu in $cpus; do
    for other in $cpus; do
        [ "$cpu" -lt "$other" ] || continue
        echo "$cpu $(basename $sysfs/cpu/cpu"$cpu"/node*) $other $(basename $sysfs/cpu/cpu"$other"/node*)"
    done
done | sed 's/node//g' | sort >$work/pairs

# $1: node. Every pair once a variant, every page there, every figure a number.
homed() {
    bench/core2core --node "$1" --max-samples 1 --min-sample-ms 1 --csv >$work/rows 2>$work/log || return
    awk -F, -v home="$1" -v out=$work/seen '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        $column["placement"] != "verified" || $column["mem_node"] != home || $column["value"] <= 0 ||
            $column["pages_on_nodes"] !~ "^N" home "=[0-9]*$" { exit 1 }
        { print $column["cpu"], $column["cpu_node"], $column["other_cpu"], $column["other_cpu_node"] >out "-" $column["variant"] }
        ' $work/rows || return
    for variant in cas store-load; do
        sort $work/seen-$variant | cmp $work/pairs - >>$work/log 2>&1 || return
    done
}

for node in $(ids "$(cat $sysfs/node/has_memory)"); do
    promise="lines homed on node $node are handed over between every two CPUs"
    rm -f $work/seen-*
    if homed "$node"; then
        echo "ok - core2core: $promise"
    else
        sed 's/^/# /' $work/log $work/rows
        echo "not ok - core2core: $promise"
        failed=1
    fi
done
exit $failed
