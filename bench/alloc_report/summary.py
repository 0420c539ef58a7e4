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
    """One cell under one allocator. Ratios are None when the other side is missing."""

    cell: object
    label: str
    time: Estimate | None  # seconds
    time_ratio: Estimate | None  # to the base
    to_best_peer: float | None  # of the medians of time ratios
    peak_bytes: float | None
    peak_ratio: Estimate | None
    failed: str | None


class Summary:
    """All rows and means of a set of samples; `base` is the label that ratios are to."""

    def __init__(self, cells, allocators, samples, base):
        self.cells, self.allocators, self.base = cells, allocators, base
        self.ratios = {metric: self.pair_all(samples, metric) for metric in ("wall_time", "peak_memory")}
        self.rows = [self.row(samples, cell, label) for cell in cells for label in allocators]

    def pair_all(self, samples, metric):
        values = samples.values[metric]
        pairs = {(cell.id, label): paired(values[cell.id, label], values[cell.id, self.base])
                 for cell in self.cells for label in self.allocators
                 if (cell.id, label) in values and (cell.id, self.base) in values}
        return {key: ratios for key, ratios in pairs.items() if ratios}

    def best_peer(self, cell, other_than=None):
        """The peer with the least time in a cell and its ratio; None when there is no peer."""
        ratios = {label: float(numpy.median(self.ratios["wall_time"][cell.id, label]))
                  for label, allocator in self.allocators.items()
                  if allocator.is_peer and label != other_than and (cell.id, label) in self.ratios["wall_time"]}
        return min(ratios.items(), key=lambda item: item[1]) if ratios else None

    def row(self, samples, cell, label):
        key = cell.id, label
        seconds, peaks = (list(samples.values[metric].get(key, {}).values()) for metric in ("wall_time", "peak_memory"))
        time_ratios, peak_ratios = self.ratios["wall_time"].get(key), self.ratios["peak_memory"].get(key)
        time_ratio, best = median(time_ratios) if time_ratios else None, self.best_peer(cell, label)
        return Row(cell, label, median(seconds) if seconds else None, time_ratio,
                   time_ratio.value / best[1] if time_ratio and best else None,
                   float(numpy.median(peaks)) if peaks else None, median(peak_ratios) if peak_ratios else None,
                   samples.failed.get(key))

    def groups(self):
        """{heading: cells}: each number of threads, the programs, and all."""
        groups = {}
        for cell in self.cells:
            groups.setdefault(cell.group, []).append(cell)
        return {**groups, "all": self.cells} if len(groups) > 1 else groups

    def mean(self, metric, cells, label):
        """The geometric mean of an allocator's ratios, and in how many of the cells it has one."""
        ratios = [self.ratios[metric][cell.id, label] for cell in cells if (cell.id, label) in self.ratios[metric]]
        return geometric_mean(ratios), len(ratios)

    def worst(self, label):
        """The row with the largest ratio to the best other peer, or to the base where there is none."""
        rows = [row for row in self.rows if row.label == label and row.time_ratio]
        return max(rows, key=lambda row: row.to_best_peer or row.time_ratio.value, default=None)
