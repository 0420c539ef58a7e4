#!/usr/bin/env bats
# Processes that start without what nearly all have: descriptors, /proc and /sys, standard streams, static TLS.

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || exit 1
    root=$PWD
    library=$PWD/alloc/numa_alloc.so
    workload=$PWD/build/tests/injection/workload
    node=$(cut -d, -f1 /sys/devices/system/node/has_memory | cut -d- -f1)
}

# Takes and frees blocks of every kind under each policy. $@: what runs the workload.
all_policies() {
    local policy
    for policy in "bind:$node" interleave:all "weighted:$node=2" local none; do
        "$@" env LD_PRELOAD="$library" NUMA_ALLOC_POLICY="$policy" "$workload" bare || {
            echo "$policy: status $?"
            return 1
        }
    done
}

# The loader needs a descriptor itself: a program that has none to spare is one without it.
static_program() {
    cd "$BATS_TEST_TMPDIR" || return 1
    cat >static.c <<'C'
#include <stdlib.h>
#include <string.h>
static char *blocks[64];
int main(void) {
    for (int lap = 0; lap < 100; lap++) {
        for (size_t i = 0; i < 64; i++) {
            size_t size = (size_t)1 << i % 24;
            free(blocks[i]);
            if ((blocks[i] = malloc(size)) == NULL)
                return 1;
            memset(blocks[i], lap, size < 4096 ? size : 4096);
        }
    }
    return 0;
}
C
    gcc -static -o static static.c "$root/alloc/libnuma_alloc.a" || skip "no static C library: harness/setup.sh"
}

@test "without a descriptor to spare blocks are good under every policy" {
    local policy
    static_program
    for policy in "bind:$node" interleave:all "weighted:$node=2" local none; do
        # shellcheck disable=SC2016 # the inner shell's
        run bash -c 'exec 3>&- ; ulimit -n 3 && NUMA_ALLOC_POLICY=$0 exec ./static' "$policy"
        echo "$policy: $output"
        [ "$status" -eq 0 ]
        [ -z "$output" ]
    done
}

@test "without /proc and /sys blocks are good under every policy" {
    unshare -m true 2>/dev/null || skip "mounts cannot be changed here"
    # shellcheck disable=SC2016 # the inner shell's
    run all_policies unshare -m bash -c 'mount -t tmpfs none /sys && mount -t tmpfs none /proc && exec "$@"' bash
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "with its standard streams closed a program's blocks are good, and the one warning goes nowhere" {
    # shellcheck disable=SC2016
    run all_policies build/tests/refuse EPERM bash -c 'exec "$@" 0<&- 1>&- 2>&-' bash
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "statistics that cannot be written for want of descriptors harm nothing" {
    static_program
    # shellcheck disable=SC2016
    run bash -c 'exec 3>&- ; ulimit -n 3 && NUMA_ALLOC_STATS=$0 exec ./static' "$BATS_TEST_TMPDIR/stats"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ ${lines[0]} == "numa_alloc: NUMA_ALLOC_STATS: cannot write "*EMFILE* ]]
}

@test "opened late with no static TLS left: one clear error, and preloaded it does not matter" {
    cd "$BATS_TEST_TMPDIR" || return 1
    cat >tls.c <<'C'
__thread char room[SIZE] __attribute__((tls_model("initial-exec")));
char *take(void) { return room; }
C
    for size in 16 32 64 128 256 512 1024; do
        gcc -shared -fPIC -DSIZE=$size -o tls$size.so tls.c
        cp tls$size.so more$size.so
    done
    cat >late.c <<'C'
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    static const int sizes[] = {1024, 512, 256, 128, 64, 32, 16};
    char path[64], *block;
    for (int i = 0; i < 14; i++) {
        snprintf(path, sizeof path, "./%s%d.so", i % 2 ? "more" : "tls", sizes[i / 2]);
        (void)dlopen(path, RTLD_NOW);
    }
    if (argc > 1 && dlopen(argv[1], RTLD_NOW) == NULL)
        puts(dlerror());
    block = malloc(1000);
    free(block);
    return block == NULL;
}
C
    gcc -o late late.c
    export GLIBC_TUNABLES=glibc.rtld.optional_static_tls=0
    run ./late "$library"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"cannot allocate memory in static TLS block"* ]]
    run env LD_PRELOAD="$library" ./late
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}
