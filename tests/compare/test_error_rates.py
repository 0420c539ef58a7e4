"""How often a comparison errs, by simulation with fixed seeds: 3, 5 and 7 rounds with normal and heavy-tailed noise,
strays, two modes and a level that moves. The bounds leave room for chance; real_pairs.py counts on real runs."""

import math

import numpy
import pytest
import made_up_runs

from numa_compare import estimate, spread
from numa_compare.operand import Known
from numa_report import summary

PAIRS = 60
CELLS = 28


def known(logarithms):
    middle = float(numpy.median(logarithms))
    return Known(math.exp(middle), len(logarithms),
                 {number: float(value - middle) for number, value in enumerate(logarithms)})


def normal(random, size, deviation):
    return random.normal(size=size) * deviation


def heavy(random, size, deviation):
    return random.standard_t(3, size=size) * deviation


def strays(random, size, deviation):
    far = (random.random(size) < 0.04) * numpy.abs(random.normal(size=size)) * 10
    return (random.normal(size=size) + far) * deviation


def two_modes(random, size, deviation):
    return (0.5 * random.normal(size=size) + 8 * (random.random(size) < 0.3)) * deviation


def moving(random, size, deviation):
    """Half of the noise is a level of all cells together: 1/f noise, which moves the more the longer one waits."""
    length = 1 << 13
    frequencies = numpy.maximum(numpy.fft.rfftfreq(length), 1 / length)
    waves = random.normal(size=(2, frequencies.size))
    level = numpy.fft.irfft((waves[0] + 1j * waves[1]) / numpy.sqrt(frequencies), length)
    level = level[:size[1]] / numpy.std(numpy.diff(level))
    return 0.7 * (random.normal(size=size) + level) * deviation


def pairs(noise, rounds, deviation, seed=1):
    """Pairs of runs of a machine whose cells are not equally noisy: [(rounds of the one, of the other)], logarithms."""
    random = numpy.random.default_rng(seed)
    for _ in range(PAIRS):
        deviations = deviation * numpy.exp(random.normal(0, 0.4, (CELLS, 1)))
        yield noise(random, (CELLS, rounds), deviations), noise(random, (CELLS, rounds), deviations)


def changes(before, after):
    return estimate.changes([estimate.Cell(known(a), known(b), "kind", -1) for a, b in zip(before, after)])


def false_alarms(noise, rounds, deviation):
    """The share of cells that are claimed although nothing changed."""
    alarms = 0
    for before, after in pairs(noise, rounds, deviation):
        found = changes(before, after)
        shown, _ = estimate.claimed([change.p for change in found])
        alarms += sum(bool(each) and abs(math.expm1(change.middle)) > estimate.NOISE_THRESHOLD
                      for each, change in zip(shown, found))
    return alarms / (PAIRS * CELLS)


def found(noise, rounds, deviation, change):
    """The share of pairs in which one changed cell is claimed."""
    hits = 0
    for number, (before, after) in enumerate(pairs(noise, rounds, deviation)):
        cell = number % CELLS
        after[cell] += math.log1p(change)
        shown, _ = estimate.claimed([each.p for each in changes(before, after)])
        hits += bool(shown[cell])
    return hits / PAIRS


@pytest.mark.parametrize("rounds", [3, 5, 7])
@pytest.mark.parametrize("noise", [normal, heavy, strays, two_modes])
@pytest.mark.parametrize("deviation", [0.002, 0.01, 0.08])
def test_at_most_5_percent_of_cells_are_false_alarms(noise, rounds, deviation):
    assert false_alarms(noise, rounds, deviation) <= (0.03 if noise is two_modes else 0.01)


@pytest.mark.parametrize("noise, rounds, most", [
    (normal, 3, 0.04), (normal, 5, 0.04), (heavy, 3, 0.04), (heavy, 5, 0.04), (strays, 3, 0.04), (strays, 5, 0.04),
    (two_modes, 5, 0.08), (two_modes, 7, 0.04),  # 3 rounds of one run may all be of one mode, and of the other of the other
])
def test_few_comparisons_have_a_change_that_is_falsely_called_certain(noise, rounds, most):
    failures = 0
    for before, after in pairs(noise, rounds, 0.02):
        cells = [estimate.Cell(known(a), known(b), "kind", -1) for a, b in zip(before, after)]
        failures += bool(estimate.certain(cells).any())
    assert failures / PAIRS <= most


@pytest.mark.parametrize("rounds", [3, 5, 7])
def test_a_level_that_moves_with_all_cells_is_allowed_for(rounds, monkeypatch):
    assert false_alarms(moving, rounds, 0.02) <= 0.05
    monkeypatch.setattr(estimate, "BETWEEN_RUNS", 0)
    assert false_alarms(moving, rounds, 0.02) > 0.08


@pytest.mark.parametrize("noise, rounds, deviation, least", [
    (normal, 3, 0.003, 0.95), (normal, 5, 0.004, 0.95), (normal, 7, 0.005, 0.95),
    (strays, 3, 0.002, 0.90), (heavy, 5, 0.002, 0.90),
])
def test_a_change_of_5_percent_is_found_where_rounds_are_steady(noise, rounds, deviation, least):
    assert found(noise, rounds, deviation, 0.05) >= least
    assert found(noise, rounds, deviation, -0.05) >= least


def test_a_change_of_5_percent_is_not_found_in_noise_of_10():
    assert found(normal, 3, 0.10, 0.05) <= 0.05


def test_95_of_100_intervals_hold_the_true_change():
    inside = [change.interval[0] <= 0 <= change.interval[1] for rounds in (3, 5, 7)
              for before, after in pairs(normal, rounds, 0.01) for change in changes(before, after)]
    assert 0.95 <= numpy.mean(inside) <= 0.99


def test_the_smallest_visible_change_is_seen_four_times_of_five():
    seen, number = 0, 0
    for before, after in pairs(normal, 5, 0.01):
        for cell in (0, 9):
            before_all = changes(before, after)
            _, p_needed = estimate.claimed([change.p for change in before_all])
            moved = after.copy()
            moved[cell] += estimate.visible(before_all[cell], p_needed)
            shown, _ = estimate.claimed([change.p for change in changes(before, moved)])
            seen, number = seen + bool(shown[cell]), number + 1
    assert 0.70 <= seen / number <= 0.97


class TestBenjaminiHochberg:
    def test_the_example_of_the_paper(self):
        """Benjamini and Hochberg (1995), section 3.2: 15 p-values, of which the procedure rejects 4."""
        p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
             0.7590, 1.0]
        rejected, needed = estimate.claimed(p)
        assert list(rejected) == [True] * 4 + [False] * 11 and needed == pytest.approx(0.05 * 5 / 15)

    def test_more_cells_ask_for_more_certainty(self):
        assert estimate.claimed([0.01])[0].all() and not estimate.claimed([0.01] + [0.5] * 9)[0].any()

    def test_what_is_larger_than_its_own_bound_is_rejected_with_a_smaller_one_after_it(self):
        assert estimate.claimed([0.04, 0.045])[0].all()

    def test_no_cells_no_claims(self):
        assert len(estimate.claimed([])[0]) == 0


class TestSpread:
    def test_a_cells_own_spread_is_drawn_to_the_others(self):
        random = numpy.random.default_rng(3)
        cells = [[known(random.normal(0, 0.01, 3)), known(random.normal(0, 0.01, 3))] for _ in range(40)]
        own = [spread.of_rounds(cell)[0] for cell in cells]
        drawn = [variance for variance, _ in spread.by_kind(cells, [0] * 40)]
        assert numpy.std(drawn) < numpy.std(own) / 2 and numpy.mean(drawn) == pytest.approx(1e-4, rel=0.3)

    def test_cells_that_differ_much_stay_apart(self):
        random = numpy.random.default_rng(3)
        cells = [[known(random.normal(0, size, 7)), known(random.normal(0, size, 7))]
                 for size in [0.001] * 20 + [0.1] * 20]
        drawn = [math.sqrt(variance) for variance, _ in spread.by_kind(cells, [0] * 40)]
        assert max(drawn[:20]) < 0.01 and min(drawn[20:]) > 0.03

    @pytest.mark.parametrize("rounds", [2, 3, 5, 7, 12])
    def test_an_interval_of_the_matrix_gives_the_rounds_spread_back(self, rounds):
        random = numpy.random.default_rng(4)
        rows = [made_up_runs.row("latency", "random", 0, node, float(math.exp(level)), number, sample)
                for node in range(150) for number, level in enumerate(random.normal(0, 0.02, rounds), 1)
                for sample in (1, 2)]
        variances = [spread.of_interval(math.log(cell["ci_high"] / cell["ci_low"]), rounds)[0]
                     for cell in summary.summarise(rows)]
        assert math.sqrt(numpy.mean(variances)) == pytest.approx(0.02, rel=0.2)

    def test_trigamma_inverse(self):
        from scipy.special import polygamma
        for value in (1e-3, 0.1, 1.0, 50.0):
            assert float(polygamma(1, spread.trigamma_inverse(value))) == pytest.approx(value, rel=1e-6)
