"""--export prometheus: every cell in the text form of Prometheus, for the textfile collector of node_exporter.

The form: https://prometheus.io/docs/instrumenting/exposition_formats/ (version 0.0.4); base units and names by
https://prometheus.io/docs/practices/naming/. No timestamps: the textfile collector refuses them.
"""

import re

from numa_report import schema

PREFIX = "numa_alloc"
LABELS = ("host", "cpu_node", "cpu", "mem_node", "policy", "allocator", "pages", "threads", "size_bytes", "bench",
          "variant")

# {unit of the data, or what is before its "/": (the base unit's name in a metric's name, how many of it one is)}
BASE_UNITS = {
    "s": ("seconds", 1), "ms": ("seconds", 1e-3), "us": ("seconds", 1e-6), "ns": ("seconds", 1e-9),
    "B": ("bytes", 1), "kB": ("bytes", 1e3), "KB": ("bytes", 1e3), "MB": ("bytes", 1e6), "GB": ("bytes", 1e9),
    "KiB": ("bytes", 1 << 10), "MiB": ("bytes", 1 << 20), "GiB": ("bytes", 1 << 30),
    "%": ("ratio", 1e-2), "1": ("", 1), "faults": ("", 1),
}


def text(run):
    """A family for each metric, then the penalties and the statuses of all cells.

    A cell that is not ok or noisy has its status alone: a dashboard would show its value as if it were any other's.
    """
    lines, taken = [], {"penalty_ratio", "cell_status"}
    families = {}
    for row in run.rows:
        families.setdefault((row["metric"], row["unit"]), []).append(row)
    for (metric, unit), rows in families.items():
        base, scale = base_unit(unit)
        name = family_name(metric, base, taken)
        lines += family(name, f"Median of {metric}",
                        [(labels_of(row), row["median"] * scale) for row in rows
                         if row["status"] in schema.MEASURED])
    lines += family("penalty_ratio", "How many times worse than the local cell of the same CPU",
                    [({**labels_of(row), "metric": row["metric"]}, row["penalty"]) for row in run.rows
                     if row["penalty"] is not None])
    lines += family("cell_status", "1; the label status says how a cell was measured: " + ", ".join(schema.STATUSES),
                    [({**labels_of(row), "metric": row["metric"], "status": row["status"]}, 1) for row in run.rows])
    return "\n".join(lines) + "\n"


def family(name, meaning, samples):
    """The lines of one metric, none without samples."""
    if not samples:
        return []
    full = f"{PREFIX}_{name}"
    return [f"# HELP {full} {escaped(meaning)}", f"# TYPE {full} gauge",
            *(f"{full}{{{label_words(labels)}}} {value:.9g}" for labels, value in samples)]


def family_name(metric, base, taken):
    """A name of letters, digits and _ that no other of the run's metrics has, which is added to `taken`."""
    name = name_part(metric) or "metric"
    if base and not name.endswith(base):
        name += f"_{base}"
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def base_unit(unit):
    """(its words in a metric's name, how many of that one is): GB/s is (bytes_per_second, 1e9)."""
    above, _, below = unit.partition("/")
    name, scale = BASE_UNITS.get(above) or (name_part(above), 1)
    if below:
        name += "_per_" + ("second" if below == "s" else name_part(below))
    return name.strip("_"), scale


def name_part(words):
    return re.sub(r"[^a-zA-Z0-9]+", "_", words).strip("_")


def labels_of(row):
    return {name: str(row[name]) for name in LABELS if row[name] not in (None, "")}


def label_words(labels):
    return ",".join(name + '="' + escaped(value).replace('"', '\\"') + '"' for name, value in labels.items())


def escaped(words):
    return words.replace("\\", "\\\\").replace("\n", "\\n")
