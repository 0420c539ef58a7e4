#!/usr/bin/env bash
# `make lab-locality`: remote line fetches of allocation workloads under every allocator, counted in a virtual
# machine of two nodes. Prints a Markdown table.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
Usage: tests/lab/locality.sh [OPTION...] [-- LAB_OPTION...]
Counts, with harness/lab/plugin/count.c, the cache lines that CPUs fetch from the other node's memory in
tests/lab/locality.c's workloads, under numa_alloc (NUMA_ALLOC_POLICY=local), glibc and whichever of jemalloc,
mimalloc and tcmalloc are installed. Prints a Markdown table of lines per operation.

  --workloads "NAME..."  not all of them
  --rounds N             counts of N runs, added up (default 3)
  --check                fail unless numa_alloc's count beyond the inherent one is at most a quarter of the
                         best other allocator's, wherever the allocator decides
  --help                 this text
END
}

rounds=3 workloads='' check=() options=()
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --check) check=(--check) && shift ;;
    --) shift && options=("$@") && break ;;
    --workloads | --rounds)
        [ $# -ge 2 ] || { echo "locality: $1 needs a value; see --help" >&2 && exit 2; }
        case "$1" in --workloads) workloads=$2 ;; --rounds) rounds=$2 ;; esac
        shift 2
        ;;
    *) echo "locality: unknown option '$1'; see --help" >&2 && exit 2 ;;
    esac
done
[[ $rounds =~ ^[1-9][0-9]?$ ]] || { echo "locality: --rounds '$rounds': accepted are 1 to 99" >&2 && exit 2; }
[ -r alloc/numa_alloc.so ] || { echo "locality: nothing is built here; run make first" >&2 && exit 2; }

mkdir -p build/lab
"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -pthread -o build/lab/locality tests/lab/locality.c
allocators=(glibc=)
for peer in jemalloc=libjemalloc.so.2 mimalloc=libmimalloc.so.2 tcmalloc=libtcmalloc_minimal.so.4; do
    if ldconfig -p | grep -q "[[:space:]]${peer#*=} "; then
        allocators+=("$peer")
    else
        echo "locality: without ${peer%%=*}, which is not installed (harness/setup.sh peers)" >&2
    fi
done
allocators+=(numa_alloc=alloc/numa_alloc.so)

work=$(mktemp -d "${TMPDIR:-/tmp}/numa_alloc-locality.XXXXXX")
trap 'rm -rf "$work"' EXIT
harness/lab.sh --no-pace --count="$work/counted.csv" --cache-size 1M "${options[@]}" -- env NUMA_ALLOC_POLICY=local \
    tests/lab/guest_locality.sh build/lab/locality "$rounds" "$workloads" "${allocators[@]}" >"$work/programs.csv" || {
    status=$?
    cat "$work/programs.csv" >&2
    exit "$status"
}
"$(command -v python3)" tests/lab/locality_table.py "$work/programs.csv" "$work/counted.csv" "${check[@]}"
