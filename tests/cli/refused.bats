#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # `run` sets output, stderr, status and their lines, in each test anew
# Everyday programs where the kernel refuses memory policies, as default containers do (build/tests/refuse, a
# seccomp filter): their output stays, one line says what happened, and the statistics name the refusal.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # By paths without spaces, whatever the checkout's has.
    cp alloc/numa_run alloc/numa_alloc.so build/tests/refuse "$BATS_FILE_TMPDIR"
    export NUMA_RUN="$BATS_FILE_TMPDIR/numa_run" REFUSE="$BATS_FILE_TMPDIR/refuse"
    seq 1 200000 | awk '{ print ($1 * 7919) % 1000003, "line", $1 }' >"$BATS_FILE_TMPDIR/lines"
    export LINES_FILE="$BATS_FILE_TMPDIR/lines"
    # Of nodes with CPUs, on which memory can be touched first.
    local nodes=/sys/devices/system/node node list=all
    node=$(sed 's/[-,].*//' $nodes/has_memory 2>/dev/null || echo 0)
    cmp -s $nodes/has_memory $nodes/has_cpu || list=$node
    export POLICIES="bind:$node preferred:$node weighted:$node=3 interleave:$list local"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    local status=0
    "$REFUSE" EPERM true 2>why || status=$?
    [ "$status" -ne 125 ] || skip "system calls cannot be filtered here: $(cat why)"
}

# Runs a program plainly and, refused $1 and with numa_run's options up to --, behind the filter; stdout and
# status must be the same. Leaves what the latter said in `refused.err`.
same_where_refused() { # $1: words for `refuse`, options..., --, command...
    local refusal options=()
    read -r -a refusal <<<"$1"
    shift
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    "$@" >plain.out
    "$REFUSE" "${refusal[@]}" "$NUMA_RUN" "${options[@]}" -- "$@" >refused.out 2>refused.err || {
        echo "${refusal[*]} ${options[*]}: status $?, stderr: $(head -c 500 refused.err)"
        return 1
    }
    [ -s plain.out ]
    cmp plain.out refused.out
}

one_line_warns() {
    echo "stderr: $(head -c 500 refused.err)"
    [ "$(wc -l <refused.err)" -eq 1 ]
    grep -q '^numa_alloc: .*refused' refused.err
}

PYTHON_PROGRAM='
objects = [{"name": str(i), "squares": [i, i * i]} for i in range(50000)]
del objects[::3]
print(len(objects), sum(len(str(o)) for o in objects[::7]))'

@test "python3 prints the same under every policy, with one line of warning" {
    export PYTHONMALLOC=malloc PYTHONHASHSEED=0
    for policy in $POLICIES; do
        for refusal in EPERM ENOSYS; do
            same_where_refused "$refusal" --policy "$policy" -- /usr/bin/python3 -c "$PYTHON_PROGRAM"
            one_line_warns
        done
    done
}

@test "sort with threads sorts the same under every policy, with one line of warning" {
    for policy in $POLICIES; do
        same_where_refused EPERM --policy "$policy" -- sort --parallel=2 -S 32M "$LINES_FILE"
        one_line_warns
    done
}

@test "smaller blocks and huge pages: the same, with one line" {
    for options in '--min-size 4K' '--pages thp' '--pages thp --min-size 64K'; do
        read -r -a words <<<"$options"
        same_where_refused EPERM --policy interleave:all "${words[@]}" -- sort --parallel=2 -S 32M "$LINES_FILE"
        one_line_warns
    done
}

@test "nothing is said when silent, and nothing under policy none" {
    for policy in $POLICIES; do
        same_where_refused EPERM --policy "$policy" --on-error silent -- sort "$LINES_FILE"
        [ ! -s refused.err ]
    done
    for on_error in warn abort; do
        same_where_refused EPERM --policy none --on-error "$on_error" -- sort "$LINES_FILE"
        [ ! -s refused.err ]
    done
}

@test "abort: SIGABRT before the program does anything, and one line" {
    for policy in $POLICIES; do
        for refusal in EPERM ENOSYS; do
            run --separate-stderr "$REFUSE" "$refusal" "$NUMA_RUN" --policy "$policy" --on-error abort \
                /usr/bin/python3 -c 'print("ran")'
            echo "$policy $refusal: status $status, stdout '$output', stderr '$stderr'"
            [ "$status" -eq 134 ]
            [ -z "$output" ]
            [ "${#stderr_lines[@]}" -eq 1 ]
            [[ $stderr == *abort* ]]
        done
    done
}

# Fails unless the pools that were used tell of errno $1 and of memory placed as $2, and no other does.
statistics_tell() {
    /usr/bin/python3 - "$1" "$2" <<'PYTHON'
import json, sys

pools = json.load(open("stats.json"))["nodes"]
refused = [pool for pool in pools if pool["refusals"] > 0]
assert refused, pools
for pool in refused:
    assert pool["refusal_errno"] == int(sys.argv[1]), pool
    assert pool["placing"] == sys.argv[2], pool
    assert not pool["in_force"], pool
for pool in pools:
    assert pool in refused or pool["peak_committed_bytes"] == 0, pool
PYTHON
}

@test "the statistics name the refusal, its errno and what is done instead" {
    for policy in $POLICIES; do
        options=(--policy "$policy" --on-error silent --stats "$PWD/stats.json")
        same_where_refused EPERM "${options[@]}" -- sort "$LINES_FILE"
        statistics_tell 1 touched
        same_where_refused ENOSYS "${options[@]}" -- sort "$LINES_FILE"
        statistics_tell 38 touched
        same_where_refused "EPERM +sched_setaffinity" "${options[@]}" -- sort "$LINES_FILE"
        statistics_tell 1 plain
        same_where_refused "ENOSYS +populate" "${options[@]}" -- sort "$LINES_FILE"
        statistics_tell 38 plain
    done
}

@test "no refusal is told of under policy none" {
    same_where_refused EPERM --policy none --stats "$PWD/stats.json" -- sort "$LINES_FILE"
    /usr/bin/python3 -c '
import json
assert all(n["refusals"] == 0 and n["refusal_errno"] == 0 for n in json.load(open("stats.json"))["nodes"])'
}

@test "a policy that cannot be is refused as ever: the nodes are known from /proc and /sys" {
    run --separate-stderr "$REFUSE" EPERM env NUMA_ALLOC_POLICY=bind:1023 \
        LD_PRELOAD="$BATS_FILE_TMPDIR/numa_alloc.so" /bin/echo ran
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == *"there is no node 1023"* ]]
}
