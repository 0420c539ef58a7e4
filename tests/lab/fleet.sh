#!/usr/bin/env bash
# A fleet of three machines of the lab, swept over ssh by harness/run_matrix.sh --hosts. One has memory that is 30 %
# slower; another is switched off half-way, which the sweep must say, switched on again, and resumed. Prints TAP.
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
Usage: tests/lab/fleet.sh [--times FACTOR] [--keep FOLDER]
Needs openssh-server's sshd beside what the lab needs, and 3 GiB. Memory is paced: leave this machine alone
meanwhile.

  --times FACTOR  all latencies of all machines so many times longer, for a host of few processors (default 1)
  --keep FOLDER   leave everything in this folder, new or empty, instead of removing it
END
}

times=1 keep=''
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --times | --keep)
        [ -n "${2:-}" ] || { echo "fleet.sh: $1 needs a value; see --help" >&2 && exit 2; }
        case "$1" in --times) times=$2 ;; --keep) keep=$2 ;; esac
        shift 2
        ;;
    *) echo "fleet.sh: unknown option '$1'; see --help" >&2 && exit 2 ;;
    esac
done
[[ $times =~ ^[1-9]$ ]] || { echo "fleet.sh: --times '$times': accepted are 1 to 9" >&2 && exit 2; }

if [ -n "$keep" ]; then
    mkdir -p "$keep"
    [ -z "$(ls -A "$keep")" ] || { echo "fleet.sh: --keep '$keep' is not empty" >&2 && exit 2; }
    work=$(cd "$keep" && pwd -P)
else
    work=$(mktemp -d "${TMPDIR:-/tmp}/numa_lab-fleet.XXXXXX")
fi
fleet=$work/fleet
names=(steady lost slow)
declare -A ports labs=()

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' INT TERM HUP
    [ -z "${sweep:-}" ] || kill "$sweep" 2>/dev/null || true
    [ ${#labs[@]} -eq 0 ] || kill "${labs[@]}" 2>/dev/null || true
    wait
    [ -n "$keep" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

number=0 failed=0
check() { # WHAT COMMAND...: whether COMMAND succeeds
    local what=$1 verdict=ok
    shift
    number=$((number + 1))
    "$@" || verdict='not ok' failed=1
    echo "$verdict $number - $what"
}

die() {
    echo "not ok $((number + 1)) - $*"
    exit 1
}

# The machine 2-socket with all its latencies so many times as long.
topology() { # FACTOR
    awk -v factor="$1" '
        /^$/ { in_block = 0 }
        in_block { for (i = 1; i <= NF; i++) $i *= factor }
        /^latency/ { in_block = 1 }
        { print }' harness/lab/topologies/2-socket.conf
}

prepare() {
    local name free
    ssh-keygen -q -t ed25519 -N '' -C numa-lab-fleet -f "$work/key"
    read -r -a free <<<"$(/usr/bin/python3 -c '
import socket, sys
taken = [socket.create_server(("127.0.0.1", 0)) for _ in sys.argv[1:]]
print(*(server.getsockname()[1] for server in taken))' "${names[@]}")"
    for name in "${names[@]}"; do
        ports[$name]=${free[0]}
        free=("${free[@]:1}")
        mkdir "$work/$name"
        cp "$work/key.pub" "$work/$name/authorized_keys"
        topology "$times" >"$work/$name.conf"
        printf 'Host %s\n    Port %s\n' "$name" "${ports[$name]}"
        echo "ssh -F '$work/ssh_config' $name" >>"$work/hosts"
    done >"$work/ssh_config"
    topology "$(awk "BEGIN { print 1.3 * $times }")" >"$work/slow.conf"
    cat >>"$work/ssh_config" <<END
Host *
    HostName 127.0.0.1
    User root
    IdentityFile "$work/key"
    IdentitiesOnly yes
    UserKnownHostsFile "$work/known_hosts"
    StrictHostKeyChecking accept-new
    BatchMode yes
    ConnectTimeout 10
    LogLevel ERROR
END
}

switch_on() { # NAME...: until they answer
    local name until
    for name in "$@"; do
        harness/lab.sh --topology "$work/$name.conf" --cache-size 128K --forward "${ports[$name]}:22" \
            --share "$work/$name" -- harness/lab/sshd.sh "$work/$name" >"$work/$name.log" 2>&1 &
        labs[$name]=$!
    done
    until=$((SECONDS + 300)) # the first use downloads a kernel
    for name in "$@"; do
        until within "$name" true 2>"$work/waiting"; do
            kill -0 "${labs[$name]}" 2>/dev/null || die "machine $name is up: $(tail -n 1 "$work/$name.log")"
            [ $SECONDS -lt $until ] || die "machine $name answers: $(tail -n 1 "$work/waiting")"
            sleep 1
        done
    done
}

# As a power cut: the emulator ends, and nobody asks the machine.
switch_off() { # NAME
    kill "${labs[$1]}"
    wait "${labs[$1]}" || true
    unset "labs[$1]"
}

within() { # NAME COMMAND: in that machine
    ssh -F "$work/ssh_config" "$1" "$2" </dev/null
}

# Returns when the sweep in that machine has two results.
wait_for_half() { # NAME
    # shellcheck disable=SC2016 # for its shell
    within "$1" 'until set -- .cache/numa_alloc/runs/*/*/*/cells/*.run && [ $# -ge 2 ]; do sleep 0.5; done'
}

start_sweep() { # LOG OPTION...
    local log=$work/$1
    shift
    harness/run_matrix.sh "$@" >"$log" 2>&1 &
    sweep=$!
}

end_of_sweep() { # sets status
    status=0
    wait "$sweep" || status=$?
    sweep=''
}

# What the fleet's folder says, in Python: $1 is a statement that prints or an expression that asserts.
told() {
    /usr/bin/python3 -c '
import csv, os, sys
fleet, statement = sys.argv[1:]

def rows(name):
    with open(os.path.join(fleet, name), newline="") as file:
        return list(csv.DictReader(file))

hosts = {row["host"]: row for row in rows("hosts.csv")}
exec(statement)' "$fleet" "$1"
}

show() { # FILE
    sed 's/^/# /' "$1"
}

prepare
switch_on "${names[@]}"
echo "# three machines answer ssh after $SECONDS s"

start_sweep first.txt --hosts "$work/hosts" --bench latency --sizes 1M --max-samples 6 --min-sample-ms 50 --rounds 1 \
    --out "$fleet"
wait_for_half lost &
{ wait -n $! "$sweep" && kill -0 "$sweep" 2>/dev/null; } || {
    show "$work/first.txt"
    die "the sweep measures in the machine that is to be lost"
}
switch_off lost
echo "# one is switched off after $SECONDS s"
end_of_sweep
show "$work/first.txt"
echo "# the others have ended after $SECONDS s"
check "a fleet that lost a host ends with status 1" [ "$status" -eq 1 ]
check "hosts.csv has a row for each host" told 'assert sorted(hosts) == ["lost", "slow", "steady"], hosts'
check "the two that were not lost are ok" told '
assert {hosts[name]["status"] for name in ("slow", "steady")} == {"ok"}, hosts'
check "the lost one's row has the reason" told '
row = hosts["lost"]
print("#", row["status"] + ":", row["reason"])
assert row["status"] in ("incomplete", "unreachable") and row["reason"]'
check "and is said" grep -q "lost: .*[a-z]" "$work/first.txt"
check "two hosts are too few to name an odd one" grep -q "^odd: not judged: " "$fleet/verdict.txt"
kept=$(cd "$fleet/hosts" && sha256sum {steady,slow}/samples.csv)

switch_on lost
echo "# it answers again after $SECONDS s"
start_sweep resumed.txt --resume "$fleet"
end_of_sweep
show "$work/resumed.txt"
echo "# resumed until $SECONDS s"
check "resumed, it ends with status 0" [ "$status" -eq 0 ]
check "all three are ok" told '
assert sorted(hosts) == ["lost", "slow", "steady"] and {row["status"] for row in hosts.values()} == {"ok"}, hosts'
check "the two that were complete were not swept again" \
    [ "$kept" = "$(cd "$fleet/hosts" && sha256sum {steady,slow}/samples.csv)" ]
check "each host has the same cells and rounds" told '
samples = rows("samples.csv")
found = {name: sorted({(row["cell"], row["round"]) for row in samples if row["host"] == name}) for name in hosts}
print("#", *(f"{name} has {len(cells)}" for name, cells in found.items()))
assert found["lost"] and found["lost"] == found["steady"] == found["slow"]'
check "the slow one is named" grep -q "^odd: slow: latency [0-9]* % above " "$fleet/verdict.txt"
check "and nobody else is" [ "$(grep -c '^odd: ' "$fleet/verdict.txt")" -eq 1 ]
show "$fleet/verdict.txt"
told '
for row in rows("matrix.csv"):
    if row["metric"] == "load_latency":
        print("#", row["host"], row["cell"], row["median"], row["unit"], row["status"])'
echo "1..$number"
exit $failed
