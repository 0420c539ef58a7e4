"""Made-up runs for the tests of plot.py --export, and its start as a program."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[2] / "harness"
sys.path.insert(0, str(HARNESS))

from numa_report import schema, tables  # noqa: E402

PLOT = HARNESS / "plot.py"
RECORDED = Path(__file__).parent / "2-socket-cxl.xml"  # lstopo's in the lab's machine of that name, HMAT and all
TWO_NODES = "Package:2 [NUMANode(memory=1GB)] Core:2 PU:1"  # HWLOC_SYNTHETIC: CPUs 0-1 and 2-3
KERNELS = {"latency": ("random",), "bandwidth": ("read", "write", "copy", "triad")}


def cell(bench, variant, cpu_node, mem_node, median, /, **changes):
    """A row of matrix.csv of two CPUs a node."""
    kind = schema.BENCHES.get(bench)
    row = {
        "run": "made-up", "host": "testhost", "bench": bench, "metric": kind.metric if kind else "wall_time",
        "unit": kind.unit if kind else "s", "cpu": 2 * cpu_node, "cpu_node": cpu_node, "mem_node": mem_node,
        "allocator": "numa_alloc", "policy": f"bind:{mem_node}", "pages": "default", "threads": 1,
        "size_bytes": 256 << 20, "variant": variant,
        "median": median, "ci_low": median * 0.99, "ci_high": median * 1.01, "mad": 0.1, "samples": 15,
        "outliers": 0, "status": "ok", "placement": "verified", "placed_fraction": 1.0,
        "started_at": "2026-11-22T13:00:00Z", "rounds": 3, "penalty": 1.0 if cpu_node == mem_node else 1.25, **changes,
    }
    return {"cell": f"{bench}.{variant}.{row['cpu']}.{cpu_node}.{mem_node}.{row['policy']}.{row['size_bytes']}."
                    f"{row['pages']}.{row['threads']}.{row['allocator']}", **row}


def matrix(cpu_nodes=(0, 1), mem_nodes=(0, 1)):
    """Cells whose figures all differ, so that one taken for another is seen."""
    return [cell(bench, variant, i, j,
                 (90.4 if bench == "latency" else 20.0 + 3 * kind) * (1 + 0.37 * i + 0.73 * abs(i - j)))
            for bench, variants in KERNELS.items() for kind, variant in enumerate(variants)
            for i in cpu_nodes for j in mem_nodes]


def environment(nodes=(0, 1), without_cpus=(), **more):
    return {"schema": 1, "host": "testhost", "cpu_model": "Made-up CPU 9000", "topology": {
        "nodes": [{"id": node, "cpus": "" if node in without_cpus else f"{2 * node}-{2 * node + 1}", "has_memory": True,
                   "memory_allowed": True} for node in nodes], **more}}


def write(folder, rows, described=None, topology=None):
    """A run's folder with matrix.csv, environment.json and hwloc's XML (bytes)."""
    folder.mkdir(parents=True)
    tables.write_table(str(folder / "matrix.csv"), schema.MATRIX_COLUMNS, rows)
    (folder / "environment.json").write_text(json.dumps(described or environment()), encoding="utf-8")
    if topology is not None:
        (folder / "topology.xml").write_bytes(topology)
    return folder


def two_nodes():
    """hwloc's XML of a machine of two nodes."""
    return subprocess.run(["lstopo-no-graphics", "--of", "xml"], env={**os.environ, "HWLOC_SYNTHETIC": TWO_NODES},
                          capture_output=True, check=True).stdout


def plot(*arguments, **environ):
    return subprocess.run([sys.executable, str(PLOT), *map(str, arguments)], capture_output=True, text=True,
                          encoding="utf-8", env={**os.environ, **environ}, check=False)


def exported(name, folder):
    """What --export writes of the folder."""
    done = plot("--export", name, folder)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


def refused(*arguments, status=1, **environ):
    """The one line that is said in place of a result."""
    done = plot(*arguments, **environ)
    assert done.returncode == status and done.stdout == "" and done.stderr.count("\n") == 1, (done.stdout, done.stderr)
    return done.stderr


def of_matrix(folder):
    """The rows of matrix.csv, as they stand there."""
    with open(folder / "matrix.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
