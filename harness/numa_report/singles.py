"""What a single run of a benchmark left in samples.csv, taken apart by the picture it is for.

A sweep measures one figure a cell of the machine's matrix, and heatmaps show it. These are figures of another shape:

* curve: latency over size (bench/latency --curve), and the cache levels found in it
* loaded: latency over bandwidth (bench/loaded)
* core2core: hand-over latency of every two CPUs (bench/core2core)

Several runs may follow each other in one file (their headers taken out); what differs between them tells them apart.
"""

from collections import namedtuple
from statistics import median

from . import tables
from .errors import DataError
from .layout import shortened
from .rounds import undisturbed

CURVE, LOADED, CORE2CORE = PICTURES = ("curve", "loaded", "core2core")
FEWEST_SIZES = 4  # --curve of the least size has 5; a sweep of fewer sizes is a matrix with panels

# What the points of one line have in common.
LINE = ("host", "cpu", "cpu_node", "mem_node", "allocator", "policy", "pages", "threads", "variant")

# low and high: the 95 % interval as the benchmark reported it, None where it had too few samples for one.
Point = namedtuple("Point", "value low high")


def line_key(row):
    return tuple(row.get(name) for name in LINE)


def split(rows):
    """(the rows for heatmaps, {picture: its rows}), each in the rows' order. Takes rows of matrix.csv too."""
    sizes = {}
    for row in rows:
        if (row["bench"], row["metric"]) == ("latency", "load_latency") and is_measured(row):
            sizes.setdefault(line_key(row), set()).add(row["size_bytes"])
    curves = {key for key, found in sizes.items() if len(found) >= FEWEST_SIZES}
    grid, parts = [], {}
    for row in rows:
        name = row["bench"]
        if name == "latency" and (row["metric"] == "level_latency" or line_key(row) in curves):
            name = CURVE
        (parts.setdefault(name, []) if name in PICTURES else grid).append(row)
    return grid, {name: parts[name] for name in PICTURES if name in parts}


def is_measured(row):
    """Of a row of samples.csv or of matrix.csv."""
    return row.get("value", row.get("median")) is not None


def read_one(path, name):
    """The samples of one picture, from the file beside a sweep's that one run of its benchmark was kept in."""
    grid, parts = read(path)
    if grid or set(parts) != {name}:
        found = ", ".join([*parts, *dict.fromkeys(row["bench"] for row in grid)])
        raise DataError(path, f"holds {found}; what bench/{'latency --curve' if name == CURVE else name} --csv prints is "
                              "expected")
    return parts[name]


def read(path):
    """(the samples for heatmaps, {picture: its samples}) of a samples.csv that no sweep wrote."""
    rows = tables.read_program_samples(path)
    if not any(map(is_measured, rows)):
        raise DataError(path, f"nothing was measured: {reason_of(rows[0])}", row=2)
    grid, parts = split(rows)
    of_grid = {id(row) for row in grid}
    for number, row in enumerate(rows, start=2):
        if id(row) in of_grid:
            # A policy that names no single node is a column of its own.
            spread = row["policy"] not in ("", "none") and not row["policy"].startswith("bind:")
            refuse_gaps(path, number, row, ("cpu_node", "value") if spread else ("cpu_node", "mem_node", "value"))
        elif row["bench"] == CORE2CORE and is_measured(row):
            refuse_gaps(path, number, row, ("other_cpu",))
        elif row["size_bytes"] == 0:
            raise DataError(path, "0 bytes have no latency", row=number, column="size_bytes")
    return grid, parts


def refuse_gaps(path, number, row, columns):
    for column in columns:
        if row[column] is None:
            what = f"not measured: {reason_of(row)}" if column == "value" else "empty, but the picture needs it"
            raise DataError(path, what, row=number, column=column)


def reason_of(row):
    return shortened(row["reason"] or "no reason is given", 200)


def point(rows):
    """The point that a figure's samples make; disturbed samples are left out as in summary.py."""
    low = [row["ci_low"] for row in rows if row["ci_low"] is not None]
    high = [row["ci_high"] for row in rows if row["ci_high"] is not None]
    return Point(median(row["value"] for row in undisturbed(rows)),
                 min(low, default=None), max(high, default=None))


def lines_of(rows, key):
    """{key(row): its rows} in the rows' order."""
    lines = {}
    for row in rows:
        lines.setdefault(key(row), []).append(row)
    return lines


def points(rows, key):
    """{key(row): its point} in the rows' order; a figure that was not measured has none."""
    return {name: point(group) for name, group in lines_of(filter(is_measured, rows), key).items()}
