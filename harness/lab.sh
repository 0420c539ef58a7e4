#!/usr/bin/env bash
# Boots a machine of several memory nodes under QEMU's emulator, runs one command there on the host's own
# files, and returns its exit status.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=harness/lab/topology.sh
. "$here/lab/topology.sh"

usage() {
    cat <<'END'
Usage: harness/lab.sh [OPTION...] -- COMMAND [ARGUMENT...]
Runs COMMAND as root in a virtual machine of several memory nodes, in the current folder, with the host's
files at the same paths, read-only. /tmp, /run and /var/tmp are empty and writable. Output and errors come
out on standard output.

  --topology NAME|FILE   the nodes, CPUs and distances: one of tests/lab/topologies/ (2-node, 3-node: the
                         third without CPUs) or a file like those there (default 2-node)
  --kernel VERSION       Linux 6.1 or 6.12 of Debian (default 6.1). 6.12, which has the kernel's own weighted
                         interleave, runs under QEMU 10, which is downloaded if need be
  --out DIR              an existing folder that is writable inside, at the same path
  --timeout SECONDS      end the machine after this long (default 300)
  --boot-timeout SECONDS longest wait until the command starts (default 120)
  --memory-per-node SIZE K, M or G (default 1G)
  --pace LOCAL,REMOTE    make each line fetched from memory by a program take LOCAL ns from the CPU's own
                         node and REMOTE ns from the other (both at least 500)
  --fetched FILE         with --pace: write the number of lines each CPU fetched from each node to FILE
  --count FILE           write the lines that each CPU fetched from each node to FILE, as CSV: of the sections
                         that programs mark (tests/lab/count_mark.h), or else of all they did
  --cache-size SIZE      with --count: of each CPU's cache, K or M (default 1M)
  --accel tcg|kvm        default tcg; kvm is fast, cannot pace, and hangs on some hosts
  --console FILE         keep the guest kernel's log in FILE
  --help                 this text

Environment: NUMA_LAB_KERNEL and NUMA_LAB_MODULES name a kernel (vmlinuz) and its
/lib/modules/VERSION folder, used when no --kernel is given; otherwise Debian's is downloaded once to
~/.cache/numa_alloc. QEMU names the emulator (default qemu-system-x86_64, and for 6.12 one of version 10).

Exit status: COMMAND's; 2 bad usage; 124 ended by a time limit; 125 the machine failed.
END
}

bad_usage() {
    echo "vm: $*" >&2
    exit 2
}

fail() {
    echo "vm: $*" >&2
    exit 125
}

out='' timeout_s=300 boot_timeout_s=120 memory_per_node=1G pace='' accel=tcg keep_console='' fetched=''
topology=2-node kernel_version='' count='' cache_size=1M
while [ $# -gt 0 ]; do
    case "$1" in
    --help | -h) usage && exit 0 ;;
    --) shift && break ;;
    --topology | --kernel | --out | --timeout | --boot-timeout | --memory-per-node | --pace | --fetched | --count | --cache-size | --accel | --console)
        [ $# -ge 2 ] || bad_usage "$1 needs a value; see --help"
        case "$1" in
        --topology) topology=$2 ;;
        --kernel) kernel_version=$2 ;;
        --out) out=$2 ;;
        --timeout) timeout_s=$2 ;;
        --boot-timeout) boot_timeout_s=$2 ;;
        --memory-per-node) memory_per_node=$2 ;;
        --pace) pace=$2 ;;
        --fetched) fetched=$2 ;;
        --count) count=$2 ;;
        --cache-size) cache_size=$2 ;;
        --accel) accel=$2 ;;
        --console) keep_console=$2 ;;
        esac
        shift 2
        ;;
    *) bad_usage "unknown option '$1'; the command comes after --, see --help" ;;
    esac
done
[ $# -gt 0 ] || bad_usage "no command after --; see --help"
for seconds in "$timeout_s" "$boot_timeout_s"; do
    [[ $seconds =~ ^[1-9][0-9]{0,5}$ ]] || bad_usage "'$seconds' is no number of seconds"
done
[[ -z $kernel_version || $kernel_version =~ ^[0-9]+\.[0-9]+$ ]] ||
    bad_usage "--kernel '$kernel_version': accepted is a version such as 6.1 or 6.12"
[ ! -r "$here/lab/topologies/$topology.conf" ] || topology=$here/lab/topologies/$topology.conf
{ [ -f "$topology" ] && [ -r "$topology" ]; } ||
    bad_usage "--topology '$topology': no such file; by name there are: $(cd "$here/lab/topologies" && echo * | sed 's/\.conf//g')"
topology_read "$topology" >/dev/null || bad_usage "--topology: $(topology_read "$topology")"
[[ $memory_per_node =~ ^[1-9][0-9]{0,8}[KMG]$ ]] ||
    bad_usage "--memory-per-node '$memory_per_node': accepted is a number with K, M or G"
[[ -z $pace || $pace =~ ^[1-9][0-9]{2,6},[1-9][0-9]{2,6}$ ]] ||
    bad_usage "--pace '$pace': accepted is LOCAL_NS,REMOTE_NS, such as 1000,1800"
[ -z "$pace" ] || { [ "${pace%,*}" -ge 500 ] && [ "${pace#*,}" -ge 500 ]; } ||
    bad_usage "--pace '$pace': below 500 ns the emulator itself is slower than the memory"
[ -z "$fetched" ] || [ -n "$pace" ] || bad_usage "--fetched needs --pace"
[ -z "$count" ] || [ -z "$pace" ] || bad_usage "--count and --pace exclude each other"
[[ $cache_size =~ ^[1-9][0-9]{0,5}[KM]$ ]] || bad_usage "--cache-size '$cache_size': accepted is a number with K or M"
if [ -n "$count" ] && ! { : >"$count"; } 2>/dev/null; then bad_usage "--count '$count' cannot be written"; fi
case "$accel" in
tcg) accel=tcg,thread=multi ;;
kvm) [ -z "$pace$count" ] || bad_usage "--pace and --count need --accel tcg" ;;
*) bad_usage "--accel '$accel': accepted are tcg and kvm" ;;
esac
if [ -n "$out" ]; then
    if ! [ -d "$out" ] || ! [ -w "$out" ]; then bad_usage "--out '$out' is no writable folder"; fi
    out=$(cd "$out" && pwd -P)
fi
case "$out$PWD" in *$'\n'*) bad_usage "a folder name with a line break cannot be shown to the guest" ;; esac

case "$kernel_version" in
'' | [0-5].* | 6.[0-9]) qemu=${QEMU:-qemu-system-x86_64} ;;
*) qemu=${QEMU:-$("$here/lab/emulator.sh")} || exit 125 ;; # QEMU 7.2 corrupts the memory of newer kernels
esac
for tool in "$qemu" busybox cpio; do
    command -v "$tool" >/dev/null || fail "$tool is not installed; install it with: harness/setup.sh vm"
done
busybox=$(command -v busybox)
! LC_ALL=C ldd "$busybox" >/dev/null 2>&1 ||
    fail "$busybox is not statically linked; install busybox-static with: harness/setup.sh vm"
kernel=$("$here/lab/kernel.sh" ${kernel_version:+"$kernel_version"}) || exit 125

session=$(mktemp -d "${TMPDIR:-/tmp}/numa_alloc-vm.XXXXXX")
console=$session/console
qemu_pid=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    if [ -n "$qemu_pid" ] && kill -0 "$qemu_pid" 2>/dev/null; then
        kill "$qemu_pid" 2>/dev/null || true
        wait "$qemu_pid" 2>/dev/null || true
    fi
    rm -rf "$session"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# Bytes of a size such as 512M.
size_bytes() {
    local number=${1%[KMG]}
    case "$1" in *K) echo $((number << 10)) ;; *M) echo $((number << 20)) ;; *G) echo $((number << 30)) ;; esac
}
node_bytes=$(size_bytes "$memory_per_node")
# Above this a q35 machine moves memory to 4 GiB, and a node's addresses are no longer one range.
[ -z "$pace$count" ] || [ $((node_bytes * ${#topology_cpus[@]})) -le $((2 << 30)) ] ||
    bad_usage "--pace and --count work with at most 2G of memory, not ${#topology_cpus[@]} nodes of $memory_per_node"

# The initramfs: busybox, the modules, and what to run.
make_initramfs() {
    local root=$session/initramfs
    mkdir -p "$root"/{bin,dev,proc,sys,vm}
    cp "$busybox" "$root/bin/busybox"
    cp "$here/lab/init.sh" "$root/init"
    chmod 755 "$root/init"
    cp -r "$kernel/modules" "$root/vm/modules"
    git -C "$PWD" rev-parse --show-toplevel >"$root/vm/folders" 2>/dev/null || true
    pwd -P >>"$root/vm/folders"
    : >"$root/vm/out"
    [ -z "$out" ] || echo "$out" >"$root/vm/out"
    {
        echo 'export HOME=/tmp/home LANG=C.UTF-8 TERM=dumb'
        printf 'export PATH=%q\n' "$PATH"
        # The guest's root is not the owner of the checkout; git asks to be told that this is meant.
        echo 'export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0="*"'
        printf 'cd %q || exit 125\nexec' "$(pwd -P)"
        printf ' %q' "$@"
        echo
    } >"$root/vm/command"
    (cd "$root" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) >"$session/initrd" ||
        fail "cannot make the initramfs"
}
make_initramfs "$@"

# QEMU's option lists take a comma doubled.
share() {
    printf 'local,path=%s,mount_tag=%s,security_model=none,multidevs=remap%s' "${1//,/,,}" "$2" "$3"
}
listed=${session//,/,,}

mapfile -t machine < <(topology_options "$node_bytes")
# shellcheck disable=SC2054 # the commas are QEMU's
arguments=(
    -nodefaults -no-user-config -display none -monitor none -no-reboot
    -machine q35 -accel "$accel" -cpu max,la57=off
    "${machine[@]}"
    -kernel "$kernel/vmlinuz" -initrd "$session/initrd"
    -append "console=ttyS0 loglevel=4 panic=-1 oops=panic mitigations=off random.trust_cpu=on"
    -chardev "file,id=console,path=$listed/console" -serial chardev:console
    -chardev "stdio,id=output,signal=off" -serial chardev:output
    -chardev "file,id=status,path=$listed/status" -serial chardev:status
    -virtfs "$(share / hostroot ,readonly=on)"
)
[ -z "$out" ] || arguments+=(-virtfs "$(share "$out" out '')")

# Builds and names a plugin. Each version of QEMU's plugin interface is refused by the emulators of the other.
# $1: its name, the rest: its options besides the machine's.
add_plugin() {
    local name=$1 major words
    shift
    major=$("$qemu" --version | sed -n '1s/.*version \([0-9]*\)\..*/\1/p')
    "${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
        -DPLUGIN_VERSION=$((${major:-9} >= 9 ? 2 : 1)) -o "$session/$name.so" "$here/lab/plugin/$name.c" ||
        fail "cannot build the plugin '$name'"
    words=$(printf ':%s' "${topology_cpu_nodes[@]}")
    arguments+=(-plugin "$listed/$name.so,nodes=${#topology_cpus[@]},node_bytes=$node_bytes,cpu_nodes=${words#:}$(printf ',%s' "$@")")
}
[ -z "$pace" ] || add_plugin pace "local_ns=${pace%,*}" "remote_ns=${pace#*,}" "report=$listed/fetched"
[ -z "$count" ] || add_plugin count "cache_bytes=$(size_bytes "$cache_size")" "report=$listed/counted"

# Through cat, because QEMU makes its standard output non-blocking for everyone who shares it.
mkfifo "$session/output"
cat "$session/output" &
output_pid=$!
# `timeout` is the backstop for the case that this script is killed and cannot end the machine itself.
timeout --kill-after=5 $((timeout_s + 30)) "$qemu" "${arguments[@]}" \
    </dev/null >"$session/output" 2>"$session/errors" &
qemu_pid=$!

reason=''
started=$SECONDS
while kill -0 "$qemu_pid" 2>/dev/null; do
    elapsed=$((SECONDS - started))
    if [ "$elapsed" -ge "$timeout_s" ]; then
        reason="ended the machine: the command did not finish within $timeout_s s"
    elif [ "$elapsed" -ge "$boot_timeout_s" ] && ! grep -q 'numa_alloc-vm: ready' "$console" 2>/dev/null; then
        reason="ended the machine: it did not boot within $boot_timeout_s s"
    fi
    if [ -n "$reason" ]; then
        kill "$qemu_pid" 2>/dev/null || true
        break
    fi
    sleep 0.2
done
wait "$qemu_pid" 2>/dev/null || true
qemu_pid=''
wait "$output_pid" || true

[ -z "$keep_console" ] || cp "$console" "$keep_console"
touch "$console" "$session/status" # QEMU may have failed before it made them
last_line() {
    tr -d '\r' <"$1" | grep -v '^[[:space:]]*$' | tail -n 1
}
if grep -q 'Kernel panic' "$console"; then
    fail "the guest's kernel panicked: $(tr -d '\r' <"$console" | grep -m 1 'Kernel panic')"
fi
if [ -n "$reason" ]; then
    echo "vm: $reason (last line of its log: $(last_line "$console"))" >&2
    exit 124
fi
if [ -s "$session/errors" ] && [ ! -s "$session/status" ]; then
    fail "QEMU failed: $(last_line "$session/errors")"
fi
status=$(tr -dc 0-9 <"$session/status")
[ -n "$status" ] || fail "the machine stopped before the command ended (last line of its log: $(last_line "$console"))"
if grep -q '^numa_alloc-vm: cannot' "$console"; then
    fail "$(tr -d '\r' <"$console" | sed -n 's/^numa_alloc-vm: //p' | tail -n 1)"
fi
[ -z "$fetched" ] || cp "$session/fetched" "$fetched"
[ -z "$count" ] || cp "$session/counted" "$count"
exit "$status"
