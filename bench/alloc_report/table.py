"""The report as text, and as a file with a row for each cell and allocator."""

import csv

from numa_report.errors import whole_file

from .allocators import OURS

COLUMNS = ("cell", "group", "allocator", "policy", "wall_s", "wall_s_low", "wall_s_high", "base", "ratio", "ratio_low",
           "ratio_high", "best_peer", "to_best_peer", "to_best_peer_low", "to_best_peer_high", "peak_bytes", "peak_ratio",
           "peak_ratio_low", "peak_ratio_high", "failed", "label")


def plural(count, noun):
    return f"{count} {noun}{'' if count == 1 else 's'}"


def spread(estimate, digits=3):
    return f"{estimate.low:.{digits}f}-{estimate.high:.{digits}f}" if estimate else "-"


def number(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"


def both(estimate):
    """`0.431 (0.425-0.440)`"""
    return f"{estimate.value:.3f} ({spread(estimate)})" if estimate else "-"


def cells_text(summary):
    """One line for each cell and allocator."""
    width, base = label_width(summary), summary.base
    lines = [f"{'cell':<24}{'':<{width}}{'wall s (95 %)':>22}{f'to {base} (95 %)':>22}{'to best other peer (95 %)':>40}"
             f"{'peak MiB':>10}{f'to {base}':>11}"]
    for row in summary.rows:
        start = f"{row.cell.id:<24}{row.label:<{width}}"
        if row.failed:
            lines.append(f"{start}failed: {row.failed}")
        elif row.seconds:
            best = f"{both(row.to_best_peer)} {row.best_peer}" if row.best_peer else "-"
            lines.append(f"{start}{both(row.seconds):>22}{both(row.time_ratio):>22}{best:>40}"
                         f"{number(row.peak_bytes and row.peak_bytes / 2**20, 1):>10}"
                         f"{number(row.peak_ratio and row.peak_ratio.value):>11}")
    return lines


def label_width(summary):
    return max(map(len, summary.allocators)) + 1


def means_line(summary, metric, label, other):
    line = f"{other or label:<{label_width(summary)}}"
    for cells in summary.groups().values():
        mean, count = summary.mean(metric, cells, label, other)
        few = f" of {count}" if mean and count < len(cells) else ""
        line += f"{both(mean) + few:>29}"
    return line


def means_text(summary, metric, what):
    """Geometric means: a line for each allocator, a column for each group of cells."""
    sizes = [f"{name}, {plural(len(cells), 'cell')}" for name, cells in summary.groups().items()]
    head = f"{'':<{label_width(summary)}}" + "".join(f"{size:>29}" for size in sizes)
    lines = [f"geometric mean of {what}, ratio to {summary.base} (95 %)", head]
    lines += [means_line(summary, metric, label, None) for label in summary.allocators]
    for ours in (label for label, allocator in summary.allocators.items() if allocator.name == OURS):
        others = [label for label in summary.allocators if label not in (ours, summary.base)]
        if others:
            lines += ["", f"{ours}: geometric mean of {what}, ratio to each of (95 %)", head]
            lines += [means_line(summary, metric, ours, other) for other in others]
    return lines


def worst_text(summary):
    lines = ["worst cell of each allocator: time to the best other peer's (95 %)"]
    for label in summary.allocators:
        row = summary.worst(label)
        if row is not None:
            lines.append(f"{label:<{label_width(summary)}}{row.cell.id:<24}{both(row.to_best_peer or row.time_ratio)} "
                         f"{row.best_peer or summary.base}")
    return lines


def text(summary):
    return "\n".join([*cells_text(summary), "", *means_text(summary, "wall_time", "wall time"), "",
                      *means_text(summary, "peak_memory", "peak memory"), "", *worst_text(summary)])


def write_csv(path, summary):
    def three(estimate):
        return (estimate.value, estimate.low, estimate.high) if estimate else ("", "", "")

    with whole_file(path, newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in summary.rows:
            allocator = summary.allocators[row.label]
            writer.writerow([row.cell.id, row.cell.group, allocator.name, summary.samples.policy(row.label), *three(row.seconds),
                             summary.base, *three(row.time_ratio), row.best_peer or "", *three(row.to_best_peer),
                             row.peak_bytes or "", *three(row.peak_ratio), row.failed or "", row.label])
