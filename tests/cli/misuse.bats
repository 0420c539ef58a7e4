#!/usr/bin/env bats
# Misuse is stopped with one line: every kind with NUMA_ALLOC_CHECKS=on, the obvious ones always.

# shellcheck disable=SC2030,SC2031,SC2154 # each test exports its own; bats sets stderr and stderr_lines
bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# $1: a regular expression for the one line; the rest: kinds that end by SIGABRT with it.
stopped_with() {
    local line=$1 kind
    shift
    for kind in "$@"; do
        run --separate-stderr env LD_PRELOAD="$PWD/alloc/numa_alloc.so" build/tests/misuse "$kind"
        if [ "$status" -ne 134 ] || [ "${#stderr_lines[@]}" -ne 1 ] || [[ ! "$stderr" =~ ^numa_alloc:\ $line ]]; then
            echo "$kind: status $status, '$stderr'"
            return 1
        fi
    done
}

# The kinds whose names match $1.
kinds() {
    build/tests/misuse list | grep -E "$1"
}

block='0x[0-9a-f]+, a block of [0-9]+ bytes (allocated|freed) by '

@test "checks on: a block freed twice" {
    export NUMA_ALLOC_CHECKS=on
    stopped_with "free of a freed block \(double free\): $block" double-free-{small,medium,large} \
        double-free-{after-1,after-100,large-after-100} double-free-{here-then-in-thread,in-thread-then-here,in-two-threads}
    stopped_with "free of a (freed|pointer)" double-free-{huge,after-10000,large-in-two-threads}
}

@test "checks on: a pointer that is no block's start" {
    export NUMA_ALLOC_CHECKS=on
    local inside kinds
    inside='of a pointer into a block: 0x[0-9a-f]+, [0-9]+ bytes into a block of [0-9]+ bytes allocated by '
    mapfile -t kinds < <(kinds '^free-inside')
    stopped_with "free $inside" "${kinds[@]}"
    stopped_with "realloc $inside" realloc-inside-{small,large}
    stopped_with "malloc_usable_size $inside" usable-size-inside-{small,large}
    stopped_with "free of a pointer to no block: 0x" free-{static,stack,mapping-start,mapping-inside,low-address} \
        free-{never-allocated-256KiB-on,never-allocated-1GiB-on,before-aligned}
    stopped_with "realloc of a pointer to no block: 0x" realloc-{stack,freed-huge}
    stopped_with "malloc_usable_size of a pointer to no block: 0x" usable-size-stack
    stopped_with "realloc of a freed block: $block" realloc-freed-{small,large}
    stopped_with "malloc_usable_size of a freed block: $block" usable-size-freed-{small,large}
}

@test "checks on: freed with a wrong size" {
    export NUMA_ALLOC_CHECKS=on
    mapfile -t kinds < <(kinds 'sized.*-wrong$')
    stopped_with "freed as aligned to 4096 bytes: $block" free-aligned-wrong-alignment
    stopped_with "freed as a block of [0-9]+ bytes: $block" "${kinds[@]}"
}

@test "checks on: writes past the end, into freed blocks and into their list" {
    export NUMA_ALLOC_CHECKS=on
    mapfile -t kinds < <(kinds '^past-end-(small|medium)|^past-request|^overflow-into-next-(small|medium)')
    stopped_with "written past its end: $block" "${kinds[@]}"
    stopped_with "written to after it was freed: $block" write-after-free-{small,medium,large} corrupt-free-list
}

@test "checks on: guards end who leaves a large block, at either end" {
    export NUMA_ALLOC_CHECKS=on
    local kind
    for kind in $(kinds '^(past-end|overflow-into-next)-(large|huge)|^before-start-(large|huge)'); do
        run env LD_PRELOAD="$PWD/alloc/numa_alloc.so" build/tests/misuse "$kind"
        [ "$status" -eq 139 ] || { echo "$kind: status $status"; return 1; }
    done
}

@test "checks on: what is no misuse goes on" {
    export NUMA_ALLOC_CHECKS=on
    local kind
    for kind in new-freed new-array-deleted-plainly $(kinds '^calloc-after-dirty'); do
        run --separate-stderr env LD_PRELOAD="$PWD/alloc/numa_alloc.so" build/tests/misuse "$kind"
        [ "$status:$stderr" = 40: ] || { echo "$kind: status $status, '$stderr'"; return 1; }
    done
}

@test "always: invalid pointers into the library's memory, and large blocks freed twice" {
    stopped_with "free of an invalid pointer, or double free: 0x" double-free-{large,large-after-100,large-in-two-threads} \
        free-inside-large free-never-allocated-256KiB-on realloc-freed-large realloc-inside-large
    stopped_with "realloc of a pointer this library did not allocate: 0x" realloc-{stack,freed-huge}
}

@test "always: a pointer of nobody's is ignored, with one line" {
    local kind
    for kind in free-{stack,static,mapping-start,mapping-inside,low-address} double-free-huge; do
        run --separate-stderr env LD_PRELOAD="$PWD/alloc/numa_alloc.so" build/tests/misuse "$kind"
        [ "$status" -eq 40 ]
        [[ "$stderr" == "numa_alloc: free of 0x"*", which this library did not allocate; ignored (said once)" ]]
    done
}

@test "a kind that there is not" {
    run -1 build/tests/misuse no-such-kind
    [[ "$output" == *"there is no kind 'no-such-kind'"* ]]
}
