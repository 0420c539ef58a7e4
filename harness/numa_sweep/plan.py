"""The plan of a sweep: which commands run, in which round and order. A run folder keeps it as plan.csv."""

import os
import random
import shlex
from dataclasses import dataclass

from numa_report import tables

COLUMNS = ("seq", "round", "bench", "cpu", "cpu_node", "mem_node", "skip_reason")

UNSET = tuple(word for name in ("MIN_SIZE", "PAGES", "ON_ERROR", "STATS", "STATS_SIGNAL", "CHECKS")
              for word in ("-u", f"NUMA_ALLOC_{name}"))


@dataclass(frozen=True)
class Job:
    """One command: a bench, pinned to a CPU, with its memory on a node. It may yield several cells."""

    seq: int  # its line in commands.txt and its Seq in GNU parallel's joblog; None when skipped
    round: int
    bench: str
    cpu: int
    cpu_node: int
    mem_node: int
    skip_reason: str = ""

    @property
    def name(self):
        return f"round{self.round}.{self.bench}.cpu{self.cpu}.node{self.mem_node}"

    @property
    def key(self):
        return self.bench, self.cpu, self.mem_node

    def output(self, folder):
        return os.path.join(folder, "cells", f"{self.name}.csv")

    def errors(self, folder):
        return os.path.join(folder, "cells", f"{self.name}.err")


def make(benches, rows, columns, rounds, seed):
    """Every bench x CPU x memory node in every round, each round in its own random order.

    The cells that cannot be measured here come first, once. The order depends on nothing but the arguments.
    """
    cells = [(bench, cpu, cpu_node, mem_node, not_cpu or not_mem)
             for bench in benches for cpu, cpu_node, not_cpu in rows for mem_node, not_mem in columns]
    jobs = [Job(None, None, *cell) for cell in cells if cell[4]]
    todo = [cell for cell in cells if not cell[4]]
    seq = 0
    for number in range(1, rounds + 1):
        random.Random(f"{seed}.{number}").shuffle(todo)
        for cell in todo:
            seq += 1
            jobs.append(Job(seq, number, *cell))
    return jobs


def write(folder, jobs):
    tables.write_table(os.path.join(folder, "plan.csv"), COLUMNS,
                       [{name: getattr(job, name) for name in COLUMNS} for job in jobs])


def read(folder):
    rows = tables.read_table(os.path.join(folder, "plan.csv"), tables.PLAN)
    return [Job(*(row[name] for name in COLUMNS)) for row in rows]


def bench_options(asked):
    """The options for every benchmark, from a sweep's own as environment.json keeps them."""
    return [word for name in ("size", "max_samples", "min_sample_ms") if asked.get(name) is not None
            for word in ("--" + name.replace("_", "-"), str(asked[name]))]


def command(job, more=()):
    """The command of a job, as typed in the project's folder.

    The caller's settings of the library do not reach it: cells of two sweeps would differ in what neither
    shows. env comes after taskset, so that only the benchmark is preloaded. The library's path is relative
    because LD_PRELOAD would split a path with a space or a colon.
    """
    words = ["taskset", "-c", str(job.cpu), "env", *UNSET, f"NUMA_ALLOC_POLICY=bind:{job.mem_node}",
             "LD_PRELOAD=alloc/numa_alloc.so", f"bench/{job.bench}", "--csv", *more]
    return shlex.join(words)


def command_line(job, folder, more=()):
    """The same with its output kept in the run folder: one line for GNU parallel."""
    return (f"exec {command(job, more)} >{shlex.quote(job.output(folder))} 2>{shlex.quote(job.errors(folder))}")
