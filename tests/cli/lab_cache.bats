#!/usr/bin/env bats
# What the lab keeps between machines, kernels and the arm64 tree: what is not as it was put there is never booted,
# and what has changed is never taken for what it was.

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return
    export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    unset NUMA_LAB_KERNEL NUMA_LAB_MODULES
    kernel=$XDG_CACHE_HOME/numa_alloc/lab/linux-image-6.1.0-1-amd64-layout2
    mkdir -p "$kernel/modules"
    echo kernel >"$kernel/vmlinuz"
    echo module >"$kernel/modules/11-9p.ko"
    (cd "$kernel" && sha256sum ./vmlinuz ./modules/* >SHA256SUMS)
}

@test "kernel.sh uses a cached kernel whose checksums are right" {
    run harness/lab/kernel.sh
    [ "$status" -eq 0 ]
    [ "$output" = "$kernel" ]
}

@test "kernel.sh does not take a kernel of an older layout, which has no network card" {
    mv "$kernel" "${kernel%-layout2}"
    run env PATH="$(without_apt)" harness/lab/kernel.sh
    [ "$status" -eq 1 ]
    [[ $output = *"no apt-get here to download one with"* ]]
}

without_apt() {
    local tool
    mkdir "$BATS_TEST_TMPDIR/bin"
    for tool in bash dirname find head mkdir mktemp rm sort tail; do
        ln -s "$(command -v $tool)" "$BATS_TEST_TMPDIR/bin/$tool"
    done
    echo "$BATS_TEST_TMPDIR/bin"
}

@test "kernel.sh refuses a damaged kernel with one line that names what to remove" {
    echo other >"$kernel/modules/11-9p.ko"
    run harness/lab/kernel.sh
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = *"'$kernel' is damaged (./modules/11-9p.ko: FAILED)"*remove* ]]
}

@test "kernel.sh refuses a kernel without checksums" {
    rm "$kernel/SHA256SUMS"
    run harness/lab/kernel.sh 6.1
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output = *"$kernel"* ]]
}

# $1: what the user's own kernel is.
own_kernel() {
    mkdir -p "$BATS_TEST_TMPDIR/modules"
    echo "$1" >"$BATS_TEST_TMPDIR/vmlinuz"
    NUMA_LAB_KERNEL=$BATS_TEST_TMPDIR/vmlinuz NUMA_LAB_MODULES=$BATS_TEST_TMPDIR/modules harness/lab/kernel.sh
}

@test "kernel.sh keeps own kernels apart, and leaves one that another lab may be reading" {
    local first second inode
    first=$(own_kernel first)
    [[ $first =~ /own-[0-9a-f]{12}$ ]]
    inode=$(stat -c %i "$first/vmlinuz")
    second=$(own_kernel second)
    [ "$first" != "$second" ]
    [ "$(cat "$first/vmlinuz" "$second/vmlinuz" | paste -sd' ')" = "first second" ]
    [ "$(own_kernel first)" = "$first" ]
    [ "$(stat -c %i "$first/vmlinuz")" = "$inode" ]
}

@test "kernel.sh refuses a damaged own kernel" {
    local own
    own=$(own_kernel first)
    echo other >"$own/vmlinuz"
    run own_kernel first
    [ "$status" -eq 1 ]
    [[ $output = *"'$own' is damaged"* ]]
}

# arm64.sh's part that makes the tree, from checkout to tree.
copy_sources() {
    bash -euo pipefail -c "$(sed -n '/^sources()/,/^build()/p' harness/lab/arm64.sh | sed '$d')"'
        copy_sources "$1" "$2"' copy "$BATS_TEST_TMPDIR/checkout" "$BATS_TEST_TMPDIR/tree"
}

make_checkout() {
    local folder checkout=$BATS_TEST_TMPDIR/checkout
    tree=$BATS_TEST_TMPDIR/tree
    for folder in alloc bench docs harness tests results/run build out/mine; do
        mkdir -p "$checkout/$folder"
    done
    echo all: >"$checkout/Makefile"
    echo old >"$checkout/alloc/part.c"
    echo text >"$checkout/docs/LAB.md"
    echo large >"$checkout/out/mine/data"
    echo built >"$checkout/alloc/numa_alloc.so"
    copy_sources
}

@test "the arm64 tree follows the checkout: contents, whatever their times, modes and removals" {
    local checkout=$BATS_TEST_TMPDIR/checkout
    make_checkout
    echo object >"$tree/alloc/part.o"
    echo script >"$checkout/tests/new.sh"
    copy_sources
    chmod +x "$checkout/tests/new.sh"
    echo older >"$checkout/alloc/part.c"
    touch -d '2 days ago' "$checkout/alloc/part.c"
    touch -d '1 hour ago' "$tree/Makefile" "$tree/alloc/part.o"
    rm "$checkout/docs/LAB.md"
    copy_sources
    [ "$(cat "$tree/alloc/part.c")" = older ]
    [ "$tree/alloc/part.c" -nt "$tree/alloc/part.o" ] # or make would not build it anew
    [ ! "$tree/Makefile" -nt "$tree/alloc/part.o" ] # it has not changed
    [ -x "$tree/tests/new.sh" ]
    [ ! -e "$tree/docs/LAB.md" ]
    [ -e "$tree/alloc/part.o" ]
}

@test "the arm64 tree has every folder that one can work in, but no data and nothing built" {
    make_checkout
    [ "$(cat "$tree/docs/LAB.md")" = text ]
    [ -d "$tree/results" ] && [ -d "$tree/out/mine" ]
    [ ! -e "$tree/out/mine/data" ] && [ ! -e "$tree/results/run" ] && [ ! -e "$tree/alloc/numa_alloc.so" ]
}

@test "kernel.sh and emulator.sh refuse an unknown architecture" {
    for script in kernel emulator; do
        run harness/lab/$script.sh --arch mips
        [ "$status" -eq 2 ]
        [[ $output = "Usage: $script.sh"*"amd64|arm64"* ]]
    done
}
