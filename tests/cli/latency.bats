#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/latency: orders, chains, sizes and pages; and faults planted into a run, each found.

bats_require_minimum_version 1.5.0
QUICK=(--size 1M --min-sample-ms 1)

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    gcc -shared -fPIC -o "$BATS_FILE_TMPDIR/clock_step.so" tests/cli/plant_clock_step.c
}

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# Fields of a column, by name, of the CSV in $output.
column() {
    /usr/bin/python3 -c 'import csv, sys
for row in csv.DictReader(sys.stdin): print(row[sys.argv[1]])' "$1" <<<"$output"
}

# One line on stderr, nothing on stdout, and the status.
complains() {
    [ "$status" -eq "$1" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [ -z "$output" ]
    [[ $stderr == latency:* ]]
}

@test "chains side by side: a figure each, in the order asked" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv --chains 1-3,16
    [ "$status" -eq 0 ]
    [ "$(column variant | paste -sd' ')" = 'random random-x2 random-x3 random-x16' ]
}

@test "groups and strides: a figure each" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv --group 4K,256K --stride 64,4K
    [ "$status" -eq 0 ]
    [ "$(column variant | paste -sd' ')" = 'random-4K random-256K stride-64 stride-4K' ]
}

@test "--curve: sizes from 4K to the largest, each once, and levels" {
    run --separate-stderr bench/latency --curve --size 64K --min-sample-ms 1 --max-samples 1 --csv
    [ "$status" -eq 0 ]
    local sizes
    sizes=$(paste -d' ' <(column metric) <(column size_bytes) | sed -n 's/^load_latency //p')
    [ "$(head -n 1 <<<"$sizes")" = 4096 ]
    [ "$(tail -n 1 <<<"$sizes")" = 65536 ]
    [ "$(wc -l <<<"$sizes")" -eq 17 ]
    [ "$(sort -nu <<<"$sizes" | wc -l)" -eq 17 ]
    ! column reason | grep -q caches || false
}

@test "--curve's table ends in the levels that were found" {
    run --separate-stderr bench/latency --curve --size 64K --min-sample-ms 1 --max-samples 1
    [ "$status" -eq 0 ]
    [[ $output == *"proof: every size is one ring"*"levels found"* ]]
}

@test "--pages: kinds side by side, called what they turned out to be" {
    run --separate-stderr bench/latency --size 8M --min-sample-ms 1 --max-samples 1 --csv --pages base,thp
    if [[ $stderr == *"no transparent huge pages"* ]]; then
        skip "this kernel has no transparent huge pages"
    fi
    [ "$status" -eq 0 ]
    local pages
    pages=$(paste -d, <(column metric) <(column pages) | sed -n 's/^load_latency,//p')
    [ "$(sed -n 1p <<<"$pages")" = base ]
    [[ $(sed -n 2p <<<"$pages") =~ ^(thp|mixed|default)$ ]]
    [ "$(column allocator | sort -u)" = mmap ]
    [ "$(column placement | sort -u)" != failed ]
}

@test "reserved pages that are not there: status 1, one line, and a row that says failed" {
    run --separate-stderr bench/latency --size 64G --csv --max-samples 1 --pages 1G
    [ "$status" -eq 1 ]
    [[ $stderr == *"64G"* || $stderr == *"reserved"* ]]
    [ -z "$output" ] || [ "$(column status)" = failed ]
}

@test "--twice puts what twice the size takes into the proof" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 6 --csv --twice
    [ "$status" -eq 0 ]
    [[ $(column proof | sort -u) =~ ^"one ring, each of its 16384 lines once;".*"twice the size takes "[0-9.]+" x as long"$ ]]
}

@test "every row says its interval, its spread, why sampling stopped, and where the pages are" {
    run --separate-stderr bench/latency --size 1M --min-sample-ms 5 --max-samples 30 --precision 50 --csv
    [ "$status" -eq 0 ]
    [[ $(column stopped_by | sort -u) =~ ^(precision|disturbed)$ ]]
    [ "$(column ci_low | sort -u | wc -l)" -eq 1 ]
    [ "$(paste -d' ' <(column ci_low) <(column ci_high) <(column spread) |
        awk '$1 > 0 && $2 >= $1 && $3 >= 0' | wc -l)" -eq "$(column value | wc -l)" ]
    [[ $(column placement | sort -u) = unverified || $(column pages_on_nodes | sort -u) =~ ^(N[0-9]+=[0-9]+,?)+$ ]]
}

@test "bad orders, chains and pages: one line that says what is accepted" {
    local words
    for words in '--chains 0' '--chains 17' '--chains 1,x' '--chains=' '--group 100' '--group 4K,' '--group 0' \
        '--stride 63' '--stride 96' '--stride 128K' '--stride -64' '--pages 4K' '--pages base,base,base,base,base' \
        '--prefetchers on' '--precision 0' '--precision 101' '--precision 1e1' '--precision 1,5' \
        '--prefetchers off --fill-cpu 0' '--curve --twice' '--curve --stride 64' '--curve=1'; do
        # shellcheck disable=SC2086 # words
        run --separate-stderr bench/latency "${QUICK[@]}" $words
        complains 2
    done
}

@test "--prefetchers off where they cannot be switched: status 1 and one line" {
    if [ -w /dev/cpu/0/msr ]; then skip "the registers can be written here"; fi
    run --separate-stderr bench/latency "${QUICK[@]}" --prefetchers off
    complains 1
    [[ $stderr == *"--prefetchers off: "* ]]
}

# Planted faults, each with its own status.

@test "planted: a ring cut short is failed, with the number of loads" {
    run --separate-stderr build/tests/latency_cut "${QUICK[@]}" --csv
    [ "$status" -eq 1 ]
    [[ $stderr == "latency: the ring is broken: not back after exactly 16384 loads" ]]
    [ "$(column status),$(column value)" = failed, ]
    [[ $(column reason) == "the ring is broken"* ]]
}

@test "planted: memory that fits the caches is cached" {
    run --separate-stderr bench/latency "${QUICK[@]}" --max-samples 1 --csv
    [ "$status" -eq 0 ]
    if [ -z "$(lscpu -C=NAME 2>/dev/null)" ]; then skip "the system does not know its caches"; fi
    [ "$(column status)" = cached ]
    [[ $(column reason) == *"hold "*" % of --size"* ]]
    [[ $stderr == *"note: caches "* ]]
}

@test "planted: a clock that jumps is found, whichever it is" {
    local clock
    for clock in 0 1 4; do # CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW
        run --separate-stderr env STEP_CLOCK=$clock STEP_MS=500 STEP_EVERY=40 \
            LD_PRELOAD="$BATS_FILE_TMPDIR/clock_step.so" bench/latency --size 1M --min-sample-ms 5 --max-samples 12 --csv
        [ "$status" -eq 0 ]
        [ "$(column disturbed | grep -c clock)" -gt 0 ]
        [[ $stderr == *"a clock was set or is not even"* ]]
    done
}

@test "planted: a CPU taken away is found" {
    [ "$(nproc)" -ge 2 ] || skip "one CPU only"
    local first last pid
    first=$(taskset -cp $$ | grep -oE '[0-9]+' | sed -n 2p)
    last=$(taskset -cp $$ | grep -oE '[0-9]+' | tail -n 1)
    bench/latency --cpu "$first" --size 1M --min-sample-ms 50 --max-samples 40 --precision 0.01 --csv \
        >"$BATS_TEST_TMPDIR/csv" 2>"$BATS_TEST_TMPDIR/err" &
    pid=$!
    while [ "$(sed -n 's/^Cpus_allowed_list:\t//p' "/proc/$pid/status")" != "$first" ]; do sleep 0.05; done
    sleep 0.5
    taskset -cp "$last" "$pid"
    wait "$pid"
    output=$(cat "$BATS_TEST_TMPDIR/csv")
    [ "$(column disturbed | grep -c moved)" -gt 0 ]
    grep -q 'a thread was taken off its CPU' "$BATS_TEST_TMPDIR/err"
}

@test "planted: another program on the CPU is found" {
    local cpu pid
    cpu=$(taskset -cp $$ | grep -oE '[0-9]+' | sed -n 2p)
    timeout 20 taskset -c "$cpu" sh -c 'while :; do :; done' &
    pid=$!
    run --separate-stderr bench/latency --cpu "$cpu" --size 1M --min-sample-ms 100 --max-samples 6 --csv
    kill "$pid"
    [ "$status" -eq 0 ]
    [ "$(column disturbed | grep -c preempted)" -gt 0 ]
}
