#!/usr/bin/env bats
# harness/run_matrix.sh: a sweep of the benchmarks from its beginning to its end, and what keeps it from beginning.
# In a project with a space in its path and stand-ins for the benchmarks; the last test is a real sweep.
# Each test is a subshell of its own, so what it exports is meant to end with it.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/a project"
}

setup() {
    enter_test_folder
}

@test "a sweep leaves the whole run folder and prints the table" {
    run --separate-stderr sweep --cpus 0 --mem-nodes 0 --rounds 2 --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = *"Memory latency in ns"*"90.3 (1.00×)"*"Memory bandwidth in GB/s"*"triad"*"$out/latency.png"*"page: $out/report.html" ]]
    [ "$(cd "$out" && echo *)" = "SHA256SUMS bandwidth.png bandwidth.svg cells drift.png drift.svg environment.json joblog.tsv jobs.txt latency.png latency.svg matrix.csv plan.csv report.html samples.csv samples.png samples.svg sentinel.csv topology.xml verdict.txt" ]
    [ "$(find "$out/cells" -name 'round[12].*.cpu0.node0.*' | sed 's/.*\.//' | sort | uniq -c | tr -s ' ' | paste -s -d ,)" = \
        " 4 err, 4 out, 4 run, 4 sh" ]
    [ "$(find "$out/cells" -name 'sentinel[123].latency.cpu0.node0.run' | wc -l)" -eq 3 ]
    [ "$(wc -l <"$out/samples.csv")" -eq $((1 + 2 * 7 * 5)) ]
    [ "$(wc -l <"$out/sentinel.csv")" -eq $((1 + 3 * 5)) ]
    [ "$(head -n 1 "$out/samples.csv" | cut -d , -f 1-20)" = "$(head -n 1 "$out"/cells/round1.latency.cpu0.node0.out)" ]
    [ "$(columns "$out/sentinel.csv" round | uniq | paste -s -d ,)" = round,1,2,3 ]
    [ "$(columns "$out/samples.csv" better | sort | uniq -c | tr -s ' ' | paste -s -d ,)" = ' 1 better, 60 higher, 10 lower' ]
    grep -q '^a run,'"$(uname -n)"',latency.random.cpu0.node0,.*,90.3,.*,10,0,ok,1.0,verified,' "$out/matrix.csv"
    [ "$(logged "$out")" = "1 2 3 4 5 6 7" ]
}

@test "environment.json says how, where and with what" {
    one_cell --rounds 2 --seed 7 --out "$out"
    /usr/bin/python3 - "$out/environment.json" "$PROJECT" <<'END'
import json, sys
environment = json.load(open(sys.argv[1]))
options = environment["options"]
assert options["out"] == sys.argv[1].removesuffix("/environment.json")
assert (options["rounds"], options["seed"], options["bench"], options["cpus"]) == (2, 7, "latency", "0")
for name in "policies allocators pages threads sizes extra_rounds max_samples min_sample_ms timeout command metric".split():
    assert name in options, name
assert "gcc" in environment["versions"]["compiler"] and environment["versions"]["libc"]
for key in ("cpu_model", "kernel", "topology", "transparent_hugepages", "numa_balancing", "governor", "smt", "cgroup",
            "versions", "git_revision", "started_at", "preflight", "directory"):
    assert key in environment, key
assert [path.removeprefix(sys.argv[2] + "/") for path in environment["programs"]] == ["alloc/numa_alloc.so", "bench/latency"]
END
}

@test "a random seed is recorded" {
    one_cell --out "$out"
    /usr/bin/python3 -c 'import json, sys
assert isinstance(json.load(open(sys.argv[1]))["options"]["seed"], int)' "$out/environment.json"
}

@test "without --out the run is results/<UTC time>-<host>" {
    one_cell
    run ls "$PROJECT/results"
    [[ $output =~ ^[0-9]{8}T[0-9]{6}Z-"$(uname -n)"$ ]]
    [ ! -e "$PROJECT/results/$output/latency.png" ]
    [ ! -e "$PROJECT/results/$output/UNFINISHED" ]
}

@test "--host-name is recorded instead of the machine's, --samples-only stops there and needs no numpy" {
    mkdir none
    echo 'raise ImportError("not here")' >none/numpy.py
    PYTHONPATH="$PWD/none" run --separate-stderr one_cell --host-name db7 --samples-only --out "$out"
    [ "$status" -eq 0 ]
    [ "$(columns "$out/samples.csv" host | sort -u | paste -s -d ,)" = db7,host ]
    grep -q '"host": "db7"' "$out/environment.json"
    [ ! -e "$out/matrix.csv" ]
    [ ! -e "$out/UNFINISHED" ]
    run one_cell --samples-only --json-progress --out "$out 2"
    [ "${lines[-1]}" = '{"event": "finished", "folder": "'"$out"' 2", "status": 0, "failed": 0}' ]
}

@test "matrix.csv says what was skipped and why; no row without CPUs, no column without memory" {
    make_machine m 0:0-0:100 1:1-1:100 2::100 3:2-2:0
    printf 'Cpus_allowed_list:\t0\nMems_allowed_list:\t0,2\n' >m/proc/self/status
    HWLOC_FSROOT="$PWD/m" HWLOC_THISSYSTEM=1 run --separate-stderr \
        sweep --bench latency --rounds 1 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"skipping cells: the memory of node 1 is not allowed to this process"* ]]
    columns "$out/matrix.csv" cpu_node mem_node status reason | tail -n +2 | sort >cells
    diff cells - <<END
0,0,ok,
0,1,skipped,the memory of node 1 is not allowed to this process
0,2,ok,
1,0,skipped,no CPU of node 1 is allowed to this process
1,1,skipped,no CPU of node 1 is allowed to this process
1,2,skipped,no CPU of node 1 is allowed to this process
3,0,skipped,no CPU of node 3 is allowed to this process
3,1,skipped,no CPU of node 3 is allowed to this process
3,2,skipped,no CPU of node 3 is allowed to this process
END
}

@test "one round of enough samples is ok, and samples and their time are passed on" {
    run --separate-stderr one_cell --max-samples 7 --min-sample-ms=20 --out "$out"
    [ "$status" -eq 0 ]
    [ "$(columns "$out/matrix.csv" samples status rounds | tail -n 1)" = 5,ok,1 ]
    grep -q -- 'bench/latency --csv --max-samples 7 --min-sample-ms 20$' "$out/cells/round1.latency.cpu0.node0.sh"
}

@test "a cell's script runs it again by hand" {
    one_cell --out "$out"
    cp "$out/cells/round1.latency.cpu0.node0.out" before
    rm "$out/cells/round1.latency.cpu0.node0.run"
    sh "$out/cells/round1.latency.cpu0.node0.sh"
    cmp before "$out/cells/round1.latency.cpu0.node0.out"
    [ -s "$out/cells/round1.latency.cpu0.node0.run" ]
}

@test "a failing bench is a failed cell with its output kept, not the end of the sweep" {
    BENCH_FAIL=latency run --separate-stderr sweep --cpus 0 --mem-nodes 0 --rounds 2 --no-pictures --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"latency on cpu0.node0 failed: rounds 1-2: exit status 1: latency: this one fails"* ]]
    [ "$(cat "$out/cells/round2.latency.cpu0.node0.err")" = "latency: this one fails" ]
    [ "$(grep -c ',failed,' "$out/matrix.csv")" -eq 1 ]
    [ "$(grep -c '^a run,.*,bandwidth,.*,ok,' "$out/matrix.csv")" -eq 6 ]
    [ ! -e "$out/UNFINISHED" ]
}

@test "a sentinel that fails is said, and is no cell" {
    two_memories
    cp -r "$PROJECT" copy # it fails in its first run, which is the sentinel's
    sed -i "2i [ -e '$PWD/begun' ] || { touch '$PWD/begun'; echo 'not yet' >\&2; exit 1; }" copy/bench/latency
    PROJECT="$PWD/copy" run --separate-stderr sweep --bench latency --rounds 1 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"sentinel 1, latency, CPU 0 of node 0, memory node 0, failed: exit status 1: not yet"* ]]
    [ "$(columns "$out/matrix.csv" status | paste -s -d ,)" = status,ok,ok ]
}

@test "a bench past the time limit is a failed cell" {
    BENCH_SLEEP=30 run --separate-stderr one_cell --timeout 1 --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"time limit"* ]]
    grep -q ',failed,.*time limit' "$out/matrix.csv"
}

@test "a bench that ran with another allocator is a failed cell" {
    BENCH_ALLOCATOR=glibc run --separate-stderr one_cell --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"allocator is glibc, not numa_alloc as asked"* ]]
}

@test "misplaced pages are said, and give no penalty" {
    BENCH_PLACEMENT=failed BENCH_PLACED=0.5 run --separate-stderr one_cell --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"1 cell misplaced"* ]]
    [[ $output = *"misplaced: 1 of 1 cell had pages elsewhere"*"latency.random.cpu0.node0 (50 % in place)"* ]]
    grep -q '^misplaced: 1 of 1' "$out/verdict.txt"
    grep -q ',misplaced,,failed,0.5,' "$out/matrix.csv"
}

@test "the caller's settings of the library do not reach the commands" {
    for name in $(grep -oE '"NUMA_ALLOC_[A-Z_]+"' "$ROOT/alloc/config.c" | tr -d '"'); do export "$name=nonsense"; done
    [ "$NUMA_ALLOC_PAGES" = nonsense ]
    cp -r "$PROJECT" copy
    cat >copy/bench/latency <<'END'
#!/bin/bash
env | grep ^NUMA_ALLOC_ | sort >&2
exit 1
END
    PROJECT="$PWD/copy" run one_cell --out "$out"
    [ "$(cat "$out/cells/round1.latency.cpu0.node0.err")" = NUMA_ALLOC_POLICY=bind:0 ]
}

@test "settings of GNU parallel's do not reach the sweep, and its citation notice never comes" {
    mkdir -p home/.parallel
    echo '--dry-run' >home/.parallel/config
    HOME="$PWD/home" PARALLEL='--jobs 4 --dry-run' run --separate-stderr one_cell --out "$out"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$out/samples.csv")" -eq 6 ]
    rm -r home && mkdir home
    for home in "$PWD/home" /nonexistent; do
        rm -rf "$out"
        HOME=$home run one_cell --out "$out"
        [ "$status" -eq 0 ]
        [[ $output != *[Cc]it[ae]* && $output != *parallel* ]]
    done
}

@test "files of the folder it is called in do not stand in for its modules" {
    for module in csv numpy random statistics numa_report; do echo 'raise SystemExit(9)' >$module.py; done
    ln -s "$PROJECT/harness/run_matrix.sh" sweep
    run --separate-stderr ./sweep --wait --cpus 0 --bench latency --rounds 1 --out "$out"
    [ "$status" -eq 0 ]
}

# What is said while it runs.

@test "where standard error is no terminal, nothing is said but what will be done" {
    two_memories
    run --separate-stderr sweep --bench latency --rounds 2 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    one_line_and 0
    [[ $stderr =~ ^"run_matrix.sh: 7 runs to do (2 cells, 2 rounds), roughly "[0-9]+" to "[0-9]+" s, into $out"$ ]]
}

@test "--json-progress is an object a line on standard output, and nothing else there" {
    two_memories
    BENCH_FAIL=bandwidth run --separate-stderr sweep --rounds 1 --json-progress --out "$out"
    [ "$status" -eq 1 ]
    /usr/bin/python3 -c 'import json, sys
events = [json.loads(line) for line in sys.stdin]
assert all(type(event) is dict for event in events)
assert [event["event"] for event in events] == ["plan", *6 * ["run"], "finished"], events
plan, *runs, last = events
assert plan["folder"] == sys.argv[1] and plan["runs"] == 6 and plan["cells"] == 4, plan
assert [run["number"] for run in runs] == [1, 2, 3, 4, 5, 6]
assert sum(run["status"] == "failed" for run in runs) == 2
assert all("this one fails" in run["reason"] for run in runs if run["status"] == "failed")
assert all(run["medians"][0]["unit"] == "ns" for run in runs if run["status"] == "ok")
assert last["status"] == 1 and last["failed"] == 12 and last["verdict"], last' "$out" <<<"$output"
    [ -s "$out/latency.png" ]
}

@test "on a terminal there is a bar, and a line a run with the median so far" {
    two_memories
    export -f sweep
    SHELL=/bin/bash run script -qec "sweep --bench latency --rounds 1 --no-pictures --out '$out'" /dev/null </dev/null
    [ "$status" -eq 0 ]
    [[ $output = *"[2/4] latency, CPU 0 of node 0, memory node "*": 90.3 ns"* ]]
    [[ $output = *"[1/4] sentinel, latency, CPU 0 of node 0, memory node 0: 90.3 ns"* ]]
    [[ $output = *"100%"* ]]
    [[ $output != *[Cc]it[ae]* ]]
}

@test "the pre-flight's warnings are printed and kept" {
    cp -r "$PROJECT" copy
    cat >copy/bench/preflight <<'END'
#!/bin/sh
echo '{"checks": [{"name": "governor", "level": "warn", "value": "powersave", "meaning": "It is slow.", "do": "Ask for performance."},'
echo ' {"name": "load", "level": "ok", "value": "0", "meaning": "Nothing.", "do": ""}]}'
END
    chmod +x copy/bench/preflight
    PROJECT="$PWD/copy" run --separate-stderr one_cell --out "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"warning: governor: powersave. It is slow. Ask for performance."* ]]
    [[ $stderr != *load* ]]
    grep -q '"value": "powersave"' "$out/environment.json"
}

# Further rounds.

@test "cells whose rounds disagree get further rounds, until they agree" {
    two_memories
    printf '100\n200\n100\n' >values.node2
    BENCH_VALUES="$PWD/values" run --separate-stderr sweep --bench latency --extra-rounds 30 --no-pictures --json-progress --out "$out"
    [ "$status" -eq 0 ]
    rounds=$(columns "$out/matrix.csv" rounds | tail -n 1)
    [ "$rounds" -gt 3 ] && [ "$rounds" -lt 33 ]
    [ "$(columns "$out/matrix.csv" mem_node rounds status | tail -n 2)" = $'0,3,ok\n2,'"$rounds"',ok' ]
    [ "$(cut -d , -f 2,3,5 "$out/plan.csv" | grep ^extra)" = "$(seq -f extra,%g,cpu0.node2 4 "$rounds")" ]
    [[ $output = *'"event": "extra_round", "round": 4, "cells": [["latency", "cpu0.node2"]]'* ]]
    [ "$(grep -c '"extra_round"' <<<"$output")" -eq $((rounds - 3)) ]
    [ "$(sample_counts "$out")" = "$(for cell in 0:3 2:"$rounds"; do
        seq -f "latency.random.cpu0.node${cell%:*} %g 5" "${cell#*:}"
    done)" ]
}

@test "cells that go on to disagree are noisy after --extra-rounds" {
    two_memories
    seq 100 100 900 >values.node2
    BENCH_VALUES="$PWD/values" run --separate-stderr sweep --bench latency --extra-rounds 2 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    [ "$(columns "$out/matrix.csv" mem_node rounds status | tail -n 2)" = $'0,3,ok\n2,5,noisy' ]
    seq 100 100 900 >values.node2
    BENCH_VALUES="$PWD/values" run --separate-stderr sweep --bench latency --extra-rounds 0 --no-pictures --out "$out 2"
    [ "$(columns "$out 2/matrix.csv" rounds | paste -s -d ,)" = rounds,3,3 ]
}

# One at a time.

@test "two sweeps of one folder: one runs, the other leaves it alone" {
    local pids=() statuses=()
    export BENCH_SLEEP=0.5
    for i in 1 2; do
        begin_sweep --cpus 0 --mem-nodes 0 --rounds 1 --no-sentinel --no-pictures --out "$out" 2>"stderr$i" >"stdout$i"
        pids[i]=$!
    done
    for i in 1 2; do statuses[i]=0 && wait "${pids[i]}" || statuses[i]=$?; done
    [[ "${statuses[*]}" =~ ^(0\ [12]|[12]\ 0)$ ]]
    grep -qE 'another sweep is running|is not empty' stderr1 stderr2
    [ "$(logged "$out")" = "1 2" ]
    [ "$(wc -l <"$out/samples.csv")" -eq $((1 + 7 * 5)) ]
}

@test "a locked folder is refused before anything is written to it" {
    mkdir "$out"
    run --separate-stderr flock "$out" "$PROJECT/harness/run_matrix.sh" --wait --cpus 0 --out "$out"
    one_line_and 1
    [[ $stderr = *"another sweep is running in $out" ]]
    [ -z "$(ls -A "$out")" ]
}

@test "while one sweep measures on the machine another is refused, or waits with --wait" {
    BENCH_SLEEP=60 begin_sweep "${smallest[@]}" --out first
    first=$!
    until_true test -e first/UNFINISHED # so it has the machine
    run --separate-stderr "$PROJECT/harness/run_matrix.sh" --cpus 0 --bench latency --out second
    one_line_and 1
    [[ $stderr =~ "another sweep is measuring on this machine (process "[0-9]+", in $PWD/first, since "[0-9TZ:-]+"); --wait waits for its end"$ ]]
    [ ! -e second ]
    begin_sweep "${smallest[@]}" --out third 2>third.err
    third=$!
    until_true grep -q "waiting for another sweep on this machine (process [0-9]*, in $PWD/first, since " third.err
    [ ! -e third ]
    begin_sweep "${smallest[@]}" --out fourth 2>fourth.err
    fourth=$!
    until_true grep -q "waiting for another sweep" fourth.err
    kill -INT $fourth
    ends_with 130 $fourth
    [ ! -e fourth ]
    kill -TERM $first
    ends_with 143 $first
    wait $third
    [ -s third/matrix.csv ]
}

@test "two sweeps without --out begun in one second have a folder each" {
    local pids=()
    cp -r "$PROJECT" copy && rm -rf copy/results
    PROJECT="$PWD/copy"
    for i in 1 2 3; do
        begin_sweep "${smallest[@]}"
        pids[i]=$!
    done
    for i in 1 2 3; do wait "${pids[i]}"; done
    [ "$(find copy/results -name matrix.csv | wc -l)" -eq 3 ]
}

# What keeps it from beginning.

@test "a run folder that cannot be made is one line" {
    run --separate-stderr sweep --cpus 0 --out /proc/here
    one_line_and 1
    [[ $stderr = *"/proc/here"* ]]
}

@test "a folder that is not empty is refused, and left as it was" {
    mkdir "$out" && touch "$out/mine"
    run --separate-stderr sweep --out "$out"
    one_line_and 2
    [[ $stderr = *"is not empty"* ]]
    [ "$(ls "$out")" = mine ]
}

@test "a missing tool is one line naming it and setup.sh" {
    mkdir bin
    for tool in bash env dirname readlink uname flock; do ln -s "$(command -v $tool)" bin/; done
    missing() { # $1: words expected, the rest: options
        local words=$1
        shift
        run --separate-stderr env "PATH=$PWD/bin" "$PROJECT/harness/run_matrix.sh" --wait --out "$out" "$@"
        one_line_and 1
        [[ $stderr = *"$words"*"harness/setup.sh"* ]]
        [ ! -e "$out" ]
    }
    missing "parallel is missing"
    ln -s "$(type -P true)" bin/parallel
    missing "taskset is missing"
    ln -s "$(type -P taskset)" bin/
    missing "numactl is missing" --allocators glibc
    missing "not GNU parallel"
}

@test "an allocator, a bench or run_cell that is not built is one line naming it and make" {
    mkdir -p unbuilt && cp -r "$PROJECT"/harness unbuilt/
    rm unbuilt/harness/run_cell
    mkdir unbuilt/alloc
    PROJECT="$PWD/unbuilt"
    for missing in alloc/numa_alloc.so harness/run_cell bench/bandwidth; do
        run --separate-stderr sweep --bench bandwidth --out "$out"
        one_line_and 1
        [[ $stderr = *"$missing is not built: run make" ]]
        mkdir -p "unbuilt/${missing%/*}" && touch "unbuilt/$missing"
    done
}

@test "a library for --allocators that is not there is one line" {
    run --separate-stderr sweep --cpus 0 --allocators mine=/nowhere/libmine.so --out "$out"
    one_line_and 2
    [[ $stderr = *"--allocators: mine: no such file: /nowhere/libmine.so" ]]
    [ ! -e "$out" ]
}

@test "a preparation that fails or is refused leaves nothing" {
    run --separate-stderr sweep --cpus 9999 --out new/er/folder
    one_line_and 2
    [ -z "$(ls -A)" ]
    mkdir mine
    run --separate-stderr sweep --cpus 9999 --out mine
    one_line_and 2
    [ -d mine ]
    [ -z "$(ls -A mine)" ]
    # Like a file system that is full after some bytes.
    run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 4; exec "$@"' - "$PROJECT/harness/run_matrix.sh" --wait --cpus 0 --rounds 100 --out full
    one_line_and 1
    [[ $stderr = *"$PWD/full/"*": File too large" ]]
    [ "$(ls -A)" = mine ]
}

@test "a preparation that is interrupted leaves nothing" {
    cp -r "$PROJECT" copy
    printf '#!/bin/sh\ntouch "%s"/asked\nsleep 0.5\n' "$PWD" >copy/bench/preflight
    chmod +x copy/bench/preflight
    PROJECT="$PWD/copy" begin_sweep --cpus 0 --out new/folder
    sweep=$!
    until_true test -e asked
    kill -TERM $sweep
    ends_with 143 $sweep
    [ ! -e new ]
}

@test "a real sweep, small: every cell is measured, and placed where the kernel says" {
    run --separate-stderr "$ROOT/harness/run_matrix.sh" --wait --sizes 4M --rounds 1 --no-sentinel --out "$out"
    [ "$status" -eq 0 ]
    [ -s "$out/latency.png" ]
    [ -s "$out/bandwidth.svg" ]
    columns "$out/matrix.csv" status placement >statuses
    [ "$(wc -l <statuses)" -ge 8 ]
    run ! grep -vE '^(status,placement|(ok|noisy),(verified|unverified)|skipped,)$' statuses
}
