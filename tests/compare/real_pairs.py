#!/usr/bin/python3
"""How often plot.py --compare errs on real data: false alarms on an unchanged machine, and planted changes found.

Usage: real_pairs.py FOLDER [--pairs N] [--change 5]

FOLDER holds runs of one machine, with the same options, that nothing changed between:
    for i in $(seq -w 1 11); do harness/run_matrix.sh --no-pictures --out FOLDER/$i; done
Each pair of runs is compared as it is: whatever is called worse or better is a false alarm. Then each cell in turn
is made PERCENT larger or smaller in the second run (that cell alone, the sign by turns) and the pair is compared
again: the change is found when that cell is called worse or better as it should be.
"""

import argparse
import dataclasses
import itertools
import os
import sys
from statistics import fmean, median

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "harness"))

from numa_compare import comparison, operand  # noqa: E402
from numa_report.errors import ReportError, run_main  # noqa: E402

ALARMS = (comparison.WORSE, comparison.BETTER)


def parse_arguments():
    first, _, rest = __doc__.partition("\n\nUsage:")
    parser = argparse.ArgumentParser(prog="real_pairs.py", description=first, epilog="Usage:" + rest,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--pairs", type=int, default=0, help="most pairs, evenly chosen of all (default: all)")
    parser.add_argument("--change", type=float, default=5, metavar="PERCENT", help="what is planted (default: 5)")
    return parser.parse_args()


def read_runs(folder):
    paths = [entry.path for entry in sorted(os.scandir(folder), key=lambda entry: entry.name)
             if os.path.exists(os.path.join(entry.path, "matrix.csv"))]
    if len(paths) < 2:
        raise ReportError(f"{folder}: two finished runs or more are expected in it")
    return [operand.read(path, place) for place, path in enumerate(paths)]


def chosen(runs, most):
    pairs = list(itertools.combinations(runs, 2))
    return pairs if not 0 < most < len(pairs) else [pairs[place * len(pairs) // most] for place in range(most)]


def planted(other, row, factor):
    """The run with one cell's figures multiplied: all its samples, so that the spread of their logarithms stays."""
    key = operand.key_of(row)
    known = {**other.known, key: dataclasses.replace(other.known[key], median=other.known[key].median * factor)}
    return dataclasses.replace(other, known=known)


def found(first, other, answer, factor):
    """The answer's word for its cell once that is `factor` of what it was."""
    again = comparison.compare(first, planted(other, answer.pair.after, factor))
    word = next(each.word for each in again.answers if each.pair.after is answer.pair.after)
    is_worse = (factor > 1) != operand.is_higher_better(answer.row)
    return word == (comparison.WORSE if is_worse else comparison.BETTER)


def tell(first, other, change):
    """({bench: [(answer's word, whether the planted change was found, half the interval's width, change)]} of a pair,
    whether a --fail-if of a change beyond 2 % would hold)."""
    told, tested = {}, comparison.compare(first, other).tested
    for place, answer in enumerate(tested):
        factor = 1 + (change if place % 2 else -change) / 100
        told.setdefault(answer.row["bench"], []).append(
            (answer.word, found(first, other, answer, factor),
             None if answer.low is None else (answer.high - answer.low) / 2, abs(answer.change)))
    return told, any(answer.certain and answer.word in ALARMS for answer in tested)


def line(name, pairs, told):
    share = [f"{100 * fmean(values):.1f} %" for values in (
        [word in ALARMS for word, *_ in told], [was_found for _, was_found, *_ in told],
        [word == comparison.UNCLEAR for word, *_ in told], [word == comparison.NO_CHANGE for word, *_ in told])]
    widths = [width for _, _, width, _ in told if width is not None]
    ends = [100 * median(values) if values else float("nan") for values in (widths, [moved for *_, moved in told])]
    return f"{name:34} {pairs:5} {len(told):6} {share[0]:>12} {share[1]:>13} {share[2]:>8} {share[3]:>10}" + \
        "".join(f" {end:10.2f} %" for end in ends)


def main(arguments):
    runs = read_runs(arguments.folder)
    pairs = chosen(runs, arguments.pairs)
    print(f"{'':34} pairs  cells false alarms planted found  unclear  no change  ± interval       moved")
    whole, failures = {}, 0
    for first, other in pairs:
        told, fails = tell(first, other, arguments.change)
        failures += fails
        every = [item for part in told.values() for item in part]
        print(line(f"{first.name[-16:]} {other.name[-16:]}", 1, every))
        for bench, part in told.items():
            whole.setdefault(bench, []).extend(part)
    for bench, part in whole.items():
        print(line(bench, len(pairs), part))
    print(line("all", len(pairs), [item for part in whole.values() for item in part]))
    print(f"{failures} of {len(pairs)} pairs would fail --fail-if '* > 2% worse' or '* > 2% better'")
    return 0


if __name__ == "__main__":
    sys.exit(run_main("real_pairs.py", lambda: main(parse_arguments())))
