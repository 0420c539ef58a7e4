#!/usr/bin/env python3
"""Writes the folder of a made-up fleet: python3 tests/plot/made_up_fleet.py FOLDER [HOSTS [NODES [BENCHES]]]

Every 10th host is of another CPU model. What the others of the first ten have of their own is named below.
"""

import json
import random
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from conftest import environment, job, machine

from numa_report import summary
from numa_sweep import collect, host_rows, merge

MODELS = ("Made-up CPU 9000", "Other CPU 7")
SETTINGS, LACKING, FAILED, ONE_NODE, UNREACHABLE, SLOW, FAST, OTHER_KERNEL = range(2, 10)


def write_host(run, number, nodes, benches, each):
    """A host's run folder as a sweep leaves it; what is odd about it follows from its number."""
    luck = random.Random(number)
    model = int(number % 10 == 9)
    whole = range(nodes - (number == LACKING))
    own = (1 + 0.3 * model) * luck.gauss(1, 0.006) * {SLOW: 1.25, FAST: 0.8}.get(number, 1)
    last = job(benches[0], 4 * (nodes - 1), nodes - 1, 0, seq=1)
    rows = []
    for row in machine(whole, whole, benches, each=each):
        factor = own * luck.gauss(1, 0.003) * (1.6 if number == ONE_NODE and row["mem_node"] == nodes - 1 else 1)
        value = row["value"] * factor if row["bench"] == "latency" else row["value"] / factor
        if number != FAILED or row["cell"] != last.cell_id(row["variant"]):
            rows.append({**row, "run": "a run", "host": run.name, "value": float(f"{value:.6g}")})
    run.mkdir(parents=True)
    collect.write_samples(str(run), rows)
    failures = {last: "killed by signal 9"} if number == FAILED else {}
    summary.write_matrix(str(run), summary.summarise(rows, failures, failures, "a run", run.name))
    described = environment(range(nodes), range(nodes))
    described.update(
        cpu_model=MODELS[model], host=run.name, started_at="2026-11-22T13:00:00Z", governor="performance",
        transparent_hugepages={"enabled": "madvise"}, numa_balancing=int(number == SETTINGS),
        kernel={"release": "6.12.1" if number == OTHER_KERNEL else "6.1.0-30", "version": "#1 SMP"})
    (run / "environment.json").write_text(json.dumps(described), encoding="utf-8")


def write(folder, hosts=3, nodes=2, benches=("latency",), name="node{:04}", each=1):
    """The fleet's folder as a sweep of all hosts leaves it, merged."""
    folder = Path(folder)
    labels = [name.format(number) for number in range(hosts)]
    unreachable = labels[UNREACHABLE:UNREACHABLE + 1]
    with ProcessPoolExecutor() as pool:
        made = [pool.submit(write_host, folder / "hosts" / label, number, nodes, benches, each)
                for number, label in enumerate(labels) if label not in unreachable]
        for done in made:
            done.result()
    host_rows.write(str(folder), [
        host_rows.row(label, label, host_rows.UNREACHABLE, reason="ssh: connect to host: No route to host")
        if label in unreachable else host_rows.row(label, label, host_rows.OK) for label in labels])
    merge.merge(str(folder))
    return folder


if __name__ == "__main__":
    path, *more = sys.argv[1:]
    write(path, *map(int, more[:2]), *([more[2].split(",")] if len(more) > 2 else []))
