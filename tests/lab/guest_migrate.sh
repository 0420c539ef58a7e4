#!/usr/bin/env bash
# Runs inside a machine of the lab for check.sh: pages moved between every two nodes with memory, and shown while
# another program moves them. Prints TAP; exit status 1 when a promise is broken. Times are not judged.
# $1: the program that refuses, build/tests/refuse.
# shellcheck disable=SC2317,SC2086 # `holds` calls the functions; no path of these holds a space
set -uo pipefail
refuse=$1
sysfs=/sys/devices/system/node
thp=/sys/kernel/mm/transparent_hugepage/enabled
work=/tmp/migrate
quick=(--max-samples 2 --min-sample-ms 1 --csv)
failed=0
mkdir -p $work

report() { # $1: ok or not ok, $2: promise
    [ "$1" = ok ] || sed 's/^/# /' $work/log $work/rows
    echo "$1 - migrate: $2"
    [ "$1" = ok ] || failed=1
    : >$work/log
}

# $1: promise, the rest: a function or command that must end with status 0.
holds() {
    local promise=$1
    shift
    if "$@" >>$work/log 2>&1; then report ok "$promise"; else report "not ok" "$promise"; fi
}

# Ids of a list such as 0,2-3, one a line.
ids() {
    tr ',' '\n' <<<"$1" | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

nodes=$(ids "$(cat $sysfs/has_memory)")
{ read -r first && read -r second; } <<<"$nodes"

# Runs it with rows in $work/rows. $1: status that it must end with.
migrate() {
    local wanted=$1 status=0
    shift
    bench/migrate "${quick[@]}" "$@" >$work/rows 2>$work/errors || status=$?
    cat $work/errors
    [ "$status" -eq "$wanted" ] || { echo "status $status of bench/migrate $*" && return 1; }
}

# Fields before pages_on_nodes hold no comma, and all that is asked for here comes before it. $1: an awk program; the
# rest: variables.
rows() {
    local program=$1
    shift
    awk -F, "$@" 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        function field(name) { return $column[name] }
        '"$program" $work/rows
}

# Every ordered pair of nodes has both metrics of each variant; every node its latency at rest, and every two nodes
# theirs while pages move. $1: pages, the rest: variants.
complete() {
    local pages=$1 from to variant
    shift
    for from in $nodes; do
        echo "$pages latency_idle idle $from"
        for to in $nodes; do
            [ "$from" -ne "$to" ] || continue
            for variant in "$@"; do
                echo "$pages migration_bandwidth $variant $from $to"
                echo "$pages migration_cost $variant $from $to"
                [ "$from" -gt "$to" ] || echo "$pages latency_during $variant $from $to"
            done
        done
    done | sort >$work/wanted
    rows '{ from = field("other_mem_node") (field("other_mem_node") == "" ? "" : " ") }
        field("metric") ~ /^migration|^latency_(idle|during)$/ {
            print field("pages"), field("metric"), field("variant"), from field("mem_node") }' | sort -u >$work/seen
    diff $work/wanted $work/seen
}

# Every row is a positive number of pages that were where they should be.
arrived() {
    rows 'field("value") <= 0 || field("placement") != "verified" || field("placed_fraction") < 0.999 { print; bad = 1 }
        END { exit bad || NR < 2 }'
}

# Bandwidth and cost of a sample are of the same move: bytes a page are their product. $1: bytes of a page.
consistent() {
    rows 'field("metric") == "migration_bandwidth" { speed[++speeds] = field("value") }
        field("metric") == "migration_cost" { cost[++costs] = field("value") }
        END {
            for (i = 1; i <= speeds; i++)
                if (speed[i] * cost[i] < 0.999 * bytes || speed[i] * cost[i] > 1.001 * bytes) exit 1
            exit speeds == 0 || speeds != costs
        }' -v bytes="$1"
}

base_pages() {
    migrate 0 --size 1M --pages base --batch 64,all &&
        complete base move_pages/64 move_pages/all mbind/64 mbind/all && arrived
}

# The kernel's own counters are in the proof: huge pages moved, and none was split.
stayed_huge() {
    migrate 0 --size 4M --pages thp --batch 1,all && complete thp move_pages/1 move_pages/all mbind/1 mbind/all &&
        arrived && grep -q '; thp_migration_success [1-9][0-9]*; thp_migration_split 0; ' $work/rows &&
        ! grep -E 'thp_migration_success 0;|thp_migration_split [1-9]' $work/rows
}

pool() { # $1: node, $2: pages of 2 MiB
    echo "$2" >$sysfs/node"$1"/hugepages/hugepages-2048kB/nr_hugepages
    [ "$(cat $sysfs/node"$1"/hugepages/hugepages-2048kB/nr_hugepages)" -eq "$2" ]
}

reserved_pages() {
    pool "$first" 4 && pool "$second" 4 || return
    migrate 0 --size 4M --pages 2M --batch 1,all --from "$first" --to "$second" && arrived &&
        rows 'field("pages") != "2M" { bad = 1 } END { exit bad || NR < 2 }' &&
        [ "$(cat $sysfs/node"$first"/hugepages/hugepages-2048kB/free_hugepages)" -ge 4 ]
    local status=$?
    pool "$first" 0
    pool "$second" 0
    return $status
}

# mbind says nothing of pages that it could not move, so a reader meanwhile must not pass for one during a move.
no_room_meanwhile() {
    local status=0 pages
    pages=$(awk '/MemFree/ { print int($4 / 2048) - 8 }' $sysfs/node"$second"/meminfo)
    pool "$second" "$pages"
    migrate 0 --size 96M --pages base --calls mbind --batch all --from "$first" --to "$second" || status=1
    [ "$(grep -c ',latency_during.*of the pages asked for moved meanwhile' $work/rows)" -eq 3 ] || status=1
    rows 'field("metric") ~ /^latency_during/ {
            found++
            if (field("value") != "" || field("placement") == "verified") bad = 1
        }
        END { exit bad || found != 3 }' || status=1
    pool "$second" 0
    return $status
}

# Of the pages that the calls asked for under the reader, most moved, and that is what the proof says.
moved_meanwhile() {
    migrate 0 --size 1M --pages base --batch 64 --from "$first" --to "$second" && arrived &&
        [ "$(grep -c 'latency_during,.*; [1-9][0-9]* of [1-9][0-9]* pages asked for moved meanwhile' $work/rows)" -ge 2 ]
}

# Nearly all of the second node's memory is taken by a pool: pages cannot get there, and that is what is said.
no_room() {
    local status=0 pages
    pages=$(awk '/MemFree/ { print int($4 / 2048) - 8 }' $sysfs/node"$second"/meminfo)
    pool "$second" "$pages"
    migrate 1 --size 96M --pages base --batch all --no-latency --from "$first" --to "$second" || status=1
    rows '{ found++ } field("value") != "" || field("placement") == "verified" { bad = 1 }
        END { exit bad || found != 4 }' || status=1
    [ "$(grep -c ',failed,' $work/rows)" -eq 4 ] || status=1
    pool "$second" 0
    return $status
}

refused() {
    local error
    for error in EPERM ENOSYS; do
        "$refuse" $error bench/migrate --size 1M >$work/rows 2>$work/errors
        [ $? -eq 1 ] && [ ! -s $work/rows ] && [ "$(wc -l <$work/errors)" -eq 1 ] &&
            grep -q '^migrate: .*move_pages.*mbind' $work/errors || return
    done
}

no_huge_pages() {
    local was status=0
    was=$(sed 's/.*\[\(.*\)\].*/\1/' $thp)
    echo never >$thp
    migrate 0 --size 1M --batch all --no-latency --from "$first" --to "$second" &&
        [ "$(grep -c '^migrate: note: pages left out: thp' $work/errors)" -eq 1 ] && arrived || status=1
    echo "$was" >$thp
    return $status
}

one_cpu() {
    taskset -c 0 bench/migrate "${quick[@]}" --size 1M --pages base --batch all --from "$first" --to "$second" \
        >$work/rows 2>$work/errors || return
    grep -q 'only one CPU' $work/errors && arrived && grep -q latency_idle $work/rows &&
        ! grep -q latency_during $work/rows
}

# Waits for a look with the awk condition $1 on the pages of the first and second node, `a` and `b`.
seen() {
    local tries
    for tries in $(seq 300); do
        if awk -v first="N$first" -v second="N$second" '/^watch: / {
                for (i = 1; i <= NF; i++) {
                    split($i, part, "=")
                    if (part[1] == first) a = part[2] + 0
                    if (part[1] == second) b = part[2] + 0
                }
                if ('"$1"') found = 1
            } END { exit !found }' $work/watched; then
            return
        fi
        sleep 0.1
    done
    echo "not seen in $tries looks: $1"
    cat $work/watched
    return 1
}

watched() {
    local pid status=0 balancing=/proc/sys/kernel/numa_balancing was
    was=$(cat $balancing)
    echo 0 >$balancing
    NUMA_ALLOC_POLICY=preferred:$first LD_PRELOAD=alloc/numa_alloc.so bench/benchmark --size 1M --watch-ms 100 --no-wait \
        >$work/watched 2>&1 &
    pid=$!
    # 256 pages, and what else of the block is in the first and last one.
    seen 'a >= 256 && b == 0' && migratepages $pid "$first" "$second" && seen 'b >= 256 && a == 0' &&
        grep -q "N$first=0 (-2[0-9]*) N$second=2[0-9]* (+2[0-9]*)" $work/watched || status=1
    kill -INT $pid
    wait $pid || status=1
    echo "$was" >$balancing
    return $status
}

: >$work/rows
: >$work/log
holds "base pages arrive, between every two nodes and by every call" base_pages
holds "bandwidth and cost are of the same moves" consistent "$(getconf PAGESIZE)"
holds "huge pages arrive whole" stayed_huge
holds "bandwidth and cost count a huge page as one" consistent "$(cat /sys/kernel/mm/transparent_hugepage/hpage_pmd_size)"
holds "reserved pages arrive, and go back to their pool" reserved_pages
holds "latency during a move in which hardly a page moved is no figure" no_room_meanwhile
holds "latency during a move says how many of the pages asked for moved" moved_meanwhile
holds "pages without room on their node fail, and are no figure" no_room
holds "without transparent huge pages those are left out" no_huge_pages
holds "a kernel that refuses is named in one line" refused
holds "with one CPU, latency is measured at rest" one_cpu
if command -v migratepages >/dev/null; then
    holds "a watch shows pages leave one node and come to the other" watched
fi
exit $failed
