"""environment.json as tables for people. Nothing in it is relied on: what is absent or of another shape is left out."""

import functools
import math
import shlex

from numa_sweep import options as option_words

from .. import layout
from ..errors import ReportError

MOST_LETTERS = 1000
SAID_ELSEWHERE = ("schema", "host", "started_at", "cpu_model", "topology", "firmware", "memory_devices", "options",
                  "programs", "preflight")
SETTINGS = {
    "cpu": "CPU", "memory_devices_missing": "Memory modules not read", "architecture": "Architecture",
    "kernel": "Kernel", "distribution": "Distribution",
    "transparent_hugepages": "Transparent huge pages", "numa_balancing": "NUMA balancing",
    "zone_reclaim_mode": "Zone reclaim", "governor": "Frequency governor", "turbo": "Turbo",
    "smt": "SMT", "cgroup": "Limits (cgroup)", "load_average": "Load average at the start", "versions": "Versions",
    "git_revision": "Revision of this project", "directory": "Folder of the command", "resumed_at": "Resumed",
}
SWITCHES = {0: "off", 1: "on"}
CLAIMS = {"read_latency": "read latency, ns", "write_latency": "write latency, ns", "read_bandwidth": "read bandwidth, MB/s",
          "write_bandwidth": "write bandwidth, MB/s"}
LEVELS = {"warn": "warning", "note": "note"}
NOT_OF_THE_MEASUREMENT = ("out", "host_name", "hosts", "jobs", "remote_path", "samples_only", "no_pictures", "seed")


def known(value):
    return value if isinstance(value, dict) else {}


def tables(environment):
    """[{title, head, rows}] of everything but the warnings; head is () for a list of names and values."""
    topology, firmware = known(environment.get("topology")), known(environment.get("firmware"))
    found = [{"title": "Nodes", "head": ("node", "CPUs", "memory", "may be used"), "rows": node_rows(topology)},
             matrix("Distances (SLIT; 10 is local)", topology.get("distances"))]
    source = known(firmware.get("hmat")) or known(firmware.get("nearest"))
    of = "HMAT" if firmware.get("hmat") else "HMAT, nearest CPUs alone"
    found += [matrix(f"Firmware's claim: {words} ({of})", source.get(name)) for name, words in CLAIMS.items()]
    found.append({"title": "Memory modules (DMI)", "head": ("slot", "size", "type", "MT/s", "width, bits"),
                  "rows": module_rows(environment.get("memory_devices"))})
    found.append({"title": "Settings", "head": (), "rows": setting_rows(environment)})
    found.append({"title": "Options of the sweep", "head": (), "rows": [
        (name.replace("_", "-"), option_words_of(value)) for name, value in known(environment.get("options")).items()
        if value not in (None, False)]})
    found.append({"title": "Programs (SHA-256)", "head": (), "rows": [
        (words(name), words(digest)) for name, digest in known(environment.get("programs")).items()]})
    return [table for table in found if table["rows"]]


def node_rows(topology):
    nodes = topology.get("nodes")
    return [(words(node.get("id")), words(node.get("cpus")) if node.get("cpus") else "none", memory_words(node),
             words(node.get("memory_allowed"))) for node in (nodes if isinstance(nodes, list) else ())
            if isinstance(node, dict)]


def memory_words(node):
    return size_words(node.get("memory_bytes"), "none" if node.get("has_memory") is False else words(None))


def size_words(size_bytes, otherwise):
    known_size = type(size_bytes) in (int, float) and 0 < size_bytes < math.inf
    return layout.quantity_words(size_bytes, "B") if known_size else otherwise


def module_rows(slots):
    return [(words(" ".join(str(slot[name]) for name in ("locator", "bank") if slot.get(name))),
             size_words(slot.get("size_bytes"), "empty"),
             *(words(slot[name]) if slot.get(name) else "" for name in ("type", "speed_mt_s", "data_width_bits")))
            for slot in (slots if isinstance(slots, list) else ()) if isinstance(slot, dict)]


def matrix(title, figures):
    """{row: {column: figure}} as a table: rows are CPU nodes, columns memory nodes."""
    rows = {name: known(row) for name, row in known(figures).items()}
    columns = sorted({name for row in rows.values() for name in row}, key=lambda name: (len(str(name)), str(name)))
    return {"title": title, "head": ("from node", *(f"to {layout.shortened(str(name), 20)}" for name in columns)),
            "rows": [(words(name), *(words(row[column]) if column in row else "" for column in columns))
                     for name, row in rows.items()]}


def setting_rows(environment):
    rows = [(title, setting_words(name, environment[name])) for name, title in SETTINGS.items()
            if name in environment and not (name == "memory_devices_missing" and environment[name] is None)]
    return rows + [(words(name), words(value)) for name, value in environment.items()
                   if name not in SETTINGS and name not in SAID_ELSEWHERE]


def setting_words(name, value):
    if name in ("numa_balancing", "turbo", "zone_reclaim_mode") and type(value) is int:
        return f"{SWITCHES.get(value, 'on')} ({value})"
    return words(value)


def option_words_of(value):
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return words(shlex.join(value))
    return words(value)


def words(value):
    """Any JSON value on a line."""
    if value is None:
        return "not known"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        said = "; ".join(f"{name} {words(item)}" for name, item in value.items() if item is not None)
    elif isinstance(value, list):
        said = ", ".join(map(words, value))
    else:
        said = f"{value:.10g}" if isinstance(value, float) else str(value)
    return layout.shortened(said, MOST_LETTERS) or "none"


def warnings(environment):
    """(what bench/preflight warned of and noted, warnings first; how many of its checks found nothing)."""
    checks = known(environment.get("preflight")).get("checks")
    checks = [check for check in (checks if isinstance(checks, list) else ()) if isinstance(check, dict)]
    found = [{"level": LEVELS[check["level"]], **{name: words(check.get(name, "")) if check.get(name) else "" for name in
              ("name", "value", "meaning", "do")}} for check in checks if check.get("level") in tuple(LEVELS)]
    return (sorted(found, key=lambda check: check["level"] != LEVELS["warn"]),
            sum(check.get("level") == "ok" for check in checks))


def command_again(environment):
    """The sweep's command line with the options that are not the defaults; None where it is not known."""
    kept = environment.get("options")
    try:
        return shlex.join(["harness/run_matrix.sh", *option_words.words_of_recorded(
            {name: value for name, value in known(kept).items()
             if name not in NOT_OF_THE_MEASUREMENT and value != default_of(name)})]) if kept else None
    except (ReportError, TypeError):
        return None


def default_of(name):
    return getattr(defaults(), name, None)


@functools.lru_cache(maxsize=None)
def defaults():
    return option_words.parse([])
