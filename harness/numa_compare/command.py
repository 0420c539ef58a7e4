"""plot.py --compare A B [C...]: the whole command."""

import sys

from numa_report.errors import ReportError, UsageError

from . import comparison, conditions, console, markdown, operand, words

HOLDS = 3  # exit status of a condition that does


def main(paths, fail_if, as_markdown, show_all):
    """Compares the runs, prints what was found, and returns the exit status. Raises ReportError."""
    if len(paths) < 2:
        raise UsageError("--compare: two runs or more are expected: each a run's folder or a matrix.csv")
    asked = [conditions.read(condition) for condition in fail_if]
    first, *others = [operand.read(path, place) for place, path in enumerate(paths)]
    comparisons = [comparison.compare(first, other) for other in others]
    for each in comparisons:
        if not each.tested and not each.of(comparison.NOT_COMPARABLE):
            raise ReportError(f"{first.path} and {each.other.path}: no cell is in both (the same bench, metric, "
                              "variant, nodes, policy, allocator, pages, threads and size)")
    names = words.Names(comparisons)
    outcomes = [conditions.look(condition, comparisons) for condition in asked]
    lines = [(outcome.holds, f"--fail-if {shown(outcome.condition.words)} "
              + conditions.words_of(outcome, names.cell, len(comparisons) > 1)) for outcome in outcomes]
    if as_markdown:
        print(markdown.render(comparisons, names, lines))
    else:
        print(console.render(comparisons, names, [line for holds, line in lines if not holds], show_all))
    sys.stdout.flush()
    for holds, line in lines:
        if holds:
            print(f"plot.py: {line}", file=sys.stderr)
    return HOLDS if any(holds for holds, _ in lines) else 0


def shown(condition):
    return f"'{condition}'"
