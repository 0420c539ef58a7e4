"""A run's figures in the form that published ones have: the ns and GB/s of its nodes, from the least to the most."""

from collections import namedtuple

from numa_sweep.topology import parse_list

from . import layout
from .schema import MEASURED, PAGES
from .verdict.cells import BANDWIDTH, LATENCY, is_bound, is_remote, known, nodes_of

# From here on memory was measured, and no cache; what a benchmark chooses itself is larger than the caches.
SURE_SIZE_BYTES = 256 << 20

Span = namedtuple("Span", "low high")
FIGURES = {  # name: (title, unit)
    "local_latency": ("Local latency", "ns"),
    "remote_latency": ("Remote latency", "ns"),
    "latency_penalty": ("Latency penalty", "×"),
    "memory_only_latency": ("Latency of memory without CPUs", "ns"),
    "local_bandwidth": ("Local bandwidth, all CPUs of a node", "GB/s"),
    "remote_bandwidth": ("Remote bandwidth, all CPUs of a node", "GB/s"),
}


def span_words(span, unit):
    """`87.6–88.2 ns`, one figure where both read the same."""
    low, high = (f"{value:.2f}" if unit == "×" else layout.value_words(value) for value in span)
    separator = "" if unit == "×" else " "
    return f"{low}{separator}{unit}" if low == high else f"{low}–{high}{separator}{unit}"


def figures_of(latency, bandwidth, cpu_nodes):
    """{name of FIGURES: Span} of the rows of each benchmark; cpu_nodes: the nodes with CPUs."""
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


def latency_rows(run):
    """The run's cells of memory latency, in the largest pages that it was measured in: published ones mostly are."""
    rows = [row for row in measured_rows(run, LATENCY) if row["variant"] == "random"]
    largest = max(map(page_rank, rows), default=0)
    return [row for row in rows if page_rank(row) == largest]


def page_rank(row):
    return PAGES.index(row["pages"]) if row["pages"] in PAGES else 0


def are_base_pages(rows, environment):
    """Whether the rows' memory may have been in pages of the least size, whose address translation takes its time."""
    huge = known(environment.get("transparent_hugepages")).get("enabled") == "always"
    return bool(rows) and page_rank(rows[0]) == 0 and not huge


def bandwidth_rows(run):
    """The run's cells of bandwidth from a thread for each core of a node or more: fewer need not fill its memory."""
    cpus = {node["id"]: len(cpus_of(node)) for node in nodes_of(run.environment)}
    return [row for row in measured_rows(run, BANDWIDTH)
            if cpus.get(row["cpu_node"]) and 2 * (row["threads"] or 0) >= cpus[row["cpu_node"]]]


def measured_rows(run, bench):
    """The run's cells of one benchmark and one memory node that are of memory, not of caches."""
    chosen = known(run.environment.get("options")).get("sizes")
    return [row for row in run.rows
            if row["bench"] == bench and row["status"] in MEASURED and is_bound(row) and row["median"]
            and (not chosen or (row["size_bytes"] or 0) >= SURE_SIZE_BYTES)]


def cpus_of(node):
    try:
        return parse_list(node.get("cpus") or "")
    except (ValueError, AttributeError):
        return []
