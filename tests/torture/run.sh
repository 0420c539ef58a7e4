#!/usr/bin/env bash
# Runs the torture for some time, in turns under every policy, threshold, kind of pages, checks, build and
# behaviour of the kernel, and appends a line for each run to a log, so that hours add up over many runs.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
started=$SECONDS # make may have put its own SECONDS into the environment

usage() {
    cat <<'EOF2'
Usage: tests/torture/run.sh [--summary] [TIME [RUN_TIME]]
Tortures the allocator for TIME seconds (60), RUN_TIME (5) in each mode, going on where the log ends.
The log: results/torture.tsv (TORTURE_LOG names another). --summary prints what it adds up to.
EOF2
}

log=${TORTURE_LOG:-results/torture.tsv}
columns="started_at run build policy min_size pages checks kernel threads seed operations seconds verdict"

# --- modes: the one list of them ---------------------------------------------------------------------

node=$(sed 's/[^0-9].*//' /sys/devices/system/node/has_memory 2>/dev/null) || node=0
node=${node:-0}
last_node=$(sed 's/.*[^0-9]//' /sys/devices/system/node/has_memory 2>/dev/null) || last_node=$node
weighted="weighted:$node=3"
[ "$last_node" = "$node" ] || weighted+=",$last_node=1"

policies=("bind:$last_node" "preferred:$node" interleave:all "$weighted" local none preferred:all)
min_sizes=(0 4K 64K 1M)
all_pages=(default thp 2M 1G)
all_checks=(off on)
# plain: as it is; refused: no placement; untouched: nor a helper that touches memory; limited: ulimit -v
kernels=(plain plain refused plain limited plain untouched)
builds=(alloc alloc build/ubsan)
all_threads=(4 2 8 1 16)

# Sets the mode of the run with that number: each round goes through all policies, thresholds, pages and
# checks, in an order that changes the policy soonest, with the rest moved on by one a round.
set_mode() {
    local at=$1 round
    local all=$((${#policies[@]} * ${#min_sizes[@]} * ${#all_pages[@]} * ${#all_checks[@]}))
    round=$(($1 / all))
    policy=${policies[at % ${#policies[@]}]} at=$((at / ${#policies[@]}))
    checks=${all_checks[at % ${#all_checks[@]}]} at=$((at / ${#all_checks[@]}))
    pages=${all_pages[at % ${#all_pages[@]}]} at=$((at / ${#all_pages[@]}))
    min_size=${min_sizes[at % ${#min_sizes[@]}]}
    at=$(($1 + round + $1 / ${#policies[@]}))
    kernel=${kernels[at % ${#kernels[@]}]}
    build=${builds[at % ${#builds[@]}]}
    threads=${all_threads[at % ${#all_threads[@]}]}
}

# Runs the rest of the line as the mode's kernel would have it.
under_kernel() {
    case "$kernel" in
    refused) build/tests/refuse EPERM "$@" ;;
    untouched) build/tests/refuse EPERM +populate +sched_setaffinity "$@" ;;
    limited) (ulimit -v $((12 << 20)) && exec "$@") ;;
    *) "$@" ;;
    esac
}

# --- one run -----------------------------------------------------------------------------------------

value_of() { # $1: name, $2: text with name=value
    sed -n "s/.*\\b$1=\\([^ ]*\\).*/\\1/p" <<<"$2" | head -n 1
}

# $1: its number, $2: seconds. Appends its line to the log.
torture() {
    local started_at out seed verdict=passed
    local errors="${log%.tsv}-$1.txt" without=()
    started_at=$(date -u +%FT%TZ)
    seed=$(od -An -N5 -tu8 /dev/urandom | tr -d ' ')
    set_mode "$1"
    # A forked child that writes to reserved pages needs more of them, and dies of SIGBUS without.
    case "$pages:$(awk '/^HugePages_Total/ { print $2 }' /proc/meminfo)" in
    2M:0 | 1G:0 | default:* | thp:*) ;;
    *) without=(--no-forks) ;;
    esac
    out=$(under_kernel build/tests/torture --library "$build/numa_alloc.so" --policy "$policy" \
        --min-size "$min_size" --pages "$pages" --checks "$checks" --threads "$threads" --seed "$seed" \
        --seconds "$2" "${without[@]}" 2>"$errors") || verdict=FAILED
    tr ' ' '\t' <<<"$started_at $1 $build $policy $min_size $pages $checks $kernel $threads $seed \
$(value_of operations "operations=0 $out") $(value_of seconds "seconds=0 $out") $verdict" | tr -s '\t' >>"$log"
    if [ "$verdict" = passed ]; then
        rm -f "$errors"
        return 0
    fi
    echo "FAILED: run $1 under $build $policy $min_size $pages checks $checks, kernel $kernel ($errors):"
    cat "$errors"
    return 1
}

# --- the log -----------------------------------------------------------------------------------------

# $1: first run to count. A table by policy.
summary() {
    awk -F '\t' -v first="$1" '
        function add(key) { runs[key]++; operations[key] += $11; seconds[key] += $12; failed[key] += $13 != "passed" }
        NR > 1 && $2 >= first { add("all"); add($4); if (!($4 in seen)) { seen[$4] = 1; order[++count] = $4 } }
        END {
            order[++count] = "all"
            print "| policy | runs | operations | seconds | failed |\n| --- | ---: | ---: | ---: | ---: |"
            for (i = 1; i <= count; i++)
                printf "| %s | %d | %.1f M | %d | %d |\n", order[i], runs[order[i]], operations[order[i]] / 1e6,
                    seconds[order[i]], failed[order[i]]
        }' "$log"
}

case "${1:-}" in
-h | --help)
    usage
    exit 0
    ;;
--summary)
    [ -s "$log" ] || { echo "run.sh: there is no $log yet" >&2; exit 1; }
    summary 0
    exit 0
    ;;
esac
total_seconds=${1:-60} run_seconds=${2:-5}
[[ "$total_seconds" =~ ^[1-9][0-9]*$ && "$run_seconds" =~ ^[1-9][0-9]*$ ]] || { usage >&2; exit 2; }
[ "$run_seconds" -le "$total_seconds" ] || run_seconds=$total_seconds

env NUMA_ALLOC_CHECKS=on LD_PRELOAD="$PWD/alloc/numa_alloc.so" true 2>/dev/null || {
    all_checks=(off)
    echo "NUMA_ALLOC_CHECKS=on is not tortured: this build has no hardened mode"
}
mkdir -p "$(dirname "$log")"
[ -s "$log" ] || tr ' ' '\t' <<<"$columns" >"$log"
next=$(($(wc -l <"$log") - 1)) # the header is no run
first=$next failed=0
while # once at least, however long a busy machine took to come here
    torture "$next" "$run_seconds" || failed=$((failed + 1))
    next=$((next + 1))
    [ $((SECONDS - started)) -lt "$total_seconds" ]
do :; done
summary "$first"
echo "$log: $(($(wc -l <"$log") - 1)) runs, $(awk -F '\t' 'NR > 1 { s += $12 } END { printf "%.2f", s / 3600 }' "$log") hours"
echo "$((next - first - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
