"""A comparison as Markdown, for a pull request: what changed in a table, the rest folded away."""

import html
import re

from . import comparison, words

MOST_ROWS = 200  # of one table: what a pull request takes is 65,536 letters
LOUD = (comparison.WORSE, comparison.BETTER)
SPECIAL = re.compile(r"([\\`*_{}\[\]|~])")
REFERENCE = re.compile(r"([@#])(?=\w)")
ADDRESS = re.compile(r"(?i)\b(https?|ftp)(?=:)|\b(www)(?=\\?\.)")  # which becomes a link by itself
ZERO_WIDTH_SPACE = "\u200b"


def render(comparisons, names, outcomes):
    """The text. outcomes: [(a condition's words, whether it holds, the line that says so)]"""
    operands = [comparisons[0].first, *(each.other for each in comparisons)]
    lines = [f"### {escaped(' and '.join(each.other.letter for each in comparisons))} against {operands[0].letter}", ""]
    lines += [f"- **{one.letter}**: {escaped(words.operand_words(one))}" for one in operands]
    for each in comparisons:
        heading, changed = words.environment_lines(each)
        lines += ["", *map(escaped, heading)]
        if changed:
            lines += ["", *table([["", each.first.letter, each.other.letter], *changed])]
    for held, line in outcomes:
        lines += ["", f"**{'Fails' if held else 'Passes'}**: {escaped(line)}"]
    for each in comparisons:
        for line in words.summary_lines(each, names):
            lines += ["", escaped(line)]
    lines += parts(comparisons, names)
    lines += ["", *(f"<sub>{escaped(line)}</sub>" for line in words.method_lines(comparisons))]
    return "\n".join(lines)


def parts(comparisons, names):
    """The table of what changed, and the folded one of everything else."""
    if len(comparisons) > 1:
        rows = words.table_of_many(comparisons, names, comparison.ANSWERS)
        loud = {tuple(row) for row in words.table_of_many(comparisons, names, LOUD)[1:]}
        open_rows = [row for row in rows[1:] if tuple(row) in loud]
        folded = [row for row in rows[1:] if tuple(row) not in loud]
    else:
        each = comparisons[0]
        is_open = [answer.word in LOUD or answer.is_news for answer in each.answers]
        rows = words.table_of_two(each, names, each.answers)
        open_rows = [row for row, shown in zip(rows[1:], is_open) if shown]
        folded = [row for row, shown in zip(rows[1:], is_open) if not shown]
    lines = ["", *table([rows[0], *open_rows])] if open_rows else []
    if folded:
        kind = "other cell" if open_rows else "cell"
        lines += ["", f"<details><summary>{len(folded)} {kind}{'' if len(folded) == 1 else 's'}</summary>", "",
                  *table([rows[0], *folded]), "", "</details>"]
    return lines


def table(rows):
    """A table of Markdown; what is over MOST_ROWS is counted below it."""
    lines = [f"| {' | '.join(map(escaped, row))} |" for row in rows[:1 + MOST_ROWS]]
    lines.insert(1, "|" + " --- |" * len(rows[0]))
    if len(rows) > 1 + MOST_ROWS:
        lines += ["", f"and {len(rows) - 1 - MOST_ROWS} more"]
    return lines


def escaped(text):
    """Words from the data as words: no mark of Markdown, no HTML, no new row, no mention, no issue's number and no link."""
    line = html.escape(" ".join(text.split()), quote=False)
    line = ADDRESS.sub(rf"\g<0>{ZERO_WIDTH_SPACE}", SPECIAL.sub(r"\\\1", line))
    return REFERENCE.sub(rf"\1{ZERO_WIDTH_SPACE}", line)
