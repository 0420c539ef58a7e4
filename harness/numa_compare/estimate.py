"""Changes between two runs, their intervals, and which of them are claimed.

* Rounds are what a run repeats: samples within one share its moment and are not independent, so a cell's figure is the
  median of its rounds' medians and its spread is that of the rounds (spread.py).
* Between runs the machine's level moves more than between rounds, minutes apart. Of the rounds' variance the share that
  all cells have in common is that level's, and BETWEEN_RUNS times as much is allowed for (common_share()).
* A change is claimed when its p-value (t distribution, no change being the hypothesis) survives Benjamini and
  Hochberg's procedure (1995) over all cells of the comparison at 5 %, and it is beyond the noise threshold: of the
  changes claimed at most 5 % are expected to be false, however many cells there are.
"""

import math
from dataclasses import dataclass

import numpy

from . import spread

FALSE_SHARE = 0.05  # of the claimed changes, expected at most
FALSE_FAILURES = 0.01  # the same where a change ends a CI job: of 100 comparisons in which nothing changed one fails
CONFIDENCE = 0.95  # of each interval
POWER = 0.80  # the chance with which the smallest visible change is seen
NOISE_THRESHOLD = 0.02  # a change within it is not news

# How much more the machine's level varies between runs than between rounds. By simulation of 1/f noise and runs of
# three rounds: 5.0 where they are 1,000 times their length apart, 3.3 at 100 times, 2.2 at 10 times.
BETWEEN_RUNS = 5.0
LEAST_COMMON = 0.03  # share of the rounds' variance that is taken to be the machine's level whatever the rounds show
FEWEST_IN_COMMON = 4  # cells, below which nothing tells their own noise from what they have in common


@dataclass(frozen=True)
class Cell:
    """What the two runs know of one cell."""

    before: object  # Known
    after: object
    kind: object  # cells whose spreads tell of each other's
    sign: int  # 1 where higher is better, else -1: so that a busy machine moves all cells the same way

    @property
    def runs(self):
        return self.before, self.after


@dataclass(frozen=True)
class Change:
    """From one figure to another. Everything but p and freedom is a natural logarithm."""

    middle: float
    error: float  # standard error; None where nothing tells how the figures spread
    freedom: float
    p: float  # of no change; 1 where the error is not known

    @property
    def interval(self):
        """(low, high) of 95 %, or None."""
        if self.error is None:
            return None
        reach = quantile((1 + CONFIDENCE) / 2, self.freedom) * self.error
        return self.middle - reach, self.middle + reach


def quantile(probability, freedom):
    """Of Student's t distribution."""
    from scipy.special import stdtrit  # scipy takes long to import: only where something is compared

    return float(stdtrit(freedom, probability))


def changes(cells, strays_count=False):
    """The Change of each Cell. strays_count: whether a round that is far off counts as much as any."""
    from scipy.special import stdtr

    spreads = spread.by_kind([cell.runs for cell in cells], [cell.kind for cell in cells], strays_count)
    common, of_common = common_share(cells, spreads)
    found = []
    for cell, (variance, freedom) in zip(cells, spreads):
        middle = math.log(cell.after.median / cell.before.median)
        if freedom <= 0 or any(known.is_bare for known in cell.runs):
            found.append(Change(middle, None, 0.0, 1.0))
            continue
        own = variance * (sum(spread.of_median(rounds_of(known)) for known in cell.runs)
                          + 2 * BETWEEN_RUNS * LEAST_COMMON)
        level = variance * 2 * BETWEEN_RUNS * max(0.0, common - LEAST_COMMON)
        error = math.sqrt(own + level)
        freedom = (own + level) ** 2 / (own ** 2 / freedom + level ** 2 / of_common)  # Satterthwaite (1946)
        found.append(Change(middle, error, freedom, 2 * float(stdtr(freedom, -abs(middle) / error))))
    return found


def common_share(cells, spreads):
    """(the share of a round's variance that all cells have in common, its degrees of freedom).

    A round in which every cell is a little slow is not noise of the cells but the machine's level, which moves between
    runs too. The common part of a round is the median over the cells of their deviations, each in its own standard
    deviations; what the median of so many independent ones would be is taken off.
    """
    of_rounds = {}
    for cell, (variance, _) in zip(cells, spreads):
        for run, known in enumerate(cell.runs):
            for number, deviation in known.deviations.items():
                of_rounds.setdefault((run, number), []).append(cell.sign * deviation / math.sqrt(variance))
    most = max(map(len, of_rounds.values()), default=0)
    shared = {key: parts for key, parts in of_rounds.items()  # not a sweep's extra rounds, of some cells alone
              if len(parts) >= max(FEWEST_IN_COMMON, most / 2)}
    counts = sorted(sum(run == of_run for of_run, _ in shared) for run in (0, 1))
    counts = tuple(count for count in counts if count > 1)
    if not counts:
        return LEAST_COMMON, 1
    squares = sum(float(numpy.median(parts)) ** 2 for parts in shared.values())
    expected, _ = spread.expected_squares(counts, 0)
    return squares / expected - spread.of_median(most), sum(counts) - len(counts)


def rounds_of(known):
    return known.rounds or spread.ASSUMED_ROUNDS


def claimed(p_values, false_share=FALSE_SHARE):
    """(which p-values Benjamini and Hochberg's procedure rejects, below what one more would have to be)."""
    p_values = numpy.asarray(p_values, dtype=float)
    number = len(p_values)
    if number == 0:
        return numpy.zeros(0, dtype=bool), false_share
    ordered = numpy.sort(p_values)
    below = numpy.nonzero(ordered <= false_share * numpy.arange(1, number + 1) / number)[0]
    count = int(below[-1]) + 1 if len(below) else 0
    rejected = p_values <= ordered[count - 1] if count else numpy.zeros(number, dtype=bool)
    return rejected, false_share * min(count + 1, number) / number


def certain(cells):
    """Which changes are so certain that a CI job may end for them: claimed at FALSE_FAILURES, and with every round counted.

    In a machine of two modes both medians can be right and differ, and rounds that are left out then hide why.
    """
    return claimed([change.p for change in changes(cells, strays_count=True)], FALSE_FAILURES)[0]


def visible(change, p_needed):
    """The smallest change (a logarithm) that is claimed with a chance of POWER; None where none could be."""
    if change.error is None:
        return None
    return (quantile(1 - p_needed / 2, change.freedom) + quantile(POWER, change.freedom)) * change.error
