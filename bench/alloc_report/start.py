"""What a preloaded allocator adds to the start of a process: `true`, many times, in turns."""

import shutil

from .cells import Cell, shuffled
from .measure import Samples, execute, progress

REFERENCE = "mimalloc"  # whose start the bar is about


def measure(allocators, rounds, cpus):
    """Samples of one cell, `true`: seconds from the spawn to the end."""
    samples, cell = Samples(), Cell("true", "start", (shutil.which("true") or "/bin/true",))
    for number in range(0, rounds + 1):  # round 0 reads the libraries from disk and is dropped
        if number % 10 == 0:
            progress(f"start {number} of {rounds}")
        for label in shuffled(allocators):
            seconds, _, _ = execute(cell.argv, allocators[label].environment(), b"", cpus)
            if number > 0:
                samples.add("wall_time", cell, label, number, seconds)
    progress("")
    return cell, samples


def text(allocators, cell, samples):
    from . import summary  # numpy only after measuring
    values = samples.values["wall_time"]
    reference = REFERENCE if REFERENCE in allocators else next(iter(allocators))
    width = max(map(len, allocators)) + 1
    lines = [f"{'start of true':<{width}}{'median us':>11}{'95 %':>18}{'to ' + reference:>16}{'95 %':>16}"]
    for label in allocators:
        microseconds = summary.median([1e6 * value for value in values[cell.id, label].values()])
        ratio = summary.median(summary.paired(values[cell.id, label], values[cell.id, reference]))
        lines.append(f"{label:<{width}}{microseconds.value:>11.1f}{f'{microseconds.low:.1f}-{microseconds.high:.1f}':>18}"
                     f"{ratio.value:>16.3f}{f'{ratio.low:.3f}-{ratio.high:.3f}':>16}")
    return "\n".join(lines)
