#!/usr/bin/env bash
# CPython's own regression tests, every object from malloc: each test's result is what it is without the library.
# With check.py --long, all modules that need no network and no display; else those about memory, threads, processes.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
/usr/bin/python3 -c 'import test.libregrtest, test.test_mmap' 2>/dev/null || skip "CPython's tests are not installed"

work() {
    local modules=(list dict set bytes array memoryview mmap gc weakref thread fork1 ctypes struct zlib deque
        generators threading_local)
    [ "$EXTENT" != light ] || modules=(list dict mmap gc weakref thread fork1 ctypes zlib)
    [ "$EXTENT" != long ] || modules=(all)
    export PYTHONMALLOC=malloc
    /usr/bin/python3 "$here/cpython_tests.py" "${modules[@]}" -- env "${environment[@]}"
}

"$1"
