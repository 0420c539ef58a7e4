#!/usr/bin/env bash
# A Rust program, whose allocator is the system's: collections, threads, aligned and zeroed blocks.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs rustc

prepare() {
    rustc -O --edition 2021 -o workload "$here/workload.rs"
}

work() {
    under "$PREPARED/workload" "$(size 60000 5000)"
}

"$1"
