#!/usr/bin/env bash
# Prints the folder that holds a guest kernel: `vmlinuz`, and in `modules/` the 9p modules in load order.
# Nothing is installed: a Debian kernel package is downloaded and unpacked once into the user's cache.
set -euo pipefail

die() {
    echo "vm: no guest kernel: $*" >&2
    exit 1
}

# What a guest needs before it can mount the host's files. One that is built in has no file: no error.
modules=(virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci
    netfs fscache 9pnet 9pnet_virtio 9p)

# $1: vmlinuz, $2: a /lib/modules/VERSION folder, $3: folder to make. Modules get a number, so that a
# glob loads them in order, and are unpacked, because busybox reads no compressed module.
assemble() {
    local name file number=10
    mkdir -p "$3/modules"
    cp "$1" "$3/vmlinuz"
    for name in "${modules[@]}"; do
        file=$(find "$2" -name "$name.ko*" -o -name "${name//_/-}.ko*" | head -n 1)
        number=$((number + 1))
        case "$file" in
        '') continue ;;
        *.ko) cat "$file" ;;
        *.ko.xz) xz -dc "$file" ;;
        *.ko.zst) zstd -qdc "$file" ;;
        *.ko.gz) gzip -dc "$file" ;;
        *) die "'$file' is compressed in a way not known here (accepted: .ko .ko.xz .ko.zst .ko.gz)" ;;
        esac >"$3/modules/$number-$name.ko"
    done
}

hint="or name your own: NUMA_ALLOC_VM_KERNEL=/path/vmlinuz NUMA_ALLOC_VM_MODULES=/lib/modules/VERSION"
cache=${XDG_CACHE_HOME:-${HOME:?vm: no guest kernel: neither HOME nor XDG_CACHE_HOME is set}/.cache}/numa_alloc
mkdir -p "$cache" || die "cannot make the folder '$cache'"
work=$(mktemp -d "$cache/unpacking.XXXXXX") || die "cannot write to '$cache'"
trap 'rm -rf "$work"' EXIT

# Puts the assembled folder in place in one step: another process may be doing the same.
publish() {
    [ -d "$1" ] || mv -T "$work/kernel" "$1" 2>/dev/null || [ -d "$1" ] || die "cannot write '$1'"
    echo "$1"
}

if [ -n "${NUMA_ALLOC_VM_KERNEL:-}" ]; then
    [ -r "$NUMA_ALLOC_VM_KERNEL" ] || die "cannot read NUMA_ALLOC_VM_KERNEL='$NUMA_ALLOC_VM_KERNEL'"
    [ -d "${NUMA_ALLOC_VM_MODULES:-}" ] ||
        die "NUMA_ALLOC_VM_MODULES='${NUMA_ALLOC_VM_MODULES:-}' is no folder; it is the kernel's /lib/modules/VERSION"
    assemble "$NUMA_ALLOC_VM_KERNEL" "$NUMA_ALLOC_VM_MODULES" "$work/kernel"
    rm -rf "$cache/own"
    publish "$cache/own"
    exit 0
fi

# Linux 6.1 boots every time under QEMU 7.2 and 10.0; 6.12 does not under 7.2. So the newest 6.1 comes
# first, and another version only when the archive has none.
newest() {
    apt-cache show linux-image-amd64 2>/dev/null |
        sed -n "s/^Depends: \(linux-image-$1[^ ,]*\).*/\1/p" | sort -V | tail -n 1
}
if ! command -v apt-get >/dev/null; then
    die "no apt-get here to download one with; $hint"
fi
package=$(newest '6\.1\.')
[ -n "$package" ] || package=$(newest '[0-9]')
if [ -z "$package" ]; then
    # Without package lists (a fresh container), what an earlier run left will do.
    package=$(cd "$cache" && find . -maxdepth 1 -name 'linux-image-*-amd64' -printf '%f\n' | sort -V | tail -n 1)
    [ -n "$package" ] || die "apt knows no linux-image-amd64 package (run 'apt-get update'?); $hint"
fi

if [ ! -d "$cache/$package" ]; then
    echo "vm: downloading $package (70 MB, once) to $cache" >&2
    # Ordinary users may download; apt's note that it does so unsandboxed is for nobody.
    (cd "$work" && apt-get -qq download "$package") >"$work/log" 2>&1 ||
        die "apt-get download $package failed: $(grep -v '^W:' "$work/log" | tail -n 1); $hint"
    mkdir "$work/files"
    dpkg-deb --fsys-tarfile "$work"/*.deb | tar -x -C "$work/files" --wildcards './boot/vmlinuz-*' '*.ko*' ||
        die "cannot unpack $package"
    assemble "$work"/files/boot/vmlinuz-* "$work/files" "$work/kernel"
fi
publish "$cache/$package"
