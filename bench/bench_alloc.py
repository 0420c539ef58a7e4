#!/usr/bin/env python3
"""Times allocation-heavy programs under every allocator that is installed.

The allocators take turns within each round, in an order shuffled afresh, so that a machine that slows
down slows all of them. Reported are medians over the rounds with the range, and the median of the
ratios to glibc within the same round.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY_FOLDERS = [Path(p) for p in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
                                     "/usr/lib64", "/usr/lib")]
PEERS = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2.0",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}

PERL = r"""my %h; for my $i (1..400000) { $h{"key$i"} = [$i, "value" x ($i % 8)]; }
my $n = 0; for my $k (keys %h) { $n += length $h{$k}[1]; delete $h{$k} if $n % 3; } print "$n\n";"""

SQL = """PRAGMA temp_store=MEMORY; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300000)
INSERT INTO t SELECT i, hex(i * 7919), i / 3.0 FROM n; CREATE INDEX tb ON t(b);
SELECT count(*), sum(length(b)) FROM (SELECT b FROM t ORDER BY c DESC, b);
SELECT substr(b, 1, 2) AS p, group_concat(a) FROM t GROUP BY p HAVING count(*) > 100000;"""

PYTHON = """import os
trees = [[{"n": i, "s": str(i) * 3} for i in range(2000)] for _ in range(150)]
for t in trees[::2]: t.clear()
print(sum(d["n"] for t in trees for d in t))"""

# Each: what runs, what is fed to it, and what else stands in its environment.
PROGRAMS = {
    "perl-hash": (["perl", "-e", PERL], None, {}),
    "sqlite-memory": (["sqlite3", ":memory:"], SQL, {}),
    # Python's own small-block allocator is turned off, so that each object is a malloc.
    "python-objects": (["/usr/bin/python3", "-c", PYTHON], None, {"PYTHONMALLOC": "malloc"}),
}


def find_library(name):
    return next((str(folder / name) for folder in LIBRARY_FOLDERS if (folder / name).exists()), None)


def allocators():
    """Name to library for LD_PRELOAD; None is the C library's own."""
    ours = ROOT / "alloc" / "numa_alloc.so"
    if not ours.exists():
        sys.exit("bench_alloc.py: alloc/numa_alloc.so is not built; run make")
    found = {"glibc": None, "numa_alloc": str(ours)}
    for name, library in PEERS.items():
        path = find_library(library)
        if path is None:
            print(f"bench_alloc.py: {name} is not installed; harness/setup.sh peers", file=sys.stderr)
        else:
            found[name] = path
    return found


def run_once(program, library, cpus):
    """Wall seconds, peak resident bytes, and the output, of one run."""
    argv, text, extra = PROGRAMS[program]
    environment = {**os.environ, **extra}
    environment.pop("LD_PRELOAD", None)
    if library is not None:
        environment["LD_PRELOAD"] = library
    with tempfile.TemporaryFile() as stdin, tempfile.TemporaryFile() as stdout:
        if text is not None:
            stdin.write(text.encode())
            stdin.seek(0)
        started = time.monotonic()
        child = subprocess.Popen(argv, stdin=stdin, stdout=stdout, env=environment,
                                 preexec_fn=lambda: os.sched_setaffinity(0, cpus))
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        output = stdout.read()
    if child.returncode != 0:
        sys.exit(f"bench_alloc.py: {program} failed with {library or 'glibc'}: "
                 f"exit status {child.returncode}")
    return seconds, usage.ru_maxrss * 1024, output


def measure(programs, libraries, rounds, cpus):
    """{(program, allocator): [(seconds, bytes), ...]}, one entry a round, in the rounds' order."""
    samples = {(p, a): [] for p in programs for a in libraries}
    expected = {}
    for number in range(rounds + 1):  # the first warms caches and is dropped
        for program in programs:
            for name in random.sample(list(libraries), len(libraries)):
                seconds, peak, output = run_once(program, libraries[name], cpus)
                if expected.setdefault(program, output) != output:
                    sys.exit(f"bench_alloc.py: {program} prints something else under {name}")
                if number > 0:
                    samples[program, name].append((seconds, peak))
    return samples


def report(programs, libraries, samples):
    print(f"{'program':<16}{'allocator':<12}{'wall s':>8}{'range':>16}{'to glibc':>10}"
          f"{'range':>14}{'peak MiB':>10}")
    for program in programs:
        base = [seconds for seconds, _ in samples[program, "glibc"]]
        for name in libraries:
            times = [seconds for seconds, _ in samples[program, name]]
            ratios = [mine / glibc for mine, glibc in zip(times, base)]
            peak = statistics.median(peak for _, peak in samples[program, name])
            print(f"{program:<16}{name:<12}{statistics.median(times):>8.3f}"
                  f"{min(times):>9.3f}-{max(times):.3f} {statistics.median(ratios):>9.3f}"
                  f"{min(ratios):>8.2f}-{max(ratios):.2f}{peak / 2**20:>11.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9, help="counted rounds (default 9)")
    parser.add_argument("--cpus", default="0", help="CPUs to run on, e.g. 0,1 (default 0)")
    parser.add_argument("--program", action="append", choices=sorted(PROGRAMS),
                        help="only this program; may be repeated")
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds: {options.rounds} is not accepted; 1 or more")
    try:
        cpus = {int(cpu) for cpu in options.cpus.split(",")}
    except ValueError:
        parser.error(f"--cpus: '{options.cpus}' is not accepted; numbers separated by commas")
    if not cpus <= os.sched_getaffinity(0):
        parser.error(f"--cpus: '{options.cpus}' is not accepted; this process may use "
                     f"{sorted(os.sched_getaffinity(0))}")
    programs = options.program or list(PROGRAMS)
    libraries = allocators()
    report(programs, libraries, measure(programs, libraries, options.rounds, cpus))


if __name__ == "__main__":
    main()
