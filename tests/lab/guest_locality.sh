#!/usr/bin/env bash
# Runs inside the virtual machine for locality.sh: every workload under every allocator, in turns, each pair a
# section of its own. Prints CSV: allocator, workload, section, operations, inherent lines.
# $1: the program; $2: rounds; $3: workloads, or empty for all; the rest: NAME=LIBRARY, empty for none.
set -euo pipefail
program=$1 rounds=$2 workloads=$3
shift 3
# The kernel's own migration of pages towards those who use them depends on the time things take.
echo 0 >/proc/sys/kernel/numa_balancing
for ((round = 0; round < rounds; round++)); do
    section=0
    for workload in ${workloads:-churn migrate server born freer producer tree tree-copies}; do
        for allocator in "$@"; do
            name=${allocator%%=*} library=${allocator#*=}
            line=$(env ${library:+LD_PRELOAD="$library"} "$program" "$workload" "$section") || {
                echo "locality: $workload under $name: status $?" >&2
                exit 1
            }
            echo "$name,$line"
            section=$((section + 1))
        done
    done
done
