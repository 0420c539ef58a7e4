#!/usr/bin/env bash
# Threads that hand C++ containers to each other, and operator new that cannot be served.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs g++

prepare() {
    g++ -std=c++17 -O1 -pthread -o threaded "$here/threaded.cpp"
    g++ -std=c++17 -O1 -pthread -o bad_alloc "$here/bad_alloc.cpp"
}

work() {
    under "$PREPARED/threaded"
    under "$PREPARED/bad_alloc" | tee new
    grep -q '^handler called, then bad_alloc$' new
}

"$1"
