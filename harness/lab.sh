#!/usr/bin/env bash
# A machine of several memory nodes, on any machine: boots one under QEMU's emulator, runs one command there
# on the host's own files, and returns its exit status.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
root=${here%/*}
parts=$here/lab

usage() {
    cat <<'END'
Usage: harness/lab.sh [OPTION...] [-- COMMAND [ARGUMENT...]]
Runs COMMAND as root in a virtual machine of several memory nodes, in the current folder, with the host's
files at the same paths, read-only; without COMMAND, a shell. This project's results/ and the folders of
--share are writable inside and keep what is written; /tmp, /run and /var/tmp are empty, writable, and gone
with the machine. COMMAND's output and errors come out on standard output as they are printed. It has no standard
input; without COMMAND, standard input that is no terminal is run as a script. A line that a program fetches
from memory takes the time that the topology says.

  --topology NAME|FILE   the machine: one of harness/lab/topologies/ or a file like those (default 2-socket):
                           2-socket      two nodes of two CPUs
                           2-socket-cxl  and a third without CPUs
                           memoryless    three nodes of two CPUs, one without memory
                           snc2x2        two sockets of two nodes
                           8-node        two groups of four nodes, two hops between them
                           liar          two nodes, and firmware that says the opposite of what is so
  --pace FILE            latency and bandwidth other than the topology's: a file with those two blocks
  --no-pace              memory as fast as the emulator is; programs run 2 to 10 times faster
  --count[=FILE]         count the lines that each CPU fetches from each node: CSV to FILE, or to standard
                         error at the end. Of the sections that programs mark (harness/lab/count_mark.h), or
                         else of everything
  --cache-size SIZE      of the cache that each CPU has in front of paced or counted memory, 1K to 1024M,
                         rounded down to a power of two (default 256K); a benchmark's memory should be 8 times
                         that, such as --size 4M
  --share DIR            an existing folder that is writable inside, at the same path; may be repeated
  --forward PORT[:GUEST_PORT]
                         connections to 127.0.0.1:PORT of this host reach GUEST_PORT (default: PORT) of the machine,
                         such as the ssh server of harness/lab/sshd.sh; may be repeated. The machine itself
                         reaches nothing
  --kernel VERSION       Linux 6.1 or 6.12 of Debian (default 6.1). 6.12, which has the kernel's own weighted
                         interleave, runs under QEMU 10, which is downloaded if need be
  --arch amd64|arm64     the machine's architecture (default amd64). arm64 has Debian's programs and this
                         project cross-built for it, instead of the host's; see harness/setup.sh arm64
  --timeout SECONDS      end the machine after this long (default 3600; none for a shell)
  --boot-timeout SECONDS longest wait until the command starts (default 120)
  --accel tcg|kvm        default tcg; kvm is fast, cannot pace or count, and hangs on some hosts
  --console FILE         keep the guest kernel's log in FILE
  --help                 this text

Environment: NUMA_LAB_KERNEL and NUMA_LAB_MODULES name a kernel (vmlinuz) and its /lib/modules/VERSION folder,
used when no --kernel is given; otherwise Debian's is downloaded once to ${XDG_CACHE_HOME:-~/.cache}/numa_alloc.
QEMU names the emulator (default qemu-system-x86_64, and for 6.12 one of version 10). No root is needed.

Exit status: COMMAND's; 2 bad usage; 124 ended by a time limit; 125 the machine failed.
END
}

bad_usage() {
    echo "lab: $*" >&2
    exit 2
}

fail() {
    echo "lab: $*" >&2
    exit 125
}

topology=2-socket pace='' paced=1 count='' counted=0 cache_size=256K shares=() forwards=() kernel_version='' arch=amd64
timeout_s='' boot_timeout_s=120 accel=tcg keep_console=''

parse_options() {
    while [ $# -gt 0 ]; do
        case "$1" in
        --help | -h) usage && exit 0 ;;
        --) shift && break ;;
        --no-pace) paced=0 ;;
        --count) counted=1 ;;
        --count=?*) counted=1 count=${1#*=} ;;
        --topology | --kernel | --arch | --pace | --cache-size | --share | --forward | --timeout | --boot-timeout | --accel | --console)
            [ -n "${2:-}" ] || bad_usage "$1 needs a value; see --help"
            case "$2" in *$'\n'*) bad_usage "$1: a value with a line break is not accepted" ;; esac
            case "$1" in
            --topology) topology=$2 ;;
            --kernel) kernel_version=$2 ;;
            --arch) arch=$2 ;;
            --pace) pace=$2 ;;
            --cache-size) cache_size=$2 ;;
            --share) shares+=("$2") ;;
            --forward) forwards+=("$2") ;;
            --timeout) timeout_s=$2 ;;
            --boot-timeout) boot_timeout_s=$2 ;;
            --accel) accel=$2 ;;
            --console) keep_console=$2 ;;
            esac
            shift
            ;;
        *) bad_usage "unknown option '$1'; the command comes after --, see --help" ;;
        esac
        shift
    done
    command_line=("$@")
}

check_options() {
    local seconds
    : "${timeout_s:=$([ ${#command_line[@]} -eq 0 ] && [ -t 0 ] && echo 999999 || echo 3600)}"
    for seconds in "--timeout $timeout_s" "--boot-timeout $boot_timeout_s"; do
        [[ ${seconds#* } =~ ^[1-9][0-9]{0,5}$ ]] || bad_usage "${seconds%% *} '${seconds#* }' is no number of seconds"
    done
    [[ -z $kernel_version || $kernel_version =~ ^[0-9]+\.[0-9]+$ ]] ||
        bad_usage "--kernel '$kernel_version': accepted is a version such as 6.1 or 6.12"
    [[ $arch = amd64 || $arch = arm64 ]] || bad_usage "--arch '$arch': accepted are amd64 and arm64"
    [[ $cache_size =~ ^[1-9][0-9]{0,5}K$ || $cache_size =~ ^([1-9][0-9]{0,2}|10[01][0-9]|102[0-4])M$ ]] ||
        bad_usage "--cache-size '$cache_size': accepted is 1K to 1024M"
    [ -z "$pace" ] || [ "$paced" -eq 1 ] || bad_usage "--pace and --no-pace exclude each other"
    case "$accel" in
    tcg) ;;
    kvm)
        [ "$counted" -eq 0 ] && [ -z "$pace" ] && paced=0
        [ "$paced" -eq 0 ] || bad_usage "--pace and --count need --accel tcg"
        ;;
    *) bad_usage "--accel '$accel': accepted are tcg and kvm" ;;
    esac
    [[ $arch = amd64 || $accel = tcg ]] || bad_usage "--arch arm64 needs --accel tcg"
    check_forwards
    check_files
}

# Gives each --forward its guest port.
check_forwards() {
    local i port taken=' '
    for i in "${!forwards[@]}"; do
        port=${forwards[i]%:*}
        [[ ${forwards[i]} =~ ^[1-9][0-9]{0,4}(:[1-9][0-9]{0,4})?$ && $port -le 65535 && ${forwards[i]#*:} -le 65535 ]] ||
            bad_usage "--forward '${forwards[i]}': accepted is PORT or PORT:GUEST_PORT, each from 1 to 65535"
        [[ $taken != *" $port "* ]] || bad_usage "--forward ${forwards[i]}: port $port is named twice"
        taken+="$port "
        forwards[i]=$port:${forwards[i]#*:}
    done
}

check_files() {
    local i wrong
    pwd -P >/dev/null 2>&1 || bad_usage "the current folder does not exist any more"
    [ ! -r "$parts/topologies/$topology.conf" ] || topology=$parts/topologies/$topology.conf
    { [ -f "$topology" ] && [ -r "$topology" ]; } ||
        bad_usage "--topology '$topology': no readable file; by name there are: $(cd "$parts/topologies" && echo * | sed 's/\.conf//g')"
    [ -z "$pace" ] || { [ -f "$pace" ] && [ -r "$pace" ]; } || bad_usage "--pace '$pace': no readable file"
    wrong=$(derive --qemu 2>&1 >/dev/null) || bad_usage "$wrong"
    for i in "${!shares[@]}"; do
        { [ -d "${shares[i]}" ] && [ -w "${shares[i]}" ]; } || bad_usage "--share '${shares[i]}' is no writable folder"
        shares[i]=$(cd "${shares[i]}" && pwd -P)
        case "${shares[i]}" in
        / | /tmp | /run | /var/tmp) bad_usage "--share '${shares[i]}' is the guest's own; accepted are folders below it" ;;
        esac
    done
    [ ! -w "$root/results" ] || shares+=("$root/results")
    [ "$arch" = amd64 ] || [[ $(pwd -P)/ = "$root"/* ]] ||
        bad_usage "--arch arm64 shows this project and the shared folders alone: run it from below $root"
    case "${shares[*]}$PWD$root" in *$'\n'*) bad_usage "a folder name with a line break cannot be shown to the guest" ;; esac
    if [ -n "$count" ] && ! { : >>"$count"; } 2>/dev/null; then bad_usage "--count='$count' cannot be written"; fi
    if [ -n "$keep_console" ] && ! { : >>"$keep_console"; } 2>/dev/null; then
        bad_usage "--console '$keep_console' cannot be written"
    fi
}

# What follows from the topology. The rest are options of topology.py.
derive() {
    local python=/usr/bin/python3
    [ -x "$python" ] || python=python3
    "$python" "$parts/topology.py" --arch "$arch" ${pace:+"--pace=$pace"} "$@" -- "$topology"
}

# Sets qemu, qemu_major, kernel, busybox, and guest_root and guest_path, where the guest's programs are. For arm64 also tree,
# what it sees as this project's folder.
find_tools() {
    local tool programs group=vm version=$kernel_version
    [ -n "$version" ] || version=${NUMA_LAB_MODULES:+${NUMA_LAB_MODULES##*/}}
    [[ $arch != amd64 || $HOSTTYPE = x86_64 ]] ||
        fail "the amd64 machine runs this host's programs, which are $HOSTTYPE's; accepted here: --arch arm64"
    case "$arch:$version" in
    amd64: | amd64:[0-5].* | amd64:6.[0-9] | amd64:6.[0-9].*) qemu=${QEMU:-qemu-system-x86_64} ;;
    amd64:*) qemu=${QEMU:-$("$parts/emulator.sh")} || exit 125 ;; # QEMU 7.2 corrupts the memory of newer kernels
    arm64:*) qemu=${QEMU:-qemu-system-aarch64} group='vm arm64' ;;
    esac
    for tool in "$qemu" cpio $([ "$arch" != amd64 ] || echo busybox); do
        command -v "$tool" >/dev/null || fail "$tool is not installed; install it with: harness/setup.sh $group"
    done
    qemu_major=$("$qemu" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\)\..*/\1/p') || true
    [ -n "$qemu_major" ] || fail "'$qemu' does not say its version, as QEMU does"
    kernel=$("$parts/kernel.sh" --arch "$arch" ${kernel_version:+"$kernel_version"}) || exit 125
    guest_root=/ guest_path=$PATH tree=''
    if [ "$arch" = arm64 ]; then
        programs=$("$parts/arm64.sh") || exit 125
        guest_root=${programs%$'\n'*} tree=${programs##*$'\n'}
        guest_path=/usr/local/bin:/usr/bin:/usr/sbin busybox=$kernel/busybox
        return
    fi
    busybox=$(command -v busybox)
    ! LC_ALL=C ldd "$busybox" >/dev/null 2>&1 ||
        fail "$busybox is not statically linked; install busybox-static with: harness/setup.sh vm"
}

# What the guest runs, as a script for bash.
write_command() {
    echo 'export HOME=/tmp/home LANG=C.UTF-8'
    printf 'export PATH=%q TERM=%q\n' "$guest_path" \
        "$([ "$interactive" -eq 1 ] && echo "${TERM:-dumb}" || echo dumb)"
    # The guest's root is not the owner of the checkout; git asks to be told that this is meant.
    echo 'export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*"'
    printf 'cd %q || exit 125\n' "$(pwd -P)"
    if [ ${#command_line[@]} -gt 0 ]; then
        printf 'exec'
        printf ' %q' "${command_line[@]}"
        echo
    elif [ "$interactive" -eq 1 ]; then
        stty -F /dev/tty size | sed 's/\(.*\) \(.*\)/stty rows \1 cols \2/'
        printf 'PS1=%q exec bash --norc -i\n' "lab $(basename "$topology" .conf):\\W# "
    else
        cat # what to run came on standard input
    fi
}

# The initramfs: busybox, the modules, and what to run.
make_initramfs() {
    local folder=$session/initramfs
    mkdir -p "$folder"/{bin,dev,proc,sys,vm}
    cp "$busybox" "$folder/bin/busybox"
    cp "$parts/init.sh" "$folder/init"
    chmod 755 "$folder/init"
    cp -r "$kernel/modules" "$folder/vm/modules"
    [ ${#forwards[@]} -eq 0 ] || cp -r "$kernel/network" "$folder/vm/network"
    printf '%s\n' "${ports[@]}" >"$folder/vm/ports"
    if [ -n "$tree" ]; then
        echo "$root" >"$folder/vm/tree"
        : >"$folder/vm/folders"
    else
        # What would be hidden by the guest's own empty folders.
        {
            git -C "$PWD" rev-parse --show-toplevel 2>/dev/null || true
            echo "$root"
            pwd -P
        } | awk '/^\/(tmp|run|var\/tmp)\/./ && !seen[$0]++' >"$folder/vm/folders"
    fi
    printf '%s\n' "${shares[@]}" >"$folder/vm/shares"
    echo "$interactive" >"$folder/vm/interactive"
    write_command >"$folder/vm/command"
    (cd "$folder" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) >"$session/initrd" ||
        fail "cannot make the initramfs"
}

# QEMU's option lists take a comma doubled.
listed() {
    printf '%s' "${1//,/,,}"
}

# $1: folder, $2: tag, $3: more options.
share() {
    printf 'local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s' "$(listed "$1")" "$2" "$3"
}

# Sets what differs between architectures: type, the machine and its serial lines (the kernel's log, the command's
# output, its status), and ports, the guest's names for those.
choose_type() {
    if [ "$arch" = arm64 ]; then
        # The model "max" takes 10 s to boot: pointer authentication is slow to emulate.
        type=(-machine "virt,gic-version=3" -cpu neoverse-n1 -serial chardev:console
            -device "pci-serial,chardev=output" -device "pci-serial,chardev=status")
        ports=(ttyAMA0 ttyS0 ttyS1)
    else
        type=(-machine q35 -cpu "max,la57=off"
            -serial chardev:console -serial chardev:output -serial chardev:status)
        ports=(ttyS0 ttyS1 ttyS2)
    fi
}

make_arguments() {
    local machine i session_listed
    session_listed=$(listed "$session")
    mapfile -t machine < <(derive --qemu)
    # shellcheck disable=SC2054 # the commas are QEMU's
    arguments=(
        -nodefaults -no-user-config -display none -monitor none -no-reboot
        -accel "$([ "$accel" = kvm ] && echo kvm || echo tcg,thread=multi)"
        "${machine[@]}"
        -kernel "$kernel/vmlinuz" -initrd "$session/initrd"
        -append "console=${ports[0]} loglevel=4 panic=-1 oops=panic mitigations=off no_timer_check random.trust_cpu=on"
        -chardev "file,id=console,path=$session_listed/console"
        -chardev "stdio,id=output,signal=off"
        -chardev "file,id=status,path=$session_listed/status"
        "${type[@]}"
        -virtfs "$(share "$guest_root" root ,readonly=on)"
    )
    [ -z "$tree" ] || arguments+=(-virtfs "$(share "$tree" tree ,readonly=on)")
    for i in "${!shares[@]}"; do
        arguments+=(-virtfs "$(share "${shares[i]}" "share$i" '')")
    done
    [ ${#forwards[@]} -eq 0 ] || add_network
    [ "$paced$counted" = 00 ] || derive --table --qemu-major "$qemu_major" >"$session/machine"
    [ "$paced" -eq 0 ] || add_plugin pace "$session_listed"
    [ "$counted" -eq 0 ] || add_plugin count "$session_listed"
}

# The network is QEMU's own, without a way out of it.
add_network() {
    local forward network=user,id=network,restrict=on,ipv6=off
    for forward in "${forwards[@]}"; do
        network+=,hostfwd=tcp:127.0.0.1:${forward%:*}-:${forward#*:}
    done
    arguments+=(-netdev "$network" -device "virtio-net-pci,netdev=network,romfile=")
}

# Builds and names a plugin. Each version of QEMU's plugin interface is refused by the emulators of the other.
# $1: its name, $2: the session's folder, for QEMU.
add_plugin() {
    local kilobytes=${cache_size%[KM]}
    [ "${cache_size: -1}" = K ] || kilobytes=$((kilobytes << 10))
    command -v "${CC:-gcc}" >/dev/null || fail "${CC:-gcc} is not installed; install it with: harness/setup.sh"
    "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
        -DPLUGIN_VERSION=$((qemu_major >= 9 ? 2 : 1)) -o "$session/$1.so" "$parts/plugin/$1.c" ||
        fail "cannot build the plugin '$1'"
    arguments+=(-plugin "$2/$1.so,machine=$2/machine,report=$2/$1.csv,cache_bytes=$((kilobytes << 10))")
}

# Sets started, and reason when the machine had to be ended.
run_machine() {
    local elapsed saved_terminal=''
    started=$SECONDS
    reason=''
    if [ "$interactive" -eq 1 ]; then
        saved_terminal=$(stty -F /dev/tty -g)
        # shellcheck disable=SC2064 # as it is now
        trap "clean_up; stty -F /dev/tty '$saved_terminal' 2>/dev/null || true" EXIT
        stty -F /dev/tty raw -echo
        exec 3</dev/tty
    else
        exec 3</dev/null
    fi
    # Through cat, because QEMU makes its standard output non-blocking for everyone who shares it.
    mkfifo "$session/output"
    cat "$session/output" &
    output_pid=$!
    # `timeout` is the backstop for the case that this script is killed and cannot end the machine itself.
    timeout --foreground --kill-after=5 $((timeout_s + 30)) "$qemu" "${arguments[@]}" \
        <&3 >"$session/output" 2>"$session/errors" &
    qemu_pid=$!
    while kill -0 "$qemu_pid" 2>/dev/null; do
        elapsed=$((SECONDS - started))
        if ! kill -0 "$output_pid" 2>/dev/null; then
            exit 141 # nobody reads: as a command whose pipe is closed
        elif [ "$elapsed" -ge "$timeout_s" ]; then
            reason="ended the machine: the command did not finish within $timeout_s s"
        elif [ "$elapsed" -ge "$boot_timeout_s" ] && ! grep -q 'numa_lab: ready' "$console" 2>/dev/null; then
            reason="ended the machine: it did not boot within $boot_timeout_s s"
        fi
        if [ -n "$reason" ]; then
            kill "$qemu_pid" 2>/dev/null || true
            break
        fi
        sleep 0.2
    done
    qemu_status=0
    wait "$qemu_pid" 2>/dev/null || qemu_status=$?
    qemu_pid=''
    wait "$output_pid" || true
    [ -z "$saved_terminal" ] || stty -F /dev/tty "$saved_terminal"
}

last_line() {
    tr -d '\r' <"$1" | grep -v '^[[:space:]]*$' | tail -n 1
}

# Says what went wrong with the machine, or sets status, the command's.
judge() {
    local forward
    if grep -q 'Kernel panic' "$console"; then
        fail "the guest's kernel panicked: $(tr -d '\r' <"$console" | grep -m 1 -o 'Kernel panic.*')"
    fi
    if [ -n "$reason" ]; then
        echo "lab: $reason (last line of its log: $(last_line "$console"))" >&2
        exit 124
    fi
    if [ "$qemu_status" -ne 0 ] && [ ! -s "$session/status" ]; then
        forward=$(sed -n "s/.*Could not set up host forwarding rule '[^']*:\([0-9]*\)-.*/\1/p" "$session/errors")
        [ -z "$forward" ] || fail "--forward $forward: that port of 127.0.0.1 is in use, or not for ordinary users"
        # QEMU adds a line of its own to a plugin's.
        fail "QEMU failed: $(grep -m 1 -E '^(pace|count): ' "$session/errors" || last_line "$session/errors") (its status: $qemu_status)"
    fi
    status=$(tr -dc 0-9 <"$session/status")
    [ -n "$status" ] ||
        fail "the machine stopped before the command ended (last line of its log: $(last_line "$console"))"
    if grep -q '^numa_lab: cannot' "$console"; then
        fail "$(tr -d '\r' <"$console" | sed -n 's/^numa_lab: //p' | tail -n 1)"
    fi
}

# A host that is busy makes memory slower than the topology says. $1: seconds that the machine ran.
warn_of_busy_host() {
    [ -s "$session/pace.csv" ] || return 0
    awk -F, -v ran_s="$1" 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        { taken_ms[$column["cpu"]] = $column["cpu_taken_ms"] }
        END {
            for (cpu in taken_ms) if (taken_ms[cpu] > 1000 * taken_s) taken_s = taken_ms[cpu] / 1000
            if (taken_s > 1 && taken_s > 0.05 * ran_s)
                printf "lab: a CPU waited %.0f s of %d s for a processor of this host, which is busy: figures may be off\n",
                    taken_s, ran_s
        }' "$session/pace.csv" >&2
}

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap '' INT TERM HUP # a second one would leave the folder
    if [ -n "$qemu_pid" ] && kill -0 "$qemu_pid" 2>/dev/null; then
        kill "$qemu_pid" 2>/dev/null || true
        wait "$qemu_pid" 2>/dev/null || true
    fi
    rm -rf "$session"
}

main() {
    parse_options "$@"
    check_options
    interactive=0
    if [ ${#command_line[@]} -eq 0 ] && [ -t 0 ]; then interactive=1; fi
    find_tools
    session=$(mktemp -d "${TMPDIR:-/tmp}/numa_lab.XXXXXX" 2>/dev/null) || fail "cannot make a folder in '${TMPDIR:-/tmp}'"
    console=$session/console qemu_pid=''
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    choose_type
    make_initramfs
    make_arguments
    run_machine
    touch "$console" "$session/status" "$session/errors" # QEMU may have failed before it made them
    [ -z "$keep_console" ] || cp "$console" "$keep_console"
    judge
    warn_of_busy_host $((SECONDS - started))
    if [ "$counted" -eq 1 ]; then
        grep '^count: ' "$session/errors" >&2 || true
        if [ -z "$count" ]; then
            cat "$session/count.csv" >&2
        else
            cp "$session/count.csv" "$count" || fail "cannot write --count='$count'"
        fi
    fi
    exit "$status"
}

main "$@"
