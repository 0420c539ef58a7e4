#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/allocs and bench/bench_alloc.py: good and bad input, data, and allocators that break promises.

bats_require_minimum_version 1.5.0

COLUMNS_OF_SAMPLES=run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,allocator,policy,pages,threads,size_bytes,variant,value,placement,placed_fraction,started_at

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # An allocator that is broken as FAULT says, and that sums up its calls in the file TALLY.
    cat >"$BATS_FILE_TMPDIR/odd.c" <<'C'
#define _GNU_SOURCE 1
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__libc_malloc(size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_ulong calls, sum;
static void *_Atomic last;

static int fault(const char *name) {
    const char *wanted = getenv("FAULT");
    return wanted != NULL && strcmp(wanted, name) == 0;
}

static void tally(size_t call, size_t size) {
    calls++;
    sum += (size + call) * (size + call) * 2654435761u; /* whatever the order of the threads' calls */
}

void *malloc(size_t size) {
    tally(1, size);
    if (size == 64 && fault("null") && calls > 1000)
        return NULL;
    if (size == 64 && fault("twice") && calls % 1000 == 0 && last != NULL)
        return last;
    void *block = __libc_malloc(size);
    if (size == 64)
        last = block;
    return block;
}

void *realloc(void *block, size_t size) {
    tally(3, size);
    char *grown = __libc_realloc(block, size);
    if (fault("forget") && size > 4096)
        grown[0] ^= 1;
    return grown;
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    tally(alignment, size);
    *block = __libc_memalign(alignment, size);
    if (fault("crooked") && alignment == 1024)
        *block = (char *)*block + 64;
    return *block == NULL ? ENOMEM : 0;
}

__attribute__((destructor)) static void end(void) {
    FILE *file = getenv("TALLY") != NULL ? fopen(getenv("TALLY"), "w") : NULL;
    if (file != NULL)
        fprintf(file, "%lu calls, sum %lu\n", calls, sum);
}
C
    gcc -shared -fPIC -O1 -fno-builtin -o "$BATS_FILE_TMPDIR/odd.so" "$BATS_FILE_TMPDIR/odd.c"
}

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    ALL=$(bench/allocs --list | awk '{ print $1 }')
}

# Fails unless the program said on one line of stderr what is wrong, printed nothing and ended with $1.
complains() {
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "$2: "* ]]
}

column() { # $1: name; the rows are in $output
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { print $at }' <<<"$output"
}

compare() { # options of bench_alloc.py
    run --separate-stderr /usr/bin/python3 bench/bench_alloc.py "$@"
}

@test "every workload runs, under glibc and numa_alloc, with one thread, two and four" {
    for library in '' alloc/numa_alloc.so; do
        run --separate-stderr env LD_PRELOAD="$library" bench/allocs --operations 500
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [ "${#lines[@]}" -eq $(($(wc -l <<<"$ALL") + 2)) ]
        for threads in 1 2 4; do
            run --separate-stderr env LD_PRELOAD="$library" bench/allocs --threads $threads --operations 500
            [ "$status" -eq 0 ]
        done
        for name in $ALL; do [[ $output == *"$name "* ]]; done
    done
}

@test "the operations asked for are done, by all threads together" {
    run --separate-stderr bench/allocs --operations 501 --threads 2
    [ "$(awk 'NR > 2 && $4 != 501' <<<"$output")" = "" ]
    run --separate-stderr bench/allocs --operations 1
    [ "$status" -eq 0 ]
    [ "$(awk 'NR > 2 && $4 != 1' <<<"$output")" = "" ]
}

@test "--seconds goes on for that long" {
    run --separate-stderr bench/allocs --seconds 1 server
    [ "$status" -eq 0 ]
    awk 'NR == 3 { exit !($3 >= 1 && $4 > 1000) }' <<<"$output"
}

@test "a workload that needs two threads is left out with one, with a note, or refused by name" {
    run --separate-stderr bench/allocs --threads 1 --operations 100
    [ "$status" -eq 0 ]
    [ "${#stderr_lines[@]}" -eq "$(bench/allocs --list | awk '$3 > 1' | wc -l)" ]
    [[ $output != *producer-consumer* && $stderr == *"producer-consumer is left out"* ]]
    run --separate-stderr bench/allocs --threads 3 producer-consumer
    complains 2 allocs
    [[ $stderr == *"an even number"* ]]
}

@test "--help and --list name every workload and option" {
    run --separate-stderr bench/allocs --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for name in $ALL --threads --operations --seconds --seed --size --csv --list; do
        [[ $output == *"$name "* ]]
    done
    [[ $output == *"Exit status"* && $output == *"ns an operation"* ]]
}

@test "bad input: status 2, one line on stderr, nothing on stdout" {
    for words in --bogus -x --threads --threads=0 --threads=251 --threads=x --operations=0 --operations=-1 \
        --seconds=0 --seconds=1.5 --seed=x --size=7 --size=2G --size=1T --csv=1 nonsense 'small nonsense' \
        '--operations 1 --seconds 1' '--threads 1 free-only' 'small --threads'; do
        # shellcheck disable=SC2086 # several words
        run --separate-stderr bench/allocs $words
        complains 2 allocs
    done
}

@test "--csv: the schema's columns, three metrics a workload, and the allocator that was preloaded" {
    run --separate-stderr bench/allocs --csv --operations 2000 small pair --size 128
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "$COLUMNS_OF_SAMPLES",isa,* ]]
    [ -z "$(column other_cpu)" ]
    [ "$(column metric | tr '\n' ' ')" = "ns_per_operation wall_time peak_memory ns_per_operation wall_time peak_memory " ]
    [ "$(column unit | head -3 | tr '\n' ' ')" = "ns s bytes " ]
    [ "$(column variant | uniq | tr '\n' ' ')" = "small pair " ]
    [ "$(column size_bytes | uniq | tr '\n' ' ')" = "0 128 " ]
    [ "$(column bench | sort -u)" = allocs ]
    [ "$(column allocator | sort -u)" = glibc ]
    [ "$(column value | awk '!($1 > 0)')" = "" ]
    run --separate-stderr env NUMA_ALLOC_POLICY=none LD_PRELOAD="$PWD/alloc/numa_alloc.so" bench/allocs --csv --operations 9 small
    [ "$(column allocator | sort -u)" = numa_alloc ]
    [ "$(column policy | sort -u)" = none ]
}

@test "a standard output that cannot be written is status 1 and one line" {
    run --separate-stderr bash -c 'exec bench/allocs --operations 10 small >/dev/full'
    complains 1 allocs
}

@test "the same seed makes the same calls, another seed others" {
    local tally=$BATS_TEST_TMPDIR/tally
    for words in $ALL '--threads 2 server small churn producer-consumer'; do
        # shellcheck disable=SC2086 # several words
        for run in 1 2 3; do
            TALLY=$tally.$run LD_PRELOAD=$BATS_FILE_TMPDIR/odd.so bench/allocs --operations 2000 --seed $((run / 3)) $words >/dev/null
        done
        cmp "$tally.1" "$tally.2"
        [[ $words == pair || $words == false-sharing-* ]] && continue # they have no random numbers
        if cmp -s "$tally.1" "$tally.3"; then
            echo "$words: another seed made the same calls"
            return 1
        fi
    done
}

@test "an allocator that hands a block out twice is caught" {
    for name in small hash server; do
        run --separate-stderr env FAULT=twice LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" bench/allocs --csv --operations 2000000 $name
        [ "$status" -eq 1 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ $stderr == "allocs: $name: thread "*"content of a block of "*" bytes changed" ]]
    done
}

@test "a realloc that loses content, crooked alignment and a malloc that gives nothing are caught" {
    run --separate-stderr env FAULT=forget LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" bench/allocs --operations 100000 realloc
    [ "$status" -eq 1 ]
    [[ $stderr == "allocs: realloc: "*" changed" ]]
    run --separate-stderr env FAULT=crooked LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" bench/allocs --operations 10000 aligned
    [ "$status" -eq 1 ]
    [[ $stderr == *"is not aligned to 1024" ]]
    run --separate-stderr env FAULT=null LD_PRELOAD="$BATS_FILE_TMPDIR/odd.so" bench/allocs --operations 100000 small
    [ "$status" -eq 1 ]
    [[ $stderr == *"no memory for a block of 64 bytes" ]]
}

@test "bench_alloc.py: bad input is one line and status 2" {
    for words in --bogus '--rounds 0' '--rounds x' '--threads 0' '--only nonsense' '--only small nonsense' \
        '--allocators nonsense' '--allocators glibc@none' '--allocators numa_alloc@' '--base nonsense' '--cpus x' \
        '--cpus 99999' '--threads 250' "--output $BATS_TEST_DIRNAME" '--output /dev/null' '--start --instructions' \
        '--start --only small' '--start --threads 1' '--start --no-programs' '--start --from .' '--start --base nonsense' \
        '--instructions --rounds 1' '--instructions --base glibc' '--from /nonsense' "--from $BATS_TEST_DIRNAME" \
        '--from . --output x' '--from . --allocators glibc'; do
        # shellcheck disable=SC2086 # several words
        compare $words
        complains 2 bench_alloc.py
    done
    for peers in nonsense =x a= a=/nonsense glibc=bench/allocs numa_alloc=bench/allocs a=bench/allocs,a=bench/allocs; do
        PEERS=$peers compare --only small
        complains 2 bench_alloc.py
    done
}

@test "bench_alloc.py: samples, summary, figure and table of a small comparison with a peer" {
    local out=$BATS_TEST_TMPDIR/out
    PEERS=odd=$BATS_FILE_TMPDIR/odd.so compare --only server.1 --rounds 2 --output "$out" \
        --allocators glibc numa_alloc numa_alloc@none odd
    [ "$status" -eq 0 ]
    [[ $output == *"geometric mean of wall time"* && $output == *numa_alloc@none* && $output == *"in $out: "* ]]
    [ "$(head -c 4 "$out/allocs.png" | tail -c 3)" = PNG ]
    output=$(cat "$out/allocs.csv")
    [ "$(head -1 "$out/allocs.csv")" = "$COLUMNS_OF_SAMPLES,label,reason" ]
    [ "$(column metric | sort | uniq -c | awk '{ print $1, $2 }')" = $'8 peak_memory\n8 wall_time' ]
    [ "$(column allocator | sort | uniq -c | awk '{ print $1, $2 }')" = $'4 glibc\n8 numa_alloc\n4 odd' ]
    [ "$(column round | sort | uniq -c | awk '{ print $1, $2 }')" = $'8 1\n8 2' ]
    [ "$(column label | sort | uniq -c | awk '{ print $1, $2 }')" = $'4 glibc\n4 numa_alloc\n4 numa_alloc@none\n4 odd' ]
    [ "$(wc -l <"$out/allocs_summary.csv")" -eq 5 ]
    cp -r "$out" "$out.before"
    rm "$out/allocs_summary.csv" "$out"/*.png
    compare --from "$out"
    [ "$status" -eq 0 ]
    [[ $output == *"in $out: allocs.csv (samples), allocs_summary.csv, allocs.png, allocs_memory.png" ]]
    diff "$out.before/allocs_summary.csv" "$out/allocs_summary.csv"
    [ -s "$out/allocs.png" ]
    [ -s "$out/allocs_memory.png" ]
}

@test "bench_alloc.py: the samples of a program say which policy was in force" {
    local out=$BATS_TEST_TMPDIR/out
    NUMA_ALLOC_POLICY=local NUMA_ALLOC_PAGES=thp compare --only sqlite-memory lifo.1 --rounds 1 --output "$out" \
        --allocators glibc numa_alloc numa_alloc@none
    [ "$status" -eq 0 ]
    output=$(cat "$out/allocs.csv")
    [ "$(paste -d ' ' <(column cell) <(column label) <(column policy) <(column pages) | sort -u)" = "\
lifo.1 glibc none default
lifo.1 numa_alloc local thp
lifo.1 numa_alloc@none none thp
sqlite-memory glibc none default
sqlite-memory numa_alloc local thp
sqlite-memory numa_alloc@none none thp" ]
}

@test "bench_alloc.py: an allocator that programs do not get is refused before anything is measured" {
    local out=$BATS_TEST_TMPDIR/out libm
    libm=$(ldd /usr/bin/python3 | awk '/libm\.so/ { print $3 }')
    echo 'not a library' >"$BATS_TEST_TMPDIR/bad.so"
    for mode in --start --instructions '--only sqlite-memory'; do
        for peer in "$BATS_TEST_TMPDIR/bad.so" "$libm"; do
            # shellcheck disable=SC2086 # several words
            PEERS=odd=$peer compare $mode --output "$out" --allocators glibc odd
            complains 2 bench_alloc.py
            [[ $stderr == *"odd: with $peer preloaded, malloc is still glibc's"* ]]
        done
        # shellcheck disable=SC2086
        compare $mode --output "$out" --allocators numa_alloc@bind:99
        complains 2 bench_alloc.py
        [[ $stderr == *"numa_alloc@bind:99: "*"there is no node 99"* ]]
        # shellcheck disable=SC2086
        NUMA_ALLOC_POLICY=bad compare $mode --output "$out" --allocators glibc numa_alloc
        complains 2 bench_alloc.py
    done
    [ ! -e "$out" ]
}

@test "bench_alloc.py goes on under the system's Python where the first one lacks what figures need" {
    # -S leaves out the folders that the libraries are in, as another Python would.
    run --separate-stderr /usr/bin/python3 -S -c '
import os, sys
sys.path.insert(0, "bench")
sys.argv = ["bench/bench_alloc.py", "--start", "--rounds", "1", "--allocators", "glibc", "--output", sys.argv[1]]
sys.executable = "/another/python3"
import bench_alloc
sys.exit(bench_alloc.main())' "$BATS_TEST_TMPDIR/out"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[1]} == "glibc "* ]]
}

@test "bench_alloc.py: a peer that is broken is named, and the others are still compared" {
    local out=$BATS_TEST_TMPDIR/out
    PEERS=odd=$BATS_FILE_TMPDIR/odd.so FAULT=null compare --only pair small.1 --rounds 1 --allocators glibc odd
    complains 2 bench_alloc.py # pair is not of the set
    PEERS=odd=$BATS_FILE_TMPDIR/odd.so FAULT=null compare --only small.1 --rounds 1 --output "$out" --allocators glibc odd
    [ "$status" -eq 0 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == *"small.1 failed under odd: exit status 1: allocs: small: "* ]]
    [[ $output == *"failed: exit status 1"* ]]
}

@test "bench_alloc.py: an interrupted run keeps and reports what it measured" {
    local out=$BATS_TEST_TMPDIR/out
    # A shell's background job would ignore the signal.
    env --default-signal=INT /usr/bin/python3 bench/bench_alloc.py --only lifo.1 --rounds 9999 --output "$out" \
        --allocators numa_alloc >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
    local pid=$!
    for _ in $(seq 200); do
        if [ -e "$out/allocs.csv" ] && [ "$(grep -c wall_time "$out/allocs.csv")" -ge 2 ]; then
            break
        fi
        sleep 0.1
    done
    kill -INT $pid
    local status=0
    wait $pid || status=$?
    [ "$status" -eq 130 ]
    [ "$(grep -c wall_time "$out/allocs.csv")" -ge 2 ]
    [ -s "$out/allocs.png" ]
    grep -q 'geometric mean' "$BATS_TEST_TMPDIR/stdout"
    grep -q interrupted "$BATS_TEST_TMPDIR/stderr"
}

@test "bench_alloc.py: told to end, it ends what it runs, and says whether anything was measured" {
    local out=$BATS_TEST_TMPDIR/out
    /usr/bin/python3 bench/bench_alloc.py --only python-objects --rounds 1 --output "$out" --allocators glibc \
        >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr" 3>&- &
    local pid=$! child='' status=0
    for _ in $(seq 200); do
        if [ -e "$out/allocs.csv" ]; then
            child=$(grep -lsP "^PPid:\t$pid\$" /proc/[0-9]*/status | cut -d / -f 3)
        fi
        if [ -n "$child" ]; then
            break
        fi
        sleep 0.02
    done
    kill $pid
    wait $pid || status=$?
    [ "$status" -eq 143 ]
    [ -n "$child" ]
    if kill -0 "$child" 2>/dev/null; then
        echo "process $child was left running"
        return 1
    fi
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ]
    [ "$(cat "$BATS_TEST_TMPDIR/stderr")" = "bench_alloc.py: interrupted before anything was measured" ]
}

@test "bench_alloc.py --start compares the start of a process and keeps its samples" {
    local out=$BATS_TEST_TMPDIR/out
    compare --start --rounds 3 --allocators glibc numa_alloc --base numa_alloc --output "$out"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq 4 ]
    [[ ${lines[0]} == *"to numa_alloc"* && ${lines[2]} == "numa_alloc "* && ${lines[3]} == "in $out: start.csv" ]]
    output=$(cat "$out/start.csv")
    [ "$(column label | sort | uniq -c | awk '{ print $1, $2 }')" = $'3 glibc\n3 numa_alloc' ]
}

@test "bench_alloc.py --instructions counts the same each time" {
    command -v valgrind >/dev/null || skip "valgrind is not installed (harness/setup.sh peers)"
    # One size, for all take 10 seconds.
    run --separate-stderr /usr/bin/python3 -c '
import os, sys
sys.path[:0] = ["harness", "bench"]
from alloc_report import allocators, instructions
found, _ = allocators.find(os.getcwd(), "")
cpus = sorted(os.sched_getaffinity(0))[:1]
for _ in range(2):
    print(instructions.per_pair("bench/allocs", found["numa_alloc"], 64, cpus))'
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    awk '{ exit !($1 > 10 && $1 < 1000) }' <<<"${lines[0]}"
}
