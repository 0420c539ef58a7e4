#!/usr/bin/env python3
"""Says what a run found, or every run in a folder, in words (verdict.txt) and in pictures (PNG and SVG)."""

import argparse
import importlib.util
import os
import sys

SYSTEM_PYTHON = "/usr/bin/python3"  # the one harness/setup.sh installs matplotlib for
NEEDED = ("numpy", "matplotlib")


def missing_modules():
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="plot.py", description=__doc__,
        epilog="Each cell shows the median and the penalty (over local memory; above 1 is worse). A cell that is "
               "noisy, misplaced, failed, skipped or unverified is hatched and says so. A run without matrix.csv is "
               "summarised from its samples.csv first. What bench/latency --curve, bench/loaded and bench/core2core "
               "print with --csv, kept as FOLDER/samples.csv, is drawn as curves and a map: curve, loaded, core2core. "
               "Of a sweep of many hosts, the verdict is printed and each host's run is drawn. "
               "Exit status: 0 all drawn, 1 something could not be, 2 usage.")
    parser.add_argument("path", metavar="FOLDER", help="a run's folder, a fleet's, or a folder of runs (results/)")
    return parser.parse_args(arguments)


def main(path):
    sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
    from numa_report.errors import run_main

    def find():
        from numa_report import runs
        folders.extend(runs.find(path))
        return 0

    def draw(folder):
        from numa_report import runs
        if runs.is_fleet(folder):  # its hosts' folders follow
            print(*runs.verdict_of_fleet(folder), sep="\n")
            return 0
        rows, singles = runs.read(folder)
        for line in runs.judge(folder, rows) if rows else ():
            print(line)
        for picture in (runs.plot(folder, rows) if rows else []) + runs.plot_singles(folder, singles):
            print(picture)
        return 0

    folders = []
    status = run_main("plot.py", find)
    return max([status] + [run_main("plot.py", lambda folder=folder: draw(folder)) for folder in folders])


if __name__ == "__main__":
    parsed = parse_arguments(sys.argv[1:])
    missing = missing_modules()
    if missing:
        if sys.executable != SYSTEM_PYTHON and os.path.exists(SYSTEM_PYTHON):
            os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, os.path.abspath(__file__), *sys.argv[1:]])
        sys.exit(f"plot.py: {sys.executable} has no {' and no '.join(missing)}; harness/setup.sh installs it")
    sys.exit(main(parsed.path))
