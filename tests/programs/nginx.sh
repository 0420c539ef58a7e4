#!/usr/bin/env bash
# nginx: files, compressed and not, through a proxy and TLS, reloaded while wrk is at it.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs nginx wrk openssl

prepare() {
    local size
    mkdir files
    for size in 0 1 100 4095 4096 30000 300000 3000000; do
        head -c $size >files/$size.txt < <(seq 1 1000000)
    done
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 30000 -subj /CN=test 2>/dev/null
}

configuration() {
    cat <<END
daemon off; worker_processes 2; pid $PWD/pid; error_log $PWD/log warn; user root root;
events { worker_connections 256; }
http {
    access_log $PWD/access combined buffer=32k; sendfile off; aio threads; keepalive_requests 500;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    gzip on; gzip_min_length 100; gzip_types *; gzip_comp_level 4; gzip_proxied any;
    proxy_cache_path $PWD/cache keys_zone=kept:1m;
    types { text/plain txt; }
    server {
        listen 127.0.0.1:$PORT backlog=511; root $PREPARED/files;
        location /list/ { alias $PREPARED/files/; autoindex on; autoindex_format json; }
        location /changed/ { alias $PREPARED/files/; sub_filter_types *; sub_filter_once off; sub_filter 77 seventyseven; }
        location /tls/ { proxy_pass https://unix:$PWD/socket:/; proxy_ssl_session_reuse off; proxy_buffers 4 8k; }
        location /kept/ { proxy_pass http://unix:$PWD/plain:/; proxy_cache kept; proxy_cache_valid 1h; }
    }
    server { listen unix:$PWD/plain; root $PREPARED/files; }
    server {
        listen unix:$PWD/socket ssl; root $PREPARED/files;
        ssl_certificate $PREPARED/certificate; ssl_certificate_key $PREPARED/key;
    }
}
END
}

# $1: path, $2: what of wrk's complaints is one of nginx's.
load() {
    wrk -t 2 -c 20 -d "$(size 1 4)" --timeout 60 "http://127.0.0.1:$PORT$1" >load
    if grep -E "$2" load; then return 1; fi
    grep -q '^ *[1-9][0-9]* requests in' load
}

work() {
    local path
    configuration >nginx.conf
    start out nginx -p "$PWD" -c "$PWD/nginx.conf"
    await test -s pid
    /usr/bin/python3 "$here/nginx_client.py" "$PORT"
    for path in /30000.txt /tls/4096.txt /changed/4096.txt; do load $path 'Non-2xx|Socket errors'; done
    load /300000.txt Non-2xx & # old workers close connections between two requests
    kill -HUP "$server"
    wait $!
    /usr/bin/python3 "$here/nginx_client.py" "$PORT"
    look_at "$server"
    stop "$server" QUIT
    cat log >&2
    ! grep -E '\[(alert|crit|emerg|error)\]' log
}

"$1"
