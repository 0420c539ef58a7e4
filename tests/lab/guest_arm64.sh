#!/usr/bin/env bash
# Runs inside an arm64 machine of the lab for check.sh: the suites of `make check` that are programs, cross-built,
# and every benchmark. Prints TAP; exit status 1 when a promise is broken.
set -uo pipefail
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
work=/tmp/arm64
failed=0
mkdir -p $work

report() { # $1: ok or not ok, $2: promise
    echo "$1 - arm64: $2"
    [ "$1" = ok ] || failed=1
}

# $1: promise, the rest: a command that must end with status 0.
holds() {
    local promise=$1
    shift
    if "$@" >$work/log 2>&1; then
        report ok "$promise"
    else
        sed 's/^/# /' $work/log
        report "not ok" "$promise"
    fi
}

# $1: name of the suite, the rest: a cmocka program. Each test is a verdict; a skipped one (cmocka marks it "not ok")
# is none.
suite() {
    local name=$1 status skipped started=$SECONDS log=$work/${1//\//-}
    shift
    timeout 600 "$@" >"$log" 2>&1
    status=$?
    skipped=$(grep -ciE '^(not )?ok .*# *skip' "$log")
    sed -E -e '/# *skip/Id' -e "s#^(ok|not ok) [0-9]+ - #\1 - arm64: $name: #" "$log" |
        grep -E '^(ok|not ok) -' >"$log.verdicts"
    if [ "$status" -ne 0 ] && ! grep -q '^not ok' "$log.verdicts"; then
        echo "not ok - arm64: $name: the program ended with status $status" >>"$log.verdicts"
    fi
    {
        cat "$log.verdicts"
        echo "# $name: $((SECONDS - started)) s, $skipped skipped"
        [ "$status" -eq 0 ] || sed 's/^/# /' "$log"
    } >"$log.tap"
}

# Two programs at once: most have one thread. Their verdicts stay together. Five suites are left out, half of the time
# of all: starting many processes is slow in an emulator, and little in them depends on the architecture.
suites() {
    local program
    for program in build/tests/unit/test_* build/tests/alloc/test_*; do
        case $program in
        */alloc/test_environment | */alloc/test_huge_pages | */alloc/test_loading | */alloc/test_refused | */alloc/test_stats)
            echo "# ${program##*/test_}: left to make check"
            continue
            ;;
        esac
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
        case $program in
        # 200 threads, all alive here at once, want more than a node of 1 GiB: they may spill.
        */alloc/test_threads)
            suite alloc/threads env NUMA_ALLOC_POLICY=preferred:0 LD_PRELOAD="$PWD/$library" "$program" &
            ;;
        */unit/*) suite "unit/${program##*/test_}" "$program" & ;;
        */alloc/*) suite "alloc/${program##*/test_}" env LD_PRELOAD="$PWD/$library" "$program" & ;;
        esac
    done
    wait
    cat $work/*.tap
    if cat $work/*.verdicts | grep -q '^not ok'; then failed=1; fi
}

# $1: promise, the rest: a benchmark, every one of whose rows must be measured and its placement verified.
verified() {
    local promise="$1, every page where it should be"
    shift
    if "$@" --csv >$work/rows 2>$work/log && awk -F, '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        $column["placement"] == "verified" && $column["value"] > 0 { verified++ }
        END { exit !(NR > 1 && verified == NR - 1) }' $work/rows; then
        report ok "$promise"
    else
        sed 's/^/# /' $work/log $work/rows
        report "not ok" "$promise"
    fi
}

# Blocks of which little is written would take all memory in pages of 2 MiB.
echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
export CMOCKA_MESSAGE_OUTPUT=TAP
holds "this is another architecture" test "$(uname -m)" = aarch64
suites

export NUMA_ALLOC_POLICY=bind:1
for cpu in 0 2; do
    verified "latency from cpu $cpu to node 1" \
        taskset -c $cpu env LD_PRELOAD=$library bench/latency --size 4M --max-samples 2 --min-sample-ms 20
    verified "bandwidth from cpu $cpu to node 1" \
        taskset -c $cpu env LD_PRELOAD=$library bench/bandwidth --size 4M --max-samples 2 --min-sample-ms 20
done
verified "latency by hand to node 1" taskset -c 0 bench/latency --node 1 --size 4M --max-samples 2 --min-sample-ms 20
verified "every kernel in every instruction set by hand to node 1" bench/bandwidth --node 1 --kernels all --isa all \
    --size 1M --max-samples 1 --min-sample-ms 1
verified "every order, chains and sizes of latency by hand to node 1" bench/latency --node 1 --group 4K --stride 64,4K \
    --chains 1,16 --size 1M --max-samples 1 --min-sample-ms 1
verified "the curve of latency by hand to node 1" bench/latency --node 1 --curve --size 256K --max-samples 1 --min-sample-ms 1
verified "hand-overs homed on node 1" bench/core2core --node 1 --max-samples 1 --min-sample-ms 1
verified "pages got on node 1" bench/faults --nodes 1 --variants write,populate --size 2M --max-samples 1 --min-sample-ms 1
verified "pages moved from node 0 to 1" bench/migrate --from 0 --to 1 --no-latency --size 2M --max-samples 1 --min-sample-ms 1
verified "loaded latency in mixed traffic, by hand to node 1" bench/loaded --cpu 0 --node 1 --mix 2:1 --size 1M \
    --max-samples 1 --min-sample-ms 5
holds "preflight judges this machine" bench/preflight --watch-ms 10
holds "benchmark says that all its pages are on node 1" bash -c \
    "LD_PRELOAD=$library taskset -c 0 bench/benchmark </dev/null | grep -E '^pages: +N1=[0-9]+ '"
holds "allocs runs every workload" env LD_PRELOAD=$library bench/allocs --operations 20000 --csv
holds "numa_run runs a program" alloc/numa_run --policy interleave:all --cpu-nodes 1 -- /bin/true
exit "$failed"
