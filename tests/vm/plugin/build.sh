#!/usr/bin/env bash
# build.sh QEMU OUTPUT: compiles the pacing plugin for that emulator's version of the plugin interface.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
major=$("$1" --version | sed -n '1s/.*version \([0-9]*\)\..*/\1/p')
"${CC:-gcc}" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -shared -fPIC -fvisibility=hidden \
    -DPACE_PLUGIN_VERSION=$((${major:-9} >= 9 ? 2 : 1)) -o "$2" "$here/pace.c"
