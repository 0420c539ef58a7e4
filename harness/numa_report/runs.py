"""Run folders: which there are under a path, and from data to pictures in one of them."""

import os
import shlex

from numa_sweep import collect, environment

from . import checksums, singles, tables, verdict
from .errors import ReportError

DATA = ("matrix.csv", "samples.csv")
UNFINISHED = "UNFINISHED"  # in the folder of a sweep that is running or was ended midway
FLEET, HOSTS = "hosts.csv", "hosts"  # of a fleet's folder: a row a host, and their run folders


def find(path):
    """The run folders at or below path, sorted; a fleet's folder comes before those of its hosts.

    Raises ReportError when there is none.
    """
    if not os.path.isdir(path):
        raise ReportError(f"{path}: " + ("is not a folder" if os.path.exists(path) else "no such folder")
                          + "; a run's folder or a folder of runs is expected")
    found = []
    for folder, below, files in os.walk(path):
        below.sort()
        if FLEET in files:
            found.append(folder)
            below[:] = [HOSTS] if HOSTS in below else []
        elif any(name in files for name in (*DATA, "plan.csv", UNFINISHED)):
            found.append(folder)
            below.clear()
    if not found:
        raise ReportError(f"{path}: no runs here (no folder with matrix.csv or samples.csv); "
                          "harness/run_matrix.sh makes one")
    return found


def is_fleet(folder):
    return os.path.exists(os.path.join(folder, FLEET))


def fleet_of(folder):
    """The fleet's folder of which this is a host's; None where it is not."""
    above, name = os.path.split(os.path.dirname(os.path.abspath(folder)))
    return above if name == HOSTS and is_fleet(above) else None


def refuse_unmerged(folder):
    """Raises ReportError at a fleet's folder whose hosts' results were not put together."""
    if os.path.exists(os.path.join(folder, verdict.FILE)):
        return
    if os.path.exists(os.path.join(folder, UNFINISHED)):
        raise not_ended(folder)
    raise ReportError(f"{folder}: no {verdict.FILE}; harness/run_matrix.sh --merge {shlex.quote(folder)} makes it")


def not_ended(folder):
    """The error that says how to go on: with the fleet, where it is a host's folder in one."""
    return ReportError(f"{folder}: the sweep has not ended; continue with: {resume_command(fleet_of(folder) or folder)}")


def resume_command(folder):
    """What goes on with a sweep, or sweeps the hosts of a fleet that are not ok. folder: not of a host in a fleet."""
    program = "harness/slurm/submit.sh" if "slurm" in environment.load(folder) else "harness/run_matrix.sh"
    return shlex.join([program, "--resume", folder])


def matrix_of(folder):
    """The rows of the run's matrix.csv, made from its samples first where it is absent."""
    return read(folder)[0]


def read(folder):
    """(the rows of matrix.csv, made from the samples first where it is absent; {picture: samples} of single runs).

    Rows that are of a single run's picture are not of the matrix, and a folder with no others gets no matrix.csv.
    """
    matrix, samples = (os.path.join(folder, name) for name in DATA)
    if is_sweep(folder) or not os.path.exists(samples):
        return matrix_of_sweep(folder), {}
    of_matrix, of_pictures = singles.read(samples)
    if os.path.exists(matrix):
        return singles.split(tables.read_matrix(matrix))[0], of_pictures
    if not of_matrix:
        return [], of_pictures
    write_summary(folder, of_matrix)
    return tables.read_matrix(matrix), of_pictures


def is_sweep(folder):
    return os.path.exists(os.path.join(folder, "plan.csv"))


def matrix_of_sweep(folder):
    path = os.path.join(folder, "matrix.csv")
    if not os.path.exists(path):
        if os.path.exists(os.path.join(folder, UNFINISHED)) or not os.path.exists(os.path.join(folder, "samples.csv")):
            raise not_ended(folder)
        summarise_samples(folder)
    return tables.read_matrix(path)


def summarise_samples(folder):
    """matrix.csv from samples.csv; where the plan and cells/ are kept, with the failed and skipped cells."""
    path = os.path.join(folder, "samples.csv")
    if not os.path.isdir(os.path.join(folder, "cells")):
        write_summary(folder, tables.read_samples(path))
        return
    results = collect.reread(folder)
    write_summary(folder, tables.read_samples(path) if results.samples else [], results.reasons(), results.jobs)


def write_summary(folder, samples, failures=None, jobs=()):
    """matrix.csv; returns its rows."""
    from . import summary  # numpy takes long to import: only where there is something to summarise

    run, host = os.path.basename(os.path.abspath(folder)), environment.load(folder).get("host") or ""
    rows = summary.summarise(samples, failures, jobs, run, host)
    summary.write_matrix(folder, rows)
    checksums.renew(folder, checksums.DERIVED)
    return rows
