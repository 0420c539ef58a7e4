"""Is this normal? A run's memory beside published figures of machines of its kind (results/reference/*.csv).

What a page or a verdict asks:

    neighbours(run) -> Neighbours
        .own         Machine: this run's, named and measured as far as it can be (its source, method, ... are "")
        .published   [Machine]: those of the same kind of CPU, the most alike first; [] where none is
        .reason      "" or, where none is near, why, in words: `this is a virtual machine`
    Machine
        .name .cpu_model .microarchitecture .numa_mode    words, "" where not known; numa_mode: `SNC4`, `NPS1`, ...
        .sockets                   None where not known
        .cpu_nodes .memory_only_nodes   how many nodes have CPUs and memory, and memory alone
        .figures                   {name of FIGURES: Span}, in the order of FIGURES, without those that are not known
        .method .note .source (a URL) .source_title .published (a date)
    FIGURES          {name: (title, unit)}: local latency, remote latency, ...; a page's columns
    Span             (low, high) of the cells that a figure is of; low == high where there is one
    span_words(span, unit) -> `87.6–88.2 ns`
    lines(run) -> [str]   `normal: ...`, `unusual: ...` and `peak: ...`, each where there is something to say

Sources measure by other means than bench/latency: with the prefetchers off or on, in larger pages, from one CPU. One
machine's local latency was published as 81 ns by one version of a tool and as 88 ns by the next, and two machines of
one kind as 92 and 101 ns (the Cascade Lake and Haswell files). So a figure counts as normal up to TOLERANCE beyond the
published ones, and nothing finer is said; in base pages up to PAGE_WALK times that, since the benchmark's loads then
wait for page walks too (docs/BENCHMARKS.md has 203 ns beside 159 ns).
"""

import functools
import os
from dataclasses import dataclass, field

from . import layout, processors, tables
from .errors import DataError
from .own_figures import FIGURES, Span, are_base_pages, bandwidth_rows, figures_of, latency_rows, span_words
from .peak import peak_lines
from .verdict.cells import BANDWIDTH, LATENCY, known, nodes_of

__all__ = ["FIGURES", "Machine", "Neighbours", "Span", "lines", "neighbours", "published", "read_published",
           "span_words"]

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "results", "reference")
TOLERANCE, PAGE_WALK = 1.15, 1.3  # see above
MOST_PUBLISHED = 5
# Memory without CPUs is shown beside the published and not judged: they are too few, and of too different devices.
JUDGED = {"local_latency": "local latency", "remote_latency": "remote latency"}

WORDS = ("cpu_model", "microarchitecture", "numa_mode", "method", "note", "source", "source_title", "published")


@dataclass
class Machine:
    """A machine and the figures of its memory."""

    name: str
    cpu_model: str = ""
    microarchitecture: str = ""
    sockets: int = None
    numa_mode: str = ""
    cpu_nodes: int = 0
    memory_only_nodes: int = 0
    figures: dict = field(default_factory=dict)
    method: str = ""
    note: str = ""
    source: str = ""
    source_title: str = ""
    published: str = ""

    @property
    def nodes_a_socket(self):
        return self.cpu_nodes / self.sockets if self.sockets else None


@dataclass
class Neighbours:
    """A run's machine and the published ones that are most like it."""

    own: Machine
    published: list
    reason: str = ""


def neighbours(run):
    """The run's Neighbours. Raises DataError where a file of results/reference is damaged."""
    own = machine_of_run(run)
    cpu = known(run.environment.get("cpu"))
    if cpu.get("virtual") is True:
        return Neighbours(own, [], "this is a virtual machine, whose memory may be anyone's")
    found = [machine for machine in published() if is_near(machine, own)]
    if not found:
        kind = own.microarchitecture or own.cpu_model or "its CPU, which is not known"
        return Neighbours(own, [], f"none of {layout.shortened(kind, 60)}")
    return Neighbours(own, sorted(found, key=lambda machine: distance(machine, own))[:MOST_PUBLISHED])


def is_near(machine, own):
    """Of the same kind of CPU; memory without CPUs depends on its own controller more than on the CPU."""
    return bool(own.microarchitecture) and machine.microarchitecture == own.microarchitecture or \
        own.memory_only_nodes > 0 and machine.memory_only_nodes > 0


def distance(machine, own):
    """Sort key: the nearest first."""
    return (machine.microarchitecture != own.microarchitecture, machine.nodes_a_socket != own.nodes_a_socket,
            bool(machine.memory_only_nodes) != bool(own.memory_only_nodes), machine.sockets != own.sockets,
            machine.cpu_model != own.cpu_model, machine.name)


@functools.lru_cache(maxsize=None)  # a fleet's page asks for each of its hosts
def published(folder=FOLDER):
    """Every machine of the folder, by the names of their files."""
    names = sorted(name for name in os.listdir(folder) if name.endswith(".csv")) if os.path.isdir(folder) else []
    return tuple(read_published(os.path.join(folder, name)) for name in names)


def read_published(path):
    """One file: a machine in one mode. Raises DataError."""
    rows = tables.read_matrix(path)
    about = rows[0]
    for column in ("machine", "sockets", *WORDS):
        if column not in about:
            raise DataError(path, "missing", row=1, column=column)
    if not tables.INTEGER.fullmatch(about["sockets"]):
        raise DataError(path, f"{tables.shown(about['sockets'])} is not a whole number", row=2, column="sockets")
    cpu_nodes = {row["cpu_node"] for row in rows}
    latency, bandwidth = ([row for row in rows if row["bench"] == bench] for bench in (LATENCY, BANDWIDTH))
    return Machine(about["machine"], sockets=int(about["sockets"]), cpu_nodes=len(cpu_nodes),
                   memory_only_nodes=len({row["mem_node"] for row in rows} - cpu_nodes),
                   figures=figures_of(latency, bandwidth, cpu_nodes), **{name: about[name] for name in WORDS})


def machine_of_run(run):
    environment = run.environment
    cpu, nodes = known(environment.get("cpu")), nodes_of(environment)
    name = environment.get("cpu_model")
    with_cpus = {node["id"] for node in nodes if node.get("cpus") and node.get("has_memory") is not False} \
        or {row["cpu_node"] for row in run.rows}
    sockets = cpu.get("sockets")
    sockets = sockets if type(sockets) is int and sockets > 0 else None
    return Machine(
        layout.host_words(run.rows), name if isinstance(name, str) else "", processors.kind_of(name, cpu), sockets,
        mode_words(len(with_cpus), sockets), len(with_cpus),
        len([node for node in nodes if node.get("cpus") == "" and node.get("has_memory") is not False]),
        figures_of(latency_rows(run), [row for row in bandwidth_rows(run) if row["variant"] == "read"], with_cpus))


def mode_words(cpu_nodes, sockets):
    if not sockets or cpu_nodes % sockets:
        return layout.counted(cpu_nodes, "node")
    return "one node a socket" if cpu_nodes == sockets else f"{cpu_nodes // sockets} nodes a socket"


def lines(run):
    """What there is to say of the run's latencies beside published ones, and of its bandwidth beside its modules'."""
    found = neighbours(run)
    in_base_pages = are_base_pages(latency_rows(run), run.environment)
    told = {"normal": [], "unusual": []}
    for name in JUDGED:
        like = comparable(found, name)
        if name in found.own.figures and like:
            kind, words = judged(found.own, like, name, TOLERANCE * (PAGE_WALK if in_base_pages else 1))
            told[kind].append(words)
    pages = "; the run's are of base pages, so page walks are part of them" if in_base_pages else ""
    return [f"{kind}: {'; '.join(words)}{pages}" for kind, words in told.items() if words] + peak_lines(run)


def comparable(found, name):
    """The published machines whose figure of the name is of the same kind as the run's."""
    own = found.own
    like = [machine for machine in found.published
            if name in machine.figures and machine.microarchitecture == own.microarchitecture]
    same = [machine for machine in like if machine.cpu_nodes == own.cpu_nodes
            and (own.sockets is None or machine.sockets == own.sockets)]
    return same if name == "remote_latency" else same or like


def judged(own, like, name, most):
    """(`normal` or `unusual`, words). most: how many times the published figures it may be."""
    unit = FIGURES[name][1]
    span = own.figures[name]
    spans = [machine.figures[name] for machine in like]
    theirs = Span(min(each.low for each in spans), max(each.high for each in spans))
    beside = (f"{layout.counted(len(like), 'published machine')} with {own.microarchitecture} "
              f"({span_words(theirs, unit)})")
    head = f"{JUDGED[name]} {span_words(span, unit)}"
    if span.high > most * theirs.high:
        return "unusual", f"{head} is {span.high / theirs.high:.1f} times that of {beside}"
    if span.low < theirs.low / TOLERANCE:
        return "unusual", f"{head} is below that of {beside}"
    return "normal", f"{head} is near that of {beside}"
