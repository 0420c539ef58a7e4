# shellcheck shell=bash
# Debian packages for the lab: downloaded and unpacked into the user's cache, never installed. Sourced by
# kernel.sh, emulator.sh and arm64.sh, which define `what`, the thing they look for.

die() {
    echo "lab: no ${what:?}: $*" >&2
    exit 1
}

[ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || die "neither HOME nor XDG_CACHE_HOME is set"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/numa_alloc/lab
mkdir -p "$cache" 2>/dev/null || die "cannot make the folder '$cache'; XDG_CACHE_HOME names another place"
work=$(mktemp -d "$cache/unpacking.XXXXXX" 2>/dev/null) || die "cannot write to '$cache'"
trap 'rm -rf "$work"' EXIT

# Sets arch, from --arch amd64|arm64 (default amd64), and arguments, what comes after it. $1: how many those may
# be, $2: their names in the usage; the rest: the script's own arguments.
read_arguments() {
    local most=$1 names=$2
    shift 2
    arch=amd64
    if [ "${1:-}" = --arch ]; then
        arch=${2:-}
        shift $(($# < 2 ? 1 : 2))
    fi
    [[ $arch =~ ^(amd64|arm64)$ && $# -le $most ]] || {
        echo "Usage: ${0##*/} [--arch amd64|arm64]$names" >&2
        exit 2
    }
    # shellcheck disable=SC2034 # for the script
    arguments=("$@")
}

# $1: folder.
checksums() {
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

# Puts an assembled folder in place in one step, since another process may be doing the same, with the
# checksums of its files. $1: what was made, below $work; $2: its name in the cache.
publish() {
    checksums "$1" >"$work/SHA256SUMS" || die "cannot read what was unpacked to '$1'"
    mv "$work/SHA256SUMS" "$1/"
    [ -d "$cache/$2" ] || mv -T "$1" "$cache/$2" 2>/dev/null || [ -d "$cache/$2" ] || die "cannot write '$cache/$2'"
}

# Ends the script when a folder of the cache is not what was put there. $1: folder.
verify() {
    (cd "$1" && sha256sum --quiet --strict -c SHA256SUMS) >"$work/log" 2>&1 ||
        die "'$1' is damaged ($(head -n 1 "$work/log")); remove that folder to have it made again"
}

# The newest folder of the cache whose name matches the glob $1, or nothing.
newest_cached() {
    find "$cache" -maxdepth 1 -name "$1" -printf '%p\n' | sort -V | tail -n 1
}

# An apt of our own, which knows this release from the mirror this machine uses, for any architecture. Needs
# no root: its lists and archives are below $work. Ends the script when it cannot be had.
# $1: amd64 or arm64; $2: backports, to know and prefer those too, or nothing.
apt_options=()
use_own_apt() {
    local release mirror suites keys=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null || die "no apt-get here to download it with"
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        awk -v release="$release" '$2 == release { print $1; exit }')
    [ -n "$mirror" ] || die "apt here has no source of Debian '$release', which would have it"
    suites=("$release" ${2:+"$release-backports"})
    mkdir -p "$work"/apt/{lists/partial,cache/archives/partial}
    printf "deb [arch=$1 signed-by=$keys] $mirror %s main\n" "${suites[@]}" >"$work/apt/sources.list"
    apt_options=(-oDir::Etc::SourceList="$work/apt/sources.list" -oDir::Etc::SourceParts=/dev/null
        -oDir::State::Lists="$work/apt/lists" -oDir::Cache="$work/apt/cache" -oDebug::NoLocking=1
        -t "${suites[-1]}")
    if [ "$1" != "$(dpkg --print-architecture)" ]; then
        # Of another architecture nothing counts as installed.
        : >"$work/apt/status"
        apt_options+=(-oAPT::Architecture="$1" -oAPT::Architectures="$1" -oDir::State::status="$work/apt/status")
    fi
    apt-get "${apt_options[@]}" -qq update >"$work/log" 2>&1 ||
        die "cannot read the lists of ${suites[-1]} for $1: $(grep -v '^W:' "$work/log" | tail -n 1)"
}

# What downloading packages comes to, in MB, as apt knows it.
megabytes() {
    apt-get "${apt_options[@]}" -qq --print-uris download "$@" 2>/dev/null |
        awk '{ bytes += $3 } END { printf "%d MB", bytes / 1e6 + 0.5 }'
}

# Downloads and unpacks packages into $work/files. An archive never replaces a folder's link, such as /lib.
unpack() {
    local package
    mkdir -p "$work/debs" "$work/files"
    # Ordinary users may download; apt's note that it does so unsandboxed is for nobody.
    (cd "$work/debs" && apt-get "${apt_options[@]}" -qq download "$@") >"$work/log" 2>&1 ||
        die "apt-get download $* failed: $(grep -v '^W:' "$work/log" | tail -n 1)"
    for package in "$work"/debs/*.deb; do
        dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink --no-same-owner -C "$work/files" ||
            die "cannot unpack ${package##*/}"
    done
}
