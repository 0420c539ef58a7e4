#!/usr/bin/env bash
# memcached: known values set, changed, evicted and read by four connections at a time.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs memcached

work() {
    start log memcached -u "$(id -un)" -s "$PWD/socket" -m 64 -t 4 -I 2m
    await test -S socket
    /usr/bin/python3 "$here/memcached_client.py" "$PWD/socket" 300
    /usr/bin/python3 "$here/memcached_client.py" "$PWD/socket" "$(size 4000 600)"
    look_at "$server"
    stop "$server"
}

"$1"
