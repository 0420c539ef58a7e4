#!/usr/bin/env bash
# Under valgrind, with the allocator's annotated build kept in place of valgrind's own: memcheck finds each
# mistake of tests/memcheck/misuse.c, and none in programs that make none.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

command -v valgrind >/dev/null || {
    echo "check.sh: no valgrind here; harness/setup.sh torture installs it" >&2
    exit 1
}
passed=0 failed=0
out=build/memcheck/out.txt

leaks=full
memcheck() { # runs the rest of the line; status 99: memcheck has found something
    LD_PRELOAD=$PWD/build/memcheck/numa_alloc.so timeout 300 valgrind -q --leak-check="$leaks" \
        --soname-synonyms=somalloc=nouserintercepts --error-exitcode=99 "$@" >"$out" 2>&1
}

# $1: name, $2: status that is due, $3: what must stand in the output; the rest: a program
expect() {
    local name=$1 due=$2 text=$3 status
    shift 3
    memcheck "$@"
    status=$?
    if [ "$status" -eq "$due" ] && grep -q "$text" "$out"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAILED: $name: status $status, not $due with '$text'"
        cat "$out"
    fi
}

for size in 24 1000 20000 300000; do
    expect "no mistake, $size bytes" 0 "done" build/memcheck/misuse none "$size"
    expect "overrun by a read, $size bytes" 99 "Invalid read" build/memcheck/misuse overrun "$size"
    expect "overrun by a write, $size bytes" 99 "Invalid write" build/memcheck/misuse overwrite "$size"
    expect "overrun of a block on a node, $size bytes" 99 "Invalid read" build/memcheck/misuse named "$size"
    expect "use after free, $size bytes" 99 "Invalid read" build/memcheck/misuse late "$size"
    expect "use of what was never written, $size bytes" 99 uninitialised build/memcheck/misuse blank "$size"
done
for size in 24 1000 20000 300000; do
    expect "leak, $size bytes" 99 "definitely lost" build/memcheck/misuse leak "$size"
done
expect "overrun, huge" 99 "Invalid read" build/memcheck/misuse overrun 50000000
leaks=no # those of programs are theirs
# shellcheck disable=SC2016 # perl's
expect "perl" 0 40 perl -e 'my %h = map { $_ => "x" x $_ } 1 .. 40; print scalar(keys %h), "\n"'
expect "sqlite3" 0 4950 sqlite3 :memory: \
    'create table t(x); with recursive n(i) as (values(0) union all select i + 1 from n where i < 99)
     insert into t select i from n; select sum(x) from t;'
expect "sort" 0 "" sort /etc/passwd
# Threads, other threads' frees, exit: the torture, which checks every block besides.
expect "torture" 0 operations= build/tests/torture --no-forks --no-signals --threads 3 --seconds 0 \
    --operations 1500 --stuck 250
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
