"""The report as text, and as a file with a row for each cell and allocator."""

import csv

from numa_report.errors import whole_file

COLUMNS = ("cell", "group", "allocator", "policy", "base", "wall_s", "wall_s_low", "wall_s_high", "ratio", "ratio_low",
           "ratio_high", "to_best_peer", "peak_bytes", "peak_ratio", "peak_ratio_low", "peak_ratio_high", "failed")


def spread(estimate, digits=3):
    return f"{estimate.low:.{digits}f}-{estimate.high:.{digits}f}" if estimate else "-"


def number(value, digits=3):
    return "-" if value is None else f"{value:.{digits}f}"


def cells_text(summary):
    """One line for each cell and allocator."""
    width = max(map(len, summary.allocators)) + 1
    lines = [f"{'cell':<24}{'allocator':<{width}}{'wall s':>8}{'95 %':>14}{f'to {summary.base}':>14}{'95 %':>14}"
             f"{'to best peer':>14}{'peak MiB':>10}{'to ' + summary.base:>14}"]
    for row in summary.rows:
        if row.failed:
            lines.append(f"{row.cell.id:<24}{row.label:<{width}}failed: {row.failed}")
        elif row.time:
            ratio, peak = row.time_ratio and row.time_ratio.value, row.peak_bytes and row.peak_bytes / 2**20
            lines.append(f"{row.cell.id:<24}{row.label:<{width}}{row.time.value:>8.3f}{spread(row.time):>14}{number(ratio):>14}"
                         f"{spread(row.time_ratio):>14}{number(row.to_best_peer):>14}{number(peak, 1):>10}"
                         f"{number(row.peak_ratio and row.peak_ratio.value):>14}")
    return lines


def means_text(summary, metric, title):
    """Geometric means: a line for each allocator, a column for each group."""
    groups = summary.groups()
    width = max(map(len, summary.allocators)) + 1
    lines = [f"geometric mean of {title}, ratio to {summary.base} (95 %)",
             f"{'':<{width}}" + "".join(f"{f'{name}, {len(cells)} cells':>26}" for name, cells in groups.items())]
    for label in summary.allocators:
        line = f"{label:<{width}}"
        for cells in groups.values():
            mean, count = summary.mean(metric, cells, label)
            few = "" if count == len(cells) else f" of {count}"
            line += f"{f'{number(mean and mean.value)} ({spread(mean)}){few}':>26}"
        lines.append(line)
    return lines


def worst_text(summary):
    lines = ["worst cell of each allocator (time to the best other peer's)"]
    width = max(map(len, summary.allocators)) + 1
    for label in summary.allocators:
        row = summary.worst(label)
        if row is not None:
            best = summary.best_peer(row.cell, label)
            ratio = f"{row.to_best_peer:.3f} of {best[0]}" if best else f"{row.time_ratio.value:.3f} of {summary.base}"
            lines.append(f"{label:<{width}}{row.cell.id:<24}{ratio}")
    return lines


def text(summary):
    return "\n".join([*cells_text(summary), "", *means_text(summary, "wall_time", "wall time"), "",
                      *means_text(summary, "peak_memory", "peak memory"), "", *worst_text(summary)])


def write_csv(path, summary):
    with whole_file(path, newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in summary.rows:
            allocator = summary.allocators[row.label]
            estimates = [value for estimate in (row.time, row.time_ratio)
                         for value in ((estimate.value, estimate.low, estimate.high) if estimate else ("", "", ""))]
            peak = (row.peak_ratio.value, row.peak_ratio.low, row.peak_ratio.high) if row.peak_ratio else ("", "", "")
            writer.writerow([row.cell.id, row.cell.group, allocator.name, allocator.policy or "", summary.base, *estimates,
                             row.to_best_peer or "", row.peak_bytes or "", *peak, row.failed or ""])
