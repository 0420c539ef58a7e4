#!/usr/bin/env bash
# Sweeps the nodes of a cluster with Slurm: one exclusive array job, one node a task, and a job that merges what they leave.
# docs/SLURM.md says how.
set -euo pipefail
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
root=${here%/harness/slurm}
# shellcheck source=harness/slurm/folder.sh
. "$here/folder.sh"

usage() {
    cat <<'END'
Usage: harness/slurm/submit.sh [OPTION...] [-- SWEEP OPTION... [-- COMMAND [ARGUMENT...]]]
       harness/slurm/submit.sh --resume FOLDER [OPTION...]
Submits a sweep of many nodes: an exclusive array job, each task of which has harness/run_matrix.sh with the SWEEP
OPTIONs sweep one node, and a job after it that merges what they leave. This project (built), the fleet's folder
and the current folder must be there, at the same paths, on every node.

  --nodelist, -w LIST     these nodes: Slurm's n[1-4,7], or names between spaces (default: those of the partition
                          that are up)
  --out FOLDER            the fleet's folder, new or empty (default: results/<UTC time>-slurm)
  --resume FOLDER         submit the nodes of that folder that are not complete, and those of --nodelist, with the
                          options of the last time where none are given
  --dry-run               print the nodes and the commands; submit nothing
  --help                  this text

Handed to sbatch, for the tasks and the merge: --partition (-p), --account (-A), --qos (-q), --time (-t), which is the
limit of one node's sweep, --reservation, --mem (default 0: all of a node's), --begin, --deadline, --nice, --comment,
--mail-type, --mail-user. What else a site needs, sbatch takes from its SBATCH_ variables.

Exit status: 0 submitted, 1 not, 2 bad usage. A submission that fails leaves nothing behind.
END
}

bad_usage() {
    echo "submit.sh: $*" >&2
    exit 2
}

fail() {
    echo "submit.sh: $*" >&2
    exit 1
}

out='' resume='' nodelist='' dry_run=0 given=() sweep_words=()

parse_options() {
    local name
    while [ $# -gt 0 ]; do
        case "$1" in
        --help | -h) usage && exit 0 ;;
        --dry-run) dry_run=1 && shift && continue ;;
        --) shift && sweep_words=("$@") && break ;;
        --*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}" ;;
        esac
        case "$1" in
        -w) name=--nodelist ;;
        -p) name=--partition ;;
        -A) name=--account ;;
        -q) name=--qos ;;
        -t) name=--time ;;
        *) name=$1 ;;
        esac
        case "$name" in
        --nodelist | --out | --resume | --partition | --account | --qos | --time | --reservation | --mem | --begin | \
            --deadline | --nice | --comment | --mail-type | --mail-user) ;;
        *) bad_usage "unknown option '$1'; the sweep's own come after --, see --help" ;;
        esac
        [ -n "${2:-}" ] || bad_usage "$1 needs a value; see --help"
        case "$name" in
        --nodelist) nodelist=$2 ;;
        --out) out=$2 ;;
        --resume) resume=$2 ;;
        *) given+=("$name=$2") ;;
        esac
        shift 2
    done
    if [ -n "$resume" ]; then
        [ -z "$out" ] || bad_usage "--resume continues in its own folder; --out cannot be given with it"
        [ ${#sweep_words[@]} -eq 0 ] || bad_usage "--resume: the sweep's options are those of $resume; give none after --"
    fi
}

check_tools() {
    local tool
    for tool in sbatch scontrol sinfo squeue scancel; do
        command -v "$tool" >/dev/null || fail "$tool is not on PATH; this needs Slurm's commands, where jobs are submitted"
    done
}

# The last line a command wrote to standard error, when it fails, else its standard output.
ask() {
    local said
    said=$("$@" 2>"$errors") || fail "$1: $(grep . "$errors" | tail -n 1 | sed 's/^[a-z]*: error: //')"
    cat "$errors" >&2
    [ -z "$said" ] || printf '%s\n' "$said"
}

# The words with commas, the first of many.
few() {
    local words
    printf -v words '%s, ' "${@:1:10}"
    echo "${words%, }$([ $# -le 10 ] || echo " and $(($# - 10)) more")"
}

# Nodes.

# Sets partition, and state of each of its nodes.
read_states() {
    local option said node words
    partition=${SBATCH_PARTITION:-}
    for option in "${options[@]}"; do
        [[ $option != --partition=* ]] || partition=${option#*=}
    done
    if [ -z "$partition" ]; then
        said=$(ask sinfo --noheader --format=%P)
        partition=$(sed -n 's/\*$//p' <<<"$said")
        [ -n "$partition" ] || bad_usage "this cluster has no default partition; name one with --partition"
    fi
    said=$(ask sinfo --noheader --Node --partition="$partition" --format='%N %T')
    [ -n "$said" ] || bad_usage "--partition '$partition': there is none of that name, or it has no nodes"
    while read -r node words; do state[$node]=$words; done <<<"$said"
}

# Whether a task can start on the node, now or after others' jobs. A * after the state: it does not respond.
is_up() {
    [[ ${state[$1]} =~ ^(idle|mixed|allocated|completing|planned|reserved)[^*]?$ ]]
}

# Prints the nodes of --nodelist, each once.
listed_nodes() {
    local list said
    list=$(tr -s ' ,\n\t' , <<<"$nodelist" | sed 's/^,//; s/,$//')
    if ! [[ $list =~ ^[A-Za-z0-9_][][A-Za-z0-9_.,-]*$ ]] ||
        ! said=$(scontrol show hostnames "$list" 2>/dev/null) || [ -z "$said" ]; then
        bad_usage "--nodelist '$nodelist': accepted are names such as n[1-4,7] or 'n1 n2'"
    fi
    awk '!seen[$0]++' <<<"$said"
}

# Adds to nodes those of --nodelist, or for a new folder every node that is up.
choose_nodes() {
    local node found down=()
    if [ -n "$nodelist" ]; then
        found=$(listed_nodes)
        while read -r node; do
            [ -n "${state[$node]:-}" ] || bad_usage "--nodelist: partition $partition has no node '$node'"
            [[ " ${nodes[*]} " = *" $node "* ]] || nodes+=("$node")
        done <<<"$found"
    elif [ -z "$resume" ]; then
        while read -r node; do
            if is_up "$node"; then nodes+=("$node"); else down+=("$node (${state[$node]})"); fi
        done < <(printf '%s\n' "${!state[@]}" | sort -V)
        [ ${#nodes[@]} -gt 0 ] || fail "no node of partition $partition is up: $(few "${down[@]}")"
        [ ${#down[@]} -eq 0 ] || echo "submit.sh: left out, because they are not up: $(few "${down[@]}")" >&2
    fi
}

# Sets todo: the places in nodes of those to submit.
choose_tasks() {
    local place node waiting=() gone=()
    for place in "${!nodes[@]}"; do
        node=${nodes[place]}
        if is_complete "$folder" "$node"; then
            continue
        elif [ -z "${state[$node]:-}" ]; then
            gone+=("$node")
            continue
        fi
        is_up "$node" || waiting+=("$node (${state[$node]})")
        todo+=("$place")
    done
    [ ${#gone[@]} -eq 0 ] || echo "submit.sh: left out, because partition $partition has them no more: $(few "${gone[@]}")" >&2
    [ ${#waiting[@]} -eq 0 ] || echo "submit.sh: not up, so that their tasks wait: $(few "${waiting[@]}")" >&2
}

# The fleet's folder.

# Has fleet_folder.py check the sweep's options and, but for a dry run, make the folder or make it ready.
prepare_folder() {
    local words=()
    [ "$dry_run" -eq 0 ] || words+=(--dry-run)
    words+=(--nodes="${nodes[*]}")
    if [ -n "$resume" ]; then
        words+=(--resume="$folder")
    elif [ -n "$out" ]; then
        words+=(--out="$out")
    fi
    [ ! -d "$out" ] || existed=1
    fleet_folder "${words[@]}" -- "${sweep_words[@]}" >"$answer"
    mapfile -t -d '' words <"$answer"
    [ ${#words[@]} -gt 0 ] || exit 0 # --help among the sweep's options
    folder=${words[0]}
    if [ -z "$resume" ]; then
        # shellcheck disable=SC2034 # for write_settings
        sweep=("${words[@]:1}")
        directory=$PWD
        made=1
    fi
    [ "$dry_run" -eq 1 ] || write_settings "$folder"
}

read_folder() {
    local queued
    folder=$(readlink -f -- "$resume")
    [ -d "$folder" ] || bad_usage "--resume: no such folder: $resume"
    [ -f "$folder/slurm/settings" ] || bad_usage "--resume: $folder is not a folder of submit.sh (no slurm/settings)"
    read_settings "$folder"
    if [ -s "$folder/slurm/jobs" ]; then
        queued=$(ask squeue --noheader --user="$(id -un)" --format=%F)
        queued=$(sort -u <<<"$queued" | grep -Fx -f "$folder/slurm/jobs" | tr '\n' ' ') || true
        [ -z "$queued" ] || fail "jobs of $folder have not ended: ${queued% } (scancel ends them)"
    fi
}

# Submitting.

# Sets task_words and merge_words.
write_commands() {
    local output=${folder//%/%%}/slurm # sbatch's own notation
    local always=(--parsable --nodes=1 --ntasks=1 --open-mode=append --chdir="$directory") places
    # A list such as 0-3,7.
    places=$(printf '%s\n' "${todo[@]}" | awk '{ if (NR > 1 && $1 == last + 1) until = "-" $1
        else { printf "%s%s", until, (NR > 1 ? "," : "") $1; until = "" } last = $1 } END { print until }')
    # Held until every task has its node. --exclusive gives a task all CPUs of it, --mem=0 all memory.
    task_words=(sbatch "${always[@]}" --job-name=numa_sweep --array="$places" --hold --exclusive --requeue --mem=0
        "${options[@]}" --output="$output/task-%a.out" "$here/task.sh" "$root" "$folder")
    merge_words=(sbatch "${always[@]}" --job-name=numa_merge "${options[@]}" --mem=2G --output="$output/merge.out"
        "$here/merge.sh" "$root" "$folder")
}

refuse_too_many() {
    local most last=$((todo[-1]))
    most=$(ask scontrol show config)
    most=$(sed -n 's/^MaxArraySize *= *//p' <<<"$most")
    [ "$last" -lt "${most:-1001}" ] ||
        fail "$((last + 1)) nodes are more than a task each: this cluster's MaxArraySize is $most; name fewer with --nodelist"
}

submit() {
    local array='' merge place
    if [ ${#todo[@]} -gt 0 ]; then
        refuse_too_many
        array=$(ask "${task_words[@]}")
        array=${array%%;*} # a cluster's name may follow
        submitted+=("$array")
        for place in "${todo[@]}"; do
            ask scontrol update JobId="${array}_$place" ReqNodeList="${nodes[place]}"
        done
        merge_words=(sbatch --dependency="afterany:$array" "${merge_words[@]:1}")
    fi
    merge=$(ask "${merge_words[@]}")
    merge=${merge%%;*}
    submitted+=("$merge")
    printf '%s\n' "${submitted[@]}" >>"$folder/slurm/jobs"
    [ -z "$array" ] || ask scontrol release "$array"
    submitted=() made=0 # it stands
    echo "folder: $folder"
    [ -z "$array" ] || echo "sweeps: job $array, ${#todo[@]} of ${#nodes[@]} nodes, a task each"
    echo "merge:  job $merge${array:+, after them}"
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    [ ${#submitted[@]} -eq 0 ] || scancel "${submitted[@]}" 2>/dev/null || true
    if [ "$made" -eq 1 ] && [ "$dry_run" -eq 0 ]; then
        rm -rf "$folder/slurm" "$folder/environment.json" "$folder/hosts.csv" "$folder/UNFINISHED"
        [ "$existed" -eq 1 ] || rmdir "$folder" 2>/dev/null || true
    fi
    rm -f "$errors" "$answer"
}

main() {
    local place
    parse_options "$@"
    check_tools
    declare -gA state=()
    partition='' folder='' todo=() submitted=() made=0 existed=0
    errors=$(mktemp)
    answer=$(mktemp)
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    [ -z "$resume" ] || read_folder
    options+=("${given[@]}") # of two, sbatch heeds the last
    read_states
    choose_nodes
    prepare_folder
    choose_tasks
    write_commands
    if [ "$dry_run" -eq 1 ]; then
        for place in "${todo[@]}"; do echo "task $place: ${nodes[place]}"; done
        [ ${#todo[@]} -eq 0 ] || echo "${task_words[*]@Q}"
        echo "${merge_words[*]@Q}"
        return
    fi
    submit
}

main "$@"
