#!/usr/bin/env bats
# The torture finds what is planted, repeats itself, and logs what it has run.
# shellcheck disable=SC2154 # bats sets stderr and stderr_lines

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    library=build/tests/plant.so:alloc/numa_alloc.so
}

# $1: what is planted, $2: a part of the line that must come; the rest: further options.
finds() {
    local plant=$1 line=$2
    shift 2
    run -1 --separate-stderr env TORTURE_PLANT="$plant" build/tests/torture --library "$library" \
        --policy bind:"$(sed 's/[^0-9].*//' /sys/devices/system/node/has_memory)" --seed 7 --seconds 30 "$@"
    [[ "$stderr" == *"FAILED: seed 7, thread "*"$line"*"again: build/tests/torture --library $library"* ]]
}

@test "nothing planted: nothing found, and the run tells what it did" {
    run -0 --separate-stderr build/tests/torture --library alloc/numa_alloc.so --seed 7 --seconds 1
    [[ "$output" =~ ^seed=7\ threads=4\ operations=[1-9][0-9]*\ seconds=.*\ forks=[1-9].*\ signals=[1-9] ]]
    run -0 --separate-stderr build/tests/torture --library "$library" --seed 7 --seconds 1
}

@test "a byte that changes in a live block is found" {
    finds flip ": byte 33 is 0x"
}

@test "a byte that changes in a forked child is found" {
    finds child ": byte 7 is 0x"
}

@test "a block handed out twice is found" {
    finds twice ": overlaps a live block"
}

@test "a block inside another is found" {
    finds inside "" --policy none
}

@test "memory refused without need is found" {
    finds refused ": malloc of 17 bytes"
}

@test "a calloc that is not zero is found" {
    finds dirty "(calloc): byte "
}

@test "contents lost by realloc are found" {
    finds lost ": byte 8 is 0x00"
}

@test "a wrong alignment is found" {
    finds unaligned "(memalign): not at a multiple of"
}

@test "a usable size below what was asked for is found" {
    finds short ": malloc_usable_size " # says, at once, or later was and is
}

@test "a free that changes errno is found" {
    finds errno ": a free changed errno"
}

@test "a block on another node is found" {
    finds node ": na_node_of says node 60"
}

@test "blocks that are never given back are found" {
    finds leak " are live after all blocks were freed" --seconds 0 --operations 20000
}

@test "a call that never returns is found" {
    finds hang ": no thread has done anything for 1 seconds" --stuck 1 --no-forks
}

@test "with one thread a seed finds the same again, at the same operation" {
    finds twice ": overlaps a live block" --threads 1
    first=$(grep -o 'operation [0-9]* ([a-z ]*)' <<<"$stderr")
    finds twice ": overlaps a live block" --threads 1
    [ "$(grep -o 'operation [0-9]* ([a-z ]*)' <<<"$stderr")" = "$first" ]
}

@test "bad options are one line and status 2" {
    run -2 --separate-stderr build/tests/torture --threads 0
    [ "${#stderr_lines[@]}" -eq 1 ]
    run -2 --separate-stderr build/tests/torture --seconds 0
    run -2 --separate-stderr build/tests/torture --seed
}

@test "runs add up in a log, each in the next mode" {
    export TORTURE_LOG="$BATS_TEST_TMPDIR/log.tsv"
    run -0 tests/torture/run.sh 2 1
    run -0 env SECONDS=60 tests/torture/run.sh 1 1 # as make does
    [[ "${lines[-1]}" == "1 passed, 0 failed" ]]
    local runs=$(($(wc -l <"$TORTURE_LOG") - 1)) # a slow machine does fewer in the time
    [ "$runs" -ge 2 ]
    [ "$(cut -f 2 "$TORTURE_LOG" | paste -s -d ' ')" = "run $(seq -s ' ' 0 $((runs - 1)))" ]
    [ "$(cut -f 4 "$TORTURE_LOG" | sort -u | wc -l)" -eq $((runs + 1)) ]
    [ "$(cut -f 13 "$TORTURE_LOG" | sort -u | tr '\n' ' ')" = "passed verdict " ]
    run -0 tests/torture/run.sh --summary
    [[ "$output" == *"| all | $runs |"* ]]
}
