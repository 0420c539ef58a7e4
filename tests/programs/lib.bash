# shellcheck shell=bash
# What the scripts of this folder share. check.py runs a script twice: with `prepare`, once, in a folder whose files
# all runs may then read as $PREPARED; and with `work` in an empty folder for each mode. What `work` prints on
# standard output must be the same, byte for byte, under every mode as without the library.
#
# From check.py: $PREPARED; $LIBRARY (empty: without it); $MODE_VARIABLES; $EVIDENCE, the folder in which what was
# seen of the processes is left; $EXTENT, full or light; $PORT, a free one of 127.0.0.1.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export root=${here%/*/*}
export LC_ALL=C.UTF-8 TZ=UTC
servers=()

# Ends the script, for a reason that is printed: the program is not tested here.
skip() {
    echo "$*"
    exit 77
}

# Skips where a program is not installed.
needs() {
    local program
    for program in "$@"; do
        [ -n "$(type -P "$program")" ] || skip "$program is not installed"
    done
}

# A number of the workload: $1 on the host, $2 where everything is slow.
size() {
    if [ "$EXTENT" = light ]; then echo "$2"; else echo "$1"; fi
}

# Sets the array environment: what a program under test is started with, besides what there is.
set_environment() {
    environment=()
    [ -n "$LIBRARY" ] || return 0
    read -r -a environment <<<"$MODE_VARIABLES"
    environment+=("LD_PRELOAD=$LIBRARY" "NUMA_ALLOC_STATS=$EVIDENCE/%p.json")
}
set_environment

# Runs the program under test. Every process of it that ends by exit leaves its statistics.
under() {
    env "${environment[@]}" "$@"
}

# Starts a server that is under test. $1: its log. Sets server, its process id.
start() {
    server_log=$1
    shift
    env "${environment[@]}" "$@" <&0 >"$server_log" 2>&1 &
    server=$!
    servers+=("$server")
}

# Waits for a condition of a running server, a minute, or ten where everything is slow.
await() {
    local tries
    for ((tries = $(size 600 6000); tries > 0; tries--)); do
        ! "$@" >/dev/null 2>&1 || return 0
        ! gone "$server" || break
        sleep 0.1
    done
    ! "$@" >/dev/null 2>&1 || return 0 # it may just have ended
    tail -n 5 "$server_log" >&2
    echo "waited in vain: $*" >&2
    return 1
}

# Keeps what the kernel says of a running process: that the library is mapped, and where its memory is.
look_at() {
    cp "/proc/$1/maps" "$EVIDENCE/$1.maps"
    cp "/proc/$1/numa_maps" "$EVIDENCE/$1.numa_maps" 2>/dev/null || true
}

# As a condition for await, too: a server that has ended by itself is gone.
gone() {
    ! kill -0 "$1" 2>/dev/null
}

# Stops a server as its administrator would. $1: process id, $2: signal.
stop() {
    local status=0
    kill -"${2:-TERM}" "$1"
    await gone "$1"
    wait "$1" || status=$?
    [ "$status" -eq 0 ] || echo "the server ended with status $status" >&2
    servers=()
    return "$status"
}

# shellcheck disable=SC2317 # called by the trap
end_servers() {
    [ ${#servers[@]} -eq 0 ] || kill -KILL "${servers[@]}" 2>/dev/null || true
}
trap end_servers EXIT
trap 'exit 143' TERM

# A script without a need to prepare anything defines no prepare.
# shellcheck disable=SC2317 # called as $1
prepare() {
    :
}
