#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/migrate's command line, and what it says where there is nothing to move to. On a machine of several memory
# nodes it is measured as well; elsewhere the lab does that (tests/lab/guest_migrate.sh).

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# Ids of nodes with memory that this process may use, one a line.
memory_nodes() {
    local list
    list=$(awk '/^Mems_allowed_list/ { print $2 }' /proc/self/status)
    tr ',' '\n' <<<"$list" | awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }' |
        while read -r node; do
            awk -v node="$node" '/MemTotal/ && $4 > 0 { print node }' "/sys/devices/system/node/node$node/meminfo" \
                2>/dev/null || true
        done
}

one_node_only() {
    [ "$(memory_nodes | wc -l)" -lt 2 ] || skip "this machine has several memory nodes"
}

# Fails unless one line on stderr says what is wrong, nothing is on stdout and the status is $1.
complains() {
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "migrate: "* ]]
}

@test "--help: usage on stdout, every option and metric in it, status 0" {
    run --separate-stderr bench/migrate --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == "Usage: bench/migrate "* ]]
    for word in --from --to --size --pages --calls --batch --no-latency --cpu --csv migration_bandwidth \
        migration_cost latency_idle latency_during _p99 _mean "1e9 bytes" "Exit status"; do
        [[ $output == *"$word"* ]] || { echo "$word is missing" && false; }
    done
}

@test "bad values: status 2, one line on stderr, nothing on stdout" {
    for option in --bogus stray --from --from=x --from=-1 --from=1024 --from=1023 --to=1023 --to= --size=0 --size=4K \
        --size=x --pages --pages= --pages=4K '--pages=base,' --pages=base,,thp --calls=none --calls= --batch= --batch=0 \
        --batch=1,x --batch=-1 '--batch=all,all,' --batch=1K --no-latency=1 --node=0 --threads=2 --csv=1 \
        '--batch=1
2' $'--pages=base\nthp'; do
        run --separate-stderr bench/migrate "$option"
        complains 2 || { echo "$option: $status: $output: $stderr" && false; }
    done
}

@test "from a node to itself: status 2 and one line" {
    local node
    node=$(memory_nodes | head -n 1)
    [ -n "$node" ] || skip "/sys/devices/system/node is not readable"
    run --separate-stderr bench/migrate --from "$node" --to "$node"
    complains 2
}

@test "one memory node: status 1, and one line that says so and how to see it" {
    one_node_only
    run --separate-stderr bench/migrate --size 1M
    complains 1
    [[ $stderr == *"second node"* && $stderr == *"harness/lab.sh"* ]]
}

@test "one memory node, --csv: one row of status failed with the same reason" {
    one_node_only
    run --separate-stderr bench/migrate --size 1M --csv
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/rows.csv"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/rows.csv" "$stderr" <<'PYTHON'
import csv, sys

(row,) = csv.DictReader(open(sys.argv[1]))
assert row["bench"] == "migrate" and row["status"] == "failed" and row["value"] == "", row
assert sys.argv[2] == "migrate: " + row["reason"], row
PYTHON
}

@test "several memory nodes: pages arrive and every figure has its rows" {
    [ "$(memory_nodes | wc -l)" -ge 2 ] || skip "this machine has one memory node; the lab has more"
    local from to
    { read -r from && read -r to; } < <(memory_nodes)
    run --separate-stderr bench/migrate --from "$from" --to "$to" --size 4M --pages base --batch 64,all \
        --max-samples 2 --min-sample-ms 1 --csv
    if [ "$status" -eq 1 ] && [[ $stderr == *"kernel refuses"* ]]; then
        skip "$stderr"
    fi
    [ "$status" -eq 0 ]
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/rows.csv"
    /usr/bin/python3 - "$BATS_TEST_TMPDIR/rows.csv" "$from" "$to" <<'PYTHON'
import csv, sys

rows = [r for r in csv.DictReader(open(sys.argv[1])) if r["metric"].startswith("migration")]
assert {r["variant"] for r in rows} == {f"{c}/{b}" for c in ("move_pages", "mbind") for b in ("64", "all")}
for row in rows:
    assert (row["other_mem_node"], row["mem_node"]) == (sys.argv[2], sys.argv[3]), row
    assert row["placement"] == "verified" and float(row["value"]) > 0, row
PYTHON
}
