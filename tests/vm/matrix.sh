#!/usr/bin/env bash
# `make vm-matrix`: a sweep of the virtual machine whose memory is paced to a known remote penalty.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
Usage: tests/vm/matrix.sh [OPTION...] [-- RUN_MATRIX_OPTION...]
Runs harness/run_matrix.sh in a virtual two-node machine with paced memory, draws its pictures and prints
the penalties it measured. Leaves the run folder, with what was paced in paced.txt.

  --pace LOCAL,REMOTE  ns a line fetched takes (default 1000,1800, or NUMA_ALLOC_VM_PACE)
  --size SIZE          what each benchmark works on (default 2M: the machine's cache has 128 KiB)
  --rounds N           passes over all cells (default 3)
  --out FOLDER         run folder, new or empty (default results/<UTC time>-virtual)
  --timeout SECONDS    longest time for the whole machine (default 3600)
  --check              fail unless both latency penalties are within 5 % of REMOTE / LOCAL and every
                       sample is verified
  --help               this text

Exit status: 0 measured (and checked), 1 not, 2 bad usage.
END
}

bad_usage() {
    echo "matrix: $*" >&2
    exit 2
}

pace=${NUMA_ALLOC_VM_PACE:-1000,1800} size=2M rounds=3 out='' timeout_s=3600 check=()
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --check) check=(--check) && shift ;;
    --) shift && break ;;
    --pace | --size | --rounds | --out | --timeout)
        [ $# -ge 2 ] || bad_usage "$1 needs a value; see --help"
        case "$1" in
        --pace) pace=$2 ;;
        --size) size=$2 ;;
        --rounds) rounds=$2 ;;
        --out) out=$2 ;;
        --timeout) timeout_s=$2 ;;
        esac
        shift 2
        ;;
    *) bad_usage "unknown option '$1'; options for run_matrix.sh come after --, see --help" ;;
    esac
done
[[ $pace =~ ^[0-9]+,[0-9]+$ ]] || bad_usage "--pace '$pace': accepted is LOCAL_NS,REMOTE_NS, such as 1000,1800"
[ -r alloc/numa_alloc.so ] || bad_usage "nothing is built here; run make first"
out=${out:-results/$(date -u +%Y%m%dT%H%M%SZ)-virtual}
if [ -e "$out" ] && [ -n "$(ls -A "$out" 2>&1)" ]; then
    bad_usage "--out '$out' is not empty"
fi
mkdir -p "$out"
out=$(cd "$out" && pwd -P)
work=$(mktemp -d "${TMPDIR:-/tmp}/numa_alloc-matrix.XXXXXX")
trap 'rm -rf "$work"; rmdir "$out" 2>/dev/null || true' EXIT

# Pictures are drawn outside: what draws them would be paced too.
status=0
tests/vm/vm.sh --pace "$pace" --fetched "$work/fetched" --timeout "$timeout_s" --out "$out" -- \
    harness/run_matrix.sh --size "$size" --rounds "$rounds" --no-pictures --out "$out" "$@" || status=$?
if [ -s "$work/fetched" ]; then
    {
        echo "A virtual machine (QEMU's emulator), not hardware. Paced: ${pace%,*} ns a line from the CPU's own"
        echo "node, ${pace#*,} ns from the other; a cache of 128 KiB a CPU, no prefetch, no overlapping misses."
        cat "$work/fetched"
    } >"$out/paced.txt"
fi
[ -s "$out/matrix.csv" ] || {
    echo "matrix: the sweep left no matrix.csv in '$out' (status $status)" >&2
    exit 1
}
python=/usr/bin/python3
[ -x "$python" ] || python=python3
"$python" harness/plot.py "$out" || status=1
ratio=$(awk -v pace="$pace" 'BEGIN { split(pace, ns, ","); printf "%.4f", ns[2] / ns[1] }')
"$python" tests/vm/penalties.py "$out" "$ratio" "${check[@]}" || status=1
echo "run folder: $out"
[ "$status" -eq 0 ] || exit 1
