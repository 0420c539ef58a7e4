#!/usr/bin/env python3
"""Says what a run found, in words (verdict.txt), in pictures (PNG and SVG) and on one page (report.html)."""

import argparse
import importlib.util
import os
import sys

SYSTEM_PYTHON = "/usr/bin/python3"  # the one harness/setup.sh installs matplotlib for
NEEDED = ("numpy", "matplotlib", "jinja2")
NEEDED_TO_COMPARE = ("numpy", "scipy")
EPILOG = """\
Each cell shows the median, its 95 % interval and the penalty (over local memory; above 1 is worse). A cell that is
noisy, misplaced, failed, skipped or unverified is hatched and says so. A run without matrix.csv is summarised from its
samples.csv first. What bench/latency --curve, bench/loaded and bench/core2core print with --csv, kept as
FOLDER/curve.csv, loaded.csv and core2core.csv, becomes a part of the page.

A CONDITION is WHAT > +X% or WHAT < -X%, WHAT > X% worse (or better), penalty > X, unclear > X%, failed, misplaced or
missing. WHAT is QUANTITY[.VARIANT][.local|.remote]; QUANTITY is latency, bandwidth, PROGRAM, PROGRAM.METRIC or * for
all. Noise makes none hold, and one that no cell is of is an error: docs/COMPARE.md. --compare also takes a matrix.csv.

Exit status: 0 done, 1 something could not be, 2 usage, 3 a --fail-if condition holds.
"""


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="plot.py", description=__doc__, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", metavar="PATH", nargs="*",
                        help="a run's folder, a fleet's, or a folder of runs (results/)")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--compare", action="store_true",
                      help="say what changed from the first run to each of the others, cell by cell")
    mode.add_argument("--export", metavar="FORMAT", help="write the run's figures for other programs: see --export help")
    mode.add_argument("--import", metavar="FORMAT", dest="import_",
                      help="make a run of another tool's output: see --import help")
    parser.add_argument("--fail-if", metavar="CONDITION", action="append", default=[],
                        help="with --compare: exit with status 3 when it holds: 'latency.remote > +5%%' (see below)")
    parser.add_argument("--markdown", action="store_true", help="with --compare: print Markdown, for a pull request")
    parser.add_argument("--all", action="store_true", help="with --compare: list every cell, the unchanged ones too")
    parser.add_argument("--out", metavar="PATH", help="with --export: the file (default: standard output); with --import: "
                                                      "the folder (default: results/TIME-HOST)")
    parser.add_argument("--host", metavar="NAME", help="with --import: the machine it was measured on")
    for option, whose in (("--cpu-node", "whose CPUs measured"), ("--mem-node", "whose memory was measured")):
        parser.add_argument(option, metavar="N", type=node_number,
                            help=f"with --import: the node {whose}, where the tool does not say it")
    parsed = parser.parse_args(arguments)
    if not parsed.paths and "help" not in (parsed.export, parsed.import_):
        parser.error("a PATH is missing")
    for option, wanted in (("fail_if", "compare"), ("markdown", "compare"), ("all", "compare")):
        if getattr(parsed, option) and not getattr(parsed, wanted):
            parser.error(f"--{option.replace('_', '-')} goes with --{wanted}")
    for option in ("host", "cpu_node", "mem_node"):
        if getattr(parsed, option) is not None and not parsed.import_:
            parser.error(f"--{option.replace('_', '-')} goes with --import")
    if parsed.out and not (parsed.export or parsed.import_):
        parser.error("--out goes with --export or --import")
    return parsed


def node_number(text):
    if not text.isdecimal() or len(text) > 6:
        raise argparse.ArgumentTypeError(f"{ascii(text)} is not the number of a node")
    return int(text)


def draw(path):
    """The reports of all runs at or below the path; one that cannot be drawn does not keep the others from it."""
    from numa_report.errors import run_main

    def find():
        from numa_report import runs
        found = runs.find(path)
        fleets = {os.path.abspath(folder) for folder in found if runs.is_fleet(folder)}
        folders.extend(folder for folder in found if runs.fleet_of(folder) not in fleets)
        return 0

    def report(folder):
        from numa_report import report, run, runs
        if runs.is_fleet(folder):
            return report_fleet(folder)
        words, paths = report.write(run.Run(folder))
        print(*words, *paths, sep="\n")
        return 0

    folders = []
    status = run_main("plot.py", find)
    return max([status] + [run_main("plot.py", lambda folder=folder: report(folder)) for folder in folders])


def report_fleet(folder):
    """The fleet's page and each host's; a host whose data are damaged is a line."""
    from numa_report.page import fleet

    words, paths, errors = fleet.write(folder)
    print(*words, *paths, sep="\n", flush=True)
    for line in errors:
        print(f"plot.py: {line}", file=sys.stderr)
    return 1 if errors else 0


def missing_modules(needed=NEEDED):
    return [name for name in needed if importlib.util.find_spec(name) is None]


def main(parsed):
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from numa_report.errors import run_main

    def compare():
        from numa_compare import command
        return command.main(parsed.paths, parsed.fail_if, parsed.markdown, parsed.all)

    def export():
        from numa_exchange import exporting
        return exporting.main(parsed.export, parsed.paths, parsed.out)

    def import_():
        from numa_exchange import importing
        return importing.main(parsed.import_, parsed.paths, parsed.out, parsed.host, parsed.cpu_node, parsed.mem_node)

    for wanted, do in ((parsed.compare, compare), (parsed.export, export), (parsed.import_, import_)):
        if wanted:
            return run_main("plot.py", do)
    return max(draw(path) for path in parsed.paths)


if __name__ == "__main__":
    parsed = parse_arguments(sys.argv[1:])
    missing = missing_modules(NEEDED_TO_COMPARE if parsed.compare else NEEDED)
    if missing:
        if sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
            os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, os.path.abspath(__file__), *sys.argv[1:]])
        sys.exit(f"plot.py: {sys.executable} has no {' and no '.join(missing)}; harness/setup.sh installs it")
    sys.exit(main(parsed))
