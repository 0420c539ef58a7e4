# shellcheck shell=bash
# Debian packages for the virtual machine: downloaded and unpacked into the user's cache, never
# installed. Sourced by kernel.sh and emulator.sh, which define `what`, the thing they look for.

die() {
    echo "vm: no ${what:?}: $*" >&2
    exit 1
}

[ -n "${XDG_CACHE_HOME:-${HOME:-}}" ] || die "neither HOME nor XDG_CACHE_HOME is set"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/numa_alloc
mkdir -p "$cache" || die "cannot make the folder '$cache'"
work=$(mktemp -d "$cache/unpacking.XXXXXX") || die "cannot write to '$cache'"
trap 'rm -rf "$work"' EXIT

# Puts an assembled folder in place in one step: another process may be doing the same.
# $1: what was made, below $work; $2: its name in the cache.
publish() {
    [ -d "$cache/$2" ] || mv -T "$1" "$cache/$2" 2>/dev/null || [ -d "$cache/$2" ] || die "cannot write '$cache/$2'"
}

# The newest folder of the cache whose name matches the glob $1, or nothing.
newest_cached() {
    find "$cache" -maxdepth 1 -name "$1" -printf '%p\n' | sort -V | tail -n 1
}

# An apt of our own, which also knows this release's backports, from the mirror this machine uses.
# Needs no root: its lists and archives are below $work. Ends the script when it cannot be had.
apt_options=()
use_backports() {
    local release mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
    # shellcheck source=/dev/null
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    # shellcheck disable=SC2016 # apt's own variables
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' 2>/dev/null |
        awk -v release="$release" '$2 == release { print $1; exit }')
    [ -n "$mirror" ] || die "apt here has no source of Debian '$release', whose backports would have it"
    mkdir -p "$work"/apt/{lists/partial,cache/archives/partial}
    printf "deb [signed-by=$keys] $mirror %s main\n" "$release" "$release-backports" >"$work/apt/sources.list"
    apt_options=(-oDir::Etc::SourceList="$work/apt/sources.list" -oDir::Etc::SourceParts=/dev/null
        -oDir::State::Lists="$work/apt/lists" -oDir::Cache="$work/apt/cache" -oDebug::NoLocking=1
        -t "$release-backports")
    apt-get "${apt_options[@]}" -qq update >"$work/log" 2>&1 ||
        die "cannot read the lists of $release-backports: $(grep -v '^W:' "$work/log" | tail -n 1)"
}

# Downloads and unpacks packages into $work/files.
unpack() {
    local package
    mkdir -p "$work/debs" "$work/files"
    # Ordinary users may download; apt's note that it does so unsandboxed is for nobody.
    (cd "$work/debs" && apt-get "${apt_options[@]}" -qq download "$@") >"$work/log" 2>&1 ||
        die "apt-get download $* failed: $(grep -v '^W:' "$work/log" | tail -n 1)"
    for package in "$work"/debs/*.deb; do
        dpkg-deb -x "$package" "$work/files" ||
            die "cannot unpack ${package##*/}"
    done
}
