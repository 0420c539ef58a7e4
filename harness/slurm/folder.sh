# What the scripts of harness/slurm/ keep in a fleet's folder, FOLDER/slurm/settings:
# nodes: task I of the array job sweeps the I-th, from 0, and a node keeps its place; options: sbatch's;
# directory: where submit.sh was started; sweep: run_matrix.sh's options.
# shellcheck shell=bash disable=SC2034,SC2154 # the variables are for, and root is of, the scripts that include this

nodes=() options=() directory='' sweep=()

# $1: the fleet's folder.
read_settings() {
    # shellcheck source=/dev/null # written below
    . "$1/slurm/settings"
}

write_settings() {
    local name
    for name in nodes options sweep; do
        local -n list=$name
        printf '%s=(' "$name"
        [ ${#list[@]} -eq 0 ] || printf ' %q' "${list[@]}"
        echo ' )'
    done >"$1/slurm/settings.tmp"
    printf 'directory=%q\n' "$directory" >>"$1/slurm/settings.tmp"
    mv "$1/slurm/settings.tmp" "$1/slurm/settings"
}

# The rest: fleet_folder.py's options.
fleet_folder() {
    local python=/usr/bin/python3
    [ -x "$python" ] || python=python3
    "$python" "$root/harness/slurm/fleet_folder.py" "$@"
}

# Whether a node's sweep has ended. $1: the fleet's folder, $2: the node.
is_complete() {
    [ -f "$1/hosts/$2/samples.csv" ] && [ ! -e "$1/hosts/$2/UNFINISHED" ]
}
