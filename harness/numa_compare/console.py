"""A comparison on the console: differences of the environments first, then the numbers, then the cells, worst first."""

import textwrap

from numa_report.layout import counted

from . import comparison, words

MOST_ROWS = 40  # unless all are asked for
MOST_ALONE = 8  # cells of one run alone
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
    """The cells' lines and what is not listed, which --all would."""
    listed, left_out = list(comparison.ANSWERS), []
    if not show_all:
        listed.remove(comparison.NO_CHANGE)
        left_out = unlisted(comparisons, listed)
    if len(comparisons) == 1:
        rows, left = words.table_of_two(comparisons[0], names, comparisons[0].of(*listed)), LEFT
    else:
        rows, left = words.table_of_many(comparisons, names, listed), LEFT - 1
    if not show_all and len(rows) - 1 > MOST_ROWS:
        left_out.insert(0, counted(len(rows) - 1 - MOST_ROWS, "more cell"))
        rows = rows[:1 + MOST_ROWS]
    lines = aligned(rows, left) if len(rows) > 1 else []
    return lines + ([f"not listed: {', '.join(left_out)} (--all lists them)"] if left_out else [])


def unlisted(comparisons, listed):
    """What is counted in place of listed, in words: cells that did not change, and those of one run where they are many."""
    if len(comparisons) > 1:
        return ["cells that nowhere changed"]
    each, found = comparisons[0], []
    for word in (comparison.ONLY_FIRST, comparison.ONLY_OTHER):
        alone = each.of(word)
        if len(alone) > MOST_ALONE:
            listed.remove(word)
            found.append(f"{counted(len(alone), 'cell')} {words.answer_words(alone[0], each)}")
    unchanged = len(each.of(comparison.NO_CHANGE))
    return found + ([f"{counted(unchanged, 'cell')} without change"] if unchanged else [])


def aligned(rows, left):
    """The rows' words under each other: the first `left` columns and the last one to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(word.ljust(width) if place < left or place == len(row) - 1 else word.rjust(width)
                      for place, (word, width) in enumerate(zip(row, widths))).rstrip() for row in rows]


def indented(lines):
    return [f"  {line}" for line in lines]
