#!/usr/bin/env bash
# node: objects and buffers, worker threads, streams, compression, child processes.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs node

work() {
    under node "$here/workload.js" "$(size 200000 10000)"
}

"$1"
