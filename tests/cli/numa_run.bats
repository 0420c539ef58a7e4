#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2030,SC2031 # `run` sets output, stderr, status and their lines, in each test anew
# shellcheck disable=SC2016 # single quotes keep variables for an inner shell
# alloc/numa_run: what each option does to the program, what is refused before it runs, and --print.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_TEST_DIRNAME/../.." || return 1
    # Beside each other, where the path has no spaces, whatever the checkout's has.
    mkdir "$BATS_FILE_TMPDIR/bin"
    cp alloc/numa_run alloc/numa_alloc.so "$BATS_FILE_TMPDIR/bin"
    # Shows what numa_run has done to it: arguments, variables, CPUs.
    cat >"$BATS_FILE_TMPDIR/bin/witness" <<'END'
#!/bin/bash
printf '<%s>\n' "$@"
env | grep -E '^(NUMA_ALLOC_|LD_PRELOAD)' | sort
grep '^Cpus_allowed_list' /proc/self/status
END
    chmod +x "$BATS_FILE_TMPDIR/bin/witness"
    export NUMA_RUN="$BATS_FILE_TMPDIR/bin/numa_run" LIBRARY="$BATS_FILE_TMPDIR/bin/numa_alloc.so"
    export WITNESS="$BATS_FILE_TMPDIR/bin/witness"
    # Silent, because a container may refuse memory policies and each process would say so.
    export NUMA_ALLOC_ON_ERROR=silent
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# The CPUs of the process's cpuset, also if the tests are started with fewer: the kernel drops the others.
allowed_list() {
    taskset -c "$(cat /sys/devices/system/cpu/online)" awk '/^Cpus_allowed_list/ { print $2 }' /proc/self/status
}

allowed_cpus() { # one a line
    allowed_list | tr ',' '\n' |
        awk -F- '{ for (i = $1; i <= ($2 == "" ? $1 : $2); i++) print i }'
}

lowest_memory_node() {
    sed 's/[-,].*//' /sys/devices/system/node/has_memory 2>/dev/null ||
        skip "/sys/devices/system/node is not readable"
}

# Fails unless numa_run $2... ends with status $1 and one line on stderr, and neither prints nor runs.
refuses() {
    local expected=$1
    shift
    rm -f ran
    run "-$expected" --separate-stderr "$NUMA_RUN" "$@"
    echo "numa_run $*: stdout '$output', stderr '$stderr'"
    [ -z "$output" ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "numa_run: "* ]]
    [ ! -e ran ]
}

@test "--help: every option and its variable on stdout, status 0" {
    run --separate-stderr "$NUMA_RUN" --help
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    [[ ${lines[0]} == "Usage: numa_run "* ]]
    for option in policy min-size pages on-error stats stats-signal checks; do
        variable=${option^^}
        [[ $output == *"--$option "*"(NUMA_ALLOC_${variable//-/_})"* ]]
    done
    for option in cpus cpu-nodes library print help; do
        [[ $output == *"  --$option"* ]]
    done
    [[ $output == *"Exit status"* ]]
    run --separate-stderr "$NUMA_RUN" -h
    [ "$status" -eq 0 ]
    run --separate-stderr bash -c '"$NUMA_RUN" --help >/dev/full'
    [ "$status" -eq 125 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
}

@test "each variable's option reaches the program" {
    node=$(lowest_memory_node)
    while read -r option value; do
        variable=${option^^}
        run --separate-stderr "$NUMA_RUN" "--$option" "$value" -- "$WITNESS"
        [ "$status" -eq 0 ]
        [[ $output == *$'\n'"NUMA_ALLOC_${variable//-/_}=$value"$'\n'* ]]
    done <<END
policy bind:$node
policy preferred:$node
policy interleave:all
policy weighted:$node=255
policy local
policy none
min-size 64K
pages thp
on-error silent
stats $PWD/%p.json
stats-signal 0
checks off
END
}

@test "--stats-signal 1 needs --stats" {
    run --separate-stderr "$NUMA_RUN" --stats "$PWD/%p.json" --stats-signal 1 "$WITNESS"
    [ "$status" -eq 0 ]
    [[ $output == *$'\n'NUMA_ALLOC_STATS_SIGNAL=1$'\n'* ]]
    refuses 2 --stats-signal 1 touch ran
    [[ $stderr == "numa_run: --stats-signal 1: needs NUMA_ALLOC_STATS; accepted: "* ]]
}

@test "statistics are written where --stats says" {
    "$NUMA_RUN" --policy local --stats "$PWD/%p.json" /bin/true
    /usr/bin/python3 -c '
import glob, json
(name,) = glob.glob("*.json")
assert json.load(open(name))["policy"] == "local"'
}

@test "the library beside numa_run is mapped into the program" {
    run "$NUMA_RUN" grep -c "$LIBRARY" /proc/self/maps
    [ "$status" -eq 0 ]
    ln -s "$NUMA_RUN" link
    run ./link grep -c "$LIBRARY" /proc/self/maps # beside what the link leads to
    [ "$status" -eq 0 ]
}

@test "--library: another one, also by a relative path and in a program that changes folder" {
    cp "$LIBRARY" another.so
    for path in another.so ./another.so "$PWD/another.so"; do
        run "$NUMA_RUN" --library "$path" sh -c 'cd / && exec grep -o "/[^ ]*another.so" /proc/self/maps'
        [ "$status" -eq 0 ]
        [[ ${lines[0]} == */another.so ]]
    done
}

@test "what is preloaded already stays, after the library" {
    echo 'int other_is_loaded;' | gcc -shared -fPIC -o other.so -x c -
    LD_PRELOAD=$PWD/other.so run "$NUMA_RUN" "$WITNESS"
    [ "$status" -eq 0 ]
    [[ $output == *$'\n'"LD_PRELOAD=$LIBRARY:$PWD/other.so"$'\n'* ]]
    LD_PRELOAD=$PWD/other.so run "$NUMA_RUN" cat /proc/self/maps
    [[ $output == *"$LIBRARY"* && $output == *"$PWD/other.so"* ]]
}

@test "numa_run under numa_run preloads the library once" {
    run "$NUMA_RUN" --policy local "$NUMA_RUN" --policy none "$WITNESS"
    [ "$status" -eq 0 ]
    [[ $output == *$'\n'"LD_PRELOAD=$LIBRARY"$'\n'* ]]
    [[ $output == *$'\n'"NUMA_ALLOC_POLICY=none"$'\n'* ]]
}

@test "an option counts for more than its variable, and other variables stay" {
    NUMA_ALLOC_POLICY=none NUMA_ALLOC_PAGES=thp run "$NUMA_RUN" --policy local "$WITNESS"
    [ "$status" -eq 0 ]
    [[ $output == *$'\n'NUMA_ALLOC_POLICY=local$'\n'* ]]
    [[ $output == *$'\n'NUMA_ALLOC_PAGES=thp$'\n'* ]]
    NUMA_ALLOC_POLICY=nonsense run "$NUMA_RUN" --policy local "$WITNESS"
    [ "$status" -eq 0 ]
    run "$NUMA_RUN" --policy nonsense --policy local "$WITNESS" # the last one counts
    [ "$status" -eq 0 ]
    [[ $output == *$'\n'NUMA_ALLOC_POLICY=local$'\n'* ]]
}

@test "--cpus sets the affinity, also beyond the one numa_run was started with" {
    mapfile -t cpus < <(allowed_cpus)
    for cpu in "${cpus[0]}" "${cpus[-1]}"; do
        run "$NUMA_RUN" --cpus "$cpu" "$WITNESS"
        [ "$status" -eq 0 ]
        [[ ${lines[-1]} == "Cpus_allowed_list:"*[[:space:]]"$cpu" ]]
    done
    [ "${#cpus[@]}" -gt 1 ] || skip "one CPU is allowed here: nothing to widen to"
    run taskset -c "${cpus[0]}" "$NUMA_RUN" --cpus "${cpus[-1]},${cpus[0]}-${cpus[0]}" "$WITNESS"
    [ "$status" -eq 0 ]
    [[ ${lines[-1]} =~ [[:space:]]${cpus[0]}[-,]${cpus[-1]}$ ]]
}

@test "without --cpus the affinity stays as it was" {
    cpu=$(allowed_cpus | tail -n 1)
    run taskset -c "$cpu" "$NUMA_RUN" "$WITNESS"
    [ "$status" -eq 0 ]
    [[ ${lines[-1]} == "Cpus_allowed_list:"*[[:space:]]"$cpu" ]]
}

@test "--cpu-nodes takes the CPUs of the nodes" {
    [ -r /sys/devices/system/node/has_cpu ] || skip "/sys/devices/system/node is not readable"
    nodes=$(cat /sys/devices/system/node/has_cpu)
    run taskset -c "$(allowed_cpus | head -n 1)" "$NUMA_RUN" --cpu-nodes "$nodes" "$WITNESS"
    [ "$status" -eq 0 ]
    [[ ${lines[-1]} == "Cpus_allowed_list:"*[[:space:]]"$(allowed_list)" ]]
}

# Arguments that a shell or a careless parser would change.
odd_arguments() {
    # shellcheck disable=SC1003  # a backslash
    odd=('' ' ' 'two words' "it's" '"quoted"' '$HOME' '`ls`' '\' $'line\nbreak\n' '*' '~' '#' '!' 'a=b'
        $'\t' $'\xff' 'é' '--' '--policy' '-x')
}

@test "arguments reach the program as they are, options of the program are not read" {
    odd_arguments
    printf '<%s>\n' "${odd[@]}" >expected
    "$NUMA_RUN" -- "$WITNESS" "${odd[@]}" >given
    head -n "$(wc -l <expected)" given | cmp expected -
    "$NUMA_RUN" --policy local "$WITNESS" "${odd[@]}" >given
    head -n "$(wc -l <expected)" given | cmp expected -
}

@test "--print: pasted into sh, the line does the same; it runs nothing itself" {
    cpu=$(allowed_cpus | tail -n 1)
    odd_arguments
    mkdir "odd ' folder"
    cp "$WITNESS" "odd ' folder/-wit\"ness"
    command=(--policy interleave:all --pages thp --stats "$PWD/a \$b'%p" --cpus "$cpu"
        -- "./odd ' folder/-wit\"ness" "${odd[@]}")
    export NUMA_ALLOC_MIN_SIZE=64K
    "$NUMA_RUN" "${command[@]}" >direct
    "$NUMA_RUN" --print "${command[@]}" >printed
    env -u NUMA_ALLOC_MIN_SIZE -u NUMA_ALLOC_ON_ERROR sh <printed >pasted
    grep -q "^Cpus_allowed_list:.*[[:space:]]$cpu\$" direct
    grep -q '^NUMA_ALLOC_MIN_SIZE=64K$' direct
    cmp direct pasted
    "$NUMA_RUN" --print touch ran >printed
    [ ! -e ran ]
    sh <printed
    [ -e ran ]
}

@test "--print: a plain line for a plain command" {
    node=$(lowest_memory_node) cpu=$(allowed_cpus | head -n 1)
    run --separate-stderr env -u NUMA_ALLOC_ON_ERROR "$NUMA_RUN" --print --policy "weighted:$node=3" \
        --cpus "$cpu" "$WITNESS" -n 5
    [ "$status" -eq 0 ]
    [ "$output" = "NUMA_ALLOC_POLICY=weighted:$node=3 LD_PRELOAD=$LIBRARY taskset -c $cpu $WITNESS -n 5" ]
    ln -s "$WITNESS" if # a word of the shell's
    PATH=$PWD:$PATH run --separate-stderr "$NUMA_RUN" --print if
    [[ $output == *" $PWD/if" ]]
    run --separate-stderr bash -c '"$NUMA_RUN" --print true >/dev/full'
    [ "$status" -eq 125 ]
}

@test "the program's exit status is numa_run's, and a signal ends it" {
    run "$NUMA_RUN" sh -c 'exit 77'
    [ "$status" -eq 77 ]
    run "$NUMA_RUN" sh -c 'kill -TERM $$'
    [ "$status" -eq 143 ]
}

@test "options that cannot be obeyed: status 2, one line, nothing runs" {
    node=$(lowest_memory_node) cpu=$(allowed_cpus | head -n 1)
    for bad in --bogus --policy= --policy=bind --policy=bind: --policy=bind:x --policy=bind:1023 \
        --policy=bind:1024 "--policy=bind:$node,$node" --policy=preferred: --policy=interleave: \
        "--policy=interleave:$node," "--policy=interleave:$node,$node" --policy=interleave:1023 "--policy=weighted:$node" \
        "--policy=weighted:$node=0" "--policy=weighted:$node=256" \
        "--policy=weighted:$node=1,$node=1" "--policy=weighted:$node=1," --policy=local: \
        --policy=Local $'--policy=local\n' --min-size= --min-size=-1 --min-size=64k \
        --min-size=99999999999999G --pages= --pages=4K --pages=thp,2M --on-error= --on-error=ignore \
        --stats= "--stats=$(printf '%5000s' x)" --stats-signal=yes --stats-signal= --checks=1 \
        --cpus= --cpus=x --cpus=-1 --cpus=8191 --cpus=8192 --cpus=1-0 '--cpus=0,' --cpus=0-8191 \
        "--cpus=$cpu,$cpu" "--cpu-nodes=$node,$node" --cpu-nodes= --cpu-nodes=x --cpu-nodes=1023 --cpu-nodes=1024 --cpu-nodes=all \
        --print=1 --help=1; do
        refuses 2 "$bad" touch ran
    done
    refuses 2 -x touch ran
    refuses 2
    refuses 2 --
    refuses 2 --print
    refuses 2 --policy
    refuses 2 --policy none
    refuses 2 --cpus "$(allowed_cpus | head -n 1)" --cpu-nodes "$node" touch ran
}

@test "a refusal names the option, its value, the reason and what is accepted" {
    node=$(lowest_memory_node) usable=$(allowed_list)
    refuses 2 --policy bind:1023 touch ran
    [[ $stderr == "numa_run: --policy bind:1023: there is no node 1023; accepted: "*"usable nodes: $node"* ]]
    refuses 2 --cpus 8191 touch ran
    [[ $stderr == "numa_run: --cpus 8191: there is no CPU 8191; accepted: "*" $usable" ]]
    refuses 2 --cpu-nodes 1023 touch ran
    [[ $stderr == "numa_run: --cpu-nodes 1023: there is no node 1023; accepted: "* ]]
    refuses 2 $'--on-error=a\x1b[1m\nb' touch ran
    [[ $stderr == "numa_run: --on-error a?[1m?b: "* ]]
}

@test "what numa_run says of a value is what the library says" {
    for value in bind:1023 weighted:0=0 local: nonsense; do
        refuses 2 --policy "$value" touch ran
        said=${stderr#*"$value: "}
        run --separate-stderr env NUMA_ALLOC_POLICY="$value" LD_PRELOAD="$LIBRARY" /bin/true
        [ -n "$said" ]
        [ "${stderr#*"$value: "}" = "$said" ]
    done
}

@test "a malformed variable in the environment is refused and named" {
    for bad in POLICY=bind:1023 MIN_SIZE=x PAGES=4K ON_ERROR= STATS= STATS_SIGNAL=2 CHECKS=yes; do
        (
            export "NUMA_ALLOC_$bad"
            refuses 2 touch ran
            [[ $stderr == "numa_run: NUMA_ALLOC_$bad in the environment: "*"; accepted: "* ]]
        )
    done
    NUMA_ALLOC_PAGE=2M refuses 2 --policy local touch ran
    [[ $stderr == "numa_run: NUMA_ALLOC_PAGE=2M in the environment: there is no such variable; accepted: "* ]]
    NUMA_ALLOC_PAGES=4K refuses 2 --policy local touch ran # an option's own variable is not meant
    [[ $stderr == "numa_run: NUMA_ALLOC_PAGES=4K in the environment: "* ]]
}

@test "libraries that cannot be preloaded: one line, nothing runs" {
    echo text >text.so
    mkdir folder.so 'a b' c:d
    cp "$LIBRARY" 'a b/numa_alloc.so'
    cp "$LIBRARY" c:d/numa_alloc.so
    head -c 20 "$LIBRARY" >short.so
    for path in nowhere.so text.so short.so folder.so '' 'a b/numa_alloc.so' c:d/numa_alloc.so; do
        refuses 2 --library "$path" touch ran
    done
    [[ $stderr == *"symbolic link"* ]]
    ln -s "$PWD/c:d/numa_alloc.so" link.so
    run "$NUMA_RUN" --library link.so touch ran
    [ "$status" -eq 0 ]
    [ -e ran ]
    mkdir bare
    cp "$NUMA_RUN" bare/
    rm ran
    run --separate-stderr bare/numa_run touch ran
    [ "$status" -eq 125 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [ ! -e ran ]
}

@test "programs that are not there: 127; that cannot be executed: 126" {
    echo text >data
    mkdir folder hidden
    PATH=/usr/bin:/bin # as execvp has it, a folder on PATH that may not be searched makes 127 a 126
    cp data hidden/tool
    for program in no-such-program ./nowhere /no/such/folder/program $'no\nsuch' ''; do
        refuses 127 -- "$program"
        refuses 127 --print -- "$program"
    done
    for program in ./data ./folder /; do
        refuses 126 -- "$program"
    done
    PATH=$PWD/hidden:$PATH refuses 126 tool # found, but not executable
    cp "$WITNESS" folder/tool
    PATH=$PWD/hidden:$PWD/folder:$PATH run "$NUMA_RUN" tool # a later folder has one that is
    [ "$status" -eq 0 ]
    printf '#!/no/such/interpreter\n' >script
    chmod +x script
    run -127 --separate-stderr "$NUMA_RUN" ./script
    [ "${#stderr_lines[@]}" -eq 1 ]
    printf 'echo a script without a first line\n' >script
    run --separate-stderr "$NUMA_RUN" ./script
    [ "$output" = "a script without a first line" ]
}

# A program that the loader will not preload into: said under warn, not under silent, not run under abort.
said_and_run_unless_abort() { # $1: reason, $2: program
    run --separate-stderr "$NUMA_RUN" --on-error warn "$2"
    [ "$status" -eq 0 ]
    [ "$output" = ran ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ $stderr == "numa_run: $2: $1, "* ]]
    run --separate-stderr "$NUMA_RUN" --on-error silent "$2"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    refuses 126 --on-error abort "$2"
}

@test "a statically linked program is run with a warning" {
    echo 'int puts(const char *); int main(void) { return puts("ran") < 0; }' >program.c
    gcc -static -o program program.c 2>why || skip "no static libc here: $(head -n 1 why)"
    said_and_run_unless_abort "it is statically linked" ./program
}

@test "a static program with the library inside is run without a warning" {
    echo 'int puts(const char *); int main(void) { return puts("ran") < 0; }' >program.c
    gcc -static -Wl,-u,malloc -o program program.c "$BATS_TEST_DIRNAME/../../alloc/libnuma_alloc.a" 2>why ||
        skip "no static libc here: $(head -n 1 why)"
    strip -o stripped program
    for program in program stripped; do
        run --separate-stderr "$NUMA_RUN" --policy local --on-error abort --stats "$PWD/$program.json" "./$program"
        [ "$status" -eq 0 ]
        [ "$output" = ran ]
        grep -q '"policy": "local"' "$program.json"
    done
    run --separate-stderr "$NUMA_RUN" --on-error warn ./program
    [[ $stderr != *"cannot place"* ]]
}

@test "a set-user-id program is run with a warning" {
    echo 'int puts(const char *); int main(void) { return puts("ran") < 0; }' >program.c
    gcc -o program program.c
    { [ "$(id -u)" -eq 0 ] && chown nobody program; } || skip "only root can make another user's program"
    chmod u+s program
    said_and_run_unless_abort "it is set-user-id or set-group-id" ./program
}
