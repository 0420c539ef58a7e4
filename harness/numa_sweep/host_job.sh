#!/usr/bin/env bash
# One host of a fleet, seen from the head: connect, send the project where it is not there yet, sweep, bring the run folder
# back, and take it away there once all of it has arrived and nothing in it failed. GNU parallel runs one of these a host.
#
#   host_job.sh LABEL WORD...     WORDs run on the host what comes after them as one word: `ssh -p 2222 lab1`
#
# fleet.py sets FLEET_FOLDER (of the fleet), FLEET_PACKAGE (the file to send; empty where the project is there), three texts
# quoted for a shell, FLEET_PROJECT (where the project is, or will be, on the hosts), FLEET_RUN (on_host.sh's ID and NAME)
# and FLEET_SWEEP (its WORDS), and two descriptors: FLEET_ALIVE, which ends when the head does, and
# FLEET_REPORTS, which gets one line: LABEL STATUS STARTED_AT SECONDS REASON, with tabs between.
set -u -o pipefail

label=$1
shift
words=("$@")
exec 3<&"$FLEET_ALIVE" 4>&"$FLEET_REPORTS"
exec {FLEET_ALIVE}<&- {FLEET_REPORTS}>&-
TZ=UTC printf -v started_at '%(%Y-%m-%dT%H:%M:%SZ)T' -1
log=$FLEET_FOLDER/log/$label.txt
arriving=$FLEET_FOLDER/arriving/$label
arrived=$FLEET_FOLDER/hosts/$label

# What the host's shell gets. One line each and no !, for the sake of csh.
# shellcheck disable=SC2016
{
    look='cd; echo numa_alloc-fleet $(uname -m) $(test -x "$1/harness/run_matrix.sh" && echo there || echo absent)'
    # Under another name until it is whole: two heads, or two hosts with one home, may send at the same time.
    receive='cd && new="$1.$(uname -n).$$" && umask go-w && mkdir -p "$new" && tar -xf - -C "$new" && test -e "$new/complete" && { mv -T "$new" "$1" 2>/dev/null || test -e "$1/complete"; }; status=$?; rm -rf "$new"; exit $status'
    call='cd && exec sh "$0" "$@"'
}
look="sh -c '$look' sh $FLEET_PROJECT"
receive="sh -c '$receive' sh $FLEET_PROJECT"
on_host="sh -c '$call' $FLEET_PROJECT/harness/numa_sweep/on_host.sh"

on_host() { # command line; its standard input and output are the caller's
    "${words[@]}" "$1" 2>>"$log" 3<&- 4>&-
}

last_words() { # what was said last, without the name of who said it
    local line last=''
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line//[[:cntrl:]]/ }
        [ -z "${line// /}" ] || last=$line
    done <"$log"
    last=${last#run_matrix.sh: }
    last=${last%%; continue with: *} # of the sweep there; the fleet is what can be continued
    last=${last:0:400}
    echo "${last%"${last##*[! ]}"}"
}

end_with() { # STATUS REASON
    printf '%s\t%s\t%s\t%s\t%s\n' "$label" "$1" "$started_at" "$SECONDS" "$2" >&4
    [ "$1" = ok ]
    exit
}

connect() { # sets $project to `there` or `absent`
    local said status machine
    said=$(on_host "$look" <&3)
    status=$?
    read -r machine project <<<"${said##*numa_alloc-fleet }" # a login may have said something before
    [ "$status" -ne 255 ] || end_with unreachable "$(last_words)"
    case "$status $project" in
    '0 there' | '0 absent') ;;
    *) end_with failed "cannot run sh there (exit status $status): $(last_words)" ;;
    esac
    if [ -z "$FLEET_PACKAGE" ]; then
        [ "$project" = there ] || end_with failed "no harness/run_matrix.sh in $FLEET_PROJECT (--remote-path) there"
    elif [ "$machine" != "$(uname -m)" ]; then
        end_with failed "it is $machine and this project is built for $(uname -m): build it there and use --remote-path"
    fi
}

send() {
    on_host "$receive" <"$FLEET_PACKAGE" >>"$log" || end_with failed "the project could not be sent: $(last_words)"
}

after_greetings() { # what a login prints before it does what it is asked to
    local line
    while IFS= read -r line; do
        [ "$line" != numa_alloc-fleet-folder ] || exec cat
    done 2>/dev/null
    return 1
}

bring_back() { # the run folder, as far as there is one
    rm -rf -- "$arriving"
    mkdir -p -- "$arriving" || return
    on_host "$on_host fetch $label $FLEET_RUN" </dev/null | after_greetings |
        tar -xf - -C "$arriving" --no-same-owner --no-same-permissions 2>>"$log" &&
        # A run's folder has files and folders alone: a link would lead elsewhere on this machine, a FIFO keep who reads it.
        find "$arriving" ! -type d ! -type f -delete &&
        rm -rf -- "$arrived" && mv -T -- "$arriving" "$arrived"
}

{ # read as a whole before it begins: the file may be changed under a sweep of hours
    : >"$log" || exit
    connect
    [ "$project" = there ] || send

    swept=$SECONDS
    on_host "$on_host run $label $FLEET_RUN $FLEET_SWEEP" <&3 >>"$log"
    status=$?
    reason=$(last_words)
    [ -n "$reason" ] || reason="exit status $status"
    [ "$status" -ne 255 ] || reason="the connection was lost after $((SECONDS - swept)) s: $reason"
    if bring_back; then
        if [ "$status" -eq 255 ] || [ -e "$arrived/UNFINISHED" ] || [ ! -e "$arrived/samples.csv" ]; then
            end_with incomplete "$reason"
        fi
        [ "$status" -eq 0 ] || end_with failed "$reason"
        on_host "$on_host remove $label $FLEET_RUN" </dev/null >>"$log"
        end_with ok ''
    fi
    case $status in
    0) end_with incomplete "its results could not be brought back: $(last_words)" ;;
    255) end_with incomplete "$reason" ;;
    *) end_with failed "$reason" ;;
    esac
}
