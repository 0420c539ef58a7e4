#!/usr/bin/env bats
# harness/slurm/ with made-up commands of Slurm, which write down what they are asked. tests/slurm/check.sh has Slurm's own.
# Each test is a subshell of its own, so what it exports is meant to end with it.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0

setup_file() {
    export PROJECT="$BATS_FILE_TMPDIR/a project" PYTHONDONTWRITEBYTECODE=1
    mkdir "$PROJECT"
    cp -r "$BATS_TEST_DIRNAME/../../harness" "$PROJECT/"
    cat >"$PROJECT/harness/run_matrix.sh" <<'END'
#!/bin/bash
printf '%s\n' "in $PWD" "$@" >>"$ASKED"
[ "$1" != --merge ] || [ -n "${MERGE_FAILS:-}" ] || touch "$2/verdict.txt"
exit "${SWEEP_STATUS:-0}"
END
    make_slurm "$BATS_FILE_TMPDIR/bin"
    export PATH=$BATS_FILE_TMPDIR/bin:$PATH
}

# $1: folder. Every call is a line of $ASKED. STATES is sinfo's list of nodes, QUEUED squeue's of jobs, BROKEN the
# beginning of a call that fails.
make_slurm() {
    mkdir "$1"
    cat >"$1/sbatch" <<'END'
#!/bin/bash
called="${0##*/} $*"
echo "$called" >>"$ASKED"
if [ -n "${BROKEN:-}" ] && [[ $called = "$BROKEN"* ]]; then
    echo "${0##*/}: error: this one fails" >&2
    exit 1
fi
case "$called" in
sbatch*)
    echo x >>"$ASKED.jobs"
    echo "$((40 + $(wc -l <"$ASKED.jobs")));cluster"
    ;;
"sinfo --noheader --format=%P") printf '%s\n' ${PARTITIONS-other main*} ;;
sinfo*--partition=main*) printf '%s\n' "$STATES" ;;
squeue*) printf '%s\n' ${QUEUED:-} ;;
"scontrol show config") echo "MaxArraySize            = ${MOST:-1001}" ;;
"scontrol show hostnames n[1-3],n7") printf '%s\n' n1 n2 n3 n7 ;;
"scontrol show hostnames n[1-3]") printf '%s\n' n1 n2 n3 ;;
"scontrol show hostnames"*) echo "${called##* }" | tr , '\n' ;;
esac
END
    chmod +x "$1/sbatch"
    for name in scontrol sinfo squeue scancel; do ln -s sbatch "$1/$name"; done
}

setup() {
    mkdir "$BATS_TEST_TMPDIR/here" && cd "$BATS_TEST_TMPDIR/here" || return 1
    out="$BATS_TEST_TMPDIR/100 % of it"
    export ASKED=$BATS_TEST_TMPDIR/asked STATES=$'n1 idle\nn10 mixed\nn2 allocated\nn3 idle~'
    unset SBATCH_PARTITION BROKEN QUEUED MOST PARTITIONS SWEEP_STATUS
}

submit() {
    : >"$ASKED"
    "$PROJECT/harness/slurm/submit.sh" "$@"
}

# $1: the exit status wanted, $2: words of the one line of error, the rest: options. Nothing is left behind.
refuses() {
    local wanted=$1 words=$2
    shift 2
    run --separate-stderr submit "$@"
    echo "$* -> $status: $stderr"
    [ "$status" -eq "$wanted" ]
    [ -z "$output" ]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
    [[ $stderr = "submit.sh: "*"$words"* ]]
    [ ! -e "$out" ]
    [ ! -e "$PROJECT/results" ]
}

calls() {
    grep "^$1" "$ASKED"
}

make_complete() {
    mkdir -p "$out/hosts/$1"
    touch "$out/hosts/$1/samples.csv"
}

@test "help names every option and exits 0" {
    run --separate-stderr submit --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for option in nodelist out resume dry-run help partition account qos time reservation mem begin deadline nice comment \
        mail-type mail-user; do
        [[ $output = *"--$option"* ]] || { echo "no --$option" && return 1; }
    done
}

@test "what cannot be submitted is refused in one line, and leaves nothing" {
    refuses 2 "unknown option '--bogus'; the sweep's own come after --" --bogus
    refuses 2 "unknown option '--array'" --array=0-3
    refuses 2 "unknown option 'n1'" n1
    refuses 2 "--out needs a value" --out
    refuses 2 "-p needs a value" -p ''
    refuses 2 "--out cannot be given with it" --resume here --out "$out"
    refuses 2 "give none after --" --resume here -- --rounds 2
    refuses 2 "no such folder: none-such" --resume none-such
    refuses 2 "is not a folder of submit.sh" --resume .
    refuses 2 "--partition 'small': there is none of that name" --partition small
    refuses 2 "--nodelist 'n1;n2': accepted are names such as n[1-4,7] or 'n1 n2'" --nodelist 'n1;n2'
    refuses 2 "partition main has no node 'n9'" --nodelist 'n1 n9'
    refuses 2 "--rounds: '0' is not accepted" --out "$out" -- --rounds 0
    refuses 2 "--hosts is not accepted among the sweep's options" --out "$out" -- --hosts 'a b'
    refuses 2 "--host-name is not accepted" --out "$out" -- --host-name x
    mkdir used
    touch used/file
    refuses 2 "used is not empty" --out used
    PARTITIONS=other refuses 2 "no default partition; name one with --partition" --out "$out"
    STATES=$'n1 down*\nn2 drained' refuses 1 "no node of partition main is up: n1 (down*), n2 (drained)" --out "$out"
    MOST=3 refuses 1 "MaxArraySize is 3" --out "$out"
    PATH=/usr/bin:/bin command -v scontrol >/dev/null ||
        PATH=/usr/bin:/bin refuses 1 "is not on PATH; this needs Slurm's commands" --out "$out"
    run ! calls sbatch
}

@test "what Slurm refuses is said in one line; what was submitted before it is cancelled" {
    BROKEN="sinfo" refuses 1 "sinfo: this one fails" --out "$out"
    BROKEN="sbatch" refuses 1 "sbatch: this one fails" --out "$out"
    run ! calls scancel
    BROKEN="scontrol update JobId=41_2" refuses 1 "scontrol: this one fails" --out "$out"
    [ "$(calls scancel)" = "scancel 41" ]
    BROKEN="scontrol release" refuses 1 "scontrol: this one fails" --out "$out"
    [ "$(calls scancel)" = "scancel 42 43" ]
}

@test "one held, exclusive array job: each task gets its node, the merge comes after, then they are released" {
    run --separate-stderr submit --out "$out" --partition main -A physics -- --bench latency --rounds 2 -- ./a.out 'b  c'
    [ "$status" -eq 2 ] # --bench: not with a command
    run --separate-stderr submit --out "$out" --partition main -A physics -- --rounds 2 -- ./a.out 'b  c'
    echo "$output$stderr" && cat "$ASKED"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$output" = "folder: $out
sweeps: job 41, 4 of 4 nodes, a task each
merge:  job 42, after them" ]
    array=$(calls sbatch | head -n 1)
    for word in --parsable --hold --array=0-3 --nodes=1 --ntasks=1 --exclusive --requeue --mem=0 --open-mode=append \
        --partition=main --account=physics "--chdir=$PWD" "--output=${out/\%/%%}/slurm/task-%a.out" \
        "$PROJECT/harness/slurm/task.sh $PROJECT $out"; do
        [[ $array = *" $word"* ]] || { echo "no $word" && return 1; }
    done
    merge=$(calls sbatch | tail -n 1)
    for word in --dependency=afterany:41 --partition=main --account=physics "$PROJECT/harness/slurm/merge.sh $PROJECT $out"; do
        [[ $merge = *" $word"* ]] || { echo "no $word" && return 1; }
    done
    [[ $merge != *--exclusive* ]]
    diff - <(grep -n -o -e '^sbatch' -e '^scontrol [ur].*' "$ASKED" | cut -d : -f 2) <<END
sbatch
scontrol update JobId=41_0 ReqNodeList=n1
scontrol update JobId=41_1 ReqNodeList=n2
scontrol update JobId=41_2 ReqNodeList=n3
scontrol update JobId=41_3 ReqNodeList=n10
sbatch
scontrol release 41
END
    [ "$(cut -d , -f 1,3 "$out/hosts.csv" | tr '\n' ' ')" = "host,status n1,incomplete n2,incomplete n3,incomplete n10,incomplete " ]
    grep -qF "n3,,incomplete,its task has not ended a sweep; see slurm/task-2.out," "$out/hosts.csv"
    grep -qF -- "--resume '$out'" "$out/UNFINISHED"
    /usr/bin/python3 -c 'import json, sys
kept = json.load(open(sys.argv[1]))
assert kept["slurm"] == {"directory": sys.argv[2], "nodes": ["n1", "n2", "n3", "n10"],
                         "sweep": ["--rounds=2", "--", "./a.out", "b  c"]}, kept["slurm"]
assert kept["options"]["rounds"] == 2' "$out/environment.json" "$PWD"
}

@test "the nodes are those of the partition that are up, or those that are named" {
    STATES=$'n1 idle\nn2 down*\nn3 drained\nn7 planned\nn8 idle*\nn9 completing' \
        run --separate-stderr submit --out "$out" --dry-run
    [ "$(sed -n 's/^task //p' <<<"$output")" = $'0: n1\n1: n7\n2: n9' ]
    [ "$stderr" = "submit.sh: left out, because they are not up: n2 (down*), n3 (drained), n8 (idle*)" ]
    STATES=$'n1 idle\nn2 down*\nn3 idle\nn7 idle' run --separate-stderr submit --out "$out" -w 'n[1-3],n7' --dry-run
    [ "$(sed -n 's/^task //p' <<<"$output")" = $'0: n1\n1: n2\n2: n3\n3: n7' ]
    [ "$stderr" = "submit.sh: not up, so that their tasks wait: n2 (down*)" ]
    run --separate-stderr submit --out "$out" --nodelist=$' n3  n1\nn3 ' --dry-run
    [ "$(sed -n 's/^task //p' <<<"$output")" = $'0: n3\n1: n1' ]
    SBATCH_PARTITION=main PARTITIONS='' run --separate-stderr submit --out "$out" --dry-run
    [ "$status" -eq 0 ]
    run ! calls sbatch
    [ ! -e "$out" ]
}

@test "resume submits the nodes that are not complete, with the options of the first time" {
    submit --out "$out" -t 60 -- --rounds 2
    make_complete n1
    make_complete n3
    touch "$out/hosts/n3/UNFINISHED"
    mkdir "$out/hosts/n10"
    cd / || return 1
    run --separate-stderr submit --resume "$out" --time 90
    echo "$output$stderr" && cat "$ASKED"
    [ "$status" -eq 0 ]
    [[ $output = *"sweeps: job 43, 3 of 4 nodes, a task each"* ]]
    [[ $(calls sbatch | head -n 1) = *" --array=1-3 "*" --time=60 --time=90 "* ]]
    [[ $(calls sbatch | head -n 1) = *" --chdir=$BATS_TEST_TMPDIR/here "* ]]
    diff - <(calls "scontrol update") <<END
scontrol update JobId=43_1 ReqNodeList=n2
scontrol update JobId=43_2 ReqNodeList=n3
scontrol update JobId=43_3 ReqNodeList=n10
END
    make_complete n2
    rm "$out/hosts/n3/UNFINISHED"
    STATES=$'n1 idle\nn2 idle\nn3 idle\nn4 idle\nn5 idle' run --separate-stderr submit --resume "$out" -w n3,n4,n5
    [ "$stderr" = "submit.sh: left out, because partition main has them no more: n10" ]
    [[ $(calls sbatch | head -n 1) = *" --array=4-5 "* ]]
    [ "$(cut -d , -f 1 "$out/hosts.csv" | tr '\n' ' ')" = "host n10 n4 n5 " ]
    for node in n4 n5 n10; do make_complete "$node"; done
    run --separate-stderr submit --resume "$out"
    [ "$(calls sbatch | wc -l)" -eq 1 ]
    [[ $output = "folder: $out"$'\n'"merge:  job "* ]]
}

@test "a folder whose jobs have not ended is not submitted again" {
    submit --out "$out"
    export QUEUED='7 42'
    run --separate-stderr submit --resume "$out"
    [ "$status" -eq 1 ]
    [ "$stderr" = "submit.sh: jobs of $out have not ended: 42 (scancel ends them)" ]
    run ! calls sbatch
    [ -d "$out/slurm" ]
    QUEUED='7 142 4' submit --resume "$out"
}

# $1: number, $2: the node that Slurm put it on.
task() {
    : >"$ASKED"
    cp "$PROJECT/harness/slurm/task.sh" "$BATS_TEST_TMPDIR/script" # as Slurm does
    (cd / && SLURM_ARRAY_TASK_ID=$1 SLURMD_NODENAME=$2 "$BATS_TEST_TMPDIR/script" "$PROJECT" "$out")
}

@test "a task sweeps its own node, goes on after a requeue, and leaves a complete one alone" {
    submit --out "$out" -- --rounds 2 -- ./a.out 'b  c'
    task 1 n2
    diff "$ASKED" - <<END
in $PWD
--host-name
n2
--samples-only
--wait
--out
$out/hosts/n2
--rounds=2
--
./a.out
b  c
END
    mkdir "$out/hosts/n2"
    touch "$out/hosts/n2/environment.json" "$out/hosts/n2/UNFINISHED" "$out/hosts/n2/samples.csv"
    SWEEP_STATUS=3 run task 1 n2
    [ "$status" -eq 3 ]
    [ "$(tail -n +2 "$ASKED" | tr '\n' ' ')" = "--resume $out/hosts/n2 --samples-only --wait " ]
    rm "$out/hosts/n2/UNFINISHED"
    run task 1 n2
    [ "$status" -eq 0 ]
    [ "$output" = "task.sh: n2 is complete" ]
    [ ! -s "$ASKED" ]
}

@test "a task that is not where it belongs measures nothing" {
    submit --out "$out"
    run task 1 n3
    [ "$status" -eq 1 ]
    [ "$output" = "task.sh: task 1 is node n2's, but Slurm ran it on n3; nothing was measured" ]
    cd / && rm -r "$BATS_TEST_TMPDIR/here"
    run task 1 n2
    [ "$status" -eq 1 ]
    [[ ${lines[-1]} = "task.sh: $BATS_TEST_TMPDIR/here is not on n2" ]]
    mv "$out" "$out.elsewhere"
    run task 1 n2
    [ "$status" -eq 1 ]
    [[ $output = "task.sh: $out is not readable on $(uname -n): "* ]]
    [ ! -s "$ASKED" ]
}

@test "the merge names the nodes that are missing, and takes away the mark when none is" {
    submit --out "$out"
    for node in n1 n2 n10; do make_complete "$node"; done
    cp "$PROJECT/harness/slurm/merge.sh" script
    SWEEP_STATUS=1 run ./script "$PROJECT" "$out"
    [ "$status" -eq 1 ]
    [[ $output = "merge.sh: 1 of 4 nodes are not complete; harness/slurm/submit.sh --resume "*" submits them: n3" ]]
    [ -e "$out/UNFINISHED" ]
    [ "$(cut -d , -f 1 "$out/hosts.csv" | tr '\n' ' ')" = "host n3 " ]
    make_complete n3
    : >"$ASKED"
    MERGE_FAILS=1 run ./script "$PROJECT" "$out"
    [ -e "$out/UNFINISHED" ]
    run ./script "$PROJECT" "$out"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ ! -e "$out/hosts.csv" ]
    [ "$(tail -n 2 "$ASKED" | tr '\n' ' ')" = "--merge $out " ]
    [ ! -e "$out/UNFINISHED" ]
}
