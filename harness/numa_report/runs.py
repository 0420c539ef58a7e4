"""Run folders: which there are under a path, and from data to pictures in one of them."""

import os
import shlex

from . import collect, environment, tables, verdict
from .errors import ReportError

DATA = ("matrix.csv", "samples.csv")


def find(path):
    """The run folders at or below path, sorted. Raises ReportError when there is none."""
    if not os.path.isdir(path):
        raise ReportError(f"{path}: " + ("is not a folder" if os.path.exists(path) else "no such folder")
                          + "; a run's folder or a folder of runs is expected")
    found = []
    for folder, below, files in os.walk(path):
        below.sort()
        if "plan.csv" in files or any(name in files for name in DATA):
            found.append(folder)
            below.clear()
    if not found:
        raise ReportError(f"{path}: no runs here (no folder with matrix.csv or samples.csv); "
                          "harness/run_matrix.sh makes one")
    return found


def matrix_of(folder):
    """The rows of the run's matrix.csv, made from its samples first where it is absent."""
    path = os.path.join(folder, "matrix.csv")
    if not os.path.exists(path):
        if not os.path.exists(os.path.join(folder, "samples.csv")):
            raise ReportError(f"{folder}: the sweep has not finished; continue with: "
                              f"harness/run_matrix.sh --resume {shlex.quote(folder)}")
        summarise_samples(folder)
    return tables.read_matrix(path)


def summarise_samples(folder):
    """matrix.csv from samples.csv; where the plan and the joblog are kept, with the failed and skipped cells."""
    samples = tables.read_samples(os.path.join(folder, "samples.csv"))
    failures, jobs = {}, []
    if os.path.exists(os.path.join(folder, "plan.csv")) and os.path.isdir(os.path.join(folder, "cells")):
        _, failures, jobs = collect.collect(folder)
    write_summary(folder, samples, failures, jobs)


def write_summary(folder, samples, failures, jobs):
    """matrix.csv; returns its rows."""
    from . import summary  # numpy takes long to import: only where there is something to summarise

    run, host = os.path.basename(os.path.abspath(folder)), environment.load(folder).get("host") or ""
    rows = summary.summarise(samples, failures, jobs, run, host)
    summary.write_matrix(folder, rows)
    return rows


def finish(folder):
    """samples.csv and matrix.csv of a sweep whose commands have all run; returns the matrix's rows."""
    samples, failures, jobs = collect.collect(folder)
    collect.write_samples(folder, samples)
    return write_summary(folder, samples, failures, jobs)


def judge(folder, rows):
    """The verdict on the matrix's rows, kept as verdict.txt; returns its lines."""
    words = verdict.lines(rows, environment.load(folder))
    verdict.save(folder, words)
    return words


def plot(folder, rows):
    """Draws every figure of the matrix's rows; returns the paths."""
    from . import heatmap  # matplotlib takes seconds to import: only where a picture is wanted

    return heatmap.draw_all(rows, environment.load(folder), folder)
