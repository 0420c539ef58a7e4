"""What a comparison says, as plain words: the same for the console and for Markdown."""

from numa_report import layout
from numa_report.schema import COMMAND
from numa_report.verdict.cells import QUANTITIES

from . import comparison, conditions, environments
from .comparison import (BETTER, NO_CHANGE, NOT_COMPARABLE, ONLY_FIRST, ONLY_OTHER, UNCLEAR, WORSE)

MOST_NAME = 40  # letters of a name out of the data


class Names:
    """How cells are called in a comparison: by what tells them apart there."""

    def __init__(self, comparisons):
        rows = [answer.row for each in comparisons for answer in each.answers]
        self.varying = {figure: layout.varying(part) for figure, part in layout.figures(rows).items()}
        cpus = {}
        for row in rows:
            cpus.setdefault((row["host"], row["cpu_node"]), set()).add(row["cpu"])
        self.with_cpu = {place for place, of_node in cpus.items() if len(of_node) > 1}

    def quantity(self, row):
        """`latency`, `bandwidth triad, 2 threads`, `redis-server wall_time`"""
        if row["bench"] in QUANTITIES:
            words = [row["bench"] if row["variant"] == "random" else f"{row['bench']} {row['variant']}"]
        else:
            words = [f"{row['bench']} {row['metric']}" + ("" if row["variant"] == COMMAND else f" {row['variant']}")]
        varying = self.varying[row["bench"], row["metric"]]
        words += [layout.condition_words(name, row[name]) for name in varying if row[name] not in (None, "")]
        return ", ".join(layout.shortened(word, MOST_NAME) for word in words)

    def place(self, row):
        """`0 → 1`: the CPU's node and the memory's, or the policy; `0 (CPU 4) → 1` where the node has several."""
        cpu = f" (CPU {row['cpu']})" if (row["host"], row["cpu_node"]) in self.with_cpu else ""
        return f"{row['cpu_node']}{cpu} → {layout.shortened(str(layout.column(row)), MOST_NAME)}"

    def cell(self, row):
        return f"{self.quantity(row)}, {self.place(row)}"


def answer_words(answer, each):
    """`worse`, `only in B`, ..."""
    return {ONLY_FIRST: f"only in {each.first.letter}", ONLY_OTHER: f"only in {each.other.letter}"}.get(
        answer.word, answer.word)


def operand_words(operand):
    """`results/x (db1, AMD EPYC, 2026-11-23T05:38:31Z)`"""
    rows = operand.rows
    environment = operand.environment or {}
    published = rows[0]  # columns that results/reference/ has
    told = [published.get("machine") or layout.host_words(rows),
            environment.get("cpu_model") or (not published.get("machine") and published.get("cpu_model")),
            environment.get("started_at") or published.get("started_at") or published.get("published")]
    told = [layout.shortened(word, MOST_NAME) for word in told if isinstance(word, str) and word]
    return f"{layout.shortened(operand.path, 100)}" + (f" ({', '.join(told)})" if told else "")


def environment_lines(each):
    """What differs between the two runs' environments: a heading, then a line each."""
    letters = f"{each.first.letter} and {each.other.letter}"
    found = environments.differences(each.first.environment, each.other.environment)
    if found is None:
        silent = [one.letter for one in (each.first, each.other) if not one.environment]
        return [f"environments of {letters}: not compared, there is none of {' and '.join(silent)}"], []
    heading = f"environments of {letters}: " + ("they differ" if found else "the same")
    for operand, names in ((each.first, found.only_first), (each.other, found.only_other)):
        if names:
            heading += f"; only {operand.letter} tells {', '.join(names[:6])}" + (", ..." if len(names) > 6 else "")
    return [heading], found.changed


def summary_lines(each, names):
    """The numbers of each answer, the worst cell, and how the claims are made."""
    counts = [(len(each.of(word)), word) for word in (WORSE, BETTER, NO_CHANGE, UNCLEAR)]
    words = f"{each.other.letter} against {each.first.letter}: {layout.counted(len(each.tested), 'cell')} compared: "
    words += ", ".join(f"{count} {word}" for count, word in counts)
    apart = [f"{len(each.of(word))} {answer_words(each.of(word)[0], each)}"
             for word in (ONLY_FIRST, ONLY_OTHER, NOT_COMPARABLE) if each.of(word)]
    lines = [words + (f"; {', '.join(apart)}" if apart else "")]
    if each.of(WORSE):
        worst = each.of(WORSE)[0]
        lines.append(f"worst: {names.cell(worst.row)}: {change_words(worst)} ({interval_words(worst)})")
    return lines


def method_lines(comparisons):
    """How many cells were tested together, and what that means for the claims and the intervals."""
    number = sum(len(each.tested) for each in comparisons)
    threshold = f"{100 * comparisons[0].threshold:g} %"
    apart = ", each run by itself" if len(comparisons) > 1 else ""
    lines = [f"{layout.counted(number, 'cell')} tested together{apart}: at most 5 % of the worse and better ones are "
             f"expected to be false (Benjamini-Hochberg); they are beyond {threshold}. Intervals: 95 % each. no "
             f"change: the interval is within ±{threshold}. unclear: too noisy to tell."]
    silent = {operand.letter: operand.is_bare for each in comparisons for operand in (each.first, each.other)
              if operand.from_intervals}
    known = [letter for letter, is_bare in silent.items() if not is_bare]
    if known:
        lines.append(f"Of {' and '.join(known)} only medians and intervals are known, not the rounds: the changes' "
                     "intervals are wider for it.")
    bare = [letter for letter, is_bare in silent.items() if is_bare]
    if bare:
        lines.append(f"Of {' and '.join(bare)} only medians are known: how sure a change from there is cannot be said.")
    return lines


HEADER = ("", "cell", "CPU → memory", "{first}", "{other}", "change", "95 % interval", "")


def table_of_two(each, names, answers):
    """[[words]] with a header: a row a cell."""
    header = [word.format(first=each.first.letter, other=each.other.letter) for word in HEADER]
    return [header] + [[answer_words(answer, each), names.quantity(answer.row), names.place(answer.row),
                        value_words(answer.pair.before), value_words(answer.pair.after), change_words(answer),
                        interval_words(answer), note_words(answer)] for answer in answers]


def table_of_many(comparisons, names, words):
    """[[words]] with a header: a row a cell, a column a run. words: the answers for which a cell is listed."""
    found = {}
    for place, each in enumerate(comparisons):
        for answer in each.answers:
            key = (names.quantity(answer.row), names.place(answer.row))
            found.setdefault(key, [None] * len(comparisons))[place] = answer
    listed = {key: answers for key, answers in found.items()
              if any(answer and answer.word in words for answer in answers)}
    order = sorted(listed, key=lambda key: min(rank(answer) for answer in listed[key] if answer))
    first = comparisons[0].first.letter
    rows = [["cell", "CPU → memory", first, *(each.other.letter for each in comparisons)]]
    for key in order:
        before = next((answer.pair.before for answer in listed[key] if answer and answer.pair.before), None)
        rows.append([*key, value_words(before), *(
            in_run_words(answer, each) for answer, each in zip(listed[key], comparisons))])
    return rows


def rank(answer):
    return comparison.ANSWERS.index(answer.word), not answer.is_news, -abs(answer.badness)


def in_run_words(answer, each):
    """`2,107 ns, +7.9 % worse`"""
    if answer is None:
        return "-"
    said = " ".join(word for word in (change_words(answer), answer_words(answer, each)) if word)
    words = value_words(answer.pair.after), said, note_words(answer)
    return ", ".join(word for word in words if word not in ("", "-"))


def value_words(row):
    if row is None:
        return "-"
    if row["median"] is None:
        return row["status"]
    return layout.quantity_words(row["median"], row["unit"])


def change_words(answer):
    return "" if answer.change is None else conditions.share_words(answer.change)


def interval_words(answer):
    if answer.low is None:
        return ""
    low, high = map(conditions.share_words, (answer.low, answer.high))
    return f"{low[:-2] if low.endswith(' %') and high.endswith(' %') else low} to {high}"


def note_words(answer):
    if answer.word == UNCLEAR and answer.visible is not None:
        return f"{visible_words(answer.visible)} would be seen"
    return answer.reason


def visible_words(share):
    """`±7.9 %`; a factor where it is over twice as much."""
    return f"±{100 * share:.1f} %" if share < 1 else f"{1 + share:.3g} times"
