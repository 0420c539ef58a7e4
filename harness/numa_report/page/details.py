"""What the page's script shows of a cell: its samples, the command that measured it, where its pages were."""

from .. import layout
from . import commands

MOST_SAMPLES = 600  # drawn of one cell; the figures beside them are of all

# The columns of the data's `cells`; words are numbers in `strings`, and so are a command's.
FIELDS = ("quantity", "cell", "conditions", "placement", "status", "reason", "outlier", "median", "low", "high", "count", "mad",
          "outliers", "rounds", "disturbed", "left_out", "command", "script")


class Strings:
    """Each word kept once: of 64 x 64 nodes' cells and commands most are the same."""

    def __init__(self):
        self.numbers = {"": 0}

    def number(self, word):
        return self.numbers.setdefault(word, len(self.numbers))


def of_run(run):
    """The page's data: {strings, quantities, fields, cells}, the cells in the order of the matrix's rows."""
    strings, known = Strings(), commands.of_rows(run.folder, run.rows)
    quantities, cells = [], []
    for (bench, metric), rows in layout.figures(run.rows).items():
        scale, unit = layout.unit_of(rows)
        quantities.append({"title": layout.title(bench, metric), "unit": unit})
        for row in rows:
            samples = run.samples.get((row["host"], row["cell"], row["metric"]), ())
            cells.append(cell(row, len(quantities) - 1, scale, samples, known.get(id(row)), strings))
    return {"quantities": quantities, "fields": FIELDS, "cells": cells, "strings": list(strings.numbers)}


def numbers(rows):
    """{id(row): the number of its cell in of_run()'s `cells`}"""
    ordered = (row for part in layout.figures(rows).values() for row in part)
    return {id(row): number for number, row in enumerate(ordered)}


def cell(row, quantity, scale, samples, command, strings):
    """The values of FIELDS; values of samples in the quantity's unit."""
    words, script = command or ("", "")
    rounds, disturbed, left_out = by_round(samples, scale, strings)
    median, low, high, mad = (None if value is None else short(value / scale) for value in
                              (row["median"], row["ci_low"], row["ci_high"], number_of(row.get("mad"))))
    outliers = number_of(row.get("outliers"))
    said = (conditions_words(row), placement_words(row), row["status"], layout.shortened(row.get("reason") or "", 1000),
            row.get("outlier") or "")
    return [quantity, layout.shortened(row["cell"], 200), *map(strings.number, said), median, low, high, row["samples"], mad,
            None if outliers is None else int(outliers), rounds, disturbed, left_out,
            [strings.number(word) for word in words.split(" ")] if words else [], strings.number(script)]


def by_round(samples, scale, strings):
    """([[round, value, ...] of each round], [place among all values, why it was disturbed, ...], samples not among them)."""
    kept = samples if len(samples) <= MOST_SAMPLES else samples[::-(-len(samples) // MOST_SAMPLES)]
    rounds, disturbed = {}, []
    for sample in kept:
        rounds.setdefault(sample.round, []).append(sample)
    ordered = [sample for number in sorted(rounds) for sample in rounds[number]]
    for place, sample in enumerate(ordered):
        if sample.disturbed:
            disturbed += [place, strings.number(layout.shortened(sample.disturbed, 60))]
    return ([[number, *(short(sample.value / scale) for sample in rounds[number])] for number in sorted(rounds)],
            disturbed, len(samples) - len(kept))


def short(value):
    """As many digits as matrix.csv has; whole numbers as such."""
    value = float(f"{value:.6g}")
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def number_of(field):
    """A column that readers do not need: None where it is absent or no number."""
    try:
        value = float(field)
    except (TypeError, ValueError):
        return None
    return value if 0 <= value < 1e300 else None


def conditions_words(row):
    memory = row["mem_node"] is not None and f"memory of node {row['mem_node']}"  # else the policy says it
    words = [f"CPU {row['cpu']} of node {row['cpu_node']}", memory, row["allocator"],
             row.get("policy") and f"policy {row['policy']}", row["pages"] and f"pages {row['pages']}",
             row["threads"] and layout.counted(row["threads"], "thread"),
             row["size_bytes"] and layout.size_words(row["size_bytes"])]
    return " · ".join(layout.shortened(str(word), 120) for word in words if word)


def placement_words(row):
    """`verified, 100 % of the pages on the node asked for`"""
    if row["placement"] is None:
        return ""
    if row["placement"] == "unverified":
        return "unverified: the kernel did not say where the pages are"
    fraction = row.get("placed_fraction")
    return row["placement"] + ("" if fraction is None else f", {100 * fraction:.4g} % of the pages where asked for")
