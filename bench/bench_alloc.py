#!/usr/bin/env python3
"""Compares allocators: time and peak memory of bench/allocs and of real programs, in turns."""

import argparse
import os
import signal
import socket
import sys
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "harness"))

from alloc_report import allocators, cells, check, instructions, start  # noqa: E402
from alloc_report import measure as measuring  # noqa: E402
from alloc_report import samples as sampling  # noqa: E402
from numa_report.errors import ReportError, UsageError, run_main  # noqa: E402
from plot import SYSTEM_PYTHON, missing_modules  # noqa: E402

NAME = "bench_alloc.py"
ALLOCS = str(ROOT / "bench" / "allocs")
ROUNDS, STARTS, THREADS = 7, 200, [1, 2]

EPILOG = f"""\
allocators: glibc, ours and those of {', '.join(allocators.INSTALLED)} that are installed.
  numa_alloc@POLICY in --allocators runs ours under that NUMA_ALLOC_POLICY, numa_alloc@checks with
  NUMA_ALLOC_CHECKS=on. PEERS=name=path.so,... in the
  environment adds others; one named like an installed one (PEERS=mimalloc=...) takes its place. Each is
  tried before anything is measured, and one that programs do not get is refused.

files in the folder, each sample as soon as it is measured:
  allocs.csv          samples: wall_time in s, peak_memory (resident) in bytes; the columns of samples.csv,
                      then label (the allocator as --allocators names it) and reason (why a cell failed)
  allocs_summary.csv  a row for each cell and allocator: wall_s (median, s), ratio (to base), to_best_peer
                      (time over the fastest other peer's), peak_bytes (median), peak_ratio (to base),
                      failed (why), label; with _low and _high, the ends of the 95 % bootstrap interval
  allocs.png, allocs_memory.png   the ratios of wall time and of peak memory to the base's
  start.csv           with --start, as allocs.csv: wall_time of `true` in s
  instructions.csv    with --instructions: allocator, size_bytes, instructions_per_pair

Ratios are within a round, and medians over the rounds. Interrupted, it reports what it has.
Exit status: 0 done, 1 something could not be measured or numa_alloc failed, 2 usage, 130 or 143 interrupted.
"""

# The options that a mode has a use for. Comparing has a use for all.
USES = {"start": {"rounds", "allocators", "base", "cpus", "output"}, "instructions": {"allocators", "cpus", "output"},
        "from": {"base"}}


class Stopped(KeyboardInterrupt):
    """A signal that ends the run; what was measured is still reported."""

    def __init__(self, number):
        super().__init__()
        self.status = 128 + number


def stop(number, _frame):
    raise Stopped(number)


def refuse(message):
    """argparse's complaint as one line."""
    raise UsageError(message.removeprefix("argument "))


def parse(argv):
    parser = argparse.ArgumentParser(prog=NAME, description=__doc__, epilog=EPILOG, allow_abbrev=False,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.error = refuse
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--start", action="store_true",
                      help=f"time the start of `true` instead; ratios are to {start.REFERENCE}'s unless --base is given")
    what.add_argument("--instructions", action="store_true",
                      help="count instructions of a malloc and its free instead, with valgrind")
    what.add_argument("--from", metavar="FOLDER",
                      help="measure nothing; report again from the allocs.csv of a run, into its folder")
    others = [
        parser.add_argument("--rounds", type=int, metavar="N", help=f"1 to 10000 (default {ROUNDS}, with --start {STARTS})"),
        parser.add_argument("--only", nargs="+", metavar="NAME", help="these workloads and programs (small, small.2)"),
        parser.add_argument("--allocators", nargs="+", metavar="NAME", help="these allocators (default: all found)"),
        parser.add_argument("--base", metavar="NAME", help="what ratios are to (default: glibc, else the first allocator)"),
        parser.add_argument("--threads", nargs="+", type=int, metavar="N", help="of the workloads, 1 to 250 (default: 1 2)"),
        parser.add_argument("--cpus", metavar="LIST", help="CPUs to pin to, as 2,3 (default: the last allowed ones)"),
        parser.add_argument("--no-programs", action="store_const", const=True, help="leave the real programs out"),
        parser.add_argument("--output", metavar="FOLDER", help="new or empty (default: results/<UTC time>-<host>-allocs)")]
    options = parser.parse_args(argv)
    mode = next((name for name in USES if getattr(options, name)), None)
    for option in others if mode else ():
        if getattr(options, option.dest) is not None and option.dest not in USES[mode]:
            raise UsageError(f"{option.option_strings[0]} does not go with --{mode}")
    for name, values, most in (("--rounds", [options.rounds], 10000), ("--threads", options.threads or [], 250)):
        for value in values:
            if value is not None and not 1 <= value <= most:
                raise UsageError(f"{name}: {value} is not accepted; 1 to {most} is")
    return options


def need_modules():
    """Goes on under the system's Python where this one lacks what figures need: before measuring, not after."""
    missing = missing_modules()
    if missing and sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, os.path.abspath(__file__), *sys.argv[1:]])
    if missing:
        raise ReportError(f"{sys.executable} has no {' and no '.join(missing)}; harness/setup.sh installs it")


def results_folder(given):
    """Makes the run's folder."""
    time = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    folder = Path(given) if given else ROOT / "results" / f"{time}-{socket.gethostname()}-allocs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise UsageError(f"--output: {folder} is not empty")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"--output: {folder}: cannot write to it")
    except FileExistsError:
        raise UsageError(f"--output: {folder} is not a folder") from None
    except OSError as error:
        raise UsageError(f"--output: {folder}: {error.strerror}") from None
    return folder


def choose_base(given, preferred, labels):
    base = given or (preferred if preferred in labels else next(iter(labels)))
    if base not in labels:
        raise UsageError(f"--base: '{base}' is not accepted; {', '.join(labels)} are")
    return base


def warn(line):
    measuring.progress("")
    print(f"{NAME}: {line}", file=sys.stderr)


def measured_base(base, labels, samples):
    """The base, or where it has no sample the first allocator that has."""
    if samples.measured(base):
        return base
    other = next(label for label in labels if samples.measured(label))
    warn(f"there is no sample of {base}; ratios are to {other}")
    return other


def until_stopped(measure, *arguments):
    """Measures into samples, the last argument; the exit status that a signal asks for, or 0."""
    try:
        measure(*arguments)
    except KeyboardInterrupt as error:
        warn("interrupted; this is what was measured until then" if arguments[-1].rounds()
             else "interrupted before anything was measured")
        return getattr(error, "status", 130)
    return 0


def compare(options, chosen, settings):
    """The set and the programs. An interrupted run reports what it has."""
    threads = list(dict.fromkeys(options.threads or THREADS))
    all_of_them, missing = cells.all_cells(ALLOCS, threads, not options.no_programs)
    for program in missing:
        warn(f"{program} is not installed and left out; harness/setup.sh test")
    wanted = cells.select(all_of_them, options.only or [])
    base = choose_base(options.base, allocators.BASE, chosen)
    cpus = cells.choose_cpus(options.cpus, max(cell.threads for cell in wanted))
    folder = results_folder(options.output)
    samples, rounds = sampling.Samples(settings=settings), options.rounds or ROUNDS
    file = sampling.SampleFile(folder, "allocs.csv", settings)
    stopped = until_stopped(measuring.measure, wanted, chosen, rounds, cpus, file, samples)
    if stopped and not samples.rounds():
        return stopped
    where = f"{socket.gethostname()}, CPU{'' if len(cpus) == 1 else 's'} {','.join(map(str, cpus))}"
    return report(wanted, chosen, samples, base, folder, where, rounds) or stopped


def exit_status(chosen, failed_labels):
    """A peer that breaks is a result; when ours does, something is wrong."""
    return 1 if any(chosen[label].name == allocators.OURS for label in failed_labels) else 0


def report(wanted, chosen, samples, base, folder, where, rounds):
    """Prints and writes all there is to say; the exit status."""
    from alloc_report import figure, summary, table  # numpy and matplotlib only after measuring: see execute()
    measured = {cell for cell, _ in samples.values["wall_time"]}
    if not measured:
        raise ReportError("nothing was measured")
    result = summary.Summary([cell for cell in wanted if cell.id in measured], chosen, samples,
                             measured_base(base, chosen, samples))
    print(table.text(result))
    table.write_csv(str(folder / "allocs_summary.csv"), result)
    done = samples.rounds()
    rounds_done = f"{table.plural(done, 'round')}{f' of {rounds}' if done < rounds else ''}"
    subtitle = (f"{where}, {rounds_done} in turns. Bars: medians of ratios within a round; "
                "black lines: 95 % bootstrap intervals; bars past 2 are cut off (→).")
    pictures = [name for name, metric in (("allocs.png", "wall_time"), ("allocs_memory.png", "peak_memory"))
                if figure.draw(str(folder / name), result, metric, subtitle)]
    print(f"\nin {folder}: {', '.join(['allocs.csv (samples)', 'allocs_summary.csv', *pictures])}")
    return exit_status(chosen, (label for _, label in samples.failed))


def report_again(options):
    """From the samples of a run that has none, or for another base."""
    folder = Path(getattr(options, "from"))
    wanted, labels, samples, host = sampling.read(folder / "allocs.csv")
    base = choose_base(options.base, allocators.BASE, labels)
    return report(wanted, {label: allocators.Allocator(label, None) for label in labels}, samples, base, folder, host,
                  samples.rounds())


def time_starts(options, chosen, settings):
    reference, cpus = choose_base(options.base, start.REFERENCE, chosen), cells.choose_cpus(options.cpus, 1)[:1]
    folder, samples = results_folder(options.output), sampling.Samples(settings=settings)
    file = sampling.SampleFile(folder, "start.csv", settings)
    stopped = until_stopped(start.measure, chosen, options.rounds or STARTS, cpus, file, samples)
    print(start.text(chosen, samples, reference))
    print(f"\nin {folder}: start.csv")
    return exit_status(chosen, (label for _, label in samples.failed)) or stopped


def count_instructions(options, chosen):
    instructions.need_valgrind()
    cpus, folder = cells.choose_cpus(options.cpus, 1)[:1], results_folder(options.output)
    failed = instructions.run(ALLOCS, chosen, cpus, folder)
    print(f"\nin {folder}: instructions.csv")
    return exit_status(chosen, failed)


def main():
    options = parse(sys.argv[1:])
    need_modules()
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    if getattr(options, "from"):
        return report_again(options)
    found, missing = allocators.find(ROOT, os.environ.get("PEERS", ""))
    chosen = allocators.select(found, options.allocators or [])
    if missing and not options.allocators:
        warn(f"not installed and left out: {', '.join(missing)}; harness/setup.sh peers")
    settings = {label: check.in_force(ALLOCS, allocator, warn) for label, allocator in chosen.items()}
    if options.instructions:
        return count_instructions(options, chosen)
    return time_starts(options, chosen, settings) if options.start else compare(options, chosen, settings)


if __name__ == "__main__":
    sys.exit(run_main(NAME, main))
