#!/usr/bin/env bats
# The lab's command line: what is wrong with it is said in one line before anything is booted. What a machine
# does is tested by `make check-vm` and `make check-lab`.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    out=$BATS_TEST_TMPDIR/out err=$BATS_TEST_TMPDIR/err
}

# The command must end with status $1 and one line that has $2 in it, and nothing on standard output.
ends() {
    local wanted_status=$1 wanted=$2 status=0
    shift 2
    "$@" >"$out" 2>"$err" </dev/null || status=$?
    echo "$*: status $status: $(cat "$err")"
    [ "$status" -eq "$wanted_status" ]
    [ ! -s "$out" ]
    [ "$(wc -l <"$err")" -eq 1 ]
    grep -qF -- "$wanted" "$err"
}

refuses() {
    ends 2 "$@"
}

@test "lab.sh refuses what it cannot read" {
    refuses "unknown option '--bogus'" harness/lab.sh --bogus -- true
    refuses "the command comes after --" harness/lab.sh true
    refuses "--kernel needs a value" harness/lab.sh --kernel
    refuses "--kernel 'new'" harness/lab.sh --kernel new -- true
    refuses "--arch 'mips'" harness/lab.sh --arch mips -- true
    refuses "2-socket-cxl 2-socket 8-node" harness/lab.sh --topology none-such -- true
    refuses "'0' is no number of seconds" harness/lab.sh --timeout 0 -- true
    refuses "--pace 'none-such': no readable file" harness/lab.sh --pace none-such -- true
    refuses "exclude each other" harness/lab.sh --no-pace --pace harness/lab.sh -- true
    refuses "--cache-size '1G'" harness/lab.sh --cache-size 1G -- true
    refuses "accepted is 1K to 1024M" harness/lab.sh --cache-size 1025M -- true
    refuses "--console '/none-such/log'" harness/lab.sh --console /none-such/log -- true
    refuses "--pace needs a value" harness/lab.sh --pace '' -- true
    refuses "--topology: a value with a line break" harness/lab.sh --topology $'a\nb' -- true
    refuses "--topology '-none-such'" harness/lab.sh --topology -none-such -- true
    refuses "is the guest's own" harness/lab.sh --share /tmp -- true
    refuses "--count='/none-such/file'" harness/lab.sh --count=/none-such/file -- true
    refuses "--share '/none-such'" harness/lab.sh --share /none-such -- true
    refuses "need --accel tcg" harness/lab.sh --count --accel kvm -- true
    refuses "--accel 'xen'" harness/lab.sh --accel xen -- true
    for forward in 0 022 65536 22:65536 x 22: :22 1:2:3 127.0.0.1:22; do
        refuses "--forward '$forward': accepted is PORT or PORT:GUEST_PORT" harness/lab.sh --forward $forward -- true
    done
    refuses "--forward 2222:23: port 2222 is named twice" harness/lab.sh --forward 2222 --forward 2222:23 -- true
}

@test "lab.sh says what is missing: the emulator, a kernel" {
    mkdir "$BATS_TEST_TMPDIR/bin"
    for tool in bash dirname python3 sed awk cat grep mktemp; do
        ln -s "$(command -v $tool)" "$BATS_TEST_TMPDIR/bin/$tool"
    done
    ends 125 "qemu-system-x86_64 is not installed; install it with: harness/setup.sh vm" \
        env -u QEMU PATH="$BATS_TEST_TMPDIR/bin" harness/lab.sh -- true
    ends 125 "none-such is not installed" env QEMU=none-such harness/lab.sh -- true
    ends 125 "'false' does not say its version" env QEMU=false harness/lab.sh -- true
    ends 125 "cannot make the folder '/proc/none/" env XDG_CACHE_HOME=/proc/none harness/lab.sh -- true
    command -v busybox >/dev/null && command -v cpio >/dev/null || skip "no busybox or cpio here (harness/setup.sh vm)"
    ends 125 "NUMA_LAB_KERNEL='/none-such'" env NUMA_LAB_KERNEL=/none-such harness/lab.sh -- true
}

@test "lab.sh says why an emulator that does not start does not" {
    command -v busybox >/dev/null && command -v cpio >/dev/null || skip "no busybox or cpio here (harness/setup.sh vm)"
    mkdir -p "$BATS_TEST_TMPDIR/version"
    cat >"$BATS_TEST_TMPDIR/qemu" <<'END'
#!/bin/sh
[ "$1" = --version ] && echo "QEMU emulator version 7.2.0" && exit
echo "no such machine" >&2
exit 1
END
    chmod +x "$BATS_TEST_TMPDIR/qemu"
    touch "$BATS_TEST_TMPDIR/vmlinuz"
    ends 125 "QEMU failed: no such machine" env QEMU="$BATS_TEST_TMPDIR/qemu" XDG_CACHE_HOME="$BATS_TEST_TMPDIR" \
        NUMA_LAB_KERNEL="$BATS_TEST_TMPDIR/vmlinuz" NUMA_LAB_MODULES="$BATS_TEST_TMPDIR/version" \
        harness/lab.sh --no-pace -- true
}

@test "lab.sh says that a port to forward is in use" {
    for tool in qemu-system-x86_64 busybox cpio; do
        command -v $tool >/dev/null || skip "no $tool here (harness/setup.sh vm)"
    done
    [ "$HOSTTYPE" = x86_64 ] || skip "the amd64 machine needs an amd64 host"
    mkdir "$BATS_TEST_TMPDIR/6.1"
    touch "$BATS_TEST_TMPDIR/vmlinuz"
    ends 125 "that port of 127.0.0.1 is in use" env XDG_CACHE_HOME="$BATS_TEST_TMPDIR" \
        NUMA_LAB_KERNEL="$BATS_TEST_TMPDIR/vmlinuz" NUMA_LAB_MODULES="$BATS_TEST_TMPDIR/6.1" \
        /usr/bin/python3 -c '
import socket, subprocess, sys
with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    sys.exit(subprocess.call(["harness/lab.sh", "--no-pace", "--forward", f"{port}:22", "--", "true"]))'
}

@test "sshd.sh refuses what it cannot do" {
    ends 1 "this is no machine of the lab" harness/lab/sshd.sh "$BATS_TEST_TMPDIR"
}

@test "locality.sh refuses what it cannot read" {
    refuses "--rounds 'x'" tests/lab/locality.sh --rounds x
    refuses "unknown option '--bogus'" tests/lab/locality.sh --bogus
}

@test "check.sh refuses what it cannot read" {
    refuses "unknown option '--bogus'" tests/lab/check.sh --bogus
    refuses "--topology 'none-such'" tests/lab/check.sh --topology none-such
}
