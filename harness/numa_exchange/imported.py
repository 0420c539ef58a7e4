"""What a reader of another tool's output gives: rows of samples.csv, where what is unknown is empty, never guessed."""

import re
from collections import Counter, namedtuple

from numa_report.errors import ReportError, UsageError

Place = namedtuple("Place", "cpu_node mem_node")  # as the user says it, None where it is for the tool to say
# tool: its name and version; options: its own words on how it was run; samples, loaded: rows for samples.csv and
# loaded.csv; whole_machine: {what: figure in GB/s or ns}, of no cell; notes: what a reader has to know, in words
Found = namedtuple("Found", "tool options samples loaded whole_machine notes", defaults=((), {}, ()))
NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
MOST_NODE, MOST_FIGURE = 1 << 20, 1e12
MB_IN_A_GB = 1000  # of 10^6 and 10^9 bytes


class Wrong(ReportError):
    """A line that is not what is expected there. number counts from 1."""

    def __init__(self, path, number, what):
        super().__init__(f"{path}:{number}: {what}")


def figure(path, number, word):
    """A measurement: a number above 0, with a point where it has one."""
    if not NUMBER.fullmatch(word) or not 0 < float(word) < MOST_FIGURE:
        raise Wrong(path, number, f"{shown(word)} is not a measurement; a number above 0, such as 88.2, is expected")
    return float(word)


def node(path, number, word):
    if not re.fullmatch(r"[0-9]{1,7}", word) or int(word) > MOST_NODE:
        raise Wrong(path, number, f"{shown(word)} is not the number of a node")
    return int(word)


def shown(word):
    text = ascii(word)
    return text if len(text) <= 40 else text[:36] + "...'"


def need_place(place, tool):
    """Raises UsageError where the user has not said what the tool does not."""
    options = {"--cpu-node": place.cpu_node, "--mem-node": place.mem_node}
    missing = [option for option, value in options.items() if value is None]
    if missing:
        raise UsageError(f"--import: {tool} does not say where it ran and where its memory was: "
                         f"{' and '.join(missing)} is wanted")


def sample(bench, metric, unit, variant, cpu_node, mem_node, value, threads=None, size_bytes=None):
    """A row of samples.csv, of memory on one node. Its round and number within it are given by in_rounds()."""
    conditions = [f"t{threads}"] if threads is not None else []
    conditions += [str(size_bytes)] if size_bytes is not None else []
    return {"cell": ".".join([bench, variant, f"cpus{cpu_node}", f"node{mem_node}", *conditions]), "bench": bench,
            "metric": metric, "unit": unit, "cpu": None, "cpu_node": cpu_node, "mem_node": mem_node, "allocator": "",
            "policy": f"bind:{mem_node}", "pages": "", "threads": threads, "size_bytes": size_bytes, "variant": variant,
            "value": value}


def latency(variant, cpu_node, mem_node, value_ns, **conditions):
    """As sample()."""
    return sample("latency", "load_latency", "ns", variant, cpu_node, mem_node, value_ns, **conditions)


def bandwidth(variant, cpu_node, mem_node, value_mb_s, **conditions):
    """As sample(). value_mb_s: in MB/s of 10^6 bytes."""
    return sample("bandwidth", "bandwidth", "GB/s", variant, cpu_node, mem_node, gb_s(value_mb_s), **conditions)


def gb_s(value_mb_s):
    """GB/s of 10^9 bytes, in as many digits as there were."""
    return float(f"{value_mb_s / MB_IN_A_GB:.12g}")


def in_rounds(runs):
    """All rows of some runs of a tool, in turn: a cell's round is how many of the runs, up to its own, had the cell."""
    rounds, rows = Counter(), []
    for of_run in runs:
        rounds.update({row["cell"] for row in of_run})
        numbers = Counter()
        for row in of_run:
            numbers[row["cell"]] += 1
            rows.append({**row, "round": rounds[row["cell"]], "sample": numbers[row["cell"]]})
    return rows
