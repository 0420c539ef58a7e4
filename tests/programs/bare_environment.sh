#!/usr/bin/env bash
# What a service manager gives: no environment, closed files, / as the folder, another user, filters, limits.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc setpriv unshare

prepare() {
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -pthread -o bare "$here/bare.c"
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -o refuse "$root/tests/cli/refuse.c"
}

# $1: what is bare; the rest: the command. Its exit status is the verdict, as it may have no output.
bare() {
    local label=$1 status=0
    shift
    "$@" >&2 || status=$?
    echo "$label: $status"
}

limited() {
    local limit=$1
    shift
    (ulimit -S "$limit" "$1" && shift && under "$@")
}

# With the kernel's own files hidden.
masked() {
    unshare -m sh -c 'mount -t tmpfs none /proc && mount -t tmpfs none /sys && exec "$@"' sh \
        env "${environment[@]}" "$@"
}

# shellcheck disable=SC2016 # an inner shell's variables
work() {
    local program=$PREPARED/bare user=()
    [ "$(id -u)" -ne 0 ] || user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)
    cp "$program" . # for the other user
    chmod 755 . bare
    bare "as it is" under ./bare
    bare "no environment" env -i "${environment[@]}" ./bare
    bare "no files" under sh -c 'exec ./bare <&- >&- 2>&-'
    bare "standard error closed" under sh -c 'exec ./bare 2>&-'
    bare "the folder /" under sh -c 'bare=$PWD/bare; cd /; exec "$bare"'
    bare "no folder" under sh -c 'bare=$PWD/bare; mkdir gone; cd gone; rmdir ../gone; exec "$bare"'
    bare "another user" under "${user[@]}" ./bare
    bare "no new privileges" under setpriv --no-new-privs ./bare
    bare "placement refused with EPERM" under "$PREPARED/refuse" EPERM ./bare
    bare "placement refused with ENOSYS" under "$PREPARED/refuse" ENOSYS ./bare
    bare "512 MiB of address space" limited -v 524288 ./bare
    bare "512 MiB of data" limited -d 524288 ./bare
    bare "four open files" limited -n 4 ./bare
    bare "128 KiB of stack" limited -s 128 ./bare
    bare "stack unlimited" limited -s unlimited ./bare
    bare "nothing locked" limited -l 0 ./bare
    bare "address space not randomised" under setarch -R ./bare
    bare "a session of its own" under setsid -w ./bare
    if [ "$(id -u)" -eq 0 ]; then
        bare "/proc and /sys hidden" masked ./bare
        bare "a user namespace" under unshare -U ./bare
        bare "process namespaces" under unshare -p -f ./bare
    fi
}

"$1"
