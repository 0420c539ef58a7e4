#!/usr/bin/env python3
"""Compares allocators: time and peak memory of bench/allocs and of real programs, in turns.

PEERS=name=path.so,... in the environment adds allocators; numa_alloc@POLICY in --allocators runs ours under
that NUMA_ALLOC_POLICY.
"""

import argparse
import os
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "harness"))

from alloc_report import allocators, cells, instructions, start  # noqa: E402
from alloc_report import measure as measuring  # noqa: E402
from numa_report.errors import ReportError, UsageError, run_main  # noqa: E402

NAME = "bench_alloc.py"
ALLOCS = str(ROOT / "bench" / "allocs")
ROUNDS, STARTS = 7, 200


def refuse(message):
    """argparse's complaint as one line."""
    raise UsageError(message.removeprefix("argument "))


def parse(argv):
    parser = argparse.ArgumentParser(
        prog=NAME, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.error = refuse
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--start", action="store_true", help=f"time the start of `true` instead, {STARTS} rounds")
    what.add_argument("--instructions", action="store_true",
                      help="count instructions of a malloc and its free instead, with valgrind")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"default {ROUNDS}, with --start {STARTS}")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these workloads and programs (small, small.2)")
    parser.add_argument("--allocators", nargs="+", default=[], metavar="NAME", help="these allocators (default: all found)")
    parser.add_argument("--base", metavar="NAME", help="what ratios are to (default: glibc, else the first allocator)")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="N", help="of the workloads (default: 1 2)")
    parser.add_argument("--cpus", default="", metavar="LIST", help="CPUs to pin to, as 2,3 (default: the last allowed ones)")
    parser.add_argument("--no-programs", action="store_true", help="leave the real programs out")
    parser.add_argument("--output", metavar="FOLDER", help="new or empty (default: results/<UTC time>-<host>-allocs)")
    options = parser.parse_args(argv)
    for name, values in (("--rounds", [options.rounds] if options.rounds is not None else []), ("--threads", options.threads)):
        for value in values:
            if not 1 <= value <= (10000 if name == "--rounds" else 250):
                raise UsageError(f"{name}: {value} is not accepted; {'1 to 10000' if name == '--rounds' else '1 to 250'} is")
    return options


def results_folder(given):
    """Makes the run's folder."""
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folder = Path(given) if given else ROOT / "results" / f"{time}-{socket.gethostname()}-allocs"
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise UsageError(f"--output: {folder} is not empty")
    return folder


def choose_base(options, chosen):
    base = options.base or (allocators.BASE if allocators.BASE in chosen else next(iter(chosen)))
    if base not in chosen:
        raise UsageError(f"--base: '{base}' is not accepted; {', '.join(chosen)} are")
    return base


def warn(line):
    print(f"{NAME}: {line}", file=sys.stderr)


def compare(options, chosen):
    """The set and the programs. An interrupted run reports what it has."""
    threads = list(dict.fromkeys(options.threads))
    all_of_them, missing = cells.all_cells(ALLOCS, threads, not options.no_programs)
    for program in missing:
        warn(f"{program} is not installed and left out; harness/setup.sh test")
    wanted = cells.select(all_of_them, options.only)
    base = choose_base(options, chosen)
    cpus = cells.choose_cpus(options.cpus, max(cell.threads for cell in wanted))
    folder = results_folder(options.output)
    samples, rounds, interrupted = measuring.Samples(), options.rounds or ROUNDS, False
    try:
        measuring.measure(wanted, chosen, rounds, cpus, measuring.SampleFile(folder), samples)
    except KeyboardInterrupt:
        interrupted = True
        warn("interrupted; this is what was measured until then")
    return report(wanted, chosen, samples, base, folder, cpus, rounds) or (130 if interrupted else 0)


def report(wanted, chosen, samples, base, folder, cpus, rounds):
    from alloc_report import figure, summary, table  # numpy and matplotlib only after measuring: see execute()
    measured = {cell for cell, _ in samples.values["wall_time"]}
    if not measured:
        raise ReportError("nothing was measured")
    result = summary.Summary([cell for cell in wanted if cell.id in measured], chosen, samples, base)
    print(table.text(result))
    table.write_csv(str(folder / "allocs_summary.csv"), result)
    figure.draw(str(folder / "allocs.png"), result,
                f"{socket.gethostname()}, CPUs {','.join(map(str, cpus))}, {rounds} rounds in turns. Bars: medians of ratios "
                "within a round; black lines: 95 % bootstrap intervals; bars past 2 are cut off (→).")
    print(f"\nin {folder}: allocs.csv (samples), allocs_summary.csv, allocs.png")
    # A peer that breaks is a result; when ours does, something is wrong.
    return 1 if any(chosen[label].name == allocators.OURS for _, label in samples.failed) else 0


def main():
    options = parse(sys.argv[1:])
    found, missing = allocators.find(ROOT, os.environ.get("PEERS", ""))
    chosen = allocators.select(found, options.allocators)
    if missing and not options.allocators:
        warn(f"not installed and left out: {', '.join(missing)}; harness/setup.sh peers")
    if options.instructions:
        folder = results_folder(options.output)
        instructions.run(ALLOCS, chosen, cells.choose_cpus(options.cpus, 1)[:1], folder)
        print(f"\nin {folder}: instructions.csv")
        return 0
    if options.start:
        print(start.text(chosen, *start.measure(chosen, options.rounds or STARTS, cells.choose_cpus(options.cpus, 1)[:1])))
        return 0
    return compare(options, chosen)


if __name__ == "__main__":
    sys.exit(run_main(NAME, main))
