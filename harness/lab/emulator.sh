#!/usr/bin/env bash
# Prints a QEMU of at least version 10: the one on PATH when it is, else one from Debian's backports,
# downloaded and unpacked once into the user's cache, not installed. Linux 6.12 needs it.
set -euo pipefail
what="QEMU 10"
# shellcheck source=harness/lab/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"

# The major version of a QEMU, or nothing.
major() {
    "$1" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\)\..*/\1/p'
}
have=$(major qemu-system-x86_64)
if [ "${have:-0}" -ge 10 ]; then
    command -v qemu-system-x86_64
    exit 0
fi

found=$(newest_cached 'qemu-system-x86-*')
if [ -z "$found" ]; then
    command -v apt-get >/dev/null || die "no apt-get here to download one with; QEMU=FILE names another"
    use_backports
    # With everything that it needs and this machine has not installed. qemu-user would only be upgraded.
    mapfile -t packages < <(apt-get "${apt_options[@]}" -s --no-install-recommends install qemu-system-x86 |
        awk '$1 == "Inst" && $2 !~ /^qemu-user/ { print $2 }')
    version=$(apt-cache "${apt_options[@]}" policy qemu-system-x86 | sed -n 's/^ *Candidate: [0-9]*:\([0-9.]*\).*/\1/p')
    { [ ${#packages[@]} -gt 0 ] && [ "${version%%.*}" -ge 10 ]; } || die "the backports have version '$version'"
    echo "vm: downloading QEMU $version (15 MB or more, once) to $cache" >&2
    unpack "${packages[@]}"
    cat >"$work/files/qemu-system-x86_64" <<'END'
#!/bin/sh
# Runs the QEMU unpacked beside this file with its own firmware, modules and libraries.
here=$(dirname "$(readlink -f "$0")")
libraries=$here/usr/lib/$(cd "$here/usr/lib" && echo *-linux-gnu)
export QEMU_MODULE_DIR="$libraries/qemu"
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/usr/bin/qemu-system-x86_64" -L "$here/usr/share/qemu" -L "$here/usr/share/seabios" "$@"
END
    chmod 755 "$work/files/qemu-system-x86_64"
    publish "$work/files" "qemu-system-x86-$version"
    found=$cache/qemu-system-x86-$version
fi
have=$(major "$found/qemu-system-x86_64")
[ "${have:-0}" -ge 10 ] || die "'$found/qemu-system-x86_64' does not run; remove that folder to download it again"
echo "$found/qemu-system-x86_64"
