"""failed, misplaced, drift: what makes the figures of a run untrustworthy, or some of them."""

from statistics import median

from .. import layout
from ..rounds import round_medians
from ..schema import FEWEST_SAMPLES, PLACED, is_main
from .cells import MOST_NAMES, QUANTITIES, and_more, cell_words, grouped

DRIFT, DRIFT_RANGE = 0.05, 0.10


def failed_lines(rows):
    """Cells a command of which failed in some round, with the first reasons."""
    cells = distinct(rows)
    failed = [row for row in cells if row["status"] == "failed"]
    if not failed:
        return []
    reasons = grouped(failed, "reason")
    told = [f"{cell_words(of_reason[0])}{and_others(of_reason)} "
            f"({layout.shortened(reason or 'no reason is given', 120)})"
            for (reason,), of_reason in list(reasons.items())[:2]]
    told += and_more(len(failed) - sum(map(len, list(reasons.values())[:2])))
    return [f"failed: {len(failed)} of {layout.counted(len(cells), 'cell')} in some round: {', '.join(told)}; to try "
            "them again: harness/run_matrix.sh --resume FOLDER"]


def and_others(cells):
    return f" and {layout.counted(len(cells) - 1, 'other')} like it" if len(cells) > 1 else ""


def distinct(rows):
    """A row of each cell: what all of a command's metrics have in common stands in every one."""
    return [of_cell[0] for of_cell in grouped(rows, "host", "cell").values()]


def measured_cells(rows):
    return distinct([row for row in rows if row["median"] is not None])


def is_misplaced(row):
    fraction = row.get("placed_fraction")  # None where it is not known
    return row["placement"] == "failed" or (fraction is not None and fraction < PLACED)


def misplaced_lines(rows):
    """Cells whose pages were not on the node asked for."""
    measured = measured_cells(rows)
    misplaced = [row for row in measured if is_misplaced(row)]
    if not misplaced:
        return []
    misplaced.sort(key=lambda row: -1 if row.get("placed_fraction") is None else row["placed_fraction"])
    names = [f"{cell_words(row)} ({fraction_words(row)} in place)" for row in misplaced[:MOST_NAMES]]
    names += and_more(len(misplaced) - MOST_NAMES)
    return [f"misplaced: {len(misplaced)} of {layout.counted(len(measured), 'cell')} had pages elsewhere than on the "
            f"node asked for: {', '.join(names)}"]


def fraction_words(row):
    fraction = row.get("placed_fraction")
    return "unknown" if fraction is None else f"{100 * fraction:.3g} %"


def drift_lines(sentinels):
    """That the sentinel, one cell measured again and again through the run, moved. One line, for what moved most.

    sentinels: the rows of sentinel.csv, whose `round` counts the sentinel's runs in the order of time.
    """
    found = []
    told = [row for row in sentinels if is_main(row["metric"])]  # page faults and the like move for many reasons
    for rows in grouped(told, "metric", "variant").values():
        runs = round_medians({key: of_run for key, of_run in sorted(grouped(rows, "round").items())})
        if len(runs) < FEWEST_SAMPLES:
            continue
        third = max(1, len(runs) // 3)
        first, last, middle = median(runs[:third]), median(runs[-third:]), median(runs)
        moved, spread = (last - first) / first if first else 0, (max(runs) - min(runs)) / middle if middle else 0
        if abs(moved) > DRIFT or spread > DRIFT_RANGE:
            figures = [layout.quantity_words(value, rows[0]["unit"]) for value in (first, last, min(runs), max(runs))]
            found.append((max(abs(moved), spread / 2), sentinel_words(rows[0]), *figures, f"{100 * moved:+.0f} %"))
    if not found:
        return []
    _, cell, first, last, least, most, moved = max(found)
    return [f"drift: the sentinel, {cell}, went from {first} at first to {last} at last ({moved}), between {least} and "
            f"{most}: cells measured at different times can be compared no more closely than that"]


def sentinel_words(row):
    metric = "" if row["bench"] in QUANTITIES else f"'s {layout.shortened(row['metric'], 40)}"
    return cell_words(row) + metric
