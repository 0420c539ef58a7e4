"""The 95 % intervals of one run's penalties."""

import math

from numa_report.schema import CONDITIONS, HIGHER
from numa_report.summary import is_local

from . import estimate, spread

# What a cell and its local cell have in common.
ALIKE = ("host", "bench", "metric", "variant", "cpu_node", "cpu", *CONDITIONS)


def intervals(rows, operand):
    """[(low, high)] of the penalties of rows that have one; (None, None) where nothing tells how the figures spread."""
    local = {alike(row): row for row in operand.rows if is_local({"policy": None, **row})}
    spreads, found = spreads_of(operand), []
    for row in rows:
        base = local.get(alike(row))
        if base is row:
            found.append((1.0, 1.0))
        elif base is None or id(row) not in spreads or id(base) not in spreads:  # a matrix.csv that somebody wrote
            found.append((None, None))
        else:
            found.append(interval(row, [(operand.known_of(cell), spreads[id(cell)]) for cell in (row, base)]))
    return found


def alike(row):
    return tuple(row[name] for name in ALIKE)


def spreads_of(operand):
    """{id of a row with a figure: (variance of one round's median, degrees of freedom)}"""
    rows = [row for row in operand.rows if operand.known_of(row) and operand.known_of(row).median]
    return dict(zip(map(id, rows), spread.by_kind([[operand.known_of(row)] for row in rows],
                                                [(row["bench"], row["metric"]) for row in rows])))


def interval(row, parts):
    """parts: the cell's (Known, (variance, freedom)), then its local cell's."""
    (cell, _), (base, _) = parts
    middle = math.log(base.median / cell.median if row["better"] == HIGHER else cell.median / base.median)
    freedom = min(freedom for _, (_, freedom) in parts)
    if freedom <= 0:
        return None, None
    error = math.sqrt(sum(variance * spread.of_median(estimate.rounds_of(known)) for known, (variance, _) in parts))
    reach = estimate.quantile((1 + estimate.CONFIDENCE) / 2, freedom) * error
    return math.exp(middle - reach), math.exp(middle + reach)
