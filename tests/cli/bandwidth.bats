#!/usr/bin/env bats
# shellcheck disable=SC2154 # `run` sets output, stderr, status and their lines
# bench/bandwidth: kernels and instruction sets by name, three ways to count, the threads that saturate.

bats_require_minimum_version 1.5.0

QUICK=(--size 1M --min-sample-ms 1 --max-samples 1)

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
}

# Fails unless bandwidth said on one line of stderr what is wrong, printed nothing and ended with 2.
is_bad_usage() {
    [ "$status" -eq 2 ]
    [ -z "$output" ]
    [ "$(grep -cv '^bandwidth: note: ' <<<"$stderr")" -eq 1 ]
}

# The columns "$@" (by name) of the CSV in $output, one row a line.
columns() {
    /usr/bin/python3 -c '
import csv, sys
for row in csv.DictReader(sys.stdin):
    print(",".join(row[name] for name in sys.argv[1:]))' "$@" <<<"$output"
}

allowed_cpus() { # one a line
    awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

instruction_sets() { # those --help says this processor has, narrowest first
    bench/bandwidth --help | sed -n 's/.*this processor has: //p'
}

every_kernel() { # the first words of --help's table
    bench/bandwidth --help | sed -n '/^  name /,/^-nt/p' | awk '/^  / && $1 != "name" { print $1 }'
}

@test "--help: the kernels with their bytes, and the instruction sets of this processor" {
    run bench/bandwidth --help
    [ "$status" -eq 0 ]
    [[ $output == *"  triad         c = a + s*b"*" 128 "*" 64 "*" 64"* ]]
    [[ $output == *"write-allocate"*"1e9 bytes"* || $output == *"1e9 bytes"*"write-allocate"* ]]
    for option in --kernels --isa --threads; do
        [[ $output == *"  $option "* ]]
    done
    [[ " $(instruction_sets) " == *" scalar "* ]]
}

@test "without --kernels: reads, writes and STREAM's four, in the widest instruction set" {
    local sets
    read -ra sets <<<"$(instruction_sets)"
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --csv
    [ "$status" -eq 0 ]
    [ "$(columns variant | paste -sd' ')" = "read write copy scale add triad" ]
    [ "$(columns isa | sort -u)" = "${sets[-1]}" ]
    [ "$(columns metric unit | sort -u)" = bandwidth,GB/s ]
    [ "$(columns threads | sort -u)" = 1 ]
}

@test "--kernels all: every kernel of the help, one row each, with a value" {
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --kernels all --csv
    [ "$status" -eq 0 ]
    if [ "$(uname -m)" = x86_64 ]; then
        [ "$(columns variant)" = "$(every_kernel)" ]
        [ "$(columns variant isa | grep -c '^.*-string,rep$')" -eq 2 ]
    fi
    [ "$(columns value | grep -cE '^[0-9]+(\.[0-9]+)?$')" -eq "$(columns variant | wc -l)" ]
}

@test "--isa all: every instruction set of this processor, named in its row" {
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --kernels triad-nt --isa all --csv
    [ "$status" -eq 0 ]
    [ "$(columns isa | paste -sd' ')" = "$(instruction_sets)" ]
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --kernels read,copy --isa scalar --csv
    [ "$(columns variant isa | paste -sd' ')" = "read,scalar copy,scalar" ]
}

@test "write-allocate is counted for ordinary stores only" {
    run --separate-stderr bench/bandwidth "${QUICK[@]}" \
        --kernels read,write,copy,triad,mix-3:1,write-nt,triad-nt --csv
    [ "$status" -eq 0 ]
    # Row by row, with-write-allocate over value: 1 line of a step's lines more for each stored one.
    [ "$(columns variant value value_write_allocate |
        awk -F, '{ printf "%s=%.2f\n", $1, $3 / $2 }' | LC_ALL=C sort | paste -sd' ')" = \
        "copy=1.50 mix-3:1=1.25 read=1.00 triad-nt=1.00 triad=1.33 write-nt=1.00 write=2.00" ]
}

@test "the controllers' figure is there only where Linux lists their counters" {
    compgen -G '/sys/bus/event_source/devices/uncore_imc*' && skip "this machine lists such counters"
    compgen -G '/sys/bus/event_source/devices/amd_umc*' && skip "this machine lists such counters"
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --csv
    [ "$status" -eq 0 ]
    [ -z "$(columns value_at_controller | tr -d '\n')" ]
    run --separate-stderr bench/bandwidth "${QUICK[@]}"
    [[ $output == *write-allocate* && $output != *controllers* ]]
}

@test "--threads auto: rows for 1, 2, ... all CPUs, and the number that saturates" {
    local cpus
    cpus=$(allowed_cpus | wc -l)
    run --separate-stderr bench/bandwidth "${QUICK[@]}" --kernels read,write --threads auto --csv
    [ "$status" -eq 0 ]
    [ "$(columns metric unit | sort -u | paste -sd' ')" = "bandwidth,GB/s saturating_threads,threads" ]
    for kernel in read write; do
        local counts saturating
        counts=$(columns variant metric threads | sed -n "s/^$kernel,bandwidth,//p")
        [ "$counts" = "$(sort -n <<<"$counts")" ]
        [ "$(head -n 1 <<<"$counts"),$(tail -n 1 <<<"$counts")" = "1,$cpus" ]
        saturating=$(columns variant metric value | sed -n "s/^$kernel,saturating_threads,//p")
        grep -qx "$saturating" <<<"$counts"
        # No number with fewer threads comes within the precision of the best.
        columns variant metric threads value | sed -n "s/^$kernel,bandwidth,//p" |
            awk -F, -v saturating="$saturating" '
                { rate[$1] = $2; if ($2 > best) best = $2 }
                END { for (n in rate) if (n + 0 < saturating + 0 && rate[n] >= 0.99 * best) exit 1
                    exit !(rate[saturating] >= 0.99 * best) }'
    done
}

@test "--threads auto keeps to the CPUs that it is given" {
    run --separate-stderr taskset -c "$(allowed_cpus | tail -n 1)" \
        bench/bandwidth "${QUICK[@]}" --kernels read --threads auto --csv
    [ "$status" -eq 0 ]
    [ "$(columns metric threads cpu | paste -sd' ')" = \
        "bandwidth,1,$(allowed_cpus | tail -n 1) saturating_threads,1,$(allowed_cpus | tail -n 1)" ]
}

@test "what is no kernel or no instruction set here is refused, and quoted" {
    for list in '' foo 'read,' ',read' 'read,,copy' READ triad-xx; do
        run --separate-stderr bench/bandwidth --kernels "$list"
        is_bad_usage || { echo "--kernels '$list': $status: $stderr" && false; }
        [[ $stderr == "bandwidth: --kernels: '"* ]]
    done
    for list in '' foo 'scalar,' string rep; do
        run --separate-stderr bench/bandwidth --isa "$list"
        is_bad_usage || { echo "--isa '$list': $status: $stderr" && false; }
        [[ $stderr == "bandwidth: --isa: '"* ]]
    done
    local other=neon
    [ "$(uname -m)" = x86_64 ] || other=avx2
    run --separate-stderr bench/bandwidth --isa "scalar,$other"
    is_bad_usage
    [[ $stderr == *"'$other' is no instruction set that this processor has"* ]]
}

@test "--cpu with --threads auto is refused" {
    run --separate-stderr bench/bandwidth --cpu 0 --threads auto
    is_bad_usage
}
