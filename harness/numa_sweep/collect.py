"""From what the runs left in cells/ to samples.csv and sentinel.csv, and to the reasons of the failures."""

import os
import shlex
from collections import Counter

from numa_report import tables
from numa_report.errors import ReportError, UsageError
from numa_report.layout import counted
from numa_report.schema import SAMPLE_COLUMNS, cell_order

from . import environment, options as option_words
from . import plan, records, workload

SENTINELS = "sentinel.csv"


class Results:
    """What the runs of a folder gave, each read once."""

    def __init__(self, folder, jobs, options, host):
        self.folder, self.jobs, self.options, self.host = folder, list(jobs), options, host
        self.samples = {}  # seq: rows of samples.csv
        self.failures = {}  # seq: reason
        self.unmatched = None  # the first run in which a metric matched nothing

    def take(self, job):
        """Reads a run. True when it has been done, in whatever way it ended."""
        if job.seq in self.samples or job.seq in self.failures:
            return True
        try:
            record = records.read(self.folder, job)
            if record is None:
                return False
            records.keep_placement(self.folder, job)
            rows = workload.read_samples(self.folder, job, record, self.options)
        except FileNotFoundError as error:  # somebody took its output away
            self.failures[job.seq] = f"{os.path.relpath(error.filename, self.folder)} is gone"
        except ReportError as error:
            self.failures[job.seq] = str(error)
            if isinstance(error, workload.NoMatch):
                self.unmatched = self.unmatched or job
        else:
            self.samples[job.seq] = self.completed(job, rows)
        return True

    def completed(self, job, rows):
        count = Counter()
        expected = {item.metric: item for item in job.expected}
        for row in rows:
            row["run"], row["host"], row["round"] = os.path.basename(self.folder), self.host, job.round
            row["cell"] = job.cell_id(row["variant"])
            count[row["cell"], row["metric"]] += 1
            row["sample"] = count[row["cell"], row["metric"]]
            if not row.get("better") and row["metric"] in expected:
                row["better"] = expected[row["metric"]].better
        return rows

    def take_all(self):
        """The jobs that have not been done."""
        return [job for job in self.jobs if job.seq and not self.take(job)]

    def of(self, *kinds):
        """(job, its rows) of the runs that gave samples."""
        return [(job, self.samples[job.seq]) for job in self.jobs if job.kind in kinds and job.seq in self.samples]

    def reasons(self):
        """{job: reason} of the runs that failed; the sentinel's are not of any cell."""
        return {job: self.failures[job.seq] for job in self.jobs
                if job.seq in self.failures and job.kind != plan.SENTINEL}

    def round_values(self, key):
        """{(cell id, metric): {round: values}} of one cell's runs, disturbed samples included."""
        found = {}
        for job, rows in self.of(plan.CELL, plan.EXTRA):
            if job.key == key:
                for row in rows:
                    found.setdefault((row["cell"], row["metric"]), {}).setdefault(job.round, []).append(row)
        return found


def reread(folder):
    """The results of a sweep that has ended."""
    recorded = environment.load(folder)
    options = recorded_options(folder, recorded)
    jobs = plan.read(folder, lambda bench: workload.expectation(options, bench))
    results = Results(folder, jobs, options, recorded.get("host") or "")
    refuse_missing(folder, results.take_all(), jobs)
    return results


def recorded_options(folder, recorded):
    """The options that environment.json keeps."""
    try:
        return option_words.parse(option_words.words_of_recorded(recorded.get("options")))
    except (UsageError, TypeError) as error:
        raise ReportError(f"{folder}/{environment.PATH}: the sweep's options are not readable ({error})") from None


def refuse_missing(folder, missing, jobs):
    if missing:
        total = sum(job.seq is not None for job in jobs)
        raise ReportError(f"{folder}: {len(missing)} of its {counted(total, 'run')} "
                          f"{'has' if len(missing) == 1 else 'have'} not been done; continue with: "
                          f"harness/run_matrix.sh --resume {shlex.quote(folder)}")


def write(results):
    """samples.csv, and sentinel.csv where there was one; returns the samples."""
    samples = sorted((row for _, rows in results.of(plan.CELL, plan.EXTRA) for row in rows),
                     key=lambda row: (cell_order(row), row["cell"], row["round"], row["sample"]))
    write_samples(results.folder, samples)
    watched = [row for _, rows in results.of(plan.SENTINEL) for row in rows]
    if watched:
        write_samples(results.folder, watched, SENTINELS)
    return samples


def write_samples(folder, samples, name="samples.csv"):
    appended = list(dict.fromkeys(column for row in samples for column in row if column not in SAMPLE_COLUMNS))
    tables.write_table(os.path.join(folder, name), [*SAMPLE_COLUMNS, *appended], samples)
