"""Whether matrix.csv is what samples.csv says: a file that was cut at a line's end, or edited, reads well and is wrong."""

import os
from statistics import median

from .errors import DataError
from .rounds import undisturbed
from .schema import MAD_TO_SIGMA, OUTLIER_Z

SAME = ("bench", "unit", "cpu", "cpu_node", "mem_node", "allocator", "policy", "threads", "size_bytes", "variant")
CLOSE = 1e-5  # matrix.csv has six digits
WAY_OUT = "; take matrix.csv away to have it made again from samples.csv"


def refuse_disagreement(folder, rows, samples, described):
    """Raises DataError at the first cell of which the two files say different things.

    rows: of matrix.csv, in its order. samples: {(host, cell, metric): [Sample]} of samples.csv; described: {the same key:
    the different values of the columns SAME in its rows, as they stand there}.
    """
    path = os.path.join(folder, "matrix.csv")
    known = set()
    for number, row in enumerate(rows, start=2):
        key = row["host"], row["cell"], row["metric"]
        known.add(key)
        refuse_other_summary(path, number, row, samples.get(key, ()))
        if key in described:
            refuse_other_cell(path, number, row, described[key])
    for host, cell, metric in samples:
        if (host, cell, metric) not in known:
            raise DataError(path, f"no row of {ascii(cell)}, {ascii(metric)}, of which samples.csv has samples{WAY_OUT}")


def refuse_other_summary(path, number, row, samples):
    for name, value in summary_of(samples).items():
        there = row[name] if name in ("median", "samples") else number_of(row.get(name))
        if there is None or value is None:
            differs = there is not value and name in ("median", "samples")
        else:
            differs = abs(there - value) > CLOSE * abs(value)
        if differs:
            raise DataError(path, f"{there}, but {value} by the samples in samples.csv{WAY_OUT}", row=number, column=name)


def summary_of(samples):
    """What summary.py makes of a cell's samples, but for what it draws at random."""
    rounds = {}
    for sample in samples:
        rounds.setdefault(sample.round, []).append(sample._asdict())
    kept = [[sample["value"] for sample in undisturbed(of_round)] for of_round in rounds.values()]
    values = [value for of_round in kept for value in of_round]
    if not values:
        return {"samples": 0, "median": None}
    middle = median(map(median, kept))
    apart = [abs(value - middle) for value in values]
    mad = median(apart)
    return {"samples": len(values), "median": middle, "mad": mad,
            "outliers": sum(value > OUTLIER_Z * MAD_TO_SIGMA * mad for value in apart)}


def number_of(word):
    try:
        return float(word)
    except (TypeError, ValueError):
        return None


def refuse_other_cell(path, number, row, described):
    in_row = tuple("" if row[name] is None else str(row[name]) for name in SAME)
    for in_samples in described:
        for name, a, b in zip(SAME, in_row, in_samples):
            if a != b:
                raise DataError(path, f"{ascii(a)}, but {ascii(b)} in samples.csv{WAY_OUT}", row=number, column=name)
