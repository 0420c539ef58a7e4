"""Sweeps that are more than CPU node x memory node: policies, allocators, a user's command, the sentinel."""

import pytest
from conftest import environment, machine, sample, write_run

from numa_report import layout, runs, rounds, summary, table, tables, verdict
from numa_report.errors import DataError


def placed(policy, mem_node, value, cpu_node=0, round=1, **changes):
    place = f"cpu{4 * cpu_node}.{policy.replace(':', '-')}"
    return sample(cpu=4 * cpu_node, cpu_node=cpu_node, mem_node=mem_node, policy=policy, value=value, round=round,
                  cell=f"latency.random.{place}.{changes.get('allocator', 'numa_alloc')}", **changes)


def ran(metric, unit, values, mem_node=0, cpu_node=0, better="lower"):
    """A command's figure in three rounds."""
    return [sample(metric=metric, unit=unit, value=value, round=number, mem_node=mem_node, cpu_node=cpu_node, cpu=4 * cpu_node,
                   policy=f"bind:{mem_node}", variant="command", bench="latency", better=better, size_bytes=0,
                   cell=f"sqlite.command.cpu{4 * cpu_node}.node{mem_node}") | {"bench": "sqlite"}
            for number, value in enumerate(values, start=1)]


POLICIES = (("bind:0", 0, 100.0), ("bind:1", 1, 180.0), ("interleave:all", None, 140.0), ("local", None, 101.0))


def four_policies(allocator="numa_alloc"):
    return [placed(policy, node, value, round=number, allocator=allocator)
            for policy, node, value in POLICIES for number in (1, 2, 3)]


def test_each_policy_is_a_column_of_its_own_over_the_local_cell():
    rows = summary.summarise(four_policies())
    assert layout.columns(rows) == [0, 1, "interleave:all", "local"]
    assert {row["policy"]: row["penalty"] for row in rows} == {
        "bind:0": 1, "bind:1": 1.8, "interleave:all": 1.4, "local": pytest.approx(1.01)}
    assert "memory node 0" in table.render(rows) and "interleave:all" in table.render(rows)


def test_each_allocator_has_its_own_local_cell_and_panel():
    rows = four_policies() + [dict(row, value=2 * row["value"]) for row in four_policies("glibc")]
    found = summary.summarise(rows)
    assert {row["penalty"] for row in found if row["policy"] == "bind:1"} == {1.8}
    assert [name for name in layout.panels(found)] == ["random · allocator numa_alloc", "random · allocator glibc"]


def test_a_policy_that_names_no_node_is_not_called_remote():
    assert "memory of node 1" in verdict.lines(summary.summarise(four_policies()), {})[0]
    spread = [row for row in four_policies() if row["policy"] != "bind:1"]
    assert verdict.lines(summary.summarise(spread), {})[0].startswith("penalty: not known")


def test_matrix_and_samples_with_policies_read_back(tmp_path):
    folder = write_run(tmp_path / "run", four_policies(), environment([0], [0, 1]))
    rows = runs.matrix_of(str(folder))
    assert [row["mem_node"] for row in rows] == [0, 1, None, None]
    assert [row["value"] for row in tables.read_samples(folder / "samples.csv")] == [
        row["value"] for row in four_policies()]
    assert runs.plot(str(folder), rows)


def command_rows():
    return (ran("wall_time", "s", [1.8, 1.8, 1.81]) + ran("wall_time", "s", [2.4, 2.43, 2.44], 1)
            + ran("tps", "1/s", [900, 901, 902], better="higher") + ran("tps", "1/s", [600, 600, 601], 1, better="higher")
            + ran("major_faults", "faults", [0, 0, 0]) + ran("major_faults", "faults", [0, 0, 7], 1)
            + ran("peak_memory", "B", [11 << 20] * 3) + ran("peak_memory", "B", [11 << 20] * 3, 1))


def test_a_program_is_said_in_its_own_figures_and_ways_of_better():
    rows = summary.summarise(command_rows())
    found = {(row["metric"], row["mem_node"]): row for row in rows}
    assert found["tps", 1]["penalty"] == pytest.approx(901 / 600)
    assert found["wall_time", 1]["penalty"] == pytest.approx(2.43 / 1.8)
    words = verdict.lines(rows, {})[0]
    assert "1.35× in sqlite's wall_time, CPUs of node 0 to memory of node 1: 2.43 s, local 1.80 s" in words
    assert "1.50× in sqlite's tps" in words and "major_faults" not in words
    text = table.render(rows)
    assert "sqlite, tps in 1/s, higher is better" in text and "11.0 MiB" in text


def test_nothing_at_all_divides_nothing():
    rows = summary.summarise(command_rows())
    faults = [row for row in rows if row["metric"] == "major_faults"]
    assert [(row["median"], row["penalty"]) for row in faults] == [(0, None), (0, None)]
    assert faults[0]["status"] == "ok"


def test_a_command_has_pictures_of_its_time_and_its_own_figures_alone(tmp_path):
    folder = write_run(tmp_path / "run", command_rows(), environment([0], [0, 1]))
    paths = runs.plot(str(folder), runs.matrix_of(str(folder)))
    assert sorted(path.rpartition("/")[2] for path in paths if path.endswith(".png")) == [
        "sqlite-tps.png", "sqlite-wall_time.png"]


def test_latency_is_never_nothing(tmp_path):
    folder = write_run(tmp_path / "run", [placed("bind:0", 0, 0.0)])
    with pytest.raises(DataError, match="0 cannot be a measurement"):
        runs.matrix_of(str(folder))


@pytest.mark.parametrize("medians, disagree", [
    ([100], False), ([100, 109], False), ([100, 111], True), ([100, 101, 111], True), ([100, 104, 108], False),
    ([100, 101, 102, 150], True), ([100] * 5 + [150], True), ([100] * 5 + [150] * 2, True),
    ([150] + [100, 101, 102, 103, 104, 105], False), ([10, 100, 101, 102, 103, 104, 105], False),
    ([100] * 9 + [150] * 2, False), ([100] * 7 + [150] * 3, True), ([0, 0, 0], False), ([0, 0, 1], True),
])
def test_rounds_agree_when_they_outvote_the_others(medians, disagree):
    assert rounds.rounds_disagree(medians) is disagree


def cell_of_rounds(medians):
    row, = summary.summarise([placed("bind:0", 0, value * (1 + k / 2000), round=number, sample=k)
                              for number, value in enumerate(medians, start=1) for k in range(7)])
    return row


@pytest.mark.parametrize("count", range(1, 21))
def test_a_cell_whose_rounds_agree_is_not_noisy_by_its_interval_either(count):
    """A sweep stops measuring a cell as soon as its rounds agree: whatever their number is then."""
    for bad in range(count + 1):
        medians = [150.0] * bad + [100 + number / 10 for number in range(count - bad)]
        agree = not rounds.rounds_disagree(medians)
        assert cell_of_rounds(medians)["status"] == ("ok" if agree else "noisy"), (medians, agree)


def test_four_more_rounds_outvote_a_bad_one():
    assert cell_of_rounds([150, 100, 100])["status"] == "noisy"
    row = cell_of_rounds([150, 100, 100, 100, 100, 100, 100])
    assert (row["status"], row["rounds"]) == ("ok", 7) and row["median"] < 101 and row["ci_high"] < 101


def sentinels(values):
    return [sample(value=value, round=number) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize("values, said", [
    ([100, 101, 100, 99, 100], None),
    ([100, 101, 102, 104, 107, 109], "at first to 108 ns at last (+7 %)"),
    ([100, 100, 100, 125, 100, 100, 100], "between 100 ns and 125 ns"),
    ([100, 200], None),
])
def test_a_sentinel_that_moved_is_said(values, said):
    lines = verdict.drift_lines(sentinels(values))
    assert len(lines) == (said is not None)
    assert all(line.startswith("drift: the sentinel, latency.random.cpu0.node0, ") and said in line for line in lines)


def test_what_a_sentinel_used_beside_its_time_is_no_drift():
    moved = [dict(row, metric="system_time", unit="s") for row in sentinels([1, 5, 9])]
    assert not verdict.drift_lines(moved)
    assert verdict.drift_lines([dict(row, metric="wall_time") for row in moved])


def test_a_sweep_that_has_not_ended_is_one_line_with_the_way_on(tmp_path):
    folder = write_run(tmp_path / "a run", machine([0], [0]))
    (folder / "plan.csv").write_text("")
    (folder / "UNFINISHED").write_text("")
    with pytest.raises(Exception, match="has not ended; continue with: .*--resume '.*a run'"):
        runs.matrix_of(str(folder))
