#!/usr/bin/env bats
# harness/run_matrix.sh ... -- COMMAND: what a command of the user's is given, and what is made of it.
# With the real allocator. Each test is a subshell of its own, so what it exports is meant to end with it.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/project" # a path with a space cannot be preloaded
    cp "$ROOT/alloc/numa_alloc.so" "$PROJECT/alloc/"
}

setup() {
    enter_test_folder
    # A node whose memory this process may use and CPU 0's, which a container may number as it likes.
    node=$(sed -nE 's/^Mems_allowed_list:\t([0-9]+).*/\1/p' /proc/self/status)
}

# $@: options and the command, swept in one cell in one round.
command_sweep() {
    sweep --cpus 0 --policies "bind:$node" --rounds 1 --extra-rounds 0 --no-sentinel --no-pictures --out "$out" "$@"
}

# The file that its only run left.
left() {
    find "$out/cells" -name "round1.*.$1"
}

# $1: metric.
value_of() {
    awk -F , -v metric="$1" '$6 == metric { print $17 }' "$out/samples.csv"
}

@test "a command's time, memory and faults are recorded, with what it prints" {
    run --separate-stderr command_sweep --metric 'tps=tps = ([0-9.]+):1/s' --metric 'lag=lag ([0-9]+):ms:higher' -- \
        sh -c 'echo tps = 12.5; echo lag 3 lag 4 >&2; exec sleep 0.01'
    [ "$status" -eq 0 ]
    [ "$(tail -n +2 "$out/samples.csv" | awk -F , '{ print $5, $6, $7, $22 }' | sort)" = "sh lag ms higher
sh lag ms higher
sh major_faults faults lower
sh minor_faults faults lower
sh peak_memory B lower
sh system_time s lower
sh tps 1/s higher
sh user_time s lower
sh wall_time s lower" ]
    [ "$(value_of tps)" = 12.5 ]
    [ "$(value_of lag | paste -s -d ' ')" = "3.0 4.0" ]
    [ "$(value_of peak_memory | cut -d . -f 1)" -gt 100000 ]
    [ "$(value_of minor_faults | cut -d . -f 1)" -gt 10 ]
    awk -v wall="$(value_of wall_time)" 'BEGIN { exit !(wall >= 0.01) }'
    [[ $output = *"sh, wall time in "*"sh, tps in 1/s, higher is better"*" 12.5 "* ]]
    [ "$(columns "$out/samples.csv" variant | sort -u | paste -s -d ,)" = command,variant ]
}

@test "a command runs in the folder the sweep began in, with the caller's environment and an empty standard input" {
    echo here >a_file
    export MINE='a  word'
    run command_sweep -- sh -c 'pwd; cat a_file; echo "$MINE"; cat; echo "end"'
    [ "$status" -eq 0 ]
    [ "$(cat "$(left out)")" = "$PWD"$'\nhere\na  word\nend' ]
}

@test "it is pinned, and its heap is placed and checked by the allocator's own statistics" {
    run --separate-stderr command_sweep -- /usr/bin/python3 -c 'import os
print(sorted(os.sched_getaffinity(0)), os.environ["NUMA_ALLOC_POLICY"])
words = [str(i) * 100 for i in range(20000)]'
    [ "$status" -eq 0 ]
    [ "$(cat "$(left out)")" = "[0] bind:$node" ]
    placement=$(columns "$out/samples.csv" placement | tail -n +2 | sort -u)
    [ "$placement" = verified ] || { [ "$placement" = unverified ] && ! numactl --membind="$node" true; }
    pages=$(columns "$out/samples.csv" pages_on_nodes | tail -n 1)
    [[ $pages =~ N$node=([0-9]+) ]]
    [ "${BASH_REMATCH[1]}" -gt 500 ]
    [ -z "$(left stats)" ] # added up
}

@test "words in braces stand for the cell's, in the command, its setup and its teardown" {
    run command_sweep --sizes 64k --threads 1 --pages thp --setup 'echo setup {cpu} {round} >>log' --teardown 'echo teardown {policy} >>log' -- \
        echo '{cpu} {cpus} {cpu_node} {mem_node} {policy} {allocator} {pages} {threads} {size} {size_bytes} {round} {other} {}'
    [ "$status" -eq 0 ]
    [[ $(cat "$(left out)") =~ ^"0 0 "[0-9]+" $node bind:$node numa_alloc thp 1 64k 65536 1 {other} {}"$ ]]
    [ "$(cat log)" = $'setup 0 1\nteardown bind:'"$node" ]
}

@test "with {place} somewhere, what follows it is pinned and placed, and nothing else" {
    run command_sweep --setup '{place} sh -c "taskset -cp \$\$; env" >server' -- sh -c 'taskset -cp $$; env'
    [ "$status" -eq 0 ]
    grep -q 'affinity list: 0$' server
    grep -q "^NUMA_ALLOC_POLICY=bind:$node$" server
    grep -q '^LD_PRELOAD=.*numa_alloc.so$' server
    run ! grep -E '^(NUMA_ALLOC_|LD_PRELOAD=)' "$(left out)"
    [ "$(grep affinity "$(left out)" | sed 's/.*: //')" = "$(taskset -cp $$ | sed 's/.*: //')" ]
}

@test "setup, command and teardown follow each other, each run anew; what is left running is ended" {
    run command_sweep --rounds 2 --setup 'echo setup >>log; sleep 1000 & echo $! >>left' --teardown 'echo teardown >>log; exec sleep 0' -- \
        sh -c 'echo command >>log; sleep 1000 & echo $! >>left'
    [ "$status" -eq 0 ]
    [ "$(paste -s -d ' ' log)" = "setup command teardown setup command teardown" ]
    [ "$(wc -l <left)" -eq 4 ]
    while read -r process; do run ! kill -0 "$process"; done <left
}

@test "a setup that fails: the command is not run, the teardown is" {
    run --separate-stderr command_sweep --setup 'echo no database >&2; exit 3' --teardown 'echo teardown >>log' -- sh -c 'echo command >>log'
    [ "$status" -eq 1 ]
    [ "$(cat log)" = teardown ]
    [[ $stderr = *"setup: exit status 3: no database"* ]]
    [[ $(grep -c ',failed,' "$out/matrix.csv") -ge 1 ]]
}

@test "a teardown that fails fails the cell" {
    run --separate-stderr command_sweep --teardown 'exit 4' -- true
    [ "$status" -eq 1 ]
    [[ $stderr = *"teardown: exit status 4"* ]]
}

@test "a command that fails, is killed or takes too long is a failed cell with what it said kept" {
    cp -r "$PROJECT" copy
    cat >prog <<'END'
#!/bin/sh
echo "output of $1"
echo "errors of $1" >&2
case $1 in
    1) exit 7 ;;
    2) kill -KILL $$ ;;
    3) trap '' TERM; sleep 1000; sleep 1000 ;;
esac
END
    chmod +x prog
    run --separate-stderr sweep --cpus 0 --policies "bind:$node,local,none" --rounds 1 --extra-rounds 0 --no-sentinel --no-pictures --timeout 1 \
        --out "$out" -- sh -c 'case {policy} in bind*) exec ./prog 1;; local) exec ./prog 2;; *) exec ./prog 3;; esac'
    [ "$status" -eq 1 ]
    [[ $stderr = *"exit status 7: errors of 1"* ]]
    [[ $stderr = *"killed by signal 9: errors of 2"* ]]
    [[ $stderr = *"ran past the time limit (--timeout)"* ]]
    [ "$(cat "$out"/cells/round1.sh.*.out | sort)" = $'output of 1\noutput of 2\noutput of 3' ]
    [ "$(grep -c ',failed,' "$out/matrix.csv")" -ge 3 ]
    [ "$(wc -l <"$out/samples.csv")" -eq 1 ]
}

@test "a metric that matches nothing stops the sweep at its first run, and another reads what that printed" {
    run --separate-stderr command_sweep --rounds 2 --metric 'tps=tps = ([0-9.]+):1/s' -- sh -c 'echo run >>log; echo tps: 3'
    [ "$status" -eq 1 ]
    [[ $stderr = *"metric tps: 'tps = ([0-9.]+)' matches nothing it printed (it is in $out/cells/"*"; mend it with: harness/run_matrix.sh --resume "*"--metric"* ]]
    [ "$(wc -l <log)" -eq 1 ]
    [ -e "$out/UNFINISHED" ]
    run sweep --resume "$out" --metric 'tps=tps: ([0-9.]+):1/s'
    [ "$status" -eq 0 ]
    [ "$(wc -l <log)" -eq 2 ]
    [ "$(value_of tps | paste -s -d ' ')" = "3.0 3.0" ]
    [ ! -e "$out/UNFINISHED" ]
}

@test "a metric without a number fails the run and says what was there" {
    run --separate-stderr command_sweep --metric 'tps=tps = (.*):1/s' -- echo tps = fast
    [ "$status" -eq 1 ]
    [[ $stderr = *"metric tps: 'fast' is not a number"* ]]
}

@test "a command that is not there is one line, before anything is made" {
    touch not_executable
    while IFS='|' read -r command words; do
        run --separate-stderr command_sweep -- "$command"
        one_line_and 2
        [[ $stderr = *"$words" ]] || { echo "$stderr" && return 1; }
        [ ! -e "$out" ]
    done <<'END'
no_such_program|no_such_program: no such command on PATH (in this folder? then ./no_such_program)
not_executable|not_executable: no such command on PATH (in this folder? then ./not_executable)
./not_executable|./not_executable: no such command
/nowhere/at/all|/nowhere/at/all: no such command
END
}

@test "--name is its name in the data" {
    run command_sweep --name my-db -- true
    [ "$status" -eq 0 ]
    [ "$(columns "$out/samples.csv" bench | sort -u | paste -s -d ,)" = bench,my-db ]
    [ -e "$out/cells/round1.my-db.cpu0.node$node.run" ]
}

@test "other allocators are preloaded and placed by numactl" {
    numactl --membind="$node" true || skip "numactl cannot bind memory here"
    echo 'const char *who(void) { return "mine"; }' | gcc -shared -fPIC -x c -o libmine.so -
    run sweep --cpus 0 --policies "bind:$node" --allocators glibc,mine="$PWD/libmine.so" --rounds 1 --extra-rounds 0 --no-sentinel \
        --no-pictures --out "$out" -- sh -c 'echo "$LD_PRELOAD"; numactl --show; env | grep ^NUMA_ALLOC || true'
    [ "$status" -eq 0 ]
    for allocator in glibc mine; do grep -q "^membind: $node *$" "$out/cells/round1.sh.cpu0.node$node.$allocator.out"; done
    [ -z "$(head -n 1 "$out/cells/round1.sh.cpu0.node$node.glibc.out")" ]
    [ "$(head -n 1 "$out/cells/round1.sh.cpu0.node$node.mine.out")" = "$PWD/libmine.so" ]
    run ! grep NUMA_ALLOC "$out"/cells/*.out
    [ "$(columns "$out/samples.csv" placement | tail -n +2 | sort -u)" = unverified ]
}

@test "a plan file's command is swept; --json-progress says its figures" {
    printf 'rounds = 1\nno-sentinel\ncpus = 0\npolicies = bind:%s\nmetric = n=n=([0-9]+):points:higher\ncommand = printf "n=%%s\\n" 17\n' "$node" >a.plan
    run --separate-stderr sweep --plan a.plan --json-progress --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    /usr/bin/python3 -c 'import json, sys
events = [json.loads(line) for line in sys.stdin]
[run] = [event for event in events if event["event"] == "run"]
figures = {figure["metric"]: (figure["median"], figure["unit"]) for figure in run["medians"]}
assert figures["n"] == (17, "points") and figures["wall_time"][1] == "s", figures' <<<"$output"
}

@test "a project whose path cannot be preloaded is one line" {
    cp -r "$PROJECT" "a project"
    PROJECT="$PWD/a project" run --separate-stderr command_sweep -- true
    one_line_and 1
    [[ $stderr = *"numa_alloc.so: a path with a space or colon cannot be preloaded; move or link the project to another" ]]
    [ ! -e "$out" ]
    PROJECT="$PWD/a project" run command_sweep --allocators glibc -- true
    [ "$status" -eq 0 ] || ! numactl --membind="$node" true
}
