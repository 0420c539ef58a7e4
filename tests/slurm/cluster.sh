#!/usr/bin/env bash
# A Slurm cluster on this machine, for tests: munged, slurmctld and a slurmd for each of several made-up nodes, all on
# loopback and in a temporary folder. Runs one command with SLURM_CONF set, then ends everything it started, by
# process id, and returns the command's exit status. No root is needed; the daemons and the jobs are the user's own.
set -euo pipefail

usage() {
    cat <<'END'
Usage: tests/slurm/cluster.sh [--nodes N] [--keep-logs FOLDER] -- COMMAND [ARGUMENT...]
  --nodes N            nodes n1 to nN, each with this machine's CPUs (default 2, at most 64)
  --keep-logs FOLDER   copy the daemons' logs and slurm.conf there at the end
Needs munged, slurmctld and slurmd: harness/setup.sh slurm. Exit status: COMMAND's; 2 bad usage; 125 the cluster failed.
END
}

bad_usage() {
    echo "cluster: $*" >&2
    exit 2
}

fail() {
    echo "cluster: $*" >&2
    exit 125
}

nodes=2 keep_logs=''
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --nodes)
        [[ ${2:-} =~ ^([1-9]|[1-5][0-9]|6[0-4])$ ]] || bad_usage "--nodes '${2:-}': accepted is 1 to 64"
        nodes=$2
        shift
        ;;
    --keep-logs)
        { [ -d "${2:-}" ] && [ -w "$2" ]; } || bad_usage "--keep-logs '${2:-}' is no writable folder"
        keep_logs=$2
        shift
        ;;
    --) break ;;
    *) bad_usage "unknown option '$1'; the command comes after --, see --help" ;;
    esac
    shift
done
[ $# -ge 2 ] || bad_usage "a command is expected after --"
shift

PATH=$PATH:/usr/sbin:/sbin # an ordinary user's may lack them
missing=$(for tool in munged slurmctld slurmd sbatch scontrol squeue sinfo scancel; do
    command -v "$tool" >/dev/null || echo "$tool"
done | tr '\n' ' ')
[ -z "$missing" ] || fail "missing here: ${missing% }; harness/setup.sh slurm installs it"

folder=$(mktemp -d "${TMPDIR:-/tmp}/numa_slurm.XXXXXX")
daemons=()
export SLURM_CONF=$folder/slurm.conf

# Jobs outlive slurmd, so those still there are cancelled first; what outlives even that has our SLURM_CONF.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local pid try ours
    trap '' INT TERM HUP
    if [ ${#daemons[@]} -gt 1 ]; then
        timeout 10 scancel --user="$(id -un)" 2>/dev/null || true
        for ((try = 0; try < 50; try++)); do
            [ -n "$(timeout 10 squeue --noheader 2>/dev/null)" ] || break
            sleep 0.2
        done
    fi
    for pid in "${daemons[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${daemons[@]}"; do wait "$pid" 2>/dev/null || true; done
    ours=SLURM_CONF=$SLURM_CONF
    unset SLURM_CONF
    { grep -lsz "^$ours\$" /proc/[0-9]*/environ || true; } | cut -d / -f 3 | while read -r pid; do
        kill -KILL "$pid" 2>/dev/null || true
    done
    [ -z "$keep_logs" ] || cp "$folder"/*.log "$folder/slurm.conf" "$keep_logs" 2>/dev/null || true
    rm -rf "$folder"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# $1: its name; the rest: a daemon that stays in the foreground. It ends with this script, however that ends.
start() {
    local log=$folder/$1.log
    shift
    setsid setpriv --pdeathsig KILL "$@" >"$log" 2>&1 </dev/null &
    daemons+=($!)
}

# $1: seconds, $2: what is awaited, the rest: a command that succeeds once it is so.
await() {
    local deadline=$((SECONDS + $1)) what=$2 pid
    shift 2
    until "$@" >/dev/null 2>&1; do
        for pid in "${daemons[@]}"; do
            kill -0 "$pid" 2>/dev/null || fail "a daemon ended: $(tail -qn 1 "$folder"/*.log | tail -n 1)"
        done
        [ $SECONDS -lt $deadline ] || fail "$what: nothing within the time; logs: $(tail -qn 1 "$folder"/*.log | tr '\n' ' ')"
        sleep 0.2
    done
}

# That many ports which nothing listens on.
free_ports() {
    python3 -c 'import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(one.getsockname()[1] for one in held))' "$1"
}

write_configuration() {
    local ports i me
    read -r -a ports <<<"$(free_ports $((nodes + 1)))"
    me=$(id -un)
    cat >"$SLURM_CONF" <<END
ClusterName=numa_slurm
SlurmctldHost=$(uname -n)(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool-%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobCompType=jobcomp/filetxt
JobCompLoc=$folder/finished.log
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,bf_interval=1
ReturnToService=2
KillWait=10
END
    for ((i = 1; i <= nodes; i++)); do
        echo "NodeName=n$i NodeHostname=$(uname -n) NodeAddr=127.0.0.1 Port=${ports[i]} CPUs=$(nproc --all) RealMemory=4000"
        mkdir "$folder/spool-n$i"
    done >>"$SLURM_CONF"
    echo "PartitionName=all Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP" >>"$SLURM_CONF"
    mkdir "$folder/state"
    touch "$folder/finished.log"
}

# shellcheck disable=SC2317 # called by await
all_idle() {
    [ "$(sinfo --noheader --Node --format=%t | grep -c '^idle$')" -eq "$nodes" ]
}

chmod 711 "$folder" # munge's clients may be other users
head -c 1024 /dev/urandom >"$folder/munge.key"
chmod 400 "$folder/munge.key"
write_configuration
start munged munged --foreground --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.file" --seed-file="$folder/munged.seed"
await 10 munged test -S "$folder/munge.socket"
start slurmctld slurmctld -D
await 20 slurmctld scontrol ping
for ((i = 1; i <= nodes; i++)); do start "slurmd-n$i" slurmd -D -N "n$i"; done
await 30 "the nodes" all_idle

status=0
"$@" || status=$?
exit "$status"
