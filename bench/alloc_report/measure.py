"""Runs the cells in turns and writes every sample down as soon as it is there."""

import csv
import io
import os
import signal
import sys
import tempfile
import time
from datetime import datetime, timezone

from numa_report.errors import ReportError

from .cells import shuffled


class Failed(Exception):
    """A program did not work under an allocator; str() says how."""


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
            # In a group of its own: when this process is told to end, what the program started ends too.
            pid = os.posix_spawnp(argv[0], argv, environment, file_actions=actions, setpgroup=0)
            try:
                _, status, usage = os.wait4(pid, 0)
            except BaseException:
                os.killpg(pid, signal.SIGKILL)
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
    return [{"metric": "wall_time", "unit": "s", "value": seconds, "started_at": started},
            {"metric": "peak_memory", "unit": "bytes", "value": peak_bytes, "started_at": started}]


def measure(cells, allocators, rounds, cpus, file, samples):
    """Fills samples; in each round all cells, and in each cell the allocators in an order shuffled afresh."""
    outputs = {}
    for number in range(1, rounds + 1):
        for at, cell in enumerate(cells, start=1):
            progress(f"round {number} of {rounds}, {at} of {len(cells)}: {cell.id}")
            on = cpus[:cell.threads]
            for label in shuffled(allocators):
                if (cell.id, label) in samples.failed:
                    continue
                allocator = allocators[label]
                try:
                    rows = run_workload(cell, allocator, on) if cell.is_workload else run_program(cell, allocator, on, outputs)
                except Failed as error:
                    note_failure(cell, allocator, on, number, error, file, samples)
                    continue
                for row in rows:
                    file.add(cell, allocator, on, number, row)
                    samples.add(row["metric"], cell, label, number, float(row["value"]))
    progress("")


def note_failure(cell, allocator, cpus, number, error, file, samples):
    """Says so at once; the cell is not run again under this allocator."""
    samples.failed[cell.id, allocator.label] = str(error)
    file.add(cell, allocator, cpus, number, {"metric": "wall_time", "unit": "s", "reason": str(error)})
    progress("")
    print(f"bench_alloc.py: {cell.id} failed under {allocator.label}: {error}", file=sys.stderr)


def progress(line):
    """One line on a terminal that the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
