#!/usr/bin/env bash
# The job after submit.sh's array job: puts the nodes' runs together, and says which are missing.
set -euo pipefail
root=$1 folder=$2 # Slurm runs a copy of this script, from another folder
# shellcheck source=harness/slurm/folder.sh
. "$root/harness/slurm/folder.sh"
read_settings "$folder"

fleet_folder --resume="$folder" --nodes="${nodes[*]}" >/dev/null
rm -f "$folder/verdict.txt" # the last that a merge writes
status=0
"$root/harness/run_matrix.sh" --merge "$folder" || status=$?

missing=()
for node in "${nodes[@]}"; do
    is_complete "$folder" "$node" || missing+=("$node")
done
if [ ${#missing[@]} -eq 0 ]; then
    [ ! -e "$folder/verdict.txt" ] || rm -f "$folder/UNFINISHED"
else
    printf 'merge.sh: %d of %d nodes are not complete; harness/slurm/submit.sh --resume %q submits them: %s\n' \
        ${#missing[@]} ${#nodes[@]} "$folder" "${missing[*]}" >&2
fi
exit "$status"
