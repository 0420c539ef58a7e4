"""Cells that are slower than others of their kind.

Kinds: cells of one matrix (all but CPUs and memory in common) that are local, remote, or of memory without CPUs (CXL,
HBM), and of equal SLIT distance. Distances with few cells are put together with the next farther ones until there are
8, so that two bad cells of four cannot pass for what is usual; without a SLIT a kind has one distance.

A kind may have several levels (the neighbours and the far corners of a ring whose firmware gives one distance to both),
so a cell fits when a fifth of its kind, at least 2 cells, is near its value, wherever that is: its distance to the k-th
nearest value (Ramaswamy, Rastogi and Shim, "Efficient algorithms for mining outliers from large data sets", 2000) on a
scale of logarithms. It does not fit when that distance is over 15 %, and over 10 times the kind's median of such
distances, which is about 4 standard deviations of values with normal noise; and when its whole interval is worse than
the kind's median. In a kind of several distances that also has to hold of the values divided by their distances: what
the SLIT explains is no outlier. Only slower cells are named; a faster one costs nobody anything.

Published and imported figures have no intervals: in a table of such alone the figures are judged as they stand.
"""

import math
from collections import namedtuple
from statistics import median

from .. import layout
from ..schema import HIGHER
from .cells import (WHOLE, figures_of, grouped, is_bound, is_remote, known, measured, nodes_without_cpus, usable,
                    value_words)

FEWEST_CELLS = 4  # of a kind that can be judged
MERGED_BELOW = 8
SHARE, LEAST_NEIGHBOURS = 0.2, 2
APART = math.log(1.15)
APART_OF_MEDIAN = 10

# A row that does not fit, how many cells its kind has, and their median.
Outlier = namedtuple("Outlier", "row cells median")


def outliers(rows, environment):
    """[Outlier] of the rows of matrix.csv, the farthest from its kind first."""
    distances = figures_of(known(environment.get("topology")).get("distances"))
    no_cpus = nodes_without_cpus(environment)
    found = []
    for table in grouped(filter(is_bound, measured(rows)), *WHOLE).values():
        for kind in kinds(usable(table) or table, distances, no_cpus):
            if len(kind) >= FEWEST_CELLS:
                middle = median(row["median"] for row, _ in kind)
                found += [Outlier(row, len(kind), middle) for row in misfits(kind)]
    return sorted(found, key=lambda outlier: -abs(math.log(outlier.row["median"] / outlier.median)))


def outlier_words(outlier):
    """`27.9 GB/s; the median of the 14 cells of its kind is 95.1 GB/s`: what a page or a picture says of the cell."""
    return (f"{value_words(outlier.row)}; the median of the {outlier.cells} cells of its kind is "
            f"{layout.quantity_words(outlier.median, outlier.row['unit'])}")


def kinds(cells, distances, no_cpus):
    """Lists of (row, distance): the cells of each kind."""
    found = {}
    for row in cells:
        kind = "local" if not is_remote(row) else "no CPUs" if row["mem_node"] in no_cpus else "remote"
        distance = distances.get((row["cpu_node"], row["mem_node"]), 10)
        found.setdefault(kind, {}).setdefault(distance, []).append((row, distance))
    for of_distances in found.values():
        merged = []
        for _, of_distance in sorted(of_distances.items()):
            if merged and len(merged[-1]) < MERGED_BELOW:
                merged[-1] += of_distance
            else:
                merged.append(of_distance)
        if len(merged) > 1 and len(merged[-1]) < MERGED_BELOW:
            last = merged.pop()
            merged[-1] += last
        yield from merged


def misfits(kind):
    """The rows that do not fit with the others."""
    values = [badness(row, row["median"]) for row, _ in kind]
    reaches, middle = reaches_of(values), median(values)
    limit = max(APART, APART_OF_MEDIAN * median(reaches))
    by_distance = reaches_of([value - math.log(distance) for value, (_, distance) in zip(values, kind)])
    return [row for (row, _), reach, explained in zip(kind, reaches, by_distance)
            if reach > limit and explained > APART and badness(row, best_end(row)) > middle]


def badness(row, value):
    """The value's logarithm, larger for a worse one."""
    return -math.log(value) if row["better"] == HIGHER else math.log(value)


def best_end(row):
    """The better end of the row's interval; some bootstrap's may reach to 0."""
    end = row["ci_high"] if row["better"] == HIGHER else row["ci_low"]
    if end is None:
        return row["median"]
    return end if end > 0 else 1e-9 * row["median"]


def reaches_of(values):
    """Of each value: how far from it the farthest of its k nearest others is."""
    neighbours = max(LEAST_NEIGHBOURS, math.ceil(SHARE * (len(values) - 1)))
    order = sorted(range(len(values)), key=values.__getitem__)
    places = [values[number] for number in order]
    found = [0.0] * len(values)
    for at, number in enumerate(order):
        found[number] = reach(places, at, neighbours)
    return found


def reach(places, at, neighbours):
    """places is sorted: the nearest others of places[at] are those of a window around it."""
    first = max(0, at - neighbours)
    low, high = first, min(at, len(places) - 1 - neighbours)
    while low < high:  # to the first window whose lower end is not farther than its upper one
        start = (low + high) // 2
        if places[at] - places[start] > places[start + neighbours] - places[at]:
            low = start + 1
        else:
            high = start
    return min(max(places[at] - places[start], places[start + neighbours] - places[at])
               for start in range(max(first, low - 1), low + 1))
