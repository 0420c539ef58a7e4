#!/usr/bin/env bash
# Runs inside a machine of the lab for check.sh: scripts of this folder that print TAP, one after the other. Each
# argument is a script and its arguments. One that ends badly without having said why is a failure of its own.
set -uo pipefail
all=0
for script in "$@"; do
    read -r -a words <<<"tests/lab/$script"
    "${words[@]}" | tee /tmp/verdicts
    status=${PIPESTATUS[0]}
    if ! grep -q '^ok' /tmp/verdicts || { [ "$status" -ne 0 ] && ! grep -q '^not ok' /tmp/verdicts; }; then
        echo "not ok - $script: status $status"
        all=1
    fi
done
exit $all
