#!/usr/bin/env bats
# shellcheck disable=SC2030,SC2031 # `run` sets output, stderr and lines in each test anew
# The library linked into programs: shared, static, from C and from C++, and the example of docs/API.md.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    [ -e "$root/alloc/libnuma_alloc.a" ] || {
        echo "no $root/alloc/libnuma_alloc.a: run make" >&2
        return 1
    }
    cd "$BATS_TEST_TMPDIR" || return 1
    ln -s "$root/alloc" alloc
    node=$(sed 's/[-,].*//' /sys/devices/system/node/has_memory 2>/dev/null || echo 0)
    # A container may refuse memory policies, and each program would say so.
    export NUMA_ALLOC_ON_ERROR=silent
}

need_static_libc() {
    echo 'int main(void) { return 0; }' >empty.c
    gcc -static -o empty empty.c 2>/dev/null || skip "there is no static C library"
}

# Writes program.c: uses malloc, threads, fork and the library's functions; prints what is wrong.
write_program() {
    cat >program.c <<'C'
#include "numa_alloc.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void expect(int holds, const char *what) {
    if (!holds)
        printf("not so: %s\n", what);
}

static int node;

static void *allocate(void *unused) {
    (void)unused;
    for (int i = 0; i < 1000; i++) {
        char *block = na_malloc_on(node, (size_t)(i * 97));
        expect(block != NULL && na_node_of(block) == node, "a thread's block is on its node");
        memset(block, 1, (size_t)(i * 97));
        free(block);
    }
    return strdup("from a thread");
}

int main(int argc, char **argv) {
    pthread_t thread;
    void *text;
    int status = 1;
    node = argc > 1 ? atoi(argv[1]) : 0;
    expect(na_node_of(malloc(100)) == node, "malloc is the library's");
    expect(pthread_create(&thread, NULL, allocate, NULL) == 0, "a thread starts");
    pthread_join(thread, &text);
    expect(na_node_of(text) == node, "libc's own blocks are the library's");
    free(text);
    pid_t child = fork();
    if (child == 0)
        _exit(allocate(NULL) == NULL);
    expect(waitpid(child, &status, 0) == child && status == 0, "a child allocates");
    puts("all tried");
    return 0;
}
C
}

# Builds program.c with the arguments and fails unless every expectation holds; also the environment is read:
# a policy that cannot be ends the program before main.
builds_and_works() {
    gcc -Wall -Wextra -Werror -O1 -pthread -I alloc -o program program.c "$@"
    run -0 --separate-stderr env NUMA_ALLOC_POLICY="bind:$node" ./program "$node"
    [ "$output" = "all tried" ]
    [ -z "$stderr" ]
    NUMA_ALLOC_POLICY=none NUMA_ALLOC_STATS=stats.json ./program "$node" >output
    grep -q '"policy": "none"' stats.json
    grep -q 'not so: malloc' output # it is, but placed on no node
    run -2 --separate-stderr env NUMA_ALLOC_POLICY=bind:x ./program "$node"
    [ -z "$output" ]
    [[ $stderr == "numa_alloc: NUMA_ALLOC_POLICY=bind:x: "* ]]
}

@test "linked with numa_alloc.so" {
    write_program
    builds_and_works -L alloc -l:numa_alloc.so -Wl,-rpath,"$PWD/alloc"
}

@test "linked with libnuma_alloc.a, position-independent and not" {
    write_program
    builds_and_works alloc/libnuma_alloc.a
    builds_and_works -no-pie alloc/libnuma_alloc.a
}

@test "linked statically altogether" {
    need_static_libc
    write_program
    builds_and_works -static alloc/libnuma_alloc.a
    builds_and_works -static-pie alloc/libnuma_alloc.a
}

@test "a static program that names none of its functions gets them with -u malloc" {
    need_static_libc
    cat >program.c <<'C'
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) { return argc > 5 ? puts(strdup(argv[0])) : 0; }
C
    gcc -static -Wl,-u,malloc -o program program.c alloc/libnuma_alloc.a
    NUMA_ALLOC_STATS=stderr ./program 2>&1 | grep -q '"policy"'
}

# The promises of the preloaded library that depend most on who is set up first.
@test "threads, fork, and programs' beginnings and ends, with libnuma_alloc.a" {
    local name
    for name in fork fork_handlers thread_exit loading; do
        gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -pthread -rdynamic -o "$name" "$root/tests/alloc/test_$name.c" \
            alloc/libnuma_alloc.a -lcmocka
        nm "$name" | grep -q ' T malloc$'
        TEST_ANY_ALLOCATOR=1 "./$name"
    done
}

@test "numa_alloc.h is plain C and C++, and all it declares is exported" {
    local name names
    printf '#include "numa_alloc.h"\n#include "numa_alloc.h"\n' >header.c
    for standard in c99 c11 gnu17; do
        gcc -std=$standard -pedantic -Wall -Wextra -Wstrict-prototypes -Werror -fsyntax-only -I alloc header.c
    done
    cat >program.cpp <<'CPP'
#include "numa_alloc.h"
#include <cerrno>
#include <cstdlib>
#include <new>
#include <vector>
int main(int argc, char **argv) {
    int node = argc > 1 ? std::atoi(argv[1]) : 0;
    struct na_stats stats = {};
    stats.struct_bytes = sizeof stats;
    void *block = na_aligned_alloc_on(node, 256, 1000);
    std::vector<int> numbers(100000, 1);
    size_t counts[1] = {0};
    int *one = new int(1);
    bool ours = na_node_of(one) == node && na_node_of(block) == node && na_node_of(numbers.data()) == node;
    delete one;
    std::free(block);
    return ours && na_resident(counts, 0, counts, 1) == NA_RESIDENT_OK && na_stats(&stats) == 0 ? 0 : 1;
}
CPP
    for standard in c++11 c++20; do
        g++ -std=$standard -pedantic -Wall -Wextra -Werror -I alloc -o program program.cpp \
            -L alloc -l:numa_alloc.so -Wl,-rpath,"$PWD/alloc"
        NUMA_ALLOC_POLICY="bind:$node" ./program "$node"
    done
    g++ -std=c++11 -I alloc -o program program.cpp alloc/libnuma_alloc.a
    NUMA_ALLOC_POLICY="bind:$node" ./program "$node"
    names=$(gcc -E -I alloc header.c | grep -oE '\bna_[a-z_]+\(' | tr -d '(' | sort -u)
    [ "$(wc -l <<<"$names")" -eq 7 ]
    for name in $names; do
        nm -D --defined-only alloc/numa_alloc.so | grep -q " T $name\$"
    done
}

# Runs ./example of docs/API.md as the document does.
example_works() {
    local resident
    run -0 --separate-stderr env NUMA_ALLOC_POLICY="bind:$node" ./example "$node"
    echo "$output"
    [ "${lines[0]}" = "asked from node $node" ]
    resident=${lines[1]}
    [[ $resident == "16384 pages on node $node" || $resident == "the kernel will not say where it is: "* ]]
    [[ ${lines[2]} =~ ^[0-9]+\ bytes\ live,\ [0-9]+\ committed$ ]]
    run -1 --separate-stderr ./example 1023
    [ "$stderr" = "no memory from node 1023: Invalid argument" ]
}

@test "the example of docs/API.md, built as it says" {
    local command
    # shellcheck disable=SC2016 # the document's own marks
    sed -n '/^```c$/,/^```$/{/^```/d;p}' "$root/docs/API.md" >example.c
    [ "$(grep -c '^gcc ' "$root/docs/API.md")" -eq 3 ]
    while read -r command; do
        [[ $command != *-static* ]] || need_static_libc
        rm -f example
        bash -c "$command -Wall -Wextra -Werror"
        example_works
    done < <(grep '^gcc ' "$root/docs/API.md" | sed 's/ *#.*//')
}
