#!/usr/bin/env bash
# git: commits, packing with threads, a clone, garbage collection, and a log of it all.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs git
export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Test GIT_AUTHOR_EMAIL=test@example.org \
    GIT_COMMITTER_NAME=Test GIT_COMMITTER_EMAIL=test@example.org \
    GIT_AUTHOR_DATE='2024-01-01T00:00:00Z' GIT_COMMITTER_DATE='2024-01-01T00:00:00Z'

work() {
    local i
    under git init -q -b main one
    for ((i = 1; i <= $(size 40 8); i++)); do
        seq "$i" $((i * 500)) >one/numbers
        seq $((i % 7)) 3 9000 >"one/file$((i % 9))"
        under git -C one add .
        under git -C one commit -q -m "Change $i"
    done
    under git -C one branch half HEAD~5
    under git clone -q --no-local one two
    under git -C two -c pack.threads=2 gc -q --aggressive
    under git -C two fsck --full --strict
    under git -C two rev-list --objects --all
    under git -C two log -p --stat --all
    under git -C two blame -s numbers | md5sum
    under git -C two grep -n 77 -- 'file*' | md5sum
    under git -C two archive HEAD | md5sum
    under git -C two merge -q origin/half
    under git -C two cat-file --batch-all-objects --batch-check
}

"$1"
