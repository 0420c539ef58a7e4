"""Whether the rounds of a cell agree. Imports nothing slow: a sweep asks it between its rounds.

Rounds agree when their medians lie within 10 % of each other. Of three all have to; each four more can outvote one
that does not, so with the four further rounds that a sweep adds by default six of seven have to. Three quarters of any
number would not do: with one bad round among 4 to 6, or two among 8, the 95 % bootstrap interval of the median of the
rounds' medians (summary.py) reaches to the bad ones, since the chance that they are half of those drawn is over 2.5 %.
A sweep would then stop measuring a cell whose rounds agree, and the cell be noisy by its interval.
"""

from statistics import median

FEWEST_UNDISTURBED = 6
APART = 0.10  # of the median of all rounds
ALL_AGREE, OUTVOTE_ONE = 3, 4


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
    """Whether the largest group of rounds within 10 % of each other is too small to outvote the others."""
    ordered = sorted(medians)
    outvoted = max(0, len(ordered) - ALL_AGREE) // OUTVOTE_ONE
    most_apart = APART * abs(median(ordered))
    return all(ordered[first - outvoted - 1] - ordered[first] > most_apart for first in range(outvoted + 1))
