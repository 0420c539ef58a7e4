"""Fuzzes the Python readers of CSV and of other tools' outputs, led by the lines that an input makes them run.

tests/fuzz/tables.py SECONDS [SEED]: each reader in turn takes mutations of real files; those that run a line, or the
same one after another one, for the first time are mutated on. Whatever a reader is given it takes, or refuses with a
ReportError: anything else is a finding, whose input is left in build/fuzz/findings/tables.
"""

import hashlib
import random
import re
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "harness"))

from numa_exchange import importing  # noqa: E402
from numa_exchange.imported import Place  # noqa: E402
from numa_report import checksums, normal, run, tables  # noqa: E402
from numa_report.errors import ReportError  # noqa: E402

READERS_OF = ("numa_report", "numa_exchange")
FINDINGS = ROOT / "build" / "fuzz" / "findings" / "tables"
MOST_BYTES = 20000


def member(archive, name):
    with tarfile.open(archive) as tar:
        found = next(entry for entry in tar.getmembers() if Path(entry.name).name == name)
        return b"".join(tar.extractfile(found).read().splitlines(keepends=True)[:30])


def swept(name):
    return [member(ROOT / "tests" / "plot" / "data" / "two_nodes.tar.xz", name)]


def imports(pattern):
    return [path.read_bytes() for path in sorted((ROOT / "tests" / "exchange" / "inputs").glob(pattern))]


def imported(name):
    """What `plot.py --import` does until it writes."""
    def read(path):
        text = importing.text_of(path, importing.read_bytes(path))
        return importing.FORMATS[name][0].parse(path, text.splitlines(), Place(0, 1))
    return read


def published(path):
    return normal.read_published(path)


READERS = {
    "matrix": (tables.read_matrix, swept("matrix.csv")),
    "samples": (tables.read_samples, swept("samples.csv")),
    "values": (lambda path: list(run.read_values(path)), swept("samples.csv")),
    "checksums": (lambda path: checksums.read(str(Path(path).parent)), [b"%s  matrix.csv\n%s  cells/1 x.out\n" % (b"0" * 64, b"af" * 32)]),
    "published": (published, [path.read_bytes() for path in
                              sorted((ROOT / "results" / "reference").glob("*.csv"))[:4]]),
    "mlc": (imported("mlc"), imports("mlc*")),
    "multichase": (imported("multichase"), imports("multichase*")),
    "numademo": (imported("numademo"), imports("numademo*")),
    "likwid-bench": (imported("likwid-bench"), imports("likwid*")),
}
NAMES = {"checksums": "SHA256SUMS"}
LIKELY = [b",", b"\n", b'"', b"\r\n", b"\0", b"\xff", b"-1", b"nan", b"inf", b"1e999", b"0", b" ", b"\t", b";", b"=1+1",
          b"9" * 30, b"9" * 5000, b"\xef\xbb\xbf", "\u0663".encode(), b"0x10", b"1_000", b"\x1b[31m", b"ok", b"failed"]


def mutated(data, pool, choose):
    for _ in range(choose.randrange(1, 5)):
        at = choose.randrange(len(data) + 1)
        end = min(len(data), at + choose.randrange(1, 20))
        kind = choose.randrange(6)
        if kind == 0:
            data = data[:at] + bytes([choose.randrange(256)]) + data[at + 1:]
        elif kind == 1:
            data = data[:at] + choose.choice(LIKELY) + data[choose.choice((at, end)):]
        elif kind == 2:
            data = data[:at] + data[end:]
        elif kind == 3:
            data = data[:end] + data[at:]
        elif kind == 4:
            other = choose.choice(pool)
            data = data[:at] + other[choose.randrange(len(other) + 1):]
        else:
            numbers = list(re.finditer(rb"[0-9.]+", data))
            if numbers:
                number = choose.choice(numbers)
                data = data[:number.start()] + choose.choice(LIKELY) + data[number.end():]
    return data[:MOST_BYTES]


class Seen:
    """Pairs of lines run one after the other, ever and by this input."""

    def __init__(self):
        self.ever, self.new, self.before = set(), False, 0

    def trace(self, frame, event, _):
        if event == "call":
            return self.trace if any(part in frame.f_code.co_filename for part in READERS_OF) else None
        if event == "line":
            place = hash((frame.f_code.co_filename, frame.f_lineno))
            if (self.before, place) not in self.ever:
                self.ever.add((self.before, place))
                self.new = True
            self.before = place
        return self.trace


def tried(reader, path, data, seen):
    """Whether the input was new; raises what the reader raises but should not."""
    Path(path).write_bytes(data)
    seen.new, seen.before = False, 0
    sys.settrace(seen.trace)
    try:
        reader(path)
    except ReportError:
        pass
    finally:
        sys.settrace(None)
    return seen.new


def fuzz(name, seconds, choose, folder):
    """(executions, inputs kept, the finding as text or None)."""
    reader, pool = READERS[name]
    path, pool, seen = str(folder / NAMES.get(name, "input.csv")), list(pool), Seen()
    executions, end, data = 0, time.monotonic() + seconds, b""
    try:
        for data in list(pool):
            tried(reader, path, data, seen)
        while time.monotonic() < end:
            data = mutated(choose.choice(pool), pool, choose)
            executions += 1
            if tried(reader, path, data, seen):
                pool.append(data)
    except Exception as error:  # whatever it is, it is what is looked for
        FINDINGS.mkdir(parents=True, exist_ok=True)
        kept = FINDINGS / f"{name}-{hashlib.sha256(data).hexdigest()[:16]}"
        kept.write_bytes(data)
        return executions, len(pool), f"{type(error).__name__}: {error}; {kept}"
    return executions, len(pool), None


def main(arguments):
    if not 1 <= len(arguments) <= 2 or not all(word.isdigit() for word in arguments):
        print("Usage: tests/fuzz/tables.py SECONDS [SEED]", file=sys.stderr)
        return 2
    seed = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name in READERS:
            executions, kept, finding = fuzz(name, int(arguments[0]) / len(READERS), random.Random(seed), Path(folder))
            failed += finding is not None
            print(f"| tables: {name} | {int(arguments[0]) / len(READERS):.0f} | {executions} | {kept} | {finding or 'no'} |", flush=True)
    print(f"tables: seed {seed}, {failed} of {len(READERS)} readers failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
