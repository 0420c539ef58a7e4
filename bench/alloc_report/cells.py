"""What runs under every allocator: the workloads of bench/allocs, and real programs."""

import os
import random
import shutil
import subprocess
from dataclasses import dataclass, field

from numa_report.errors import ReportError, UsageError

PROGRAMS = "programs"  # the group of the real ones
PAIR = "pair"  # of bench/allocs: for counting instructions, not one of the set

PERL = r"""my %h; for my $i (1..250000) { $h{"key$i"} = [$i, "value" x ($i % 8)]; }
my $n = 0; for my $k (sort keys %h) { $n += length $h{$k}[1]; delete $h{$k} if $n % 3; } print "$n\n";"""

SQL = """PRAGMA temp_store=MEMORY; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 300000)
INSERT INTO t SELECT i, hex(i * 7919), i / 3.0 FROM n; CREATE INDEX tb ON t(b);
SELECT count(*), sum(length(b)) FROM (SELECT b FROM t ORDER BY c DESC, b);
SELECT substr(b, 1, 2) AS p, group_concat(a) FROM t GROUP BY p HAVING count(*) > 100000;"""

PYTHON = """import os
trees = [[{"n": i, "s": str(i) * 3} for i in range(2000)] for _ in range(500)]
for t in trees[::2]: t.clear()
print(sum(d["n"] for t in trees for d in t))"""


def c_source(functions):
    """A C file of many small functions that call each other: what generated parsers look like."""
    source = ["struct s { struct s *next; int a[8]; double d; };", "static int f0(struct s *p, int x) { return p->a[0] + x; }"]
    source += [f"static int f{i}(struct s *p, int x) {{ int r = x; for (int i = 0; i < 8; i++) {{"
               f" if (p->a[i] > x + {i}) r += p->a[i] * {i % 17 + 1}; else r ^= (int)(p->d * i);"
               f" switch (r & 7) {{ case 0: r += 3; break; case 1: r -= {i}; break; case 2: r *= 5; break; default: r ^= x; }} }}"
               f" return p->next ? r + f{i - 1}(p->next, r) : r; }}" for i in range(1, functions)]
    return "\n".join(source + [f"int entry(struct s *p) {{ return f{functions - 1}(p, 1); }}", ""])


@dataclass(frozen=True)
class Cell:
    """One thing to run. Of a workload the program itself says how long; a real program is timed from outside."""

    name: str
    group: str  # "1 thread", "2 threads", "programs"
    argv: tuple
    threads: int = 1
    stdin: bytes = b""
    added: dict = field(default_factory=dict, hash=False)  # to the environment
    is_workload: bool = False

    @property
    def id(self):
        return f"{self.name}.{self.threads}" if self.is_workload else self.name


def programs():
    """The four real programs. Python's own small-block allocator is off, so that each object is a malloc."""
    return [
        Cell("perl-hash", PROGRAMS, ("perl", "-e", PERL), added={"PERL_HASH_SEED": "1", "PERL_PERTURB_KEYS": "0"}),
        Cell("sqlite-memory", PROGRAMS, ("sqlite3", ":memory:"), stdin=SQL.encode()),
        Cell("python-objects", PROGRAMS, ("/usr/bin/python3", "-I", "-c", PYTHON), added={"PYTHONMALLOC": "malloc"}),
        Cell("gcc-compile", PROGRAMS, ("gcc", "-O1", "-S", "-x", "c", "-o", "/dev/null", "-"), stdin=c_source(250).encode()),
    ]


def workloads(allocs):
    """{name: fewest threads} of bench/allocs, in its order."""
    try:
        listed = subprocess.run([allocs, "--list"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ReportError(f"{allocs} --list failed: {error}; run make") from None
    rows = [line.split(None, 3) for line in listed.splitlines()]
    return {row[0]: int(row[2]) for row in rows if row[0] != PAIR}


def threads_group(count):
    return f"{count} thread{'' if count == 1 else 's'}"


def all_cells(allocs, threads, with_programs):
    """The set at each number of threads, then the programs that are installed; and which are not."""
    cells, missing = [], []
    for count in threads:
        cells += [Cell(name, threads_group(count), (allocs, "--csv", "--threads", str(count), name), threads=count, is_workload=True)
                  for name, fewest in workloads(allocs).items() if count >= fewest]
    for program in programs() if with_programs else ():
        if shutil.which(program.argv[0]) is None:
            missing.append(program.argv[0])
        else:
            cells.append(program)
    return cells, missing


def select(cells, names):
    """Those with one of the names, which may be a cell's id (`small.2`) too. No names: all."""
    for name in names:
        if not any(name in (cell.name, cell.id) for cell in cells):
            accepted = dict.fromkeys(cell.name for cell in cells)
            raise UsageError(f"--only: '{name}' is not accepted; {', '.join(accepted)} are, and NAME.THREADS")
    return [cell for cell in cells if not names or {cell.name, cell.id} & set(names)]


def choose_cpus(text, needed):
    """CPUs to pin to: those named, or the last `needed` that this process may use."""
    allowed = sorted(os.sched_getaffinity(0))
    try:
        cpus = [int(cpu) for cpu in text.split(",")] if text else allowed[-needed:]
    except ValueError:
        raise UsageError(f"--cpus: '{text}' is not accepted; numbers separated by commas are") from None
    if not set(cpus) <= set(allowed):
        raise UsageError(f"--cpus: '{text}' is not accepted; this process may use {','.join(map(str, allowed))}")
    if len(set(cpus)) < needed:
        raise UsageError(f"{needed} threads need as many CPUs, not {len(set(cpus))}; choose fewer with --threads")
    return cpus


def shuffled(labels):
    return random.sample(list(labels), len(labels))
