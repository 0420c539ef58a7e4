"""One side of a comparison: a run's folder, or a matrix.csv by itself such as a published machine's."""

import math
import os
from dataclasses import dataclass, field
from statistics import median

from numa_report import rounds, run, runs, tables
from numa_report.errors import ReportError
from numa_report.schema import HIGHER, MEASURED

from . import spread


@dataclass(frozen=True)
class Known:
    """What a run says of one cell. Spreads are of the natural logarithm, so 0.01 is 1 %."""

    median: float  # in the metric's unit
    rounds: int  # 0: not known
    deviations: dict = field(default_factory=dict)  # {round: how far its median is from that}
    variance: float = 0.0  # of one round's median, where an interval tells it
    freedom: float = 0.0  # degrees of freedom of that variance; 0: there is none

    @property
    def is_bare(self):
        """Whether nothing is known but the median."""
        return not self.rounds and not self.freedom


@dataclass
class Operand:
    """One run of a comparison."""

    letter: str  # how the comparison calls it
    path: str
    name: str
    rows: list  # of its matrix.csv
    environment: dict  # None where it has none: a matrix.csv by itself
    known: dict = field(repr=False)  # {(host, cell, metric): Known} of the measured rows
    from_intervals: bool = False  # whether the spread is not of its rounds but of the intervals in its matrix.csv

    @property
    def is_bare(self):
        """Whether medians are all that is known of it."""
        return all(known.is_bare for known in self.known.values())

    def known_of(self, row):
        """None where the row has no number that can be compared."""
        return self.known.get(key_of(row))


def key_of(row):
    return row["host"], row["cell"], row["metric"]


def letter_of(place):
    """A, B, ... Z, run 27, ..."""
    return chr(ord("A") + place) if place < 26 else f"run {place + 1}"


def read(path, place):
    """The operand at the path, the place-th on the command line. Raises ReportError where it cannot be compared."""
    if os.path.isdir(path):
        return read_folder(path, letter_of(place))
    if not os.path.exists(path):
        raise ReportError(f"{path}: no such folder or file; a run's folder or a matrix.csv is expected")
    rows = tables.read_matrix(path)
    return Operand(letter_of(place), path, os.path.basename(path), rows, None, from_rows(rows), from_intervals=True)


def read_folder(folder, letter):
    if not any(os.path.exists(os.path.join(folder, name)) for name in (*runs.DATA, "plan.csv", runs.UNFINISHED)):
        below = runs.find(folder)
        raise ReportError(f"{folder}: not a run's folder, but {len(below)} below it are: name them, as {below[-1]}")
    whole = run.Run(folder)
    if not whole.rows:
        raise ReportError(f"{folder}: no matrix to compare, only {', '.join(whole.singles) or 'nothing'}")
    samples = whole.samples
    known = from_samples(whole.rows, samples) if samples else from_rows(whole.rows)
    return Operand(letter, folder, whole.name, whole.rows, whole.environment, known, not samples)


def measured(rows):
    return [row for row in rows if row["status"] in MEASURED and row["median"] is not None]


def from_samples(rows, samples):
    """{key: Known} from the medians of each cell's rounds."""
    known = {}
    for row in measured(rows):
        of_rounds = {}
        for sample in samples.get(key_of(row), ()):
            of_rounds.setdefault(sample.round, []).append({"value": sample.value, "disturbed": sample.disturbed})
        medians = dict(zip(of_rounds, rounds.round_medians(of_rounds)))
        middle = median(medians.values())
        deviations = {number: math.log(value / middle) for number, value in medians.items()} \
            if len(medians) > 1 and min(medians.values()) > 0 else {}
        known[key_of(row)] = Known(middle, len(medians), deviations)
    return known


def from_rows(rows):
    """{key: Known} from the intervals of a matrix.csv, which is all that is known without its samples."""
    known = {}
    for row in measured(rows):
        count = int(row["rounds"]) if str(row.get("rounds") or "").isdigit() else 0
        variance, freedom = 0.0, 0.0
        if row["ci_low"] and row["ci_high"] and row["ci_low"] < row["ci_high"]:
            variance, freedom = spread.of_interval(math.log(row["ci_high"] / row["ci_low"]), count)
        known[key_of(row)] = Known(row["median"], count, {}, variance, freedom)
    return known


def is_higher_better(row):
    return row["better"] == HIGHER
