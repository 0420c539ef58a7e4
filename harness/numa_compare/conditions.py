"""--fail-if: what must not have happened, for a CI job to go on.

    [QUANTITY][.VARIANT][.local|.remote|.all] OP [+|-]X%     change of the figure: latency.remote > +5%
    ...                                       > X% worse     change for the worse (or better), whichever way that is
    penalty[.QUANTITY][...]                   > X            the last run's penalty itself
    failed, misplaced, missing                               a cell of a later run failed, ...
    unclear                                   > X%           so many of the cells tested

QUANTITY is a benchmark's name (latency, bandwidth), a program's with or without its metric (redis-server.wall_time), or
* for all. A change counts where it is certain and its median is beyond X: certain as worse and better are, but at 1 %
in place of 5 % and with every round counted, so that of 100 comparisons in which nothing changed about one fails. A
penalty counts where its whole 95 % interval is beyond X.
"""

import re
from dataclasses import dataclass

from numa_report import layout
from numa_report.errors import ReportError, UsageError
from numa_report.schema import COMMAND, cell_order
from numa_report.verdict.cells import is_remote

from . import comparison, penalties
from .operand import is_higher_better

FORM = re.compile(r"\s*(?P<path>[^<>=\s][^<>=]*?)\s*(?:(?P<op>[<>]=?)\s*(?P<sign>[+-]?)(?P<number>\d+(?:\.\d+)?)\s*"
                  r"(?P<percent>%?)\s*(?P<way>worse|better)?\s*)?")
ACCEPTED = ("'latency.remote > +5%', 'bandwidth.triad < -3%', '*.remote > 5% worse', 'PROGRAM.METRIC > +5%', "
            "'penalty > 2.0', 'unclear > 10%', 'failed', 'misplaced' or 'missing' is accepted: see docs/COMPARE.md")
PLACES = {"local": lambda row: row["mem_node"] is not None and not is_remote(row), "remote": is_remote,
          "all": lambda row: True}
PENALTY, UNCLEAR = "penalty", "unclear"
STATES = ("failed", "misplaced", "missing")
EVERY = "*"
MOST_NAMES = 3


@dataclass(frozen=True)
class Condition:
    """One --fail-if, as typed and as read."""

    words: str
    path: str  # what it is of, without the place
    place: str  # a key of PLACES
    op: str  # "", <, <=, >, >=
    limit: float  # a share (0.05) or, of a penalty, a number
    way: str = ""  # worse, better or neither


@dataclass(frozen=True)
class Outcome:
    """Whether a condition holds. cells: [(Comparison, row, what is so of it)] for which it does."""

    condition: Condition
    cells: list
    tested: int  # cells it was looked for in
    unclear: int  # of those, for which it may or may not hold
    left_out: int  # cells of its kind that could not be compared
    total: str = ""  # what the words are when it is not of single cells

    @property
    def holds(self):
        return bool(self.cells or self.total)


def read(words):
    """The Condition; raises UsageError, saying what is accepted."""
    found = FORM.fullmatch(words)
    if not found:
        raise refusal(words)
    path, place = found["path"], "all"
    if path.rpartition(".")[2] in PLACES and "." in path:
        path, _, place = path.rpartition(".")
    limit = float(found["sign"] + found["number"]) if found["op"] else 0.0
    condition = Condition(words, path, place, found["op"] or "", limit / 100 if found["percent"] else limit,
                          found["way"] or "")
    if not is_sound(condition, found):
        raise refusal(words)
    return condition


def is_sound(condition, found):
    """Whether its parts go together."""
    if condition.path in STATES:
        return not condition.op
    if not condition.op:
        return False
    if condition.path == UNCLEAR:
        return found["percent"] and not found["sign"] and not found["way"] and condition.op[0] == ">"
    if is_of_penalty(condition):
        return not found["percent"] and not found["sign"] and not found["way"]
    if condition.way:
        return found["percent"] and not found["sign"] and condition.op[0] == ">"
    return found["percent"] and (condition.op[0] == ">" if condition.limit > 0 else condition.op[0] == "<"
                                 if condition.limit < 0 else True)


def refusal(words):
    return UsageError(f"--fail-if {ascii(words)} cannot be read: {ACCEPTED}")


def is_of_penalty(condition):
    return condition.path == PENALTY or condition.path.startswith(PENALTY + ".")


def fits(condition, row):
    """Whether the condition's path and place name the row."""
    bench, metric, variant = row["bench"], row["metric"], row["variant"]
    names = {EVERY, f"{EVERY}.{variant}", bench, f"{bench}.{variant}", f"{bench}.{metric}",
             f"{bench}.{metric}.{variant}"}
    path = condition.path
    if is_of_penalty(condition):
        path = path[len(PENALTY) + 1:] or EVERY
    return path in names and PLACES[condition.place](row)


def look(condition, comparisons):
    """The Outcome of the condition.

    Raises UsageError where it names no cell, ReportError where none of those could be compared: neither is a pass.
    """
    if condition.path in STATES:
        return look_at_states(condition, comparisons)
    if condition.path == UNCLEAR:
        return look_at_unclear(condition, comparisons)
    if is_of_penalty(condition):
        return look_at_penalties(condition, comparisons[-1])
    named = [(each, answer) for each in comparisons for answer in each.answers if fits(condition, answer.row)]
    if not named:
        raise nothing_named(condition, (answer.row for each in comparisons for answer in each.answers))
    tested = [(each, answer) for each, answer in named if answer.word in comparison.TESTED]
    if not tested:
        raise ReportError(f"--fail-if {ascii(condition.words)}: none of the {layout.counted(len(named), 'cell')} that "
                          "it names could be compared")
    if not condition.way and len({is_higher_better(answer.row) for _, answer in tested}) > 1:
        raise UsageError(f"--fail-if {ascii(condition.words)}: of some of its figures higher is better, of others "
                         "lower: write '> X% worse' or '> X% better'")
    beyond = [(each, answer) for each, answer in tested if is_beyond(condition, answer)]
    cells = [(each, answer.row, share_words(answer.change)) for each, answer in beyond if answer.certain]
    unclear = sum(answer.word == comparison.UNCLEAR for _, answer in tested)
    unclear += sum(not answer.certain and answer.word != comparison.UNCLEAR for _, answer in beyond)
    return Outcome(condition, cells, len(tested), unclear, len(named) - len(tested))


def is_beyond(condition, answer):
    """Whether the median change is beyond the limit."""
    change = answer.change
    if condition.way:
        is_worse = answer.badness > 0
        return is_worse == (condition.way == "worse") and compares(abs(change), condition.op, condition.limit)
    return compares(change, condition.op, condition.limit)


def compares(value, op, limit):
    return {"<": value < limit, "<=": value <= limit, ">": value > limit, ">=": value >= limit}[op]


def look_at_states(condition, comparisons):
    """Of cells that no longer give a figure. `failed` and `misplaced` are of the later runs, whatever the first was."""
    cells = []
    for each in comparisons:
        for answer in each.answers:
            after = answer.pair.after
            if condition.path == "missing" and after is None or after and after["status"] == condition.path:
                cells.append((each, answer.row, condition.path))
    return Outcome(condition, cells, sum(len(each.answers) for each in comparisons), 0, 0)


def look_at_unclear(condition, comparisons):
    tested = [answer for each in comparisons for answer in each.tested]
    if not tested:
        raise ReportError(f"--fail-if {ascii(condition.words)}: no cell could be compared")
    unclear = sum(answer.word == comparison.UNCLEAR for answer in tested)
    words = f"{unclear} of {layout.counted(len(tested), 'cell')} unclear" \
        if compares(unclear / len(tested), condition.op, condition.limit) else ""
    return Outcome(condition, [], len(tested), unclear, 0, words)


def look_at_penalties(condition, last):
    """Of the last run alone: cells whose penalty's whole 95 % interval is beyond the limit."""
    rows = [row for row in last.other.rows if fits(condition, row)]
    if not rows:
        raise nothing_named(condition, last.other.rows)
    known = [row for row in rows if row["penalty"] is not None]
    if not known:
        raise ReportError(f"--fail-if {ascii(condition.words)}: none of the {layout.counted(len(rows), 'cell')} that "
                          "it names has a penalty")
    known.sort(key=lambda row: -row["penalty"] if condition.op[0] == ">" else row["penalty"])
    cells, unclear = [], 0
    for row, (low, high) in zip(known, penalties.intervals(known, last.other)):
        if low is not None and compares(low if condition.op[0] == ">" else high, condition.op, condition.limit):
            cells.append((last, row, f"penalty {layout.penalty_words(row['penalty'])}"))
        elif low is None or low <= condition.limit <= high:
            unclear += 1
    return Outcome(condition, cells, len(known), unclear, len(rows) - len(known))


def nothing_named(condition, rows):
    rows = sorted(rows, key=cell_order)
    names = dict.fromkeys(f"{row['bench']}.{row['metric' if row['variant'] == COMMAND else 'variant']}" for row in rows)
    shown = ", ".join(layout.shortened(name, 40) for name in list(names)[:6])
    return UsageError(f"--fail-if {ascii(condition.words)}: no cell is of that name; there are {shown}"
                      + (", ..." if len(names) > 6 else "") + ", with .local and .remote cells")


def share_words(share):
    """`+7.9 %`, `×3.4` where it is over twice as much."""
    if share > 2:
        return f"×{1 + share:.3g}"
    return f"{100 * share:+.1f} %"


def words_of(outcome, name_of, letters):
    """One line: whether the condition holds, and for which cells. letters: whether to say which run a cell is of."""
    if not outcome.holds:
        words = f"holds for none of {layout.counted(outcome.tested, 'cell')}"
        words += f", {outcome.unclear} of them unclear" if outcome.unclear else ""
        return words + (f"; {outcome.left_out} could not be compared" if outcome.left_out else "")
    if outcome.total:
        return f"holds: {outcome.total}"
    named = [f"{name_of(row)} ({what}{f' in {each.other.letter}' if letters else ''})"
             for each, row, what in outcome.cells[:MOST_NAMES]]
    more = len(outcome.cells) - len(named)
    return f"holds for {len(outcome.cells)} of {layout.counted(outcome.tested, 'cell')}: {', '.join(named)}" + (
        f" and {more} more" if more else "")

