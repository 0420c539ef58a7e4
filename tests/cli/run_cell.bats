#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # `run` sets output, stderr, status and their lines, in each test anew
# shellcheck disable=SC2016 # single quotes keep variables for an inner shell
# harness/run_cell: what it measures and records, in which order, and what is left when any part of it is killed.

bats_require_minimum_version 1.5.0

setup_file() {
    RUN_CELL=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)/harness/run_cell
    export RUN_CELL
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    # In the command line of what a test leaves running, and of nothing else.
    MARK="86400.$$$BATS_TEST_NUMBER"
    export MARK
    files=(--record record --output output --errors errors)
}

teardown() {
    pkill -KILL -f "sleep $MARK" || true
}

cell() { # options, --, command
    "$RUN_CELL" "${files[@]}" "$@"
}

# The record's value of a key, as Python prints it.
recorded() {
    /usr/bin/python3 -c 'import json, sys; print(json.load(open("record"))[sys.argv[1]])' "$1"
}

at_least() { # value, least
    awk -v value="$1" -v least="$2" 'BEGIN { exit !(value >= least) }' || {
        echo "$1 is not at least $2"
        return 1
    }
}

sleepers() { # how many processes of the test are there
    pgrep -c -xf "sleep $MARK" || true
}

wait_until() { # a command that is true within 20 s
    for _ in {1..400}; do
        ! "$@" || return 0
        sleep 0.05
    done
    echo "in vain: $*"
    return 1
}

there_are() {
    [ "$(sleepers)" -eq "$1" ]
}

ended_with() { # process id; sets status
    status=0
    wait "$1" || status=$?
}

is_gone() { # process id; a zombie is gone
    [ ! -e "/proc/$1/stat" ] || [[ $(<"/proc/$1/stat") == *") Z "* ]]
}

# Three processes: the command, its child, and one that has gone into a session of its own.
FAMILY='setsid sleep $MARK & sleep $MARK & sleep $MARK'

# --- what is measured ---------------------------------------------------------------------------------------

@test "a run's record holds every key, and its output and errors are kept apart" {
    run cell -- sh -c 'echo data; echo trouble >&2'
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$(<output)" = data ]
    [ "$(<errors)" = trouble ]
    [ "$(recorded version)" -eq 1 ]
    [[ "$(recorded started_at)" =~ ^20[0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z$ ]]
    at_least "$(recorded wall_s)" 0.000001
    [ "$(recorded exit_status)" = 0 ]
    [ "$(recorded signal)" = 0 ]
    [ "$(recorded timed_out)" = False ]
    [ "$(recorded setup_status)" = None ]
    [ "$(recorded teardown_status)" = None ]
    [ "$(recorded ended_processes)" = 0 ]
    for key in user_s system_s peak_memory_bytes minor_faults major_faults voluntary_switches involuntary_switches; do
        at_least "$(recorded $key)" 0
    done
    [ "$(printf '%s\n' *)" = "$(printf '%s\n' errors output record)" ]
}

@test "wall time counts sleep, user time counts work, that of children too" {
    cell -- sh -c 'sleep 0.3'
    at_least "$(recorded wall_s)" 0.3
    slept=$(recorded user_s)
    at_least 0.2 "$slept"
    cell -- sh -c '/usr/bin/python3 -c "
import time
while time.process_time() < 0.3:
    for _ in range(100000): pass"; :'
    at_least "$(recorded wall_s)" 0.3
    at_least "$(recorded user_s)" 0.2
    at_least "$(/usr/bin/python3 -c "print($(recorded user_s) + $(recorded system_s))")" 0.3
}

@test "the peak of memory and the faults are those of the command's largest process" {
    cell -- true
    at_least 33554432 "$(recorded peak_memory_bytes)"
    at_least 8000 "$(recorded minor_faults)"
    cell -- sh -c '/usr/bin/python3 -c "
import mmap
memory = mmap.mmap(-1, 64 << 20)
memory.madvise(mmap.MADV_NOHUGEPAGE)
for at in range(0, 64 << 20, mmap.PAGESIZE): memory[at] = 1
memory.close()"; :'
    at_least "$(recorded peak_memory_bytes)" 67108864
    at_least "$(recorded minor_faults)" "$((67108864 / $(getconf PAGESIZE)))"
}

@test "waits are voluntary switches" {
    cell -- sh -c 'for _ in 1 2 3 4 5 6; do sleep 0.01; done'
    at_least "$(recorded voluntary_switches)" 6
}

@test "neither setup nor teardown is measured" {
    cell --setup 'sleep 0.5' --teardown 'sleep 0.5' -- true
    at_least 0.4 "$(recorded wall_s)"
}

# --- how it ends --------------------------------------------------------------------------------------------

@test "the exit status is the command's, and recorded" {
    for wanted in 0 1 3 255; do
        run cell -- sh -c "exit $wanted"
        [ "$status" -eq "$wanted" ]
        [ "$(recorded exit_status)" = "$wanted" ]
    done
}

@test "a command that a signal ends has no exit status, but its signal" {
    for number in 6 9 15; do
        run cell -- sh -c "kill -$number \$\$"
        [ "$status" -eq "$((128 + number))" ]
        [ "$(recorded exit_status)" = None ]
        [ "$(recorded signal)" = "$number" ]
        [ "$(recorded timed_out)" = False ]
    done
}

@test "a command that is not there, or cannot be executed, is one line among its errors and a record" {
    run -127 cell -- ./nothing
    [ "$(<errors)" = "run_cell: ./nothing: No such file or directory" ]
    [ "$(recorded exit_status)" = 127 ]
    : >file
    run -126 cell -- ./file
    [ "$(<errors)" = "run_cell: ./file: Permission denied" ]
    [ "$(recorded exit_status)" = 126 ]
}

@test "a command that runs past its time gets SIGTERM, and its children do" {
    run cell --timeout 0.3 -- sh -c 'sleep $MARK & sleep $MARK'
    [ "$status" -eq 124 ]
    [ "$(recorded timed_out)" = True ]
    [ "$(recorded signal)" = 15 ]
    at_least "$(recorded wall_s)" 0.3
    there_are 0
}

@test "a command that ignores SIGTERM is killed" {
    run cell --timeout 0.3 -- sh -c 'trap "" TERM; while :; do sleep 0.1; done'
    [ "$status" -eq 124 ]
    [ "$(recorded timed_out)" = True ]
    [ "$(recorded signal)" = 9 ]
    at_least "$(recorded wall_s)" 2.3
}

@test "a command that ends in time has not timed out" {
    run cell --timeout 60 -- sh -c 'exit 4'
    [ "$status" -eq 4 ]
    [ "$(recorded timed_out)" = False ]
}

# --- setup and teardown -------------------------------------------------------------------------------------

@test "setup, command and teardown run in this order and in the same folder; what the two print is among the errors" {
    run cell --setup 'echo setup; echo 1 >>order; pwd >>folders' --teardown 'echo teardown >&2; echo 3 >>order; pwd >>folders' \
        -- sh -c 'echo 2 >>order; pwd >>folders; echo data'
    [ "$status" -eq 0 ]
    [ "$(<order)" = $'1\n2\n3' ]
    [ "$(sort -u folders)" = "$PWD" ]
    [ "$(<output)" = data ]
    [ "$(<errors)" = $'setup\nteardown' ]
    [ "$(recorded setup_status)" = 0 ]
    [ "$(recorded teardown_status)" = 0 ]
}

@test "teardown runs when the command failed, and when it ran past its time" {
    run cell --teardown 'echo torn >>down' -- false
    [ "$status" -eq 1 ]
    run cell --timeout 0.2 --teardown 'echo torn >>down' -- sleep "$MARK"
    [ "$status" -eq 124 ]
    [ "$(<down)" = $'torn\ntorn' ]
}

@test "when setup fails, the command is not run, but teardown is" {
    run cell --setup 'exit 5' --teardown ': >torn' -- touch ran
    [ "$status" -eq 125 ]
    [ ! -e ran ]
    [ -e torn ]
    [ "$(recorded setup_status)" = 5 ]
    [ "$(recorded teardown_status)" = 0 ]
    [ "$(recorded exit_status)" = None ]
    [ "$(recorded signal)" = 0 ]
}

@test "a setup that takes too long is ended, and a failing teardown is told" {
    run cell --timeout 0.3 --setup 'sleep $MARK' --teardown 'kill -9 $$' -- touch ran
    [ "$status" -eq 124 ]
    [ ! -e ran ]
    [ "$(recorded setup_status)" = 143 ]
    [ "$(recorded teardown_status)" = 137 ]
    run cell --teardown 'exit 1' -- true
    [ "$status" -eq 125 ]
    [ "$(recorded exit_status)" = 0 ]
    [ "$(recorded teardown_status)" = 1 ]
}

@test "a server that setup starts serves the command, and is ended after teardown and counted" {
    run cell --setup 'setsid sleep $MARK >/dev/null 2>&1 &' --teardown 'pgrep -c -f "sleep $MARK" >at_teardown' \
        -- sh -c 'pgrep -c -f "sleep $MARK"'
    [ "$status" -eq 0 ]
    [ "$(<output)" -ge 1 ]
    [ "$(<at_teardown)" -ge 1 ]
    [ "$(recorded ended_processes)" = 1 ]
    there_are 0
}

@test "every process that is left is ended and counted, in whatever session, deaf to SIGTERM or stopped" {
    run cell -- sh -c 'sleep $MARK &
        setsid sh -c "trap \"\" TERM; sleep $MARK & sleep $MARK" &
        setsid sh -c ": >stopping; kill -STOP \$\$; sleep $MARK" &
        until [ -e stopping ] && [ "$(pgrep -c -xf "sleep $MARK")" -eq 3 ]; do sleep 0.01; done'
    [ "$status" -eq 0 ]
    [ "$(recorded ended_processes)" = 5 ]
    there_are 0
}

# --- what the command gets ------------------------------------------------------------------------------------

@test "the command, setup and teardown have an empty standard input and no other descriptor open" {
    exec 7<"$BATS_TEST_FILENAME" 33<"$BATS_TEST_FILENAME"
    look='ls -l /proc/self/fd | grep -c "run_cell.bats\|record\|socket" >>open; wc -c >>input'
    echo something | cell --setup "$look" --teardown "$look" -- sh -c "$look"
    exec 7<&- 33<&-
    [ "$(<open)" = $'0\n0\n0' ]
    [ "$(<input)" = $'0\n0\n0' ]
}

@test "standard descriptors that were closed are not taken for files" {
    "$RUN_CELL" "${files[@]}" -- sh -c 'echo data; echo trouble >&2' <&- >&- 2>&-
    [ "$(<output)" = data ]
    [ "$(<errors)" = trouble ]
    [ "$(recorded exit_status)" = 0 ]
}

@test "the command leads a process group, and signals that were ignored or blocked mean to it what they should" {
    cat >ignoring.py <<'END_OF_PYTHON'
import os, signal, sys
for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR1, signal.SIGTERM))
os.execv(sys.argv[1], sys.argv[1:])
END_OF_PYTHON
    /usr/bin/python3 ignoring.py "$RUN_CELL" "${files[@]}" -- \
        sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status; ps -o pid=,pgid= -p $$'
    [ "$(recorded exit_status)" = 0 ]
    [ "$(sed -n 's/SigBlk:[[:space:]]*//p' output)" = 0000000000000000 ]
    # Not 32 and 33, which are the C library's own: nothing can set them, and what make starts has them ignored.
    ignored=$(sed -n 's/SigIgn:[[:space:]]*//p' output)
    [ $((0x$ignored & ~0x180000000)) -eq 0 ]
    awk 'END { exit !(NF == 2 && $1 == $2) }' output
}

# --- what is never there: half of a record, or one of a run that was not done ----------------------------------

@test "a file system that is full is one line and exit status 120, and leaves no record, not even the last one's" {
    unshare -rm true 2>/dev/null || skip "mount namespaces are not permitted here"
    mkdir full
    run --separate-stderr unshare -rm sh -c '
        mount -t tmpfs -o size=64k,mode=777 tmpfs full || exit 77
        cd full && echo old >record
        "$RUN_CELL" --record record --output output --errors errors -- sh -c "head -c 1000000 /dev/zero"
        echo "status $?"; ls'
    [ "$status" -ne 77 ] || skip "tmpfs cannot be mounted here"
    [ "${lines[0]}" = "status 120" ]
    [ "${lines[*]:1}" = "errors output" ]
    [ "$stderr" = "run_cell: record: No space left on device" ]
}

@test "a limit on the size of files is one line and exit status 120, and leaves no record" {
    echo old >record
    run sh -c '{ ulimit -f 0; "$RUN_CELL" --record record --output output --errors errors -- true; echo "status $?"; } 2>&1 | cat'
    [ "$output" = $'run_cell: record: File too large\nstatus 120' ]
    [ "$(printf '%s\n' *)" = "$(printf '%s\n' errors output)" ]
}

@test "a folder that is not there, or cannot be written, is told before anything runs" {
    for option in record output errors; do
        run --separate-stderr cell --$option nowhere/file -- touch ran
        [ "$status" -eq 120 ]
        [ "$stderr" = "run_cell: nowhere/file: No such file or directory" ]
        [ ! -e ran ]
    done
    [ "$(id -u)" -ne 0 ] || skip "the rest needs a user that is not root"
    mkdir locked
    chmod a-w locked
    run --separate-stderr cell --record locked/record -- touch ran
    [ "$status" -eq 120 ]
    [ "$stderr" = "run_cell: locked/record: Permission denied" ]
    [ ! -e ran ]
}

@test "a record is not seen before it is whole" {
    cat >look.py <<'END_OF_PYTHON'
import json, subprocess, sys
for _ in range(40):
    run = subprocess.Popen(sys.argv[1:])
    while run.poll() is None:
        try:
            text = open("record").read()
        except FileNotFoundError:
            continue
        assert json.loads(text)["exit_status"] == 0, text
    assert json.load(open("record"))["exit_status"] == 0
END_OF_PYTHON
    /usr/bin/python3 look.py "$RUN_CELL" "${files[@]}" -- true
}

# --- whoever is killed ----------------------------------------------------------------------------------------

@test "SIGKILL of its parent ends it, and all that the command started" {
    sh -c 'echo $$ >parent; "$RUN_CELL" --record record --output output --errors errors -- sh -c "$1"; :' sh "$FAMILY" &
    wait_until there_are 3
    front=$(pgrep -P "$(<parent)")
    worker=$(pgrep -P "$front")
    kill -KILL "$(<parent)"
    wait_until there_are 0
    wait_until is_gone "$front"
    wait_until is_gone "$worker"
    [ ! -e record ]
}

@test "SIGKILL of run_cell ends all that setup and the command started" {
    "$RUN_CELL" "${files[@]}" --setup 'setsid sleep $MARK >/dev/null 2>&1 &' -- sh -c "$FAMILY" &
    wait_until there_are 4
    kill -KILL $!
    wait_until there_are 0
    [ ! -e record ]
}

@test "SIGKILL of the process that does the work ends all, with one line and exit status 120" {
    "$RUN_CELL" "${files[@]}" -- sh -c "$FAMILY" 2>said &
    wait_until there_are 3
    kill -KILL "$(pgrep -P $!)"
    ended_with $!
    [ "$status" -eq 120 ]
    [[ "$(<said)" == "run_cell: signal 9 ended it at its work; "*" processes of the run were ended" ]]
    there_are 0
    [ ! -e record ]
}

@test "SIGINT, SIGTERM and SIGHUP end everything: no teardown, no record, 128 + the signal" {
    for number in 2 15 1; do
        "$RUN_CELL" "${files[@]}" --teardown ': >torn' -- sh -c "$FAMILY" &
        wait_until there_are 3
        kill -"$number" $!
        ended_with $!
        [ "$status" -eq "$((128 + number))" ]
        there_are 0
        [ ! -e torn ]
        [ ! -e record ]
    done
}

@test "an interruption while setup or teardown runs leaves no record either" {
    for part in setup teardown; do
        "$RUN_CELL" "${files[@]}" --$part 'sleep $MARK' -- true &
        wait_until there_are 1
        kill -TERM $!
        ended_with $!
        [ "$status" -eq 143 ]
        there_are 0
        [ ! -e record ]
    done
}

# --- the conductor ---------------------------------------------------------------------------------------------

# $1: Python that has `ours`, and start(WORDS of the command...) for a run whose conductor it is.
conduct() {
    cat >conduct.py <<'END_OF_PYTHON'
import os, socket, subprocess, sys, time
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
ours.settimeout(20)
def start(*command, record="record"):
    run = subprocess.Popen([os.environ["RUN_CELL"], "--record", record, "--output", "output", "--errors", "errors",
                            "--conductor", str(theirs.fileno()), "--", *command], pass_fds=[theirs.fileno()],
                           stderr=subprocess.PIPE, text=True)
    theirs.close()
    return run
END_OF_PYTHON
    printf '%s\n' "$1" >>conduct.py
    /usr/bin/python3 conduct.py
}

@test "the conductor gets the record's path once it is there, and run_cell waits for its leave" {
    conduct '
run = start("sh", "-c", "exit 3")
assert ours.recv(4096) == b"record"
assert os.path.exists("record")
time.sleep(0.3)
assert run.poll() is None
ours.send(b"\n")
assert run.wait(20) == 3
assert ours.recv(4096) == b""'
}

@test "with the conductor gone in the middle, the record is there and the exit status the command's" {
    conduct '
run = start("sh", "-c", "sleep 0.3; exit 3")
time.sleep(0.1)
ours.close()
assert run.wait(20) == 3
assert os.path.exists("record")'
    rm record
    conduct '
run = start("sh", "-c", "exit 4")
assert ours.recv(4096) == b"record"
ours.close()
assert run.wait(20) == 4
assert os.path.exists("record")'
}

@test "with the conductor gone beforehand, nothing is run" {
    conduct '
ours.close()
run = start("touch", "ran")
said = run.communicate(timeout=20)[1]
assert run.returncode == 120
assert said.startswith("run_cell: --conductor ") and said.endswith(": the other end is closed\n"), said
assert not os.path.exists("ran") and not os.path.exists("record")'
}

@test "the conductor hears why there is no record" {
    conduct '
run = start("true", record="nowhere/record")
assert ours.recv(4096) == b"!nowhere/record: No such file or directory"
assert run.wait(20) == 120
assert ours.recv(4096) == b""'
}

@test "run_cell waiting for its leave ends with its parent, and by a signal" {
    conduct '
import signal
run = start("true")
assert ours.recv(4096) == b"record"
run.send_signal(signal.SIGTERM)
assert run.wait(20) == 128 + signal.SIGTERM
assert ours.recv(4096) == b""'
}

# --- the command line ------------------------------------------------------------------------------------------

@test "what cannot be obeyed is one line that says why, and exit status 2" {
    refused() { # line, arguments...
        local line=$1
        shift
        run --separate-stderr "$RUN_CELL" "$@"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "$stderr" = "run_cell: $line" ] || {
            echo "$stderr"
            return 1
        }
    }
    refused "--record is needed: the file that gets the record"
    refused "--output is needed: the file that gets the command's output" --record record -- true
    refused "--errors is needed: the file that gets what is printed on standard error" --record record --output output -- true
    refused "no command is given; it is expected after --" "${files[@]}"
    refused "--record: a value is missing; --help says which" --record
    refused "--retries: not an option here; --help lists them" --retries 3
    refused "-x: not an option here; --help lists them" -x
    for seconds in 0 -1 ten 3s nan 1e9 ''; do
        refused "--timeout: '$seconds' is not accepted; seconds, above 0 to 1e8, are" --timeout "$seconds" "${files[@]}" -- true
    done
    for descriptor in 0 2 3000 x 9x; do
        refused "--conductor: '$descriptor' is not accepted; the number, above 2, of an open SOCK_SEQPACKET socket is" \
            --conductor "$descriptor" "${files[@]}" -- true
    done
    [ ! -e record ] && [ ! -e output ] && [ ! -e errors ]
}

@test "--help names units, defaults, keys and exit statuses" {
    run "$RUN_CELL" --help
    [ "$status" -eq 0 ]
    for words in 'Usage: run_cell' 'SECONDS' '(default: none)' 'peak_memory_bytes' 'wall_s' '124 timed out' '2 bad usage'; do
        [[ "$output" == *"$words"* ]]
    done
    for key in $(cell -- true && /usr/bin/python3 -c 'import json; print(*json.load(open("record")))'); do
        [ "$key" = version ] || [[ "$output" == *"$key"* ]] || {
            echo "--help does not name $key"
            return 1
        }
    done
}
