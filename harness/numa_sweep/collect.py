"""From what the commands left in cells/ and joblog.tsv to samples.csv, and to the reasons of the failures."""

import os
import shlex
from collections import Counter

from numa_report import tables
from numa_report.errors import ReportError, whole_file
from numa_report.layout import counted
from numa_report.schema import SAMPLE_COLUMNS, cell_id, cell_order

from . import plan

JOBLOG = "joblog.tsv"
TIMED_OUT = (-1, 15)  # what GNU parallel logs as exit value and signal of a job its --timeout ended


def read_joblog(folder):
    """{seq: (exit status, signal, whole line)}; a line that was cut while being written does not count."""
    try:
        with open(os.path.join(folder, JOBLOG), encoding="utf-8", errors="replace") as file:
            lines = file.readlines()
    except FileNotFoundError:
        return {}
    done = {}
    for line in lines[1:]:
        fields = line.split("\t", 8)
        if len(fields) == 9 and line.endswith("\n"):
            try:
                done[int(fields[0])] = int(fields[6]), int(fields[7]), line
            except ValueError:
                pass
    return done


def finished(folder, jobs):
    """The logged jobs whose output is still there, as {seq: (exit status, signal, line)}."""
    log = read_joblog(folder)
    return {job.seq: log[job.seq] for job in jobs if job.seq in log
            and os.path.exists(job.output(folder)) and os.path.exists(job.errors(folder))}


def prune_joblog(folder, jobs):
    """Leaves the jobs that succeeded in the joblog, so that `parallel --resume` runs exactly the others."""
    log = finished(folder, jobs)
    done = {job.seq: log[job.seq] for job in jobs if job.seq in log and succeeded(folder, job, log[job.seq])}
    path = os.path.join(folder, JOBLOG)
    if os.path.exists(path):
        with whole_file(path, encoding="utf-8") as file:
            file.write("Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n")
            file.writelines(done[seq][2] for seq in sorted(done))
    return set(done)


def succeeded(folder, job, logged):
    status, signal, _ = logged
    try:
        return (status, signal) == (0, 0) and bool(read_output(folder, job))
    except ReportError:
        return False


def collect(folder):
    """(samples, failures, jobs) of a finished sweep; failures is {job: reason}. Raises when jobs are missing."""
    jobs = plan.read(folder)
    done = finished(folder, jobs)
    samples, failures = [], {}
    missing = 0
    for job in jobs:
        if job.seq is None:
            continue
        if job.seq not in done:
            missing += 1
            continue
        status, signal, _ = done[job.seq]
        try:
            rows = read_output(folder, job) if (status, signal) == (0, 0) else None
            reason = None if rows else describe_failure(folder, job, status, signal)
        except ReportError as error:
            rows, reason = None, str(error)
        if reason:
            failures[job] = reason
        else:
            samples.extend(rows)
    if missing:
        raise ReportError(f"{folder}: {missing} of its {counted(sum(job.seq is not None for job in jobs), 'command')} "
                          f"{'has' if missing == 1 else 'have'} not run; continue with: harness/run_matrix.sh --resume {shlex.quote(folder)}")
    samples.sort(key=lambda row: (cell_order(row), row["round"], row["sample"]))
    return samples, failures, jobs


def read_output(folder, job):
    """The samples a command printed, checked to be of the cell that was asked for."""
    path = os.path.relpath(job.output(folder), folder)
    rows = tables.read_table(job.output(folder), tables.SAMPLES)
    count = Counter()
    for row in rows:
        asked = {"bench": job.bench, "cpu": job.cpu, "mem_node": job.mem_node, "allocator": "numa_alloc"}
        for column, value in asked.items():
            if row[column] != value:
                raise ReportError(f"{path}: {column} is {row[column]}, not {value} as asked")
        row["run"] = os.path.basename(os.path.abspath(folder))
        row["round"] = job.round
        row["cell"] = cell_id(row["bench"], row["variant"], row["cpu"], row["mem_node"])
        count[row["cell"], row["metric"]] += 1
        row["sample"] = count[row["cell"], row["metric"]]
    return rows


def describe_failure(folder, job, status, signal):
    if (status, signal) == TIMED_OUT:
        return "ran past the time limit (--timeout)"
    words = f"killed by signal {signal}" if signal else f"exit status {status}"
    with open(job.errors(folder), encoding="utf-8", errors="replace") as file:
        said = [line.strip() for line in file if line.strip()]
    return f"{words}: {said[-1][:200]}" if said else words


def write_samples(folder, samples):
    appended = [column for column in samples[0] if column not in SAMPLE_COLUMNS] if samples else []
    tables.write_table(os.path.join(folder, "samples.csv"), [*SAMPLE_COLUMNS, *appended], samples)
