#!/usr/bin/env bats
# The lab's cache of downloaded kernels: what is not as it was put there is never booted.

setup() {
    cd "$BATS_TEST_DIRNAME/../.." || return
    export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
    unset NUMA_LAB_KERNEL NUMA_LAB_MODULES
    kernel=$XDG_CACHE_HOME/numa_alloc/lab/linux-image-6.1.0-1-amd64
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

@test "kernel.sh and emulator.sh refuse an unknown architecture" {
    for script in kernel emulator; do
        run harness/lab/$script.sh --arch mips
        [ "$status" -eq 2 ]
        [[ $output = "Usage: $script.sh"*"amd64|arm64"* ]]
    done
}
