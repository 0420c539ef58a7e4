"""A matrix.csv that reads well but is not what samples.csv says is refused, and the line says how to make it again."""

import pytest
from conftest import sample, write_run

from numa_report import runs
from numa_report.errors import DataError
from numa_report.run import Run
from numa_report.tables import read_matrix


def read_all(folder):
    return Run(str(folder)).samples


def lines_of(path):
    return path.read_text().splitlines(keepends=True)


def set_field(path, row, column, value):
    lines = lines_of(path)
    fields = lines[row - 1].rstrip("\n").split(",")
    fields[lines[0].rstrip("\n").split(",").index(column)] = value
    lines[row - 1] = ",".join(fields) + "\n"
    path.write_text("".join(lines))


def swap_columns(path, a, b):
    lines = lines_of(path)
    swapped = {a: b, b: a}
    lines[0] = ",".join(swapped.get(name, name) for name in lines[0].rstrip("\n").split(",")) + "\n"
    path.write_text("".join(lines))


def test_a_run_as_it_was_written_agrees(run_folder):
    found = read_all(run_folder)
    assert {len(samples) for samples in found.values()} == {15}
    assert found["testhost", "latency.random.cpu0.node1", "load_latency"][0].round == 1


def test_disturbed_samples_are_left_out_as_in_the_summary(tmp_path):
    rows = [sample(sample=k + 1, value=100 + k, disturbed="preempted" if k < 2 else "") for k in range(9)]
    folder = write_run(tmp_path / "run", rows)
    runs.matrix_of(str(folder))
    (row,) = read_matrix(folder / "matrix.csv")
    assert row["samples"] == 7 and len(read_all(folder)["testhost", row["cell"], "load_latency"]) == 9


@pytest.mark.parametrize("damage, words", [
    (lambda folder: (folder / "samples.csv").write_text("".join(lines_of(folder / "samples.csv")[:-1])), "column samples"),
    (lambda folder: (folder / "matrix.csv").write_text("".join(lines_of(folder / "matrix.csv")[:-1])), "no row of"),
    (lambda folder: set_field(folder / "matrix.csv", 3, "median", "192.5"), "column median"),
    (lambda folder: set_field(folder / "samples.csv", 3, "value", "9210"), "column outliers"),
    (lambda folder: set_field(folder / "matrix.csv", 4, "cpu", "9"), "column cpu"),
    (lambda folder: swap_columns(folder / "samples.csv", "cpu", "threads"), "column cpu"),
    (lambda folder: swap_columns(folder / "matrix.csv", "cpu_node", "threads"), "column cpu_node"),
], ids=["samples cut at a line", "matrix cut at a line", "another median", "another sample", "another CPU",
        "columns of samples swapped", "columns of the matrix swapped"])
def test_what_reads_well_and_is_wrong_is_refused(run_folder, damage, words):
    (run_folder / "environment.json").unlink()
    damage(run_folder)
    with pytest.raises(DataError) as caught:
        read_all(run_folder)
    assert words in str(caught.value) and "matrix.csv" in str(caught.value) and "again" in str(caught.value)


@pytest.mark.parametrize("column, value, words", [
    ("cpu", "9", "column cpu: 9 is no CPU of node 0"), ("cpu_node", "7", "column cpu_node: 7 is no node"),
    ("mem_node", "7", "column mem_node: 7 is no node"),
])
def test_places_that_the_machine_lacks_are_refused(run_folder, column, value, words):
    (run_folder / "samples.csv").unlink()
    if column == "mem_node":
        set_field(run_folder / "matrix.csv", 2, "policy", "local")
    set_field(run_folder / "matrix.csv", 2, column, value)
    with pytest.raises(DataError) as caught:
        Run(str(run_folder))
    assert words in str(caught.value)


@pytest.mark.parametrize("column, value", [("ci_low", "99"), ("ci_high", "12"), ("penalty", "1.5"), ("penalty", "")])
def test_an_interval_beside_its_median_or_another_penalty_is_refused(run_folder, column, value):
    set_field(run_folder / "matrix.csv", 2, column, value)
    with pytest.raises(DataError) as caught:
        read_all(run_folder)
    assert f"column {column}: " in str(caught.value)


def test_the_way_out_is_one(run_folder):
    set_field(run_folder / "matrix.csv", 3, "median", "192.5")
    (run_folder / "matrix.csv").unlink()
    assert len(read_all(run_folder)) == 28
