#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# The benchmarks' command lines: good and bad input, data, and kernels that refuse.

bats_require_minimum_version 1.5.0

COLUMNS_OF_SAMPLES=run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,allocator,policy,pages,threads,size_bytes,variant,value,placement,placed_fraction,started_at,isa,value_write_allocate,value_at_controller,other_cpu,other_cpu_node,other_mem_node,pages_on_nodes,disturbed,ci_low,ci_high,spread,stopped_by,proof,status,reason
QUICK=(--size 1M --min-sample-ms 1)

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # A kernel or a container that refuses: the calls named in REFUSE fail with EPERM.
    cat >"$BATS_FILE_TMPDIR/refuse.c" <<'END'
#define _GNU_SOURCE 1
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

static int refused(const char *call) {
    const char *list = getenv("REFUSE");
    if (list == NULL || strstr(list, call) == NULL)
        return 0;
    errno = EPERM;
    return 1;
}

long syscall(long number, ...) {
    long a[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    if ((number == SYS_move_pages && refused("move_pages")) ||
        (number == SYS_mbind && refused("mbind")) ||
        (number == SYS_get_mempolicy && refused("get_mempolicy")))
        return -1;
    long (*next)(long, ...) = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    long answer = next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    /* As NUMA balancing does: a page is away until it is read. */
    static int asked;
    if (number == SYS_move_pages && refused("balancing") && asked++ % 2 == 0)
        for (long i = 0; i < a[1]; i += 3)
            ((int *)a[4])[i] = -ENOENT;
    return answer;
}

FILE *fopen(const char *path, const char *mode) {
    if ((strcmp(path, "/proc/self/numa_maps") == 0 && refused("numa_maps")) ||
        (strcmp(path, "/proc/self/smaps") == 0 && refused("smaps")))
        return NULL;
    FILE *(*next)(const char *, const char *) =
        (FILE * (*)(const char *, const char *)) dlsym(RTLD_NEXT, "fopen");
    return next(path, mode);
}
END
    gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/refuse.so" "$BATS_FILE_TMPDIR/refuse.c" -ldl
}

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

refuse() { # $1: calls; the rest: command
    local calls=$1
    shift
    run --separate-stderr env REFUSE="$calls" LD_PRELOAD="$BATS_FILE_TMPDIR/refuse.so" "$@"
}

# Fails unless the program said on one line of stderr what is wrong, printed nothing and ended with $1.
complains() {
    [ "$status" -eq "$1" ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "$2: "* ]]
}

# The column $1 (by name) of the rows of $output, one a line. No field here holds a comma.
column() {
    awk -F, -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i; next }
        { print $at }' <<<"$output"
}

allowed_cpus() { # one a line
    awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

lowest_memory_node() {
    sed 's/[-,].*//' /sys/devices/system/node/has_memory 2>/dev/null ||
        skip "/sys/devices/system/node is not readable"
}

@test "--help: usage on stdout, every option in it, status 0" {
    for program in benchmark latency bandwidth loaded; do
        run --separate-stderr "bench/$program" --help
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [[ ${lines[0]} == "Usage: bench/$program "* ]]
        [[ $output == *--size* && $output == *--help* && $output == *"Exit status"* ]]
        run --separate-stderr "bench/$program" -h
        [ "$status" -eq 0 ]
    done
    for program in latency bandwidth loaded; do
        run bench/$program --help
        for option in --cpu --node --size --max-samples --min-sample-ms --csv; do
            [[ $output == *"$option "* ]]
        done
    done
    run bench/bandwidth --help
    [[ $output == *--threads* && $output == *write-allocate* && $output == *"1e9 bytes"* ]]
    run bench/latency --help
    [[ $output == *--fill-cpu* ]]
}

@test "bad input: status 2, one line on stderr, nothing on stdout" {
    local common=('--bogus' '-x' 'stray' '--size' '--size=' '--size=0' '--size=-1M' '--size=12Q'
        '--size=1.5G' '--size=99999999999G' '--size= 1M' '--help=1')
    local measuring=('--cpu=x' '--cpu=-1' '--cpu=2147483647' '--cpu' '--node=x' '--node=1023'
        '--node=1024' '--node' '--max-samples=0' '--max-samples=1001' '--max-samples=many' '--min-sample-ms=0'
        '--min-sample-ms=60001' '--csv=yes' '--no-wait')
    for option in "${common[@]}"; do
        for program in benchmark latency bandwidth loaded; do
            run --separate-stderr "bench/$program" "$option"
            complains 2 "$program" || { echo "$program $option: $status: $stderr" && false; }
        done
    done
    for option in "${measuring[@]}"; do
        for program in latency bandwidth loaded; do
            run --separate-stderr "bench/$program" "$option"
            complains 2 "$program" || { echo "$program $option: $status: $stderr" && false; }
        done
    done
    for option in --threads=0 --threads=x --threads=1000000 --threads; do
        run --separate-stderr bench/bandwidth "$option"
        complains 2 bandwidth || { echo "bandwidth $option: $status: $stderr" && false; }
    done
    for option in --fill-cpu=x --fill-cpu=-1 --fill-cpu=2147483647 --fill-cpu --threads=1; do
        run --separate-stderr bench/latency "$option"
        complains 2 latency || { echo "latency $option: $status: $stderr" && false; }
    done
    run --separate-stderr bench/benchmark --no-wait=1
    complains 2 benchmark
}

@test "bad input is quoted with what is accepted" {
    run --separate-stderr bench/latency --size 12Q
    [[ $stderr == *"--size"*"'12Q'"*"K, M or G"*"from 512 to 512G"* ]]
    run --separate-stderr bench/latency --max-samples 1001
    [[ $stderr == *"--max-samples"*"'1001'"*"from 1 to 1000"* ]]
    run --separate-stderr bench/bandwidth --cpu 0 --threads 2
    complains 2 bandwidth
    [[ $stderr == *"taskset -c LIST"* ]]
}

@test "--cpu outside the affinity mask is refused, and the mask named" {
    local first
    first=$(allowed_cpus | head -n 1)
    run --separate-stderr taskset -c "$first" bench/latency --cpu 99999
    complains 2 latency
    [[ $stderr == *"99999"*": $first" ]]
    run --separate-stderr taskset -c "$first" bench/bandwidth --threads 2
    complains 2 bandwidth
    [[ $stderr == *": $first" ]]
}

@test "latency --csv: the columns of samples.csv, one row a sample" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 3 --csv
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$COLUMNS_OF_SAMPLES" ]
    [ "${#lines[@]}" -eq 4 ]
    [ "$(column bench | sort -u)" = latency ]
    [ "$(column metric | sort -u)" = load_latency ]
    [ "$(column unit | sort -u)" = ns ]
    [ "$(column variant | sort -u)" = random ]
    [ "$(column host | sort -u)" = "$(uname -n)" ]
    [ "$(column size_bytes | sort -u)" = 1048576 ]
    [ "$(column threads | sort -u)" = 1 ]
    [ "$(column allocator | sort -u)" = glibc ]
    [ "$(column policy | sort -u)" = none ]
    [ -z "$(column run)$(column round)$(column cell)" ]
    [ "$(column value | grep -cE '^[0-9]+(\.[0-9]+)?$')" -eq 3 ]
    [ "$(column started_at | grep -cE '^20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$')" -eq 3 ]
}

@test "latency measures from the CPU it is pinned to, and from --cpu" {
    local last
    last=$(allowed_cpus | tail -n 1)
    run --separate-stderr taskset -c "$last" bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$(column cpu)" = "$last" ]
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv --cpu "$last"
    [ "$(column cpu)" = "$last" ]
}

@test "latency --fill-cpu: measured from the same CPU, on the memory of the other's node" {
    local first last
    first=$(allowed_cpus | head -n 1)
    last=$(allowed_cpus | tail -n 1)
    run --separate-stderr taskset -c "$last" bench/latency "${QUICK[@]}" --max-samples 1 --csv
    local node
    node=$(column mem_node)
    run --separate-stderr taskset -c "$first" bench/latency "${QUICK[@]}" --max-samples 1 --csv --fill-cpu "$last"
    [ "$status" -eq 0 ]
    [ "$(column cpu),$(column mem_node)" = "$first,$node" ]
    [ "$(column placement)" != failed ]
}

@test "latency stops between 6 and the most samples" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 9 --csv
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -ge 7 ] && [ "${#lines[@]}" -le 10 ]
}

@test "latency's table: median, interval, minimum, placement, units" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 7
    [ "$status" -eq 0 ]
    [[ $output == *"load_latency from CPU "*", 1M bytes"* ]]
    [[ $output == *"ns "*median*"95 % interval"*minimum*samples* ]]
    [[ ${lines[2]} == "proof: one ring, each of its 16384 lines once"* ]]
    [[ ${lines[4]} =~ ^random\ +[0-9.]+\ +[0-9.]+\ to\ [0-9.]+\ +[0-9.]+ ]]
}

@test "latency walks the smallest ring, and says that caches count" {
    run --separate-stderr bench/latency --size 512 --min-sample-ms 1 --max-samples 1
    [ "$status" -eq 0 ]
    [[ $output == *"512 bytes"* && $output == *"(below 6 samples)"* ]]
}

@test "placement is verified where the kernel answers" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$(column placement)" != unverified ] || skip "this kernel does not say where pages are"
    [ "$(column placement),$(column placed_fraction)" = verified,1 ]
    [ "$(column mem_node)" = "$(column cpu_node)" ]
}

@test "--node: hand-placed by libnuma" {
    local node
    node=$(lowest_memory_node)
    for program in latency bandwidth; do
        run --separate-stderr bench/$program "${QUICK[@]}" --max-samples 1 --csv --node "$node"
        [[ $stderr != *"Operation not permitted"* && $stderr != *refuses* ]] ||
            skip "this kernel refuses memory policies"
        [ "$status" -eq 0 ]
        [ "$(column allocator | sort -u)" = libnuma ]
        [ "$(column policy | sort -u)" = "bind:$node" ]
        [ "$(column mem_node | sort -u)" = "$node" ]
    done
}

@test "numactl's policy is what is expected of glibc's malloc" {
    local node
    node=$(lowest_memory_node)
    numactl --membind="$node" true || skip "this kernel refuses memory policies"
    for program in latency bandwidth; do
        run --separate-stderr numactl --membind="$node" \
            "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
        [ "$status" -eq 0 ]
        [ "$(column mem_node | sort -u),$(column policy | sort -u)" = "$node,none" ]
        [ "$(column placement | sort -u)" != failed ]
    done
}

@test "--node names real ids: unknown and memoryless ones are refused with the choice" {
    local machine='pack:1 [numa(indexes=8 memory=1073741824)] core:1024 pu:1'
    run --separate-stderr env HWLOC_SYNTHETIC="$machine" HWLOC_THISSYSTEM=1 bench/latency --node 0
    complains 2 latency
    [[ $stderr == *"0 is not a node of this machine; nodes to choose from: 8" ]]
    machine='[numa(memory=1073741824)] pack:2 [numa(memory=0)] core:512 pu:1'
    run --separate-stderr env HWLOC_SYNTHETIC="$machine" HWLOC_THISSYSTEM=1 bench/latency --node 1
    complains 2 latency
    [[ $stderr == *"1 is a node without memory; nodes to choose from: 2" ]]
}

@test "more than the node has: status 1 before anything is touched" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv
    local node
    node=$(column cpu_node)
    [ -n "$node" ] || skip "the node of this CPU is not known"
    run --separate-stderr env HWLOC_THISSYSTEM=1 \
        HWLOC_SYNTHETIC="pack:1 [numa(indexes=$node memory=2097152)] core:1024 pu:1" \
        bench/bandwidth --size 1M
    complains 1 bandwidth
    [[ $stderr == *"3M are wanted, but node $node has 2M"* ]]
}

@test "no memory: status 1 with the reason" {
    for program in latency bandwidth loaded; do
        run --separate-stderr bash -c "ulimit -v 150000 && exec bench/$program --size 256M"
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [[ $stderr == *"cannot get memory: Cannot allocate memory"* ]]
    done
    run --separate-stderr bash -c "ulimit -v 150000 && exec bench/benchmark --no-wait"
    complains 1 benchmark
}

@test "a full disk: status 1" {
    [ -c /dev/full ] || skip "no /dev/full"
    for command in 'latency --csv --max-samples 1' 'bandwidth --csv --max-samples 1' \
        'loaded --csv --max-samples 1 --min-sample-ms 1' 'benchmark --no-wait'; do
        # shellcheck disable=SC2086
        run --separate-stderr bash -c "exec bench/$command --size 1M >/dev/full"
        [ "$status" -eq 1 ]
        [[ $stderr == *"No space left on device"* ]]
    done
}

@test "move_pages refused: numa_maps answers" {
    [ -r /proc/self/numa_maps ] || skip "no numa_maps here"
    refuse move_pages bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    [ "$(column placement)" = verified ]
    refuse move_pages bench/benchmark --no-wait --size 1M
    [ "$status" -eq 0 ]
    [[ $output == *"pages: N"*"move_pages is refused here"* ]]
}

@test "pages that NUMA balancing took away for a moment are asked for again" {
    refuse nothing bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$(column placement)" = verified ] || skip "this kernel does not say where pages are"
    for program in latency bandwidth; do
        refuse balancing "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
        [ "$status" -eq 0 ]
        [ "$(column placement | sort -u),$(column placed_fraction | sort -u)" = verified,1 ]
    done
}

@test "kernel says nothing: measured, unverified, fraction empty, and a warning" {
    for program in latency bandwidth; do
        refuse move_pages,numa_maps "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
        [ "$status" -eq 0 ]
        [ "$(column placement | sort -u)" = unverified ]
        [ -z "$(column placed_fraction | tr -d '\n')" ]
        [[ $stderr == *"would not say where the pages are: Operation not permitted"* ]]
    done
    refuse move_pages,numa_maps bench/benchmark --no-wait --size 1M
    [ "$status" -eq 0 ]
    [[ $output == *"pages: unverified"* && $output == *"grep -E 'N[0-9]+="* ]]
}

@test "kernel refuses to place: --node ends with status 1 and the reason" {
    local node
    node=$(lowest_memory_node)
    refuse mbind bench/latency "${QUICK[@]}" --node "$node" --csv
    [ "$status" -eq 1 ]
    [ "$(column status),$(column value)" = failed, ]
    [[ $stderr == *"cannot get memory: Operation not permitted"* ]]
    refuse mbind,get_mempolicy,move_pages bench/bandwidth "${QUICK[@]}" --node "$node" --csv
    [ "$status" -eq 1 ]
    [ "$(column status),$(column value)" = failed, ]
    [[ $stderr == *"cannot get memory: Operation not permitted"* ]]
}

@test "bandwidth --csv: six kernels, as many samples each" {
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --max-samples 2 --csv
    [ "$status" -eq 0 ]
    [ "${lines[0]}" = "$COLUMNS_OF_SAMPLES" ]
    [ "${#lines[@]}" -eq 13 ]
    [ "$(column variant | uniq -c | awk '{ print $1 $2 }' | paste -sd' ')" = \
        "2read 2write 2copy 2scale 2add 2triad" ]
    [ "$(column metric | sort -u),$(column unit | sort -u)" = bandwidth,GB/s ]
    [ "$(column value | grep -cE '^[0-9]+(\.[0-9]+)?$')" -eq 12 ]
}

@test "bandwidth's threads, each on its CPU" {
    [ "$(allowed_cpus | wc -l)" -ge 2 ] || skip "one CPU only"
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --max-samples 2 --csv --threads 2
    [ "$status" -eq 0 ]
    [ "$(column threads | sort -u)" = 2 ]
    [ "${#lines[@]}" -eq 13 ]
}

@test "bandwidth takes sizes that do not divide evenly" {
    run --separate-stderr bench/bandwidth --size 100001 --min-sample-ms 1 --max-samples 1
    [ "$status" -eq 0 ]
    [[ $output == *"3 arrays of 100001 bytes"* ]]
}

@test "the preloaded allocator is named, with its policy" {
    local node preload=$PWD/alloc/numa_alloc.so
    node=$(lowest_memory_node)
    for program in latency bandwidth; do
        run --separate-stderr env -u NUMA_ALLOC_POLICY LD_PRELOAD="$preload" \
            "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
        [ "$status" -eq 0 ]
        [ "$(column allocator | sort -u),$(column policy | sort -u)" = "numa_alloc,bind:$node" ]
        [ "$(column mem_node | sort -u)" = "$node" ]
        [ "$(column placement | sort -u)" != failed ]
        run --separate-stderr env NUMA_ALLOC_POLICY=local LD_PRELOAD="$preload" \
            "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
        [ "$status" -eq 0 ]
        [ "$(column policy | sort -u)" = local ]
        [ "$(column placement | sort -u)" != failed ]
    done
}

# Where only one node has memory, `all` is a list of one, too.
@test "policies that take lists: their nodes are expected, and verified where the kernel answers" {
    local node preload=$PWD/alloc/numa_alloc.so nodes expected on
    node=$(lowest_memory_node)
    nodes=$(cat /sys/devices/system/node/has_memory)
    for policy in preferred:all interleave:all "preferred:$node" "interleave:$node" "weighted:$node=3"; do
        expected=$node on="on node $node:"
        [[ $policy == *:all && $nodes != "$node" ]] && expected='' on="on nodes "
        for program in latency bandwidth; do
            run --separate-stderr env NUMA_ALLOC_POLICY="$policy" LD_PRELOAD="$preload" \
                "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
            echo "$program under $policy: $output $stderr"
            [ "$status" -eq 0 ]
            [ "$(column policy | sort -u)" = "$policy" ]
            [ "$(column mem_node | sort -u)" = "$expected" ]
            [ "$(column placement | sort -u)" = verified ] ||
                [[ $stderr == *"would not say where the pages are"* ]]
        done
        run --separate-stderr env NUMA_ALLOC_POLICY="$policy" LD_PRELOAD="$preload" \
            bench/latency "${QUICK[@]}" --max-samples 1
        [[ $output == *"policy $policy, pages default; expected $on"* ]]
    done
}

@test "a block below NUMA_ALLOC_MIN_SIZE is expected on the CPU's node, and called local" {
    local node preload=$PWD/alloc/numa_alloc.so
    node=$(lowest_memory_node)
    for program in latency bandwidth; do
        for size in 1 2M 2049K 1G; do
            run --separate-stderr env NUMA_ALLOC_POLICY="bind:$node" NUMA_ALLOC_MIN_SIZE=$size \
                LD_PRELOAD="$preload" "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
            [ "$status" -eq 0 ]
            [ "$(column placement | sort -u)" != failed ]
            if [ $size = 1 ] || [ $size = 2M ]; then # the block is 2 MiB
                [ "$(column policy | sort -u),$(column mem_node | sort -u)" = "bind:$node,$node" ]
            else
                [ "$(column policy | sort -u)" = local ]
                [ "$(column mem_node | sort -u)" = "$(column cpu_node | sort -u)" ]
            fi
        done
    done
}

@test "huge pages that are not to be had: called default, and said" {
    local preload=$PWD/alloc/numa_alloc.so
    ! grep -qE '^(HugePages_Free|HugePages_Surp|Hugetlb): +[1-9]' /proc/meminfo || skip "huge pages are reserved here"
    [ -r /proc/self/smaps ] || skip "no smaps here"
    for program in latency bandwidth; do
        for pages in 2M 1G; do
            run --separate-stderr env NUMA_ALLOC_PAGES=$pages LD_PRELOAD="$preload" \
                "bench/$program" "${QUICK[@]}" --max-samples 1 --csv
            [ "$status" -eq 0 ]
            [ "$(column pages | sort -u)" = default ]
            [[ $stderr == *"$program: warning: 0 % of the memory has the pages of NUMA_ALLOC_PAGES=$pages: "*default* ]]
        done
    done
    REFUSE=smaps run --separate-stderr env NUMA_ALLOC_PAGES=2M \
        LD_PRELOAD="$preload:$BATS_FILE_TMPDIR/refuse.so" bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    [[ $stderr == *"warning: whether pages are 2M is not known"* ]]
}

@test "transparent huge pages are called what they are" {
    local preload=$PWD/alloc/numa_alloc.so
    grep -qE '\[(always|madvise)\]' /sys/kernel/mm/transparent_hugepage/enabled || skip "no transparent huge pages here"
    run --separate-stderr env NUMA_ALLOC_PAGES=thp LD_PRELOAD="$preload" \
        bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    [[ $(column pages) == thp || $stderr == *"reported as pages $(column pages)"* ]]
}

@test "benchmark builds alone with the plain command" {
    mkdir -p "$BATS_TEST_TMPDIR/copy"
    cp -r bench/benchmark.c bench/lib "$BATS_TEST_TMPDIR/copy/"
    cd "$BATS_TEST_TMPDIR/copy"
    run gcc -o benchmark benchmark.c
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run --separate-stderr ./benchmark --no-wait --size 1M
    [ "$status" -eq 0 ]
}

@test "benchmark prints pid, block, times, pages and the commands" {
    run --separate-stderr bench/benchmark --no-wait --size 1M
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} =~ ^pid:\ +[0-9]+$ ]]
    [[ ${lines[1]} =~ ^block:\ 0x[0-9a-f]+,\ 1M\ bytes ]]
    [[ ${lines[2]} =~ ^write:\ [0-9.]+\ ms,\ [0-9.]+\ GB/s$ ]]
    [[ ${lines[3]} =~ ^walk:\ +[0-9.]+\ ns\ a\ load ]]
    [[ ${lines[4]} == "pages: "* ]]
    local pid=${lines[0]##* }
    [[ $output == *"grep -E '"*"' /proc/$pid/numa_maps"* && $output == *"numastat -p $pid"* ]]
}

@test "benchmark's default is 256 MiB in at least 65,536 pages" {
    run --separate-stderr bench/benchmark --no-wait
    [ "$status" -eq 0 ]
    [[ ${lines[1]} == *", 256M bytes"* ]]
    [ "$(getconf PAGESIZE)" = 4096 ] || skip "pages are not 4 KiB"
    [[ $output != *unverified* ]] || skip "this kernel does not say where pages are"
    [ "$(grep -oE 'N[0-9]+=[0-9]+' <<<"${lines[4]}" | awk -F= '{ sum += $2 } END { print sum }')" -ge 65536 ]
}

@test "benchmark ends at the end of its input" {
    run --separate-stderr timeout 20 bench/benchmark --size 1M </dev/null
    [ "$status" -eq 0 ]
}

@test "benchmark --no-wait does not read its input" {
    rest=$(printf 'left\n' | { bench/benchmark --no-wait --size 1M >/dev/null && cat; })
    [ "$rest" = left ]
}

@test "benchmark waits for Enter, and its command shows its pages" {
    [ -r /proc/self/numa_maps ] || skip "no numa_maps here"
    mkfifo "$BATS_TEST_TMPDIR/keys"
    bench/benchmark --size 4M <"$BATS_TEST_TMPDIR/keys" >"$BATS_TEST_TMPDIR/out" 3>&- &
    local pid=$! tries=0
    exec 4>"$BATS_TEST_TMPDIR/keys"
    until grep -q '^Press Enter' "$BATS_TEST_TMPDIR/out"; do
        sleep 0.05
        tries=$((tries + 1))
        [ $tries -lt 400 ]
    done
    command=$(grep -F "/proc/$pid/numa_maps" "$BATS_TEST_TMPDIR/out")
    run bash -c "$command"
    [ "$status" -eq 0 ]
    pages=$(grep -oE 'N[0-9]+=[0-9]+' <<<"$output" | awk -F= '{ sum += $2 } END { print sum }')
    [ "$pages" -ge $((4194304 / $(getconf PAGESIZE))) ]
    printf 'not yet' >&4
    kill -0 "$pid"
    printf '\n' >&4
    wait "$pid"
    exec 4>&-
}
