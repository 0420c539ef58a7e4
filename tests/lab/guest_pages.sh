#!/usr/bin/env bash
# Runs inside the virtual machine for check.sh: huge pages, and a kernel that refuses placement. Prints TAP;
# exit status 1 when a promise is broken. $1: folder of the test programs; $2: the program that refuses.
set -uo pipefail
programs=$1 refuse=$2
library=alloc/numa_alloc.so # relative: a list of libraries cannot hold a path with spaces
sysfs=/sys/devices/system/node
nodes=$(find $sysfs -maxdepth 1 -name 'node[0-9]*' | wc -l)
kernel=$(uname -r)
failed=0 errors=/tmp/errors

report() { # $1: ok or not ok, $2: promise
    echo "$1 - $nodes nodes, Linux ${kernel%%-*}, $2"
    [ "$1" = ok ] || failed=1
}

# $1: label, $2: lines wanted on standard error, the rest: NAME=VALUE... and a command. Every command must
# end well, print only passed promises, and say no more than wanted.
run() {
    local label=$1 lines=$2 said status
    shift 2
    env "$@" 2>$errors | sed -E "s/^(ok|not ok) - /&$nodes nodes, Linux ${kernel%%-*}, $label: /"
    status=${PIPESTATUS[0]}
    [ "$status" -eq 0 ] || failed=1
    [ "$status" -le 1 ] || report "not ok" "$label: the program ended with status $status"
    said=$(grep -c "" $errors)
    if [ "$said" -eq "$lines" ] && [ "$(grep -c "^numa_alloc: " $errors)" -eq "$lines" ]; then
        report ok "$label: $lines lines of warning"
    else
        sed 's/^/# /' $errors
        report "not ok" "$label: $lines lines of warning ($said)"
    fi
}

pool() { # $1: node, $2: pages of 2 MiB. Echoes how many it has then.
    local file=$sysfs/node$1/hugepages/hugepages-2048kB/nr_hugepages
    echo "$2" >"$file"
    cat "$file"
}
free_pages() { cat "$sysfs/node$1/hugepages/hugepages-2048kB/free_hugepages"; }

huge_pages() {
    local preload="LD_PRELOAD=$library" before
    # Enough on both nodes.
    if [ "$(pool 0 150)" -lt 150 ] || [ "$(pool 1 150)" -lt 150 ]; then
        report "not ok" "the guest gives 150 pages of 2 MiB on each node"
        return
    fi
    before="$(free_pages 0) $(free_pages 1)"
    run "2M bind:1" 0 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=bind:1 "$programs/mapped" 1=1 2M
    run "2M interleave:all" 0 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=interleave:all \
        "$programs/mapped" 0=1,1=1 2M
    run "2M weighted:0=3,1=1" 0 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=weighted:0=3,1=1 \
        "$programs/mapped" 0=3,1=1 2M
    if [ "$before" = "$(free_pages 0) $(free_pages 1)" ]; then
        report ok "the pool is whole again after programs that used it"
    else
        report "not ok" "the pool is whole again after programs that used it"
    fi
    # The node asked for has none, the other has.
    pool 1 0 >/dev/null
    run "2M bind:1, pool of node 0 alone" 1 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=bind:1 \
        "$programs/mapped" 1=1
    # Less than is needed.
    pool 1 12 >/dev/null
    run "2M bind:1, pool of 12 pages" 1 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=bind:1 \
        "$programs/mapped" 1=1
    pool 0 0 >/dev/null
    pool 1 0 >/dev/null
    run "2M interleave:all, no pool" 1 $preload NUMA_ALLOC_PAGES=2M NUMA_ALLOC_POLICY=interleave:all \
        "$programs/mapped" 0=1,1=1
    run "1G bind:1, no pool" 1 $preload NUMA_ALLOC_PAGES=1G NUMA_ALLOC_POLICY=bind:1 "$programs/mapped" 1=1

    echo madvise >/sys/kernel/mm/transparent_hugepage/enabled
    run "thp bind:1" 0 $preload NUMA_ALLOC_PAGES=thp NUMA_ALLOC_POLICY=bind:1 "$programs/mapped" 1=1 thp
    run "thp weighted:0=3,1=1" 0 $preload NUMA_ALLOC_PAGES=thp NUMA_ALLOC_POLICY=weighted:0=3,1=1 \
        "$programs/mapped" 0=3,1=1 thp
    run "thp interleave:all, mappings" 0 $preload NUMA_ALLOC_PAGES=thp NUMA_ALLOC_POLICY=interleave:all \
        "$programs/mappings" 20000 1 2000
    echo always >/sys/kernel/mm/transparent_hugepage/enabled
}

refused_kernel() {
    local refused="$refuse EPERM env LD_PRELOAD=$library"
    # The words are to be split: a command and its arguments.
    # shellcheck disable=SC2086
    {
        run "refused, bind:1 from cpu 0" 1 taskset -c 0-1 $refused NUMA_ALLOC_POLICY=bind:1 \
            "$programs/mapped" 1=1
        run "refused, preferred:0 from cpu 2" 1 taskset -c 2 $refused NUMA_ALLOC_POLICY=preferred:0 \
            "$programs/mapped" 0=1
        run "refused, interleave:0-1 from cpu 0" 1 taskset -c 0 $refused NUMA_ALLOC_POLICY=interleave:0-1 \
            "$programs/mapped" 0=1,1=1
        run "refused, weighted:0=1,1=3 from cpu 0" 1 taskset -c 0 $refused \
            NUMA_ALLOC_POLICY=weighted:0=1,1=3 "$programs/mapped" 0=1,1=3
        run "refused, silent" 0 taskset -c 0 $refused NUMA_ALLOC_POLICY=bind:1 NUMA_ALLOC_ON_ERROR=silent \
            "$programs/mapped" 1=1
        [ "$nodes" -lt 3 ] ||
            run "refused, bind:2 (no CPU there) from cpu 0: plain memory" 1 taskset -c 0 $refused \
                NUMA_ALLOC_POLICY=bind:2 "$programs/mapped" 0=1
    }
}

refused_kernel
[ "$nodes" -ne 2 ] || huge_pages
exit "$failed"
