#!/usr/bin/env bats
# What fuzzers have found stays mended: every fuzz target takes the inputs that are kept, and
# thousands of mutations of them, without a finding of the sanitizers or of its own.
# shellcheck disable=SC2154 # `run` sets output

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# $1: target, $2: how many mutations.
replay() {
    run -0 timeout 120 "build/replay/fuzz_$1" "$2" "tests/fuzz/corpus/$1"
    [[ "$output" =~ ^[1-9][0-9]*\ inputs,\ $2\ mutations$ ]]
}

@test "the environment's variables" {
    replay config 20000
}

@test "sysfs's nodes" {
    replay topology 10000
}

@test "meminfo and control groups" {
    replay memory_left 10000
}

@test "numa_run's lists and programs" {
    replay numa_run 20000
}

@test "numa_maps, smaps, vmstat and stat" {
    replay readers 20000
}

@test "the benchmarks' lists and options" {
    replay lists 20000
}

@test "a machine for preflight and its counters" {
    replay machine 1000
}

@test "the allocator's operations" {
    replay operations 1000
}

@test "every target is replayed here" {
    for target in tests/fuzz/fuzz_*.c; do
        target=${target##*/fuzz_}
        grep -q "replay ${target%.c} " tests/cli/fuzz.bats
    done
}
