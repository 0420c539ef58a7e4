"""Runs the cells in turns and writes every sample down as soon as it is there."""

import csv
import io
import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone

from numa_report import schema
from numa_report.errors import ReportError

from .cells import shuffled


class Failed(Exception):
    """A program did not work under an allocator; str() says how."""


@dataclass
class Samples:
    """What was measured: values[metric][cell id, label] is {round: value}; a failed cell has a reason instead."""

    values: dict = field(default_factory=lambda: {"wall_time": {}, "peak_memory": {}})
    failed: dict = field(default_factory=dict)

    def add(self, metric, cell, label, number, value):
        self.values[metric].setdefault((cell.id, label), {})[number] = value


class SampleFile:
    """allocs.csv of a run: the columns of samples.csv, a row at a time, each on the disk at once."""

    def __init__(self, folder):
        self.run, self.host = folder.name, socket.gethostname()
        self.file = open(folder / "allocs.csv", "w", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, schema.SAMPLE_COLUMNS[:-1], restval="", extrasaction="ignore",
                                     lineterminator="\n")
        self.writer.writeheader()

    def add(self, cell, allocator, cpus, number, row):
        self.writer.writerow({"bench": "programs", "variant": cell.name, "threads": cell.threads, "cpu": cpus[0],
                              "placement": "unverified", "policy": "none", "pages": "default", **row,
                              "run": self.run, "host": self.host, "round": number, "cell": cell.id,
                              "allocator": allocator.name})
        self.file.flush()


def execute(argv, environment, stdin, cpus):
    """Runs it on those CPUs; its wall seconds, peak resident bytes and output. Raises Failed.

    The peak is the larger of the program's and of this process's before the exec: this process must stay
    small, so numpy and matplotlib are imported after measuring.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        actions = [(os.POSIX_SPAWN_DUP2, file.fileno(), number) for number, file in enumerate((given, out, errors))]
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cpus)  # the child inherits it
        try:
            started = time.monotonic()
            pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions)
            try:
                _, status, usage = os.wait4(pid, 0)
            except BaseException:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise
            seconds = time.monotonic() - started
        finally:
            os.sched_setaffinity(0, before)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            how = f"exit status {code}" if code > 0 else signal.Signals(-code).name
            raise Failed(f"{how}{': ' if lines else ''}{lines[-1] if lines else ''}")
        out.seek(0)
        return seconds, usage.ru_maxrss * 1024, out.read()


def run_workload(cell, allocator, cpus):
    """The rows that bench/allocs printed, after a check that they are of this allocator."""
    _, _, out = execute(cell.argv, allocator.environment(), b"", cpus)
    rows = list(csv.DictReader(io.StringIO(out.decode())))
    for row in rows:
        if row["allocator"] != allocator.reported_name():
            raise ReportError(f"{allocator.label} was preloaded, but malloc is of {row['allocator']}")
    return [row for row in rows if row["metric"] in ("wall_time", "peak_memory")]


def run_program(cell, allocator, cpus, outputs):
    """Rows of wall time and peak memory; what it prints must be the same under every allocator."""
    started = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds, peak_bytes, out = execute(cell.argv, allocator.environment(cell.added), cell.stdin, cpus)
    if outputs.setdefault(cell.id, out) != out:
        raise Failed("it prints something else than under the allocator before")
    shared = {"started_at": started, **({"policy": allocator.policy} if allocator.policy else {})}
    return [{"metric": "wall_time", "unit": "s", "value": seconds, **shared},
            {"metric": "peak_memory", "unit": "bytes", "value": peak_bytes, **shared}]


def measure(cells, allocators, rounds, cpus, file, samples):
    """Fills samples; in each round all cells, and in each cell the allocators in an order shuffled afresh."""
    outputs = {}
    for number in range(1, rounds + 1):
        for at, cell in enumerate(cells, start=1):
            progress(f"round {number} of {rounds}, {at} of {len(cells)}: {cell.id}")
            for label in shuffled(allocators):
                if (cell.id, label) in samples.failed:
                    continue
                on = cpus[:cell.threads]
                try:
                    rows = (run_workload(cell, allocators[label], on) if cell.is_workload
                            else run_program(cell, allocators[label], on, outputs))
                except Failed as error:
                    samples.failed[cell.id, label] = str(error)
                    progress("")
                    print(f"bench_alloc.py: {cell.id} failed under {label}: {error}", file=sys.stderr)
                    continue
                for row in rows:
                    file.add(cell, allocators[label], on, number, row)
                    samples.add(row["metric"], cell, label, number, float(row["value"]))
    progress("")


def progress(line):
    """One line on a terminal that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
