#!/usr/bin/env bats
# harness/run_matrix.sh --resume, after whatever ends a sweep early: nothing is lost, nothing is done twice, and another
# plan, machine or build is refused. In a project with a space in its path and stand-ins for the benchmarks.
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

# A sweep of six runs: two cells in three rounds.
six_runs() {
    sweep --cpus 0 --mem-nodes 0 --no-sentinel --no-pictures --out "$out"
}

begin_six_runs() {
    begin_sweep --cpus 0 --mem-nodes 0 --no-sentinel --no-pictures --out "$out"
}

# What a whole sweep of six runs has left.
six_runs_are_whole() {
    [ "$(logged "$out")" = "1 2 3 4 5 6" ]
    [ "$(sample_counts "$out" | wc -l)" -eq 21 ] # seven figures in three rounds
    [ "$(sample_counts "$out" | cut -d ' ' -f 3 | sort -u)" = 5 ]
    [ "$(find "$out/cells" -name '*.run' | wc -l)" -eq 6 ]
    [ "$(columns "$out/matrix.csv" rounds | sort | uniq -c | tr -s ' ')" = $' 7 3\n 1 rounds' ]
    [ -z "$(find "$out" -name '*.tmp' -o -name UNFINISHED -o -name '*.stats')" ]
}

# Waits until the sweep has done $1 runs.
until_done() {
    until_true enough_done "$1"
}

enough_done() {
    [ "$(find "$out/cells" -name '*.run' 2>/dev/null | wc -l)" -ge "$1" ]
}

# The processes that descend from $1, itself not.
descendants() {
    local children child
    children=$(cat "/proc/$1/task/"*/children 2>/dev/null) || return 0
    for child in $children; do
        echo "$child"
        descendants "$child"
    done
}

all_gone() {
    local process
    for process in "$@"; do
        [ ! -e "/proc/$process/cmdline" ] || [ -z "$(tr -d '\0' <"/proc/$process/cmdline" 2>/dev/null)" ] || return 1
    done
}

@test "resume runs again what failed or is damaged, and no old picture stays" {
    BENCH_FAIL=latency run sweep --cpus 0 --mem-nodes 0 --no-sentinel --rounds 2 --out "$out"
    [ "$status" -eq 1 ]
    [ -s "$out/bandwidth.png" ]
    truncate -s -9 "$out/cells/round2.bandwidth.cpu0.node0.out"
    run --separate-stderr sweep --resume "$out" --no-pictures
    [ "$status" -eq 0 ]
    [[ $stderr = *"3 runs to do"* ]]
    [ "$(columns "$out/matrix.csv" status | sort | uniq -c | tr -s ' ')" = $' 7 ok\n 1 status' ]
    [ -z "$(find "$out" -name '*.png' -o -name '*.svg')" ]
}

@test "resume runs again exactly what was deleted" {
    six_runs
    cp "$out/plan.csv" plan.csv && cp "$out/matrix.csv" matrix.csv
    rm "$out/cells/round1.latency.cpu0.node0.run" "$out/cells/round2.latency.cpu0.node0.out" "$out/joblog.tsv"
    echo '{' >"$out/cells/round3.bandwidth.cpu0.node0.run"
    find "$out/cells" -type f -exec touch -d '2001-01-01' {} +
    run --separate-stderr sweep --resume "$out" --no-pictures
    [ "$status" -eq 0 ]
    [[ $stderr = *"3 runs to do"* ]]
    [ "$(find "$out/cells" -newermt 2002-01-01 -name '*.run' -printf '%f\n' | sort | paste -s -d ' ')" = \
        "round1.latency.cpu0.node0.run round2.latency.cpu0.node0.run round3.bandwidth.cpu0.node0.run" ]
    six_runs_are_whole
    cmp "$out/plan.csv" plan.csv
    cmp "$out/matrix.csv" matrix.csv
}

@test "resume of a whole sweep runs nothing and says the same" {
    six_runs
    cp "$out/matrix.csv" matrix.csv
    run --separate-stderr sweep --resume "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"0 runs to do"* ]]
    cmp "$out/matrix.csv" matrix.csv
}

@test "resume makes scripts and lists anew" {
    one_cell --max-samples 7 --min-sample-ms=20 --out "$out"
    rm "$out/joblog.tsv" "$out/jobs.txt" "$out/plan.csv" "$out"/cells/*
    sweep --resume "$out"
    grep -q -- 'bench/latency --csv --max-samples 7 --min-sample-ms 20$' "$out/cells/round1.latency.cpu0.node0.sh"
    [ "$(wc -l <"$out/samples.csv")" -eq 6 ]
}

@test "stopped midway by a signal: says how to resume, and resuming gives exactly the plan" {
    for signal in INT:130 TERM:143 HUP:129; do
        rm -rf "$out"
        BENCH_SLEEP=0.2 begin_six_runs 2>stderr
        sweep=$!
        until_done 1
        processes=$(descendants $sweep)
        [ -n "$processes" ]
        grep -q -- '--resume' "$out/UNFINISHED"
        kill -"${signal%:*}" $sweep
        ends_with "${signal#*:}" $sweep
        # shellcheck disable=SC2086
        all_gone $processes
        [ ! -e "$out/matrix.csv" ]
        [ ! -e "$out/samples.csv" ]
        [ -e "$out/UNFINISHED" ]
        grep -q "interrupted; continue with: harness/run_matrix.sh --resume '$out'" stderr
        [ "$(logged "$out" | wc -w)" -lt 6 ]
        cp "$out/plan.csv" plan.csv
        run sweep --resume "$out"
        [ "$status" -eq 0 ]
        six_runs_are_whole
        cmp "$out/plan.csv" plan.csv
    done
}

@test "a folder in which a sweep is running is not resumed, or with --wait after its end" {
    BENCH_SLEEP=60 begin_six_runs
    sweep=$!
    until_true test -e "$out/UNFINISHED"
    run --separate-stderr "$PROJECT/harness/run_matrix.sh" --resume "$out"
    one_line_and 1
    [[ $stderr = *"another sweep is running in $out" ]]
    begin_sweep --resume "$out" 2>resumed.err
    resumed=$!
    until_true grep -q "waiting for another sweep in $out" resumed.err
    kill -TERM $sweep
    ends_with 143 $sweep
    ends_with 0 $resumed
    six_runs_are_whole
}

# $1: what to kill, a part of its command line.
kill_and_resume() {
    local sweep processes victim hit=0
    BENCH_SLEEP=0.2 begin_six_runs 2>stderr
    sweep=$!
    until_done 1
    while [ "$hit" -eq 0 ] && kill -0 $sweep; do # a run may end as it is looked for
        processes=$(descendants $sweep)
        for victim in $processes; do
            if tr '\0' ' ' <"/proc/$victim/cmdline" 2>/dev/null | grep -qE "$1" && kill -KILL "$victim"; then
                hit=1
                break
            fi
        done
    done
    wait $sweep || true
    # shellcheck disable=SC2086
    until_true all_gone $processes
    run sweep --resume "$out"
    [ "$status" -eq 0 ]
    six_runs_are_whole
}

@test "SIGKILL of GNU parallel, then --resume: the whole plan, once" {
    kill_and_resume 'perl [^ ]*/parallel '
    grep -q "continue with: harness/run_matrix.sh --resume" stderr
}

@test "SIGKILL of run_cell, then --resume: the whole plan, once" {
    kill_and_resume '/harness/run_cell '
}

@test "SIGKILL of the command: a failed run, and the sweep goes on; --resume does that run again" {
    kill_and_resume '^/bin/bash bench/'
    grep -q "failed: .*killed by signal 9" stderr
    [ "$(find "$out" -name matrix.csv | wc -l)" -eq 1 ]
}

@test "SIGKILL of the sweep itself: nothing of it goes on; then --resume: the whole plan, once" {
    BENCH_SLEEP=0.2 begin_six_runs
    sweep=$!
    until_done 1
    processes=$(descendants $sweep)
    kill -KILL $sweep
    ends_with 137 $sweep
    # shellcheck disable=SC2086
    until_true all_gone $processes
    [ -e "$out/UNFINISHED" ]
    run sweep --resume "$out"
    [ "$status" -eq 0 ]
    six_runs_are_whole
}

@test "killed at random moments, a sweep that is resumed is whole" {
    run /usr/bin/python3 "$BATS_TEST_DIRNAME/../sweep/kill_and_resume.py" --tries 5 --seed 3 "$PROJECT"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(grep -c '^ok ' <<<"$output")" -eq 5 ]
}

# Further rounds.

@test "further rounds survive a resume, and are not done twice" {
    two_memories
    printf '100\n200\n300\n400\n500\n' >values.node2
    export BENCH_VALUES="$PWD/values"
    begin_sweep --bench latency --extra-rounds 2 --no-pictures --out "$out"
    sweep=$!
    until_true test -e "$out/cells/round4.latency.cpu0.node2.sh"
    kill -TERM $sweep
    wait $sweep || true
    run sweep --resume "$out"
    [ "$status" -eq 0 ]
    [ "$(cut -d , -f 1,2,3 "$out/plan.csv" | grep extra)" = $'11,extra,4\n12,extra,5' ]
    [ "$(columns "$out/matrix.csv" rounds | paste -s -d ,)" = rounds,3,5 ]
    rm "$out/cells/round4.latency.cpu0.node2.run"
    run --separate-stderr sweep --resume "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"1 run to do"* ]]
    [ "$(sample_counts "$out")" = "$(for cell in 0:3 2:5; do seq -f "latency.random.cpu0.node${cell%:*} %g 5" "${cell#*:}"; done)" ]
    [ "$(logged "$out")" = "1 2 3 4 5 6 7 8 9 10 11 12" ]
}

# A full disk, and no permission.

@test "results that cannot be written: one line names the file and the way on, and --resume completes it" {
    # Like a file system that is full after some bytes; samples.csv is the largest file.
    run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 64; exec "$@"' - "$PROJECT/harness/run_matrix.sh" --wait --cpus 0 --mem-nodes 0 \
        --rounds 15 --no-sentinel --no-pictures --out "$out"
    [ "$status" -eq 1 ]
    [ "${stderr_lines[-1]}" = "run_matrix.sh: $out/samples.csv: File too large; continue with: harness/run_matrix.sh --resume '$out'" ]
    [ -e "$out/UNFINISHED" ]
    [ ! -e "$out/samples.csv" ]
    run --separate-stderr sweep --resume "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"0 runs to do"* ]]
    [ "$(sample_counts "$out" | wc -l)" -eq $((15 * 7)) ]
}

@test "a disk that is full midway: one line names the file and the way on, and --resume completes it" {
    mkdir disk
    mount -t tmpfs -o size=256k none disk 2>mount.err || skip "file systems cannot be mounted here: $(head -n 1 mount.err)"
    out="$PWD/disk/run"
    BENCH_SLEEP=0.2 begin_six_runs 2>stderr
    sweep=$!
    until_done 2
    dd if=/dev/zero of=disk/ballast 2>/dev/null || true
    status=0 && wait $sweep || status=$?
    left=$(($(df --output=avail disk | tail -n 1)))
    rm disk/ballast
    mount -o remount,size=4m disk
    resumed=0 && sweep --resume "$out" || resumed=$?
    whole=0 && six_runs_are_whole || whole=$?
    umount disk
    cat stderr
    echo "$left bytes left, status $status, resumed $resumed, whole $whole"
    [ "$left $status $resumed $whole" = "0 1 0 0" ]
    [[ $(tail -n 1 stderr) = "run_matrix.sh: $out/"*": No space left on device; continue with: harness/run_matrix.sh --resume $out" ]]
}

# As somebody whom permissions bind: root is not, but for a process without the capability.
as_bound() {
    if [ "$(id -u)" -eq 0 ]; then
        setpriv --bounding-set=-dac_override,-dac_read_search --inh-caps=-all -- "$@"
    else
        "$@"
    fi
}

@test "without permission to write there is one line that names the folder" {
    mkdir closed
    chmod a-w closed
    ! as_bound touch closed/x 2>why || skip "permissions do not bind here"
    run --separate-stderr as_bound "$PROJECT/harness/run_matrix.sh" --wait "${smallest[@]}" --out closed/run
    one_line_and 1
    [[ $stderr = *"$PWD/closed/run: Permission denied" ]]
    run --separate-stderr as_bound "$PROJECT/harness/run_matrix.sh" --wait "${smallest[@]}" --out closed
    one_line_and 1
    [[ $stderr = *"$PWD/closed/"*": Permission denied" ]]
    [ -z "$(ls -A closed)" ]
    one_cell --out "$out"
    rm "$out/cells/round1.latency.cpu0.node0.run"
    chmod a-w "$out" "$out/cells"
    run --separate-stderr as_bound "$PROJECT/harness/run_matrix.sh" --wait --resume "$out"
    chmod u+w "$out" "$out/cells"
    one_line_and 1
    [[ $stderr = *"$out/"*": Permission denied"* ]]
    run sweep --resume "$out"
    [ "$status" -eq 0 ]
}

# Another plan, machine or build.

@test "options that are the folder's may be given again; others are refused with the difference" {
    one_cell --seed 7 --rounds 2 --sizes 64K --out "$out"
    cp "$out/matrix.csv" matrix.csv
    run --separate-stderr sweep --resume "$out" --rounds 2 --seed 7 --bench latency --sizes 64K
    [ "$status" -eq 0 ]
    while IFS='|' read -r -a words; do
        run --separate-stderr sweep --resume "$out" "${words[@]:1}"
        one_line_and 2
        [[ $stderr = *"--resume: $out has another plan: ${words[0]}"* ]] || { echo "$stderr" && return 1; }
    done <<'END'
--rounds is 2 there, 3 now|--rounds|3
--seed is 7 there, 8 now|--seed|8
--sizes is 64K there, 64K,1M now|--sizes|64K,1M
--policies is bind:@ there, local now|--policies|local
--timeout is not given there, 5 now|--timeout|5
COMMAND is not given there, ['true'] now|--|true
END
    cmp "$out/matrix.csv" matrix.csv
}

@test "another machine is refused with the difference" {
    one_cell --out "$out"
    cp "$out/environment.json" kept.json
    while IFS='|' read -r change words; do
        sed -E "$change" kept.json >"$out/environment.json"
        run ! cmp -s kept.json "$out/environment.json"
        run --separate-stderr sweep --resume "$out"
        one_line_and 2
        [[ $stderr = *"--resume: $out was begun elsewhere or with other programs: $words"* ]] || { echo "$stderr" && return 1; }
    done <<END
s/"host": ".*"/"host": "elsewhere"/|host is elsewhere there, $(uname -n) now
s/"release": ".*"/"release": "2.6.32"/|kernel.release is 2.6.32 there, $(uname -r) now
s/"has_memory": true/"has_memory": false/|topology.nodes[0].has_memory is False there, True now
END
    cp kept.json "$out/environment.json"
    two_memories
    run --separate-stderr sweep --resume "$out"
    one_line_and 2
    [[ $stderr = *"was begun elsewhere or with other programs: topology."* ]]
}

@test "another build is refused with the file named" {
    cp -r "$PROJECT" copy
    PROJECT="$PWD/copy"
    one_cell --out "$out"
    echo '# changed' >>copy/bench/latency
    run --separate-stderr sweep --resume "$out"
    one_line_and 2
    [[ $stderr = *"$PWD/copy/bench/latency is another build" ]]
    sed -i '$d' copy/bench/latency
    gcc -shared -x c -o copy/alloc/numa_alloc.so - <<<'int another;'
    run --separate-stderr sweep --resume "$out"
    one_line_and 2
    [[ $stderr = *"$PWD/copy/alloc/numa_alloc.so is another build" ]]
}

@test "folders that cannot be continued are one line each" {
    run --separate-stderr sweep --resume nowhere
    one_line_and 2
    [[ $stderr = *"no such folder: nowhere" ]]
    run --separate-stderr sweep --resume .
    one_line_and 2
    [[ $stderr = *"is not a sweep's folder"* ]]
    one_cell --seed 1 --out "$out"
    cp "$out/environment.json" kept.json
    for change in 's/"max_samples": null/"max_samples": "few"/' 's/"sizes": null/"sizes": 5/' 's/"sizes": null/"sizes": "-"/' \
        's/"timeout": null/"timeout": -1/' 's/"bench": "latency"/"bench": "stream"/' 's/"options": /"choices": /'; do
        sed "$change" kept.json >"$out/environment.json"
        run --separate-stderr sweep --resume "$out"
        one_line_and 1
        [[ $stderr = *"options are not readable"* ]]
    done
    for text in '' '[]' '{' "$(printf '[%.0s' {1..100000})"; do
        echo "$text" >"$out/environment.json"
        run --separate-stderr sweep --resume "$out"
        one_line_and 1
    done
    cp kept.json "$out/environment.json"
    sed -i 's/,bind:0,/,local,/' "$out/plan.csv"
    run --separate-stderr sweep --resume "$out"
    one_line_and 1
    [[ $stderr = *"plan.csv is not the plan of its options"* ]]
    echo nonsense >"$out/plan.csv"
    run --separate-stderr sweep --resume "$out"
    one_line_and 1
    [[ $stderr = *"plan.csv: "* ]]
    rm "$out/environment.json"
    run --separate-stderr sweep --resume "$out"
    one_line_and 2
    [[ $stderr = *"environment.json"* ]]
}

@test "--metric on resume is a command's only" {
    one_cell --out "$out"
    run --separate-stderr sweep --resume "$out" --metric 'a=b:c'
    one_line_and 2
    [[ $stderr = *"--metric: only with a command"* ]]
    run sweep --resume "$out"
    [ "$status" -eq 0 ]
}
