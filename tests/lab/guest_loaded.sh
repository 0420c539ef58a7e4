#!/usr/bin/env bash
# Runs inside a paced machine of the lab for check.sh: leaves in a folder what every victim meets beside every
# aggressor; loaded_truth.py compares it with the topology. One aggressor a node, the last CPU of each, so that the
# host needs two processors only. $1: the folder.
set -uo pipefail
out=$1 aggressors=
for list in /sys/devices/system/node/node[0-9]*/cpulist; do
    last=$(tr ',-' '\n' <"$list" | tail -n 1)
    [ -z "$last" ] || aggressors+=${aggressors:+,}$last
done
bench/loaded --matrix --aggressors "$aggressors" --size 1M --max-samples 8 --min-sample-ms 50 --csv \
    >"$out/matrix.csv" 2>"$out/matrix.errors" || echo "bench/loaded --matrix: status $?" >>"$out/failures"
exit 0
