"""plot.py --compare --fail-if: what fails a CI job, what rightly does not, and what is no condition."""

import pytest
from made_up_runs import compare, compare_by_command, in_memory, machine, row, write

from numa_compare import comparison, conditions
from numa_report.errors import UsageError


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run, and one whose remote latency is 8 % higher and whose triad is 6 % lower."""
    def change(made):
        if made["bench"] == "latency":
            return 1.08 if made["cpu_node"] != made["mem_node"] else 1
        return 0.94 if made["variant"] == "triad" else 1

    folder = tmp_path_factory.mktemp("runs")
    return write(folder / "a", machine(1)), write(folder / "b", machine(2, change=change))


def test_the_command_ends_with_the_status(runs):
    assert compare_by_command(*runs).returncode == 0
    done = compare_by_command(*runs, "--fail-if", "latency > +5%", "--markdown")
    assert done.returncode == 3 and "holds for 2 of 4 cells" in done.stderr
    assert done.stdout.startswith("### B against A")
    assert compare_by_command(*runs, "--fail-if", "latency").returncode == 2


@pytest.mark.parametrize("condition, holds_for", [
    ("latency.remote > +5%", "2 of 2"), ("latency>5%", "2 of 4"), ("latency.random.remote >= 5 %", "2 of 2"),
    ("bandwidth.triad < -3%", "4 of 4"), ("bandwidth.local < -5%", "2 of 12"), ("*.remote > 5% worse", "4 of 14"),
    ("* > 3% worse", "6 of 28"), ("penalty > 1.85", "2 of 28"), ("penalty.latency.remote > 1.5", "2 of 2"),
    ("latency.load_latency.remote > +5%", "2 of 2"),
])
def test_a_condition_that_holds_is_status_3_and_one_line(runs, condition, holds_for):
    done = compare(*runs, "--fail-if", condition)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1 and f"holds for {holds_for} cells: " in done.stderr
    assert "cells compared" in done.stdout and condition not in done.stdout


@pytest.mark.parametrize("condition", [
    "latency.remote > +20%", "latency.local > +2%", "latency.remote < -1%", "bandwidth.triad > +3%",
    "bandwidth.copy < -3%", "* > 3% better", "penalty > 2.5", "penalty < 0.5", "unclear > 50%",
    "failed", "misplaced", "missing",
])
def test_a_condition_that_does_not_hold_is_status_0_and_says_how_many_cells_were_looked_at(runs, condition):
    done = compare(*runs, "--fail-if", condition)
    assert done.returncode == 0 and not done.stderr
    assert f"--fail-if '{condition}' holds for none of " in done.stdout


@pytest.mark.parametrize("condition", [
    "", "latency", "latency.remote", "latency > ", "latency > 5", "latency => 5%", "latency > five%", "> 5%",
    "latency > -5%", "latency < +5%", "latency > +5% worse", "latency < 5% worse", "penalty > 5%", "penalty > +2",
    "unclear", "unclear > 3", "unclear < 5%", "failed > 3%", "latency > 5% slower", "latency > 5% and bandwidth < -5%",
])
def test_what_is_no_condition_says_what_is_accepted(condition):
    with pytest.raises(UsageError, match=r"cannot be read: 'latency.remote > \+5%'"):
        conditions.read(condition)


def test_a_condition_is_read_before_the_runs_and_ends_with_status_2(tmp_path):
    done = compare(tmp_path / "not", tmp_path / "read", "--fail-if", "latency is worse")
    assert done.returncode == 2 and "'latency is worse' cannot be read" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not done.stdout


@pytest.mark.parametrize("condition", [
    "latncy > 5%", "bandwidth.tirad < -3%", "penalty.latncy > 2", "latency.triad > 5%",
])
def test_a_condition_of_no_cell_is_an_error_not_a_pass(runs, condition):
    done = compare(*runs, "--fail-if", condition)
    assert done.returncode == 2 and "no cell is of that name; there are latency.random, bandwidth.read" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_condition_whose_cells_cannot_be_compared_is_an_error_not_a_pass(tmp_path):
    def fail(rows):
        for one in rows:
            if one["bench"] == "latency":
                one.update(status="failed", median=None, penalty=None)

    a, b = write(tmp_path / "a", machine(1)), write(tmp_path / "b", machine(2), edit=fail)
    done = compare(a, b, "--fail-if", "latency.remote > +5%")
    assert done.returncode == 1 and "none of the 2 cells that it names could be compared" in done.stderr
    done = compare(a, b, "--fail-if", "failed")
    assert done.returncode == 3 and "holds for 4 of 28 cells: latency, 0 → 0 (failed)" in done.stderr


def test_a_raw_change_of_figures_that_better_means_both_ways_of_is_refused(runs):
    done = compare(*runs, "--fail-if", "* > 5%")
    assert done.returncode == 2 and "'> X% worse'" in done.stderr


def test_noise_alone_fails_hardly_any_ci_run():
    """The medians of noisy cells differ by more than the limit as often as not."""
    limits, failures, beyond = [conditions.read(f"latency > 2% {way}") for way in ("worse", "better")], 0, 0
    for seed in range(200):
        found = comparison.compare(*(in_memory(2 * seed + place, noise=0.06, benches=["latency"]) for place in (0, 1)))
        beyond += sum(abs(answer.change) > 0.02 for answer in found.answers)
        failures += any(conditions.look(limit, [found]).holds for limit in limits)
    assert beyond > 400 and failures <= 6


def test_unclear_can_be_forbidden(tmp_path):
    runs = [write(tmp_path / name, machine(seed, noise=0.06)) for seed, name in enumerate("ab")]
    done = compare(*runs, "--fail-if", "unclear > 10%")
    assert done.returncode == 3 and "28 of 28 cells unclear" in done.stderr


def test_misplaced_and_missing_cells_can_be_forbidden(tmp_path):
    def misplace(rows):
        rows[0].update(status="misplaced", placement="failed", penalty=None)
        del rows[-1]

    runs = write(tmp_path / "a", machine(1)), write(tmp_path / "b", machine(2), edit=misplace)
    done = compare(*runs, "--fail-if", "misplaced", "--fail-if", "missing", "--fail-if", "failed")
    assert done.returncode == 3 and len(done.stderr.splitlines()) == 2
    assert "'misplaced' holds for 1 of 28 cells: latency, 0 → 0 (misplaced)" in done.stderr
    assert "'missing' holds for 1 of 28 cells: bandwidth triad, 1 → 1 (missing)" in done.stderr


def test_a_programs_metric_is_named_with_its_dots(tmp_path):
    def run(name, factor):
        return write(tmp_path / name, [
            row("my.prog-1.2", "command", 0, node, 2.0 * factor * (1 + 0.002 * number), number)
            for node in (0, 1) for number in range(1, 4)])

    done = compare(run("a", 1), run("b", 1.2), "--fail-if", "my.prog-1.2.wall_time.remote > +5%")
    assert done.returncode == 3 and "holds for 1 of 1 cell: my.prog-1.2 wall_time, 0 → 1 (+20.0 %)" in done.stderr


def test_a_penalty_is_the_last_runs_and_holds_with_its_whole_interval(tmp_path):
    a, b = write(tmp_path / "a", machine(1, noise=0.02)), write(tmp_path / "b", machine(2, noise=0.02))
    assert compare(a, b, "--fail-if", "penalty.latency > 1.4").returncode == 3
    done = compare(a, b, "--fail-if", "penalty.latency > 1.8")  # what it is, give or take the noise
    assert done.returncode == 0 and "2 of them unclear" in done.stdout


def test_a_penalty_that_somebody_wrote_without_a_local_cell_is_unclear(tmp_path):
    def bare(rows):
        rows[:] = [{**one, "policy": ""} for one in rows if one["cpu_node"] != one["mem_node"]]

    run = write(tmp_path / "a", machine(1), edit=bare)
    done = compare(run, run, "--fail-if", "penalty > 1.2")
    assert done.returncode == 0 and "holds for none of 14 cells, 14 of them unclear" in done.stdout


def test_with_more_runs_a_line_says_which(tmp_path):
    def slower_latency(made):
        return 1.1 if made["bench"] == "latency" else 1

    runs = [write(tmp_path / name, machine(seed, change=change))
            for seed, (name, change) in enumerate((("a", None), ("b", None), ("c", slower_latency)))]
    done = compare(*runs, "--fail-if", "latency > +5%")
    assert done.returncode == 3 and done.stderr.count(" in C)") == 3 and "holds for 4 of 8 cells" in done.stderr
