"""The script of each run, cells/NAME.sh: what GNU parallel starts, and what a person may start again by hand."""

import os
import shlex
import sys

from numa_report.errors import ReportError, whole_file

from . import placing, workload

TIMEOUT_S = {"bench": 300, "command": 3600}


def library_words(options, root):
    """What LD_PRELOAD gets for numa_alloc; relative for benchmarks, since the loader splits a path with a space or colon."""
    if not options.command:
        return "alloc/numa_alloc.so"
    path = os.path.join(root, "alloc", "numa_alloc.so")
    if any(letter in path for letter in " :"):
        raise ReportError(f"{path}: a path with a space or colon cannot be preloaded; move or link the project to another")
    return path


def placed_words(job, options, root, folder):
    preloads = dict(word.partition("=")[::2] for word in options.allocators.split(","))
    library = library_words(options, root) if job.allocator == "numa_alloc" else None
    stats = os.path.join(job.file(folder, "stats"), "%p.json") if options.command else None
    return placing.words(job, library, preloads.get(job.allocator, ""), stats)


def command_line(job, options, root, folder):
    """The command of a job as it could be typed in its working folder."""
    return shlex.join(workload.command(job, options, placed_words(job, options, root, folder)))


def timeout_s(options):
    return options.timeout or TIMEOUT_S["command" if options.command else "bench"]


def script(job, options, root, folder, conductor_fd):
    placed = placed_words(job, options, root, folder)
    runner = [os.path.join(root, "harness", "run_cell"), "--record", job.file(folder, "run"),
              "--output", job.file(folder, "out"), "--errors", job.file(folder, "err"), "--timeout", str(timeout_s(options))]
    for name in ("setup", "teardown"):
        if getattr(options, name):
            runner += [f"--{name}", workload.filled(getattr(options, name), job, placed)]
    lines = ["#!/bin/sh", f"# {job.kind} {job.round}: {job.words()}", f"cd {shlex.quote(options.directory)} || exit"]
    if options.command and job.allocator == "numa_alloc":
        lines.append(f"mkdir -p {shlex.quote(job.file(folder, 'stats'))} || exit")
    words = shlex.join(workload.command(job, options, placed))
    lines.append(f'exec {shlex.join(runner)} ${{{conductor_fd}:+--conductor "${conductor_fd}"}} -- {words}')
    return "".join(line + "\n" for line in lines)


def write(folder, jobs, options, root, conductor_variable):
    """Scripts of the jobs, where they are not there as they should be, and jobs.txt: every job's, in order."""
    for job in jobs:
        text = script(job, options, root, folder, conductor_variable)
        path = job.file(folder, "sh")
        if read(path) != text:
            # The paths' own bytes, whatever this process takes them to spell.
            with whole_file(path, encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
                file.write(text)
    with whole_file(os.path.join(folder, "jobs.txt"), encoding="utf-8") as file:
        file.writelines(f"{job.name}\n" for job in jobs)


def read(path):
    try:
        with open(path, encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
            return file.read()
    except OSError:
        return None
