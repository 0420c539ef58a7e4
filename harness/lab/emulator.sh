#!/usr/bin/env bash
# Prints a QEMU of at least version 10: the one on PATH when it is, else one from Debian's backports,
# downloaded and unpacked once into the user's cache, not installed. Linux 6.12 needs it on amd64.
# --arch amd64|arm64: what it emulates (default amd64).
set -euo pipefail
what="QEMU 10"
# shellcheck source=harness/lab/debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/debian.sh"
read_arguments 0 "" "$@"
case $arch in
amd64) package=qemu-system-x86 program=qemu-system-x86_64 ;;
arm64) package=qemu-system-arm program=qemu-system-aarch64 ;;
esac

# The major version of a QEMU, or nothing.
major() {
    "$1" --version 2>/dev/null | sed -n '1s/.*version \([0-9]*\)\..*/\1/p'
}
have=$(major "$program")
if [ "${have:-0}" -ge 10 ]; then
    command -v "$program"
    exit 0
fi

found=$(newest_cached "$package-*")
if [ -z "$found" ]; then
    command -v apt-get >/dev/null || die "no apt-get here to download one with; QEMU=FILE names another"
    use_own_apt "$(dpkg --print-architecture)" backports
    # With everything that it needs and this machine has not installed. qemu-user would only be upgraded.
    mapfile -t packages < <(apt-get "${apt_options[@]}" -s --no-install-recommends install "$package" |
        awk '$1 == "Inst" && $2 !~ /^qemu-user/ { print $2 }')
    version=$(apt-cache "${apt_options[@]}" policy "$package" | sed -n 's/^ *Candidate: [0-9]*:\([0-9.]*\).*/\1/p')
    { [ ${#packages[@]} -gt 0 ] && [ "${version%%.*}" -ge 10 ]; } || die "the backports have version '$version'"
    echo "lab: downloading QEMU $version ($(megabytes "${packages[@]}"), once) to $cache" >&2
    unpack "${packages[@]}"
    cat >"$work/files/$program" <<'END'
#!/bin/sh
# Runs the QEMU unpacked beside this file with its own firmware, modules and libraries.
here=$(dirname "$(readlink -f "$0")")
libraries=$here/usr/lib/$(cd "$here/usr/lib" && echo *-linux-gnu)
export QEMU_MODULE_DIR="$libraries/qemu"
LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "$here/usr/bin/${0##*/}" -L "$here/usr/share/qemu" -L "$here/usr/share/seabios" "$@"
END
    chmod 755 "$work/files/$program"
    publish "$work/files" "$package-$version"
    found=$cache/$package-$version
fi
verify "$found"
have=$(major "$found/$program")
[ "${have:-0}" -ge 10 ] || die "'$found/$program' does not run; remove that folder to download it again"
echo "$found/$program"
