#!/usr/bin/env bats
# Attacks on harness/run_matrix.sh: its caller's environment, words that a shell or GNU parallel would obey, others' folders.
# shellcheck disable=SC2154,SC2016,SC1003,SC2094

bats_require_minimum_version 1.5.0
load sweep_project

setup_file() {
    make_project "$BATS_FILE_TMPDIR/a \$(touch pwned) {} project"
    make -s -C "$ROOT" harness/run_cell 2>/dev/null || true
}

setup() {
    enter_test_folder
}

@test "the caller's variables change nothing of a sweep" {
    mkdir evil && for module in json os numpy argparse; do echo 'raise SystemExit("pwned")' >"evil/$module.py"; done
    echo 'touch pwned' >evil/profile
    run --separate-stderr env PYTHONHOME=/nonexistent PYTHONPATH="$PWD/evil" PYTHONSTARTUP="$PWD/evil/os.py" \
        PARALLEL='--dry-run --jobs 7' PARALLEL_HOME="$PWD/evil" CDPATH=/:/tmp IFS=0r POSIXLY_CORRECT=1 GREP_OPTIONS=-v \
        TZ=Asia/Kathmandu LC_NUMERIC=de_DE.UTF-8 TMPDIR="$PWD" NUMA_ALLOC_POLICY=nonsense \
        "$PROJECT/harness/run_matrix.sh" --wait "${smallest[@]}" --out "$out"
    [ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
    [ "$(wc -l <"$out/samples.csv")" -eq 6 ]
    [ ! -e pwned ]
}

@test "words of a command reach it as they are, whatever a shell or GNU parallel would make of them" {
    cat >witness <<'END'
#!/bin/sh
printf '%s\0' "$@" >"$WITNESS"
END
    chmod +x witness
    export WITNESS=$PWD/words
    local words=('; touch pwned' '$(touch pwned)' '`touch pwned`' "'\"" $'a\nb' '{}' '{=perl=}' '{//}' '{#}' '-oProxyCommand=touch pwned' '' '*' '\' '!x' '%s' '| cat' '{cpu}x')
    cp -r "$PROJECT" "$BATS_TEST_TMPDIR/plain" # a library's path with a space cannot be preloaded
    run --separate-stderr "$BATS_TEST_TMPDIR/plain/harness/run_matrix.sh" --wait --cpus 0 --mem-nodes 0 --rounds 1 --no-pictures --out "$PWD/a \$(touch pwned) {} run" -- ./witness "${words[@]}"
    [ "$status" -eq 0 ] || { echo "$stderr" && return 1; }
    words[16]=0x
    printf '%s\0' "${words[@]}" | cmp - words
    [ ! -e pwned ]
}

@test "a hosts file's or list's words are no options of ssh and no commands of a shell" {
    for host in -oProxyCommand=id '$(id)' 'a;id' '../../x' 'user:pw@h' 'h:99999' '-l' "a'b" 'a|b' '@x'; do
        run --separate-stderr sweep --hosts "$host" --dry-run
        [ "$status" -eq 2 ] && [ -z "$output" ] && [ "$(wc -l <<<"$stderr")" -eq 1 ] || { echo "$host: $status $output $stderr" && return 1; }
    done
}

@test "a folder of another user is not resumed" {
    [ "$(id -u)" -eq 0 ] || skip "only root can make another user's folder"
    one_cell --out "$out"
    rm "$out"/cells/round1.*.run && touch "$out/UNFINISHED"
    chown nobody "$out/environment.json"
    run --separate-stderr sweep --resume "$out"
    one_line_and 2
    [[ $stderr == *"belongs to another user"* ]]
}

@test "a further round that is of no cell is not run by --resume" {
    one_cell --out "$out" --rounds 2
    tail -n 1 "$out/plan.csv" | sed 's/^[0-9]*,[a-z]*,[0-9]*/9,extra,3/; s/,0,0,0,/,0,0,7,/' >>"$out/plan.csv"
    sed -i '$s/cpu0.node0/cpu9.node9/' "$out/plan.csv"
    touch "$out/UNFINISHED"
    run --separate-stderr sweep --resume "$out"
    one_line_and 1
    [[ $stderr == *"no cell of its options"* ]]
}

@test "what is missing on PATH is one clear line" {
    mkdir bin
    for tool in bash sh env readlink python3 perl taskset parallel uname cat; do ln -s "$(command -v "$tool")" "bin/$tool"; done
    for missing in taskset parallel; do
        rm "bin/$missing"
        run --separate-stderr "$(command -v env)" PATH="$PWD/bin" "$PROJECT/harness/run_matrix.sh" --wait "${smallest[@]}" --out "$out"
        [ "$status" -eq 1 ]
        [[ $(tail -n 1 <<<"$stderr") == "run_matrix.sh: $missing is missing; harness/setup.sh installs it"* ]]
        ln -s "$(command -v "$missing")" "bin/$missing"
    done
}

@test "a reader that leaves, and an output that is full, are no success and no traceback" {
    one_cell --out "$out"
    for how in full gone; do
        status=0
        if [ "$how" = full ]; then
            sweep "${smallest[@]}" --dry-run >/dev/full 2>said || status=$?
        else
            { sweep "${smallest[@]}" --dry-run --rounds 9999 2>said || echo $? >status; } | head -n 1 >/dev/null
            status=$(cat status)
        fi
        [ "$status" -eq 1 ]
        run ! grep -q Traceback said
    done
}

@test "policies that name a node twice are refused, preferred:all is a policy" {
    run --separate-stderr sweep --dry-run --policies interleave:0,0
    one_line_and 2
    [[ $stderr == *"names a node twice"* ]]
    run -0 --separate-stderr sweep --dry-run --policies preferred:all
    [[ $output == *NUMA_ALLOC_POLICY=preferred:all* ]]
}
