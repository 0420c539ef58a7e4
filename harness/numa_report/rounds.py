"""Whether the rounds of a cell agree. Imports nothing slow: a sweep asks it between its rounds."""

import math
from statistics import median

FEWEST_UNDISTURBED = 6
APART = 0.10  # rounds whose medians lie within this part of the median of all agree
AGREEING = 0.75  # of the rounds: the others are outliers, which the median of the rounds' medians does not follow


def undisturbed(rows):
    """The samples of a round that count: not those during which the benchmark was disturbed, if 6 others are left.

    The rule of bench/lib/series.h.
    """
    left = [row for row in rows if not row.get("disturbed")]
    return left if len(left) >= FEWEST_UNDISTURBED else rows


def round_medians(of_rounds):
    """of_rounds: {round: its rows}."""
    return [median(row["value"] for row in undisturbed(rows)) for rows in of_rounds.values()]


def rounds_disagree(medians):
    """Whether fewer than three quarters of the rounds lie within 10 % of each other: of 3 all must, of 7 six."""
    ordered, fewest = sorted(medians), math.ceil(AGREEING * len(medians))
    most_apart = APART * abs(median(ordered))
    return all(ordered[first + fewest - 1] - ordered[first] > most_apart for first in range(len(ordered) - fewest + 1))
