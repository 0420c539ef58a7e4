"""What a reader of another tool's output gives: figures as rows of samples.csv, unknown columns empty, never guessed."""

import re
from collections import Counter, namedtuple

from numa_report.errors import ReportError, UsageError

Place = namedtuple("Place", "cpu_node mem_node")  # as the user says it, None where it is for the tool to say
# tool: its name and version; options: its own words on how it was run; samples, loaded: rows for samples.csv and
# loaded.csv; left_out: what it printed that is of no cell, in words
Found = namedtuple("Found", "tool options samples loaded left_out")
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
    missing = [option for option, value in (("--cpu-node", place.cpu_node), ("--mem-node", place.mem_node)) if value is None]
    if missing:
        raise UsageError(f"--import: {tool} does not say where it ran and where its memory was: {' and '.join(missing)} "
                         "is wanted")


def sample(bench, metric, unit, variant, cpu_node, mem_node, value, round=1, policy=None, **more):
    """A row of samples.csv. policy: bind: to the node where nothing else is said."""
    policy = policy or f"bind:{mem_node}"
    place = f"node{mem_node}" if mem_node is not None else re.sub(r"[^A-Za-z0-9_-]", "-", policy)
    cell = f"{bench}.{variant}.cpus{cpu_node}.{place}" + "".join(f".{word}" for word in more.pop("conditions", ()))
    return {"round": round, "cell": cell, "bench": bench, "metric": metric, "unit": unit, "cpu": None, "cpu_node": cpu_node,
            "mem_node": mem_node, "allocator": "", "policy": policy, "pages": "", "threads": None, "size_bytes": None,
            "variant": variant, "value": value, **more}


def latency(variant, cpu_node, mem_node, value_ns, **more):
    return sample("latency", "load_latency", "ns", variant, cpu_node, mem_node, value_ns, **more)


def bandwidth(variant, cpu_node, mem_node, value_mb_s, **more):
    """value_mb_s: in MB/s of 10^6 bytes."""
    return sample("bandwidth", "bandwidth", "GB/s", variant, cpu_node, mem_node, gb_s(value_mb_s), **more)


def gb_s(value_mb_s):
    return float(f"{value_mb_s / MB_IN_A_GB:.12g}")  # as many digits as there were


def numbered(samples):
    """The samples with their number within cell and round."""
    count = Counter()
    for item in samples:
        key = item["cell"], item["metric"], item["round"]
        count[key] += 1
        item["sample"] = count[key]
    return samples
