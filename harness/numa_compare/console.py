"""A comparison on the console: differences of the environments first, then the numbers, then the cells, worst first."""

import textwrap

from numa_report.layout import counted

from . import comparison, words

MOST_ROWS = 40  # unless all are asked for
WIDTH = 120  # of running text
LEFT = 3  # columns of words, which are aligned to the left


def render(comparisons, names, outcomes, show_all):
    """The text. outcomes: the lines on the conditions that do not hold."""
    first = comparisons[0].first
    lines = [f"{one.letter}  {words.operand_words(one)}" for one in (first, *(each.other for each in comparisons))]
    for each in comparisons:
        heading, changed = words.environment_lines(each)
        lines += ["", *heading, *indented(aligned([[name, f"{a} → {b}"] for name, a, b in changed], 2))]
    lines.append("")
    for each in comparisons:
        lines += words.summary_lines(each, names)
    for line in words.method_lines(comparisons):
        lines += textwrap.wrap(line, WIDTH)
    lines += ["", *table(comparisons, names, show_all)]
    return "\n".join(lines + [""] * bool(outcomes) + outcomes)


def table(comparisons, names, show_all):
    listed = comparison.ANSWERS if show_all else [word for word in comparison.ANSWERS if word != comparison.NO_CHANGE]
    if len(comparisons) == 1:
        each = comparisons[0]
        rows, left = words.table_of_two(each, names, each.of(*listed)), LEFT
    else:
        rows, left = words.table_of_many(comparisons, names, listed), LEFT - 1
    number = len(rows) - 1
    if not show_all:
        rows = rows[:1 + MOST_ROWS]
    unchanged = 0 if show_all else min(len(each.of(comparison.NO_CHANGE)) for each in comparisons)
    more = [f"{counted(number - MOST_ROWS, 'more cell')}"] if number > len(rows) - 1 else []
    if unchanged:
        more.append(f"{counted(unchanged, 'cell')} without change" if len(comparisons) == 1 else
                    "cells that nowhere changed")
    lines = aligned(rows, left) if number else []
    return lines + ([f"not listed: {' and '.join(more)} (--all lists them)"] if more else [])


def aligned(rows, left):
    """The rows' words under each other: the first `left` columns and the last one to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(word.ljust(width) if place < left or place == len(row) - 1 else word.rjust(width)
                      for place, (word, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


def indented(lines):
    return [f"  {line}" for line in lines]
