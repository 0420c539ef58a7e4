"""How far one round of a cell is from another: the variance of a round's median, from few rounds.

Rounds are few (3 to 7), so a cell's own variance is a poor guess. It is moderated by those of other cells (empirical
Bayes: Smyth, "Linear models and empirical Bayes methods for assessing differential expression", 2004): the more alike
the cells' variances are, the more each counts for all. Everything is in natural logarithms, since noise is a share of
a figure and a change is a ratio.
"""

import math
from functools import lru_cache

import numpy

FEWEST_OF_KIND = 8  # cells: fewer say little of each other
LEAST = 5e-4  # standard deviation: what a few quiet rounds show below that is luck, or rounding
STRAY_AMONG = 5  # rounds of a cell: one of so many may be far off
STRAY = 4  # standard deviations: farther off a round is a stray
MOST_MOVED = 0.04  # share of the cells whose median strays may have moved
SIMULATED = 20000  # sets of rounds
ASSUMED_ROUNDS = 3  # of an interval that does not say: a sweep's default

# Width of the 95 % bootstrap interval that summary.py gives, in standard deviations of a normal round's median, by the
# number of rounds: root mean square of 1,500 simulated sets. Above, the asymptotic width of a median's interval.
INTERVAL_WIDTH = {2: 1.394, 3: 1.975, 4: 2.217, 5: 2.460, 6: 1.999, 7: 1.605}


def of_interval(width, rounds):
    """(variance, degrees of freedom) by a 95 % interval so wide; rounds: 0 where their number is not known.

    The interval of few rounds says a little less than they do: in the simulation above half as many degrees of freedom
    as there are rounds, and more.
    """
    counted = rounds if rounds > 1 else ASSUMED_ROUNDS
    deviations = INTERVAL_WIDTH.get(counted) or 2 * 1.96 * math.sqrt(of_median(counted))
    return (width / deviations) ** 2, counted / 2 if rounds > 1 else 1


def of_median(count):
    """The variance of the median of `count` normal numbers with variance 1.

    Asymptotically pi / 2n; as it stands here it is exact for 1, within 2 % for odd and too large for even numbers.
    """
    return math.pi / 2 / (count + math.pi / 2 - 1)


def by_kind(cells, kinds, strays_count=False):
    """[(variance, degrees of freedom)] of cells, each moderated by those of its kind. cells: each run's Known of each.

    Cells of a kind with fewer than FEWEST_OF_KIND are moderated by all. strays_count: whether no round is left out.
    """
    found = [None] * len(cells)
    everything = range(len(cells))
    for kind in dict.fromkeys(kinds):
        members = [place for place in everything if kinds[place] == kind]
        alike = members if len(members) >= FEWEST_OF_KIND else everything
        for place, variance, freedom in zip(alike, *of_alike([cells[place] for place in alike], strays_count)):
            if kinds[place] == kind:
                found[place] = float(variance), float(freedom)
    return found


def of_alike(cells, strays_count=False):
    """(variances, degrees of freedom) of cells that are alike.

    A median stands a round that was disturbed, and so should its interval: of every STRAY_AMONG rounds of a cell the
    one farthest off is left out. But where such rounds are common, two of three may be disturbed together, which moves
    the median: where that may have befallen more than MOST_MOVED of the cells, all rounds count.
    """
    if strays_count:
        return moderated([of_rounds(cell) for cell in cells])
    inner, _ = moderated([of_rounds(cell, 2) for cell in cells])
    far = [abs(deviation) > STRAY * math.sqrt(variance)
           for cell, variance in zip(cells, inner) for deviation in deviations_of(cell)]
    share = sum(far) / max(1, len(far))
    moved = sum(chance_of_most(len(known.deviations), share) for cell in cells for known in cell)
    return moderated([of_rounds(cell, STRAY_AMONG if moved <= MOST_MOVED * len(cells) else 0) for cell in cells])


@lru_cache(maxsize=None)
def chance_of_most(rounds, share):
    """That more than half of so many rounds are of a kind that this share of all rounds is of."""
    return sum(math.comb(rounds, number) * share ** number * (1 - share) ** (rounds - number)
               for number in range(rounds // 2 + 1, rounds + 1))


def of_rounds(cell, one_of=0):
    """(variance, degrees of freedom) of a cell by its own rounds and intervals; (0, 0) where it has neither.

    one_of: the farthest of so many rounds are left out; 0: none.
    """
    parts = [(known.variance, known.freedom) for known in cell if known.freedom > 0]
    squares = sorted(deviation ** 2 for deviation in deviations_of(cell))
    if squares:
        left_out = len(squares) // one_of if one_of else 0
        rounds = tuple(sorted(len(known.deviations) for known in cell if known.deviations))
        expected, freedom = expected_squares(rounds, left_out)
        parts.append((sum(squares[:len(squares) - left_out]) / expected, freedom))
    freedom = sum(part for _, part in parts)
    return (sum(variance * part for variance, part in parts) / freedom, freedom) if parts else (0.0, 0.0)


def deviations_of(cell):
    return [deviation for known in cell for deviation in known.deviations.values()]


@lru_cache(maxsize=None)
def expected_squares(rounds, left_out):
    """(sum of the squares of normal rounds' distances from their run's median, its degrees of freedom), by simulation.

    rounds: how many there are of each run, with variance 1; the largest `left_out` squares are. The degrees are those
    of the chi-squared distribution whose logarithm varies as much as the sum's.
    """
    random = numpy.random.default_rng(len(rounds))
    drawn = [random.normal(size=(SIMULATED, count)) for count in rounds]
    squares = numpy.concatenate([(part - numpy.median(part, axis=1, keepdims=True)) ** 2 for part in drawn], axis=1)
    squares.sort(axis=1)
    sums = squares[:, :squares.shape[1] - left_out].sum(axis=1)
    return float(sums.mean()), 2 * trigamma_inverse(float(numpy.log(sums).var()))


def moderated(spreads):
    """(variances, degrees of freedom), each drawn to what all say. spreads: [(variance, degrees of freedom)]

    Smyth's estimate of the prior, by the moments of the logarithms of the variances. The prior is never held to be
    known better than all cells together show, nor is a spread below LEAST.
    """
    from scipy.special import digamma, polygamma  # scipy takes long to import: only where something is compared

    variances, freedoms = (numpy.array(column, dtype=float) for column in zip(*spreads))
    variances = numpy.maximum(variances, LEAST ** 2)
    told = freedoms > 0
    if numpy.count_nonzero(told) < 2:
        return variances, freedoms
    half = freedoms[told] / 2
    level = numpy.log(variances[told]) - digamma(half) + numpy.log(half)
    excess = numpy.var(level, ddof=1) - numpy.mean(polygamma(1, half))
    most = freedoms.sum()
    prior_freedom = min(most, 2 * trigamma_inverse(excess)) if excess > 0 else most
    prior = math.exp(numpy.mean(level) + float(digamma(prior_freedom / 2)) - math.log(prior_freedom / 2))
    own = numpy.where(told, variances, 0)
    return ((prior_freedom * prior + freedoms * own) / (prior_freedom + freedoms),
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
