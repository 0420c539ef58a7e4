#!/usr/bin/env bats
# harness/run_matrix.sh --also: single measurements behind the cells, with stand-ins for the benchmarks.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/a project"
    write_single loaded
    write_single core2core
}

setup() {
    enter_test_folder
}

# $1: program. The stand-in writes down how it was called, and fails when SINGLE_FAIL is its name.
write_single() {
    cat >"$PROJECT/bench/$1" <<EOF
#!/bin/bash
echo "$1 \$*" >>"\$SINGLE_LOG"
[ -z "\${LD_PRELOAD:-}\${NUMA_ALLOC_POLICY:-}" ] || { echo "$1: placed by the allocator" >&2; exit 1; }
[ "\${SINGLE_FAIL:-}" != $1 ] || { echo "$1: this one fails" >&2; exit 1; }
echo name,arguments
echo "$1,\$*"
EOF
    chmod +x "$PROJECT/bench/$1"
}

also() {
    SINGLE_LOG="$PWD/log" one_cell --samples-only --out "$out" "$@"
}

@test "each measurement is made once behind the cells, and kept under its picture's name" {
    NUMA_ALLOC_POLICY=local also --also loaded,core2core
    [ "$(cat log)" = $'loaded --csv --cpu 0 --node 0\ncore2core --csv' ]
    [ "$(cat "$out/loaded.csv")" = $'name,arguments\nloaded,--csv --cpu 0 --node 0' ]
    [ "$(cat "$out/core2core.csv")" = $'name,arguments\ncore2core,--csv' ]
    [ ! -e "$out/UNFINISHED" ]
}

@test "a curve is measured with the CPU's own memory and the farthest, in one file under one header" {
    two_memories
    also --also loaded,loaded-matrix
    [ "$(cat "$out/loaded.csv")" = "name,arguments
loaded,--csv --cpu 0 --node 0
loaded,--csv --cpu 0 --node 2
loaded,--matrix --csv" ]
}

@test "the largest of the sweep's sizes is theirs" {
    also --also loaded,core2core --sizes 64K,1M,512K
    [ "$(cat log)" = $'loaded --csv --size 1M --cpu 0 --node 0\ncore2core --csv' ]
}

@test "one that fails is said and leaves the others" {
    SINGLE_FAIL=loaded run --separate-stderr also --also loaded,core2core
    [ "$status" -eq 1 ]
    [[ $stderr = *"latency under load, CPU 0, memory node 0 failed: exit status 1: loaded: this one fails"* ]]
    [ ! -e "$out/loaded.csv" ] && [ -s "$out/core2core.csv" ]
}

@test "what is resumed makes those that failed or are missing, and no other" {
    SINGLE_FAIL=core2core also --also loaded,core2core || [ $? -eq 1 ]
    rm log
    SINGLE_LOG="$PWD/log" sweep --resume "$out"
    [ "$(cat log)" = 'core2core --csv' ]
    [ -s "$out/core2core.csv" ] && [ -s "$out/loaded.csv" ]
}

@test "another choice is another plan" {
    also --also loaded
    run --separate-stderr sweep --resume "$out" --also core2core
    one_line_and 2
    [[ $stderr = *"another plan: --also is loaded there, core2core now"* ]]
}

@test "an unknown one is refused before anything runs" {
    run --separate-stderr also --also knee
    one_line_and 2
    [[ $stderr = *"--also: 'knee' is not accepted; curve, loaded, loaded-matrix, core2core"* ]]
    [ ! -e "$out" ]
}
