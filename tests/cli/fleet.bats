#!/usr/bin/env bats
# harness/run_matrix.sh --hosts: what is sent, run and brought back, and what becomes of hosts that fail.
# The hosts are made up: `made_up_ssh HOST COMMAND` runs the command here in a home folder of the host's own, and is what
# the hosts file names as the ssh command. But for the last test, their sweeps are stand-ins too.
# shellcheck disable=SC2154,SC2016

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/a project"
    printf '#!/bin/sh\n' >"$PROJECT/bench/preflight" && chmod +x "$PROJECT/bench/preflight"
    cp -r "$PROJECT" "$BATS_FILE_TMPDIR/real"
    # The stand-in takes run_matrix.sh's name, which is what is called on the hosts.
    mv "$PROJECT/harness/run_matrix.sh" "$PROJECT/harness/head.sh"
    write_sweep
}

setup() {
    enter_test_folder
    export HOMES="$PWD/homes of the hosts"
    head="$PROJECT/harness/head.sh"
    write_ssh
}

# A host's sweep: two cells, three rounds. It obeys the script $HOME/conduct, and counts its runs.
write_sweep() {
    cat >"$PROJECT/harness/run_matrix.sh" <<'EOF'
#!/bin/sh
printf '%s\n' "$@" >"$HOME/words"
host='' out='' latency=100
for word; do
    case $before in --out | --resume) out=$word ;; --host-name) host=$word ;; esac
    before=$word
done
[ ! -e "$HOME/conduct" ] || . "$HOME/conduct"
mkdir -p "$out/cells" && touch "$out/UNFINISHED"
[ -n "$host" ] && echo "$host" >"$out/host" || host=$(cat "$out/host")
echo '{"cpu_model": "Made-up CPU", "kernel": {"release": "6.1"}}' >"$out/environment.json"
echo x >>"$out/cells/tries"
[ -z "$seconds" ] || { echo $$ >"$HOME/pid" && exec sleep "$seconds"; }
header=run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,allocator,policy,pages,threads,size_bytes,variant,value,placement,placed_fraction,started_at,sample
{
    echo $header
    for node in 0 1; do
        for round in 1 2 3; do
            echo "${out##*/},$host,$round,latency.random.cpu0.node$node,latency,load_latency,ns,0,0,$node,numa_alloc,bind:$node,default,1,4096,random,$((latency * (1 + node))).$round,verified,1,2026-11-22T13:00:00Z,1"
        done
    done
} >"$out/samples.csv"
rm "$out/UNFINISHED"
EOF
    chmod +x "$PROJECT/harness/run_matrix.sh"
}

# It notes each command in HOMES/HOST.log, runs HOMES/HOST.ssh first, and has HOMES/HOST/bin first in PATH.
write_ssh() {
    mkdir "$HOMES"
    cat >made_up_ssh <<'EOF'
#!/bin/sh
while [ $# -gt 2 ]; do shift; done
host=$1
export HOME="$HOMES/$host" PATH="$HOMES/$host/bin:$PATH"
printf '%s\n' "$2" >>"$HOMES/$host.log"
mkdir -p "$HOME" && cd "$HOME"
[ ! -e "$HOMES/$host.ssh" ] || . "$HOMES/$host.ssh"
exec sh -c "$2"
EOF
    chmod +x made_up_ssh
}

# A hosts file of these names.
hosts() {
    printf '# a fleet\n\n' >hosts
    printf "$PWD/made_up_ssh %s\n" "$@" >>hosts
}

# What is said of a host before its sweep.
conduct() { # HOST SHELL_COMMANDS
    mkdir -p "$HOMES/$1"
    echo "$2" >"$HOMES/$1/conduct"
}

# "HOST STATUS" of each host, in order.
states() {
    cut -d , -f 1,3 "$out/hosts.csv" | tail -n +2 | paste -s -d ' '
}

fields() { # FILE COLUMN: one a line, without the header
    /usr/bin/python3 -c 'import csv, sys
for row in csv.DictReader(sys.stdin):
    print(row[sys.argv[1]])' "$2" <"$1"
}

reason_of() { # HOST
    paste -d , <(fields "$out/hosts.csv" host) <(fields "$out/hosts.csv" reason) | sed -n "s/^$1,//p"
}

rounds_of() { # HOST
    awk -F , -v host="$1" '$2 == host { print $4, $3 }' "$out/samples.csv" | sort | uniq -c | awk '{ print $1 }' | paste -s -d ' '
}

entries() { # FOLDER: how many it has
    find "$1" -mindepth 1 -maxdepth 1 | wc -l
}

how_often() { # HOST WORDS: commands that had them
    grep -c -- "$2" "$HOMES/$1.log" || true
}

@test "every host is swept, its results are here under its name, and there only the project stays" {
    hosts lab1 lab2 lab3
    run --separate-stderr "$head" --hosts hosts --bench latency --rounds 3 --out "$out"
    [ "$status" -eq 0 ]
    [ "$(states)" = "lab1,ok lab2,ok lab3,ok" ]
    for host in lab1 lab2 lab3; do
        [ "$(rounds_of $host)" = "1 1 1 1 1 1" ]
        [ -s "$out/hosts/$host/samples.csv" ]
        [ -s "$out/hosts/$host/matrix.csv" ]
        [ -s "$out/hosts/$host/environment.json" ]
        [ "$(entries "$HOMES/$host/.cache/numa_alloc")" -eq 2 ]
        [ -z "$(ls -A "$HOMES/$host/.cache/numa_alloc/runs")" ]
        printf '%s\n' --wait --out "$HOMES/$host/.cache/numa_alloc/runs/"*/"$host/a run" --host-name $host --samples-only \
            --bench=latency --rounds=3 >words
        diff <(sed 's|runs/[^/]*/|runs/*/|' "$HOMES/$host/words") words
    done
    [ "$(logged "$out")" = "1 2 3" ]
    [ ! -e "$out/UNFINISHED" ]
    [ ! -e "$out/package.tar" ]
    [[ $output = *"host  status"*"lab3  ok "*"hosts: 3 of 3 ok"* ]]
}

@test "the project is sent once" {
    hosts lab1
    "$head" --hosts hosts --out "$out"
    "$head" --hosts hosts --out "$out 2"
    [ "$(how_often lab1 'tar -xf')" -eq 1 ]
    [ "$(how_often lab1 'on_host.sh run')" -eq 2 ]
}

@test "the odd one is named" {
    hosts lab1 lab2 lab3
    conduct lab2 latency=130
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = *"lab2  ok "*"odd"*"odd: lab2: latency 30 % above the fleet's median in 2 of 2 cells"* ]]
    grep -q '^odd: lab2: ' "$out/verdict.txt"
}

@test "an unreachable host is a row with ssh's reason, and only it is tried again" {
    hosts lab1 lab2
    echo 'echo "ssh: connect to host lab2 port 22: No route to host" >&2; exit 255' >"$HOMES/lab2.ssh"
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$status" -eq 1 ]
    [ "$(states)" = "lab1,ok lab2,unreachable" ]
    [ "$(reason_of lab2)" = "ssh: connect to host lab2 port 22: No route to host" ]
    [ "$(grep -c 'lab2: unreachable: ssh: connect to host lab2' <<<"$stderr")" -eq 1 ]
    [[ $stderr = *"--resume "*"a\\ run"* || $stderr = *"--resume '"*"a run'"* ]]
    rm "$HOMES/lab2.ssh"
    run --separate-stderr "$head" --resume "$out"
    [ "$status" -eq 0 ]
    [ "$(states)" = "lab1,ok lab2,ok" ]
    [ "$(how_often lab1 'on_host.sh run')" -eq 1 ]
    [ "$(rounds_of lab1) $(rounds_of lab2)" = "1 1 1 1 1 1 1 1 1 1 1 1" ]
}

@test "a host that dies midway is a row with its reason, and its sweep goes on from what it had" {
    hosts lab1 lab2
    conduct lab2 seconds=300
    # The connection and the machine are gone once the sweep has begun.
    cat >"$HOMES/lab2.ssh" <<'EOF'
case $2 in
*"on_host.sh run"*)
    for try in $(seq 600); do [ -s "$HOME/pid" ] && break || sleep 0.05; done | sh -c "$2"
    echo 'echo "Connection timed out" >&2; exit 255' >"$HOMES/lab2.ssh"
    echo "Timeout, server lab2 not responding." >&2
    exit 255
    ;;
esac
EOF
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$status" -eq 1 ]
    [ "$(states)" = "lab1,ok lab2,incomplete" ]
    [[ $(reason_of lab2) = "the connection was lost after "*" s: Timeout, server lab2 not responding." ]]
    [ ! -d "/proc/$(cat "$HOMES/lab2/pid")" ]
    rm "$HOMES/lab2.ssh" "$HOMES/lab2/conduct"
    run --separate-stderr "$head" --resume "$out"
    [ "$status" -eq 0 ]
    [ "$(wc -l <"$out/hosts/lab2/cells/tries")" -eq 2 ]
    [ "$(rounds_of lab2)" = "1 1 1 1 1 1" ]
    [ -z "$(ls -A "$HOMES/lab2/.cache/numa_alloc/runs")" ]
}

@test "what a host that was lost had measured is fetched when it answers again" {
    hosts lab1
    conduct lab1 seconds=300
    cat >"$HOMES/lab1.ssh" <<'EOF'
case $2 in
*"on_host.sh run"*)
    for try in $(seq 600); do [ -s "$HOME/pid" ] && break || sleep 0.05; done | sh -c "$2"
    echo "Connection to lab1 closed by remote host." >&2
    exit 255
    ;;
esac
EOF
    run "$head" --hosts hosts --out "$out"
    [ "$status" -eq 1 ]
    [ "$(states)" = "lab1,incomplete" ]
    [ -s "$out/hosts/lab1/cells/tries" ]
    [ ! -e "$out/samples.csv" ] || [ "$(wc -l <"$out/samples.csv")" -eq 1 ]
}

@test "a sweep that cannot be done there is a failed row with its own words" {
    hosts lab1 lab2
    conduct lab1 'echo "run_matrix.sh: parallel is missing; harness/setup.sh installs it" >&2; exit 1'
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$status" -eq 1 ]
    [ "$(states)" = "lab1,failed lab2,ok" ]
    [ "$(reason_of lab1)" = "parallel is missing; harness/setup.sh installs it" ]
}

@test "a host of another processor, and one without tar, say so" {
    hosts lab1 lab2
    mkdir -p "$HOMES/lab1/bin" "$HOMES/lab2/bin"
    printf '#!/bin/sh\necho riscv64\n' >"$HOMES/lab1/bin/uname"
    printf '#!/bin/sh\necho "tar: no such thing" >&2; exit 127\n' >"$HOMES/lab2/bin/tar"
    chmod +x "$HOMES"/*/bin/*
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$status" -eq 1 ]
    [[ $(reason_of lab1) = "it is riscv64 and this project is built for $(uname -m): "*"--remote-path" ]]
    [ "$(reason_of lab2)" = "the project could not be sent: tar: no such thing" ]
    [ "$(entries "$HOMES/lab2/.cache/numa_alloc")" -eq 0 ]
}

@test "--remote-path uses what is there and sends nothing" {
    hosts lab1 lab2
    mkdir -p "$HOMES/lab1"
    cp -r "$PROJECT" "$HOMES/lab1/its own"
    # shellcheck disable=SC2088 # as somebody may quote it
    run --separate-stderr "$head" --hosts hosts --remote-path '~/its own' --out "$out"
    [ "$status" -eq 1 ]
    [ "$(states)" = "lab1,ok lab2,failed" ]
    [[ $(reason_of lab2) = "no harness/run_matrix.sh in 'its own' (--remote-path) there" ]]
    [ "$(how_often lab1 'tar -xf') $(how_often lab2 'tar -xf')" = "0 0" ]
}

@test "a head that is killed ends the sweeps on its hosts, and what they had counts when it goes on" {
    hosts lab1 lab2
    conduct lab1 seconds=300
    conduct lab2 seconds=300
    for signal in INT KILL; do
        rm -rf "$out" "$HOMES"/*/pid
        "$head" --hosts hosts --out "$out" 2>stderr &
        head_pid=$!
        until_true [ -s "$HOMES/lab1/pid" ]
        until_true [ -s "$HOMES/lab2/pid" ]
        kill -$signal $head_pid
        wait $head_pid || status=$?
        [ $signal = KILL ] || { [ "$status" -eq 130 ] && grep -q "interrupted; continue with: .*--resume" stderr; }
        ended() { [ ! -d "/proc/$(cat "$HOMES/lab1/pid")" ] && [ ! -d "/proc/$(cat "$HOMES/lab2/pid")" ]; }
        until_true ended
        [ -e "$out/UNFINISHED" ]
    done
    rm "$HOMES"/*/conduct
    run_again() { run --separate-stderr "$head" --resume "$out" && [[ $stderr != *"another sweep"* ]]; }
    until_true run_again
    [ "$status" -eq 0 ]
    [ "$(states)" = "lab1,ok lab2,ok" ]
    [ "$(wc -l <"$out/hosts/lab1/cells/tries")" -eq 2 ]
}

@test "words reach the hosts as they were typed, whatever the login shell there" {
    hosts lab1
    "$head" --hosts hosts --out "$out" --setup $'echo "a  b" \'c\'\necho $HOME *' --metric 'tps=(.*) \| \d+:1/s' --rounds 2 \
        -- sh -c 'echo $1' '{cpu}' '' "it's" '!! é %d \n' $'\n'
    printf '%s\n' '--metric=tps=(.*) \| \d+:1/s' $'--setup=echo "a  b" \'c\'\necho $HOME *' --rounds=2 -- sh -c 'echo $1' '{cpu}' '' \
        "it's" '!! é %d \n' $'\n' | sort >wanted
    tail -n +7 "$HOMES/lab1/words" | sort | diff wanted -
    # What csh would take for its own, even in quotes.
    run ! grep -q '!' "$HOMES/lab1.log"
    [ "$(wc -l <"$HOMES/lab1.log")" -eq 5 ]
}

@test "a login that says something first is no obstacle to the look at the host" {
    hosts lab1
    echo 'case $2 in *numa_alloc-fleet*) echo "Welcome to lab1" ;; esac' >"$HOMES/lab1.ssh"
    "$head" --hosts hosts --out "$out"
    [ "$(states)" = "lab1,ok" ]
}

@test "a login that greets at every command brings back the same, and no link or FIFO comes with it" {
    hosts a b
    cat >"$HOMES/a.ssh" <<'EOF'
echo Welcome, this is no tar
printf '\1\0\n'
EOF
    conduct b 'mkdir -p "$out/cells" && ln -s /etc/passwd "$out/cells/link" && mkfifo "$out/fifo"'
    run --separate-stderr "$head" --hosts hosts --out "$out"
    [ "$(states)" = "a,ok b,ok" ] || { echo "$status $stderr" && cat "$out/hosts.csv" && return 1; }
    [ "$(rounds_of a)" = "$(rounds_of b)" ]
    [ -d "$out/hosts/b/cells" ]
    [ -z "$(find "$out/hosts" ! -type d ! -type f)" ]
}

@test "bad hosts: one line that names file and line, or the word" {
    printf '# ok\nlab1\nlab[1-2]\n' >bad
    printf 'lab1\nme@lab1\n' >twice
    touch empty
    while IFS='|' read -r value said; do
        run --separate-stderr "$head" --hosts "$value" --out "$out"
        one_line_and 2 || { echo "$value" && return 1; }
        [[ $stderr = *"$said"* ]] || { echo "$stderr" && return 1; }
        [ ! -e "$out" ]
    done <<'END'
bad|bad:3: 'lab[1-2]' is not a host
twice|twice:2: host lab1 is named twice
empty|empty: names no host
lab1 lab,2|'lab,2' is not a host
no/such/file|'no/such/file' is not a host
END
    run --separate-stderr "$head" --hosts "lab1" --host-name me --out "$out"
    one_line_and 2
    echo 'no_such_ssh lab1' >missing
    run --separate-stderr "$head" --hosts missing --out "$out"
    one_line_and 1
    [[ $stderr = *"no_such_ssh is missing"* ]]
}

@test "resume takes the fleet's own plan only, and no other folder" {
    hosts lab1
    "$head" --hosts hosts --rounds 2 --out "$out"
    run --separate-stderr "$head" --resume "$out" --rounds 3
    one_line_and 2
    [[ $stderr = *"--rounds is 2 there, 3 now"* ]]
    run --separate-stderr "$head" --resume "$out"
    [ "$status" -eq 0 ]
    [[ $stderr = *"nothing to do: all 1 host"* ]]
    mkdir -p other/hosts && touch other/hosts.csv
    run --separate-stderr "$head" --resume other
    one_line_and 2
    [[ $stderr = *"is not that of a sweep of --hosts"* ]]
}

@test "a dry run names the hosts and touches none" {
    printf '%s\n' lab1 'ssh -p 22 me@lab2' >hosts
    run --separate-stderr "$head" --hosts hosts --dry-run --rounds 2 --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = "lab1: ssh "*" lab1 ..."*"lab2-22: ssh -p 22 "*" -l me lab2 ..."*"# each: harness/run_matrix.sh --rounds=2" ]]
    [ ! -e "$out" ]
}

@test "--json-progress prints objects only" {
    hosts lab1 lab2
    run --separate-stderr "$head" --hosts hosts --json-progress --out "$out"
    [ "$status" -eq 0 ]
    /usr/bin/python3 -c 'import json, sys
events = [json.loads(line) for line in sys.stdin]
assert [event["event"] for event in events] == ["plan", "host", "host", "finished"], events
assert sorted(event["host"] for event in events[1:3]) == ["lab1", "lab2"] and events[3]["status"] == 0' <<<"$output"
}

@test "--merge puts together what lies in hosts/" {
    hosts lab1 lab2
    "$head" --hosts hosts --out "$out"
    cp "$out/samples.csv" kept.csv
    rm "$out"/{samples,matrix,hosts}.csv "$out/verdict.txt"
    run --separate-stderr "$head" --merge "$out"
    [ "$status" -eq 0 ]
    cmp "$out/samples.csv" kept.csv
    [ "$(states)" = "lab1,ok lab2,ok" ]
    run --separate-stderr "$head" --merge nowhere
    one_line_and 2
}

@test "a real sweep of two hosts, and of this machine" {
    head="$BATS_FILE_TMPDIR/real/harness/run_matrix.sh"
    hosts lab1 lab2
    echo : >>hosts
    export HOME=$HOMES/here
    mkdir "$HOME"
    run --separate-stderr "$head" --hosts hosts --bench latency --cpus 0 --mem-nodes 0 --rounds 1 --extra-rounds 0 --out "$out"
    [ "$status" -eq 0 ]
    [ "$(states)" = "lab1,ok lab2,ok $(uname -n),ok" ]
    [ "$(fields "$out/matrix.csv" host | paste -s -d ' ')" = "lab1 lab2 $(uname -n)" ]
    [ "$(fields "$out/matrix.csv" run | sort -u)" = "a run" ]
    BENCH_FAIL=latency run --separate-stderr "$head" --hosts hosts --bench latency --cpus 0 --mem-nodes 0 --rounds 1 \
        --extra-rounds 0 --out "$out 2"
    [ "$status" -eq 1 ]
    [[ $(fields "$out 2/hosts.csv" reason | head -n 1) = "1 of 1 cell failed: latency.random.cpu0.node0: round 1: "*"this one fails" ]]
    run --separate-stderr "$head" --resume "$out 2"
    [ "$status" -eq 0 ]
}
