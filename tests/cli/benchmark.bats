#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/benchmark --watch: what it shows where standard output is a file or a pipe, in a terminal, and how it ends.
# Pages that move are shown in the lab (tests/lab/guest_migrate.sh), since they need a second node.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    watched="$BATS_TEST_TMPDIR/watched"
}

# Waits until the file has $1 lines of a look; fails after 20 s.
looks() {
    local tries=0
    until [ "$(grep -c '^watch: ' "$watched")" -ge "$1" ]; do
        sleep 0.05
        tries=$((tries + 1))
        [ $tries -lt 400 ]
    done
}

# Starts a watch of 1 MiB that reads a FIFO, as $pid.
start() {
    mkfifo "$BATS_TEST_TMPDIR/keys"
    bench/benchmark --size 1M --watch --watch-ms 10 "$@" <"$BATS_TEST_TMPDIR/keys" >"$watched" 3>&- &
    pid=$!
    exec 4>"$BATS_TEST_TMPDIR/keys"
}

# The pages of the line $1, all nodes together.
pages() {
    grep -oE 'N[0-9]+=[0-9]+' <<<"$1" | awk -F= '{ sum += $2 } END { print sum + 0 }'
}

@test "a look is a line of pages on each node, as many as were counted before" {
    run --separate-stderr bench/benchmark --size 1M --watch </dev/null
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ $output != *unverified* ]] || skip "this kernel does not say where pages are"
    local before after
    before=$(pages "$(grep '^pages: ' <<<"$output")")
    after=$(grep '^watch: ' <<<"$output")
    [[ $after =~ ^watch:\ [0-9.]+\ s(\ N[0-9]+=[0-9]+)+$ ]]
    [ "$(pages "$after")" -eq "$before" ]
    [[ $output == *"migratepages ${lines[0]##* } FROM TO"* ]]
}

@test "it looks again and again, walking in between, until Enter" {
    start
    looks 3
    printf 'not yet' >&4
    looks 5
    kill -0 "$pid"
    printf '\n' >&4
    wait "$pid"
    exec 4>&-
    grep '^watch: ' "$watched" | tail -n +2 >"$watched.later"
    [ "$(grep -cvE '^watch: [0-9.]+ s( N[0-9]+=[0-9]+( \([+-][0-9]+\))?)+, [0-9.]+ ns a load on CPU [0-9]+ \(node [0-9]+\)$' \
        "$watched.later")" -eq 0 ]
}

@test "the end of input ends it" {
    start
    looks 2
    exec 4>&-
    wait "$pid"
}

@test "SIGTERM and SIGINT end it, status 0" {
    for signal in TERM INT; do
        rm -f "$BATS_TEST_TMPDIR/keys"
        start
        looks 2
        kill -"$signal" "$pid"
        wait "$pid"
        exec 4>&-
    done
}

@test "with --no-wait it does not read its input" {
    start --no-wait
    exec 4>&-
    looks 2
    local before
    before=$(wc -l <"$watched")
    looks "$before"
    kill "$pid"
    wait "$pid"
}

@test "--watch-ms alone watches" {
    run --separate-stderr bench/benchmark --size 1M --watch-ms 10 </dev/null
    [ "$status" -eq 0 ]
    [[ $output == *"watch: 0.0 s "* ]]
}

@test "bad values: status 2, one line on stderr, nothing on stdout" {
    for option in --watch=1 --watch-ms --watch-ms= --watch-ms=x --watch-ms=9 --watch-ms=-1 --watch-ms=1.5 \
        --watch-ms=3600001; do
        run --separate-stderr bench/benchmark "$option" </dev/null
        [ "$status" -eq 2 ] || { echo "$option: $status" && false; }
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == "benchmark: --watch"* ]]
    done
}

@test "where move_pages is refused, whole mappings are watched" {
    [ -r /proc/self/numa_maps ] || skip "no numa_maps here"
    local status=0
    build/tests/refuse EPERM true 2>"$watched" || status=$?
    [ "$status" -ne 125 ] || skip "system calls cannot be filtered here: $(cat "$watched")"
    run --separate-stderr build/tests/refuse EPERM bench/benchmark --size 1M --watch </dev/null
    [ "$status" -eq 0 ]
    [ "$(pages "$(grep '^watch: ' <<<"$output")")" -ge 256 ]
}

@test "output that cannot be written: status 1 and one line" {
    [ -w /dev/full ] || skip "no /dev/full here"
    run --separate-stderr bash -c 'bench/benchmark --size 1M --watch --no-wait >/dev/full'
    [ "$status" -eq 1 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
}

# Rows of the screen $1 columns wide and $2 high, as a terminal is left with after a second of watching.
in_terminal() {
    /usr/bin/python3 - "$1" "$2" <<'PYTHON'
import fcntl, os, pty, select, struct, sys, termios, time

columns, rows = int(sys.argv[1]), int(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0:
    time.sleep(0.2)  # until the terminal has its size
    os.environ["TERM"] = "xterm"
    os.execv("bench/benchmark", ["benchmark", "--size", "1M", "--watch-ms", "50"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
shown, keyed = b"", False
while True:
    select.select([terminal], [], [], 20)
    try:
        read = os.read(terminal, 4096)
    except OSError:  # the other side has closed it
        break
    if not read:
        break
    shown += read
    if not keyed and shown.count(b"watch: ") >= 4:
        keyed = os.write(terminal, b"\n")
assert os.waitpid(pid, 0)[1] == 0
sys.stdout.write(shown.decode())
PYTHON
}

@test "a terminal's block is rewritten in place, as wide as the terminal" {
    run in_terminal 80 24
    [ "$status" -eq 0 ]
    [[ $output == *$'\033['[0-9]*A$'\r''watch: '* ]]
    [[ $output == *'100.0 %'*'####'* ]]
    run awk '/^\r?(\033\[[0-9]+A|\033\[J)*\r?(watch|  N[0-9])/ { gsub(/\033\[[0-9]*[A-Z]|\r/, ""); if (length > 79) print }' <<<"$output"
    [ -z "$output" ]
}

@test "a terminal without room for the block gets a line a look" {
    for size in '40 24' '80 2'; do
        read -r columns rows <<<"$size"
        run in_terminal "$columns" "$rows"
        [ "$status" -eq 0 ]
        [[ $output != *$'\033'* && $output == *'watch: 0.0 s N'* ]]
    done
}
