#!/usr/bin/env bash
# Set-user-id programs, run by an ordinary user: the dynamic linker preloads nothing into them, and one linked with
# libnuma_alloc.a ignores the variables, a wrong one too. Both do their work.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc setpriv
[ "$(id -u)" -eq 0 ] || skip "only root can make a program set-user-id"

prepare() {
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -o plain "$here/setuid.c"
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -o ours "$here/setuid.c" "$root/alloc/libnuma_alloc.a"
}

work() {
    local user=(setpriv --reuid=nobody --regid=nogroup --clear-groups) ours=ours
    [ -n "$LIBRARY" ] || ours=plain
    cp "$PREPARED/plain" "$PREPARED/ours" .
    chmod 4755 plain ours
    chmod 755 .
    [ "$("${user[@]}" ./plain uid)" = 0 ] || skip "set-user-id programs are not obeyed in $PWD"
    under "${user[@]}" ./plain work
    under "${user[@]}" "./$ours" work
    under env -u LD_PRELOAD NUMA_ALLOC_POLICY=bind:99 NUMA_ALLOC_ON_ERROR=abort "${user[@]}" "./$ours" work
    # What was to be seen is that neither left statistics: the same program without the bit does.
    if [ -n "$LIBRARY" ]; then
        [ -z "$(ls "$EVIDENCE")" ] || {
            echo "a set-user-id program obeyed NUMA_ALLOC_STATS" >&2
            return 1
        }
    fi
    chmod 755 "$ours"
    under env -u LD_PRELOAD "${user[@]}" "./$ours" unprivileged
}

"$1"
