"""Made-up runs and machines for the tests of harness/numa_report and harness/plot.py."""

import json
import struct
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).resolve().parents[2] / "harness"
sys.path.insert(0, str(HARNESS))

from numa_report import schema  # noqa: E402


def sample(bench="latency", variant=None, cpu=0, cpu_node=0, mem_node=0, value=100.0, round=1, sample=1, **changes):
    """One row of samples.csv, typed as the readers type it."""
    kind = schema.BENCHES[bench]
    variant = variant or kind.variants[0]
    row = {
        "run": "made-up", "host": "testhost", "round": round,
        "cell": schema.cell_id(bench, variant, cpu, mem_node), "bench": bench, "metric": kind.metric,
        "unit": kind.unit, "cpu": cpu, "cpu_node": cpu_node, "mem_node": mem_node, "allocator": "numa_alloc",
        "policy": f"bind:{mem_node}", "pages": "default", "threads": 1, "size_bytes": 256 << 20,
        "variant": variant, "value": value, "placement": "verified", "placed_fraction": 1.0,
        "started_at": "2026-11-22T13:00:00Z", "sample": sample,
    }
    row.update(changes)
    return row


def job(bench="latency", cpu=0, cpu_node=0, mem_node=0, round=1, skip_reason="", **changes):
    """A run of a sweep's plan; without a number when it is skipped."""
    from numa_sweep import plan
    kind = schema.BENCHES[bench]
    expected = tuple(plan.Expected(kind.metric, kind.unit, schema.better_of(kind.unit), variant)
                     for variant in kind.variants)
    fields = {
        "bench": bench, "place": f"cpu{cpu}.node{mem_node}", "cpus": str(cpu), "cpu": cpu, "cpu_node": cpu_node,
        "mem_node": mem_node, "policy": f"bind:{mem_node}", "allocator": "numa_alloc", "pages": "default", "threads": 1,
        "size": "", "skip_reason": skip_reason, "expected": expected, "seq": None if skip_reason else round,
        "round": None if skip_reason else round,
    }
    return plan.Job(**{**fields, **changes})


def machine(cpu_nodes, mem_nodes, benches=("latency", "bandwidth"), rounds=3, each=5):
    """Samples of a whole machine: CPU 4 x node on each CPU node; distance grows with |i - j|."""
    rows = []
    for bench in benches:
        for v, variant in enumerate(schema.BENCHES[bench].variants):
            for i, cpu_node in enumerate(cpu_nodes):
                for j, mem_node in enumerate(mem_nodes):
                    far = 0 if cpu_node == mem_node else 0.6 + 0.25 * abs(i - j)
                    middle = 92.0 * (1 + far) if bench == "latency" else (21.0 + 1.5 * v) / (1 + 0.8 * far)
                    rows += [sample(bench, variant, 4 * cpu_node, cpu_node, mem_node, middle * (1 + 0.002 * k), r, k + 1)
                             for r in range(1, rounds + 1) for k in range(each)]
    return rows


def environment(cpu_nodes, mem_nodes, rounds=3):
    return {
        "host": "testhost", "cpu_model": "Made-up CPU 9000", "options": {"rounds": rounds},
        "topology": {"nodes": [{"id": node, "cpus": str(4 * node) if node in cpu_nodes else ""}
                               for node in sorted({*cpu_nodes, *mem_nodes})]},
    }


def write_run(folder, rows, described=None):
    """A run folder with samples.csv (and environment.json) only: readers summarise it first."""
    from numa_sweep import collect
    folder.mkdir(parents=True, exist_ok=True)
    collect.write_samples(str(folder), rows)
    if described is not None:
        (folder / "environment.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


def hmat(*structures, revision=2):
    """The bytes of an ACPI HMAT: (data type, base unit, [[entry of each target] of each initiator], flags, domains)."""
    body = bytes(4)
    for data_type, base_unit, entries, *more in structures:
        flags, domains = (*more, 0)[0], (more[1:] or [None])[0]
        initiators = domains or list(range(len(entries)))
        targets = domains or list(range(len(entries[0])))
        content = struct.pack("<BBBBIIIQ", flags, data_type, 0, 0, len(initiators), len(targets), 0, base_unit)
        content += struct.pack(f"<{len(initiators) + len(targets)}I", *initiators, *targets)
        content += struct.pack(f"<{len(initiators) * len(targets)}H", *(entry for row in entries for entry in row))
        body += struct.pack("<HHI", 1, 0, 8 + len(content)) + content
    header = struct.pack("<4sIBB6s8sI4sI", b"HMAT", 36 + len(body), revision, 0, b"MADEUP", b"MACHINES", 1, b"TEST", 1)
    return with_checksum(header + body)


def with_checksum(table):
    table = bytearray(table)
    table[9] = 0
    table[9] = -sum(table) % 256
    return bytes(table)


def write_tree(root, files):
    """{path: content} below root; content is text or bytes, None makes a folder."""
    for path, content in files.items():
        path = root / path
        if content is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(root)


@pytest.fixture
def run_folder(tmp_path):
    """A folder with a summarised 2 x 2 run."""
    from numa_report import summary
    folder = write_run(tmp_path / "a run", machine([0, 1], [0, 1]), environment([0, 1], [0, 1]))
    summary.write_matrix(str(folder), summary.summarise(machine([0, 1], [0, 1])))
    return folder
