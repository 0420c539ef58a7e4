#!/usr/bin/env bats
# harness/run_matrix.sh: what it plans, runs, keeps, refuses and resumes.
# Most tests run a copy of harness/ in a project with a space in its path and stand-ins for the benchmarks, because
# the script finds everything from its own place; the last one is a real sweep.
# Each test is a subshell of its own, so what it exports is meant to end with it.
# shellcheck disable=SC2030,SC2031

bats_require_minimum_version 1.5.0

setup_file() {
    export ROOT="$BATS_TEST_DIRNAME/../.." PYTHONDONTWRITEBYTECODE=1
    export PROJECT="$BATS_FILE_TMPDIR/a project"
    mkdir -p "$PROJECT/alloc" "$PROJECT/bench"
    cp -r "$ROOT/harness" "$PROJECT/"
    gcc -shared -x c -o "$PROJECT/alloc/numa_alloc.so" - <<<'int stand_in;'
    write_bench latency load_latency,ns 90 random
    write_bench bandwidth bandwidth,GB/s 20 'read write copy scale add triad'
}

setup() {
    run_matrix="$PROJECT/harness/run_matrix.sh"
    out="$BATS_TEST_TMPDIR/a run"
    mkdir "$BATS_TEST_TMPDIR/here" && cd "$BATS_TEST_TMPDIR/here" || return 1 # bats keeps files of its own above
}

# $1 program, $2 metric and unit, $3 value, $4 variants. The stand-in prints five samples a variant and obeys
# BENCH_SLEEP (s), BENCH_FAIL (the program that fails), BENCH_ALLOCATOR, BENCH_PLACEMENT and BENCH_PLACED (fraction).
write_bench() {
    cat >"$PROJECT/bench/$1" <<EOF
#!/bin/bash
[ "\${BENCH_FAIL:-}" != $1 ] || { echo "$1: this one fails" >&2; exit 1; }
[[ \$LD_PRELOAD = *numa_alloc.so ]] && ! tr '\\0' '\\n' </proc/\$PPID/environ | grep -q ^LD_PRELOAD= || exit 1
cpu=\$(LD_PRELOAD= taskset -pc \$\$) node=\${NUMA_ALLOC_POLICY#bind:}
[ -z "\${BENCH_SLEEP:-}" ] || sleep "\$BENCH_SLEEP"
echo run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,allocator,policy,pages,threads,size_bytes,variant,value,placement,placed_fraction,started_at
for variant in $4; do
    for i in 1 2 3 4 5; do
        echo ",host,,,$1,$2,\${cpu##* },0,\$node,\${BENCH_ALLOCATOR:-numa_alloc},bind:\$node,default,1,4096,\$variant,$3.\$i,\${BENCH_PLACEMENT:-verified},\${BENCH_PLACED:-1},2026-11-22T13:00:0\${i}Z"
    done
done
EOF
    chmod +x "$PROJECT/bench/$1"
}

# A made-up machine for hwloc and the harness: $1 folder, then NODE:CPULIST:KIB_OF_MEMORY for each node.
make_machine() {
    local root=$1 node="$1/sys/devices/system/node" cpu="$1/sys/devices/system/cpu" ids=() with_memory=() item
    shift
    mkdir -p "$root/proc/self" "$node" "$cpu"
    for item in "$@"; do
        local id=${item%%:*} cpulist=${item#*:} kib=${item##*:} mask=0 c
        cpulist=${cpulist%:*}
        ids+=("$id")
        [ "$kib" = 0 ] || with_memory+=("$id")
        mkdir -p "$node/node$id"
        for c in $(seq -s ' ' "${cpulist%-*}" "${cpulist#*-}" 2>/dev/null); do
            mkdir -p "$cpu/cpu$c/topology"
            echo "$id" >"$cpu/cpu$c/topology/physical_package_id"
            echo "$c" >"$cpu/cpu$c/topology/core_id"
            printf '%x\n' $((1 << c)) | tee "$cpu/cpu$c/topology/thread_siblings" >"$cpu/cpu$c/topology/core_siblings"
            mask=$((mask | 1 << c))
        done
        echo "$cpulist" >"$node/node$id/cpulist"
        printf '%x\n' $mask >"$node/node$id/cpumap"
        echo "Node $id MemTotal: $kib kB" >"$node/node$id/meminfo"
    done
    (IFS=, && echo "${ids[*]}" >"$node/online" && echo "${with_memory[*]}" >"$node/has_memory")
}

# The dry run's cells of round 1 and the skipped ones, sorted: "bench CPU@CPU_NODE MEM_NODE" and "skipped ...".
planned_cells() {
    sed -nE 's/^round 1, ([a-z]+), CPU ([0-9]+) of node ([0-9]+), memory node ([0-9]+): .*/\1 \2@\3 \4/p
             s/^skipped, ([a-z]+), CPU ([0-9]+) of node ([0-9]+), memory node ([0-9]+): .*/skipped \1 \2@\3 \4/p' | sort
}

# The part of a joblog a plan fixes: sequence numbers, sorted.
logged() {
    tail -n +2 "$1/joblog.tsv" | cut -f 1 | sort -n | paste -s -d ' '
}

one_line_and() { # $1: the exit status wanted; run's $status and $stderr are checked
    if [ "$status" -ne "$1" ] || [ -z "$stderr" ] || [ "$(wc -l <<<"$stderr")" -ne 1 ]; then
        echo "status $status, stderr: $stderr"
        return 1
    fi
}

@test "help names every option and exits 0" {
    run --separate-stderr "$run_matrix" --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for option in bench cpus all-cpus mem-nodes size max-samples min-sample-ms rounds seed timeout out resume no-pictures dry-run help; do
        [[ $output = *"--$option"* ]]
    done
}

@test "a dry run on this machine prints the commands and writes nothing" {
    run --separate-stderr "$run_matrix" --dry-run --rounds 2 --size 4M --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = *"taskset -c "*" env -u "*" NUMA_ALLOC_POLICY=bind:"*" LD_PRELOAD=alloc/numa_alloc.so bench/latency --csv --size 4M"* ]]
    [ "$(grep -c '^round 2, bandwidth' <<<"$output")" -eq "$(grep -c '^round 1, latency' <<<"$output")" ]
    [ ! -e "$out" ]
    [ ! -e "$PROJECT/results" ]
}

@test "two sockets, from hwloc's XML: every CPU node by every memory node" {
    lstopo-no-graphics -i 'pack:2 [numa] core:2 pu:1' --of xml >two.xml
    HWLOC_XMLFILE=two.xml run --separate-stderr "$run_matrix" --dry-run --bench latency
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 0@0 1\nlatency 2@1 0\nlatency 2@1 1' ]
}

@test "--all-cpus, --cpus and --mem-nodes choose rows and columns" {
    make_machine m 0:0-1:100 1:2-3:100
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency --all-cpus --mem-nodes 1
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 1\nlatency 1@0 1\nlatency 2@1 1\nlatency 3@1 1' ]
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency --cpus=1,3 --mem-nodes=0
    [ "$(planned_cells <<<"$output")" = $'latency 1@0 0\nlatency 3@1 0' ]
}

@test "a node without CPUs (CXL) is a column without a row" {
    make_machine m 0:0-1:100 1:2-3:100 2::100
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 0@0 1\nlatency 0@0 2\nlatency 2@1 0\nlatency 2@1 1\nlatency 2@1 2' ]
}

@test "a node without memory is a row without a column, and its memory counts as remote" {
    make_machine m 0:0-1:100 1:2-3:0
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency
    [ -z "$stderr" ]
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 2@1 0' ]
}

@test "node ids keep their gaps" {
    make_machine m 0:0-1:100 8:2-3:100 252::100
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency
    [ "$(planned_cells <<<"$output" | cut -d ' ' -f 2- | paste -s -d ,)" = '0@0 0,0@0 252,0@0 8,2@8 0,2@8 252,2@8 8' ]
}

@test "what a cpuset hides is skipped, with the reason" {
    make_machine m 0:0-1:100 1:2-3:100
    printf 'Cpus_allowed_list:\t1\nMems_allowed_list:\t0\n' >m/proc/self/status
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --bench latency
    [ "$status" -eq 0 ]
    [ "$(planned_cells <<<"$output")" = $'latency 1@0 0\nskipped latency 1@0 1\nskipped latency 2@1 0\nskipped latency 2@1 1' ]
    [[ $output = *"no CPU of node 1 is allowed"* ]]
    [[ $output = *"the memory of node 1 is not allowed"* ]]
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --cpus 2
    one_line_and 2
    [[ $stderr = *"CPU 2 is not allowed"* ]]
}

@test "matrix.csv says what was skipped and why; no row without CPUs, no column without memory" {
    make_machine m 0:0-0:100 1:1-1:100 2::100 3:2-2:0
    printf 'Cpus_allowed_list:\t0\nMems_allowed_list:\t0,2\n' >m/proc/self/status
    HWLOC_FSROOT=m HWLOC_THISSYSTEM=1 run --separate-stderr \
        "$run_matrix" --bench latency --rounds 1 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    [ "$(cut -d , -f 8,9,22,28 "$out/matrix.csv")" = "cpu_node,mem_node,status,reason
0,0,ok,
0,1,skipped,the memory of node 1 is not allowed to this process
0,2,ok,
1,0,skipped,no CPU of node 1 is allowed to this process
1,1,skipped,no CPU of node 1 is allowed to this process
1,2,skipped,no CPU of node 1 is allowed to this process
3,0,skipped,no CPU of node 3 is allowed to this process
3,1,skipped,no CPU of node 3 is allowed to this process
3,2,skipped,no CPU of node 3 is allowed to this process" ]
}

@test "one round of enough samples is ok, and samples and their time are passed on, by resume too" {
    run --separate-stderr "$run_matrix" --cpus 0 --mem-nodes 0 --rounds 1 --bench latency --no-pictures \
        --max-samples 7 --min-sample-ms=20 --out "$out"
    [ "$status" -eq 0 ]
    [ "$(cut -d , -f 20,22,27 "$out/matrix.csv" | tail -n 1)" = 5,ok,1 ]
    grep -q -- 'bench/latency --csv --max-samples 7 --min-sample-ms 20 >' "$out/commands.txt"
    rm "$out/joblog.tsv" "$out/commands.txt"
    "$run_matrix" --resume "$out" --no-pictures
    grep -q -- 'bench/latency --csv --max-samples 7 --min-sample-ms 20 >' "$out/commands.txt"
}

@test "one node: one line says that there is no remote memory and how to see it" {
    make_machine m 0:0-1:100
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run
    one_line_and 0
    [[ $stderr = *"no remote memory"*"./harness/setup.sh vm && ./harness/lab.sh -- ./harness/run_matrix.sh --size 4M"* ]]
    [ "$(planned_cells <<<"$output")" = $'bandwidth 0@0 0\nlatency 0@0 0' ]
}

@test "each round is a fresh order of all cells, fixed by the seed" {
    make_machine m 0:0-1:100 1:2-3:100
    export HWLOC_FSROOT=m
    "$run_matrix" --dry-run --seed 7 >first
    "$run_matrix" --dry-run --seed 7 --out "$(sed -n 's/.*run folder //p' first)" >again
    "$run_matrix" --dry-run --seed 8 >other
    cmp first again
    run ! cmp -s first other
    for round in 1 2 3; do sed -n "s/^round $round, //p" first >"order$round"; done
    run ! cmp -s order1 order2
    run ! cmp -s order2 order3
    diff <(sort order1) <(sort order2)
    diff <(sort order1) <(sort order3)
}

@test "bad values: one line each, exit 2, nothing written" {
    make_machine m 0:0-1:100 1:2-3:0
    touch a_file
    mkdir full && touch full/something
    export HWLOC_FSROOT=m
    while IFS='|' read -r -a arguments; do
        run --separate-stderr "$run_matrix" --dry-run "${arguments[@]}"
        one_line_and 2 || { echo "${arguments[*]}" && return 1; }
        [[ $stderr = *"${arguments[0]%%=*}"* ]]
    done <<'END'
--bench|stream
--bench|latency,latency
--bench=
--cpus|x
--cpus|99
--cpus|1-0
--mem-nodes|7
--mem-nodes|1
--mem-nodes|0,
--size|4X
--size|0
--size|100
--size|511|--bench|latency
--size|65535|--bench|bandwidth
--size|99999999999G
--size|-4M
--rounds|0
--rounds|two
--max-samples|0
--max-samples|1001
--max-samples|few
--min-sample-ms|0
--min-sample-ms|60001
--min-sample-ms|1.5
--seed|-1
--timeout|0
--timeout|1.5
--timeout
--out|a_file
--out|full
--resume|nowhere
--nonsense
--dry-run=yes
0
END
    run --separate-stderr "$run_matrix" --cpus 0 --all-cpus
    one_line_and 2
    [ "$(ls)" = $'a_file\nfull\nm' ]
}

@test "sizes that the benchmarks take are taken, in small letters too" {
    make_machine m 0:0-1:100 1:2-3:0
    for arguments in "512 --bench latency" 64k 1m 512G "4096g --bench bandwidth"; do
        # shellcheck disable=SC2086
        HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --dry-run --size $arguments
        [ "$status" -eq 0 ]
        [[ $output = *" --csv --size ${arguments%% *}"* ]]
    done
    for bench in latency bandwidth; do # the bounds are those of the programs
        run --separate-stderr "$ROOT/bench/$bench" --size 1
        least=$(sed -E 's/.* from ([0-9]+[KMG]?) to ([0-9]+[KMG]?),.*/\1/' <<<"$stderr")
        most=$(sed -E 's/.* from ([0-9]+[KMG]?) to ([0-9]+[KMG]?),.*/\2/' <<<"$stderr")
        for size in "$least" "$most"; do
            HWLOC_FSROOT=m "$run_matrix" --dry-run --bench $bench --size "$size"
        done
        HWLOC_FSROOT=m run "$run_matrix" --dry-run --bench $bench --size $((${most%G} + 1))G
        [ "$status" -eq 2 ]
    done
}

@test "help that cannot be written is not a success, nor the start of a sweep" {
    run bash -c '"$1" --help >/dev/full' - "$run_matrix"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    run bash -c '"$1" --dry-run >/dev/full' - "$run_matrix"
    [ "$status" -eq 1 ]
    [[ $output != *Traceback* && $output != *"Exception ignored"* ]]
    [ ! -e "$PROJECT/results" ]
}

@test "a path with a control character or outside UTF-8 is one line, and nothing is made" {
    mkdir "sub"
    for name in $'a\nb' $'a\n' $'a\tb' $'a\x1bb' $'a\xffb' $'a\xc2\x85b'; do
        run --separate-stderr "$run_matrix" --cpus 0 --out "sub/$name"
        one_line_and 2
        [[ $stderr = *"control character"* ]]
        [ -z "$(ls -A sub)" ]
    done
    mkdir "sub/a"$'\n'"b" "project"$'\n'
    run --separate-stderr "$run_matrix" --resume "sub/a"$'\n'"b"
    one_line_and 2
    cp -r "$PROJECT"/. "project"$'\n/'
    run --separate-stderr "project"$'\n'/harness/run_matrix.sh --cpus 0 --out out
    one_line_and 2
    [[ $stderr = *"this project"* ]]
    [ ! -e out ]
    run --separate-stderr "$run_matrix" --cpus 0 --rounds 1 --bench latency --no-pictures --out 'sub/é ü'
    [ "$status" -eq 0 ]
}

@test "files of the folder it is called in do not stand in for its modules" {
    for module in csv numpy random statistics numa_report; do echo 'raise SystemExit(9)' >$module.py; done
    ln -s "$run_matrix" sweep
    run --separate-stderr ./sweep --cpus 0 --bench latency --rounds 1 --out "$out"
    [ "$status" -eq 0 ]
}

@test "a topology that hwloc cannot read is one line" {
    echo nonsense >bad.xml
    HWLOC_XMLFILE=bad.xml run --separate-stderr "$run_matrix" --dry-run
    one_line_and 1
    [[ $stderr = *hwloc* ]]
}

@test "a run folder that cannot be made is one line" {
    run --separate-stderr "$run_matrix" --out /proc/here
    [ "$status" -eq 1 ]
    [[ $stderr = *"/proc/here"* ]]
    [[ $stderr != *Traceback* ]]
}

@test "a made-up machine is for dry runs only" {
    make_machine m 0:0-1:100
    HWLOC_FSROOT=m run --separate-stderr "$run_matrix" --out "$out"
    one_line_and 2
    [ ! -e "$out" ]
}

@test "a missing tool is one line naming it and setup.sh" {
    mkdir bin
    for tool in bash env dirname readlink uname taskset flock; do ln -s "$(command -v $tool)" bin/; done
    run --separate-stderr env "PATH=$PWD/bin" "$run_matrix" --out "$out"
    one_line_and 1
    [[ $stderr = *"parallel is missing"*"harness/setup.sh"* ]]
    ln -s "$(type -P true)" bin/parallel
    run --separate-stderr env "PATH=$PWD/bin" "$run_matrix" --out "$out"
    one_line_and 1
    [[ $stderr = *"not GNU parallel"*"harness/setup.sh"* ]]
}

@test "an allocator or bench that is not built is one line naming it and make" {
    mkdir -p unbuilt/alloc && cp -r "$ROOT/harness" unbuilt/
    run --separate-stderr unbuilt/harness/run_matrix.sh --out "$out"
    one_line_and 1
    [[ $stderr = *"alloc/numa_alloc.so is not built: run make"* ]]
    touch unbuilt/alloc/numa_alloc.so
    run --separate-stderr unbuilt/harness/run_matrix.sh --bench bandwidth --out "$out"
    one_line_and 1
    [[ $stderr = *"bench/bandwidth is not built: run make"* ]]
}

@test "a sweep leaves the whole run folder and prints the table" {
    run --separate-stderr "$run_matrix" --cpus 0 --mem-nodes 0 --rounds 2 --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = *"Memory latency in ns"*"90.3 (1.00×)"*"Memory bandwidth in GB/s"*"triad"*"$out/latency.png"* ]]
    [ "$(cd "$out" && echo *)" = "bandwidth.png bandwidth.svg cells commands.txt environment.json joblog.tsv latency.png latency.svg matrix.csv plan.csv samples.csv verdict.txt" ]
    [ "$(find "$out/cells" -name 'round[12].*.cpu0.node0.???' | wc -l)" -eq 8 ]
    [ "$(wc -l <"$out/samples.csv")" -eq $((1 + 2 * 7 * 5)) ]
    [ "$(head -n 1 "$out/samples.csv" | cut -d , -f 1-20)" = "$(head -n 1 "$out"/cells/round1.latency.cpu0.node0.csv)" ]
    grep -q '^a run,host,latency.random.cpu0.node0,.*,90.3,.*,10,0,ok,1.0,verified,' "$out/matrix.csv"
    /usr/bin/python3 - "$out/environment.json" <<'END'
import json, sys
environment = json.load(open(sys.argv[1]))
assert set(environment["options"]) == set(
    "bench rounds size max_samples min_sample_ms cpus all_cpus mem_nodes timeout seed out no_pictures".split())
assert environment["options"]["out"] == sys.argv[1].removesuffix("/environment.json")
assert "gcc" in environment["versions"]["compiler"] and environment["versions"]["libc"]
assert environment["options"]["rounds"] == 2 and isinstance(environment["options"]["seed"], int)
for key in ("cpu_model", "kernel", "topology", "transparent_hugepages", "numa_balancing", "governor", "smt", "cgroup",
            "versions", "git_revision"):
    assert key in environment, key
END
}

@test "without --out the run is results/<UTC time>-<host>" {
    "$run_matrix" --cpus 0 --bench latency --rounds 1 --no-pictures
    run ls "$PROJECT/results"
    [[ $output =~ ^[0-9]{8}T[0-9]{6}Z-"$(uname -n)"$ ]]
    [ ! -e "$PROJECT/results/$output/latency.png" ]
}

@test "a failing bench is a failed cell with its output kept, not the end of the sweep" {
    BENCH_FAIL=latency run --separate-stderr "$run_matrix" --cpus 0 --rounds 2 --no-pictures --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"latency on CPU 0, memory node 0, failed: rounds 1-2: exit status 1: latency: this one fails"* ]]
    [ "$(cat "$out/cells/round2.latency.cpu0.node0.err")" = "latency: this one fails" ]
    [ "$(grep -c ',failed,' "$out/matrix.csv")" -eq 1 ]
    [ "$(grep -c '^a run,host,bandwidth.*,ok,' "$out/matrix.csv")" -eq 6 ]
}

@test "a bench past the time limit is a failed cell" {
    BENCH_SLEEP=30 run --separate-stderr "$run_matrix" --cpus 0 --bench latency --rounds 1 --timeout 1 --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"time limit"* ]]
    grep -q ',failed,.*time limit' "$out/matrix.csv"
}

@test "a bench that ran with another allocator is a failed cell" {
    BENCH_ALLOCATOR=glibc run --separate-stderr "$run_matrix" --cpus 0 --bench latency --rounds 1 --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"allocator is glibc, not numa_alloc as asked"* ]]
}

@test "misplaced pages are said, and give no penalty" {
    BENCH_PLACEMENT=failed BENCH_PLACED=0.5 run --separate-stderr \
        "$run_matrix" --cpus 0 --mem-nodes 0 --bench latency --rounds 1 --no-pictures --out "$out"
    [ "$status" -eq 1 ]
    [[ $stderr = *"1 cell misplaced"* ]]
    [[ $output = *"misplaced: 1 of 1 cell had pages elsewhere"*"latency.random.cpu0.node0 (50 % in place)"* ]]
    grep -q '^misplaced: 1 of 1' "$out/verdict.txt"
    grep -q ',misplaced,,failed,0.5,' "$out/matrix.csv"
}

@test "the caller's settings of the library do not reach the commands" {
    for name in $(grep -oE '"NUMA_ALLOC_[A-Z_]+"' "$ROOT/alloc/config.c" | tr -d '"'); do export "$name=nonsense"; done
    [ "$NUMA_ALLOC_PAGES" = nonsense ]
    cp -r "$PROJECT" copy
    cat >copy/bench/latency <<'END'
#!/bin/bash
env | grep ^NUMA_ALLOC_ | sort >&2
exit 1
END
    run copy/harness/run_matrix.sh --cpus 0 --mem-nodes 0 --bench latency --rounds 1 --out "$out"
    [ "$(cat "$out/cells/round1.latency.cpu0.node0.err")" = NUMA_ALLOC_POLICY=bind:0 ]
}

@test "an encoding without the table's letters does not end a sweep" {
    PYTHONIOENCODING=ascii run --separate-stderr "$run_matrix" --cpus 0 --mem-nodes 0 --bench latency --rounds 1 --no-pictures --out "$out"
    [ "$status" -eq 0 ]
    [[ $stderr != *Traceback* ]]
    [[ $output = *"90.3 (1.00?)"* ]]
}

@test "two sweeps of one folder: one runs, the other leaves it alone" {
    local pids=() statuses=()
    export BENCH_SLEEP=0.5
    for i in 1 2; do
        "$run_matrix" --cpus 0 --mem-nodes 0 --rounds 1 --no-pictures --out "$out" 2>"stderr$i" >"stdout$i" &
        pids[i]=$!
    done
    for i in 1 2; do statuses[i]=0 && wait "${pids[i]}" || statuses[i]=$?; done
    [[ "${statuses[*]}" =~ ^(0\ [12]|[12]\ 0)$ ]]
    grep -qE 'another sweep is running|is not empty' stderr1 stderr2
    [ "$(logged "$out")" = "1 2" ]
    [ "$(wc -l <"$out/samples.csv")" -eq $((1 + 7 * 5)) ]
}

@test "a locked folder is refused before anything is written to it" {
    mkdir "$out"
    run --separate-stderr flock "$out" "$run_matrix" --cpus 0 --out "$out"
    one_line_and 1
    [[ $stderr = *"another sweep is running"* ]]
    [ -z "$(ls -A "$out")" ]
}

@test "two sweeps without --out begun in one second have a folder each" {
    local pids=()
    cp -r "$PROJECT" copy && rm -rf copy/results
    for i in 1 2 3; do
        copy/harness/run_matrix.sh --cpus 0 --mem-nodes 0 --bench latency --rounds 1 --no-pictures &
        pids[i]=$!
    done
    for i in 1 2 3; do wait "${pids[i]}"; done
    [ "$(find copy/results -name matrix.csv | wc -l)" -eq 3 ]
}

@test "a preparation that fails or is refused leaves nothing" {
    run --separate-stderr "$run_matrix" --cpus 9999 --out new/er/folder
    one_line_and 2
    [ -z "$(ls -A)" ]
    mkdir mine
    run --separate-stderr "$run_matrix" --cpus 9999 --out mine
    one_line_and 2
    [ -d mine ]
    [ -z "$(ls -A mine)" ]
    # Like a file system that is full after some bytes.
    run --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 4; exec "$@"' - "$run_matrix" --cpus 0 --rounds 100 --out full
    [ "$status" -eq 1 ]
    [[ $stderr = *"$PWD/full/"*": File too large"* ]]
    [ "$(ls -A)" = mine ]
}

@test "a preparation that is interrupted leaves nothing" {
    mkdir bin
    printf '#!/bin/sh\ntouch "%s"/asked\nsleep 0.5\nexit 1\n' "$PWD" >bin/lstopo-no-graphics
    chmod +x bin/lstopo-no-graphics
    PATH="$PWD/bin:$PATH" "$run_matrix" --cpus 0 --out new/folder &
    sweep=$!
    until [ -e asked ]; do sleep 0.05; done
    [ -d new/folder ]
    kill -TERM $sweep
    status=0 && wait $sweep || status=$?
    [ "$status" -eq 143 ]
    [ ! -e new ]
}

@test "resume runs again what failed or is damaged, and no old picture stays" {
    BENCH_FAIL=latency run "$run_matrix" --cpus 0 --mem-nodes 0 --rounds 2 --out "$out"
    [ "$status" -eq 1 ]
    [ -s "$out/bandwidth.png" ]
    truncate -s -9 "$out/cells/round2.bandwidth.cpu0.node0.csv"
    run --separate-stderr "$run_matrix" --resume "$out" --no-pictures
    [ "$status" -eq 0 ]
    [[ $stderr = *"3 commands to run"* ]]
    [ "$(cut -d , -f 22 "$out/matrix.csv" | sort | uniq -c | tr -s ' ')" = $' 7 ok
 1 status' ]
    [ -z "$(find "$out" -name '*.png' -o -name '*.svg')" ]
}

@test "a folder that is not empty is refused, and left as it was" {
    mkdir "$out" && touch "$out/mine"
    run --separate-stderr "$run_matrix" --out "$out"
    one_line_and 2
    [[ $stderr = *"is not empty"* ]]
    [ "$(ls "$out")" = mine ]
}

@test "resume runs again exactly what was deleted" {
    "$run_matrix" --cpus 0 --rounds 3 --no-pictures --out "$out"
    cp "$out/plan.csv" plan.csv && cp "$out/matrix.csv" matrix.csv
    rm "$out/cells/round1.latency.cpu0.node0.csv" "$out/cells/round3.bandwidth.cpu0.node0.err"
    find "$out/cells" -type f -exec touch -d '2001-01-01' {} +
    run --separate-stderr "$run_matrix" --resume "$out" --no-pictures
    [ "$status" -eq 0 ]
    [[ $stderr = *"2 commands to run"* ]]
    [ "$(find "$out/cells" -newermt 2002-01-01 -name '*.csv' -printf '%f\n' | sort | paste -s -d ' ')" = \
        "round1.latency.cpu0.node0.csv round3.bandwidth.cpu0.node0.csv" ]
    [ "$(logged "$out")" = "1 2 3 4 5 6" ]
    cmp "$out/plan.csv" plan.csv
    cmp "$out/matrix.csv" matrix.csv
}

@test "stopped midway: says how to resume, and resuming gives exactly the plan" {
    BENCH_SLEEP=0.4 "$run_matrix" --cpus 0 --rounds 3 --no-pictures --out "$out" 2>stderr &
    sweep=$!
    until [ -s "$out/cells/round1.latency.cpu0.node0.csv" ]; do sleep 0.1; done
    run --separate-stderr "$run_matrix" --resume "$out"
    one_line_and 1
    [[ $stderr = *"another sweep is running"* ]]
    kill -TERM $sweep
    status=0 && wait $sweep || status=$?
    [ "$status" -eq 143 ]
    [ ! -e "$out/matrix.csv" ]
    grep -q "interrupted; continue with: harness/run_matrix.sh --resume" stderr
    [ "$(logged "$out" | wc -w)" -lt 6 ]
    cp "$out/plan.csv" plan.csv
    run "$run_matrix" --resume "$out"
    [ "$status" -eq 0 ]
    [ "$(logged "$out")" = "1 2 3 4 5 6" ]
    cmp "$out/plan.csv" plan.csv
    for round in 1 2 3; do
        [ "$(cut -d , -f 3,4 "$out/samples.csv" | grep -c "^$round,")" -eq 35 ]
    done
    [ "$(cut -d , -f 27 "$out/matrix.csv" | sort | uniq -c | tr -s ' ')" = $' 7 3\n 1 rounds' ]
}

@test "resume takes no other option, and refuses folders it cannot continue" {
    run --separate-stderr "$run_matrix" --resume . --rounds 2
    one_line_and 2
    run --separate-stderr "$run_matrix" --resume nowhere
    one_line_and 2
    run --separate-stderr "$run_matrix" --resume .
    one_line_and 2
    [[ $stderr = *"no plan.csv"* ]]
    "$run_matrix" --cpus 0 --bench latency --rounds 1 --no-pictures --out "$out"
    sed -i 's/"host": ".*"/"host": "elsewhere"/' "$out/environment.json"
    run --separate-stderr "$run_matrix" --resume "$out"
    one_line_and 2
    [[ $stderr = *"a sweep of elsewhere"* ]]
    cp "$out/environment.json" kept.json
    sed -i 's/"host": ".*"/"host": "'"$(uname -n)"'"/' kept.json
    for change in 's/"max_samples": null/"max_samples": "7"/' 's/"size": null/"size": 5/' 's/"size": null/"size": "-"/' 's/"timeout": 300/"timeout": -1/'; do
        sed "$change" kept.json >"$out/environment.json"
        run --separate-stderr "$run_matrix" --resume "$out"
        one_line_and 1
        [[ $stderr = *"options are not readable"* ]]
    done
    printf '[%.0s' {1..100000} >"$out/environment.json"
    run --separate-stderr "$run_matrix" --resume "$out"
    one_line_and 1
    rm "$out/environment.json"
    run --separate-stderr "$run_matrix" --resume "$out"
    one_line_and 1
    [[ $stderr = *"environment.json"* ]]
}

@test "a real sweep, small: every cell is measured, and placed where the kernel says" {
    run --separate-stderr "$ROOT/harness/run_matrix.sh" --size 4M --rounds 1 --out "$out"
    [ "$status" -eq 0 ]
    [ -s "$out/latency.png" ]
    [ -s "$out/bandwidth.svg" ]
    tail -n +2 "$out/matrix.csv" | cut -d , -f 22,24 >statuses
    [ "$(wc -l <statuses)" -ge 6 ]
    run ! grep -vE '^((ok|noisy),(verified|unverified)|skipped,)$' statuses
}
