#!/usr/bin/env bats
# The virtual machine's command line: what is wrong with it is said in one line before anything is booted.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# The arguments must be refused with status 2 and one line that has $1 in it.
refuses() {
    local wanted=$1 status=0
    shift
    "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    echo "$*: status $status: $(cat "$BATS_TEST_TMPDIR/err")"
    [ "$status" -eq 2 ]
    [ ! -s "$BATS_TEST_TMPDIR/out" ]
    [ "$(wc -l <"$BATS_TEST_TMPDIR/err")" -eq 1 ]
    grep -qF -- "$wanted" "$BATS_TEST_TMPDIR/err"
}

topology() { # stdin: its text
    cat >"$BATS_TEST_TMPDIR/topology"
    refuses "$1" harness/lab.sh --topology "$BATS_TEST_TMPDIR/topology" -- true
}

@test "vm.sh refuses what it cannot read" {
    refuses "no command" harness/lab.sh
    refuses "unknown option '--bogus'" harness/lab.sh --bogus -- true
    refuses "--kernel needs a value" harness/lab.sh --kernel
    refuses "--kernel 'new'" harness/lab.sh --kernel new -- true
    refuses "--topology 'none-such'" harness/lab.sh --topology none-such -- true
    refuses "2-node 3-node" harness/lab.sh --topology none-such -- true
    refuses "'0' is no number of seconds" harness/lab.sh --timeout 0 -- true
    refuses "--memory-per-node '1T'" harness/lab.sh --memory-per-node 1T -- true
    refuses "--pace '1000'" harness/lab.sh --pace 1000 -- true
    refuses "--fetched needs --pace" harness/lab.sh --fetched /dev/null -- true
    refuses "exclude each other" harness/lab.sh --pace 1000,2000 --count /dev/null -- true
    refuses "--cache-size '1G'" harness/lab.sh --count /dev/null --cache-size 1G -- true
    refuses "--count '/none-such/file'" harness/lab.sh --count /none-such/file -- true
    refuses "need --accel tcg" harness/lab.sh --count /dev/null --accel kvm -- true
}

@test "vm.sh refuses more memory than the plugins can tell the nodes of" {
    refuses "at most 2G" harness/lab.sh --topology 3-node --count /dev/null -- true
}

@test "vm.sh says which line of a topology is wrong" {
    topology ":2: CPU 1 is on node 0 already" <<<$'node 0 cpus 0-1\nnode 1 cpus 1-2'
    topology ":1: node 1: the next node's id is 0" <<<'node 1 cpus 0'
    topology ":2: 'node 1 cpu none'" <<<$'node 0 cpus 0-1\nnode 1 cpu none'
    topology ":2: node 1 has 1 CPUs, a node before it 2" <<<$'node 0 cpus 0-1\nnode 1 cpus 2'
    topology "no node has CPU 0" <<<'node 0 cpus 1-2'
    topology "no node has a CPU" <<<'# nothing'
    topology "'distance 0 3 20'" <<<$'node 0 cpus 0\nnode 1 cpus none\ndistance 0 3 20'
    topology "'distance 0 1 10'" <<<$'node 0 cpus 0\nnode 1 cpus none\ndistance 0 1 10'
}

@test "locality.sh refuses what it cannot read" {
    refuses "--rounds 'x'" tests/lab/locality.sh --rounds x
    refuses "unknown option '--bogus'" tests/lab/locality.sh --bogus
}
