#!/usr/bin/env bash
# PostgreSQL: a new cluster, queries with parallel workers and compiled expressions, a dump, pgbench and its sums.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
bin=$(find /usr/lib/postgresql -path '*/bin/postgres' 2>/dev/null | sort -V | tail -n 1)
bin=${bin%/*}
[ -n "$bin" ] || skip "postgresql is not installed"
needs setpriv "$bin/pgbench" "$bin/psql"

# PostgreSQL refuses to be root's.
user=()
[ "$(id -u)" -ne 0 ] || user=(setpriv --reuid=nobody --regid=nogroup --clear-groups)

client() {
    local program=$1
    shift
    "$bin/$program" -h "$PWD" -U postgres "$@"
}

sql() {
    client psql -X -q -A -t -v ON_ERROR_STOP=1 -d test "$@"
}

work() {
    [ "$(id -u)" -ne 0 ] || chown nobody .
    # Where everything is slow, without the compiler of expressions.
    under "${user[@]}" "$bin/initdb" -D data -U postgres -A trust --no-sync --locale=C.UTF-8 -E UTF8 >initdb.log
    start log "${user[@]}" "$bin/postgres" -D data -k "$PWD" -c listen_addresses= -c fsync=off \
        -c jit="$(size on off)" -c jit_above_cost=1000 -c min_parallel_table_scan_size=0 -c parallel_setup_cost=0 \
        -c parallel_tuple_cost=0 -c work_mem=2MB -c shared_buffers=64MB -c max_connections=30
    await client pg_isready
    client createdb test
    sql -v rows="$(size 30000 1500)" -f "$here/postgres.sql"
    client pg_dump -d test | grep -v '^\\\(un\)\?restrict' | md5sum
    client pgbench -q -i -s 1 test 2>init.log
    client pgbench -n -c 4 -j 2 -t "$(size 250 15)" test | grep -E '^number of (transactions|failed)'
    sql -c 'SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
        (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history),
        (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history),
        (SELECT count(*) FROM pgbench_history)'
    look_at "$server"
    stop "$server" INT
}

"$1"
