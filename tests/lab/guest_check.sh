#!/usr/bin/env bash
# Runs inside the virtual machine for check.sh: the allocator's promises of placement, then a small sweep.
# Prints TAP; exit status 1 when a promise is broken. $1: the placement program; $2: a folder for the run.
set -uo pipefail
placement=$1 out=$2
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

# $1: a policy that must be refused before main: one line on stderr, nothing on stdout, status 2.
refused() {
    local output status error=/tmp/refused verdict=ok
    output=$(NUMA_ALLOC_POLICY=$1 LD_PRELOAD=$library /bin/echo main ran 2>"$error")
    status=$?
    if [ "$status" -ne 2 ] || [ -n "$output" ] || [ "$(wc -l <"$error")" -ne 1 ] ||
        ! grep -q 'NUMA_ALLOC_POLICY' "$error"; then
        echo "# status $status, output '$output', errors:"
        sed 's/^/# /' "$error"
        verdict="not ok"
    fi
    report "$verdict" "$1 is refused before main with one line"
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
refused bind:7
refused preferred:2
refused bind:x

# Every cell of the 2 x 2 sweep: latency and bandwidth's five variants, from either node to either.
if harness/run_matrix.sh --size 4M --rounds 1 --no-pictures --out "$out/run" >"$out/log" 2>&1; then
    report ok "a full sweep ends well"
else
    report "not ok" "a full sweep ends well"
    sed 's/^/# /' "$out/log"
fi
awk -F, '
    NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
    { cells[$column["cell"]]++; placements[$column["placement"]]++; rows++ }
    END {
        for (cell in cells) count++
        for (placement in placements) printf "# %d samples %s\n", placements[placement], placement
        printf "%s - the sweep has 24 cells (%d)\n", count == 24 ? "ok" : "not ok", count
        verified = rows > 0 && placements["verified"] == rows
        printf "%s - every sample of the sweep is verified\n", verified ? "ok" : "not ok"
        exit !(count == 24 && verified)
    }' "$out/run/samples.csv" || failed=1

exit "$failed"
