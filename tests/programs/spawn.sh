#!/usr/bin/env bash
# Threads that start programs by vfork, posix_spawn, system and popen, and fork, while others allocate.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc

prepare() {
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -pthread -o spawn "$here/spawn.c"
}

work() {
    under "$PREPARED/spawn" "$(size 40 5)"
}

"$1"
