"""plot.py --compare: the same cells are matched, and each gets the answer that its figures allow."""

import pytest
from made_up_runs import HARNESS, compare, machine, row, write

from numa_compare import comparison, operand
from numa_report.errors import ReportError


def compared(folder, before, after, **options):
    """The Comparison of two lists of samples."""
    runs = [operand.read(write(folder / name, rows), place) for place, (name, rows) in
            enumerate((("before", before), ("after", after)))]
    return comparison.compare(*runs, **options)


def word_of(found, **wanted):
    """The answer for the one cell of these columns."""
    fitting = [answer for answer in found.answers if all(answer.row[name] == value for name, value in wanted.items())]
    assert len(fitting) == 1
    return fitting[0].word


def slower(factor, **wanted):
    return lambda made: factor if all(made[name] == value for name, value in wanted.items()) else 1


def program(seconds, rounds=3, **changes):
    """Samples of a program's wall time on one node."""
    return [row("redis", "command", 0, 0, seconds * (1 + 0.001 * number), number, **changes)
            for number in range(1, rounds + 1)]


class TestWhatChanged:
    def test_a_slower_latency_is_worse_and_a_lower_bandwidth_too(self, tmp_path):
        remote = dict(bench="latency", cpu_node=0, mem_node=1)
        triad = dict(bench="bandwidth", variant="triad", cpu_node=1, mem_node=1)
        found = compared(tmp_path, machine(1), machine(2, change=lambda made: slower(1.06, **remote)(made)
                                                       * slower(0.94, **triad)(made)))
        assert [answer.word for answer in found.tested].count("worse") == 2
        assert word_of(found, **remote) == word_of(found, **triad) == "worse"

    def test_what_gains_is_better(self, tmp_path):
        wanted = dict(bench="latency", cpu_node=0, mem_node=0)
        found = compared(tmp_path, machine(1), machine(2, change=slower(0.94, **wanted)))
        assert word_of(found, **wanted) == "better" and not found.of("worse")

    def test_a_change_of_all_cells_is_not_taken_for_the_machines_own(self, tmp_path):
        found = compared(tmp_path, machine(1, benches=["latency"]),
                         machine(2, benches=["latency"], change=lambda made: 1.06))
        assert [answer.word for answer in found.answers] == ["worse"] * 4

    def test_steady_cells_that_did_not_change_are_said_not_to_have(self, tmp_path):
        found = compared(tmp_path, machine(1, noise=0.001), machine(2, noise=0.001))
        assert {answer.word for answer in found.answers} == {"no change"}
        assert all(-0.02 <= answer.low <= answer.change <= answer.high <= 0.02 for answer in found.answers)

    def test_noisy_cells_are_unclear_and_say_what_could_have_been_seen(self, tmp_path):
        found = compared(tmp_path, machine(1, noise=0.05), machine(2, noise=0.05))
        assert {answer.word for answer in found.answers} == {"unclear"}
        assert all(answer.visible > 0.10 for answer in found.answers)

    def test_one_round_in_each_is_unclear_whatever_it_shows(self, tmp_path):
        found = compared(tmp_path, machine(1, rounds=1), machine(2, rounds=1, change=lambda made: 1.5))
        assert {(answer.word, answer.reason) for answer in found.answers} == {("unclear", "one round in each")}

    def test_a_real_change_within_the_threshold_is_no_news(self, tmp_path):
        found = compared(tmp_path, machine(1, noise=0.0005), machine(2, noise=0.0005, change=lambda made: 1.01))
        assert {answer.word for answer in found.answers} == {"no change"}
        assert all(answer.shown for answer in found.answers)

    def test_the_change_is_the_ratio_of_the_medians_of_the_rounds_medians(self, tmp_path):
        def rounds(*values):
            return [row("latency", "random", 0, 0, value + apart, number, sample)
                    for number, value in enumerate(values, 1) for sample, apart in enumerate((-1.0, 0.0, 7.0), 1)]

        found = compared(tmp_path, rounds(100.0, 104.0, 90.0), rounds(110.0, 150.0, 100.0))
        assert found.answers[0].change == pytest.approx(0.10)

    def test_one_disturbed_round_does_not_hide_a_change(self, tmp_path):
        wanted = dict(bench="latency", cpu_node=0, mem_node=1)
        after = machine(2, change=lambda made: slower(1.08, **wanted)(made)
                        * (1.4 if made["round"] == 2 and slower(2, **wanted)(made) == 2 else 1))
        assert word_of(compared(tmp_path, machine(1), after), **wanted) == "worse"

    def test_where_every_cell_has_its_odd_rounds_nothing_is_forgiven(self, tmp_path):
        def odd(share):  # a third of all rounds in another mode
            return lambda made: 1.08 if (made["round"] + made["mem_node"] + len(made["variant"])) % 3 < share else 1

        found = compared(tmp_path, machine(1, change=odd(1)), machine(2, change=odd(2)))
        assert not found.of("worse", "better")

    def test_a_program_that_prints_0_is_compared(self, tmp_path):
        before, after = program(0.0), program(0.0)
        assert compared(tmp_path, before, after).answers[0].word == "no change"
        answer = compared(tmp_path / "again", before, program(1.0)).answers[0]
        assert (answer.word, answer.reason) == ("not comparable", "0 in A")


class TestWhichCells:
    def test_cells_of_one_run_alone_are_named(self, tmp_path):
        found = compared(tmp_path, machine(1, nodes=(0, 1)), machine(2, nodes=(0, 2)))
        assert len(found.of("only in the first")) == 21 and len(found.of("only in the other")) == 21
        assert len(found.tested) == 7

    def test_another_size_allocator_or_policy_is_another_cell(self, tmp_path):
        for name, value in (("size_bytes", 8 << 20), ("allocator", "glibc"), ("pages", "thp"), ("threads", 2)):
            assert not compared(tmp_path / name, machine(1), machine(2, **{name: value})).tested

    def test_host_and_cpu_may_differ_where_there_is_one_a_node(self, tmp_path):
        found = compared(tmp_path, machine(1), [{**made, "host": "other", "cpu": made["cpu"] + 1,
                                                 "cell": made["cell"] + "x"} for made in machine(2)])
        assert len(found.tested) == 28 and len(found.answers) == 28

    def test_cpus_of_one_node_are_told_apart(self, tmp_path):
        def both(seed):
            one = machine(seed, benches=["latency"], nodes=(0,))
            return one + [{**made, "cpu": 1, "cell": made["cell"] + "x", "value": 2 * made["value"]} for made in one]

        found = compared(tmp_path, both(1), both(2))
        assert [answer.row["cpu"] for answer in found.tested] in ([0, 1], [1, 0])
        assert all(abs(answer.change) < 0.02 for answer in found.tested)

    def test_hosts_of_two_fleets_are_told_apart(self, tmp_path):
        def fleet(seed):
            return [{**made, "host": host} for host in ("n1", "n2") for made in machine(seed, benches=["latency"])]

        found = compared(tmp_path, fleet(1), fleet(2))
        assert len(found.tested) == 8

    def test_a_failed_cell_without_a_size_is_still_the_same_cell(self, tmp_path):
        def fail(rows):
            rows[0].update(status="failed", size_bytes=None, median=None, penalty=None, reason="it fell")

        before = operand.read(write(tmp_path / "before", machine(1)), 0)
        after = operand.read(write(tmp_path / "after", machine(2), edit=fail), 1)
        found = comparison.compare(before, after)
        news = found.of("not comparable")
        assert [(answer.reason, answer.is_news) for answer in news] == [("failed in B", True)]
        assert len(found.answers) == 28

    @pytest.mark.parametrize("status", ["misplaced", "failed"])
    def test_a_cell_that_is_no_longer_ok_is_news_and_not_compared(self, tmp_path, status):
        def spoil(rows):
            rows[3].update(status=status, placement="failed", penalty=None)

        found = comparison.compare(operand.read(write(tmp_path / "before", machine(1)), 0),
                                   operand.read(write(tmp_path / "after", machine(2), edit=spoil), 1))
        assert [(answer.word, answer.reason, answer.is_news) for answer in found.answers if answer.reason] == [
            ("not comparable", f"{status} in B", True)]

    def test_what_failed_in_both_is_no_news(self, tmp_path):
        def spoil(rows):
            rows[3].update(status="failed", median=None, penalty=None)

        found = comparison.compare(*(operand.read(write(tmp_path / name, machine(1), edit=spoil), 0) for name in "ab"))
        assert [(answer.reason, answer.is_news) for answer in found.of("not comparable")] == [("failed in both", False)]

    def test_another_unit_is_not_compared(self, tmp_path):
        found = compared(tmp_path, program(1.0), program(1000.0, unit="ms"))
        assert found.answers[0].word == "not comparable" and "ms" in found.answers[0].reason


    def test_a_fleet_and_one_host_are_not_mixed(self, tmp_path):
        one = machine(1, benches=["latency"])
        with pytest.raises(ReportError, match="of 2 hosts, and the other run is of one"):
            compared(tmp_path, one, one + [{**made, "host": "n2"} for made in one])

    def test_figures_as_far_apart_as_numbers_go_are_compared(self, tmp_path):
        found = compared(tmp_path, program(1e-300), program(1e300))
        assert found.answers[0].change > 1e300


class TestAPublishedMachine:
    @staticmethod
    def publish(path, **said):
        """A matrix.csv by itself with medians and intervals, such as results/reference/ has."""
        def bare(rows):
            rows[:] = [{**one, "run": "", "rounds": None, "allocator": "", "size_bytes": None, "variant": "unstated",
                        "cpu": 0, **said} for one in rows if one["bench"] == "latency"]

        write(path, machine(7, benches=["latency"]), edit=bare)
        return str(path / "matrix.csv")

    def test_it_is_compared_by_its_intervals_which_say_less_than_rounds(self, tmp_path):
        published = operand.read(self.publish(tmp_path / "published"), 0)
        mine = operand.read(write(tmp_path / "mine", machine(2, benches=["latency"], change=lambda made: 1.3)), 1)
        assert published.from_intervals and not mine.from_intervals
        found = comparison.compare(published, mine)
        assert [answer.word for answer in found.answers] == ["worse"] * 4
        same = operand.read(write(tmp_path / "same", machine(7, benches=["latency"])), 0)
        with_rounds = comparison.compare(same, mine)
        width = [sum(answer.high - answer.low for answer in each.answers) for each in (found, with_rounds)]
        assert width[0] > width[1]

    def test_a_figure_without_an_interval_is_unclear(self, tmp_path):
        path = self.publish(tmp_path / "published", ci_low=None, ci_high=None)
        published, mine = operand.read(path, 0), operand.read(write(tmp_path / "mine", machine(2)), 1)
        found = comparison.compare(published, mine)
        assert {(answer.word, answer.reason) for answer in found.tested} == {("unclear", "no interval in A")}
        assert len(found.tested) == 4 and all(answer.change is not None for answer in found.tested)

    def test_unsaid_threads_are_not_taken_for_any_number(self, tmp_path):
        published = operand.read(self.publish(tmp_path / "published", threads=None), 0)
        mine = operand.read(write(tmp_path / "mine", machine(2, benches=["latency"])), 1)
        assert not comparison.compare(published, mine).tested

    def test_what_it_does_not_say_matches_no_two_cells(self, tmp_path):
        published = operand.read(self.publish(tmp_path / "published"), 0)
        both = machine(2, benches=["latency"]) + [
            {**made, "size_bytes": 8 << 20, "cell": made["cell"] + "8"} for made in machine(2, benches=["latency"])]
        assert not comparison.compare(published, operand.read(write(tmp_path / "mine", both), 1)).tested

    def test_every_reference_machine_can_be_an_operand(self):
        paths = sorted((HARNESS.parent / "results" / "reference").glob("*.csv"))
        assert paths
        for path in paths:
            found = comparison.compare(*(operand.read(str(path), place) for place in (0, 1)))
            assert found.answers and {answer.word for answer in found.answers} <= {"unclear", "no change", "not comparable"}


class TestBadOperands:
    @pytest.mark.parametrize("make, words", [
        (lambda path: path, "no such folder or file"),
        (lambda path: path.write_text("a,b\n1,2\n") and path, "column run: missing"),
        (lambda path: path.mkdir() or path, "no runs here"),
    ])
    def test_each_is_one_clear_line(self, tmp_path, make, words):
        good = write(tmp_path / "good", machine(1))
        done = compare(good, make(tmp_path / "bad"))
        assert done.returncode == 1 and words in done.stderr and len(done.stderr.splitlines()) == 1 and not done.stdout

    def test_a_folder_of_runs_names_one(self, tmp_path):
        write(tmp_path / "runs" / "one", machine(1))
        with pytest.raises(ReportError, match="1 below it"):
            operand.read(str(tmp_path / "runs"), 0)

    def test_runs_without_a_common_cell_are_an_error(self, tmp_path):
        done = compare(write(tmp_path / "a", machine(1)), write(tmp_path / "b", machine(1, pages="thp")))
        assert done.returncode == 1 and "no cell is in both" in done.stderr

    def test_a_cut_samples_file_is_one_clear_line(self, tmp_path):
        folder = write(tmp_path / "a", machine(1))
        path = tmp_path / "a" / "samples.csv"
        path.write_bytes(path.read_bytes()[:-7])
        done = compare(folder, folder)
        assert done.returncode == 1 and "samples.csv" in done.stderr and len(done.stderr.splitlines()) == 1
