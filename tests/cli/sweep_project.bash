# For the tests of harness/run_matrix.sh: a project of stand-ins, and machines made up for hwloc.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # `run` sets status and stderr; the files that load this one use the rest

# $1: folder. The script finds everything from its own place, so a copy of harness/ with stand-ins beside it is a project.
make_project() {
    export ROOT="$BATS_TEST_DIRNAME/../.." PROJECT=$1 PYTHONDONTWRITEBYTECODE=1
    mkdir -p "$PROJECT/alloc" "$PROJECT/bench"
    cp -r "$ROOT/harness" "$PROJECT/"
    gcc -shared -x c -o "$PROJECT/alloc/numa_alloc.so" - <<<'int stand_in;'
    write_bench latency load_latency,ns 90 random
    write_bench bandwidth bandwidth,GB/s 20 'read write copy scale add triad'
}

# $1: program, $2: metric and unit, $3: value, $4: variants. The stand-in prints five samples a variant and obeys
# BENCH_SLEEP (s), BENCH_FAIL (the program that fails), BENCH_ALLOCATOR, BENCH_PLACEMENT, BENCH_PLACED (fraction) and
# BENCH_VALUES: the value is the first line, taken off unless it is the last, of the file $BENCH_VALUES.node<NODE>.
write_bench() {
    cat >"$PROJECT/bench/$1" <<EOF
#!/bin/bash
[ "\${BENCH_FAIL:-}" != $1 ] || { echo "$1: this one fails" >&2; exit 1; }
[[ \$LD_PRELOAD = *numa_alloc.so ]] && ! tr '\\0' '\\n' </proc/\$PPID/environ | grep -q ^LD_PRELOAD= || exit 1
cpu=\$(LD_PRELOAD= taskset -pc \$\$) policy=\$NUMA_ALLOC_POLICY node=\${NUMA_ALLOC_POLICY//[^0-9]/} value=$3
[ -z "\${BENCH_SLEEP:-}" ] || sleep "\$BENCH_SLEEP"
values=\${BENCH_VALUES:-none}.node\$node
[ ! -s "\$values" ] || { read -r value <"\$values" && [ "\$(wc -l <"\$values")" -eq 1 ] || sed -i 1d "\$values"; }
echo run,host,round,cell,bench,metric,unit,cpu,cpu_node,mem_node,allocator,policy,pages,threads,size_bytes,variant,value,placement,placed_fraction,started_at
for variant in $4; do
    for i in 1 2 3 4 5; do
        echo ",host,,,$1,$2,\${cpu##* },0,\$node,\${BENCH_ALLOCATOR:-numa_alloc},\$policy,default,1,4096,\$variant,\$value.\$i,\${BENCH_PLACEMENT:-verified},\${BENCH_PLACED:-1},2026-11-22T13:00:0\${i}Z"
    done
done
EOF
    chmod +x "$PROJECT/bench/$1"
}

# Ends what a failed test left running.
teardown() {
    local process
    for process in $(jobs -p); do kill "$process" || true; done
}

# For setup(): a place of its own for each test, `out` for a run folder.
enter_test_folder() {
    out="$BATS_TEST_TMPDIR/a run"
    mkdir "$BATS_TEST_TMPDIR/here" && cd "$BATS_TEST_TMPDIR/here" || return 1 # bats keeps files of its own above
}

# With --wait, because somebody may be measuring on this machine.
sweep() {
    "$PROJECT/harness/run_matrix.sh" --wait "$@"
}

# In the background, as $!.
begin_sweep() {
    "$PROJECT/harness/run_matrix.sh" --wait "$@" &
}

smallest=(--cpus 0 --mem-nodes 0 --bench latency --rounds 1 --no-pictures)

one_cell() {
    sweep "${smallest[@]}" "$@"
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

# Makes this machine one whose CPU 0 has a local memory, node 0, and a remote one, node 2: two cells, which the stand-ins
# can be run in.
two_memories() {
    make_machine m 0:0-0:100 2::100
    printf 'Cpus_allowed_list:\t0\nMems_allowed_list:\t0,2\n' >m/proc/self/status
    export HWLOC_FSROOT="$PWD/m" HWLOC_THISSYSTEM=1
}

# The dry run's cells of round 1 and the skipped ones, sorted: "bench CPU@CPU_NODE MEM_NODE" and "skipped ...".
planned_cells() {
    sed -nE 's/^round 1, ([a-z]+), CPUs? ([0-9,-]+) of node ([0-9]+), memory node ([0-9]+): .*/\1 \2@\3 \4/p
             s/^skipped, ([a-z]+), CPUs? ([0-9,-]+) of node ([0-9]+), memory node ([0-9]+): .*/skipped \1 \2@\3 \4/p' | sort
}

# The part of a joblog a plan fixes: sequence numbers, sorted.
logged() {
    tail -n +2 "$1/joblog.tsv" | cut -f 1 | sort -n | paste -s -d ' '
}

# How many samples of each cell and round there are: "CELL ROUND COUNT" lines.
sample_counts() {
    tail -n +2 "$1/samples.csv" | cut -d , -f 3,4 | LC_ALL=C sort -t , -k 2,2 -k 1,1n | uniq -c | sed -E 's/ *([0-9]+) ([0-9]+),(.*)/\3 \2 \1/'
}

# Columns of the CSV file $1 (no field of which has a comma or quote) by their names, the header among them.
columns() {
    awk -F , -v names="${*:2}" 'NR == 1 { for (i = 1; i <= NF; i++) place[$i] = i }
        { for (i = 1; i <= split(names, name, " "); i++) printf "%s%s", i == 1 ? "" : ",", $place[name[i]]; print "" }' "$1"
}

# $1: the exit status wanted; run's $status and $stderr are checked. What depends on the machine is no part of it: that it
# has one memory node, and that somebody else is measuring on it.
one_line_and() {
    stderr=$(grep -vE '^run_matrix.sh: (one memory node here|waiting for another sweep)' <<<"$stderr")
    if [ "$status" -ne "$1" ] || [ -z "$stderr" ] || [ "$(wc -l <<<"$stderr")" -ne 1 ]; then
        echo "status $status, stderr: $stderr"
        return 1
    fi
}

# $1: the exit status wanted of a background process, $2.
ends_with() {
    local status=0
    wait "$2" || status=$?
    [ "$status" -eq "$1" ] || { echo "status $status" && return 1; }
}

# Waits, for at most half a minute, until a command succeeds.
until_true() {
    local try
    for try in {1..600}; do
        "$@" && return
        sleep 0.05
    done
    echo "not within half a minute: $*"
    return 1
}
