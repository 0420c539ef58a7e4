#!/usr/bin/env bash
# Sweeps CPU x memory node: what does memory of each node cost from the CPUs of each node?
# GNU parallel runs the commands; harness/numa_sweep plans them, numa_report says what came of them.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: harness/run_matrix.sh [OPTION...]
Measures memory from one CPU of each node that has CPUs, on each node that has memory, and leaves a
run folder with samples.csv, matrix.csv, verdict.txt, environment.json, joblog.tsv, cells/ and pictures. Each
measurement is `taskset -c CPU` with NUMA_ALLOC_POLICY=bind:NODE and the preloaded allocator; its other
variables (NUMA_ALLOC_...) are unset, whatever they are here.

What to measure
  --bench LIST       latency, bandwidth                    (default latency,bandwidth)
  --cpus LIST        these CPUs, e.g. 0,8-9                (default the lowest allowed CPU of each node)
  --all-cpus         every allowed CPU
  --mem-nodes LIST   these memory nodes, e.g. 0,2          (default every node with memory)
  --size SIZE        bytes a benchmark works on, e.g. 64M  (default the benchmark's own)
  --max-samples N    most samples a command takes, 1 to 1000              (default the benchmark's own)
  --min-sample-ms MS shortest sample in milliseconds, 1 to 60000          (default the benchmark's own)
How
  --rounds N         passes over all cells, each in its own random order  (default 3)
  --seed N           seed of that order                    (default random; recorded in environment.json)
  --timeout SECONDS  time limit of one command             (default 300)
  --out FOLDER       run folder, new or empty              (default results/<UTC time>-<host>)
  --resume FOLDER    run what a sweep's plan still lacks: commands that have not run, failed, or left output
                     that cannot be read; takes no other option but --no-pictures
  --no-pictures      leave drawing to harness/plot.py
  --dry-run          print the cells and their commands; write nothing
  --help             this text

Exit status: 0 all cells measured (or skipped, with the reason), 1 some cell failed or was misplaced (its
pages were not on the node asked for) or the sweep could not be done, 2 bad usage, 130 interrupted.
For tests: hwloc's variables HWLOC_FSROOT, HWLOC_XMLFILE and HWLOC_SYNTHETIC replace this machine by a
made-up one; only --dry-run is accepted then.
EOF
}

die() {
    echo "run_matrix.sh: $1" >&2
    exit "${2:-1}"
}

bad_value() { # option, value, what is accepted
    die "$1: '$2' is not accepted; $3" 2
}

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/harness/*} # not $(dirname ...), which would drop a line end from the folder's name
bench=latency,bandwidth rounds=3 timeout=300 seed=$((SRANDOM % 1000000000))
size='' max_samples='' min_sample_ms='' cpus='' mem_nodes='' out='' resume='' all_cpus=0 dry_run=0 pictures=1 sweep_option=''

parse_options() {
    local option value
    while [ $# -gt 0 ]; do
        option=$1
        shift
        case "$option" in
        --*=*) # --name=value is --name value
            set -- "${option#*=}" "$@"
            option=${option%%=*}
            case "$option" in
            --help | --dry-run | --all-cpus | --no-pictures) die "$option takes no value" 2 ;;
            esac
            ;;
        esac
        case "$option" in
        -h | --help)
            usage || exit 1
            exit 0
            ;;
        --resume | --no-pictures) ;;
        *) sweep_option=$option ;;
        esac
        case "$option" in
        --dry-run) dry_run=1 && continue ;;
        --all-cpus) all_cpus=1 && continue ;;
        --no-pictures) pictures=0 && continue ;;
        --bench | --cpus | --mem-nodes | --size | --max-samples | --min-sample-ms | --rounds | --seed | --timeout | --out | --resume) ;;
        *) die "unknown option or argument '$option'; see harness/run_matrix.sh --help" 2 ;;
        esac
        [ $# -gt 0 ] || die "$option needs a value" 2
        value=$1
        shift
        [ -n "$value" ] || bad_value "$option" '' 'it is empty'
        set_option "$option" "$value"
    done
    [ -z "$resume" ] || [ -z "$sweep_option" ] ||
        die "--resume takes everything from the folder's plan; $sweep_option cannot be changed" 2
    [ -z "$cpus" ] || [ "$all_cpus" -eq 0 ] || die "--cpus and --all-cpus exclude each other" 2
}

set_option() {
    local number='[1-9][0-9]{0,5}' list='[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*'
    matches() { [[ $2 =~ ^($1)$ ]]; }
    in_range() { matches "$number" "$1" && [ "$1" -le "$2" ]; } # as the benchmarks' own
    case "$1" in
    --bench)
        case "$2" in
        latency | bandwidth | latency,bandwidth | bandwidth,latency) ;;
        *) bad_value "$1" "$2" 'latency, bandwidth or latency,bandwidth' ;;
        esac
        bench=$2
        ;;
    --cpus) matches "$list" "$2" || bad_value "$1" "$2" 'a list such as 0,8-9' && cpus=$2 ;;
    --mem-nodes) matches "$list" "$2" || bad_value "$1" "$2" 'a list such as 0,2-3' && mem_nodes=$2 ;;
    --size) matches '[1-9][0-9]{0,14}[KMGkmg]?' "$2" || bad_value "$1" "$2" 'bytes, or with K, M or G (1024-based)' && size=$2 ;;
    --max-samples) in_range "$2" 1000 || bad_value "$1" "$2" 'a whole number from 1 to 1000' && max_samples=$2 ;;
    --min-sample-ms) in_range "$2" 60000 || bad_value "$1" "$2" 'a whole number from 1 to 60000' && min_sample_ms=$2 ;;
    --rounds) matches "$number" "$2" || bad_value "$1" "$2" 'a whole number of at least 1' && rounds=$2 ;;
    --seed) matches '[0-9]{1,9}' "$2" || bad_value "$1" "$2" 'a whole number of at most 9 digits' && seed=$((10#$2)) ;;
    --timeout) matches "$number" "$2" || bad_value "$1" "$2" 'seconds, at least 1' && timeout=$2 ;;
    --out) out=$2 ;;
    --resume) resume=$2 ;;
    esac
}

# Runs a program under the first Python that has what the reports need. Each start of one counts on a slow machine.
# Until it can say so in one line, Python does not hear a Ctrl-C; this script does.
with_python() { # program, argument...
    local python status lacking=97 modules=numpy
    [ "$pictures" -eq 0 ] || modules+=' matplotlib'
    local needs="import sys; del sys.path[0]
from importlib.util import find_spec
if not all(map(find_spec, '$modules'.split())): sys.exit($lacking)
"
    for python in /usr/bin/python3 python3; do
        command -v "$python" >/dev/null || continue
        status=0
        (trap '' INT && exec "$python" -c "$needs$1" "${@:2}") || status=$?
        [ "$status" -eq "$lacking" ] || return "$status"
    done
    die "python3 with ${modules/ / and } is missing; harness/setup.sh installs it"
}

is_plain() { # printable ASCII only
    local LC_ALL=C
    [[ $1 != *[!' '-'~']* ]]
}

# The folders' paths become lines of a file of commands and UTF-8 text in CSV files.
check_paths() { # of the run folder, as it was given and as it is
    local bad=0 path of
    ! is_plain "$root$*" || return 0
    with_python 'import os
for number, path in enumerate(sys.argv[1:], 1):
    try:
        path = os.fsencode(path).decode()
    except UnicodeDecodeError:
        sys.exit(number)
    if any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in path):
        sys.exit(number)' "$root" "$@" || bad=$?
    [ "$bad" -ne 0 ] || return 0
    if [ "$bad" -eq 1 ]; then of='this project' path=$root; else of='the run folder' path=${*:bad-1:1}; fi
    die "the path of $of, ${path@Q}, has a control character or is not UTF-8; rename it or name another" 2
}

check_tools() {
    local tool magic
    for tool in parallel taskset flock; do
        command -v "$tool" >/dev/null || die "$tool is missing; harness/setup.sh installs it"
    done
    # moreutils has another program of that name; GNU's is a script.
    IFS= read -r -n 2 magic <"$(command -v parallel)" || true
    [ "$magic" = '#!' ] || die "the parallel on PATH is not GNU parallel; harness/setup.sh installs it"
    [ -f "$root/alloc/numa_alloc.so" ] || die "alloc/numa_alloc.so is not built: run make"
    for tool in ${bench//,/ }; do
        [ -x "$root/bench/$tool" ] || die "bench/$tool is not built: run make"
    done
}

# Not `python -m`: that would let a file in the user's folder stand in for a module.
report() {
    with_python 'import signal; sys.path.insert(0, sys.argv.pop(1))
from numa_report.errors import run_main
def main():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from numa_sweep import sweep
    return sweep.main(sys.argv[1:])
sys.exit(run_main("run_matrix.sh", main))' "$root/harness" "$@" --root "$root" --folder "$folder"
}

prepare() {
    local options=(--bench "$bench" --rounds "$rounds" --seed "$seed" --timeout "$timeout")
    [ -z "$size" ] || options+=(--size "$size")
    [ -z "$max_samples" ] || options+=(--max-samples "$max_samples")
    [ -z "$min_sample_ms" ] || options+=(--min-sample-ms "$min_sample_ms")
    [ -z "$cpus" ] || options+=(--cpus "$cpus")
    [ -z "$mem_nodes" ] || options+=(--mem-nodes "$mem_nodes")
    [ -z "$out" ] || options+=(--out "$out")
    [ "$all_cpus" -eq 0 ] || options+=(--all-cpus)
    [ "$pictures" -eq 1 ] || options+=(--no-pictures)
    [ "$dry_run" -eq 0 ] || options+=(--dry-run)
    report prepare "${options[@]}"
}

refuse_used_folder() {
    [ -e "$folder" ] || return 0
    [ -d "$folder" ] || die "--out: $folder is not a folder" 2
    [ -z "$(ls -A -- "$folder")" ] || die "--out: $folder is not empty; name another, or use --resume" 2
}

# Makes $folder. made_in: the part of its path that was there before.
make_folder() {
    local error number=1 name=$folder
    made_in=$folder
    while [ ! -d "$made_in/" ]; do made_in=${made_in%/*}; done
    if [ -n "$out" ]; then
        error=$(mkdir -p -- "$folder" 2>&1) || die "--out: ${error#mkdir: }"
        return
    fi
    # Another sweep may have begun in the same second: the name is ours only if this mkdir made it.
    error=$(mkdir -p -- "${folder%/*}" 2>&1) || die "${error#mkdir: }"
    until error=$(mkdir -- "$folder" 2>&1); do
        [ -e "$folder" ] || die "${error#mkdir: }"
        number=$((number + 1)) folder=$name-$number
    done
}

# Takes away what an unfinished preparation made: such a folder could be neither used nor resumed.
discard() {
    local made=${folder#"$made_in"}
    rm -rf -- "$folder"/{environment.json,plan.csv,commands.txt}{,.tmp} "$folder/cells"
    [ -z "${made#/}" ] || (cd -- "$made_in/" && rmdir -p --ignore-fail-on-non-empty -- "${made#/}") || true
}

# One sweep at a time in a folder. Its commands inherit the lock, so it outlives this script when that is killed.
# Some network file systems have no locks: then go without.
lock_folder() {
    local lock status=0
    exec {lock}<"$folder"
    flock --nonblock "$lock" || status=$?
    [ "$status" -ne 1 ] || die "another sweep is running in $folder"
}

interrupted() { # signal's number
    trap '' INT TERM HUP
    [ -z "${running:-}" ] || { kill -TERM "$running" && wait "$running"; } 2>/dev/null || true
    echo >&2
    die "interrupted; continue with: harness/run_matrix.sh --resume $(printf '%q' "$folder")" $((128 + $1))
}

run_commands() {
    local bar=()
    # The bar asks /dev/tty for its width; a console without a controlling terminal would complain each time.
    if [ -t 2 ] && { : </dev/tty; } 2>/dev/null; then bar=(--bar); fi
    trap 'interrupted 1' HUP
    trap 'interrupted 2' INT
    trap 'interrupted 15' TERM
    # In the background, so that a signal to this script is seen at once and not when the last cell is done.
    (cd -- "$root" && PARALLEL_SHELL=/bin/sh exec parallel --plain --will-cite --jobs 1 --ungroup \
        --joblog "$folder/joblog.tsv" --resume --timeout "$timeout" "${bar[@]}" \
        --arg-file "$folder/commands.txt" </dev/null) &
    running=$!
    wait "$running" || true # the number of failed commands; each failure is in the joblog and becomes a cell
    running=''
}

# Without these a Ctrl-C that a Python just starting turns into a failure would be taken for an answer.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
parse_options "$@"
if [ -n "$resume" ]; then
    [ -d "$resume" ] || die "--resume: no such folder: $resume" 2
    folder=$(cd -- "$resume" && pwd -P)
    check_tools
    check_paths "$resume" "$folder"
    lock_folder
    timeout=$(report resume)
else
    folder=${out:-$root/results/$(TZ=UTC printf '%(%Y%m%dT%H%M%SZ)T' -1)-$(uname -n)}
    case "$folder" in /*) ;; *) folder=$PWD/$folder ;; esac
    [ -z "$out" ] || refuse_used_folder
    [ "$dry_run" -eq 1 ] || check_tools
    check_paths "$folder"
    if [ "$dry_run" -eq 1 ]; then
        prepare
        exit
    fi
    make_folder
    lock_folder
    refuse_used_folder # again: until the lock another sweep could begin here
    trap discard EXIT
    prepare
    trap - EXIT
fi
run_commands
if [ "$pictures" -eq 1 ]; then report finish; else report finish --no-pictures; fi
