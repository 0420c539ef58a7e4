"""Prints the penalties of a run on the paced virtual machine, and may check them against what was set.

usage: penalties.py FOLDER RATIO [--check]
--check: exit status 1 unless all latency cells (and bandwidth cells, if that was swept) are there, every
sample is `verified`, and the latency penalty of each remote cell is within 5 % of RATIO.
"""
import csv
import os
import sys

TOLERANCE = 0.05
NODES = ("0", "1")


def rows(folder, name):
    with open(os.path.join(folder, name), newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main(folder, ratio, check):
    faults = []
    cells = rows(folder, "matrix.csv")
    print(f"penalty set: {ratio:.2f}")
    for bench in ("latency", "bandwidth"):
        of_bench = [row for row in cells if row["bench"] == bench]
        if not of_bench and bench != "latency":
            continue
        for cpu_node in NODES:
            for mem_node in NODES:
                found = [row for row in of_bench if (row["cpu_node"], row["mem_node"]) == (cpu_node, mem_node)]
                if not found:
                    faults.append(f"no {bench} from node {cpu_node} to node {mem_node}")
                for row in found:
                    median, penalty = row["median"] or "nothing", row["penalty"] or "-"
                    print(f"{bench:9} {row['variant']:6} from node {cpu_node} to node {mem_node}: "
                          f"{median} {row['unit']}, penalty {penalty} ({row['status']})")
                    if bench == "latency" and cpu_node != mem_node and not (
                            row["penalty"] and abs(float(row["penalty"]) / ratio - 1) <= TOLERANCE):
                        faults.append(f"latency penalty from node {cpu_node} to node {mem_node} is {penalty}, "
                                      f"not within {TOLERANCE:.0%} of {ratio:.2f}")
    samples = rows(folder, "samples.csv")
    verified = sum(row["placement"] == "verified" for row in samples)
    print(f"{verified} of {len(samples)} samples verified")
    if verified < len(samples) or not samples:
        faults.append(f"{len(samples) - verified} samples are not verified")
    if check:
        for fault in faults:
            print(f"penalties: {fault}", file=sys.stderr)
    return 1 if check and faults else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[3:] not in ([], ["--check"]):
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], float(sys.argv[2]), len(sys.argv) == 4))
