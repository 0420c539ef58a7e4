"""The runs of many hosts put together: what is kept, what is refused, and which hosts are named as odd."""

import csv
import json
import os

import pytest
from conftest import machine

from numa_report import summary, tables
from numa_report.errors import UsageError
from numa_sweep import collect, host_rows, merge, odd_hosts


def add_host(folder, name, rows=None, factor=1.0, cpu_model="Made-up CPU 9000"):
    """A host's run folder, as a sweep of two nodes leaves it, every value so many times as large."""
    rows = machine([0, 1], [0, 1]) if rows is None else rows
    rows = [{**row, "run": "a run", "host": name, "value": row["value"] * factor} for row in rows]
    run = folder / "hosts" / name
    run.mkdir(parents=True)
    collect.write_samples(str(run), rows)
    summary.write_matrix(str(run), summary.summarise(rows))
    (run / "environment.json").write_text(json.dumps(
        {"cpu_model": cpu_model, "kernel": {"release": "6.1"}, "started_at": "2026-11-22T13:00:00Z"}), encoding="utf-8")
    return run


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hosts_of(folder):
    return {row["host"]: row for row in read(folder / "hosts.csv")}


@pytest.fixture
def fleet(tmp_path):
    for name in ("lab1", "lab2", "lab3"):
        add_host(tmp_path, name)
    return tmp_path


def test_every_row_of_every_host_is_kept_under_its_name(fleet, capsys):
    assert merge.merge(str(fleet)) == 0
    for name in ("samples.csv", "matrix.csv"):
        wanted = [row for host in ("lab1", "lab2", "lab3") for row in read(fleet / "hosts" / host / name)]
        assert read(fleet / name) == wanted
    assert {row["host"] for row in read(fleet / "samples.csv")} == {"lab1", "lab2", "lab3"}
    assert [(row["host"], row["status"], row["cells"], row["failed_cells"], row["cpu_model"], row["kernel"])
            for row in read(fleet / "hosts.csv")] == [
        (name, "ok", "28", "0", "Made-up CPU 9000", "6.1") for name in ("lab1", "lab2", "lab3")]
    assert "hosts: 3 of 3 ok" in (fleet / "verdict.txt").read_text()
    assert "lab2" in capsys.readouterr().out


def test_merging_again_changes_nothing(fleet):
    merge.merge(str(fleet))
    before = {name: (fleet / name).read_bytes() for name in ("samples.csv", "matrix.csv", "hosts.csv", "verdict.txt")}
    merge.merge(str(fleet))
    assert before == {name: (fleet / name).read_bytes() for name in before}


def test_columns_are_matched_by_name_and_the_host_is_the_folder(fleet):
    path = fleet / "hosts" / "lab2" / "samples.csv"
    rows = read(path)
    columns = list(reversed(rows[0])) + ["remark"]
    tables.write_table(str(path), columns, [{**row, "host": "localhost", "remark": 'a "word",\nanother'} for row in rows])
    merge.merge(str(fleet))
    merged = read(fleet / "samples.csv")
    of_lab2 = [row for row in merged if row["host"] == "lab2"]
    assert [{**row, "host": "localhost"} for row in of_lab2] == [
        {**row, "host": "localhost", "remark": 'a "word",\nanother'} for row in rows]
    assert {row["remark"] for row in merged if row["host"] != "lab2"} == {""}
    assert list(merged[0])[:3] == ["run", "host", "round"]


@pytest.mark.parametrize("name", ["samples.csv", "matrix.csv"])
def test_a_host_whose_file_is_cut_is_left_out_with_the_reason(fleet, name):
    path = fleet / "hosts" / "lab2" / name
    path.write_bytes(path.read_bytes()[:-10])
    assert merge.merge(str(fleet)) == 1
    row = hosts_of(fleet)["lab2"]
    assert row["status"] == "failed" and name in row["reason"] and "cut" in row["reason"]
    for merged in ("samples.csv", "matrix.csv"):
        assert {row["host"] for row in read(fleet / merged)} == {"lab1", "lab3"}
    assert f"failed: lab2: {row['reason']}" in (fleet / "verdict.txt").read_text()


def test_a_line_of_another_host_does_not_slip_through(fleet):
    path = fleet / "hosts" / "lab2" / "samples.csv"
    path.write_text(path.read_text().replace("a run,lab2,3,", "a run,elsewhere,3,", 1))
    merge.merge(str(fleet))
    assert "elsewhere" not in (fleet / "samples.csv").read_text()


def test_a_sweep_that_has_not_ended_is_a_row_and_no_data(fleet):
    (fleet / "hosts" / "lab3" / "UNFINISHED").touch()
    run = fleet / "hosts" / "lab4"
    run.mkdir()
    assert merge.merge(str(fleet)) == 1
    assert [(row["host"], row["status"]) for row in read(fleet / "hosts.csv")] == [
        ("lab1", "ok"), ("lab2", "ok"), ("lab3", "incomplete"), ("lab4", "incomplete")]
    assert {row["host"] for row in read(fleet / "samples.csv")} == {"lab1", "lab2"}


def test_rows_of_hosts_without_a_folder_stay(fleet):
    rows = [host_rows.row("gone", "ssh gone", "unreachable", reason="No route to host"), host_rows.row("lab2", "me@lab2")]
    host_rows.write(str(fleet), rows)
    assert merge.merge(str(fleet)) == 1
    assert [(row["host"], row["sshlogin"], row["status"], row["reason"]) for row in read(fleet / "hosts.csv")] == [
        ("gone", "ssh gone", "unreachable", "No route to host"), ("lab2", "me@lab2", "ok", ""), ("lab1", "", "ok", ""),
        ("lab3", "", "ok", "")]


def test_a_matrix_is_made_where_it_is_missing_or_older_than_its_samples(fleet):
    (fleet / "hosts" / "lab1" / "matrix.csv").unlink()
    old = fleet / "hosts" / "lab2" / "matrix.csv"
    old.write_text("not a matrix\n")
    os.utime(old, ns=(1, 1))
    assert merge.merge(str(fleet)) == 0
    assert len([row for row in read(fleet / "matrix.csv") if row["host"] == "lab2"]) == 28


def test_failed_and_misplaced_cells_are_counted(tmp_path, capsys):
    add_host(tmp_path, "lab1", [{**row, "placement": "failed", "placed_fraction": 0.5} if row["mem_node"] else row
                                for row in machine([0], [0, 1], ("latency",))])
    assert merge.merge(str(tmp_path)) == 1
    assert "misplaced: lab1: 1 cell" in capsys.readouterr().out


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: (folder / "hosts").mkdir()])
def test_nothing_to_merge_is_an_error(tmp_path, make):
    make(tmp_path)
    with pytest.raises(UsageError, match="no run folders"):
        merge.merge(str(tmp_path))
    with pytest.raises(UsageError, match="no such folder"):
        merge.merge(str(tmp_path / "nowhere"))


def test_a_large_fleet_is_shown_by_its_median_and_the_hosts_to_look_at(tmp_path, capsys):
    rows = machine([0], [0], ("latency",))
    for number in range(50):
        add_host(tmp_path, f"node{number}", rows, factor=1.4 if number == 7 else 1)
    merge.merge(str(tmp_path))
    said = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert [line.split()[:2] for line in said[1:]] == [["median", "of"], ["node7", "ok"]]
    assert said[2].endswith("odd")


# Odd hosts.

def medians(values, bench="latency", metric="load_latency", status="ok", models=()):
    """values: {host: [a median for each cell, None for a cell that it does not have]}"""
    found = odd_hosts.Medians()
    for host, of_host in values.items():
        for number, value in enumerate(of_host):
            if value is not None:
                row = merge.MatrixRow(f"cell{number}", bench, metric, "ns", "random", "0", "bind:0", status, value, 1.0)
                found.add(host, dict(models).get(host, "a CPU"), row)
    return found


def names(found):
    return [odd.host for odd in found.odd()]


def test_three_hosts_of_which_one_is_slower():
    found = medians({"lab1": [2000, 3600], "lab2": [2600, 4680], "lab3": [2002, 3601]})
    assert names(found) == ["lab2"]
    assert odd_hosts.lines(found, found.odd(), found.lacking()) == [
        "odd: lab2: latency 30 % above the fleet's median in 2 of 2 cells (worst: cell1: 4,680 ns against 3,601)"]


def test_below_is_odd_too():
    found = medians({"lab1": [100], "lab2": [60], "lab3": [101], "lab4": [99]})
    assert "40 % below" in odd_hosts.lines(found, found.odd(), [])[0]


def test_two_hosts_cannot_be_told_apart():
    found = medians({"lab1": [100], "lab2": [200]})
    assert names(found) == []
    assert odd_hosts.lines(found, [], []) == ["odd: not judged: lab1, lab2; it takes 3 hosts with the same CPU to tell"]


@pytest.mark.parametrize("value, odd", [(105, False), (105.1, True), (94.9, True), (95, False)])
def test_five_percent_is_the_least(value, odd):
    found = medians({"a": [100], "b": [100], "c": [100], "d": [value]})
    assert (names(found) == ["d"]) == odd


@pytest.mark.parametrize("value, odd", [(151, False), (153, True)])
def test_hosts_that_differ_among_themselves_leave_more_room(value, odd):
    # The median is 100, the MAD 10: 3.5 robust standard deviations are 51.9.
    found = medians({"a": [80], "b": [90], "c": [100], "d": [100], "e": [110], "f": [110], "g": [value]})
    assert (names(found) == ["g"]) == odd


@pytest.mark.parametrize("slow, odd", [(1, False), (2, True)])
def test_half_of_the_cells_make_a_host_odd(slow, odd):
    found = medians({"a": [100] * 4, "b": [100] * 4, "c": [130] * slow + [100] * (4 - slow)})
    assert (names(found) == ["c"]) == odd


def test_cells_that_were_not_measured_do_not_count():
    found = medians({"a": [100], "b": [100], "c": [100], "d": [500]}, status="misplaced")
    assert names(found) == []


def test_hosts_are_compared_with_those_of_their_own_cpu():
    values = {f"old{number}": [150] for number in range(3)} | {f"new{number}": [100] for number in range(4)}
    values["old2"] = [300]
    found = medians(values, models={name: name[:3] for name in values})
    assert names(found) == ["old2"]


def test_what_a_command_used_is_no_sign_but_its_time_is():
    for metric, odd in (("major_faults", []), ("system_time", []), ("wall_time", ["d"])):
        assert names(medians({"a": [1], "b": [1], "c": [1], "d": [9]}, "redis", metric)) == odd


def test_a_median_of_zero_cannot_be_compared():
    assert names(medians({"a": [0], "b": [0], "c": [0], "d": [9]}, "redis", "misses")) == []


def test_a_host_without_the_cells_of_the_others_is_named():
    found = medians({"a": [100, 200], "b": [100, 200], "c": [100, None]})
    assert odd_hosts.lines(found, found.odd(), found.lacking()) == [
        "odd: c: has no row for 1 of the 2 cells that most hosts have (cell1)"]


def test_alike_hosts_are_said_to_be():
    found = medians({"a": [100], "b": [101], "c": [99]})
    assert odd_hosts.lines(found, [], []) == [
        "odd: none of 3 hosts is over 5 % apart from the others in half of its cells"]


def test_a_host_with_a_damaged_environment_is_a_failed_row(fleet):
    (fleet / "hosts" / "lab2" / "environment.json").write_text("{")
    assert merge.merge(str(fleet)) == 1
    rows = hosts_of(fleet)
    assert rows["lab2"]["status"] == "failed" and "lab2/environment.json: not JSON" in rows["lab2"]["reason"]
    assert rows["lab1"]["status"] == rows["lab3"]["status"] == "ok"
