#!/usr/bin/env bash
# Prints the folder that holds a guest kernel: `vmlinuz`, in `modules/` the 9p modules in load order, in `network/`
# the network card's, and for another architecture than this machine's a `busybox`. Nothing is installed: Debian's
# packages are downloaded and unpacked once into the user's cache.
# Usage: kernel.sh [--arch amd64|arm64] [VERSION], such as 6.1 or 6.12; without one 6.1, or what the archive
# has instead.
set -euo pipefail
what="guest kernel"
# shellcheck source=harness/lab/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
read_arguments 1 " [VERSION]" "$@"
version=${arguments[0]:-}
[[ -z $version || $version =~ ^[0-9]+\.[0-9]+$ ]] || die "'$version' is no version such as 6.1 or 6.12"
[ -n "${NUMA_LAB_KERNEL:-}" ] || [ -z "${NUMA_LAB_MODULES:-}" ] || die "NUMA_LAB_MODULES needs NUMA_LAB_KERNEL"
hint="or name your own: NUMA_LAB_KERNEL=/path/vmlinuz NUMA_LAB_MODULES=/lib/modules/VERSION"

# What a guest needs before it can mount the host's files, and for lab.sh's --forward. One that is built in has no
# file: no error.
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
    netfs fscache 9pnet 9pnet_virtio 9p)
network=(failover net_failover virtio_net)

# Of what is assembled: whoever changes that counts up, and cached kernels of an older layout are made anew.
layout=2

# $1: vmlinuz, $2: a /lib/modules/VERSION folder, $3: folder to make.
assemble() {
    mkdir -p "$3/modules" "$3/network"
    cp "$1" "$3/vmlinuz"
    unpack_modules "$2" "$3/modules" "${modules[@]}"
    unpack_modules "$2" "$3/network" "${network[@]}"
}

# $1: a /lib/modules/VERSION folder, $2: folder, the rest: modules. They get a number, so that a glob loads them in
# order, and are unpacked, because busybox reads no compressed module.
unpack_modules() {
    local from=$1 to=$2 name file number=10
    shift 2
    for name in "$@"; do
        file=$(find "$from" -name "$name.ko*" -o -name "${name//_/-}.ko*" | head -n 1)
        number=$((number + 1))
        [ -n "$file" ] || continue
        case "$file" in
        *.ko) cat "$file" ;;
        *.ko.xz) xz -dc "$file" ;;
        *.ko.zst) zstd -qdc "$file" ;;
        *.ko.gz) gzip -dc "$file" ;;
        *) die "'$file' is compressed in a way not known here (accepted: .ko .ko.xz .ko.zst .ko.gz)" ;;
        esac >"$to/$number-$name.ko"
    done
}

# Without a version given, a kernel of the user's own goes before any other.
if [ "$arch" = amd64 ] && [ -z "$version" ] && [ -n "${NUMA_LAB_KERNEL:-}" ]; then
    [ -r "$NUMA_LAB_KERNEL" ] || die "cannot read NUMA_LAB_KERNEL='$NUMA_LAB_KERNEL'"
    [ -d "${NUMA_LAB_MODULES:-}" ] ||
        die "NUMA_LAB_MODULES='${NUMA_LAB_MODULES:-}' is no folder; it is the kernel's /lib/modules/VERSION"
    assemble "$NUMA_LAB_KERNEL" "$NUMA_LAB_MODULES" "$work/kernel"
    # Named by what is in it: another lab may be reading another one, or the same.
    name=own-$({ echo $layout && checksums "$work/kernel"; } | sha256sum | cut -c 1-12)
    publish "$work/kernel" "$name"
    verify "$cache/$name"
    echo "$cache/$name"
    exit 0
fi

# The newest package of a version that apt knows of. $1: version as a regular expression.
newest() {
    apt-cache "${apt_options[@]}" show "linux-image-$arch" 2>/dev/null |
        sed -n "s/^Depends: \(linux-image-$1[^ ,]*\).*/\1/p" | sort -V | tail -n 1
}

# What is in the cache will do: a newer one is had by removing it there. Linux 6.1 boots every time under
# QEMU 7.2 and 10.0, 6.12 does not under 7.2, so without a version given 6.1 comes first.
series=${version:-6.1}
found=$(newest_cached "linux-image-$series.*-$arch-layout$layout")
if [ -z "$found" ] && command -v apt-get >/dev/null; then
    foreign=$([ "$arch" = "$(dpkg --print-architecture)" ] || echo yes)
    [ -z "$foreign" ] || use_own_apt "$arch"
    package=$(newest "${series//./\\.}\\.")
    if [ -z "$package" ] && [ -n "$version" ]; then
        use_own_apt "$arch" backports
        package=$(newest "${series//./\\.}\\.")
    elif [ -z "$package" ]; then
        found=$(newest_cached "linux-image-*-$arch-layout$layout")
        [ -n "$found" ] || package=$(newest '[0-9]')
    fi
fi
if [ -z "$found" ]; then
    command -v apt-get >/dev/null || die "no apt-get here to download one with; $hint"
    [ -n "$package" ] ||
        die "apt knows no linux-image-$arch package${version:+ of version $version} (run 'apt-get update'?); $hint"
    packages=("$package" ${foreign:+busybox-static})
    echo "lab: downloading $package ($(megabytes "${packages[@]}"), once) to $cache" >&2
    unpack "${packages[@]}"
    assemble "$work"/files/boot/vmlinuz-* "$work/files" "$work/kernel"
    [ -z "$foreign" ] || cp "$work/files/bin/busybox" "$work/kernel/"
    publish "$work/kernel" "$package-layout$layout"
    found=$cache/$package-layout$layout
fi
verify "$found"
echo "$found"
