#!/usr/bin/env bash
# perl: hashes, strings, regular expressions, sorting, threads, processes, Storable.
# shellcheck source=tests/programs/lib.bash
. "$(dirname "$0")/lib.bash"
needs perl

work() {
    export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0
    under perl "$here/workload.pl" "$(size 300000 20000)"
}

"$1"
