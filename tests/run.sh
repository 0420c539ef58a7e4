#!/usr/bin/env bash
# Runs every suite of `make check` and ends with `N passed, N failed, N skipped`.
# Skipped tests print their reason; a program that dies without a verdict counts as one failure.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

passed=0 failed=0 skipped=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# $1: name of the suite; the rest: a command that prints TAP.
tap_suite() {
    local name=$1 status started=$SECONDS ok not_ok skip
    shift
    timeout 300 "$@" >"$log" 2>&1
    status=$?
    [ "$status" -ne 124 ] || echo "$name: ended after 300 seconds"
    # cmocka marks a skipped test "not ok", and its reason is the line before.
    skip=$(grep -ciE '^(not )?ok .*# *skip' "$log")
    not_ok=$(grep '^not ok' "$log" | grep -cviE '# *skip')
    ok=$(grep '^ok' "$log" | grep -cviE '# *skip')
    if [ "$status" -ne 0 ] && [ "$not_ok" -eq 0 ]; then
        not_ok=1
        echo "$name: exit status $status without a failed test"
    fi
    [ "$ok" -gt 0 ] || [ "$not_ok" -gt 0 ] || [ "$skip" -gt 0 ] || {
        not_ok=1
        echo "$name: ran no test"
    }
    [ "$not_ok" -eq 0 ] || cat "$log"
    grep -B 1 -iE '^(not )?ok .*# *skip' "$log" | grep -iE '^#|# *skip' | sed "s|^|$name: |"
    report "$name" "$ok" "$not_ok" "$skip" $((SECONDS - started))
}

pytest_suite() {
    local started=$SECONDS status summary
    PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 -m pytest -q -rs -p no:cacheprovider tests/plot tests/sweep tests/lab tests/compare tests/exchange >"$log" 2>&1
    status=$?
    summary=$(tail -n 1 "$log")
    count() { grep -oE "[0-9]+ $1" <<<"$summary" | grep -oE '[0-9]+' || echo 0; }
    local bad=$(($(count failed) + $(count 'errors?')))
    [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
    [ "$bad" -eq 0 ] || cat "$log"
    grep '^SKIPPED' "$log"
    report python "$(count passed)" "$bad" "$(count skipped)" $((SECONDS - started))
}

report() {
    printf '%-28s %4d passed %4d failed %4d skipped %5d s\n' "$@"
    passed=$((passed + $2)) failed=$((failed + $3)) skipped=$((skipped + $4))
}

export CMOCKA_MESSAGE_OUTPUT=TAP
for program in build/tests/unit/test_*; do
    tap_suite "unit/${program##*/test_}" "$program"
done
for program in build/ubsan/unit/test_*; do
    [ "${program%.d}" = "$program" ] || continue
    tap_suite "unit/${program##*/test_} (ubsan)" "$program"
done
for checks in off on; do
    for build in alloc build/ubsan; do
        label=$([ "$build" = alloc ] || echo ' (ubsan)')$([ "$checks" = off ] || echo ' (checks)')
        for program in build/tests/alloc/test_*; do
            tap_suite "alloc/${program##*/test_}$label" env NUMA_ALLOC_CHECKS="$checks" \
                LD_PRELOAD="$PWD/$build/numa_alloc.so" "$program"
        done
    done
done
tap_suite injection build/tests/injection/inject --quick
for file in tests/cli/*.bats; do
    tap_suite "cli/$(basename "$file" .bats)" bats --formatter tap "$file"
done
pytest_suite

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
