#!/usr/bin/env bats
# harness/run_matrix.sh: from options to a plan, as --dry-run shows it, and what options it refuses.
# tests/sweep/test_options.py and test_axes.py try every value. Here the project has a space in its path.
# Each test is a subshell of its own, so what it exports is meant to end with it.
# shellcheck disable=SC2030,SC2031,SC2154

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/a project"
}

setup() {
    enter_test_folder
}

dry_run() {
    sweep --dry-run "$@"
}

# The dry run's lines of round 1, and the skipped ones, without their commands, sorted.
planned() {
    sed -nE 's/^(round 1|skipped), (.*): .*/\1, \2/p' | sed 's/^round 1, //' | LC_ALL=C sort
}

# The commands of round 1, without the variables that are unset, sorted.
commands() {
    sed -nE 's/^round 1, .*: (taskset .*)/\1/p' | sed 's/ -u [A-Z_]*//g' | LC_ALL=C sort
}

@test "help names every option and exits 0" {
    run --separate-stderr sweep --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    for option in bench name metric setup teardown cpu-nodes cpus all-cpus mem-nodes policies allocators pages threads sizes \
        rounds extra-rounds no-sentinel max-samples min-sample-ms seed timeout plan out resume wait dry-run no-pictures \
        samples-only json-progress host-name hosts jobs remote-path merge help; do
        [[ $output = *" --$option"* ]] || { echo "no --$option" && return 1; }
    done
}

@test "a dry run on this machine prints the commands and writes nothing" {
    run --separate-stderr dry_run --rounds 2 --sizes 4M --out "$out"
    [ "$status" -eq 0 ]
    [[ $output = *"taskset -c "*" env -u "*" NUMA_ALLOC_POLICY=bind:"*" LD_PRELOAD=alloc/numa_alloc.so bench/latency --csv --size 4M"* ]]
    [ "$(grep -c '^round 2, bandwidth' <<<"$output")" -eq "$(grep -c '^round 1, latency' <<<"$output")" ]
    [ ! -e "$out" ]
    [ ! -e "$PROJECT/results" ]
}

@test "a dry run says how many runs and cells there are, and how long they take" {
    make_machine m 0:0-1:100 1:2-3:100
    export HWLOC_FSROOT=m
    run --separate-stderr dry_run --bench latency
    [[ ${lines[-1]} =~ ^"# 16 runs of 4 cells, roughly "[0-9]+" to "[0-9]+" s"$ ]]
    [ "$(grep -cE '^(round|sentinel)' <<<"$output")" -eq 16 ]
    run --separate-stderr dry_run --rounds 100
    [[ ${lines[-1]} =~ ^"# 901 runs of 8 cells, roughly "[0-9]+" to "[0-9]+" min"$ ]]
    cp -r "$PROJECT" project
    PROJECT="$PWD/project" run --separate-stderr dry_run --rounds 1 --no-sentinel -- true
    [ "${lines[-1]}" = "# 4 runs of 4 cells, 4 times what the command takes" ]
}

@test "two sockets, from hwloc's XML: every CPU node by every memory node" {
    lstopo-no-graphics -i 'pack:2 [numa] core:2 pu:1' --of xml >two.xml
    HWLOC_XMLFILE=two.xml run --separate-stderr dry_run --bench latency
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 0@0 1\nlatency 2@1 0\nlatency 2@1 1' ]
}

@test "--cpu-nodes, --cpus and --all-cpus choose rows, --mem-nodes columns" {
    make_machine m 0:0-1:100 1:2-3:100
    export HWLOC_FSROOT=m
    run --separate-stderr dry_run --bench latency --all-cpus --mem-nodes 0,1
    [ "$(planned_cells <<<"$output" | cut -d ' ' -f 2 | uniq -c | tr -s ' ' | paste -s -d ,)" = ' 2 0@0, 2 1@0, 2 2@1, 2 3@1' ]
    run --separate-stderr dry_run --bench latency --cpus=1,3 --mem-nodes=0
    [ "$(planned_cells <<<"$output")" = $'latency 1@0 0\nlatency 3@1 0\nlatency 3@1 1' ]
    run --separate-stderr dry_run --bench latency --cpu-nodes 1
    [ "$(planned_cells <<<"$output")" = $'latency 2@1 0\nlatency 2@1 1' ]
}

@test "a benchmark runs on a node's lowest CPUs, as many as threads; a command may use them all" {
    make_machine m 0:0-3:100
    export HWLOC_FSROOT=m
    run --separate-stderr dry_run --bench bandwidth --threads 1,3,all
    [ "$(commands <<<"$output" | sed 's/ env.*csv//')" = "taskset -c 0 --max-samples 7 --min-sample-ms 10
taskset -c 0-2 --threads 3 --max-samples 7 --min-sample-ms 10
taskset -c 0-3 --threads 4 --max-samples 7 --min-sample-ms 10" ]
    run --separate-stderr dry_run --bench latency --threads 1,3,all # has one thread, so one cell
    [ "$(planned_cells <<<"$output")" = 'latency 0@0 0' ]
    cp -r "$PROJECT" project
    PROJECT="$PWD/project"
    run --separate-stderr dry_run -- true
    [[ $(commands <<<"$output") = "taskset -c 0-3 env "*" true" ]]
    run --separate-stderr dry_run --threads 2,all -- true '{threads}'
    [ "$(commands <<<"$output" | sed 's/ env.*true//')" = $'taskset -c 0-1 2\ntaskset -c 0-3 4' ]
    run --separate-stderr dry_run --cpus 2 -- true
    [[ $(commands <<<"$output") = "taskset -c 2 env "* ]]
}

@test "the axes' product is the sweep" {
    make_machine m 0:0-0:100 1::100
    HWLOC_FSROOT=m run --separate-stderr dry_run --cpus 0 --policies bind:@,local,interleave:all,weighted:0=3,1=1 --pages default,thp \
        --allocators numa_alloc,glibc --sizes 64K,1M
    # 5 policies (bind:0, bind:1, ...) x 2 pages x 2 allocators x 2 sizes x 2 benches; glibc's weighted are skipped
    [ "$(planned <<<"$output" | wc -l)" -eq 80 ]
    [ "$(planned <<<"$output" | grep -c '^skipped.*weighted.*glibc')" -eq 8 ]
    [ "$(planned <<<"$output" | sort -u | wc -l)" -eq 80 ]
    for words in 'latency, CPU 0 of node 0, memory node 0, 64K' 'latency, CPU 0 of node 0, memory node 1, glibc, thp pages, 1M' \
        'bandwidth, CPU 0 of node 0, local, thp pages, 1M' 'latency, CPU 0 of node 0, weighted:0=3,1=1, 64K' \
        'bandwidth, CPU 0 of node 0, interleave:all, glibc, 1M'; do
        planned <<<"$output" | grep -qxF -- "$words" || { echo "no $words" && return 1; }
    done
    [ "$(tail -n 1 <<<"$output" | cut -d ' ' -f 5)" -eq 72 ]
}

@test "each policy is asked of its allocator: numa_alloc by its variable, another by numactl" {
    make_machine m 0:0-0:100 1::100
    export HWLOC_FSROOT=m
    run --separate-stderr dry_run --bench latency --policies bind:@,preferred:@,interleave:0-1,weighted:0=3,1=1,local,none --no-sentinel
    [ "$(commands <<<"$output" | sed -E 's/.* NUMA_ALLOC_POLICY=([^ ]*) LD_PRELOAD=alloc.numa_alloc.so .*/\1/' | paste -s -d ' ')" = \
        "bind:0 bind:1 interleave:0-1 local none preferred:0 preferred:1 weighted:0=3,1=1" ]
    run --separate-stderr dry_run --bench latency --policies bind:@,preferred:1,preferred:0-1,interleave:all,local,none \
        --allocators glibc,other=/lib/libother.so --no-sentinel
    [ "$(commands <<<"$output" | sed -E 's/^taskset -c 0 //; s/ bench.*//' | LC_ALL=C sort)" = "env
env LD_PRELOAD=/lib/libother.so
numactl --interleave=all env
numactl --interleave=all env LD_PRELOAD=/lib/libother.so
numactl --localalloc env
numactl --localalloc env LD_PRELOAD=/lib/libother.so
numactl --membind=0 env
numactl --membind=0 env LD_PRELOAD=/lib/libother.so
numactl --membind=1 env
numactl --membind=1 env LD_PRELOAD=/lib/libother.so
numactl --preferred-many=0-1 env
numactl --preferred-many=0-1 env LD_PRELOAD=/lib/libother.so
numactl --preferred=1 env
numactl --preferred=1 env LD_PRELOAD=/lib/libother.so" ]
}

@test "what a row lacks is its local cell, and it is added for every other axis" {
    make_machine m 0:0-0:100 1:1-1:100 2::100 3:2-2:0
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench bandwidth --policies interleave:all --mem-nodes 2 --sizes 64K,1M
    [ "$(planned <<<"$output")" = "bandwidth, CPU 0 of node 0, interleave:all, 1M
bandwidth, CPU 0 of node 0, interleave:all, 64K
bandwidth, CPU 0 of node 0, memory node 0, 1M
bandwidth, CPU 0 of node 0, memory node 0, 64K
bandwidth, CPU 1 of node 1, interleave:all, 1M
bandwidth, CPU 1 of node 1, interleave:all, 64K
bandwidth, CPU 1 of node 1, memory node 1, 1M
bandwidth, CPU 1 of node 1, memory node 1, 64K
bandwidth, CPU 2 of node 3, interleave:all, 1M
bandwidth, CPU 2 of node 3, interleave:all, 64K" ]
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench latency --cpu-nodes 0,3 --policies bind:2,bind:0
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 0@0 2\nlatency 2@3 0\nlatency 2@3 2' ]
}

@test "a node without CPUs (CXL) is a column without a row" {
    make_machine m 0:0-1:100 1:2-3:100 2::100
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench latency
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 0@0 1\nlatency 0@0 2\nlatency 2@1 0\nlatency 2@1 1\nlatency 2@1 2' ]
}

@test "a node without memory is a row without a column, and its memory counts as remote" {
    make_machine m 0:0-1:100 1:2-3:0
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench latency
    [ -z "$stderr" ]
    [ "$(planned_cells <<<"$output")" = $'latency 0@0 0\nlatency 2@1 0' ]
}

@test "node ids keep their gaps" {
    make_machine m 0:0-1:100 8:2-3:100 252::100
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench latency
    [ "$(planned_cells <<<"$output" | cut -d ' ' -f 2- | paste -s -d ,)" = '0@0 0,0@0 252,0@0 8,2@8 0,2@8 252,2@8 8' ]
}

@test "what a cpuset hides is skipped, with the reason" {
    make_machine m 0:0-1:100 1:2-3:100
    printf 'Cpus_allowed_list:\t1\nMems_allowed_list:\t0\n' >m/proc/self/status
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench latency
    [ "$status" -eq 0 ]
    [ "$(planned_cells <<<"$output")" = $'latency 1@0 0\nskipped latency 1@0 1\nskipped latency 2@1 0\nskipped latency 2@1 1' ]
    [[ $output = *"no CPU of node 1 is allowed"* ]]
    [[ $output = *"the memory of node 1 is not allowed"* ]]
    HWLOC_FSROOT=m run --separate-stderr dry_run --cpus 2
    one_line_and 2
    [[ $stderr = *"CPU 2 is not allowed"* ]]
}

@test "cells that cannot be are skipped, each with its reason" {
    make_machine m 0:0-1:100 1:2-2:100
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench bandwidth --mem-nodes 0 --threads 2 --policies weighted:0=1,1=2 \
        --allocators numa_alloc,glibc,other=/lib/libother.so --pages default,2M
    [ "$status" -eq 0 ]
    [ "$(grep -c '^skipped.*CPU 2 of node 1.*: 2 threads on 1 CPU (all that this process has of node 1)$' <<<"$output")" -eq 12 ]
    [ "$(grep -c '^skipped.*CPUs 0-1 of node 0, weighted.*: glibc is placed by numactl, and numactl has no weights of its own$' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^skipped.*CPUs 0-1 of node 0, weighted.*: other is placed by numactl, and numactl has no weights of its own$' <<<"$output")" -eq 2 ]
    [ "$(grep -c '^skipped.*CPUs 0-1 of node 0, memory node 0, other, 2M.*: other cannot be told which pages to use$' <<<"$output")" -eq 1 ]
    [ "$(grep -c ^skipped <<<"$output")" -eq 17 ]
    HWLOC_FSROOT=m run --separate-stderr dry_run --bench bandwidth --cpus 0 --threads 2
    one_line_and 1
    [[ $stderr = *"nothing to measure: 2 threads on 1 CPU (named singly)" ]]
}

@test "one node: one line says that there is no remote memory and how to see it" {
    make_machine m 0:0-1:100
    HWLOC_FSROOT=m run --separate-stderr dry_run
    [ "$status" -eq 0 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr = *"no remote memory"*"./harness/setup.sh vm && ./harness/lab.sh -- ./harness/run_matrix.sh --sizes 4M"* ]]
    [ "$(planned_cells <<<"$output")" = $'bandwidth 0@0 0\nlatency 0@0 0' ]
}

@test "each round is a fresh order of all cells, fixed by the seed" {
    make_machine m 0:0-1:100 1:2-3:100
    export HWLOC_FSROOT=m
    dry_run --seed 7 >first
    dry_run --seed 7 --out "$(sed -n 's/.*run folder //p' first)" >again
    dry_run --seed 8 >other
    cmp first again
    run ! cmp -s first other
    for round in 1 2 3; do sed -n "s/^round $round, //p" first >"order$round"; done
    run ! cmp -s order1 order2
    run ! cmp -s order2 order3
    diff <(sort order1) <(sort order2)
    diff <(sort order1) <(sort order3)
}

@test "the sentinel, one local cell, runs before each round, after every 32 runs and at the end" {
    make_machine m 0:0-3:100 1:4-7:100 2:8-11:100
    export HWLOC_FSROOT=m # 36 cells
    run --separate-stderr dry_run --bench latency --all-cpus --rounds 2
    [ "$(sed -nE 's/^(round [0-9]|sentinel).*/\1/p' <<<"$output" | uniq -c | tr -s ' ' | paste -s -d ,)" = \
        ' 1 sentinel, 32 round 1, 1 sentinel, 4 round 1, 1 sentinel, 32 round 2, 1 sentinel, 4 round 2, 1 sentinel' ]
    [ "$(grep ^sentinel <<<"$output" | uniq | wc -l)" -eq 1 ]
    [[ $(grep ^sentinel <<<"$output") = "sentinel, latency, CPU 0 of node 0, memory node 0: "* ]]
    run --separate-stderr dry_run --bench latency --no-sentinel
    [[ $output != *sentinel,* ]]
    run --separate-stderr dry_run --bench latency --cpus 0 --mem-nodes 0 # its own rounds show a drift
    [[ $output != *sentinel,* ]]
}

@test "bad values: one line each, exit 2, nothing written" {
    make_machine m 0:0-1:100 1:2-3:0
    touch a_file
    mkdir full && touch full/something
    export HWLOC_FSROOT=m
    while IFS='|' read -r -a arguments; do
        run --separate-stderr dry_run "${arguments[@]}"
        one_line_and 2 || { echo "${arguments[*]}" && return 1; }
        [[ $stderr = *"${arguments[0]%%=*}"* ]] || { echo "${arguments[*]}: $stderr" && return 1; }
    done <<'END'
--bench|stream
--cpu-nodes|7
--cpus|x
--mem-nodes|0,
--policies|bind:@,interleve:all
--policies=
--allocators|jemalloc
--pages|4K
--threads|two
--sizes|511|--bench|latency
--rounds|0
--seed|-1
--timeout
--out|a_file
--out|full
--resume|nowhere
--resume|a_file
--metric|tps=(a)(b):1/s|--|true
--nonsense
--plan|full
0
END
    run --separate-stderr sweep --cpus 0 --all-cpus
    one_line_and 2
    [ "$(ls)" = $'a_file\nfull\nm' ]
    [ ! -e "$PROJECT/results" ]
}

@test "a node, a CPU or a policy that cannot be is named, with what can be" {
    make_machine m 0:0-1:100 1:2-3:0 2::100
    echo 5,7 >m/sys/devices/system/cpu/offline
    export HWLOC_FSROOT=m
    while IFS='|' read -r option value words; do
        run --separate-stderr dry_run "$option=$value"
        one_line_and 2
        [ "$stderr" = "run_matrix.sh: $option: $words" ] || { echo "$stderr" && return 1; }
    done <<'END'
--cpus|7|CPU 7 is off-line; as root: echo 1 > /sys/devices/system/cpu/cpu7/online
--cpus|0,9|there is no CPU 9 here; CPUs: 0-3
--cpu-nodes|2|node 2 has no CPUs; nodes with CPUs: 0-1
--cpu-nodes|4|node 4 does not exist; nodes with CPUs: 0-1
--mem-nodes|0-1|node 1 has no memory; nodes with memory: 0,2
--mem-nodes|4|node 4 does not exist; nodes with memory: 0,2
--policies|weighted:0=1,4=2|node 4 does not exist; nodes with memory: 0,2
--policies|bind:0,lokal|'lokal' is not accepted; bind:N or bind:@ (each memory node), preferred:LIST or preferred:@, interleave:all or :LIST, weighted:N=W,N=W, local, none
--threads||it is empty
END
}

@test "every policy accepted is one that the allocator takes" {
    make_machine m 0:0-0:100
    for policy in bind:0 preferred:0 interleave:all interleave:0 weighted:0=1 weighted:0=255 local none; do
        HWLOC_FSROOT=m dry_run --policies "$policy" >shown
        "$ROOT/alloc/numa_run" --policy "$policy" --print true
    done
    for policy in weighted:0=0 weighted:0=256 weighted:0=; do
        run ! "$ROOT/alloc/numa_run" --policy "$policy" --print true
        HWLOC_FSROOT=m run --separate-stderr dry_run --policies "$policy"
        one_line_and 2 || { echo "$policy" && return 1; }
    done
}

@test "sizes that the benchmarks take are taken, in small letters too" {
    make_machine m 0:0-1:100 1:2-3:0
    for arguments in "512 --bench latency" 64k 1m 512G "4096g --bench bandwidth"; do
        # shellcheck disable=SC2086
        HWLOC_FSROOT=m run --separate-stderr dry_run --sizes $arguments
        [ "$status" -eq 0 ]
        [[ $output = *" --csv --size ${arguments%% *}"* ]]
    done
    for bench in latency bandwidth; do # the bounds are those of the programs
        run --separate-stderr "$ROOT/bench/$bench" --size 1
        least=$(sed -E 's/.* from ([0-9]+[KMG]?) to ([0-9]+[KMG]?),.*/\1/' <<<"$stderr")
        most=$(sed -E 's/.* from ([0-9]+[KMG]?) to ([0-9]+[KMG]?),.*/\2/' <<<"$stderr")
        for size in "$least" "$most"; do
            HWLOC_FSROOT=m dry_run --bench $bench --sizes "$size" >shown
        done
        HWLOC_FSROOT=m run dry_run --bench $bench --sizes $((${most%G} + 1))G
        [ "$status" -eq 2 ]
    done
}

@test "a plan file gives options and the command; the command line's win" {
    make_machine m 0:0-0:100 1::100
    cp -r "$PROJECT" project
    PROJECT="$PWD/project"
    export HWLOC_FSROOT=m
    cat >nightly.plan <<'END'
# what remote memory costs

   # indented
rounds = 2
policies=bind:@,local
metric = tps=tps = ([0-9.]+):1/s:higher
metric = lag=lag #([0-9.]+):ms
no-sentinel
command = echo 'two words' "{cpu}"
END
    run --separate-stderr dry_run --plan nightly.plan
    [ "$status" -eq 0 ]
    [[ $output = *", 2 rounds, "* ]]
    [ "$(planned <<<"$output" | paste -s -d ';')" = \
        'echo, CPU 0 of node 0, local;echo, CPU 0 of node 0, memory node 0;echo, CPU 0 of node 0, memory node 1' ]
    [[ $output = *" echo 'two words' 0"* ]]
    [[ $output != *sentinel,* ]]
    run --separate-stderr dry_run --plan nightly.plan --rounds 1 --policies=bind:0 -- printf x
    [[ $output = *", 1 round, "* ]]
    [ "$(planned <<<"$output")" = 'printf, CPU 0 of node 0, memory node 0' ]
}

@test "a bad line of a plan file is named by file and line" {
    printf '# a plan\n\nrounds = two\n' >bad.plan
    run --separate-stderr dry_run --plan bad.plan
    one_line_and 2
    [[ $stderr = *"--plan: bad.plan:3: --rounds: 'two' is not accepted"* ]]
}

@test "help that cannot be written is not a success, nor the start of a sweep" {
    run bash -c '"$1" --help >/dev/full' - "$PROJECT/harness/run_matrix.sh"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    run bash -c '"$1" --dry-run >/dev/full' - "$PROJECT/harness/run_matrix.sh"
    [ "$status" -eq 1 ]
    [[ $output != *Traceback* && $output != *"Exception ignored"* ]]
    [ ! -e "$PROJECT/results" ]
}

@test "a path with a control character or outside UTF-8 is one line, and nothing is made" {
    mkdir "sub"
    for name in $'a\nb' $'a\n' $'a\tb' $'a\x1bb' $'a\xffb' $'a\xc2\x85b'; do
        run --separate-stderr sweep --cpus 0 --out "sub/$name"
        one_line_and 2
        [[ $stderr = *"control character"* ]]
        [ -z "$(ls -A sub)" ]
    done
    mkdir "sub/a"$'\n'"b" "project"$'\n'
    run --separate-stderr sweep --resume "sub/a"$'\n'"b"
    one_line_and 2
    cp -r "$PROJECT"/. "project"$'\n/'
    run --separate-stderr "project"$'\n'/harness/run_matrix.sh --cpus 0 --out out
    one_line_and 2
    [[ $stderr = *"this project"* ]]
    [ ! -e out ]
    run --separate-stderr one_cell --out 'sub/é ü'
    [ "$status" -eq 0 ]
}

@test "a topology that hwloc cannot read is one line" {
    echo nonsense >bad.xml
    HWLOC_XMLFILE=bad.xml run --separate-stderr dry_run
    one_line_and 1
    [[ $stderr = *hwloc* ]]
}

@test "a made-up machine is for dry runs only" {
    make_machine m 0:0-1:100
    HWLOC_FSROOT=m run --separate-stderr sweep --out "$out"
    one_line_and 2
    [ ! -e "$out" ]
}
