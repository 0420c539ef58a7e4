"""The arithmetic of bench/alloc_report: ratios, intervals, means, PEERS, names and callgrind's files."""

import math
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from alloc_report import allocators, cells, figure, instructions, samples as sampling, summary, table  # noqa: E402
from alloc_report.allocators import Allocator  # noqa: E402
from alloc_report.cells import Cell  # noqa: E402
from alloc_report.samples import Samples  # noqa: E402
from numa_report.errors import DataError, UsageError  # noqa: E402

ONE = Cell("one", "1 thread", ("true",), is_workload=True)
TWO = Cell("two", "1 thread", ("true",), is_workload=True)
PROGRAM = Cell("perl", "programs", ("true",))
NAMES = ("glibc", "numa_alloc", "quick", "slow")


def made_up(times, failed=()):
    """A Summary of times[cell][label] = [seconds of round 1, 2, ...]; a peak is 1000 x the time."""
    samples = Samples()
    for cell, of_cell in times.items():
        for label, values in of_cell.items():
            for number, value in enumerate(values, start=1):
                samples.add("wall_time", cell, label, number, value)
                samples.add("peak_memory", cell, label, number, 1000 * value)
    samples.failed.update({(cell.id, label): "SIGSEGV" for cell, label in failed})
    labels = dict.fromkeys(label for of_cell in times.values() for label in of_cell)
    labels.update(dict.fromkeys(label for _, label in failed))
    return summary.Summary(list(times), {label: Allocator(label, None) for label in labels}, samples, "glibc")


@pytest.fixture
def found(tmp_path):
    (tmp_path / "alloc").mkdir()
    (tmp_path / "alloc" / "numa_alloc.so").touch()
    (tmp_path / "mine.so").touch()
    return allocators.find(tmp_path, f"mine={tmp_path}/mine.so")[0]


def row_of(result, cell, label):
    return next(row for row in result.rows if row.cell is cell and row.label == label)


def test_a_ratio_is_of_the_same_round():
    # Round 2 was ten times as slow for both: the medians of the times would say 20 / 2.
    result = made_up({ONE: {"glibc": [2, 20, 2, 40, 2], "numa_alloc": [1, 10, 1, 20, 1]}})
    ratio = row_of(result, ONE, "numa_alloc").time_ratio
    assert (ratio.value, ratio.low, ratio.high) == (0.5, 0.5, 0.5)


def test_rounds_that_one_side_lacks_are_left_out():
    assert summary.paired({1: 3.0, 2: 8.0, 3: 5.0}, {2: 4.0, 3: 10.0, 4: 1.0}) == [2.0, 0.5]


def test_an_interval_lies_within_the_values_and_around_the_median():
    estimate = summary.median([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 9.0])
    assert estimate.value == 1.3
    assert 1.0 <= estimate.low < 1.3 < estimate.high <= 9.0
    assert estimate == summary.median([1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 9.0])


def test_an_interval_covers_the_true_median_about_as_often_as_it_says():
    numpy = pytest.importorskip("numpy")
    draws = numpy.random.default_rng(1).normal(5, 1, (400, 15))
    covered = sum(estimate.low <= 5 <= estimate.high for estimate in map(summary.median, draws))
    assert 360 <= covered <= 396  # 90 to 99 % of 400


def test_the_geometric_mean_treats_double_and_half_as_equals():
    mean = summary.geometric_mean([[0.5, 0.5, 0.5], [2.0, 2.0, 2.0]])
    assert mean.value == pytest.approx(1)
    assert (mean.low, mean.high) == (pytest.approx(1), pytest.approx(1))
    assert summary.geometric_mean([[0.2], [0.4], [0.8]]).value == pytest.approx(0.4)
    assert summary.geometric_mean([]) is None


def test_means_are_of_each_group_and_of_all():
    result = made_up({ONE: {"glibc": [1] * 3, "numa_alloc": [0.5] * 3}, PROGRAM: {"glibc": [1] * 3, "numa_alloc": [2] * 3}})
    means = {name: result.mean("wall_time", of_group, "numa_alloc")[0].value for name, of_group in result.groups().items()}
    assert means == {"1 thread": pytest.approx(0.5), "programs": pytest.approx(2), "all": pytest.approx(1)}
    assert list(made_up({ONE: {"glibc": [1]}}).groups()) == ["1 thread"]


def test_the_best_peer_is_the_fastest_in_that_cell_and_neither_ours_nor_glibc():
    result = made_up({ONE: {"glibc": [0.1] * 3, "numa_alloc": [1] * 3, "quick": [2] * 3, "slow": [8] * 3},
                      TWO: {"glibc": [1] * 3, "numa_alloc": [1] * 3, "quick": [4] * 3, "slow": [0.5] * 3}})
    ours = row_of(result, ONE, "numa_alloc"), row_of(result, TWO, "numa_alloc")
    assert [(row.best_peer, row.to_best_peer.value) for row in ours] == [("quick", 0.5), ("slow", 2)]
    assert row_of(result, ONE, "quick").best_peer == "slow"  # not itself
    assert result.worst("numa_alloc").cell is TWO


def test_a_failed_cell_is_said_and_left_out_of_the_means():
    times = {ONE: {"glibc": [1] * 3, "numa_alloc": [0.5] * 3, "quick": [0.25] * 3}, TWO: {"glibc": [1] * 3, "numa_alloc": [0.9] * 3}}
    result = made_up(times, failed=[(TWO, "quick")])
    assert result.mean("wall_time", result.cells, "quick") == (summary.Estimate(*[pytest.approx(0.25)] * 3), 1)
    assert result.mean("wall_time", result.cells, "numa_alloc", "quick")[1] == 1
    text = table.text(result)
    assert "failed: SIGSEGV" in text and "of 1" in text


def test_the_table_and_the_file_hold_every_cell_and_allocator(tmp_path):
    result = made_up({ONE: {name: [1.0 + at, 1.1 + at] for at, name in enumerate(NAMES)}})
    lines = table.text(result).splitlines()
    for name in NAMES:
        assert any(line.startswith("one.1") and f" {name} " in line for line in lines)
    table.write_csv(tmp_path / "summary.csv", result)
    rows = (tmp_path / "summary.csv").read_text().splitlines()
    assert rows[0].split(",") == list(table.COLUMNS)
    assert [row.split(",")[2] for row in rows[1:]] == list(NAMES)
    assert {row.count(",") for row in rows} == {len(table.COLUMNS) - 1}


def test_the_figure_is_drawn_with_failures_and_values_off_the_scale(tmp_path):
    result = made_up({ONE: {"glibc": [1] * 3, "numa_alloc": [0.5] * 3, "quick": [30] * 3}, TWO: {"glibc": [1] * 3}},
                     failed=[(TWO, "numa_alloc")])
    for metric in ("wall_time", "peak_memory"):
        assert figure.draw(tmp_path / f"{metric}.png", result, metric, "made up")
        assert (tmp_path / f"{metric}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_figure_leaves_out_what_has_no_ratio(tmp_path):
    # A run interrupted before the base was measured in the second cell; and before it was measured at all.
    result = made_up({ONE: {"glibc": [1], "numa_alloc": [0.5]}, PROGRAM: {"numa_alloc": [1]}})
    titles = [title for title, _ in figure.panels(result, "wall_time")]
    assert titles == ["mean: 1 thread", "mean: all", "one, 1 thr."]
    nothing = made_up({ONE: {"numa_alloc": [1]}})
    assert not figure.draw(tmp_path / "a.png", nothing, "wall_time", "") and not (tmp_path / "a.png").exists()


def recorded(tmp_path):
    """An allocs.csv of two rounds of two cells, one of which failed under a peer."""
    settings = {"glibc": {"policy": "none", "pages": "default"}, "numa_alloc@local": {"policy": "local", "pages": "thp"}}
    file = sampling.SampleFile(tmp_path, "allocs.csv", settings)
    for number in (1, 2):
        for cell in (ONE, PROGRAM):
            for label in ("numa_alloc@local", "glibc"):
                if cell is ONE and label == "glibc":
                    continue
                for metric, value in (("wall_time", 0.5 * number), ("peak_memory", 4096)):
                    file.add(cell, Allocator(label, None), [3], number, {"metric": metric, "value": value})
    file.add(ONE, Allocator("glibc", None), [3], 1, {"metric": "wall_time", "reason": 'SIGSEGV, "so"'})
    return tmp_path / "allocs.csv"


def test_samples_are_read_as_they_were_written(tmp_path):
    found, labels, samples, host = sampling.read(recorded(tmp_path))
    assert [(cell.id, cell.group, cell.is_workload) for cell in found] == [
        ("one.1", "1 thread", True), ("perl", "programs", False)]
    assert labels == ["glibc", "numa_alloc@local"] and host
    assert samples.values["wall_time"]["perl", "glibc"] == {1: 0.5, 2: 1.0}
    assert samples.values["peak_memory"]["one.1", "numa_alloc@local"] == {1: 4096, 2: 4096}
    assert samples.failed == {("one.1", "glibc"): 'SIGSEGV, "so"'}
    assert samples.policy("numa_alloc@local") == "local" and samples.rounds() == 2
    assert samples.measured("glibc") and not samples.measured("quick")


@pytest.mark.parametrize(("old", "new", "where"), [
    ("0.5", "x", "row 2, column value"), ("0.5", "-1", "row 2, column value"), ("0.5", "nan", "row 2, column value"),
    ("peak_memory", "speed", "row 3, column metric"), (",reason", "", "no column reason")])
def test_a_damaged_file_of_samples_is_refused_with_the_place(tmp_path, old, new, where):
    path = recorded(tmp_path)
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=where):
        sampling.read(path)


def test_a_file_without_samples_is_refused(tmp_path):
    path = recorded(tmp_path)
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="no samples"):
        sampling.read(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="CSV"):
        sampling.read(path)


def test_peers_are_read(tmp_path):
    for name in ("a.so", "b.so"):
        (tmp_path / name).touch()
    assert allocators.parse_peers("") == {}
    assert allocators.parse_peers(f"a-1.2={tmp_path}/a.so, b={tmp_path}/b.so,") == {
        "a-1.2": f"{tmp_path}/a.so", "b": f"{tmp_path}/b.so"}


@pytest.mark.parametrize("text", ["a", "=x", "a=", "a=/no/such/file", "glibc=/etc/passwd", "numa_alloc@x=/etc/passwd",
                                  "a=/etc/passwd,a=/etc/passwd"])
def test_bad_peers_are_refused_by_name(text):
    with pytest.raises(UsageError, match="PEERS"):
        allocators.parse_peers(text)


def test_a_policy_is_an_allocator_of_its_own(found):
    chosen = allocators.select(found, ["numa_alloc@none", "numa_alloc@interleave:0", "mine"])
    assert [allocator.label for allocator in chosen.values()] == ["numa_alloc@none", "numa_alloc@interleave:0", "mine"]
    assert chosen["numa_alloc@interleave:0"].environment()["NUMA_ALLOC_POLICY"] == "interleave:0"
    assert chosen["numa_alloc@none"].reported_name() == "numa_alloc"
    assert [allocator.is_peer for allocator in chosen.values()] == [False, False, True]


def test_the_library_is_preloaded_and_nothing_else(found, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "other.so")
    assert "LD_PRELOAD" not in found["glibc"].environment()
    assert found["mine"].environment({"A": "b"})["LD_PRELOAD"].endswith("mine.so")
    assert found["mine"].environment({"A": "b"})["A"] == "b"


@pytest.mark.parametrize("label", ["nonsense", "glibc@none", "numa_alloc@", "nonsense@none"])
def test_unknown_allocators_are_refused(found, label):
    with pytest.raises(UsageError, match="--allocators"):
        allocators.select(found, ["glibc", label])


def test_cells_are_chosen_by_name_and_by_threads():
    two = Cell("one", "2 threads", ("true",), threads=2, is_workload=True)
    assert cells.select([ONE, two, PROGRAM], ["one"]) == [ONE, two]
    assert cells.select([ONE, two, PROGRAM], ["one.2", "perl"]) == [two, PROGRAM]
    with pytest.raises(UsageError, match="one, perl"):
        cells.select([ONE, two, PROGRAM], ["one.3"])


def test_the_generated_c_file_calls_every_function():
    source = cells.c_source(5)
    assert all(source.count(f"f{number}(") == 2 for number in range(5)) and "entry" in source


def test_instructions_are_summed_by_object_without_those_of_callees():
    text = """# callgrind format
positions: line
events: Ir

ob=(1) /bench/allocs
fl=(1) pair.c
fn=(1) pairs
12 40
+3 10
cob=(2) /lib/malloc.so
cfn=(2) malloc
calls=10 7
+1 5000
fi=(3) inlined.h
-2 5

ob=(2)
fn=(2)
7 300
* 20

ob=(1)
fn=(4) main
1 1
totals: 376
"""
    assert instructions.own_cost(text) == {"/bench/allocs": 56, "/lib/malloc.so": 320}


def test_a_mean_with_its_interval_is_finite_for_one_round():
    result = made_up({ONE: {"glibc": [1.0], "numa_alloc": [0.7]}})
    estimate = result.mean("wall_time", result.cells, "numa_alloc")[0]
    assert math.isclose(estimate.low, 0.7) and math.isclose(estimate.high, 0.7)
