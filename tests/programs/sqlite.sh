#!/usr/bin/env bash
# sqlite3: the kinds of statement of a speed test, in a file and in memory, with several caches.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs sqlite3

work() {
    local rows
    rows=$(size 40000 3000)
    sed "s/@ROWS@/$rows/g" "$here/sqlite.sql" >workload.sql
    under sqlite3 :memory: '.read workload.sql'
    under sqlite3 file.db 'PRAGMA journal_mode=WAL; PRAGMA page_size=512; PRAGMA cache_size=-200;' '.read workload.sql'
    under sqlite3 file.db .dump | md5sum
    under sqlite3 file.db 'VACUUM; PRAGMA integrity_check; REINDEX;'
}

"$1"
