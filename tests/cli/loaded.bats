#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/loaded: the curve, mixes of traffic, and every victim beside every aggressor.

bats_require_minimum_version 1.5.0

QUICK=(--size 1M --min-sample-ms 1)
RATES='10% 20% 30% 40% 50% 60% 70% 80% 85% 90% 95% full'

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# Fails unless loaded said on one line of stderr what is wrong, printed nothing and ended with $1.
complains() {
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "$(grep -cv '^loaded: note: ' <<<"$stderr")" -eq 1 ]
    [[ $stderr == "loaded: "* ]]
}

# The columns "$@" (by name) of the CSV in $output, one row a line.
columns() {
    /usr/bin/python3 -c '
import csv, sys
for row in csv.DictReader(sys.stdin):
    print(",".join(row[name] for name in sys.argv[1:]))' "$@" <<<"$output"
}

# Those of the rows of a metric. $1: the metric; the rest: columns.
columns_of() {
    local metric=$1
    shift
    columns metric "$@" | sed -n "s/^$metric,//p"
}

allowed_cpus() { # one a line
    awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

need_two_cpus() {
    [ "$(allowed_cpus | wc -l)" -ge 2 ] || skip "one CPU only"
}

need_placement() {
    numactl --membind="$(lowest_memory_node)" true || skip "this kernel refuses memory policies"
}

lowest_memory_node() {
    sed 's/[-,].*//' /sys/devices/system/node/has_memory 2>/dev/null ||
        skip "/sys/devices/system/node is not readable"
}

@test "--help: the options, units, what is counted" {
    run bench/loaded --help
    [ "$status" -eq 0 ]
    for option in --mix --aggressors --aggressor-memory --matrix --curves; do
        [[ $output == *"  $option "* ]]
    done
    [[ $output == *"1e9 bytes"* && $output == *"1.5 x idle"* && $output == *write-allocate* ]]
}

@test "bad input: status 2, one line on stderr, nothing on stdout" {
    for option in --aggressors= --aggressors=x "--aggressors=1," --aggressors=3-1 --aggressors=60000 \
        --aggressors=999999999 "--aggressors=$(allowed_cpus | head -n 1)" --aggressors --threads=1 --fill-cpu=0 \
        --mix --mix= --mix=2 --mix=0:0 --mix=1:1nt --mix=100:1 --mix=1.5:1 --aggressor-memory=x \
        --aggressor-memory=1023 --aggressor-memory --matrix=1 --curves --injectors=1; do
        run --separate-stderr bench/loaded "$option" --size 1G
        complains 2 || { echo "loaded $option: $status: $stderr" && false; }
    done
    run --separate-stderr bench/loaded --matrix --aggressors 60000 --size 1G
    complains 2
    run --separate-stderr bench/loaded --mix 2/1
    [[ $stderr == *"--mix: '2/1'"*"such as 2:1"* ]]
}

@test "--csv: each rate's latency and bandwidth, and a knee or why there is none" {
    need_two_cpus
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 2 --csv
    [ "$status" -eq 0 ]
    for metric in loaded_latency bandwidth; do
        [ "$(columns_of $metric variant | uniq -c | awk '$1 == 2 { print $2 }' | paste -sd' ')" = "idle $RATES" ]
        [ "$(columns_of $metric value | grep -cE '^[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?$')" -eq 26 ]
    done
    [ "$(columns metric unit | sort -u | grep -v knee | paste -sd' ')" = 'bandwidth,GB/s loaded_latency,ns' ]
    [ "$(columns bench size_bytes | sort -u)" = loaded,1048576 ]
    [ "$(columns threads | sort -u)" -ge 2 ]
    [ "$(columns placement | sort -u)" != failed ]
    [ "$(columns_of bandwidth value | paste -sd' ')" = "$(columns_of bandwidth value_write_allocate | paste -sd' ')" ]
    if [ -n "$(columns_of knee value)" ]; then
        [ "$(columns_of knee variant unit)" = x1.5,GB/s ]
        [[ $stderr != *"no knee"* ]]
    else
        [ "$(grep -c '^loaded: no knee: ' <<<"$stderr")" -eq 1 ]
    fi
}

@test "--csv names the aggressors' nodes, but where they rest" {
    need_two_cpus
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 1 --csv
    [ "$(columns variant other_cpu_node other_mem_node | sed -n 's/^idle//p' | sort -u)" = ,, ]
    local nodes
    nodes=$(columns cpu_node mem_node | sort -u)
    [ "$(columns variant other_cpu_node other_mem_node | sed -n 's/^50%,//p' | sort -u)" = "$nodes" ]
}

@test "the table: the curve, a row a rate" {
    need_two_cpus
    local first second
    first=$(allowed_cpus | head -n 1)
    second=$(allowed_cpus | sed -n 2p)
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 1 --cpu "$second" --aggressors "$first"
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "loaded_latency from CPU $second "*"2 arrays of 1M bytes" ]]
    [[ $output == *"proof: one ring walked whole"* ]]
    [ "$(grep -c '^aggressors: 1$' <<<"$output")" -eq 1 ]
    for rate in idle $RATES; do
        [ "$(grep -cE "^$rate +[0-9.]+ +[0-9.]+ " <<<"$output")" -eq 1 ]
    done
    [[ ${lines[-1]} == knee:* ]]
}

@test "--mix: in the variant, and what stores fetch in addition" {
    need_two_cpus
    local mix most
    for mix in 2:1 0:1 1:1-nt; do
        run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 2 --csv --mix $mix
        [ "$status" -eq 0 ]
        [ "$(columns_of loaded_latency variant | uniq | paste -sd,)" = "idle,$mix ${RATES// /,$mix }" ]
        most=$(columns_of bandwidth variant value value_write_allocate |
            awk -F, '$1 ~ /full/ { print $3 / $2; exit }')
        case $mix in # the victim's own loads are among them
        2:1) awk "BEGIN { exit !($most > 1.25 && $most < 1.334) }" ;;
        0:1) awk "BEGIN { exit !($most > 1.8 && $most < 2.001) }" ;;
        1:1-nt) awk "BEGIN { exit !($most > 0.999 && $most < 1.001) }" ;;
        esac
    done
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 1 --csv --mix 2:0
    [ "$(columns_of loaded_latency variant | uniq | paste -sd' ')" = "idle $RATES" ]
}

@test "under taskset -c CPU: aggressors on the other CPUs of its node" {
    local last
    last=$(allowed_cpus | tail -n 1)
    [ "$(lscpu -p=cpu,node | grep -v '^#' | cut -d, -f2 | sort -u | wc -l)" -eq 1 ] || skip "several nodes"
    [ "$(nproc --all)" -ge 2 ] || skip "one CPU only"
    run --separate-stderr taskset -c "$last" bench/loaded "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    [ "$(columns cpu threads | sort -u)" = "$last,$(lscpu -p=cpu | grep -vc '^#')" ]
}

@test "without another CPU: status 1, and --aggressors named" {
    for form in "" --matrix; do
        # shellcheck disable=SC2086
        run --separate-stderr env HWLOC_SYNTHETIC="pack:1 [numa(memory=4294967296)] core:1 pu:1" HWLOC_THISSYSTEM=1 \
            taskset -c 0 bench/loaded --size 1G $form
        [[ $stderr != *"cannot pin"* ]] || skip "CPU 0 is not for this process"
        complains 1 || { echo "$form: $status: $stderr" && false; }
    done
    run --separate-stderr env HWLOC_SYNTHETIC="pack:1 [numa(memory=4294967296)] core:1 pu:1" HWLOC_THISSYSTEM=1 \
        taskset -c 0 bench/loaded --size 1G
    [[ $stderr == *"--aggressors LIST"* ]]
}

# Of the machine as it is: each pair of a CPU node and a memory node is a victim and, where a CPU is left, an
# aggressor.
@test "--matrix --csv: every victim alone, and beside every aggressor" {
    need_two_cpus
    need_placement
    run --separate-stderr bench/loaded --matrix "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    [ "$(columns placement | sort -u)" = verified ] || [[ $stderr == *"would not say where the pages are"* ]]
    [ "$(columns allocator policy | sort -u)" = "$(columns mem_node | sort -u | sed 's/^/libnuma,bind:/')" ]
    [ "$(columns variant | sort -u | paste -sd' ')" = "full idle" ]
    local victims pairs
    victims=$(columns_of loaded_latency variant cpu_node mem_node | sed -n 's/^idle,//p')
    pairs=$(columns_of loaded_latency variant cpu_node mem_node other_cpu_node other_mem_node | sed -n 's/^full,//p')
    [ "$(sort -u <<<"$victims" | wc -l)" -eq "$(wc -l <<<"$victims")" ]
    [ "$(sort -u <<<"$pairs" | wc -l)" -eq "$(wc -l <<<"$pairs")" ]
    for victim in $victims; do
        for aggressor in $victims; do
            grep -q "^$victim,$aggressor$" <<<"$pairs" ||
                [[ $stderr == *"skipped: victim and aggressors on node ${aggressor%,*}:"* ]]
        done
    done
    [ "$(columns_of bandwidth value | wc -l)" -eq "$(columns_of loaded_latency value | wc -l)" ]
}

@test "--matrix's tables: a row a victim, a column an aggressor" {
    need_two_cpus
    need_placement
    local cpu
    cpu=$(allowed_cpus | head -n 1)
    run --separate-stderr bench/loaded --matrix --cpu "$cpu" --node "$(lowest_memory_node)" "${QUICK[@]}" --max-samples 1
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == "loaded_latency, victim x aggressors, 1M bytes"* ]]
    [ "$(grep -cE '^victim +idle +[0-9]+:[0-9]+' <<<"$output")" -ge 1 ]
    [ "$(grep -cE '^[0-9]+:[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9]+\.[0-9]{2}' <<<"$output")" -ge 1 ]
    [ "$(awk 'length > 100' <<<"$output")" = "" ]
}

@test "--matrix --curves: every rate of every pair" {
    need_two_cpus
    need_placement
    local node
    node=$(lowest_memory_node)
    run --separate-stderr bench/loaded --matrix --curves "${QUICK[@]}" --max-samples 1 --csv --node "$node" \
        --aggressor-memory "$node" --cpu "$(allowed_cpus | head -n 1)" --aggressors "$(allowed_cpus | sed -n 2p)" \
        --mix 3:1
    [ "$status" -eq 0 ]
    [ "$(columns_of loaded_latency variant | paste -sd,)" = "idle,3:1 ${RATES// /,3:1 }" ]
    [ "$(columns mem_node | sort -u)" = "$node" ]
    run --separate-stderr bench/loaded --matrix --curves "${QUICK[@]}" --max-samples 1
    [ "$status" -eq 0 ]
}

@test "--aggressor-memory: placed by libnuma, beside a victim in malloc's memory" {
    need_two_cpus
    need_placement
    local node
    node=$(lowest_memory_node)
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 1 --csv --aggressor-memory "$node"
    [ "$status" -eq 0 ]
    [ "$(columns variant other_mem_node | sed -n 's/^full,//p' | sort -u)" = "$node" ]
    [ "$(columns allocator | sort -u)" = glibc ]
    run --separate-stderr bench/loaded "${QUICK[@]}" --max-samples 1 --aggressor-memory "$node"
    [[ $output == *"aggressors: "*", their memory on node $node"* ]]
}

@test "kernel refuses to place: --matrix ends with status 1, the reason, and a row that says so" {
    need_two_cpus
    cat >"$BATS_TEST_TMPDIR/refuse.c" <<'END_OF_C'
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>

long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    errno = EPERM;
    if (number == SYS_mbind)
        return -1;
    long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
END_OF_C
    gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/refuse.so" "$BATS_TEST_TMPDIR/refuse.c" -ldl
    run --separate-stderr env LD_PRELOAD="$BATS_TEST_TMPDIR/refuse.so" bench/loaded --matrix "${QUICK[@]}"
    complains 1
    [[ $stderr == *"cannot get memory on node "*": Operation not permitted" ]]
    run --separate-stderr env LD_PRELOAD="$BATS_TEST_TMPDIR/refuse.so" bench/loaded --matrix "${QUICK[@]}" --csv
    [ "$status" -eq 1 ]
    [ "$(columns status)" = failed ]
}

# A made-up machine of a small node 0 and a large node 1, which the kernel does not know.
@test "more than a node has: left out of the matrix, refused for --aggressor-memory" {
    need_two_cpus
    [ ! -e /sys/devices/system/node/node1 ] || skip "there is a node 1"
    export HWLOC_THISSYSTEM=1
    export HWLOC_SYNTHETIC="[numa(memory=17179869184)] pack:1 [numa(memory=1048576)] core:1024 pu:1"
    run --separate-stderr bench/loaded --matrix --node 1 --size 2M
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [[ $stderr == *"skipped: node 0's memory: it has 1M in all, 2M are wanted; see --size"* ]]
    [[ $stderr == *"cannot get memory on node 1: "* ]]
    run --separate-stderr bench/loaded --node 1 --size 2M --aggressor-memory 0 --aggressors "$(allowed_cpus | sed -n 2p)"
    complains 1
    [[ $stderr == *"2M are wanted for aggressors, but node 0 has 1M in all; see --size" ]]
    run --separate-stderr bench/loaded --size 512K --aggressor-memory 7
    complains 2
    [[ $stderr == *"--aggressor-memory: 7 is not a node with memory"*"nodes to choose from: 0-1" ]]
}

# Another program that keeps the aggressor's CPU, as it seems to the aggressor: it stands still before it has
# begun at all, or from its first look at the clock, in the first paced step.
@test "an aggressor that never runs, or runs no more: status 1, one line, and a row that says so" {
    need_two_cpus
    cat >"$BATS_TEST_TMPDIR/starve.c" <<'END_OF_C'
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void *stand_still(void *argument) {
    for (;;)
        pause();
    return argument;
}

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument) {
    create *next = (create *)dlsym(RTLD_NEXT, "pthread_create");
    return next(thread, attributes, strcmp(getenv("STARVE"), "begin") == 0 ? stand_still : run, argument);
}

typedef int get_time(clockid_t, struct timespec *);
int clock_gettime(clockid_t clock, struct timespec *now) {
    get_time *next = (get_time *)dlsym(RTLD_NEXT, "clock_gettime");
    if (gettid() != getpid() && strcmp(getenv("STARVE"), "step") == 0)
        stand_still(NULL);
    return next(clock, now);
}
END_OF_C
    gcc -shared -fPIC -o "$BATS_TEST_TMPDIR/starve.so" "$BATS_TEST_TMPDIR/starve.c" -ldl
    local reason="an aggressor got no time on its CPU: other programs use it"
    for where in begin step; do
        run --separate-stderr env STARVE=$where LD_PRELOAD="$BATS_TEST_TMPDIR/starve.so" \
            timeout 60 bench/loaded "${QUICK[@]}" --max-samples 1 --csv
        echo "$where: $status: $stderr"
        [ "$status" -eq 1 ]
        [ "$(columns status reason)" = "failed,$reason" ]
        [ "$(grep -v '^loaded: note: ' <<<"$stderr")" = "loaded: $reason" ]
    done
}
