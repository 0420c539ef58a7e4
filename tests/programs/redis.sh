#!/usr/bin/env bash
# redis-server: a known data set through a snapshot, a rewrite and reloads, then redis-benchmark.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs redis-server redis-cli redis-benchmark

client() {
    redis-cli -s "$PWD/socket" "$@"
}

# Every type, in all its encodings, with sizes around where they change; then a third of it goes again.
commands() {
    awk -v keys="$(size 20000 2000)" 'BEGIN {
        for (i = 0; i < keys; i++) {
            printf "SET string:%d %s\n", i, repeated("value" i " ", i % 97)
            printf "HSET hash:%d field%d %d field%d %s\n", i % 500, i, i * 7, i % 3, repeated("h", i % 90)
            printf "RPUSH list:%d item%d %s\n", i % 300, i, repeated("l", i % 200)
            printf "SADD set:%d %d\n", i % 200, i * 7919 % 100003
            printf "SADD names:%d name%d\n", i % 100, i
            printf "ZADD sorted:%d %d member%d\n", i % 150, i * 31 % 1000, i
            printf "XADD stream:%d %d-1 text %s\n", i % 20, i + 1, repeated("x", i % 60)
            printf "APPEND log:%d %s,\n", i % 50, i
            printf "SETBIT bits:%d %d 1\n", i % 10, i * 17
            printf "PFADD distinct:%d %d\n", i % 5, i
        }
        for (i = 0; i < keys; i += 3) printf "DEL string:%d\n", i
        for (i = 0; i < 300; i += 2) printf "LTRIM list:%d 10 -1\n", i
        for (i = 0; i < 20; i++) printf "XTRIM stream:%d MAXLEN 20\n", i
    }
    function repeated(text, times, all) { while (times-- > 0) all = all text; return "\"" all "\"" }'
}

no_save_runs() {
    [ "$(client INFO persistence | tr -d '\r' | grep -cE '^(rdb_bgsave|aof_rewrite)_in_progress:0')" -eq 2 ]
}

work() {
    # A thread of its own frees what is deleted.
    start log redis-server --port 0 --unixsocket "$PWD/socket" --save '' --dir "$PWD" --enable-debug-command yes \
        --lazyfree-lazy-user-del yes --lazyfree-lazy-user-flush yes
    await client PING
    commands | client --pipe | grep errors
    client DEBUG DIGEST
    client BGSAVE >&2
    await no_save_runs
    client BGREWRITEAOF >&2
    await no_save_runs
    client DEBUG RELOAD
    client DEBUG DIGEST
    client EVAL "local all = ''
        for i = 0, 199 do all = redis.sha1hex(all .. table.concat(redis.call('SORT', 'set:' .. i), ' ')) end
        return all" 0
    redis-benchmark -s "$PWD/socket" -q -n "$(size 10000 500)" -c 20 -P 4 -r 10000 -d 200 \
        -t set,get,incr,lpush,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset >benchmark
    tr '\r' '\n' <benchmark | grep -o '^[^:]*: .*requests per second' | sed 's/:.*//' | sort -u
    client LRANGE mylist 0 2
    client FLUSHALL
    look_at "$server"
    client SHUTDOWN NOSAVE || true
    await gone "$server"
    ! grep -E 'crash|Guru' log
}

"$1"
