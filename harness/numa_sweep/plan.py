"""The plan of a sweep: which runs there are, in which round and order. A run folder keeps it as plan.csv.

A run (`Job`) is one start of a command in one cell. Its number `seq` is its place in the order of running, and its Seq in
GNU parallel's joblog; rows without one are cells that cannot be measured here. Rounds after those asked for ("extra") are
appended once the first ones disagree.
"""

import os
import random
import re
from collections import namedtuple
from dataclasses import dataclass, field, fields

from numa_report import tables

CELL, SENTINEL, EXTRA = KINDS = ("cell", "sentinel", "extra")
SENTINEL_EVERY = 32  # runs at most between two of the sentinel

# What a run yields: also the cells of runs that gave nothing have these rows.
Expected = namedtuple("Expected", "metric unit better variant")


@dataclass(frozen=True)
class Cell:
    """One combination of the axes."""

    bench: str
    place: str  # what tells it from the bench's other cells, in letters fit for a file's name
    cpus: str  # what it is pinned to, as a list
    cpu: int  # the first of them
    cpu_node: int
    mem_node: int  # None where the policy names no single node
    policy: str
    allocator: str
    pages: str
    threads: int
    size: str  # as asked for, "" for a benchmark's own
    skip_reason: str = ""
    expected: tuple = field(default=(), compare=False)

    @property
    def key(self):
        return self.bench, self.place

    @property
    def is_local(self):
        return self.policy == f"bind:{self.cpu_node}"

    def cell_id(self, variant):
        return f"{self.bench}.{variant}.{self.place}"

    def words(self):
        """For people."""
        memory = f"memory node {self.mem_node}" if self.policy == f"bind:{self.mem_node}" else self.policy
        cpus = f"CPU {self.cpus}" if self.cpus == str(self.cpu) else f"CPUs {self.cpus}"
        more = [self.allocator] if self.allocator != "numa_alloc" else []
        more += [self.pages + " pages"] if self.pages != "default" else []
        more += [self.size] if self.size else []
        return ", ".join([self.bench, f"{cpus} of node {self.cpu_node}", memory, *more])


@dataclass(frozen=True)
class Job(Cell):
    seq: int = None
    kind: str = CELL
    round: int = None

    @property
    def name(self):
        word = SENTINEL if self.kind == SENTINEL else "round"
        return f"{word}{self.round}.{self.bench}.{self.place}"

    def file(self, folder, ending):
        return os.path.join(folder, "cells", f"{self.name}.{ending}")


COLUMNS = ("seq", "kind", "round", *(item.name for item in fields(Cell) if item.name != "expected"))


def job_of(cell, seq=None, kind=CELL, number=None):
    return Job(**{item.name: getattr(cell, item.name) for item in fields(Cell)}, seq=seq, kind=kind, round=number)


def make(cells, rounds, seed, sentinel=True):
    """Every cell in every round, each round in its own random order, with the sentinel's runs between.

    The cells that cannot be measured here come first, once. The order depends on nothing but the arguments.
    """
    jobs = [job_of(cell) for cell in cells if cell.skip_reason]
    todo = [cell for cell in cells if not cell.skip_reason]
    watched = sentinel_of(todo) if sentinel else None
    order = []  # (cell, kind, round)
    for number in range(1, rounds + 1):
        random.Random(f"{seed}.{number}").shuffle(todo)
        for place, cell in enumerate(todo):
            if watched and place % SENTINEL_EVERY == 0:
                order.append((watched, SENTINEL, None))
            order.append((cell, CELL, number))
    if watched:
        order.append((watched, SENTINEL, None))
    counted = 0
    for seq, (cell, kind, number) in enumerate(order, start=1):
        if kind == SENTINEL:
            counted += 1
            number = counted
        jobs.append(job_of(cell, seq, kind, number))
    return jobs


def sentinel_of(cells):
    """The first local cell, or the first: None for a sweep of one cell, whose own rounds show a drift."""
    return next((cell for cell in cells if cell.is_local), cells[0]) if len(cells) > 1 else None


def extra_round(jobs, cells):
    """A further round of these cells (their keys), in the order in which they were planned."""
    number = max(job.round for job in jobs if job.seq and job.kind != SENTINEL)
    seq = max(job.seq for job in jobs if job.seq)
    first = {}
    for job in jobs:
        if job.seq and job.kind == CELL:
            first.setdefault(job.key, job)
    again = [job for key, job in first.items() if key in cells]
    return [job_of(job, seq + place, EXTRA, number + 1) for place, job in enumerate(again, start=1)]


def write(folder, jobs):
    tables.write_table(os.path.join(folder, "plan.csv"), COLUMNS,
                       [{name: getattr(job, name) for name in COLUMNS} for job in jobs])


def read(folder, expected=lambda bench: ()):
    """expected: what a run of a bench yields, which plan.csv does not keep."""
    rows = tables.read_table(os.path.join(folder, "plan.csv"), TABLE)
    return [Job(**{name: row[name] for name in COLUMNS}, expected=expected(row["bench"])) for row in rows]


PLACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,:=@+-]*")


def place(field):
    """A run's files are named by it, and its script is what GNU parallel starts: no path, no line end."""
    if not PLACE.fullmatch(field):
        raise ValueError(f"{tables.shown(field)} cannot name a run")
    return field


TABLE = {
    "seq": tables.optional(tables.whole), "kind": tables.one_of(KINDS), "round": tables.optional(tables.whole),
    "bench": place, "place": place, "cpus": tables.named, "cpu": tables.whole, "cpu_node": tables.whole,
    "mem_node": tables.optional(tables.whole), "policy": tables.named, "allocator": tables.named, "pages": tables.named,
    "threads": tables.whole, "size": tables.text, "skip_reason": tables.text,
}
