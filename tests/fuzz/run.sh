#!/usr/bin/env bash
# Fuzzes every target with libFuzzer, in turns, from the inputs kept in tests/fuzz/corpus and what
# earlier runs have found worth keeping in build/fuzz/corpus; then the Python readers (tables.py).
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

usage() {
    cat <<'EOF2'
Usage: tests/fuzz/run.sh [SECONDS [TARGET...]]
Fuzzes for SECONDS (60) in all. A finding is kept in build/fuzz/findings: put it into
tests/fuzz/corpus/TARGET once it is mended, and make check replays it.
EOF2
}

total_seconds=${1:-60}
[[ "$total_seconds" =~ ^[1-9][0-9]*$ ]] || {
    usage >&2
    exit 2
}
shift
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    for source in tests/fuzz/fuzz_*.c; do
        source=${source##*/fuzz_}
        targets+=("${source%.c}")
    done
    targets+=(tables)
fi
seconds=$((total_seconds / ${#targets[@]}))
[ "$seconds" -gt 0 ] || seconds=1

# The Python readers of tables, which libFuzzer cannot lead.
fuzz_tables() {
    /usr/bin/python3 tests/fuzz/tables.py "$seconds"
}

# $1: target. Ends at its first finding.
fuzz() {
    local name=$1 log="build/fuzz/$1.log" started=$SECONDS found=no status
    mkdir -p "build/fuzz/corpus/$name" "build/fuzz/findings/$name" "tests/fuzz/corpus/$name"
    # An input that takes that long is a finding too, but not on a machine that is only busy.
    "build/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=4096 -max_len=6000 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$name/" \
        "build/fuzz/corpus/$name" "tests/fuzz/corpus/$name" >"$log" 2>&1
    status=$?
    if [ "$status" -ne 0 ]; then
        found=$(grep -E 'expected|FAILED|runtime error|ERROR' "$log" | head -n 1)
        found=${found:-exit status $status}
    fi
    printf '| %s | %d | %d | %d | %s |\n' "$name" $((SECONDS - started)) \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
        "$(find "build/fuzz/corpus/$name" -type f | wc -l)" "$found"
    [ "$status" -eq 0 ]
}

failed=0
echo "| target | seconds | executions | inputs kept | found |"
echo "| --- | ---: | ---: | ---: | --- |"
for name in "${targets[@]}"; do
    if [ "$name" = tables ]; then
        fuzz_tables || failed=$((failed + 1))
    else
        fuzz "$name" || failed=$((failed + 1))
    fi
done
echo "$((${#targets[@]} - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
