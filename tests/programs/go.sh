#!/usr/bin/env bash
# A Go program with cgo: goroutines on many threads allocate and free C blocks, which another one frees.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs go gcc

prepare() {
    cp "$here/workload.go" .
    GOCACHE=$PWD/cache GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=1 go build -o workload workload.go
    rm -rf cache
}

work() {
    # Go ends a process without C's exit: it waits here until it has been looked at.
    mkfifo go
    exec 3<>go
    start answers "$PREPARED/workload" "$(size 200 20)" <go 3>&-
    await grep -q '^done$' answers
    look_at "$server"
    exec 3>&-
    wait "$server"
    servers=()
    cat answers
}

"$1"
