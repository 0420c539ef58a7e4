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
    lines(run) -> [str]   one or two of words: normal, or what is not. [] where nothing can be said

Sources measure by other means than bench/latency: with the prefetchers off or on, in larger pages, from one CPU. One
machine's local latency was published as 81 ns by one version of a tool and as 88 ns by the next, and two machines of the
same CPU as 92 and 101 ns (the Cascade Lake and Haswell files). So a figure counts as normal up to TOLERANCE beyond the
published ones, and nothing finer is said.
"""

import functools
import os
from collections import namedtuple
from dataclasses import dataclass, field

from numa_sweep.topology import parse_list

from . import layout, processors, tables
from .schema import MEASURED, PAGES
from .verdict.cells import BANDWIDTH, LATENCY, is_bound, is_remote, known, nodes_of, nodes_without_cpus

FOLDER = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "results", "reference")
TOLERANCE = 1.15  # see above
SURE_SIZE_BYTES = 256 << 20  # from here on memory was measured, and no cache; the benchmark's own choice is larger than them
MOST_PUBLISHED = 5

Span = namedtuple("Span", "low high")
FIGURES = {
    "local_latency": ("Local latency", "ns"),
    "remote_latency": ("Remote latency", "ns"),
    "latency_penalty": ("Latency penalty", "×"),
    "memory_only_latency": ("Latency of memory without CPUs", "ns"),
    "local_bandwidth": ("Local read bandwidth, all CPUs of a node", "GB/s"),
    "remote_bandwidth": ("Remote read bandwidth, all CPUs of a node", "GB/s"),
}

# A published figure is of a node: which of its CPUs measured it is rarely said.
ROWS = {**tables.MATRIX, "cpu": tables.optional(tables.whole), "machine": tables.named, "cpu_model": tables.named,
        "microarchitecture": tables.named, "sockets": tables.whole, "numa_mode": tables.text, "source": tables.named,
        "source_title": tables.named, "published": tables.named, "method": tables.named, "note": tables.text}


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
    """The published machines of the run's kind. Raises DataError where a file of results/reference is damaged."""
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
    rows = tables.read_table(path, ROWS)
    first = rows[0]
    cpu_nodes = {row["cpu_node"] for row in rows}
    words = {name: first[name] for name in ("cpu_model", "microarchitecture", "sockets", "numa_mode", "method", "note",
                                            "source", "source_title", "published")}
    return Machine(first["machine"], cpu_nodes=len(cpu_nodes), figures=figures_of(rows, rows, cpu_nodes),
                   memory_only_nodes=len({row["mem_node"] for row in rows} - cpu_nodes), **words)


def machine_of_run(run):
    environment = run.environment
    cpu, nodes = known(environment.get("cpu")), nodes_of(environment)
    name = environment.get("cpu_model")
    with_cpus = {node["id"] for node in nodes if node.get("cpus")} or {row["cpu_node"] for row in run.rows}
    sockets = cpu.get("sockets")
    sockets = sockets if type(sockets) is int and sockets > 0 else None
    return Machine(
        layout.host_words(run.rows), name if isinstance(name, str) else "", processors.kind_of(name, cpu), sockets,
        mode_words(len(with_cpus), sockets), len(with_cpus),
        len([node for node in nodes if node.get("cpus") == "" and node.get("has_memory") is not False]),
        figures_of(latency_rows(run), bandwidth_rows(run), with_cpus - nodes_without_cpus(environment)))


def mode_words(cpu_nodes, sockets):
    if not sockets or cpu_nodes % sockets:
        return layout.counted(cpu_nodes, "node")
    return "one node a socket" if cpu_nodes == sockets else f"{cpu_nodes // sockets} nodes a socket"


def latency_rows(run):
    """The run's cells of memory latency in the largest pages that it was measured in: published ones are in large ones."""
    rows = [row for row in run.rows if row["bench"] == LATENCY and row["variant"] == "random" and row["status"] in MEASURED
            and is_bound(row) and row["median"] and is_surely_memory(row, run.environment)]
    largest = max((page_rank(row) for row in rows), default=0)
    return [row for row in rows if page_rank(row) == largest]


def page_rank(row):
    return PAGES.index(row["pages"]) if row["pages"] in PAGES else 0


def is_surely_memory(row, environment):
    chosen = known(environment.get("options")).get("sizes")
    return not chosen or (row["size_bytes"] or 0) >= SURE_SIZE_BYTES


def bandwidth_rows(run):
    """The run's cells of read bandwidth from a thread for each core of a node or more: fewer need not fill its memory."""
    cpus = {node["id"]: len(cpus_of(node)) for node in nodes_of(run.environment)}
    return [row for row in run.rows if row["bench"] == BANDWIDTH and row["variant"] == "read" and row["status"] in MEASURED
            and is_bound(row) and row["median"] and cpus.get(row["cpu_node"]) and is_surely_memory(row, run.environment)
            and 2 * (row["threads"] or 0) >= cpus[row["cpu_node"]]]


def cpus_of(node):
    try:
        return parse_list(node.get("cpus") or "")
    except (ValueError, AttributeError):
        return []


def figures_of(latency, bandwidth, cpu_nodes):
    """{name of FIGURES: Span}; cpu_nodes: the nodes with CPUs."""
    latency = [row for row in latency if row["bench"] == LATENCY]
    bandwidth = [row for row in bandwidth if row["bench"] == BANDWIDTH]
    far = [row for row in latency if is_remote(row) and row["mem_node"] in cpu_nodes]
    parts = {
        "local_latency": [row["median"] for row in latency if not is_remote(row)],
        "remote_latency": [row["median"] for row in far],
        "latency_penalty": [row["penalty"] for row in far],
        "memory_only_latency": [row["median"] for row in latency if row["mem_node"] not in cpu_nodes],
        "local_bandwidth": [row["median"] for row in bandwidth if not is_remote(row)],
        "remote_bandwidth": [row["median"] for row in bandwidth if is_remote(row) and row["mem_node"] in cpu_nodes],
    }
    values = {name: [value for value in part if value is not None] for name, part in parts.items()}
    return {name: Span(min(part), max(part)) for name, part in values.items() if part}


def span_words(span, unit):
    """`87.6–88.2 ns`, one figure where both read the same."""
    low, high = (f"{value:.2f}" if unit == "×" else layout.value_words(value) for value in span)
    separator = "" if unit == "×" else " "
    return f"{low}{separator}{unit}" if low == high else f"{low}–{high}{separator}{unit}"


def lines(run):
    """What there is to say of the run's latencies beside the published ones."""
    found = neighbours(run)
    if not found.own.figures or not found.published:
        return []
    told = []
    for name in ("local_latency", "remote_latency", "memory_only_latency"):
        like = comparable(found, name)
        if name in found.own.figures and like:
            told.append((name, judged(found.own, like, name)))
    well = [words for _, (is_well, words) in told if is_well]
    odd = [words for _, (is_well, words) in told if not is_well]
    return [f"normal: {'; '.join(well)}"] * bool(well) + [f"unusual: {'; '.join(odd)}"] * bool(odd)


def comparable(found, name):
    """The published machines whose figure of the name is of the same kind as the run's."""
    own = found.own
    like = [machine for machine in found.published if name in machine.figures]
    if name == "memory_only_latency":
        return like
    like = [machine for machine in like if machine.microarchitecture == own.microarchitecture]
    same = [machine for machine in like if machine.cpu_nodes == own.cpu_nodes
            and (own.sockets is None or machine.sockets == own.sockets)]
    return same if name == "remote_latency" else same or like


def judged(own, like, name):
    """(whether the figure is within what was published, words)."""
    title, unit = FIGURES[name]
    span = own.figures[name]
    all_of_them = Span(min(machine.figures[name].low for machine in like), max(machine.figures[name].high for machine in like))
    beside = (f"{span_words(all_of_them, unit)} of {layout.counted(len(like), 'published machine')}"
              + (f" with {own.microarchitecture}" if name != "memory_only_latency" else ""))
    head = f"{title.lower()} {span_words(span, unit)} is"
    if span.high > TOLERANCE * all_of_them.high:
        return False, f"{head} {span.high / all_of_them.high:.1f} times the {beside}"
    if span.low < all_of_them.low / TOLERANCE:
        return False, f"{head} below the {beside}"
    return True, f"{head} within the {beside}, as far as methods agree"
