#!/usr/bin/env bats
# Everyday programs give the same output with the allocator preloaded as without, and it was in force.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
    library=$root/alloc/numa_alloc.so
    [ -e "$library" ] || {
        echo "no $library: run make" >&2
        return 1
    }
    cd "$BATS_TEST_TMPDIR" || return 1
}

# Skips, with the reason, where a program is not installed.
need() {
    local program
    for program in "$@"; do
        [ -n "$(type -P "$program")" ] || skip "$program is not installed"
    done
}

# Runs a command with the allocator preloaded; each process it starts leaves its statistics. Silent:
# in a container that refuses memory policies the allocator would otherwise add its warning.
preloaded() {
    mkdir -p "$BATS_TEST_TMPDIR/stats"
    NUMA_ALLOC_ON_ERROR=silent NUMA_ALLOC_STATS="$BATS_TEST_TMPDIR/stats/%p.json" \
        LD_PRELOAD=$library "$@"
}

# Fails unless every process that left statistics had memory of the allocator, and one did.
assert_in_force() {
    /usr/bin/python3 - "$BATS_TEST_TMPDIR"/stats/*.json <<'PYTHON'
import json, sys

for name in sys.argv[1:]:
    stats = json.load(open(name))
    if not sum(node["peak_committed_bytes"] for node in stats["nodes"]):
        sys.exit(f"{name}: nothing was allocated: the allocator was not in force")
PYTHON
}

# Runs a command plainly and preloaded; stdout, stderr and exit status must be the same.
same_with_and_without() {
    local plain=0 with=0
    "$@" >plain.out 2>plain.err || plain=$?
    preloaded "$@" >preloaded.out 2>preloaded.err || with=$?
    echo "exit status $plain without and $with with; stderr with: $(head -c 500 preloaded.err)"
    [ "$plain" -eq 0 ]
    [ "$with" -eq 0 ]
    [ -s plain.out ]
    cmp plain.out preloaded.out
    cmp plain.err preloaded.err
    assert_in_force
}

@test "git log prints the same" {
    need git
    git init -q repository
    git -C repository config user.email test@example.org
    git -C repository config user.name Test
    for i in {1..40}; do
        seq "$i" $((i * 50)) >repository/file
        git -C repository add file
        git -C repository commit -q -m "Change $i"
    done
    same_with_and_without git -C repository log -p --stat
    [ "$(grep -c '^commit' preloaded.out)" -eq 40 ]
}

@test "gcc -O2 makes the same object of the library itself" {
    need gcc
    compile() { gcc -O2 -fPIC -std=gnu11 -D_GNU_SOURCE -c -o "$1" "$root/alloc/numa_alloc.c"; }
    compile plain.o
    preloaded gcc -O2 -fPIC -std=gnu11 -D_GNU_SOURCE -c -o preloaded.o "$root/alloc/numa_alloc.c"
    cmp plain.o preloaded.o
    assert_in_force
}

@test "python3 builds a million objects" {
    need /usr/bin/python3
    # PYTHONMALLOC=malloc: every object from malloc, not from Python's own pools.
    export PYTHONMALLOC=malloc PYTHONHASHSEED=0
    same_with_and_without /usr/bin/python3 -c '
objects = [{"name": str(i), "squares": [i, i * i]} for i in range(250000)]
del objects[::3]
objects += [(str(i), i) for i in range(250000)]
print(len(objects), sum(len(str(o)) for o in objects[::7]))'
}

@test "perl builds hashes" {
    need perl
    export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
    # shellcheck disable=SC2016  # perl's variables
    same_with_and_without perl -e '
my %count; my @words = map { ($_ * 7919) % 100003 } 1 .. 300000;
$count{"word$_"} .= "x" for @words;
delete $count{"word$_"} for 1 .. 20000;
print join(" ", map { "$_=" . length $count{$_} } (sort keys %count)[0 .. 999]), "\n";
print scalar(keys %count), "\n";'
}

@test "sort with threads sorts half a million lines" {
    need sort seq awk
    seq 1 500000 | awk '{ print ($1 * 7919) % 1000003, "line", $1 }' >lines
    same_with_and_without sort --parallel=2 -S 64M lines
    [ "$(wc -l <preloaded.out)" -eq 500000 ]
}

@test "sqlite3 runs a workload in memory" {
    need sqlite3
    cat >workload.sql <<'SQL'
CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
INSERT INTO items SELECT i, 'item ' || (i * 7919 % 10007), i % 1000 FROM n;
CREATE INDEX by_name ON items (name, amount);
DELETE FROM items WHERE id % 3 = 0;
UPDATE items SET name = name || ' ' || hex(amount) WHERE id % 5 = 0;
SELECT name, count(*), sum(amount) FROM items GROUP BY name ORDER BY 3 DESC, 1 LIMIT 200;
SELECT count(*), group_concat(id % 10, '') FROM (SELECT id FROM items LIMIT 5000);
SQL
    same_with_and_without sqlite3 :memory: ".read workload.sql"
}

@test "xz with two threads packs and unpacks" {
    need xz seq
    seq 1 1500000 >numbers
    xz -T2 -1 --block-size=2MiB -c numbers >plain.xz
    preloaded xz -T2 -1 --block-size=2MiB -c numbers >preloaded.xz
    assert_in_force
    cmp plain.xz preloaded.xz
    preloaded xz -T2 -d -c preloaded.xz | cmp - numbers
}

@test "a threaded C++ program gives the same sums" {
    need g++
    g++ -std=c++17 -O1 -pthread -o program "$root/tests/programs/threaded.cpp"
    same_with_and_without ./program
}

@test "operator new throws bad_alloc and calls the new-handler in C++" {
    need g++
    g++ -std=c++17 -O1 -pthread -o program "$root/tests/programs/bad_alloc.cpp"
    same_with_and_without ./program
    grep -q '^handler called, then bad_alloc$' preloaded.out
}

@test "a shell with pipes and children prints the same" {
    need bash
    # shellcheck disable=SC2016  # the inner shell's variables
    same_with_and_without bash -c '
for i in {1..30}; do printf "%s %s\n" "$i" "$(echo "$i" | tr 0-9 a-j)"; done | sort -r
declare -A seen; for i in {1..20000}; do seen[$((i % 977))]+=$i; done
echo "${#seen[@]} ${seen[5]:0:60}"'
}
