#!/usr/bin/env bash
# `make check-programs-lab`: programs that do the same under every policy, in a machine of two memory nodes, and
# have their memory where the policy says. Arguments are check.py's, such as --programs redis,git.
set -euo pipefail
cd "$(dirname "$0")/../.."

# Chromium, the JVM and CPython's tests take many minutes each under the emulator; root's files are no matter there.
programs=bare_environment,compilers,cxx,git,go,imagemagick,memcached,nginx,perl,postgres,redis,rust,setuid
programs+=,shell_tools,spawn,sqlite,static_pie,tls_libraries,node
out=$PWD/build/programs-lab
mkdir -p "$out"
/usr/bin/python3 tests/programs/check.py --lab --prepare --programs "$programs" --out "$out" || exit 1
harness/lab.sh --no-pace --timeout "${NUMA_LAB_TIMEOUT:-7200}" --share "$out" -- \
    bash -c 'echo 0 >/proc/sys/kernel/numa_balancing; exec /usr/bin/python3 tests/programs/check.py "$@"' lab \
    --lab --prepared --programs "$programs" --out "$out" --jobs 2 "$@"
