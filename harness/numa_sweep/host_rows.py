"""hosts.csv of a fleet's folder: a row a host, with what became of its sweep and why."""

import concurrent.futures
import ctypes
import multiprocessing
import os
import signal
from contextlib import suppress

from numa_report import checksums, runs, tables
from numa_report.errors import ReportError
from numa_report.layout import counted

from . import collect, conductor, environment

FILE = "hosts.csv"
HOSTS = "hosts"
OK, FAILED, UNREACHABLE, INCOMPLETE = STATUSES = ("ok", "failed", "unreachable", "incomplete")
COLUMNS = ("host", "sshlogin", "status", "reason", "started_at", "seconds", "cells", "failed_cells", "cpu_model", "kernel")
TABLE = {**dict.fromkeys(COLUMNS, tables.text), "host": tables.named, "status": tables.one_of(STATUSES)}


def read(folder):
    """{label: row}, {} where there is no hosts.csv."""
    path = os.path.join(folder, FILE)
    if not os.path.exists(path):
        return {}
    rows = tables.read_table(path, TABLE)
    tables.refuse_duplicates(path, rows, ("host",))
    return {row["host"]: row for row in rows}


def write(folder, rows):
    tables.write_table(os.path.join(folder, FILE), COLUMNS, rows)


def row(label, sshlogin="", status=INCOMPLETE, **known):
    return {**dict.fromkeys(COLUMNS, ""), "host": label, "sshlogin": sshlogin, "status": status, **known}


def run_folder(folder, label):
    return os.path.join(folder, HOSTS, label)


def labels(folder):
    """The hosts whose run folders are there, sorted."""
    with suppress(FileNotFoundError, NotADirectoryError):
        return sorted(entry.name for entry in os.scandir(os.path.join(folder, HOSTS))
                      if entry.is_dir() and not entry.name.startswith("."))
    return []


def is_whole(run):
    return os.path.exists(os.path.join(run, "samples.csv")) and not os.path.exists(os.path.join(run, runs.UNFINISHED))


def summarise(run):
    """What a host's run folder says of itself, as columns of its row; its matrix.csv is made where it is not there."""
    try:
        checksums.refuse_changed(run)
        described = environment.load(run)
    except ReportError as error:
        return {"cpu_model": "", "started_at": "", "kernel": "", "status": FAILED, "reason": without_path(error, run)}
    kernel = described.get("kernel")
    known = {"cpu_model": described.get("cpu_model") or "", "started_at": described.get("started_at") or "",
             "kernel": kernel.get("release") or "" if isinstance(kernel, dict) else ""}
    if not is_whole(run):
        return {**known, "status": INCOMPLETE, "reason": "the sweep there has not ended"}
    try:
        make_matrix(run, described)
        rows = runs.matrix_of(run)
    except ReportError as error:
        return {**known, "status": FAILED, "reason": without_path(error, run)}
    cells = {row["cell"] for row in rows if row["status"] != "skipped"}
    failed = {row["cell"]: row["reason"] for row in rows if row["status"] == "failed"}
    known.update(cells=len(cells), failed_cells=len(failed), status=OK, reason="")
    if failed:
        cell, reason = next(iter(failed.items()))
        known.update(status=FAILED, reason=f"{len(failed)} of {counted(len(cells), 'cell')} failed: {cell}: {reason}")
    return known


def without_path(error, run):
    return str(error).replace(run, os.path.basename(run))


def make_matrix(run, described):
    """matrix.csv of a sweep, where it is not there or is from before its samples.csv, which a resumed sweep writes again.

    The run keeps the name that it has on the host, and may be without any sample.
    """
    samples, matrix = (os.path.join(run, name) for name in ("samples.csv", "matrix.csv"))
    with suppress(FileNotFoundError):
        if os.stat(matrix).st_mtime_ns >= os.stat(samples).st_mtime_ns:
            return
        os.unlink(matrix)
    if runs.is_sweep(run) and os.path.isdir(os.path.join(run, "cells")):
        from numa_report import summary  # numpy takes long to import

        results = collect.reread(run)
        rows = summary.summarise(tables.read_samples(samples) if results.samples else [], results.reasons(), results.jobs,
                                 os.path.basename(str(described["options"].get("out") or run)), described.get("host") or "")
        summary.write_matrix(run, rows)


class Pool:
    """summarise() on as many CPUs as there are: the hosts of a fleet all end at about the same time."""

    def __init__(self):
        self.executor = concurrent.futures.ProcessPoolExecutor(
            len(os.sched_getaffinity(0)), multiprocessing.get_context("fork"), end_with_parent)
        self.submit, self.map = self.executor.submit, self.executor.map

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.executor.shutdown(cancel_futures=True)


def end_with_parent():
    """A signal to the whole group is the parent's to act upon; these go when it does, however it ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(conductor.PR_SET_PDEATHSIG, signal.SIGKILL)


def completed(reported, found):
    """The row of a host: what its job, or an earlier row, reported of it, and what summarise() found in its folder.

    Where all was measured the folder's word counts, and where some cells failed it says more than the job did. A host that
    was lost may still have the folder of an earlier try.
    """
    if reported["status"] == OK and found["status"] == INCOMPLETE:  # the folder of a later try, which was lost; it is still to do
        return {**dict.fromkeys(COLUMNS, ""), **reported, **found}
    merged = {**found, **{name: value for name, value in reported.items() if value != ""}, "reason": reported["reason"]}
    if found["status"] == OK or found["status"] == FAILED and reported["status"] in (OK, FAILED):
        merged.update(status=found["status"], reason=found["reason"])
    return {**dict.fromkeys(COLUMNS, ""), **merged, "cells": found.get("cells", ""),
            "failed_cells": found.get("failed_cells", "")}
