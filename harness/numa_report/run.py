"""All that a run's folder holds, read once, for everything that is said and drawn of it."""

import csv
import io
import math
import os
from collections import namedtuple
from functools import cached_property

from numa_sweep import collect, environment

from . import agreement, checksums, normal, runs, singles, tables, verdict
from .errors import DataError

# round and value as measured; disturbed: the benchmark's word for what went on meanwhile, "" when nothing did
Sample = namedtuple("Sample", "round value disturbed placement")


class Run:
    """One run's folder. Raises ReportError where a file of it is damaged."""

    def __init__(self, folder):
        self.folder = folder
        self.name = os.path.basename(os.path.abspath(folder))
        checksums.refuse_changed(folder)
        self.environment = environment.load(folder)
        self.rows, self.singles = runs.read(folder)  # of matrix.csv; {picture of singles.PICTURES: samples}
        agreement.refuse_other_places(os.path.join(folder, "matrix.csv"), self.rows, self.environment)
        for name in singles.PICTURES:
            path = os.path.join(folder, f"{name}.csv")
            if os.path.exists(path):
                self.singles[name] = singles.read_one(path, name)
                agreement.refuse_other_places(path, self.singles[name], self.environment)
        self.outliers = verdict.outliers(self.rows, self.environment)
        for outlier in self.outliers:  # a mark beside the status, for page and pictures
            outlier.row["outlier"] = verdict.outlier_words(outlier)

    @cached_property
    def sentinels(self):
        """The rows of sentinel.csv, none where the run had no sentinel."""
        path = os.path.join(self.folder, collect.SENTINELS)
        return tables.read_samples(path) if os.path.exists(path) else []

    @cached_property
    def samples(self):
        """{(host, cell, metric): [Sample]} of the matrix's cells; {} where samples.csv is gone, or no sweep's.

        Raises ReportError where the matrix is not what the samples say.
        """
        path = os.path.join(self.folder, "samples.csv")
        found, described = {}, {}
        for key, cell, sample in read_values(path) if self.rows and os.path.exists(path) else ():
            found.setdefault(key, []).append(sample)
            described.setdefault(key, set()).add(cell)
        if any(cell == "" for _, cell, _ in found):  # of a benchmark run by hand: the matrix's cells were made up then
            return {}
        if found:
            agreement.refuse_disagreement(self.folder, self.rows, found, described)
        return found

    @property
    def words(self):
        """The verdict, five lines at most; none where nothing of the matrix was measured."""
        return self.all_words[:verdict.MOST_LINES]

    @property
    def more_words(self):
        """What else there is to say, which the verdict has no room for."""
        return self.all_words[verdict.MOST_LINES:]

    @cached_property
    def all_words(self):
        if not self.rows:
            return []
        unusual = [line for line in normal.lines(self) if line.partition(":")[0] in verdict.BAD]
        return verdict.all_lines(self.rows, self.environment, self.sentinels, self.outliers, unusual)


def read_values(path):
    """(key, the columns agreement.SAME, Sample) of each row.

    Quicker than tables.read_samples: of 64 nodes there are half a million.
    """
    records = csv.reader(io.StringIO(tables.read_text(path), newline=""), strict=True)
    number = 1
    try:
        header = list(map(tables.unguarded, next(records)))
        places = [header.index(name) for name in ("host", "cell", "metric", "round", "value", "placement")]
        of_cell = [header.index(name) for name in agreement.SAME]
        at_disturbed = header.index("disturbed") if "disturbed" in header else None
        for number, fields in enumerate(records, start=2):
            host, cell, metric, round_number, value, placement = (tables.unguarded(fields[place]) for place in places)
            value = float(value)
            if not 0 <= value < math.inf:
                raise ValueError(f"{value} is not a measurement")
            yield (host, cell, metric), tuple(tables.unguarded(fields[place]) for place in of_cell), Sample(
                int(round_number or 1), value, fields[at_disturbed] if at_disturbed is not None else "", placement)
    except (ValueError, IndexError, csv.Error) as error:
        raise DataError(path, str(error), row=number) from None
