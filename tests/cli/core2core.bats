#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/core2core's command line: its pairs, its rows, and machines that do not play along.

bats_require_minimum_version 1.5.0

QUICK=(--max-samples 2 --min-sample-ms 1)

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # HIDE: files that are not there. STARVE: where a second thread stands still, as if other programs kept its CPU:
    # before it begins, or at its first look at the clock.
    cat >"$BATS_FILE_TMPDIR/odd.c" <<'END'
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int is(const char *name, const char *value) {
    const char *set = getenv(name);
    return set != NULL && strcmp(set, value) == 0;
}

FILE *fopen(const char *path, const char *mode) {
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return is("HIDE", path) ? NULL : next(path, mode);
}

static void *stand_still(void *argument) {
    for (;;)
        pause();
    return argument;
}

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    create *next = (create *)dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, is("STARVE", "begin") ? stand_still : run, argument);
}

typedef int get_time(clockid_t, struct timespec *);
int clock_gettime(clockid_t clock, struct timespec *now) {
    get_time *next = (get_time *)dlsym(RTLD_NEXT, "clock_gettime");
    if (gettid() != getpid() && is("STARVE", "clock"))
        stand_still(NULL);
    return next(clock, now);
}
END
    gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/odd.so" "$BATS_FILE_TMPDIR/odd.c" -ldl
}

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

allowed_cpus() { # one a line
    awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

two_cpus() { # the first two, with a comma
    [ "$(allowed_cpus | wc -l)" -ge 2 ] || skip "one CPU only"
    allowed_cpus | head -n 2 | paste -s -d ,
}

# The column $1 (by name) of the rows of $output, one a line. No field here holds a comma.
column() {
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { print $at }' <<<"$output"
}

# Fails unless the program said on one line of stderr what is wrong, printed nothing and ended with $1.
complains() {
    echo "$status: $output / $stderr"
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "core2core: "* ]]
}

@test "--help: usage, both variants, every option, status 0" {
    run --separate-stderr bench/core2core --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == "Usage: bench/core2core "* ]]
    for word in --cpus --lines --variants --node --cpu --csv cas store-load "one-way" "Exit status"; do
        [[ ${output,,} == *"${word,,}"* ]]
    done
    [[ $output != *--size* ]]
}

@test "bad usage: one line, status 2" {
    for arguments in "--cpus x" "--cpus 0" "--cpus 0,99999" "--cpus 1-0" "--lines 3" "--lines 0" "--variants x" \
        "--variants cas,cas" "--variants cas," "--variants ca" "--size 1M" "--node 9999"; do
        read -r -a words <<<"$arguments"
        run --separate-stderr bench/core2core "${words[@]}"
        complains 2
    done
}

@test "one CPU: status 1, one line, and a failed row with --csv" {
    cpu=$(allowed_cpus | head -n 1)
    run --separate-stderr taskset -c "$cpu" bench/core2core
    complains 1
    [[ $stderr == *"two CPUs"* ]]
    run --separate-stderr taskset -c "$cpu" bench/core2core --csv
    [ "$status" -eq 1 ]
    [ "$(column status)" = failed ]
}

@test "--csv: a row a sample, every two CPUs, both variants, counted" {
    cpus=$(two_cpus)
    run --separate-stderr bench/core2core "${QUICK[@]}" --csv
    [ "$status" -eq 0 ]
    n=$(allowed_cpus | wc -l)
    [ "${#lines[@]}" -eq $((1 + 2 * 2 * n * (n - 1) / 2)) ]
    [ "$(column metric | sort -u)" = handover_latency ]
    [ "$(column unit | sort -u)" = ns ]
    [ "$(column threads | sort -u)" = 2 ]
    [ "$(column variant | sort -u)" = $'cas\nstore-load' ]
    [ "$(paste -d ' ' <(column cpu) <(column other_cpu) | sort -u | wc -l)" -eq $((n * (n - 1) / 2)) ]
    [ "$(column cpu | head -n 1),$(column other_cpu | head -n 1)" = "$cpus" ]
    [ "$(column size_bytes | sort -u)" = 4096 ]
    [ "$(column value | grep -c '^[0-9][0-9.]*$')" -eq $((${#lines[@]} - 1)) ]
    [[ $(column proof | head -n 1) == *" hand-overs counted in 64 lines"* ]]
}

@test "--cpus, --lines and --variants choose" {
    cpus=$(two_cpus)
    run --separate-stderr bench/core2core "${QUICK[@]}" --cpus "$cpus" --lines 6 --variants cas --csv
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 3 ]
    [ "$(column variant | sort -u)" = cas ]
    [ "$(column size_bytes | sort -u)" = 384 ]
    [[ $(column proof | head -n 1) == *"in 6 lines"* ]]
}

@test "the table: a matrix and a summary a variant" {
    cpus=$(two_cpus)
    run --separate-stderr bench/core2core "${QUICK[@]}" --cpus "$cpus"
    [ "$status" -eq 0 ]
    [ "$(grep -c '^   CPU ' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^pairs of ' <<<"$output")" -eq 2 ]
    [[ $output == *"cas, ns one way"* && $output == *"store-load, ns one way"* && $output == *"in strict turns"* ]]
}

@test "where the kernel says nothing of pages they are unverified, and measured" {
    cpus=$(two_cpus)
    run --separate-stderr build/tests/refuse EPERM env HIDE=/proc/self/numa_maps \
        LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" bench/core2core "${QUICK[@]}" --cpus "$cpus" --csv
    [ "$status" -ne 125 ] || skip "system calls cannot be filtered here"
    [ "$status" -eq 0 ]
    [ "$(column placement | sort -u)" = unverified ]
    [[ $stderr == *"would not say where the pages are"* ]]
}

@test "--node where the kernel refuses policies: status 1, one line" {
    two_cpus
    run --separate-stderr build/tests/refuse EPERM bench/core2core --node 0
    [ "$status" -ne 125 ] || skip "system calls cannot be filtered here"
    complains 1
}

@test "a CPU that never takes its turn: status 1 and one line, within the patience" {
    cpus=$(two_cpus)
    for where in begin clock; do
        (
            ended=0
            env STARVE=$where LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" timeout 60 bench/core2core "${QUICK[@]}" \
                --cpus "$cpus" >"$BATS_TEST_TMPDIR/$where.out" 2>"$BATS_TEST_TMPDIR/$where.err" || ended=$?
            echo $ended >"$BATS_TEST_TMPDIR/$where.ended"
        ) &
    done
    wait
    for where in begin clock; do
        [ "$(cat "$BATS_TEST_TMPDIR/$where.ended")" -eq 1 ]
        [ ! -s "$BATS_TEST_TMPDIR/$where.out" ]
        [ "$(cat "$BATS_TEST_TMPDIR/$where.err")" = \
            "core2core: CPU ${cpus%,*} or ${cpus#*,} took no turn for 5 s: other programs use it" ]
    done
}
