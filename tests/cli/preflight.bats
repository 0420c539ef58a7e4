#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr and status
# bench/preflight as a user meets it: its table, its JSON, its exit statuses, and a filter that refuses NUMA calls.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

@test "the table has a line a check, at most 100 columns, and nothing on stderr" {
    run --separate-stderr bench/preflight --watch-ms 20
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for name in mbind move_pages numa_maps perf_core perf_uncore msr huge_2m huge_1g numa_balancing governor smt \
        cpu_quota memory_limit virtualised steal clock_source; do
        [[ $'\n'$output == *$'\n'"$name "* ]] || { echo "no $name"; return 1; }
    done
    awk 'length > 100 { print; found = 1 } END { exit found }' <<<"$output"
}

@test "python reads the JSON: machine, checks and levels agree" {
    run --separate-stderr bench/preflight --json --watch-ms 20
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    /usr/bin/python3 - "$output" <<'PYTHON'
import json, os, sys

data = json.loads(sys.argv[1])
levels = [check["level"] for check in data["checks"]]
assert data["levels"] == {level: levels.count(level) for level in ("ok", "note", "warn")}, data["levels"]
assert len({check["name"] for check in data["checks"]}) == len(levels) >= 25
for check in data["checks"]:
    assert set(check) == {"name", "level", "value", "meaning", "do"}, check
    assert check["value"], check
    assert check["level"] == "ok" or check["meaning"], check
    assert check["level"] != "ok" or not check["do"], check
    assert check["level"] != "warn" or check["do"], check
machine = data["machine"]
assert machine["kernel"] == os.uname().release, machine
assert machine["cpus"] >= len(os.sched_getaffinity(0)), machine
assert machine["nodes"] and all("memory_bytes" in node for node in machine["nodes"]), machine
PYTHON
}

@test "a busy CPU is found and named, and --strict says it with exit status 1" {
    local cpu load
    cpu=$(awk '/^Cpus_allowed_list/ { split($2, list, /[,-]/); print list[1] }' /proc/self/status)
    taskset -c "$cpu" timeout 20 sh -c 'while :; do :; done' 3>&- &
    load=$!
    run --separate-stderr bench/preflight --strict
    kill "$load"
    echo "$output"
    [ "$status" -eq 1 ]
    grep -E '^busy_cpus +warn' <<<"$output"
}

@test "only the CPUs that taskset leaves are looked at" {
    local cpu
    cpu=$(awk '/^Cpus_allowed_list/ { split($2, list, /[,-]/); print list[1] }' /proc/self/status)
    [ "$(nproc)" -gt 1 ] || skip "needs two CPUs"
    run --separate-stderr taskset -c "$cpu" bench/preflight --watch-ms 20
    [ "$status" -eq 0 ]
    grep -E "^cpuset +note +CPUs $cpu of " <<<"$output"
}

@test "behind a filter that refuses NUMA calls each is named as refused, with what to do" {
    local errno=0
    build/tests/refuse EPERM true 2>/dev/null || errno=$?
    [ "$errno" -ne 125 ] || skip "system calls cannot be filtered here"
    run --separate-stderr build/tests/refuse EPERM bench/preflight --watch-ms 20
    [ "$status" -eq 0 ]
    for name in mbind set_mempolicy get_mempolicy move_pages; do
        grep -E "^$name +note +refused: .* seccomp" <<<"$output"
    done
    grep -q -- '--cap-add SYS_NICE' <<<"$output"
}

@test "an ordinary user gets an answer too" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to become another user"
    cp bench/preflight "$BATS_TEST_TMPDIR/preflight"
    chmod 755 "$BATS_TEST_TMPDIR/preflight"
    as_nobody=(setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all)
    "${as_nobody[@]}" test -x "$BATS_TEST_TMPDIR/preflight" || skip "the tests' folder is root's alone"
    run --separate-stderr "${as_nobody[@]}" "$BATS_TEST_TMPDIR/preflight" --watch-ms 20
    echo "$status: $stderr"
    [ "$status" -eq 0 ]
    [[ $output == *move_pages* ]]
}

@test "help states the levels and the exit statuses" {
    run --separate-stderr bench/preflight --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for word in --json --strict --watch-ms note warn 'Exit status'; do
        [[ $output == *"$word"* ]]
    done
}

@test "bad usage is one line and exit status 2" {
    for arguments in --no-such-option '--watch-ms 5' '--watch-ms x' stray; do
        # shellcheck disable=SC2086
        run --separate-stderr bench/preflight $arguments
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == 'preflight: '* ]]
    done
}

@test "a full disk is said" {
    [ -w /dev/full ] || skip "no /dev/full"
    run --separate-stderr bash -c 'bench/preflight --watch-ms 20 >/dev/full'
    [ "$status" -eq 1 ]
    [[ $stderr == 'preflight: '* ]]
}
