#!/usr/bin/env bash
# The JVM: javac compiles a program; java runs it: threads, direct buffers, compression, JIT compilation.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs java javac

prepare() {
    javac -d . "$here/Workload.java"
}

work() {
    under javac -g:none -d compiled "$here/Workload.java"
    find compiled -type f | sort | xargs md5sum
    under java -Xmx256m -XX:MaxDirectMemorySize=256m -cp "$PREPARED" Workload "$(size 40 4)"
    under java -Xmx128m -XX:+UseParallelGC -cp "$PREPARED" Workload "$(size 10 2)"
}

"$1"
