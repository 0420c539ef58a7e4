"""One figure for each CPU node and memory node, out of all of a run's cells."""

from collections import namedtuple
from statistics import median

from numa_report import layout, schema
from numa_report.errors import ReportError
from numa_report.verdict.cells import is_bound
from numa_sweep.topology import parse_list

# values: {CPU node: {memory node: median, in the benchmark's unit}}; words: under which conditions they were measured
Pairs = namedtuple("Pairs", "values words")


def measured(run, bench, variant):
    """The Pairs of a kernel of one of our benchmarks; without values where nothing of it was measured.

    Cells that are ok or noisy count, of one allocator, page size and size: numa_alloc and plain pages before others,
    and the largest size, since what fits a cache is no memory's figure. Of several numbers of threads each CPU node's
    largest counts, of several CPUs of a node their median. Raises ReportError when the cells are of several machines.
    """
    rows = [row for row in run.rows if (row["bench"], row["metric"], row["variant"]) ==
            (bench, schema.BENCHES[bench].metric, variant)
            and is_bound(row) and row["status"] in schema.MEASURED and row["median"]]
    if len({row["host"] for row in rows}) > 1:
        raise ReportError(f"{run.folder}: the cells are of several machines; this format is of one")
    if not rows:
        return Pairs({}, "")
    chosen = min(map(conditions, rows))
    cells, words = {}, {}
    for row in most_threads([row for row in rows if conditions(row) == chosen]):
        cells.setdefault(row["cpu_node"], {}).setdefault(row["mem_node"], []).append(row["median"])
        words[", ".join(layout.condition_words(name, row[name]) for name in schema.CONDITIONS if row[name])] = None
    values = {cpu_node: {node: median(cells[cpu_node][node]) for node in sorted(cells[cpu_node])}
              for cpu_node in sorted(cells)}
    return Pairs(values, " or ".join(words))


def conditions(row):
    """Sort key of what a cell was measured under but for its threads: the one to be shown first."""
    return (*schema.condition_order({**row, "threads": None, "size_bytes": None}), -(row["size_bytes"] or 0))


def most_threads(rows):
    most = {}
    for row in rows:
        most[row["cpu_node"]] = max(most.get(row["cpu_node"], 0), row["threads"] or 0)
    return [row for row in rows if (row["threads"] or 0) == most[row["cpu_node"]]]


def cpus_of_nodes(run):
    """{node: its CPUs, sorted} of environment.json's topology, by rising node; [] of a node without CPUs.

    Raises ReportError where the run's environment does not say.
    """
    try:
        found = {node["id"]: sorted(parse_list(node["cpus"])) for node in run.environment["topology"]["nodes"]}
        return {node: found[node] for node in sorted(found)}
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ReportError(f"{run.folder}: environment.json does not say which nodes and CPUs there are") from None
