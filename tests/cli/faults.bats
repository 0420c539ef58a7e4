#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/faults' command line: its rows, what it checks, and kernels that refuse.

bats_require_minimum_version 1.5.0

QUICK=(--size 1M --threads 1 --max-samples 1 --min-sample-ms 1)
SAMPLES=(--pages base --variants "write,read,malloc")

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # HIDE: a file that is not there.
    cat >"$BATS_FILE_TMPDIR/hide.c" <<'END'
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

FILE *fopen(const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    const char *hidden = getenv("HIDE");
    return hidden != NULL && strcmp(hidden, path) == 0 ? NULL : next(path, mode);
}
END
    gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/hide.so" "$BATS_FILE_TMPDIR/hide.c" -ldl
}

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

memory_nodes() { # one a line
    [ -r /sys/devices/system/node/has_memory ] || skip "/sys/devices/system/node is not readable"
    tr ',' '\n' </sys/devices/system/node/has_memory |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

# Runs a command behind the filter, and skips the test where there can be none.
refused() {
    run --separate-stderr build/tests/refuse "$@"
    [ "$status" -ne 125 ] || skip "system calls cannot be filtered here"
}

# Columns $2... (by name) of the rows of $output for which the column before "=" in $1 has the value after it; all
# rows for "". No field here holds a comma.
columns() {
    local only=$1
    shift
    awk -F, -v only="$only" -v names="$*" '
        NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; split(only, which, "="); n = split(names, name, " "); next }
        only == "" || $at[which[1]] == which[2] {
            line = ""
            for (i = 1; i <= n; i++) line = line (i > 1 ? " " : "") $at[name[i]]
            print line
        }' <<<"$output"
}

# Fails unless the program said on one line of stderr what is wrong, printed nothing and ended with $1.
complains() {
    echo "$status: $output / $stderr"
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "faults: "* ]]
}

@test "--help: usage, every way, metric and option, status 0" {
    run --separate-stderr bench/faults --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == "Usage: bench/faults "* ]]
    for word in --size --nodes --pages --threads --variants --csv write populate read malloc fault_cost \
        fault_bandwidth zero_again unmap_cost mmap mbind "1e9 bytes" "Exit status"; do
        [[ $output == *"$word"* ]]
    done
}

@test "bad usage: one line, status 2" {
    for arguments in "--pages x" "--pages base,base" "--pages ," "--nodes x" "--nodes 9999" "--threads 0" \
        "--threads 99999" "--threads x" "--variants x" "--variants write,write" "--size 1" "--cpu 99999" "more"; do
        read -r -a words <<<"$arguments"
        run --separate-stderr bench/faults "${words[@]}"
        complains 2
    done
}

@test "--csv: every way and metric on every node, each page by one fault" {
    nodes=$(memory_nodes)
    run --separate-stderr bench/faults "${QUICK[@]}" "${SAMPLES[@]}" --csv
    echo "$output / $stderr"
    [ "$status" -eq 0 ]
    [ "$(columns variant=write mem_node metric unit)" = "$(for node in $nodes; do
        printf "$node %s\n" "fault_cost ns" "fault_bandwidth GB/s" "zero_again ns" "unmap_cost ns"
    done)" ]
    [ "$(columns variant=write mem_node policy | sort -u)" = "$(for node in $nodes; do echo "$node bind:$node"; done)" ]
    [ "$(columns variant=write allocator pages threads size_bytes placement | sort -u)" = \
        "mmap base 1 1048576 verified" ]
    [ "$(columns variant=read mem_node metric)" = $' fault_cost\n unmap_cost' ]
    [ "$(columns variant=read pages placement pages_on_nodes | sort -u)" = "base unverified " ]
    [ "$(columns variant=malloc allocator metric)" = $'glibc fault_cost\nglibc fault_bandwidth\nglibc zero_again\nglibc unmap_cost' ]
    [ "$(columns "" value | grep -c '^[0-9][0-9.e+-]*$')" -eq $((${#lines[@]} - 1)) ]
    for variant in write read; do
        columns variant=$variant proof | awk '{ exit !($1 >= $5 && $1 <= 1.01 * $5 + 1) }'
    done
}

@test "faults do not mark their own samples" {
    run --separate-stderr bench/faults "${QUICK[@]}" "${SAMPLES[@]}" --max-samples 3 --csv
    [ "$status" -eq 0 ]
    [ -z "$(columns disturbed=faulted value)" ]
}

@test "threads get a slice each: --threads LIST" {
    [ "$(nproc)" -ge 2 ] || skip "one CPU only"
    run --separate-stderr bench/faults "${QUICK[@]}" --threads 1-2 --pages base --variants write,malloc --csv
    [ "$status" -eq 0 ]
    [ "$(columns "" threads size_bytes | sort -u)" = $'1 1048576\n2 2097152' ]
}

@test "the table: a row a figure, with what was checked" {
    run --separate-stderr bench/faults "${QUICK[@]}" "${SAMPLES[@]}"
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "first touch from CPU "*"1M bytes a thread"* ]]
    [ "$(grep -c '^write .* verified (.* page faults for ' <<<"$output")" -eq "$(memory_nodes | wc -l)" ]
    [ "$(grep -c '^read .* of no node ' <<<"$output")" -eq 1 ]
}

@test "pages that are not to be had are skipped, with the reason; none at all: status 1" {
    run --separate-stderr bench/faults "${QUICK[@]}" --pages 1G --size 4G --variants write --csv
    if [ "$status" -eq 0 ]; then skip "pages of 1G are reserved here"; fi
    [ "$status" -eq 1 ]
    [[ ${stderr_lines[0]} == "faults: 1G pages, skipped: "* ]]
    [ "$(columns "" status)" = failed ]
}

@test "transparent huge pages: a fault each, or said to be off" {
    run --separate-stderr bench/faults "${QUICK[@]}" --pages thp --variants write --csv
    case $(cat /sys/kernel/mm/transparent_hugepage/enabled 2>/dev/null) in
    '' | *'[never]'*)
        [ "$status" -eq 1 ]
        [[ ${stderr_lines[0]} == *"transparent huge pages are off"* ]]
        ;;
    *)
        echo "$output / $stderr"
        if [ "$status" -eq 1 ]; then # no free memory in one piece
            [[ $(columns "" reason) == "the kernel gave base pages"* ]]
        else
            [ "$status" -eq 0 ]
            [[ $(columns "" pages | sort -u) =~ ^(thp|mixed)$ ]]
        fi
        ;;
    esac
}

@test "more than half of a node's free memory is refused, not got" {
    run --separate-stderr bench/faults "${QUICK[@]}" --size 1024G --pages base --variants write
    [ "$status" -eq 1 ]
    [[ ${stderr_lines[0]} == *"over half of the "*"M that are free on node "* ]]
}

@test "where the kernel refuses policies the first touch decides; --nodes: status 1" {
    refused EPERM bench/faults "${QUICK[@]}" "${SAMPLES[@]}" --csv
    echo "$output / $stderr"
    [ "$status" -eq 0 ]
    [[ ${stderr_lines[0]} == *"memory cannot be bound to a node (mbind: "* ]]
    [ "$(columns variant=write policy | sort -u)" = none ]
    refused EPERM bench/faults "${QUICK[@]}" --nodes 0
    complains 1
}

@test "where the kernel says nothing of pages they are unverified, and measured" {
    refused EPERM env HIDE=/proc/self/numa_maps LD_PRELOAD="$BATS_FILE_TMPDIR/hide.so" \
        bench/faults "${QUICK[@]}" "${SAMPLES[@]}" --csv
    [ "$status" -eq 0 ]
    [ "$(columns variant=write placement | sort -u)" = unverified ]
    [[ $stderr == *"would not say where the pages are"* ]]
}

@test "before MADV_POPULATE_WRITE that way fails, and the others are measured" {
    refused EPERM +populate bench/faults "${QUICK[@]}" --pages base --variants write,populate --csv
    [ "$status" -eq 0 ]
    [[ $(columns variant=populate status reason) == "failed "*"Linux 5.14"* ]]
    [ "$(columns variant=write metric | wc -l)" -eq 4 ]
    refused EPERM +populate bench/faults "${QUICK[@]}" --pages base --variants populate
    [ "$status" -eq 1 ]
}

@test "an allocator is measured by its own way: malloc" {
    node=$(memory_nodes | head -n 1)
    run --separate-stderr env LD_PRELOAD=alloc/numa_alloc.so NUMA_ALLOC_POLICY="bind:$node" \
        bench/faults "${QUICK[@]}" --variants malloc --csv
    [ "$status" -eq 0 ]
    [ "$(columns "" allocator policy mem_node placement | sort -u)" = "numa_alloc bind:$node $node verified" ]
}
