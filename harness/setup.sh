#!/usr/bin/env bash
# Installs what numa_alloc needs: the one list of packages for users, tests and CI.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: harness/setup.sh [GROUP...]
Installs the packages that are missing (Debian/Ubuntu: apt, Fedora/RHEL: dnf), with sudo when not root.
Groups: run     build, measure and plot         (default)
        test    `make check`                    (default)
        lint    `make lint`
        vm      `make check-vm`, `harness/lab.sh`, `make lab-locality` (with peers)
        arm64   the lab with --arch arm64 (with vm; Debian alone)
        peers   other allocators to compare with, and valgrind to count instructions
        torture `make fuzz`, `make coverage` and `make check-valgrind`: clang with libFuzzer, llvm, valgrind
        slurm   tests/slurm/check.sh: Slurm's daemons, which the packages may start
        browser `make check-page`: the report's page in a real browser
        programs `make check-programs`: servers, languages and tools to try the library under (Debian
                alone); servers among them are neither started nor enabled
        all     all of these but torture, slurm, browser and programs
EOF
}

servers=(redis-server postgresql nginx memcached)

python_version() {
    /usr/bin/python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo 3.11
}

# group, Debian packages, Fedora packages. A package whose name differs stands in the same column.
packages() {
    case "$1:$2" in
    run:apt) echo gcc make libc6-dev libnuma-dev libhwloc-dev hwloc-nox numactl parallel util-linux \
        python3 python3-numpy python3-scipy python3-matplotlib python3-jinja2 dmidecode ;;
    run:dnf) echo gcc make glibc-devel numactl-devel hwloc-devel hwloc numactl parallel util-linux \
        python3 python3-numpy python3-scipy python3-matplotlib python3-jinja2 dmidecode ;;
    test:apt) echo git g++ libcmocka-dev bats python3-pytest perl sqlite3 xz-utils ;;
    test:dnf) echo git gcc-c++ libcmocka-devel bats python3-pytest perl sqlite xz libasan libubsan ;;
    lint:apt) echo shellcheck clang clang-format pyflakes3 ;;
    lint:dnf) echo ShellCheck clang clang-tools-extra python3-pyflakes ;;
    vm:apt) echo qemu-system-x86 busybox-static cpio procps zstd ;;
    vm:dnf) echo qemu-system-x86-core busybox cpio procps-ng zstd ;;
    arm64:apt) echo qemu-system-arm gcc-aarch64-linux-gnu ;;
    peers:apt) echo libjemalloc2 libmimalloc2.0 libtcmalloc-minimal4 libtbbmalloc2 valgrind ;;
    peers:dnf) echo jemalloc mimalloc gperftools-libs tbb valgrind ;;
    torture:apt) echo clang libclang-rt-dev llvm valgrind ;;
    torture:dnf) echo clang compiler-rt llvm valgrind valgrind-devel ;;
    slurm:apt) echo slurmctld slurmd slurm-client munge ;;
    slurm:dnf) echo slurm slurm-slurmctld slurm-slurmd munge ;;
    browser:apt) echo chromium chromium-driver python3-selenium ;;
    browser:dnf) echo chromium chromedriver python3-selenium ;;
    programs:apt) echo "${servers[@]}" wrk redis-tools sqlite3 perl nodejs default-jdk-headless golang-go rustc g++ \
        clang git xz-utils imagemagick chromium "libpython$(python_version)-testsuite" ;;
    *) return 1 ;;
    esac
}

die() {
    echo "setup.sh: $*" >&2
    exit 1
}

if command -v apt-get >/dev/null; then
    manager=apt
elif command -v dnf >/dev/null; then
    manager=dnf
else
    manager=none
fi

groups=()
for argument in "$@"; do
    case "$argument" in
    -h | --help)
        usage
        exit 0
        ;;
    all)
        groups+=(run test lint vm peers)
        [ "$manager" = dnf ] || groups+=(arm64)
        ;;
    arm64)
        [ "$manager" != dnf ] || die "the lab's arm64 programs come from Debian, whose apt is not here"
        groups+=(arm64)
        ;;
    programs)
        [ "$manager" != dnf ] || die "the group programs has Debian's packages alone"
        groups+=(programs)
        ;;
    run | test | lint | vm | peers | torture | slurm | browser) groups+=("$argument") ;;
    *)
        echo "setup.sh: unknown group '$argument'; accepted: run test lint vm arm64 peers torture slurm browser programs all" >&2
        exit 2
        ;;
    esac
done
[ ${#groups[@]} -gt 0 ] || groups=(run test)
[ "$manager" != none ] ||
    die "neither apt-get nor dnf here; install these yourself: $(for g in "${groups[@]}"; do packages "$g" apt; done | tr '\n' ' ')"

wanted=()
for group in "${groups[@]}"; do
    read -r -a of_group <<<"$(packages "$group" "$manager")"
    wanted+=("${of_group[@]}")
done

# One query for all: a query a package would take longer than the second this may take.
installed() {
    if [ "$manager" = apt ]; then
        dpkg-query -W -f '${db:Status-Status} ${Package}\n' "${wanted[@]}" 2>/dev/null |
            sed -n 's/^installed //p' || true
    else
        rpm -q --qf '%{NAME}\n' "${wanted[@]}" 2>/dev/null | grep -v ' ' || true
    fi
}
mapfile -t missing < <(comm -23 <(printf '%s\n' "${wanted[@]}" | sort -u) <(installed | sort -u))
if [ ${#missing[@]} -eq 0 ]; then
    echo "setup.sh: everything for '${groups[*]}' is installed"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "not root and no sudo; as root install: ${missing[*]}"
    as_root=(sudo)
fi
# Debian starts a server with its installation, and at every boot, unless told not to.
keep_from_starting() {
    [ ! -e /usr/sbin/policy-rc.d ] || return 0
    trap '"${as_root[@]}" rm -f /usr/sbin/policy-rc.d' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee /usr/sbin/policy-rc.d >/dev/null
    "${as_root[@]}" chmod 755 /usr/sbin/policy-rc.d
}

disable_new_servers() {
    local server
    command -v systemctl >/dev/null || return 0
    for server in "${servers[@]}"; do
        [[ " ${missing[*]} " != *" $server "* ]] || "${as_root[@]}" systemctl --quiet disable "$server" || true
    done
}

echo "setup.sh: installing with $manager: ${missing[*]}"
if [ "$manager" = apt ]; then
    [[ " ${groups[*]} " != *" programs "* ]] || keep_from_starting
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
    [[ " ${groups[*]} " != *" programs "* ]] || disable_new_servers
else
    "${as_root[@]}" dnf install -y -q "${missing[@]}" ||
        die "dnf could not install them all; on RHEL and its kin, parallel and bats are in EPEL and some -devel packages in CRB"
fi
