"""All that a fleet's folder holds, its hosts read and their own pages written by as many processes as there are CPUs."""

import os
from collections import namedtuple
from concurrent.futures.process import BrokenProcessPool

from numa_sweep import host_rows, merge, odd_hosts

from .. import layout, page, runs
from ..errors import ReportError
from ..run import Run
from ..schema import CONDITIONS
from . import fleet_environments

AT_ONCE = 8  # hosts that a process is given

# Of a row of matrix.csv: what tells a cell from the others, then what was measured.
CELL = ("bench", "metric", "unit", "better", "cell", "variant", "cpu", "cpu_node", "mem_node", "policy", *CONDITIONS)
Figure = namedtuple("Figure", (*CELL, "status", "median", "penalty", "marks"))
# What one process found: the error in words, or [Figure] and environments.described().
Found = namedtuple("Found", "error figures environment")


class Fleet:
    """A fleet's folder. Raises ReportError where hosts.csv is damaged, or the hosts were not put together yet."""

    def __init__(self, folder):
        runs.refuse_unmerged(folder)
        self.folder = folder
        self.name = os.path.basename(os.path.abspath(folder))
        self.rows = with_new_hosts(host_rows.read(folder), folder)
        self.judged = merge.Fleet({row["host"]: row["cpu_model"] for row in self.rows})
        self.cells = {}  # CPU model: {the key of odd_hosts.Medians: the cell's row, without a host's figures}
        self.marks = {}  # (host, the same key): what qualifies the cell
        self.environments = {}  # host: fleet_environments.told()
        self.errors = []  # a line for each host whose data are damaged
        self.pages = set()  # the hosts that have one

    def read(self):
        """Reads every host's run and writes its page. A damaged one is a line in errors, and its row says so."""
        rows = {row["host"]: row for row in self.rows}
        there = [label for label in host_rows.labels(self.folder) if has_run(host_rows.run_folder(self.folder, label))]
        for label, found in zip(there, self.found(there)):
            if found.error:
                self.errors.append(found.error)
                refuse(rows[label], found.error, host_rows.run_folder(self.folder, label))
                continue
            self.pages.add(label)
            self.environments[label] = found.environment
            if host_rows.is_whole(host_rows.run_folder(self.folder, label)):
                self.add(label, found.figures)
        self.judged.judge()

    def found(self, labels):
        page.environment()  # jinja2's, and what takes long to import: once for all processes
        folders = [host_rows.run_folder(self.folder, label) for label in labels]
        try:
            with host_rows.Pool() as pool:
                yield from pool.map(read_host, folders, chunksize=AT_ONCE)
        except BrokenProcessPool:
            raise ReportError(f"{self.folder}: a process that wrote pages was killed; is memory short?") from None

    def add(self, label, figures):
        model = self.judged.models[label]
        cells = self.cells.setdefault(model, {})
        for figure in figures:
            self.judged.add(label, figure)
            key = odd_hosts.key_of(figure)
            if key not in cells and odd_hosts.says_something(figure.metric):
                cells[key] = {**{name: getattr(figure, name) for name in CELL}, "host": "", "median": None}
            if figure.marks:
                self.marks[label, key] = figure.marks

    @property
    def compared(self):
        """{host: its CPU model} of the hosts that have figures."""
        return {host: model for model, hosts in self.judged.medians.hosts.items() for host in hosts}

    @property
    def words(self):
        """The lines of the verdict, as --merge says them."""
        return merge.verdict(self.rows, self.judged)


def with_new_hosts(rows, folder):
    """The rows of hosts.csv, and one for each host whose folder came later."""
    reason = "in hosts/, but not in hosts.csv; harness/run_matrix.sh --merge takes it in"
    return list(rows.values()) + [host_rows.row(label, reason=reason) for label in host_rows.labels(folder)
                                  if label not in rows]


def has_run(folder):
    return any(os.path.exists(os.path.join(folder, name)) for name in (*runs.DATA, "plan.csv", runs.UNFINISHED))


def refuse(row, error, run_folder):
    if row["status"] == host_rows.OK:
        row.update(status=host_rows.FAILED, reason=error.replace(run_folder + "/", ""))


def read_host(folder):
    """Found of a host's run folder, whose page is written."""
    try:
        run = Run(folder)
        page.write(run)
    except (ReportError, OSError) as error:
        words = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        return Found(words, (), {})
    figures = [Figure(*(row.get(name) for name in CELL), row["status"], row["median"], row["penalty"],
                      ", ".join(layout.marks(row))) for row in run.rows]
    return Found("", figures, fleet_environments.told(run.environment))
