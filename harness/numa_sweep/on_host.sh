#!/bin/sh
# A fleet's sweep of one host, on that host (docs/FLEET.md). host_job.sh has it called in the home folder:
#   on_host.sh run LABEL ID NAME WORDS    sweeps, or goes on with what an earlier try left; the sweep's exit status
#   on_host.sh fetch LABEL ID NAME        the run folder as a tar file on standard output
#   on_host.sh remove LABEL ID NAME
# LABEL is this host's name in the data, ID the fleet's, NAME its folder's. WORDS are where a user's command is run and the
# sweep's own options, quoted for sh and then escaped for `printf %b`. Standard input stays open for as long as the head is
# there; the sweep ends with it.
set -u
umask go-w # nobody else changes what is run and measured here

action=$1 label=$2 id=$3 name=$4
shift 4
case $0 in
/*) root=${0%/harness/*} ;;
*) root=$PWD/${0%/harness/*} ;;
esac
of_fleet=${HOME:?}/.cache/numa_alloc/runs/$id
run=$of_fleet/$label/$name

sweep() { # WORDS
    eval "set -- $(printf %b "$1")"
    # That of the head where there is one (a shared file system), as a job script would have it.
    cd -- "$1" 2>/dev/null || cd || exit
    shift
    if [ -e "$run/environment.json" ]; then
        set -- --resume "$run"
    else
        rm -rf -- "$run" && mkdir -p -- "${run%/*}" || exit
        set -- --out "$run" --host-name "$label" --samples-only "$@"
    fi
    exec 3<&0
    "$root/harness/run_matrix.sh" --wait "$@" </dev/null >&2 3<&- &
    sweep=$!
    (read -r _ <&3; kill -TERM "$sweep") 2>/dev/null &
    watch=$!
    wait "$sweep"
    status=$?
    kill "$watch" 2>/dev/null
    exit "$status"
}

case $action in
run) sweep "$@" ;;
fetch)
    cd -- "$run" || exit
    echo numa_alloc-fleet-folder # after whatever the login has said
    exec tar -cf - .
    ;;
remove)
    rm -rf -- "${of_fleet:?}/$label"
    rmdir -- "$of_fleet" 2>/dev/null
    exit 0
    ;;
esac
echo "on_host.sh: unknown action '$action'" >&2
exit 2
