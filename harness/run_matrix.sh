#!/usr/bin/env bash
# Sweeps CPU x memory node: what does memory of each node cost from the CPUs of each node, or what does it cost a program
# of yours? numa_sweep/ plans the runs and has GNU parallel do them; numa_report/ says what came of them.
set -euo pipefail

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/harness/*} # not $(dirname ...), which would drop a line end from the folder's name

# Not `python -m`: that would let a file in the user's folder stand in for a module.
# The system's Python without PYTHONPATH and its like, which are for another one; that on PATH with them.
for python in /usr/bin/python3 python3; do
    if command -v "$python" >/dev/null; then
        plain=()
        [ "$python" = python3 ] || plain=(-E ${PYTHONDONTWRITEBYTECODE:+-B})
        exec "$python" "${plain[@]}" -c 'import sys; sys.path[0] = sys.argv[1] + "/harness"
from numa_sweep.main import main
sys.exit(main(sys.argv[1], sys.argv[2:]))' "$root" "$@"
    fi
done
echo "run_matrix.sh: python3 is missing; harness/setup.sh installs it" >&2
exit 1
