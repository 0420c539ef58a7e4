#!/usr/bin/env bash
# One task of submit.sh's array job: the sweep of the node it runs on, begun or, after a requeue, continued. It runs in the
# batch script's own processes, which have every CPU of the node; a step of srun would have those of one task.
set -euo pipefail
root=$1 folder=$2 # Slurm runs a copy of this script, from another folder

fail() {
    echo "task.sh: $*" >&2
    exit 1
}

[ -r "$folder/slurm/settings" ] || fail "$folder is not readable on $(uname -n): is it on a shared file system?"
[ -x "$root/harness/run_matrix.sh" ] || fail "$root is not on $(uname -n): is it on a shared file system?"
# shellcheck source=harness/slurm/folder.sh
. "$root/harness/slurm/folder.sh"
read_settings "$folder"
node=${nodes[SLURM_ARRAY_TASK_ID]}
[ "$SLURMD_NODENAME" = "$node" ] ||
    fail "task $SLURM_ARRAY_TASK_ID is node $node's, but Slurm ran it on $SLURMD_NODENAME; nothing was measured"
if is_complete "$folder" "$node"; then
    echo "task.sh: $node is complete"
    exit 0
fi
cd -- "$directory" || fail "$directory is not on $node"

run=$folder/hosts/$node
mkdir -p "$folder/hosts"
rm -f "$run"/environment.json.*.tmp # of a task that was killed before it had measured anything
# In place of this shell, so that Slurm's signals reach the sweep itself and its exit status is the task's.
if [ -f "$run/environment.json" ]; then
    exec "$root/harness/run_matrix.sh" --resume "$run" --samples-only --wait
fi
exec "$root/harness/run_matrix.sh" --host-name "$node" --samples-only --wait --out "$run" "${sweep[@]}"
