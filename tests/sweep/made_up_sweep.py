"""Made-up machines, options and runs for the tests of harness/numa_sweep."""

import json
import sys
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[2] / "harness"
sys.path.insert(0, str(HARNESS))

from numa_report import tables  # noqa: E402
from numa_report.schema import BENCHES, SAMPLE_COLUMNS  # noqa: E402
from numa_sweep import axes, options as option_words, plan  # noqa: E402
from numa_sweep.topology import Node, Topology  # noqa: E402


def machine(cpus_of_nodes, without_memory=(), offline=(), allowed_cpus=None, allowed_mems=None):
    """A Topology of {node: its CPUs}."""
    nodes = {number: Node(number, list(cpus), number not in without_memory, 0)
             for number, cpus in cpus_of_nodes.items()}
    every_cpu = {cpu for cpus in cpus_of_nodes.values() for cpu in cpus}
    topology = Topology(nodes, every_cpu if allowed_cpus is None else set(allowed_cpus),
                        set(nodes) if allowed_mems is None else set(allowed_mems))
    topology.offline_cpus = set(offline)
    return topology


TWO_NODES = machine({0: [0, 1], 1: [2, 3]})


def parsed(*words):
    """The options of a command line, as a sweep in some folder has them."""
    options = option_words.parse(list(words))
    options.directory = "/somewhere"
    return options


def cells(*words, topology=TWO_NODES):
    return axes.cells(topology, parsed(*words))


def jobs_of(*words, topology=TWO_NODES):
    options = parsed(*words)
    return plan.make(axes.cells(topology, options), options.rounds, options.seed or 1, not options.no_sentinel)


RECORD = {"version": 1, "started_at": "2026-11-23T10:00:00Z", "wall_s": 1.5, "user_s": 1.25, "system_s": 0.25,
          "peak_memory_bytes": 4 << 20, "minor_faults": 300, "major_faults": 0, "voluntary_switches": 2,
          "involuntary_switches": 1, "exit_status": 0, "signal": 0, "timed_out": False, "setup_status": None,
          "teardown_status": None, "ended_processes": 0}


def leave(folder, job, output="", errors="", **changes):
    """Leaves in the run folder what a run of the job would."""
    Path(folder, "cells").mkdir(parents=True, exist_ok=True)
    Path(job.file(folder, "out")).write_text(output)
    Path(job.file(folder, "err")).write_bytes(errors if isinstance(errors, bytes) else errors.encode())
    Path(job.file(folder, "run")).write_text(json.dumps({**RECORD, **changes}))


def leave_bench(folder, job, value=100.0, samples=5, **changes):
    """Leaves the rows that a benchmark prints; changes: of their columns."""
    leave(folder, job)
    kind = BENCHES[job.bench]
    rows = [{"run": "", "host": "testhost", "round": "", "cell": "", "bench": job.bench, "metric": kind.metric,
             "unit": kind.unit, "cpu": job.cpu, "cpu_node": job.cpu_node, "mem_node": job.mem_node,
             "allocator": job.allocator, "policy": job.policy, "pages": job.pages, "threads": job.threads,
             "size_bytes": 1 << 20, "variant": variant, "value": value, "placement": "verified", "placed_fraction": 1.0,
             "started_at": "2026-11-23T10:00:00Z", **changes} for variant in kind.variants for _ in range(samples)]
    columns = [name for name in dict.fromkeys([*SAMPLE_COLUMNS, *changes]) if name != "sample"]
    tables.write_table(job.file(folder, "out"), columns, rows)
