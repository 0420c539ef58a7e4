"""Whether a run's files say the same: one that was cut at a line's end, or edited, may read well and be wrong."""

import os
from statistics import median

from numa_sweep.topology import parse_list

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
        refuse_outside_interval(path, number, row)
        if key in described:
            refuse_other_cell(path, number, row, described[key])
    for host, cell, metric in samples:
        if (host, cell, metric) not in known:
            raise DataError(path, f"no row of {ascii(cell)}, {ascii(metric)}, of which samples.csv has samples{WAY_OUT}")
    refuse_other_penalties(path, rows)


def refuse_other_places(path, rows, environment):
    """Raises DataError at a row whose CPU is not of its CPU node, or whose nodes the machine of environment.json lacks."""
    try:
        cpus = {node["id"]: set(parse_list(node["cpus"])) for node in environment["topology"]["nodes"]}
    except (KeyError, TypeError, ValueError, AttributeError):
        return
    for number, row in enumerate(rows, start=2):
        for column, cpu_column in (("cpu_node", "cpu"), ("other_cpu_node", "other_cpu"), ("mem_node", None),
                                   ("other_mem_node", None)):
            node, cpu = row.get(column), row.get(cpu_column)
            if node is not None and node not in cpus:
                raise DataError(path, f"{node} is no node of the machine in environment.json", row=number, column=column)
            if node is not None and cpu is not None and cpu not in cpus[node]:
                raise DataError(path, f"{cpu} is no CPU of node {node} in environment.json", row=number, column=cpu_column)


def refuse_other_summary(path, number, row, samples):
    for name, value in summary_of(samples).items():
        there = row.get(name)
        if name not in row:  # a column that came later
            continue
        if (there is None) != (value is None) or value is not None and abs(there - value) > CLOSE * abs(value):
            raise DataError(path, f"{there}, but {value} by the samples in samples.csv{WAY_OUT}", row=number, column=name)


def refuse_outside_interval(path, number, row):
    for column, sign in (("ci_low", 1), ("ci_high", -1)):
        if row[column] is not None and row["median"] is not None and \
                sign * (row[column] - row["median"]) > CLOSE * row["median"]:
            raise DataError(path, f"{row[column]}, but the median is {row['median']}{WAY_OUT}", row=number, column=column)


def refuse_other_penalties(path, rows):
    from .summary import add_penalties  # numpy takes long to import

    right = [{**row, "penalty": None} for row in rows]
    add_penalties(right)
    for number, (row, again) in enumerate(zip(rows, right), start=2):
        there, wanted = row["penalty"], again["penalty"]
        if (there is None) != (wanted is None) or there is not None and abs(there - wanted) > 3 * CLOSE * wanted:
            raise DataError(path, f"{there}, but {wanted} by the medians{WAY_OUT}", row=number, column="penalty")


def summary_of(samples):
    """What summary.py makes of a cell's samples, but for what it draws at random."""
    rounds = {}
    for sample in samples:
        rounds.setdefault(sample.round, []).append(sample._asdict())
    kept = [[sample["value"] for sample in undisturbed(of_round)] for of_round in rounds.values()]
    values = [value for of_round in kept for value in of_round]
    if not values:
        return {"samples": 0, "median": None, "rounds": 0}
    middle = median(map(median, kept))
    apart = [abs(value - middle) for value in values]
    mad = median(apart)
    return {"samples": len(values), "median": middle, "mad": mad, "rounds": len(kept),
            "outliers": sum(value > OUTLIER_Z * MAD_TO_SIGMA * mad for value in apart)}


def refuse_other_cell(path, number, row, described):
    in_row = tuple("" if row[name] is None else str(row[name]) for name in SAME)
    for in_samples in described:
        for name, a, b in zip(SAME, in_row, in_samples):
            if a != b:
                raise DataError(path, f"{ascii(a)}, but {ascii(b)} in samples.csv{WAY_OUT}", row=number, column=name)
