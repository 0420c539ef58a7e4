"""Medians, ratios, their intervals and geometric means.

* A ratio is of two allocators' values in the same round of the same cell; a cell's ratio is the median over
  the rounds. So a machine that slows down for a while slows both sides.
* Intervals are 95 % percentile bootstraps: rounds are drawn with replacement, the same ones for every cell,
  since what disturbs a round disturbs all of its cells.
* A geometric mean is over the cells' ratios; a cell in which the allocator failed is not in it, and said.
"""

from dataclasses import dataclass

import numpy

RESAMPLES = 2000
SEED = 20261122  # the same samples give the same intervals


@dataclass(frozen=True)
class Estimate:
    value: float
    low: float
    high: float


def interval(draws):
    low, high = numpy.nanpercentile(draws, (2.5, 97.5))
    return float(low), float(high)


def resampled_rounds(count):
    """RESAMPLES rows of `count` round positions."""
    return numpy.random.default_rng(SEED).integers(0, count, (RESAMPLES, count))


def median(values):
    """Of one cell's values over the rounds, with its interval."""
    values = numpy.asarray(values, dtype=float)
    draws = numpy.median(values[resampled_rounds(len(values))], axis=1)
    return Estimate(float(numpy.median(values)), *interval(draws))


def paired(ours, theirs):
    """The ratios of the rounds that both have; each a {round: value}."""
    return [ours[number] / theirs[number] for number in sorted(ours.keys() & theirs.keys())]


def geometric_mean(ratios_by_cell):
    """Of the cells' median ratios. Cells may differ in rounds (a run that was cut short)."""
    if not ratios_by_cell:
        return None
    logs = numpy.log([numpy.median(ratios) for ratios in ratios_by_cell])
    drawn = [numpy.log(numpy.median(numpy.asarray(ratios)[resampled_rounds(len(ratios))], axis=1))
             for ratios in ratios_by_cell]
    return Estimate(float(numpy.exp(logs.mean())), *interval(numpy.exp(numpy.mean(drawn, axis=0))))


@dataclass(frozen=True)
class Row:
    """One cell under one allocator. None where something is missing."""

    cell: object
    label: str
    seconds: Estimate | None
    time_ratio: Estimate | None  # to the base
    best_peer: str | None  # the fastest peer beside this one
    to_best_peer: Estimate | None
    peak_bytes: float | None
    peak_ratio: Estimate | None  # to the base
    failed: str | None


class Summary:
    """All rows and means of a set of samples; `base` is the label that ratios are to."""

    def __init__(self, cells, allocators, samples, base):
        self.cells, self.allocators, self.samples, self.base = cells, allocators, samples, base
        self.rows = [self.row(cell, label) for cell in cells for label in allocators]

    def ratios(self, metric, cell, label, other):
        """Of one cell, round by round; empty where either has none."""
        values = self.samples.values[metric]
        return paired(values.get((cell.id, label), {}), values.get((cell.id, other), {}))

    def estimate(self, metric, cell, label, other):
        ratios = self.ratios(metric, cell, label, other)
        return median(ratios) if ratios else None

    def best_peer(self, cell, label):
        """The peer beside `label` with the least median time in a cell; None when there is none."""
        times = {peer: numpy.median(list(self.samples.values["wall_time"][cell.id, peer].values()))
                 for peer, allocator in self.allocators.items()
                 if allocator.is_peer and peer != label and (cell.id, peer) in self.samples.values["wall_time"]}
        return min(times, key=times.get, default=None)

    def row(self, cell, label):
        key, best = (cell.id, label), self.best_peer(cell, label)
        seconds, peaks = (list(self.samples.values[metric].get(key, {}).values()) for metric in ("wall_time", "peak_memory"))
        return Row(cell, label, median(seconds) if seconds else None, self.estimate("wall_time", cell, label, self.base),
                   best, self.estimate("wall_time", cell, label, best), float(numpy.median(peaks)) if peaks else None,
                   self.estimate("peak_memory", cell, label, self.base), self.samples.failed.get(key))

    def groups(self):
        """{heading: cells}: each number of threads, the programs, and all."""
        groups = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return {**groups, "all": self.cells} if len(groups) > 1 else groups

    def mean(self, metric, cells, label, other=None):
        """The geometric mean of the ratios to another allocator (the base), and in how many cells both have one."""
        ratios = [self.ratios(metric, cell, label, other or self.base) for cell in cells]
        ratios = [of_cell for of_cell in ratios if of_cell]
        return geometric_mean(ratios), len(ratios)

    def worst(self, label):
        """The row with the largest ratio to the best other peer, or to the base where there is none."""
        rows = [row for row in self.rows if row.label == label and row.time_ratio]
        return max(rows, key=lambda row: (row.to_best_peer or row.time_ratio).value, default=None)
