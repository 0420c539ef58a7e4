"""What remote memory costs a program: the penalty of each of its metrics with its interval, beside raw latency's."""

import math
from functools import partial

from . import layout, picture, rowed
from .schema import COMMAND, HIGHER, is_main
from .summary import is_local

PROGRAMS = "programs"
WIDTH, ROW_IN, LEFT, TOP = 6.6, 0.27, 0.45, 0.95
LATENCY = "latency"


def drawings(run):
    cells = cells_of(run.rows)
    if any(row["variant"] == COMMAND for row, _, _ in cells):
        yield picture.Drawing(PROGRAMS, PROGRAMS, "What remote memory costs the program", alternative(cells),
                              partial(draw, cells, run.environment))


def cells_of(rows):
    """[(row, lower, upper end of its penalty's interval)] of a program's metrics, and of a latency beside them."""
    local = {key_of(row): row for row in rows if is_local(row)}
    return [(row, *interval(row, local[key_of(row)])) for row in rows if row["penalty"] is not None
            and layout.column(row) != row["cpu_node"] and key_of(row) in local
            and (row["variant"] == COMMAND and is_main(row["metric"]) or row["bench"] == LATENCY)]


def key_of(row):
    return tuple(row[name] for name in ("host", "bench", "metric", "variant", "cpu_node", "cpu", *layout.CONDITIONS))


def interval(row, local):
    """The 95 % interval of a penalty, of those of its two medians: squares of the logarithms' distances added.

    Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27, 2008.
    (None, None) where an interval is missing.
    """
    ends = [part[end] for part in (row, local) for end in ("ci_low", "ci_high")]
    if any(not end for end in ends):
        return None, None
    over, under = (local, row) if row["better"] == HIGHER else (row, local)
    below = math.hypot(math.log(over["median"] / over["ci_low"]), math.log(under["ci_high"] / under["median"]))
    above = math.hypot(math.log(over["ci_high"] / over["median"]), math.log(under["median"] / under["ci_low"]))
    return row["penalty"] * math.exp(-below), row["penalty"] * math.exp(above)


def metric_words(row):
    return layout.shortened(LATENCY if row["bench"] == LATENCY else f"{row['bench']} {row['metric']}", 30)


def draw(cells, environment):
    shown = rowed.chosen(cells, lambda cell: cell[0]["penalty"])
    rows = [row for row, _, _ in shown]
    metrics = list(dict.fromkeys(map(metric_words, rows)))
    names = [name for name in layout.APART if name != "threads" and len({row[name] for row in rows}) > 1]
    several = len(metrics) > 1
    labels = [rowed.series_words(row, names, f"{metric_words(row)} · " * several + rowed.path_words(row))
              for row in rows]
    left = LEFT + 0.068 * max(map(len, labels))
    notes = ["bars: 95 % intervals, from those of the cell and of its local cell; right of the line: worse than local"]
    if any(map(rowed.is_marked, rows)):
        notes.append("hollow: " + ", ".join(dict.fromkeys(mark for row in rows for mark in layout.marks(row))))
    if len(shown) < len(cells):
        notes.append(f"the {len(shown)} greatest of {len(cells)} penalties; the others stand in matrix.csv")
    title = "What remote memory costs" + (" the program" if several else f": {metrics[0]}")
    page = picture.Page(left + WIDTH + 0.4, TOP + ROW_IN * len(shown) + 0.6, picture.heading(title, rows),
                        layout.machine_words([row for row in rows if row["variant"] == COMMAND], environment), notes)
    axes = page.axes(left, TOP, WIDTH, ROW_IN * len(shown))
    rowed.style(axes, labels, "penalty: times the local cell's, lower is better")
    axes.xaxis.set_major_formatter(lambda value, _: layout.penalty_words(value))
    axes.axvline(1, color=picture.INK, linewidth=1, zorder=1.5)
    for y, (row, low, high) in enumerate(shown):
        rowed.dot(axes, y, row["penalty"], low, high, metrics.index(metric_words(row)), rowed.is_marked(row))
    penalties = [row["penalty"] for row in rows]
    ends = [(min(low, 1), high) for _, low, high in shown if low is not None]
    axes.set_xlim(max(0, min([1, *penalties, *(low for low, _ in ends)]) - 0.08),
                  max([1.2, *penalties, *(min(high, 1.5 * max(penalties)) for _, high in ends)]) + 0.08)
    return page


def alternative(cells):
    words = []
    for metric in list(dict.fromkeys(metric_words(row) for row, _, _ in cells))[:2 * picture.MOST_TOLD]:
        part = [cell for cell in cells if metric_words(cell[0]) == metric]
        least, most = min(row["penalty"] for row, _, _ in part), max(part, key=lambda cell: cell[0]["penalty"])
        told = layout.penalty_words(most[0]["penalty"])
        told += f" (95 % interval {most[1]:.2f} to {most[2]:.2f})" if most[1] is not None else ""
        words.append(f"{layout.shortened(metric, 60)} " + (told if len(part) == 1 else
                                                           f"{layout.penalty_words(least)} to {told}"))
    return f"Penalty over local memory: {'; '.join(words)}."
