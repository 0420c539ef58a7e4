"""Made-up runs for the tests of harness/numa_compare: a machine's cells with the noise that a test asks for."""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy

HARNESS = Path(__file__).resolve().parents[2] / "harness"
sys.path.insert(0, str(HARNESS))

import plot  # noqa: E402
from numa_compare import operand  # noqa: E402
from numa_report import run, schema, summary, tables  # noqa: E402

NS, GBS = 100.0, 20.0  # a local cell's figure


def row(bench, variant, cpu_node, mem_node, value, round=1, sample=1, **changes):
    """One row of samples.csv."""
    kind = schema.BENCHES.get(bench)
    cpu = changes.pop("cpu", 4 * cpu_node)
    name = schema.cell_id(bench, variant, cpu, mem_node)
    found = {
        "run": "made-up", "host": "testhost", "round": round, "cell": name, "bench": bench,
        "metric": kind.metric if kind else "wall_time", "unit": kind.unit if kind else "s", "cpu": cpu,
        "cpu_node": cpu_node, "mem_node": mem_node, "allocator": "numa_alloc", "policy": f"bind:{mem_node}",
        "pages": "default", "threads": 1, "size_bytes": 4 << 20, "variant": variant, "value": value,
        "placement": "verified", "placed_fraction": 1.0, "started_at": "2026-11-23T05:00:00Z", "sample": sample,
        "better": "",
    }
    found.update(changes)
    return found


def machine(seed, noise=0.004, nodes=(0, 1), benches=("latency", "bandwidth"), rounds=3, change=None, **changes):
    """Samples of every pair of the nodes. noise: a round's standard deviation, a share.

    change(row): what a cell's figures are multiplied by.
    """
    random = numpy.random.default_rng(seed)
    rows = []
    for bench in benches:
        for variant in schema.BENCHES[bench].variants:
            for cpu_node in nodes:
                for mem_node in nodes:
                    penalty = 1 if cpu_node == mem_node else 1.8
                    middle = NS * penalty if bench == "latency" else GBS / penalty
                    for number in range(1, rounds + 1):
                        level = middle * numpy.exp(random.normal(0, noise))
                        for sample in range(1, 4):
                            value = float(level * (1 + 0.0005 * (sample - 2)))
                            made = row(bench, variant, cpu_node, mem_node, value, number, sample, **changes)
                            made["value"] *= change(made) if change else 1
                            rows.append(made)
    return rows


def write(folder, rows, environment=None, edit=None):
    """A run's folder; edit(rows of matrix.csv) may change those, when samples.csv is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    if environment is not None:
        (folder / "environment.json").write_text(json.dumps(environment), encoding="utf-8")
    if edit is None:
        tables.write_table(str(folder / "samples.csv"), schema.SAMPLE_COLUMNS, rows)
    matrix = summary.summarise(rows)
    if edit:
        edit(matrix)
    summary.write_matrix(str(folder), matrix)
    return str(folder)


def in_memory(seed, **options):
    """The Operand of machine(), without a folder: for those who need hundreds. No intervals, which it does not use."""
    rows, samples = {}, {}
    for made in machine(seed, **options):
        key = made["host"], made["cell"], made["metric"]
        samples.setdefault(key, []).append(run.Sample(made["round"], made["value"], "", "verified"))
        better = schema.better_of(made["unit"])
        rows.setdefault(key, {**made, "status": "ok", "median": made["value"], "better": better})
    known = operand.from_samples(list(rows.values()), samples)
    return operand.Operand("A", "made up", "made up", list(rows.values()), None, known)


def compare(*arguments):
    """plot.py --compare with these arguments: its exit status and what it printed, all in this process."""
    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        status = plot.main(plot.parse_arguments(["--compare", *map(str, arguments)]))
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), errors.getvalue())


def compare_by_command(*arguments):
    """The same by a shell's command."""
    return subprocess.run([sys.executable, str(HARNESS / "plot.py"), "--compare", *map(str, arguments)],
                          capture_output=True, text=True, check=False)
