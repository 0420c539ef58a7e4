#!/usr/bin/env bash
# Programs linked with libnuma_alloc.a: static, static-PIE and dynamic. Without the library: linked without it.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs gcc g++

linked() {
    g++ -std=c++17 -O1 -fno-builtin -pthread "$@"
}

prepare() {
    local archive=$root/alloc/libnuma_alloc.a kind
    for kind in static static-pie pie; do
        linked -fPIE -"$kind" -o "plain-$kind" "$here/threaded.cpp"
        linked -fPIE -"$kind" -o "ours-$kind" "$here/threaded.cpp" "$archive"
    done
}

work() {
    local kind
    for kind in static static-pie pie; do
        if [ -z "$LIBRARY" ]; then
            "$PREPARED/plain-$kind"
        else
            # Not preloaded as well.
            env "${environment[@]}" env -u LD_PRELOAD "$PREPARED/ours-$kind"
        fi
    done
}

"$1"
