#!/usr/bin/env bash
# bash with pipes and children, sort and xz with threads, tar, awk, find.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs xz awk sort tar find

# shellcheck disable=SC2016 # the inner shell's variables
work() {
    under bash -c '
for i in {1..30}; do printf "%s %s\n" "$i" "$(echo "$i" | tr 0-9 a-j)"; done | sort -r
declare -A seen; for i in {1..20000}; do seen[$((i % 977))]+=$i; done
echo "${#seen[@]} ${seen[5]:0:60}"'
    under awk -v lines="$(size 400000 20000)" \
        'BEGIN { for (i = 1; i <= lines; i++) { n = i * 7919 % 1000003; count[n % 5000] += i; print n, "line", i }
            for (key in count) sum += count[key]; print sum }' >lines
    under sort --parallel=2 -S 24M lines >sorted
    md5sum <sorted
    under xz -T2 -1 --block-size=1MiB -c sorted >sorted.xz
    md5sum <sorted.xz
    under xz -T2 -d -c sorted.xz | cmp - sorted
    under tar -cf all.tar --sort=name --mtime=@0 lines sorted
    under tar -xOf all.tar | md5sum
    under find /usr/include -name 'l*.h' | sort | sed -n 1,20p
}

"$1"
