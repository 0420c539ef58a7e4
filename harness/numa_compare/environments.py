"""What differs between the machines, kernels and options of two runs, as far as it can change a figure."""

import os
import re
from dataclasses import dataclass

from numa_report import layout
from numa_report.verdict.cells import known

MOST_LETTERS = 60  # of a value
MEMORY, SAME_MEMORY = "memory of node", 1.05  # the kernel keeps a little more or less for itself each time it starts

# What a line is called: where its value stands in environment.json. A part below that is a dictionary has a line each
# of its own values.
PLACES = (
    ("CPU", ("cpu_model",)), ("architecture", ("architecture",)),
    ("kernel", ("kernel", "release")), ("kernel build", ("kernel", "version")), ("distribution", ("distribution",)),
    ("THP", ("transparent_hugepages",)), ("NUMA balancing", ("numa_balancing",)),
    ("zone reclaim", ("zone_reclaim_mode",)), ("governor", ("governor",)), ("turbo", ("turbo",)), ("SMT", ("smt",)),
    ("cgroup", ("cgroup",)), ("allowed CPUs", ("topology", "allowed_cpus")), ("distances", ("topology", "distances")),
    ("last-level cache", ("preflight", "machine", "last_level_cache_bytes")),
    ("version of", ("versions",)), ("git revision", ("git_revision",)), ("option", ("options",)),
)
CHECKS = ("clock_source", "isolated_cpus", "idle_states", "prefetchers", "virtualised")  # of the pre-flight, what stays
# Options that say where, when and how a run is kept, not what is measured.
NO_MATTER = ("out", "seed", "no_pictures", "samples_only", "json_progress", "host_name", "hosts", "jobs", "remote_path",
             "wait", "timeout", "also", "no_sentinel", "plan", "extra_rounds")
DEFAULT = "default"
DRAWING = ("matplotlib", "numpy", "python")  # versions that no measurement depends on


@dataclass(frozen=True)
class Differences:
    """changed: [(what, the first run's value, the other's)] in words; the rest: what only one of them tells."""

    changed: list
    only_first: list
    only_other: list

    def __bool__(self):
        return bool(self.changed)


def differences(before, after):
    """The Differences of two environments; None where one of the runs has none."""
    if not before or not after:
        return None
    first, other = described(before), described(after)
    return Differences([(name, value_words(first[name]), value_words(other[name]))
                        for name in first if name in other and not alike(name, first[name], other[name])],
                       told_alone(first, other), told_alone(other, first))


def told_alone(first, other):
    return [name for name, value in first.items() if name not in other and value != DEFAULT]


def alike(name, a, b):
    if name.startswith(MEMORY) and min(a, b) > 0:
        return max(a, b) / min(a, b) <= SAME_MEMORY
    return a == b


def described(environment):
    """{what: value} of everything that can change a figure. The file may hold anything."""
    found = {}
    for name, place in PLACES:
        value = environment
        for key in place:
            value = known(value).get(key)
        found.update(parts(name, value))
    found.update(nodes(known(environment.get("topology")).get("nodes")))
    checks = known(environment.get("preflight")).get("checks")
    for check in checks if isinstance(checks, list) else ():
        if known(check).get("name") in CHECKS:
            found[check["name"].replace("_", " ")] = check.get("value")
    for path, digest in known(environment.get("programs")).items():
        found[f"build of {os.path.basename(path)}"] = digest[:12] if isinstance(digest, str) else digest
    return {name: value for name, value in found.items() if value is not None}


def parts(name, value):
    """{what: value} of a dictionary's values; of anything else, its own."""
    if not isinstance(value, dict) or name == "distances":
        return {name: value}
    if name == "option":
        return {option_words(key): DEFAULT if part is None else part
                for key, part in value.items() if key not in NO_MATTER}
    return {f"{name} {key}": part for key, part in value.items() if name != "version of" or key not in DRAWING}


def option_words(name):
    return "command" if name == "command" else "--" + name.replace("_", "-")


def nodes(listed):
    found = {}
    for node in listed if isinstance(listed, list) else ():
        node = known(node)
        memory = node.get("memory_bytes")
        found[f"CPUs of node {node.get('id')}"] = node.get("cpus") or "none"
        if type(memory) is int and 0 <= memory < 1 << 60:
            found[f"{MEMORY} {node.get('id')}"] = memory
    return found


def value_words(value):
    if isinstance(value, str):
        words = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28}\b", r"\1", value)
    elif isinstance(value, dict):  # distances, a row a node
        words = " / ".join(" ".join(map(str, row.values())) if isinstance(row, dict) else str(row)
                           for row in value.values())
    elif isinstance(value, list):
        words = " ".join(map(str, value))
    else:
        words = f"{value / (1 << 30):.3g} GiB" if type(value) is int and value >= 1 << 20 else str(value)
    return layout.shortened(words, MOST_LETTERS) or "nothing"
