#!/usr/bin/env python3
"""Compares what was found in a machine of the lab with what its topology says, and prints TAP.

`truth.py machine [--arch ARCH] TOPOLOGY FOLDER` judges what guest_truth.sh left; each comparison with figures is also a row of
FOLDER/truth.csv. `truth.py negative FOLDER` judges what guest_negative.sh left. `truth.py table FILE...` prints such
rows as a table in Markdown.
"""

import argparse
import csv
import json
import os
import statistics
import sys
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "harness", "lab"))
sys.path.insert(0, os.path.join(ROOT, "harness"))
sys.dont_write_bytecode = True

import topology as topologies  # noqa: E402
from numa_sweep.topology import parse_list  # noqa: E402

LATENCY_OFF, BANDWIDTH_OFF, KNEE_OFF = 0.03, 0.10, 0.15  # most that a figure may be off its expectation
NOISY_OFF = 2  # times that, for a cell that the sweep itself calls noisy: it knows its median to 5 % only
NOISY = 0.25  # most of the cells that may be noisy: the host is shared, and samples are few
KERNEL_BYTES = 160 << 20  # most of a node's memory that the kernel may keep
KERNELS = {"read", "write", "copy", "scale", "add", "triad"}


class Judge:
    def __init__(self, name, table=None):
        self.name, self.table, self.failed = name, table, False

    def say(self, passed, promise, *details):
        for detail in () if passed else details:
            print(f"# {detail}")
        print(f"{'ok' if passed else 'not ok'} - {self.name}: {promise}")
        self.failed = self.failed or not passed

    def row(self, what, expected, measured, status):
        if self.table:
            self.table.writerow([self.name, what, expected, measured, status])


def read_rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_words(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def lines_of(path):
    return [line for line in read_words(path).splitlines() if line]


# What the machine is.

def judge_kernel(judge, topology, folder):
    """The lab itself: the kernel has the nodes, CPUs, memory and distances of the file."""
    wrong = []
    found = {int(line.split(";")[0]): line.split(";")[1:] for line in lines_of(f"{folder}/nodes")}
    if sorted(found) != [node.id for node in topology.nodes]:
        wrong.append(f"nodes {sorted(found)}")
    for node in topology.nodes:
        cpus, memory_kb, distances = found.get(node.id, ("", "0", ""))
        if sorted(parse_list(cpus)) != sorted(node.cpus):
            wrong.append(f"node {node.id} has the CPUs '{cpus}'")
        # The kernel keeps some for itself, 64 MiB for devices that reach no farther (swiotlb) among it.
        if not node.memory_bytes - KERNEL_BYTES <= int(memory_kb) << 10 <= node.memory_bytes or (
                node.memory_bytes > 0) != (int(memory_kb) > 0):
            wrong.append(f"node {node.id} has {memory_kb} kB of memory, not {node.memory_bytes >> 10}")
        if [int(word) for word in distances.split()] != list(topology.blocks["distance"][node.id].values()):
            wrong.append(f"node {node.id} has the distances {distances}")
    judge.say(not wrong, "the kernel has the file's nodes, CPUs, memory and distances", *wrong)
    judge.row("nodes, with CPUs, with memory", shape_words(topology),
              shape_words(topology) if not wrong else "; ".join(wrong), "ok" if not wrong else "failed")


def shape_words(topology):
    return f"{len(topology.nodes)}, {len(topology.with_cpus())}, {len(topology.with_memory())}"


def judge_harness(judge, topology, environment):
    wrong = []
    found = {node["id"]: node for node in environment["topology"]["nodes"]}
    for node in topology.nodes:
        seen = found.pop(node.id, None)
        if not seen or sorted(parse_list(seen["cpus"] or "")) != sorted(node.cpus) or (
                seen["has_memory"] != bool(node.memory_bytes)):
            wrong.append(f"node {node.id}: {seen}")
    wrong.extend(f"node {node} is not in the file" for node in found)
    distances = {source: {str(target): int(value) for target, value in row.items()}
                 for source, row in topology.blocks["distance"].items()}
    if {int(source): row for source, row in (environment["topology"]["distances"] or {}).items()} != distances:
        wrong.append(f"distances {environment['topology']['distances']}")
    judge.say(not wrong, "the sweep's environment.json has the file's nodes and distances", *wrong)


def judge_firmware(judge, topology, environment):
    """The HMAT, as the sweep read it, against what the file claims."""
    hmat = environment["firmware"]["hmat"]
    if not topology.hmat:
        judge.say(hmat is None, "without an HMAT the sweep finds none", f"it found {hmat}")
        return
    wrong = []
    for quantity, block, scale in (("read_latency", "latency ns", 1), ("read_bandwidth", "bandwidth GB/s", 1000)):
        seen = {(int(source), int(target)): value for source, row in ((hmat or {}).get(quantity) or {}).items()
                for target, value in row.items()}
        claimed = {(source, target): round(value * scale) for source, row in topology.claimed(block).items()
                   for target, value in row.items()}
        if seen != claimed:
            wrong.append(f"{quantity}: {seen}, not {claimed} ({environment['firmware']['hmat_missing']})")
    judge.say(not wrong, "the sweep reads from the HMAT what the file claims, every pair", *wrong)


def judge_allocator(judge, topology, folder):
    """interleave:all is over exactly the nodes with memory."""
    try:
        with open(f"{folder}/allocator.json", encoding="utf-8") as file:
            policy = json.load(file)["policy"]
        found = sorted(parse_list(policy.partition(":")[2]))
    except (OSError, ValueError, KeyError) as error:
        policy, found = str(error), None
    judge.say(found == topology.with_memory(), "the allocator finds exactly the nodes with memory",
              f"it says {policy}")


# What was measured.

def judge_cells(judge, topology, cells, benches):
    """benches: {bench: (CPU nodes, variants)}. Exactly the rows and columns that there are, all measured."""
    wanted = {(bench, variant, source, target) for bench, (sources, variants) in benches.items()
              for variant in variants for source in sources for target in topology.with_memory()}
    found = [(cell["bench"], cell["variant"], int(cell["cpu_node"]), int(cell["mem_node"])) for cell in cells]
    judge.say(len(found) == len(wanted) and set(found) == wanted, f"the sweep has exactly its {len(wanted)} cells",
              f"missing: {sorted(wanted - set(found))}", f"too many: {sorted(set(found) - wanted)}")
    bad = [f"{cell['cell']}: {cell['status']} {cell['placement']} {cell['reason']}" for cell in cells
           if cell["status"] not in ("ok", "noisy") or cell["placement"] != "verified"]
    judge.say(not bad, "every cell is measured, its placement verified", *bad)
    noisy = [cell["cell"] for cell in cells if cell["status"] == "noisy"]
    judge.say(len(noisy) <= NOISY * len(cells), f"at most {NOISY:.0%} of the cells are noisy", *noisy)
    judge.row("cells", len(wanted), len(found), "failed" if bad else f"{len(noisy)} noisy" if noisy else "ok")


def judge_figures(judge, topology, cells, bench, block, most_off):
    """Ratios: all figures may be off by one factor, the emulator's, which is itself within most_off of 1."""
    paced = topology.blocks[block]
    cells = [cell for cell in cells if cell["bench"] == bench and cell["median"]]
    if not cells:
        judge.say(False, f"{bench} is measured")
        return
    over = {id(cell): float(cell["median"]) / paced[int(cell["cpu_node"])][int(cell["mem_node"])] for cell in cells}
    factor = statistics.median(over.values())
    off = {name: abs(value / factor - 1) for name, value in over.items()}
    wrong = [f"{cell['cell']}: {float(cell['median']):.4g} {cell['unit']}, expected "
             f"{paced[int(cell['cpu_node'])][int(cell['mem_node'])] * factor:.4g}, off by {off[id(cell)]:.1%}"
             for cell in cells if off[id(cell)] > most_off * (NOISY_OFF if cell["status"] == "noisy" else 1)]
    judge.say(not wrong, f"{bench}'s {len(cells)} ratios are within {most_off:.0%} of the file's "
                         f"(at most {max(off.values()):.1%} off)", *wrong)
    judge.say(abs(factor - 1) <= most_off, f"{bench} itself is within {most_off:.0%} of the file's ({factor:.3f} of it)")
    for (source, target), of_pair in sorted(by_pair(cells).items()):
        measured = statistics.median(float(cell["median"]) for cell in of_pair)
        judge.row(f"{bench}, node {source} to {target}, {cells[0]['unit']}", f"{paced[source][target]:g}",
                  f"{measured:.4g}", "/".join(sorted({cell["status"] for cell in of_pair})))


def by_pair(cells):
    pairs = {}
    for cell in cells:
        pairs.setdefault((int(cell["cpu_node"]), int(cell["mem_node"])), []).append(cell)
    return pairs


def judge_knee(judge, topology, folder):
    capacity = topology.blocks["bandwidth GB/s"][0][0]
    knees = [float(row["value"]) for row in read_rows(f"{folder}/loaded.csv") if row["metric"] == "knee"]
    off = abs(knees[0] / capacity - 1) if len(knees) == 1 else 1
    judge.say(off <= KNEE_OFF, f"loaded latency's knee is within {KNEE_OFF:.0%} of the link's {capacity:g} GB/s",
              f"knees: {knees}", *lines_of(f"{folder}/loaded.errors"))
    judge.row("knee, node 0 to 0, GB/s", f"{capacity:g}", f"{knees[0]:.4g}" if knees else "none",
              "ok" if off <= KNEE_OFF else "off")


def judge_verdict(judge, topology, folder):
    words = [line for line in lines_of(f"{folder}/run/verdict.txt") if line.startswith("firmware")]
    disagreeing = sorted({source for line in words if line.startswith("firmware disagrees")
                          for source in ("SLIT", "HMAT") if source in line.split(" says ")[0]})
    agreeing = any(line.startswith("firmware agrees") or "; SLIT agrees (" in line for line in words)
    liars = ["HMAT"] if topology.hmat and any(name.startswith("claimed") for name in topology.blocks) else []
    passed = agreeing and disagreeing == liars
    judge.say(passed, "the verdict says that "
              + ("the HMAT and measurement disagree, the SLIT and it agree" if liars else "firmware and measurement agree"),
              *words or ["it says nothing of firmware"])
    judge.row("firmware that disagrees", " ".join(liars) or "none", " ".join(disagreeing) or "none",
              "ok" if passed else "failed")


def judge_machine(topology_path, arch, bandwidth_cpus, folder):
    topology = topologies.read(topology_path)
    name = os.path.basename(topology_path).removesuffix(".conf")
    if arch == "arm64":  # its device tree has no HMAT
        topology.hmat, name = False, f"{name} (arm64)"
    with open(f"{folder}/truth.csv", "w", encoding="utf-8", newline="") as file:
        judge = Judge(name, csv.writer(file))
        failures = lines_of(f"{folder}/failures")
        judge.say(not failures, "every command ends well", *failures, *lines_of(f"{folder}/log")[-5:])
        judge_kernel(judge, topology, folder)
        judge_allocator(judge, topology, folder)
        with open(f"{folder}/run/environment.json", encoding="utf-8") as environment_file:
            environment = json.load(environment_file)
        judge_harness(judge, topology, environment)
        judge_firmware(judge, topology, environment)
        cells = read_rows(f"{folder}/run/matrix.csv")
        sources = topology.with_cpus()
        bandwidth_sources = sources
        if bandwidth_cpus != "all":
            cells += read_rows(f"{folder}/run-bandwidth/matrix.csv")
            chosen = parse_list(bandwidth_cpus)
            bandwidth_sources = [node for cpu, node in topology.cpus if cpu in chosen]
        judge_cells(judge, topology, cells, {"latency": (sources, {"random"}), "bandwidth": (bandwidth_sources, KERNELS)})
        judge_figures(judge, topology, cells, "latency", "latency ns", LATENCY_OFF)
        judge_figures(judge, topology, cells, "bandwidth", "bandwidth GB/s", BANDWIDTH_OFF)
        judge_knee(judge, topology, folder)
        judge_verdict(judge, topology, folder)
    return judge.failed


# States in which figures would mislead.

def judge_negative(folder):
    judge = Judge("2-socket")
    failures = lines_of(f"{folder}/failures")
    judge.say(not failures, "the negative truths' commands end well", *failures, *lines_of(f"{folder}/log")[-5:])
    cells = read_rows(f"{folder}/moved/matrix.csv")
    cells = [cell for cell in cells if cell["mem_node"] == "1"]  # the sweep adds the local one
    judge.say([cell["status"] for cell in cells] == ["misplaced"] and read_words(f"{folder}/moved/status") == "1\n",
              "pages moved during the measurement make the cell misplaced, and the sweep's status 1", *map(str, cells))
    words = lines_of(f"{folder}/moved/verdict.txt")
    judge.say(any(line.startswith("misplaced") for line in words), "the verdict names the misplaced cell", *words)

    words = lines_of(f"{folder}/balanced/verdict.txt")
    judge.say(any("NUMA balancing" in line for line in words),
              "with NUMA balancing on and a lone remote thread the verdict warns", *words)
    words = lines_of(f"{folder}/balanced/errors")
    judge.say(any("numa_balancing" in line for line in words), "and so does the benchmark itself", *words)

    cells = read_rows(f"{folder}/hidden/matrix.csv")
    by_nodes = {(cell["cpu_node"], cell["mem_node"]): cell for cell in cells}
    hidden = [cell for nodes, cell in by_nodes.items() if nodes != ("0", "0")]
    judge.say(by_nodes.get(("0", "0"), {}).get("status") in ("ok", "noisy") and len(hidden) == 3
              and all(cell["status"] == "skipped" and "node 1" in cell["reason"] for cell in hidden)
              and read_words(f"{folder}/hidden/status") == "0\n",
              "a node that a cpuset hides is skipped, with the reason",
              *[f"{nodes}: {cell['status']} {cell['reason']}" for nodes, cell in by_nodes.items()])
    return judge.failed


def print_table(files):
    rows = [["topology", "what", "expected", "measured", "status"], ["---"] * 5]
    for path in files:
        with open(path, encoding="utf-8", newline="") as file:
            rows.extend(csv.reader(file))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="truth.py", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    machine = commands.add_parser("machine")
    machine.add_argument("--arch", choices=("amd64", "arm64"), default="amd64")
    machine.add_argument("--bandwidth-cpus", default="all", metavar="LIST", help="those that it was measured from")
    machine.add_argument("topology")
    machine.add_argument("folder")
    commands.add_parser("negative").add_argument("folder")
    commands.add_parser("table").add_argument("files", nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "table":
        return print_table(arguments.files)
    try:
        if arguments.command == "machine":
            return judge_machine(arguments.topology, arguments.arch, arguments.bandwidth_cpus, arguments.folder)
        return judge_negative(arguments.folder)
    except Exception:  # whatever is missing or damaged is a failure of the machine that left it
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
        print(f"not ok - {arguments.folder}: judged to the end")
        return 1


if __name__ == "__main__":
    sys.exit(main())
