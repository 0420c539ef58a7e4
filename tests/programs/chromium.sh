#!/usr/bin/env bash
# Headless Chromium opens a report of the harness: the page that its scripts make is the same. Chromium brings an
# allocator of its own; what is the library's is what its shared libraries, and what runs before, take.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs chromium

prepare() {
    mkdir run
    cp "$root/results/reference/genoa-epyc-9354p-nps4.csv" run/matrix.csv
    /usr/bin/python3 "$root/harness/plot.py" run >&2
    [ -s run/report.html ]
}

work() {
    export HOME=$PWD
    under chromium --headless=new --no-sandbox --disable-gpu --no-first-run --disable-extensions \
        --disable-background-networking --disable-component-update --disable-sync --user-data-dir="$PWD/profile" \
        --dump-dom "file://$PREPARED/run/report.html" >page
    grep -c '<svg' page
    md5sum <page
}

"$1"
