#!/usr/bin/env python3
"""Compares `bench/loaded --matrix` in a machine of the lab with the machine's topology, and prints TAP.

`loaded_truth.py TOPOLOGY FOLDER` judges what guest_loaded.sh left in FOLDER, and adds what was expected and measured to
FOLDER/truth.csv, whose rows `truth.py table` prints. In the lab a link is one CPU node's way to one memory node, first
come first served, and links share nothing. So aggressors on the victim's own link fill it, and nobody else feels them.
"""

import argparse
import csv
import itertools
import os
import statistics
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
sys.dont_write_bytecode = True

from truth import BANDWIDTH_OFF, LATENCY_OFF, Judge, lines_of, read_rows, topologies  # noqa: E402

LINE_BYTES = 64
SLOWED = 2  # at least so many times idle on a link that is full: a queue of several lines, each as long as 0.3 to 0.7 idle
UNTOUCHED_OFF = 0.10  # most that a victim on another link may differ from idle


def medians(rows, metric):
    """{(victim's nodes, aggressors' nodes or None): median}, nodes as pairs of a CPU's and a memory's."""
    values = {}
    for row in rows:
        if row["metric"] == metric and row["disturbed"] == "":
            values.setdefault(nodes_of(row), []).append(float(row["value"]))
    for row in rows:  # where all are marked, they count
        if row["metric"] == metric and nodes_of(row) not in values:
            values[nodes_of(row)] = [float(other["value"]) for other in rows
                                     if other["metric"] == metric and nodes_of(other) == nodes_of(row)]
    return {nodes: statistics.median(found) for nodes, found in values.items()}


def nodes_of(row):
    aggressor = None if row["other_mem_node"] == "" else (int(row["other_cpu_node"]), int(row["other_mem_node"]))
    return (int(row["cpu_node"]), int(row["mem_node"])), aggressor


def name(pair):
    victim, aggressor = pair
    return f"{victim[0]}:{victim[1]}" + (f" beside {aggressor[0]}:{aggressor[1]}" if aggressor else " alone")


def judge_pairs(judge, topology, rows, latency):
    ways = list(itertools.product(topology.with_cpus(), topology.with_memory()))
    wanted = {(victim, aggressor) for victim in ways for aggressor in [None, *ways]}
    judge.say(set(latency) == wanted, f"all {len(ways)} victims are there alone and beside each of as many aggressors",
              f"missing: {sorted(map(name, wanted - set(latency)))}", f"too many: {sorted(map(name, set(latency) - wanted))}")
    bad = sorted({f"{name(nodes_of(row))}: {row['status']} {row['placement']} {row['reason']}" for row in rows
                  if row["placement"] != "verified" or row["status"] in ("failed", "misplaced")})
    judge.say(bool(rows) and not bad, "every page is on the node asked for", *bad)
    return ways


def judge_alone(judge, topology, ways, latency):
    over = {way: latency[way, None] / topology.blocks["latency ns"][way[0]][way[1]] for way in ways}
    factor = statistics.median(over.values())
    wrong = [f"{name((way, None))}: {latency[way, None]:.4g} ns, {value / factor:.3f} of what is expected"
             for way, value in over.items() if abs(value / factor - 1) > LATENCY_OFF]
    judge.say(not wrong, f"victims alone have the file's latencies within {LATENCY_OFF:.0%}", *wrong)


def judge_shared(judge, topology, ways, latency, bandwidth):
    """Victim and aggressors on one link."""
    idle_to_full, wrong = [], []
    for way in ways:
        capacity = topology.blocks["bandwidth GB/s"][way[0]][way[1]]
        times, moved = latency[way, way] / latency[way, None], bandwidth[way, way]
        idle_to_full.append(times)
        if times < SLOWED or abs(moved / capacity - 1) > BANDWIDTH_OFF:
            wrong.append(f"{name((way, way))}: {times:.2f} x idle, {moved:.4g} GB/s of {capacity:g}")
    judge.say(not wrong, f"on one link with its aggressors a victim is slowed, to {min(idle_to_full):.1f} to "
                         f"{max(idle_to_full):.1f} x idle, and both fill the link", *wrong)
    judge.row("loaded latency over idle, on one link", f"over {SLOWED}",
              f"{min(idle_to_full):.3g} to {max(idle_to_full):.3g}", "off" if wrong else "ok")


def judge_apart(judge, topology, ways, latency, bandwidth):
    """Victim and aggressors on different links."""
    over, wrong = [], []
    for victim, aggressor in itertools.permutations(ways, 2):
        times, moved = latency[victim, aggressor] / latency[victim, None], bandwidth[victim, aggressor]
        expected = topology.blocks["bandwidth GB/s"][aggressor[0]][aggressor[1]] + LINE_BYTES / latency[victim, None]
        over.append(times)
        if abs(times - 1) > UNTOUCHED_OFF or abs(moved / expected - 1) > BANDWIDTH_OFF:
            wrong.append(f"{name((victim, aggressor))}: {times:.2f} x idle, {moved:.4g} GB/s, expected {expected:.4g}")
    judge.say(not wrong, f"on another link than its aggressors a victim is not slowed, {min(over):.2f} to {max(over):.2f} "
                         "x idle, though they fill theirs", *wrong)
    judge.row("loaded latency over idle, on different links", "1", f"{min(over):.3g} to {max(over):.3g}",
              "off" if wrong else "ok")


def judge_folder(topology_path, folder):
    topology = topologies.read(topology_path)
    with open(f"{folder}/truth.csv", "a", encoding="utf-8", newline="") as file:
        judge = Judge(os.path.basename(topology_path).removesuffix(".conf"), csv.writer(file))
        failures = lines_of(f"{folder}/failures")
        judge.say(not failures, "bench/loaded --matrix ends well", *failures, *lines_of(f"{folder}/matrix.errors")[-5:])
        rows = read_rows(f"{folder}/matrix.csv")
        latency, bandwidth = medians(rows, "loaded_latency"), medians(rows, "bandwidth")
        ways = judge_pairs(judge, topology, rows, latency)
        judge_alone(judge, topology, ways, latency)
        judge_shared(judge, topology, ways, latency, bandwidth)
        judge_apart(judge, topology, ways, latency, bandwidth)
    return judge.failed


def main():
    parser = argparse.ArgumentParser(prog="loaded_truth.py", description=__doc__)
    parser.add_argument("topology")
    parser.add_argument("folder")
    arguments = parser.parse_args()
    try:
        return judge_folder(arguments.topology, arguments.folder)
    except Exception:  # whatever is missing or damaged is a failure of the machine that left it
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
        print(f"not ok - {arguments.folder}: judged to the end")
        return 1


if __name__ == "__main__":
    sys.exit(main())
