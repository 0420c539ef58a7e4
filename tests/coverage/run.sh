#!/usr/bin/env bash
# Line coverage of alloc/: builds a copy of the tree with clang's counters, which are shared memory and so
# survive every way a process can end, runs in it what tests the allocator, and prints a table by file.
# A line counts when any program or test has run it. Fails below the share given.
set -euo pipefail
cd "$(dirname "$0")/../.." || exit 1

usage() {
    cat <<'EOF2'
Usage: tests/coverage/run.sh [LEAST_PERCENT]
Prints lines of alloc/ that the tests run, by file; leaves the others in build/coverage/missed.txt. Status 1
when under LEAST_PERCENT (90) of all lines are run, or a test fails.
EOF2
}

least=${1:-90}
[[ "$least" =~ ^[0-9]+$ ]] || {
    usage >&2
    exit 2
}
root=$PWD/build/coverage tree=$PWD/build/coverage/tree
rm -rf "$tree" "$root/profiles"
mkdir -p "$tree" "$root/profiles"
git ls-files -z --cached --others --exclude-standard -- alloc bench harness tests Makefile README.md |
    xargs -0 cp --parents -t "$tree"

failed=0
expect() { # runs the rest of the line; the first word names it
    local name=$1
    shift
    "$@" >"$root/output.txt" 2>&1 || {
        failed=$((failed + 1))
        echo "FAILED: $name"
        tail -n 20 "$root/output.txt"
    }
}

# --- build -------------------------------------------------------------------------------------------

counting="-std=gnu11 -D_GNU_SOURCE -fprofile-instr-generate=$root/profiles/%m%c.profraw -fcoverage-mapping"
counting+=" -mllvm -runtime-counter-relocation"
targets=(alloc/numa_alloc.so alloc/libnuma_alloc.a alloc/numa_run bench/benchmark build/tests/torture
    build/tests/plant.so build/tests/refuse build/tests/misuse build/tests/injection/inject build/tests/injection/workload)
for source in tests/alloc/test_*.c tests/unit/test_alloc_*.c; do
    targets+=("build/${source%.c}")
done
cd "$tree"
make -s -j"$(nproc)" CC=clang STD="$counting" ALLOC_CFLAGS="-O1 -g -fPIC -fvisibility=hidden \
-ftls-model=initial-exec -fno-builtin -fno-plt -include tests/coverage/early.h" "${targets[@]}"

# --- run ---------------------------------------------------------------------------------------------

export CMOCKA_MESSAGE_OUTPUT=TAP
for program in build/tests/unit/test_alloc_*; do
    expect "$program" "$program"
done
for program in build/tests/alloc/test_*; do
    expect "$program" env LD_PRELOAD="$tree/alloc/numa_alloc.so" timeout 300 "$program"
done
for name in refused numa_run misuse checks; do
    [ ! -e "tests/cli/$name.bats" ] || expect "$name.bats" bats "tests/cli/$name.bats"
done
expect "calls that fail" build/tests/injection/inject --quick

torture() { # $1: policy, $2: threshold, $3: pages, $4: checks; the rest: a command to run it under
    local policy=$1 min_size=$2 pages=$3 checks=$4
    shift 4
    expect "torture under $policy $min_size $pages" "$@" build/tests/torture --library alloc/numa_alloc.so \
        --policy "$policy" --min-size "$min_size" --pages "$pages" --checks "$checks" --seconds 1
}
node=$(sed 's/[^0-9].*//' /sys/devices/system/node/has_memory 2>/dev/null) || node=0
for policy in "bind:$node" preferred:all interleave:all "weighted:$node=3" local none; do
    torture "$policy" 0 default off env
    torture "$policy" 64K thp off env
    torture "$policy" 0 2M off env
    torture "$policy" 0 default off build/tests/refuse EPERM
    torture "$policy" 0 default off bash -c 'ulimit -v 12582912; exec "$@"' limited
done
if env NUMA_ALLOC_CHECKS=on LD_PRELOAD="$tree/alloc/numa_alloc.so" true 2>/dev/null; then
    torture "bind:$node" 0 default on env
    torture local 64K thp on env
    torture interleave:all 0 default on bash -c 'ulimit -v 12582912; exec "$@"' limited
fi

# --- tell --------------------------------------------------------------------------------------------

llvm-profdata merge -o "$root/all.profdata" "$root"/profiles/*.profraw
objects=()
for program in alloc/numa_run build/tests/unit/test_alloc_*; do
    objects+=(-object "$program")
done
llvm-cov export -format=lcov -instr-profile "$root/all.profdata" alloc/numa_alloc.so "${objects[@]}" \
    >"$root/all.lcov" 2>"$root/output.txt"
awk -F: -v tree="$tree/" -v missed="$root/missed.txt" -v least="$least" '
    /^SF:/ { file = substr($0, 4); sub(tree, "", file); next }
    /^DA:/ && file ~ /^alloc\// {
        split($2, line, ",")
        key = file ":" line[1]
        if (!(key in known)) { known[key] = 1; lines[file]++; number[++count] = key }
        if (line[2] > 0 && !(key in run)) { run[key] = 1; ran[file]++ }
    }
    END {
        print "| file | lines | run | % |\n| --- | ---: | ---: | ---: |"
        sort = "sort"
        for (file in lines) {
            printf "| %s | %d | %d | %.1f |\n", file, lines[file], ran[file], 100 * ran[file] / lines[file] | sort
            all += lines[file]; all_run += ran[file]
        }
        close(sort)
        printf "| all | %d | %d | %.1f |\n", all, all_run, 100 * all_run / all
        for (i = 1; i <= count; i++) if (!(number[i] in run)) print number[i] >missed
        exit all_run * 100 < all * least
    }' "$root/all.lcov" || {
    failed=$((failed + 1))
    echo "FAILED: under $least % of the lines are run"
}
[ "$failed" -eq 0 ]
