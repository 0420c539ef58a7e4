"""Instructions for a malloc and its free, counted by valgrind's callgrind: the same from run to run."""

import csv
import io
import os
import re
import shutil
import tempfile

from numa_report.errors import ReportError, whole_file

from .cells import PAIR
from .measure import Failed, execute

SIZES_BYTES = (16, 64, 256, 1024, 8192)
BATCH, PAIRS_A_BATCH = 4096, 4095  # of bench/allocs: one operation a batch checks a block and is not counted
LOOP = "pairs"  # the function of bench/alloc_workloads/pair.c with the two calls; a compiler may add to its name
# The first run warms the allocator up; the second does the same and 20 batches more, so the difference is theirs.
BATCHES = (4, 24)


def own_cost(text):
    """{object file: instructions} of a callgrind output file: each function's own, without its callees'."""
    names, cost, at, skip = {}, {}, None, False
    for line in text.splitlines():
        match = re.match(r"(c?ob)=\((\d+)\)(?: (.*))?$", line)
        if match:
            kind, key, name = match.groups()
            if name is not None:
                names[key] = name
            if kind == "ob":
                at = names[key]
        elif line.startswith("calls="):
            skip = True  # the next line is the callee's cost
        elif re.match(r"[+*\d-]", line):
            if not skip and at is not None:
                cost[at] = cost.get(at, 0) + int(line.split()[-1])
            skip = False
    return cost


def count(allocs, allocator, size_bytes, batches, cpus):
    """Instructions that malloc and free take when called from the counted loop; not the loop's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "callgrind.out")
        argv = ("valgrind", "--tool=callgrind", f"--toggle-collect={LOOP}*", f"--callgrind-out-file={path}",
                f"--log-file={folder}/log", allocs, "--csv", "--operations", str(batches * BATCH), "--size", str(size_bytes), PAIR)
        _, _, out = execute(argv, allocator.environment(), b"", cpus)
        row = next(csv.DictReader(io.StringIO(out.decode())))
        if row["allocator"] != allocator.reported_name():
            raise ReportError(f"{allocator.label} was preloaded, but under valgrind malloc is of {row['allocator']}")
        with open(path, encoding="utf-8", errors="replace") as file:
            cost = own_cost(file.read())
    own = sum(value for name, value in cost.items() if os.path.realpath(name) == os.path.realpath(allocs))
    if own == 0 or own == sum(cost.values()):
        raise ReportError(f"callgrind saw no call of malloc from {LOOP} in {allocs}; is it built with other options?")
    return sum(cost.values()) - own


def per_pair(allocs, allocator, size_bytes, cpus):
    few, many = (count(allocs, allocator, size_bytes, batches, cpus) for batches in BATCHES)
    return (many - few) / ((BATCHES[1] - BATCHES[0]) * PAIRS_A_BATCH)


def need_valgrind():
    if shutil.which("valgrind") is None:
        raise ReportError("valgrind is not installed; harness/setup.sh peers")


def run(allocs, allocators, cpus, folder):
    """Prints the table and writes instructions.csv, when it is interrupted too. The labels under which it failed."""
    width = max(map(len, allocators)) + 1
    print("instructions of a malloc and its free; the loop around them is not counted")
    print(f"{'':<{width}}" + "".join(f"{size:>10}" for size in SIZES_BYTES) + "  bytes", flush=True)
    rows, failed = [], []
    try:
        for label, allocator in allocators.items():
            line = f"{label:<{width}}"
            for size in SIZES_BYTES:
                try:
                    value = per_pair(allocs, allocator, size, cpus)
                except Failed as error:
                    rows.append((label, size, ""))
                    failed.append(label)
                    line += f"  failed: {error}"
                    break
                rows.append((label, size, f"{value:.2f}"))
                line += f"{value:>10.2f}"
            print(line, flush=True)
    finally:
        with whole_file(folder / "instructions.csv", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("allocator", "size_bytes", "instructions_per_pair"))
            writer.writerows(rows)
    return failed
