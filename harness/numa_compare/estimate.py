"""Changes between two runs, their intervals, and which of them are claimed.

Rounds are what a run repeats: samples within one share its moment and are not independent, so a cell's figure is the
median of its rounds' medians and its spread is that of the rounds. All is done in natural logarithms, since noise is a
share of a figure and a change is a ratio.

* Rounds are few (3 to 7), so a cell's own variance is a poor guess. It is moderated by those of the other cells of its
  quantity (empirical Bayes: Smyth, "Linear models and empirical Bayes methods", 2004): the more alike the cells'
  variances are, the more each counts for all.
* Between runs the machine's level moves more than between rounds, minutes apart. Of the rounds' variance the share that
  all cells have in common is that level's, and BETWEEN_RUNS times as much is allowed for (common_share()).
* A change is claimed when its p-value (t distribution, no change being the hypothesis) survives Benjamini and
  Hochberg's procedure (1995) over all cells of the comparison at 5 %, and it is beyond the noise threshold: of the
  changes claimed, at most 5 % are expected to be false, however many cells there are.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy

FALSE_SHARE = 0.05  # of the claimed changes, expected at most
CONFIDENCE = 0.95  # of each interval
POWER = 0.80  # the chance with which the smallest visible change is seen
NOISE_THRESHOLD = 0.02  # a change within it is not news
STRAY_AMONG = 6  # rounds of a cell: one of so many may be far off
STRAY = 4  # standard deviations: farther off a round is a stray
MOST_STRAYS = 0.05  # of all rounds: more are no accident
SIMULATED = 20000  # sets of rounds
LEAST_SPREAD = 5e-4  # of rounds: what a few quiet ones show below that is luck, or rounding
BETWEEN_RUNS = 3.0  # how much more the machine's level varies between runs than between rounds: for 1/f noise and runs of
# 3 rounds, 100 times their length apart, 3.3 by simulation, 2.2 at 10 times; for white noise 0
LEAST_COMMON = 0.05  # share of the rounds' variance that is taken to be the machine's level whatever the rounds show
FEWEST_OF_KIND = 8
FEWEST_IN_COMMON = 4  # cells, below which nothing tells their own noise from what they have in common
ASSUMED_ROUNDS = 3  # of an interval that does not say: a sweep's default

# Width of the 95 % bootstrap interval that summary.py gives, in standard deviations of a normal round's median, by the
# number of rounds: root mean square of 1,500 simulated sets. Above, the asymptotic width of a median's interval.
INTERVAL_WIDTH = {2: 1.394, 3: 1.975, 4: 2.217, 5: 2.460, 6: 1.999, 7: 1.605}


def variance_of_interval(width, rounds):
    """(variance of one round's median, degrees of freedom) of a 95 % interval so wide; rounds: 0 where not known.

    The interval of few rounds says a little less than they do: in the simulation above half as many degrees of freedom
    as there are rounds, and more.
    """
    counted = rounds if rounds > 1 else ASSUMED_ROUNDS
    deviations = INTERVAL_WIDTH.get(counted) or 2 * 1.96 * math.sqrt(variance_of_median(counted))
    return (width / deviations) ** 2, counted / 2 if rounds > 1 else 1


def variance_of_median(count):
    """Of `count` normally distributed numbers with variance 1: asymptotically pi / 2n, exact for 1, within 2 % for odd."""
    return math.pi / 2 / (count + math.pi / 2 - 1)


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
    """From one figure to another. Everything but p and degrees is a natural logarithm."""

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


def changes(cells):
    """The Change of each Cell."""
    from scipy.special import stdtr

    of_cells = spreads_by_kind([cell.runs for cell in cells], [cell.kind for cell in cells])
    common, of_common = common_share(cells, of_cells)
    found = []
    for cell, (variance, freedom) in zip(cells, of_cells):
        middle = math.log(cell.after.median / cell.before.median)
        if freedom <= 0:
            found.append(Change(middle, None, 0.0, 1.0))
            continue
        own = variance * (sum(variance_of_median(rounds_of(known)) for known in cell.runs) + 2 * BETWEEN_RUNS * LEAST_COMMON)
        drift = variance * 2 * BETWEEN_RUNS * max(0.0, common - LEAST_COMMON)
        error = math.sqrt(own + drift)
        freedom = (own + drift) ** 2 / (own ** 2 / freedom + drift ** 2 / of_common) if drift else freedom  # Satterthwaite's
        found.append(Change(middle, error, freedom, 2 * float(stdtr(freedom, -abs(middle) / error))))
    return found


def common_share(cells, of_cells):
    """(the share of a round's variance that all cells have in common, its degrees of freedom).

    A round in which every cell is a little slow is not noise of the cells but the machine's level, which moves between
    runs too. The common part of a round is the median over the cells of their deviations, each in its own standard
    deviations; what the median of so many independent ones would be is taken off.
    """
    of_rounds, least = {}, FEWEST_IN_COMMON
    for cell, (variance, _) in zip(cells, of_cells):
        for run, known in enumerate(cell.runs):
            for number, deviation in known.deviations.items():
                of_rounds.setdefault((run, number), []).append(cell.sign * deviation / math.sqrt(variance))
    most = max(map(len, of_rounds.values()), default=0)
    shared = {key: parts for key, parts in of_rounds.items() if len(parts) >= max(least, most / 2)}  # not the extra rounds
    counts = [sum(run == key[0] for key in shared) for run in (0, 1)]
    freedom = sum(count - 1 for count in counts if count > 1)
    if freedom < 1:
        return LEAST_COMMON, 1
    squares = sum(float(numpy.median(parts)) ** 2 for parts in shared.values())
    expected, _ = expected_squares(tuple(sorted(count for count in counts if count > 1)), 0)
    return squares / expected - variance_of_median(most), freedom


def rounds_of(known):
    return known.rounds or ASSUMED_ROUNDS


def spreads_by_kind(cells, kinds):
    """[(variance of one round's median, degrees of freedom)] of cells, each [Known], drawn to those of its kind.

    Where there are fewer than FEWEST_OF_KIND of a kind, which say little of each other, they are drawn to all cells'.
    """
    found = [None] * len(cells)
    everything = range(len(cells))
    for kind in dict.fromkeys(kinds):
        members = [place for place in everything if kinds[place] == kind]
        alike = members if len(members) >= FEWEST_OF_KIND else everything
        for place, variance, freedom in zip(alike, *spreads([cells[place] for place in alike])):
            if kinds[place] == kind:
                found[place] = float(variance), float(freedom)
    return found


def spreads(cells):
    """(variances of one round's median, degrees of freedom) of alike cells. cells: what each run knows, [Known], of each.

    A median stands a round that was disturbed, and so should its interval: of every STRAY_AMONG rounds of a cell the one
    farthest off is left out. But where such rounds are common, two of three may be disturbed together, which moves the
    median: then all count. With a share p of strays that befalls 6 p^2 of the pairs of three rounds: 1.5 % at MOST_STRAYS.
    """
    variances, freedoms = moderated([pooled(cell, leave_out=True) for cell in cells])
    rounds = [deviations_of(cell) for cell in cells]
    number = sum(map(len, rounds))
    stray = sum(sum(abs(deviation) > STRAY * math.sqrt(variance) for deviation in of_cell)
                for of_cell, variance in zip(rounds, variances))
    if stray > MOST_STRAYS * number:
        return moderated([pooled(cell, leave_out=False) for cell in cells])
    return variances, freedoms


def pooled(cell, leave_out):
    """(variance of one round's median, degrees of freedom) of a cell, from all its runs; (0, 0) where none tells."""
    parts = [(known.variance, known.freedom) for known in cell if known.freedom > 0]
    squares = sorted(deviation ** 2 for deviation in deviations_of(cell))
    if squares:
        left_out = len(squares) // STRAY_AMONG if leave_out else 0
        rounds = tuple(sorted(len(known.deviations) for known in cell if known.deviations))
        expected, freedom = expected_squares(rounds, left_out)
        parts.append((sum(squares[:len(squares) - left_out]) / expected, freedom))
    freedom = sum(part for _, part in parts)
    return (sum(variance * part for variance, part in parts) / freedom, freedom) if parts else (0.0, 0.0)


def deviations_of(cell):
    return [deviation for known in cell for deviation in known.deviations.values()]


@lru_cache(maxsize=None)
def expected_squares(rounds, left_out):
    """(sum that pooled() gets of the squares of normal rounds with variance 1, its degrees of freedom), by simulation.

    rounds: how many there are of each run. The degrees are those of the chi-squared distribution whose logarithm has the
    variance that the sum's has.
    """
    random = numpy.random.default_rng(len(rounds))
    drawn = [random.normal(size=(SIMULATED, count)) for count in rounds]
    squares = numpy.concatenate([(part - numpy.median(part, axis=1, keepdims=True)) ** 2 for part in drawn], axis=1)
    squares.sort(axis=1)
    sums = squares[:, :squares.shape[1] - left_out].sum(axis=1)
    return float(sums.mean()), 2 * trigamma_inverse(float(numpy.log(sums).var()))


def moderated(spreads):
    """(variances, degrees of freedom) of cells of one kind, each drawn to what all of them say.

    spreads: [(variance, freedom)]. Smyth's estimate of the prior by the moments of the logarithm of the variances. The
    prior is never held to be known better than all cells together show, nor is a cell's spread below LEAST_SPREAD.
    """
    from scipy.special import digamma, polygamma

    variances, freedoms = (numpy.array(column, dtype=float) for column in zip(*spreads))
    variances = numpy.maximum(variances, LEAST_SPREAD ** 2)
    told = freedoms > 0
    if numpy.count_nonzero(told) < 2:
        return variances, freedoms
    half = freedoms[told] / 2
    level = numpy.log(variances[told]) - digamma(half) + numpy.log(half)
    excess = numpy.var(level, ddof=1) - numpy.mean(polygamma(1, half))
    most = freedoms.sum()
    prior_freedom = min(most, 2 * trigamma_inverse(excess)) if excess > 0 else most
    prior = math.exp(numpy.mean(level) + float(digamma(prior_freedom / 2)) - math.log(prior_freedom / 2))
    variances = numpy.where(told, variances, 0)
    return ((prior_freedom * prior + freedoms * variances) / (prior_freedom + freedoms),
            numpy.minimum(prior_freedom + freedoms, most))


def trigamma_inverse(value):
    """x with trigamma(x) = value, by Newton's method on 1 / trigamma, which is nearly straight (Smyth 2004)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / value
    for _ in range(50):
        there = float(polygamma(1, x))
        step = there * (1 - there / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x


def claimed(p_values, false_share=FALSE_SHARE):
    """(which of the p-values Benjamini and Hochberg's procedure rejects, the greatest p-value that one more would need)."""
    p_values = numpy.asarray(p_values, dtype=float)
    number = len(p_values)
    if number == 0:
        return numpy.zeros(0, dtype=bool), false_share
    ordered = numpy.sort(p_values)
    below = numpy.nonzero(ordered <= false_share * numpy.arange(1, number + 1) / number)[0]
    count = int(below[-1]) + 1 if len(below) else 0
    rejected = p_values <= ordered[count - 1] if count else numpy.zeros(number, dtype=bool)
    return rejected, false_share * min(count + 1, number) / number


def visible(change, p_needed):
    """The smallest change (a logarithm) that would have been claimed with a chance of POWER; None where none could be."""
    if change.error is None:
        return None
    return (quantile(1 - p_needed / 2, change.freedom) + quantile(POWER, change.freedom)) * change.error
