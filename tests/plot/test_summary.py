"""matrix.csv: the arithmetic of penalties and intervals, and what each status means."""

import numpy
import pytest
from conftest import job, machine, sample

from numa_report import summary


def cells(values, placement="verified", **changes):
    """Samples of one cell; values is a list for each round."""
    return [sample(value=value, round=r, sample=k, placement=placement, **changes)
            for r, of_round in enumerate(values, 1) for k, value in enumerate(of_round, 1)]


def only(rows):
    assert len(rows) == 1
    return rows[0]


STEADY = [[100, 101, 99, 100, 100]] * 3


def test_median_mad_and_counts_are_over_all_rounds():
    row = only(summary.summarise(cells([[98, 100, 102], [100, 101, 104], [99, 100, 101]])))
    assert (row["median"], row["mad"], row["samples"], row["rounds"]) == (100, 1, 9, 3)
    assert row["ci_low"] <= 100 <= row["ci_high"]


def test_one_sample_has_no_interval():
    row = only(summary.summarise(cells([[100]])))
    assert (row["median"], row["ci_low"], row["ci_high"], row["status"]) == (100, None, None, "noisy")


def test_interval_covers_the_true_median_about_95_times_in_100():
    random = numpy.random.default_rng(1)
    trials = [[sorted(random.normal(100, 3, 41))] for _ in range(300)]
    covered = sum(low <= 100 <= high for low, high in summary.bootstrap_intervals(trials))
    assert 0.91 <= covered / 300 <= 0.99


def drawn_one_by_one(rounds, resamples=4000):
    """The same interval the long way: rounds drawn first, then samples within each."""
    random = numpy.random.default_rng(7)
    medians = []
    for _ in range(resamples):
        drawn = [rounds[number] for number in random.integers(0, len(rounds), len(rounds))]
        medians.append(numpy.median([numpy.median(random.choice(values, len(values))) for values in drawn]))
    return numpy.quantile(medians, [0.025, 0.975])


@pytest.mark.parametrize("lengths", [(5, 5, 5), (6, 6, 6, 6), (7, 4, 9), (2,), (30, 7, 7, 8)])
def test_interval_is_that_of_rounds_and_samples_drawn_one_by_one(lengths):
    random = numpy.random.default_rng(len(lengths))
    rounds = [sorted(random.normal(100 + 2 * number, 3, length)) for number, length in enumerate(lengths)]
    (found,) = summary.bootstrap_intervals([rounds])
    assert found == pytest.approx(drawn_one_by_one(rounds), abs=0.6)


def test_a_cells_interval_does_not_depend_on_the_other_cells():
    random = numpy.random.default_rng(3)
    cells = [[sorted(random.normal(100, 3, length)) for length in lengths]
             for lengths in ((5, 5, 5), (5, 7, 5), (7, 5, 5), (5, 5, 5), (41,), (6, 6))]
    assert summary.bootstrap_intervals(cells) == [summary.bootstrap_intervals([cell])[0] for cell in cells]


def test_a_disturbed_round_widens_the_interval_and_leaves_the_median():
    row = only(summary.summarise(cells([[100] * 6, [101] * 6, [190, 170, 210] * 7])))
    assert row["median"] == 101
    assert row["ci_high"] > 150 and row["status"] == "noisy"


@pytest.mark.parametrize("others, median_expected, counted", [(6, 100, 6), (5, 100, 8)])
def test_samples_marked_as_disturbed_count_only_where_there_are_too_few_others(others, median_expected, counted):
    rows = [sample(value=100.0, sample=k, disturbed="") for k in range(others)]
    rows += [sample(value=900.0, sample=k, disturbed="preempted") for k in range(others, others + 3)]
    row = only(summary.summarise(rows))
    assert (row["median"], row["samples"]) == (median_expected, counted)
    assert (row["ci_high"] > 800) == (counted > others)


def test_the_same_samples_give_the_same_interval():
    assert summary.summarise(cells(STEADY)) == summary.summarise(cells(STEADY))


def test_latency_penalty_is_remote_over_local():
    rows = summary.summarise(cells(STEADY) + cells([[180, 180, 181]] * 3, mem_node=1))
    assert [row["penalty"] for row in rows] == [1.0, pytest.approx(1.8)]


def test_bandwidth_penalty_is_local_over_remote():
    rows = summary.summarise(cells([[20, 20, 20]] * 3, bench="bandwidth")
                             + cells([[8, 8, 8]] * 3, bench="bandwidth", mem_node=1))
    assert [row["penalty"] for row in rows] == [1.0, pytest.approx(2.5)]


def test_penalty_is_over_the_local_cell_of_the_same_cpu_node():
    fast, slow = cells([[50] * 3] * 3, cpu=4, cpu_node=1, mem_node=1), cells([[100] * 3] * 3)
    far = cells([[150] * 3] * 3, cpu=4, cpu_node=1, mem_node=0)
    penalty = {(row["cpu_node"], row["mem_node"]): row["penalty"] for row in summary.summarise(fast + slow + far)}
    assert penalty == {(0, 0): 1.0, (1, 1): 1.0, (1, 0): 3.0}


def test_penalty_is_over_the_own_node_where_no_cpu_is_said():
    medians = {(0, 0): 90, (0, 1): 144, (1, 0): 160, (1, 1): 80}
    rows = summary.summarise([row for (i, j), value in medians.items() for row in cells(
        [[value] * 3] * 3, cpu=None, cpu_node=i, mem_node=j, cell=f"latency.random.cpus{i}.node{j}")])
    assert {(row["cpu_node"], row["mem_node"]): row["penalty"] for row in rows} == {
        (0, 0): 1.0, (0, 1): 1.6, (1, 0): 2.0, (1, 1): 1.0}


def test_penalty_is_within_one_variant():
    rows = summary.summarise(machine([0, 1], [0, 1], benches=("bandwidth",)))
    assert {round(row["penalty"], 3) for row in rows if row["mem_node"] == row["cpu_node"]} == {1.0}
    assert {round(row["penalty"], 3) for row in rows if row["mem_node"] != row["cpu_node"]} == {1.68}


def test_a_cpu_node_without_memory_has_no_penalty():
    rows = summary.summarise(cells(STEADY, cpu=4, cpu_node=1, mem_node=0))
    assert only(rows)["penalty"] is None


def test_nothing_is_compared_with_a_misplaced_local_cell():
    rows = summary.summarise(cells(STEADY, placement="failed") + cells(STEADY, mem_node=1))
    assert [(row["status"], row["penalty"]) for row in rows] == [("misplaced", None), ("ok", None)]


def test_steady_rounds_are_ok():
    assert only(summary.summarise(cells(STEADY)))["status"] == "ok"


@pytest.mark.parametrize("values, reason", [
    ([[100, 100]], "2 samples"),
    ([[80, 120, 85, 118, 99, 108, 91]], "interval spans"),
    ([[100] * 20, [100] * 20, [112] * 20], "rounds' medians differ by 12 %"),
])
def test_noisy_cells_say_why(values, reason):
    row = only(summary.summarise(cells(values)))
    assert row["status"] == "noisy" and reason in row["reason"]


def test_one_round_of_three_steady_samples_is_ok():
    row = only(summary.summarise(cells([[100, 101, 99]])))
    assert (row["status"], row["samples"], row["rounds"]) == ("ok", 3, 1)


def test_outliers_are_counted_and_kept():
    row = only(summary.summarise(cells([[100, 101, 99, 100, 101, 99, 100, 250]])))
    assert (row["outliers"], row["samples"], row["median"]) == (1, 8, 100)


def test_the_worst_placement_of_a_cell_counts():
    rows = cells(STEADY)
    rows[3].update(placement="unverified", placed_fraction=None)
    assert only(summary.summarise(rows))["placement"] == "unverified"
    rows[5].update(placement="failed", placed_fraction=0.5)
    row = only(summary.summarise(rows))
    assert (row["placement"], row["placed_fraction"], row["status"]) == ("failed", 0.5, "misplaced")


def test_a_cell_that_failed_in_one_round_is_failed_and_keeps_the_others():
    failed = job(round=2)
    row = only(summary.summarise(cells(STEADY[:2]), {failed: "exit status 1: no memory"}, [failed]))
    assert (row["status"], row["median"], row["penalty"]) == ("failed", 100, None)
    assert row["reason"] == "round 2: exit status 1: no memory"


def test_a_job_without_samples_has_a_row_for_each_variant():
    failed, skipped = job("bandwidth"), job(cpu=4, cpu_node=1, skip_reason="hidden by the cpuset")
    rows = summary.summarise([], {failed: "timed out"}, [failed, skipped], "a run", "a host")
    assert [(row["bench"], row["status"]) for row in rows] == [("latency", "skipped")] + [("bandwidth", "failed")] * 6
    assert rows[0]["reason"] == "hidden by the cpuset" and rows[0]["host"] == "a host"
    assert [row["variant"] for row in rows[1:]] == ["read", "write", "copy", "scale", "add", "triad"]
