#!/usr/bin/env bash
# Makes what an arm64 machine of the lab runs, since this machine's own programs are of another architecture, and
# prints two folders: Debian's arm64 programs, downloaded and unpacked once into the user's cache, not installed;
# and this project cross-built, a tree as the checkout is.
set -euo pipefail
what="arm64 programs"
parts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=harness/lab/debian.sh
. "$parts/debian.sh"

# For users; for this project's programs, scripts and tests; to build against.
packages=(bash coreutils dash debianutils diffutils findutils gawk grep libc-bin ncurses-base procps sed util-linux
    hwloc-nox libcmocka0 libhwloc15 libnuma1 numactl parallel perl python3 python3-numpy gcc
    libc6-dev libcmocka-dev libhwloc-dev libnuma-dev)

# Unpacked, not installed: what packages' install scripts would have made is made here.
# $1: the folder with all packages unpacked.
finish_root() {
    local library
    ln -s gawk "$1/usr/bin/awk"
    ln -sf dash "$1/usr/bin/sh"
    ln -sf which.debianutils "$1/usr/bin/which"
    for library in blas lapack; do
        ln -s "$library/lib$library.so.3" "$1/usr/lib/aarch64-linux-gnu/"
    done
    echo 'root:x:0:0:root:/root:/bin/bash' >"$1/etc/passwd"
    echo 'root:x:0:' >"$1/etc/group"
    rm -rf "$1"/usr/share/{doc,info,lintian,locale,man}
}

# Sets root, and makes it when it is not there.
find_root() {
    local key wanted folder
    key=$({ echo "${packages[@]}" && declare -f finish_root; } | sha256sum | cut -c 1-8)
    root=$cache/debian-arm64-$key
    if [ ! -d "$root" ]; then
        use_own_apt arm64
        mapfile -t wanted < <(apt-get "${apt_options[@]}" -s --no-install-recommends install "${packages[@]}" |
            awk '$1 == "Inst" { print $2 }')
        [ ${#wanted[@]} -gt 0 ] || die "apt finds no way to install them: ${packages[*]}"
        echo "lab: downloading ${#wanted[@]} arm64 packages ($(megabytes "${wanted[@]}"), once) to $cache" >&2
        mkdir -p "$work"/files/{dev,proc,sys,tmp,run,root,var/tmp,usr/{bin,sbin,lib}}
        for folder in bin sbin lib; do
            ln -s "usr/$folder" "$work/files/$folder"
        done
        unpack "${wanted[@]}"
        finish_root "$work/files"
        publish "$work/files" "${root##*/}"
    fi
    verify "$root"
}

# The project's own files below $1, not what was built from them.
sources() {
    (cd "$1" && { find Makefile LICENSE README.md alloc bench docs harness tests -type f \
        \( -name '*.*' -o -name Makefile -o -name LICENSE \) \
        ! -name '*.so' ! -name '*.a' ! -name '*.o' ! -name '*.pyc' 2>/dev/null || true; } | sort)
}

# The same files with what is in them.
contents() {
    sources "$1" | (cd "$1" && xargs -r -d '\n' sha256sum) | sort
}

# Makes the tree $2 as the checkout $1 is: a copy, because objects and programs lie among the sources. A file with
# other contents becomes a new one, whatever its time in the checkout, so that make sees what has changed. All
# other folders are there, but empty, so that one can work in them and share them.
copy_sources() {
    local changed
    mkdir -p "$2"
    (cd "$1" && { find . \( -path ./.git -o -path ./build -o -path './results/*' \) -prune -o -type d -print0 \
        2>/dev/null || true; }) | (cd "$2" && xargs -0 mkdir -p)
    comm -13 <(sources "$1") <(sources "$2") | (cd "$2" && xargs -r -d '\n' rm -f)
    changed=$(comm -23 <(contents "$1") <(contents "$2") | cut -c 67-)
    [ -z "$changed" ] || (cd "$1" && xargs -d '\n' cp --parents -t "$2") <<<"$changed"
    sources "$1" | (cd "$1" && xargs -d '\n' cp --attributes-only --preserve=mode --parents -t "$2")
}

build() {
    local checkout=${parts%/harness/lab} tree triplet=aarch64-linux-gnu program targets
    tree=$checkout/build/arm64
    command -v $triplet-gcc >/dev/null ||
        die "$triplet-gcc is not installed; install it with: harness/setup.sh arm64"
    mkdir -p "$tree/build/lab" || die "cannot make the folder '$tree'"
    exec 9>"$tree.lock"
    flock 9
    copy_sources "$checkout" "$tree"
    cd "$tree"
    targets=(all build/tests/refuse)
    for program in tests/alloc/test_*.c tests/unit/test_*.c; do
        # The lab's plugins run on the host.
        [[ $program == */test_lab_* ]] || targets+=("build/${program%.c}")
    done
    make --no-print-directory -s -j"$(nproc)" CC="$triplet-gcc '--sysroot=$root'" AR=$triplet-ar "${targets[@]}" >&2 ||
        die "this project does not build for arm64"
    for program in tests/lab/*.c; do
        $triplet-gcc --sysroot="$root" -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -O1 -g -fno-builtin -pthread \
            -o "build/lab/$(basename "$program" .c)" "$program" || die "'$program' does not build for arm64"
    done
    printf '%s\n' "$root" "$tree"
}

find_root
build
