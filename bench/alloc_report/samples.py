"""The samples of a run: in memory, and as a file that has each of them as soon as it is measured."""

import csv
import math
import socket
from dataclasses import dataclass, field

from numa_report import schema
from numa_report.errors import DataError, UsageError

from . import allocators, cells

# Those of samples.csv without the harness's own; `label` is the allocator as --allocators names it, and a cell
# that failed has one row without a value and with the reason.
COLUMNS = (*(name for name in schema.SAMPLE_COLUMNS if name not in ("sample", "better")), "label", "reason")


@dataclass
class Samples:
    """What was measured: values[metric][cell id, label] is {round: value}; a failed cell has a reason instead."""

    values: dict = field(default_factory=lambda: {"wall_time": {}, "peak_memory": {}})
    failed: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)  # label: {policy, pages} in force

    def add(self, metric, cell, label, number, value):
        self.values[metric].setdefault((cell.id, label), {})[number] = value

    def policy(self, label):
        return self.settings.get(label, {}).get("policy", "")

    def rounds(self):
        """How many rounds there are samples of."""
        return len({number for of_cell in self.values["wall_time"].values() for number in of_cell})

    def measured(self, label):
        """Is there a sample of this allocator?"""
        return any(label == of for _, of in self.values["wall_time"])


class SampleFile:
    """A row at a time, each on the disk at once."""

    def __init__(self, folder, name, settings):
        self.run, self.host, self.settings = folder.name, socket.gethostname(), settings
        self.file = open(folder / name, "w", newline="", encoding="utf-8")
        self.writer = csv.DictWriter(self.file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
        self.writer.writeheader()

    def add(self, cell, allocator, cpus, number, row):
        self.writer.writerow({"bench": "allocs" if cell.is_workload else "programs", "variant": cell.name,
                              "threads": cell.threads, "cpu": cpus[0], "placement": "unverified",
                              **self.settings[allocator.label], **row, "run": self.run, "host": self.host,
                              "round": number, "cell": cell.id, "allocator": allocator.name, "label": allocator.label})
        self.file.flush()


def read(path):
    """What a run wrote to allocs.csv: its cells and labels in a fixed order, its samples and its host."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(path, f"there is no column {missing[0]}; is it an allocs.csv of this version?")
            rows = list(reader)
    except OSError as error:
        raise UsageError(f"--from: {path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(path, f"is not a CSV file: {error}") from None
    found, samples, host = {}, Samples(), ""
    for number, row in enumerate(rows, start=2):
        cell = found.setdefault(row["cell"], read_cell(path, number, row))
        label, host = row["label"], row["host"]
        samples.settings[label] = {"policy": row["policy"], "pages": row["pages"]}
        if row["reason"]:
            samples.failed[cell.id, label] = row["reason"]
            continue
        if row["metric"] not in samples.values:
            raise DataError(path, f"'{row['metric']}' is not accepted; {', '.join(samples.values)} are", number, "metric")
        samples.add(row["metric"], cell, label, positive(path, number, row, "round", int),
                    positive(path, number, row, "value", float))
    if not samples.values["wall_time"]:
        raise DataError(path, "there are no samples in it")
    known = [allocators.BASE, allocators.OURS, *allocators.INSTALLED]
    names = {label: allocators.Allocator(label, None).name for label in samples.settings}
    labels = sorted(names, key=lambda label: (known.index(names[label]) if names[label] in known else len(known), label))
    return list(found.values()), labels, samples, host


def read_cell(path, number, row):
    threads, is_workload = positive(path, number, row, "threads", int), row["bench"] == "allocs"
    return cells.Cell(row["variant"], cells.threads_group(threads) if is_workload else cells.PROGRAMS, (), threads=threads,
                      is_workload=is_workload)


def positive(path, number, row, column, kind):
    """A field of a row as a number above 0."""
    text = row[column]
    try:
        value = kind(text)
    except (TypeError, ValueError):
        value = 0
    if not 0 < value < math.inf:
        raise DataError(path, f"'{text or ''}' is not accepted; a number above 0 is", number, column)
    return value
