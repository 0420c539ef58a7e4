#!/usr/bin/env bash
# Threads that open and close a library with thread-locals and destructors, over and over.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc

prepare() {
    local i
    for i in 1 2 3 4; do
        gcc -O1 -fPIC -shared -DNUMBER="$i" -o "library$i.so" "$here/tls_library.c"
    done
    gcc -std=gnu11 -D_GNU_SOURCE -O1 -fno-builtin -pthread -o loader "$here/tls_loader.c"
}

work() {
    under "$PREPARED/loader" "$PREPARED" "$(size 300 30)"
}

"$1"
