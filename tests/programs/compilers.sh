#!/usr/bin/env bash
# gcc and clang: a large C++ file and the library's own source; the objects are the same, byte for byte.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc g++ clang++ as ld

prepare() {
    cp -r "$root/alloc" . # it may change while this runs
}

compiled() {
    under "$@"
    md5sum object
    rm object
}

work() {
    if [ "$EXTENT" = full ]; then
        compiled g++ -std=c++17 -O1 -c -o object "$here/large.cpp"
        compiled clang++ -std=c++17 -O1 -c -o object "$here/large.cpp"
    fi
    # Where everything is slow, the floor of the library alone.
    compiled gcc -O1 -std=gnu11 -D_GNU_SOURCE -c -o object "$PREPARED/alloc/$(size numa_alloc.c text.c)"
    compiled clang -O1 -std=gnu11 -D_GNU_SOURCE -c -o object "$PREPARED/alloc/$(size numa_alloc.c text.c)"
}

"$1"
