#!/usr/bin/env bash
# harness/slurm/ on Slurm's own daemons: a cluster of two made-up nodes on this machine (cluster.sh). Prints TAP.
# Both nodes' tasks measure the one machine there is, so the sweep's machine-wide lock has them take turns.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly SUBMIT=harness/slurm/submit.sh
readonly LONGEST_WAIT_S=240

if [ "${1:-}" != --inside ]; then
    for tool in munged slurmctld slurmd sbatch; do
        PATH=$PATH:/usr/sbin command -v "$tool" >/dev/null || {
            echo "ok 1 # skip $tool is missing; harness/setup.sh slurm installs it"
            echo 1..1
            exit 0
        }
    done
    for built in alloc/numa_alloc.so bench/latency harness/run_cell; do
        [ -x "$built" ] || [ -f "$built" ] || {
            echo "not ok 1 - $built is not built: run make"
            echo 1..1
            exit 1
        }
    done
    exec tests/slurm/cluster.sh --nodes 2 -- "$PWD/tests/slurm/check.sh" --inside
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 failures=0

# $1: what is promised, the rest: a command that succeeds when it is kept. Its output is shown when it is not.
promise() {
    local what=$1 status
    shift
    number=$((number + 1))
    set +e # not in a condition, where bash would ignore set -e
    (
        set -eE
        trap 'echo "line $LINENO: $BASH_COMMAND"' ERR
        "$@"
    ) >"$work/said" 2>&1
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
        echo "ok $number - $what"
    else
        echo "not ok $number - $what"
        sed 's/^/# /' "$work/said"
        failures=$((failures + 1))
    fi
}

# The rest: a command that is to succeed before long. When it does not, says what Slurm has.
await() {
    local deadline=$((SECONDS + LONGEST_WAIT_S))
    until "$@"; do
        if [ $SECONDS -ge $deadline ]; then
            echo "nothing within $LONGEST_WAIT_S s: $*"
            squeue
            return 1
        fi
        sleep 0.2
    done
}

queue_is_empty() {
    [ -z "$(squeue --noheader)" ]
}

is_finished() {
    [ -f "$1/hosts/$2/samples.csv" ] && [ ! -e "$1/hosts/$2/UNFINISHED" ]
}

# The nodes that the array's tasks ran to an end on, in the order of the tasks. $1: the job.
nodes_of_tasks() {
    sed -n "s/.* JobState=COMPLETED .*NodeList=\([^ ]*\) .*ArrayJobId=$1 ArrayTaskId=\([0-9]*\) .*/\2 \1/p" \
        "$(dirname "$SLURM_CONF")/finished.log" | sort -n | cut -d ' ' -f 2 | tr '\n' ' '
}

# What a column has, sorted, of the rows where another has a word: FILE COLUMN OTHER WORD.
values() {
    python3 -c 'import csv, sys
path, column, other, word = sys.argv[1:]
print(*sorted(row[column] for row in csv.DictReader(open(path)) if row[other] == word))' "$@"
}

array_of() {
    sed -n 1p "$1/slurm/jobs"
}

# A run's record is there. The other node's task waits for the machine until this one's has ended.
one_is_measuring() {
    compgen -G "$1/hosts/*/cells/*.run" >/dev/null
}

# Where a sweep of both nodes ended: FOLDER METRIC ROUNDS.
is_whole() {
    local folder=$1 node
    for node in n1 n2; do
        is_finished "$folder" "$node"
        [ "$(values "$folder/hosts/$node/samples.csv" round metric "$2")" = "$3" ]
        [ "$(values "$folder/samples.csv" round host "$node" | tr ' ' '\n' | sort -u | tr '\n' ' ')" = "$3 " ]
        [[ $(values "$folder/matrix.csv" status host "$node") =~ ^((ok|noisy)\ ?)+$ ]] # this machine may be busy
    done
    [ "$(values "$folder/hosts.csv" host status ok)" = "n1 n2" ]
    [ ! -e "$folder/UNFINISHED" ]
}

sweeps_every_node_once() {
    local folder="$work/a folder of 100 %" said
    said=$($SUBMIT --out "$folder" -- --bench latency --sizes 4M --rounds 1 --extra-rounds 0 --max-samples 3)
    echo "$said"
    [ "$(sed -n 's/^sweeps: job \([0-9]*\), 2 of 2 nodes, a task each$/\1/p' <<<"$said")" = "$(array_of "$folder")" ]
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    [ "$(nodes_of_tasks "$(array_of "$folder")")" = "n1 n2 " ]
    [ "$(values "$folder/matrix.csv" host metric load_latency)" = "n1 n2" ]
    [ "$(values "$folder/samples.csv" round metric load_latency | tr ' ' '\n' | sort -u)" = 1 ]
    grep -q '^hosts: 2 of 2 ok' "$folder/verdict.txt"
    [ ! -e "$folder/UNFINISHED" ]
}

# Sweeps of `sleep` are long enough to be met under way.
submit_naps() {
    $SUBMIT --out "$@" -- --rounds 6 --extra-rounds 0 --name nap -- sleep 0.4
}

goes_on_after_a_requeue() {
    local folder=$work/requeued array first
    submit_naps "$folder"
    array=$(array_of "$folder")
    await one_is_measuring "$folder"
    first=$([ -e "$folder/hosts/n1/plan.csv" ] && echo 0 || echo 1)
    echo "requeue task $first of job $array"
    [ ! -e "$folder/hosts/n$((first + 1))/samples.csv" ]
    scontrol requeue "${array}_$first"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    grep -q '"resumed_at"' "$folder/hosts/n$((first + 1))/environment.json"
    [ "$(nodes_of_tasks "$array")" = "n1 n2 " ]
    is_whole "$folder" wall_time "1 2 3 4 5 6"
}

is_resumed_after_scancel() {
    local folder=$work/cancelled array said
    submit_naps "$folder" --nodelist n2,n1
    array=$(array_of "$folder")
    await one_is_measuring "$folder"
    said=$($SUBMIT --resume "$folder" 2>&1) && return 1
    [[ $said = "submit.sh: jobs of $folder have not ended: "*" (scancel ends them)" ]]
    scancel "$array"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    [ -e "$folder/UNFINISHED" ]
    grep -q 'nodes are not complete; harness/slurm/submit.sh --resume' "$folder/slurm/merge.out"
    $SUBMIT --resume "$folder"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    grep -q '"resumed_at"' "$folder"/hosts/*/environment.json
    is_whole "$folder" wall_time "1 2 3 4 5 6"
}

resumes_only_what_is_missing() {
    local folder=$work/added said
    scontrol update NodeName=n2 State=DRAIN Reason=test
    said=$(submit_naps "$folder" 2>&1)
    echo "$said"
    grep -qxF 'submit.sh: left out, because they are not up: n2 (drained)' <<<"$said"
    grep -q '1 of 1 nodes' <<<"$said"
    await queue_is_empty
    is_finished "$folder" n1
    [ ! -e "$folder/hosts/n2" ]
    cp -p "$folder/hosts/n1/samples.csv" "$work/before.csv"
    scontrol update NodeName=n2 State=RESUME
    said=$($SUBMIT --resume "$folder" --nodelist n2)
    echo "$said"
    grep -q '1 of 2 nodes' <<<"$said"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    [ ! "$folder/hosts/n1/samples.csv" -nt "$work/before.csv" ]
    is_whole "$folder" wall_time "1 2 3 4 5 6"
    said=$($SUBMIT --resume "$folder")
    grep -q '^merge:' <<<"$said"
    [[ $said != *sweeps:* ]]
    await queue_is_empty
}

tries_failed_cells_again() {
    local folder=$work/failed
    $SUBMIT --out "$folder" --nodelist n2 -- --rounds 1 --extra-rounds 0 --name flag -- test -e "$work/flag"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    [ "$(values "$folder/hosts.csv" host status failed)" = n2 ]
    touch "$work/flag"
    rm "$folder/hosts/n2/samples.csv"
    $SUBMIT --resume "$folder"
    await queue_is_empty
    tail -n +1 "$folder"/slurm/*.out
    [ "$(values "$folder/hosts.csv" host status ok)" = n2 ]
    [ "$(values "$folder/samples.csv" round metric wall_time)" = 1 ]
}

leaves_nothing_of_what_slurm_refuses() {
    local folder=$work/refused said
    said=$($SUBMIT --out "$folder" --reservation none-such 2>&1) && return 1
    echo "$said"
    [ "$(wc -l <<<"$said")" -eq 1 ]
    grep -q '^submit.sh: sbatch: .*reservation' <<<"$said"
    [ ! -e "$folder" ]
    queue_is_empty
}

echo 1..6
promise "a sweep of a partition has each node once, and they are merged" sweeps_every_node_once
promise "a task that is requeued while it measures goes on where it was" goes_on_after_a_requeue
promise "a sweep that is cancelled is resumed to the end" is_resumed_after_scancel
promise "a node that was left out is added, and the others are not swept again" resumes_only_what_is_missing
promise "cells that failed are tried again on demand" tries_failed_cells_again
promise "what Slurm refuses leaves no job and no folder" leaves_nothing_of_what_slurm_refuses
[ "$failures" -eq 0 ]
