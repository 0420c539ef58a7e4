"""Prints the Markdown table of remote line fetches per operation, from what locality.sh left.

usage: locality_table.py PROGRAMS_CSV COUNTED_CSV [--check]
PROGRAMS_CSV: allocator, workload, section, operations, inherent lines, a row a run; COUNTED_CSV: the counting
plugin's. --check: exit status 1 unless numa_alloc's fetches beyond the inherent ones are at most a quarter of
the best other allocator's, in the workloads where the allocator decides and others leave anything to be had.
"""
import collections
import csv
import sys

OURS = "numa_alloc"
# The others' remote fetches are of blocks that one node makes and the other reads.
ALLOCATOR_DECIDES = ("migrate", "server", "born", "freer")
BAR = 0.25


def read_runs(path):
    """Operations and inherent lines by (workload, allocator), and which section counted them."""
    sections, operations, inherent = {}, collections.Counter(), collections.Counter()
    with open(path, newline="", encoding="utf-8") as file:
        for allocator, workload, section, done, lines in csv.reader(file):
            sections[workload, allocator] = int(section)
            operations[workload, allocator] += int(done)
            inherent[workload, allocator] += int(lines)
    return sections, operations, inherent


def remote_fetches(path):
    """Lines that CPUs fetched from other nodes than their own, by section."""
    fetched = collections.Counter()
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["cpu_node"] != row["mem_node"]:
                fetched[int(row["section"])] += int(row["loads"]) + int(row["stores"])
    return fetched


def main(programs_csv, counted_csv, check):
    sections, operations, inherent = read_runs(programs_csv)
    fetched = remote_fetches(counted_csv)
    workloads = list(dict.fromkeys(workload for workload, _ in sections))
    allocators = list(dict.fromkeys(allocator for _, allocator in sections))
    faults = []
    print("| workload | inherent | " + " | ".join(allocators) + " | beyond inherent: ours / best other |")
    print("| --- |" + " ---: |" * (len(allocators) + 2))
    for workload in workloads:
        rate = {name: fetched[sections[workload, name]] / operations[workload, name] for name in allocators}
        unavoidable = inherent[workload, OURS] / operations[workload, OURS]
        ratio = "-"
        if workload in ALLOCATOR_DECIDES and len(allocators) > 1:
            best = min(max(rate[name] - unavoidable, 0) for name in allocators if name != OURS)
            ours = max(rate[OURS] - unavoidable, 0)
            ratio = f"{ours / best:.2f}" if best > 0 else "-"
            if ours > BAR * best:
                faults.append(f"{workload}: {ours:.3f} lines an operation beyond the inherent, best other {best:.3f}")
        cells = [f"{unavoidable:.3f}"] + [f"{rate[name]:.3f}" for name in allocators] + [ratio]
        print(f"| {workload} | " + " | ".join(cells) + " |")
    if check:
        for fault in faults:
            print(f"locality: {fault}; wanted at most {BAR} of that", file=sys.stderr)
    return 1 if check and faults else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--check"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2], len(sys.argv) == 4))
