"""What the verdict's parts have in common: which cells can speak, how two are compared, and the words for them."""

from statistics import median

from .. import layout
from ..schema import CONDITIONS, FEWEST_SAMPLES, HIGHER, MEASURED, is_main

# The quantities have the names of the benchmarks that measure them.
LATENCY, BANDWIDTH = QUANTITIES = ("latency", "bandwidth")
DIFFERENT = 1.10  # over this, and beyond the intervals, one median is another than the other
MOST_NAMES = 3

WHOLE = ("host", "bench", "metric", "variant", *CONDITIONS)  # what the cells of one matrix have in common


def key_of(row, *names):
    return tuple(row.get(name) for name in names)


def grouped(rows, *names):
    """{key_of(row, *names): its rows} in the rows' order."""
    found = {}
    for row in rows:
        found.setdefault(key_of(row, *names), []).append(row)
    return found


def is_bound(row):
    """Whether its memory is one node's, and no other's."""
    return row["mem_node"] is not None and layout.column(row) == row["mem_node"]


def is_remote(row):
    return row["mem_node"] is not None and row["cpu_node"] != row["mem_node"]


def measured(rows):
    """The cells with a figure, measured as asked, of a metric with a table of its own."""
    return [row for row in rows if row["status"] in MEASURED and row["median"] and is_main(row["metric"])]


def usable(rows):
    """The cells that claims are made of: measured, with an interval."""
    return [row for row in measured(rows) if row["samples"] >= FEWEST_SAMPLES
            and row["ci_low"] is not None and row["ci_high"] is not None]


def are_apart(a, b):
    """Whether the intervals of two rows do not meet."""
    return a["ci_high"] < b["ci_low"] or b["ci_high"] < a["ci_low"]


def times(a, b):
    """How many times the one median is of the other, at least 1."""
    return max(a["median"], b["median"]) / min(a["median"], b["median"])


def best_of(rows):
    return (max if rows[0]["better"] == HIGHER else min)(rows, key=lambda row: row["median"])


def is_better(a, b):
    """Whether the row `a` is of a better value than the row `b` of the same metric."""
    return a["median"] > b["median"] if a["better"] == HIGHER else a["median"] < b["median"]


def nodes_without_cpus(environment):
    """The ids of the nodes of which environment.json says so."""
    return {node["id"] for node in nodes_of(environment) if node.get("cpus") == ""}


def nodes_with_memory(environment):
    """The ids of the nodes of which environment.json says so."""
    return {node["id"] for node in nodes_of(environment) if node.get("has_memory") is True}


def nodes_of(environment):
    nodes = known(environment.get("topology")).get("nodes")
    return [node for node in nodes if isinstance(node, dict) and type(node.get("id")) is int] if isinstance(
        nodes, list) else []


def known(value):
    """The dictionary of environment.json, or {} where it is something else: the file may have been edited."""
    return value if isinstance(value, dict) else {}


def figures_of(table):
    """{(CPU node, memory node): figure} of a table of environment.json: of whatever in it is one."""
    return {(int(initiator), int(target)): figure for initiator, row in known(table).items()
            for target, figure in known(row).items()
            if is_id(initiator) and is_id(target) and type(figure) in (int, float) and 0 < figure < 1e18}


def is_id(word):
    return isinstance(word, str) and word.isascii() and word.isdigit() and len(word) < 10


# Words.

def value_words(row):
    return layout.quantity_words(row["median"], row["unit"])


def median_words(rows):
    return layout.quantity_words(median(row["median"] for row in rows), rows[0]["unit"])


def metric_words(row):
    """`latency`, `bandwidth`, `redis-server's wall_time`"""
    if row["bench"] in QUANTITIES:
        return row["bench"]
    return f"{layout.shortened(row['bench'], 30)}'s {layout.shortened(row['metric'], 40)}"


def series_words(row):
    """`copy, 1 thread` of a bandwidth; nothing of a latency or a program."""
    if row["bench"] != BANDWIDTH:
        return ""
    words = [layout.shortened(row["variant"], 20)]
    if row.get("threads"):
        words.append(layout.counted(row["threads"], "thread"))
    return ", ".join(words)


def conditions_words(row, rows):
    """`allocator glibc, pages thp`: what tells the row's panel from its figure's others, but for the variant."""
    figure = [other for other in rows if (other["bench"], other["metric"]) == (row["bench"], row["metric"])]
    words = [layout.condition_words(name, row[name]) for name in layout.varying(figure)
             if row[name] and not (name == "threads" and row["bench"] == BANDWIDTH)]
    return ", ".join(layout.shortened(word, 40) for word in words)


def quantity_words(row, rows):
    """`bandwidth (copy, 1 thread, pages thp)`: what of the row tells its matrix from the others of `rows`."""
    return metric_words(row) + bracketed(joined(series_words(row), conditions_words(row, rows)))


def path_words(row, single=()):
    """single: the nodes each CPU of which was measured by itself."""
    cpus = f"CPU {row['cpu']}" if row["cpu_node"] in single else "CPUs"
    return f"{cpus} of node {row['cpu_node']} to memory of node {row['mem_node']}"


def nodes_by_cpu(rows):
    """The nodes of whose CPUs several were measured."""
    return {node for (node,), of_node in grouped(rows, "cpu_node").items() if len({row["cpu"] for row in of_node}) > 1}


def cell_words(row):
    return layout.shortened(row["cell"], 60)


def nodes_words(nodes):
    """`node 3`, `nodes 0 and 3`"""
    nodes = sorted(set(nodes))
    return ("node " if len(nodes) == 1 else "nodes ") + listed(map(str, nodes))


def joined(*words):
    return ", ".join(word for word in words if word)


def bracketed(words):
    return f" ({words})" if words else ""


def listed(words):
    """`a`, `a and b`, `a, b and c`"""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def and_more(number):
    return [f"{number} more"] if number > 0 else []
