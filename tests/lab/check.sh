#!/usr/bin/env bash
# `make check-vm`, `make check-lab` and `make check-lab-kernels`: what machines of the lab must show.
# Ends with `N passed, N failed`.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
Usage: tests/lab/check.sh [--quick | --kernels | --no-arm64] [--topology NAME]...
Boots the lab's machines and compares what the kernel, the allocator and the benchmarks say with the
topologies. Without options (make check-lab), for every topology: discovery, every policy's placement, a sweep
with its cells, latencies and bandwidths, the knee of loaded latency, the verdict on the firmware; on two
topologies also lines handed over, pages got and moved on every node, and every victim beside every aggressor;
then states in which figures would mislead, and an arm64 machine. Ends with a table of what was expected and
measured.
Memory is paced, so leave this machine alone meanwhile: 2 processors, 4 GiB.

  --quick          the topology 2-socket alone, without the misleading states and arm64 (make check-vm)
  --kernels        instead, every policy at full size, under Linux 6.1 and 6.12, on two nodes and on
                   three (make check-lab-kernels)
  --topology NAME  this topology alone, or with others so named, and neither misleading states nor arm64
  --no-arm64       leave out the arm64 machine

NUMA_LAB_TIMEOUT: seconds that each machine may take (default 900).
END
}

extent=every topologies=() arm64=1 started=$SECONDS
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --quick) extent=quick ;;
    --kernels) extent=kernels ;;
    --no-arm64) arm64=0 ;;
    --topology)
        [ -r "harness/lab/topologies/${2:-}.conf" ] || {
            echo "check.sh: --topology '${2:-}': there are $(cd harness/lab/topologies && echo * | sed 's/\.conf//g')" >&2
            exit 2
        }
        topologies+=("$2") && shift
        [ $extent != every ] || extent=chosen
        ;;
    *)
        echo "check.sh: unknown option '$1'; see tests/lab/check.sh --help" >&2
        exit 2
        ;;
    esac
    shift
done
if [ ${#topologies[@]} -eq 0 ]; then
    case $extent in
    every) topologies=(2-socket 2-socket-cxl memoryless snc2x2 8-node liar) ;;
    quick) topologies=(2-socket) ;;
    kernels) topologies=(2-socket 2-socket-cxl) ;;
    esac
fi

[ $extent = every ] || arm64=0

[ -w build ] || {
    echo "check.sh: cannot write to build/; run it as the owner of this checkout" >&2
    exit 1
}
for built in alloc/numa_alloc.so bench/{latency,bandwidth,loaded,core2core,faults,migrate,benchmark} build/tests/refuse; do
    [ -r "$built" ] || {
        echo "check.sh: '$built' is not built; run: make all build/tests/refuse" >&2
        exit 1
    }
done
mkdir -p build/lab
for program in placement shares mappings mapped holder; do
    "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -I. -pthread \
        -o build/lab/$program tests/lab/$program.c
done
work=$(mktemp -d "${TMPDIR:-/tmp}/numa_lab-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# Boots a machine for a script and says what it took. $1: label; the rest: lab.sh's arguments. A machine or a
# script that died is a failure of its own, even if every test so far had passed.
in_machine() {
    local label=$1 status=0
    shift
    echo "== $label"
    /usr/bin/python3 -c '
import resource, subprocess, sys, time
started = time.monotonic()
status = subprocess.call(sys.argv[2:])
peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
print(f"# {sys.argv[1]}: {time.monotonic() - started:.0f} s, {peak_mib} MiB at most", flush=True)
sys.exit(status)' "$label" harness/lab.sh --timeout "${NUMA_LAB_TIMEOUT:-900}" "$@" || status=$?
    [ "$status" -eq 0 ] || echo "not ok - $label: status $status"
}

# Runs a function of this script, its output shown, and counts its verdicts.
judged() {
    local output=$work/judged
    "$@" >"$output" 2>&1 || true
    count_verdicts "$output"
}

count_verdicts() {
    local ok not_ok
    cat "$1"
    ok=$(grep -c '^ok' "$1" || true)
    not_ok=$(grep -c '^not ok' "$1" || true)
    [ "$ok" -gt 0 ] || [ "$not_ok" -gt 0 ] || not_ok=1
    passed=$((passed + ok)) failed=$((failed + not_ok))
}

# $1: topology.
placement() {
    local scripts=("guest_policies.sh build/lab brief") benches=("guest_core2core.sh" "guest_faults.sh" "guest_migrate.sh build/tests/refuse")
    case $1 in
    2-socket) scripts+=("guest_placement.sh build/lab/placement" "guest_limits.sh build/lab/holder" "guest_pages.sh build/lab build/tests/refuse" "${benches[@]}") ;;
    2-socket-cxl) scripts+=("guest_pages.sh build/lab build/tests/refuse" "${benches[@]}") ;;
    esac
    in_machine "$1, placement" --topology "$1" --no-pace -- tests/lab/guest_scripts.sh "${scripts[@]}"
}

# Nothing here is timed by the guest, so two machines at once.
placements() {
    local topology
    [ $arm64 -eq 0 ] || arm64_suites >"$work/arm64.tap" 2>&1 &
    for topology in "${topologies[@]}"; do
        [ "$topology" != liar ] || continue # the machine of 2-socket, but for its firmware
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n || true; done
        placement "$topology" >"$work/$topology.tap" 2>&1 &
    done
    wait
    for topology in "${topologies[@]}"; do
        [ ! -e "$work/$topology.tap" ] || count_verdicts "$work/$topology.tap"
    done
    [ ! -e "$work/arm64.tap" ] || count_verdicts "$work/arm64.tap"
}

arm64_suites() {
    in_machine "2-socket, arm64, suites" --arch arm64 --no-pace -- tests/lab/guest_scripts.sh guest_arm64.sh
}

# Compares a paced machine with its topology. What is off in one try may be the host's doing, by a process of a
# moment; what is off in three is the machine's. All arguments: what to try.
in_three_tries() {
    local try
    for try in 1 2 3; do
        "$@" >"$work/truth" 2>&1
        if [ "$try" -eq 3 ] || ! grep -q '^not ok' "$work/truth"; then break; fi
        echo "# tried again; what try $try showed:"
        sed 's/^/#   /' "$work/truth"
    done
    cat "$work/truth"
}

# $1: topology, $2: architecture, $3: kernel, if not the usual.
truth() {
    local out=$work/truth-$1-$2 cpus=all
    case $1 in # five bandwidths of all 64 cells would take six minutes
    8-node) cpus=0,15 ;;
    snc2x2) cpus=0,7 ;;
    esac
    rm -rf "$out"
    mkdir -p "$out"
    in_machine "$1, $2, paced" --topology "$1" --arch "$2" ${3:+--kernel "$3"} --cache-size 128K --share "$out" -- \
        tests/lab/guest_truth.sh "$out" $cpus
    tests/lab/truth.py machine --arch "$2" --bandwidth-cpus $cpus "harness/lab/topologies/$1.conf" "$out" || true
}

# Every victim beside every aggressor. $1: topology.
loaded_truth() {
    local out=$work/truth-$1-loaded
    rm -rf "$out"
    mkdir -p "$out"
    in_machine "$1, loaded" --topology "$1" --cache-size 128K --share "$out" -- tests/lab/guest_loaded.sh "$out"
    tests/lab/loaded_truth.py "harness/lab/topologies/$1.conf" "$out" || true
}

negative() {
    local out=$work/negative run
    mkdir -p "$out"
    in_machine "2-socket, misleading states" --no-pace --share "$out" -- tests/lab/guest_negative.sh "$out"
    for run in moved balanced hidden; do
        /usr/bin/python3 harness/plot.py "$out/$run" >/dev/null || true
    done
    tests/lab/truth.py negative "$out" || true
}

kernels() {
    local topology kernel
    for kernel in 6.1 6.12; do
        for topology in "${topologies[@]}"; do
            judged in_machine "$topology, Linux $kernel" --topology "$topology" --kernel $kernel --no-pace -- \
                tests/lab/guest_scripts.sh "guest_policies.sh build/lab full" "guest_pages.sh build/lab build/tests/refuse"
        done
    done
    judged in_three_tries truth 2-socket amd64 6.12 # which is under QEMU 10
}

table() {
    local files=("$work"/truth-*/truth.csv)
    [ -r "${files[0]}" ] || return 0
    tests/lab/truth.py table "${files[@]}" | tee build/lab/truth.md
    echo "(in build/lab/truth.md)"
}

# Without an emulator or a kernel there is one line, not one for each machine.
harness/lab.sh --no-pace -- true || {
    echo "0 passed, 1 failed"
    exit 1
}
if [ $extent = kernels ]; then
    kernels
else
    placements
    for topology in "${topologies[@]}"; do
        judged in_three_tries truth "$topology" amd64
        case $topology in 2-socket | 2-socket-cxl) judged in_three_tries loaded_truth "$topology" ;; esac
    done
    if [ $extent = every ]; then
        judged negative
        [ $arm64 -eq 0 ] || judged in_three_tries truth 2-socket arm64
    fi
    table
fi
echo "took $((SECONDS - started)) s"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
