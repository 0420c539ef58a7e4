"""Measurements of another shape than a matrix, made once behind a sweep's cells (--also): what a report shows beside it.

Each is a single run of one benchmark with memory hand-placed by libnuma, under run_cell like every cell. What it printed
becomes FOLDER/PICTURE.csv: with several runs of one picture their rows follow each other.
"""

import os
import shlex
import subprocess
from collections import namedtuple

from numa_report import singles
from numa_report.errors import ReportError, regular, whole_file

from . import records

TIMEOUT_S = 3600
# program: in bench/, with its arguments but for those that place it; by_memory: a run for each memory of memories()
Single = namedtuple("Single", "picture program arguments by_memory words")
SINGLES = {
    "curve": Single(singles.CURVE, "latency", ("--curve", "--csv"), True, "latency over size"),
    "loaded": Single(singles.LOADED, "loaded", ("--csv",), True, "latency under load"),
    "loaded-matrix": Single(singles.LOADED, "loaded", ("--matrix", "--csv"), False, "whose traffic slows whom down"),
    "core2core": Single(singles.CORE2CORE, "core2core", ("--csv",), False, "hand-overs between CPUs"),
}


class Measurement(namedtuple("Measurement", "name picture program words command")):
    """One run. Its files are named like those of a plan's job."""

    def file(self, folder, ending):
        return os.path.join(folder, "cells", f"{self.name}.{ending}")


def programs(names):
    """The programs in bench/ that these words of --also need."""
    return list(dict.fromkeys(SINGLES[name].program for name in names))


def measurements(names, machine, size=None):
    """The runs that these words of --also stand for on a machine. size: the memory they work on, None for their own."""
    found = []
    for name in names:
        single = SINGLES[name]
        sized = ("--size", size) if size and single.picture != singles.CORE2CORE else ()
        command = (f"bench/{single.program}", *single.arguments, *sized)
        if not single.by_memory:
            found.append(Measurement(f"also.{name}", single.picture, single.program, single.words, command))
            continue
        for cpu, node in memories(machine):
            words = f"{single.words}, CPU {cpu}, memory node {node}"
            found.append(Measurement(f"also.{name}.cpu{cpu}.node{node}", single.picture, single.program, words,
                                     (*command, "--cpu", str(cpu), "--node", str(node))))
    return found


def memories(machine):
    """(CPU, memory node): the lowest CPU's own memory, and the farthest that there is."""
    cpu_node = next((node for node in machine.nodes.values() if set(node.cpus) & machine.allowed_cpus), None)
    if cpu_node is None:
        return []
    cpu = min(set(cpu_node.cpus) & machine.allowed_cpus)
    there = [node.id for node in machine.nodes.values() if node.has_memory and node.id in machine.allowed_mems]
    distances = (machine.distances or {}).get(cpu_node.id, {})
    remote = [node for node in there if node != cpu_node.id]
    farthest = [max(remote, key=lambda node: distances.get(node, 0))] if remote else []
    return [(cpu, node) for node in [node for node in there if node == cpu_node.id] + farthest]


def measure(folder, root, options, wanted, keep, say):
    """Makes the runs that have not been made, then the CSV files. Returns {Measurement: why it failed}.

    keep: descriptors that the runs inherit (the sweep's locks).
    """
    for item in wanted:
        if not is_done(folder, item):
            say(f"also {item.words}")
            records.forget(folder, item)
            run(folder, root, options, item, keep)
    failures = {item: reason for item in wanted for reason in [failure(folder, item)] if reason}
    for picture in dict.fromkeys(item.picture for item in wanted):
        write(folder, picture, [item for item in wanted if item.picture == picture and item not in failures])
    return failures


def is_done(folder, item):
    try:
        return records.read(folder, item) is not None and not failure(folder, item)
    except ReportError:  # a damaged record
        return False


def run(folder, root, options, item, keep):
    command = [os.path.join(root, "harness", "run_cell"), "--record", item.file(folder, "run"), "--output",
               item.file(folder, "out"), "--errors", item.file(folder, "err"), "--timeout",
               str(options.timeout or TIMEOUT_S), "--", *item.command]
    with whole_file(item.file(folder, "sh"), encoding="utf-8", errors="surrogateescape") as file:
        file.write(f"#!/bin/sh\n# {item.words}\ncd {shlex.quote(root)} || exit\nexec {shlex.join(command)}\n")
    unplaced = {name: value for name, value in os.environ.items()
                if name != "LD_PRELOAD" and not name.startswith("NUMA_ALLOC_")}
    # A group of its own: a Ctrl-C then reaches this process alone, which ends run_cell, and that its command.
    process = subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, env=unplaced, pass_fds=keep, text=True,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        said = process.communicate()[1]
    except BaseException:
        process.terminate()
        process.wait()
        raise
    if process.returncode == 120:  # run_cell could not do its own work: a full disk, say
        raise ReportError(said.strip().partition("run_cell: ")[2] or said.strip())


def failure(folder, item):
    """Why the run gave nothing, None where it did."""
    record = records.read(folder, item)
    if record is None:
        return "was not run"
    if record["timed_out"]:
        return "ran past the time limit"
    if record["exit_status"] != 0:
        how = f"signal {record['signal']}" if record["exit_status"] is None else f"exit status {record['exit_status']}"
        return f"{how}: {last_line(item.file(folder, 'err'))}"
    return None


def last_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace", opener=regular) as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        lines = []
    return lines[-1][:200] if lines else "it said nothing"


def write(folder, picture, done):
    """PICTURE.csv from what the runs printed. The same program printed them, so their headers are the same."""
    if not done:
        return
    header, rows = "", []
    for item in done:
        with open(item.file(folder, "out"), encoding="utf-8", opener=regular) as file:
            header = file.readline()
            rows += file
    with whole_file(os.path.join(folder, f"{picture}.csv"), encoding="utf-8") as file:
        file.writelines([header, *rows])
