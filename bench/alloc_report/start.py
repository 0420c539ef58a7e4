"""What a preloaded allocator adds to the start of a process: `true`, many times, in turns."""

import shutil
from datetime import datetime, timezone

from .cells import PROGRAMS, Cell, shuffled
from .measure import Failed, execute, note_failure, progress

TRUE = Cell("true", PROGRAMS, (shutil.which("true") or "/bin/true",))
REFERENCE = "mimalloc"  # what its ratios are to unless --base says otherwise


def measure(allocators, rounds, cpus, file, samples):
    """Fills samples with seconds from the spawn of TRUE to its end."""
    for number in range(0, rounds + 1):  # round 0 reads the libraries from disk and is dropped
        if number % 10 == 0:
            progress(f"start {number} of {rounds}")
        for label in shuffled(allocators):
            if (TRUE.id, label) in samples.failed:
                continue
            started = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
            try:
                seconds, _, _ = execute(TRUE.argv, allocators[label].environment(), b"", cpus)
            except Failed as error:
                note_failure(TRUE, allocators[label], cpus, number, error, file, samples)
                continue
            if number > 0:
                file.add(TRUE, allocators[label], cpus, number,
                         {"metric": "wall_time", "unit": "s", "value": seconds, "started_at": started})
                samples.add("wall_time", TRUE, label, number, seconds)
    progress("")


def text(allocators, samples, reference):
    from . import summary, table  # numpy only after measuring
    values = samples.values["wall_time"]
    width = max(map(len, allocators)) + 1
    lines = [f"{'start of true':<{width}}{'median us':>11}{'95 %':>18}{'to ' + reference:>16}{'95 %':>16}"]
    for label in allocators:
        seconds = values.get((TRUE.id, label), {})
        ratios = summary.paired(seconds, values.get((TRUE.id, reference), {}))
        if not seconds:
            lines.append(f"{label:<{width}}{samples.failed.get((TRUE.id, label), '-')}")
            continue
        microseconds, ratio = summary.median([1e6 * value for value in seconds.values()]), summary.median(ratios) if ratios else None
        lines.append(f"{label:<{width}}{microseconds.value:>11.1f}{table.spread(microseconds, 1):>18}"
                     f"{table.number(ratio and ratio.value):>16}{table.spread(ratio):>16}")
    return "\n".join(lines)
