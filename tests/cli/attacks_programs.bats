#!/usr/bin/env bats
# Attacks on the programs of bench/ and alloc/: full, closed and strange outputs, and arguments that nobody means well.
# shellcheck disable=SC2154

bats_require_minimum_version 1.5.0

setup() {
    ROOT=$BATS_TEST_DIRNAME/../..
    cd "$BATS_TEST_TMPDIR" || return 1
    PROGRAMS=(latency bandwidth loaded core2core migrate faults preflight benchmark allocs)
}

# A program that ends well, with the allocator's statistics sent to $1.
with_statistics_to() {
    run -0 --separate-stderr timeout 10 env NUMA_ALLOC_STATS="$1" LD_PRELOAD="$ROOT/alloc/numa_alloc.so" true
    [ -z "$output" ]
    [ "$(wc -l <<<"$stderr")" -eq 1 ]
}

@test "help that cannot be written is no success, in every program" {
    for program in "${PROGRAMS[@]/#/bench/}" alloc/numa_run; do
        for sink in full closed; do
            status=0
            if [ "$sink" = full ]; then
                timeout 20 "$ROOT/$program" --help >/dev/full 2>/dev/null || status=$?
            else
                timeout 20 "$ROOT/$program" --help >&- 2>/dev/null || status=$?
            fi
            [ "$status" -ne 0 ] && [ "$status" -lt 126 ] || { echo "$program, $sink: $status" && return 1; }
        done
    done
}

@test "figures that cannot be written are no success, and one line" {
    local short=(--max-samples 3 --min-sample-ms 1 --csv)
    for words in "latency --size 4M" "bandwidth --size 4M"; do
        read -r -a command <<<"$words"
        for sink in /dev/full closed; do
            status=0
            if [ "$sink" = closed ]; then
                "$ROOT/bench/${command[0]}" "${command[@]:1}" "${short[@]}" >&- 2>said || status=$?
            else
                "$ROOT/bench/${command[0]}" "${command[@]:1}" "${short[@]}" >"$sink" 2>said || status=$?
            fi
            [ "$status" -eq 1 ]
            [[ $(tail -n 1 said) == "${command[0]}: cannot write the results: "* ]]
        done
    done
}

@test "arguments that nobody means well are one line and status 2, in every benchmark" {
    local hostile=(16E 99999999999999999999G -1 1e3 '' ' ' 0x10 $'\xff\xfe' $'1\n' 18446744073709551616 '%s%n' NaN "$(printf '9%.0s' {1..5000})")
    for program in latency bandwidth loaded core2core migrate; do
        for word in "${hostile[@]}"; do
            for option in --size --max-samples --cpu; do
                run --separate-stderr timeout 10 "$ROOT/bench/$program" "$option" "$word"
                [ "$status" -eq 2 ] && [ -z "$output" ] && [ "$(wc -l <<<"$stderr")" -eq 1 ] && [ "${#stderr}" -lt 300 ] || {
                    printf '%s %s %q: %s: %s\n' "$program" "$option" "${word:0:40}" "$status" "$stderr"
                    return 1
                }
            done
        done
    done
}

@test "statistics for a FIFO that nobody reads do not keep the program" {
    mkfifo fifo
    with_statistics_to "$PWD/fifo"
    [[ $stderr == *"cannot write"*"ENXIO"* ]]
}

@test "statistics for a FIFO arrive whole at its reader" {
    mkfifo fifo
    timeout 20 cat fifo >got 3>&- &
    reader=$!
    for _ in {1..100}; do # the reader may not have opened it yet
        env NUMA_ALLOC_STATS="$PWD/fifo" LD_PRELOAD="$ROOT/alloc/numa_alloc.so" true 2>said
        [ -s said ] || break
        sleep 0.05
    done
    wait "$reader"
    python3 -m json.tool <got >/dev/null
}

@test "statistics for a folder, a full device, no folder and a name too long are one line" {
    for path in "$PWD" /dev/full "$PWD/none/x" "$(printf 'x%.0s' {1..300})"; do
        with_statistics_to "$path"
    done
}

@test "statistics of a set-user-id program with the allocator inside are not written where its caller says" {
    [ "$(id -u)" -eq 0 ] || skip "only root can make another user's program"
    local folder
    folder=$(mktemp -d) # bats' own folders are closed to other users
    chmod 777 "$folder"
    echo 'int main(void) { return 0; }' >program.c
    gcc -o "$folder/other" program.c -Wl,-u,malloc "$ROOT/alloc/libnuma_alloc.a" -pthread
    chmod 755 "$folder/other"
    su nobody -s /bin/sh -c "NUMA_ALLOC_STATS='$folder/own' '$folder/other'"
    chmod 4755 "$folder/other"
    su nobody -s /bin/sh -c "NUMA_ALLOC_STATS='$folder/got' '$folder/other'"
    found=$(ls "$folder")
    rm -r "$folder"
    [ "$found" = $'other\nown' ] || { echo "$found" && return 1; }
}
