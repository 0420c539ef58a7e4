"""Cells that do not fit their kind: the known ones are found, noise is not taken for one."""

import math
import random
from pathlib import Path

import pytest
from conftest import environment as machine_environment
from conftest import sample, write_run

from numa_report import page, runs, verdict
from numa_report.run import Run

# The SLIT of two Granite Rapids (Xeon 6) in SNC3 mode, as Linux's commit 4d6dd05d07d0 (October 2025) has it. It is
# not symmetric.
SNC3 = [[10, 15, 17, 21, 28, 26], [15, 10, 15, 23, 26, 23], [17, 15, 10, 26, 23, 21],
        [21, 28, 26, 10, 15, 17], [23, 26, 23, 15, 10, 15], [26, 23, 21, 17, 15, 10]]
ODD = {(2, 4): 27.9, (5, 1): 44.9}


def distances(slit):
    return {"topology": {"distances": {str(i): {str(j): figure for j, figure in enumerate(row)}
                                       for i, row in enumerate(slit)}}} if slit else {}


def slit_of(nodes, near):
    return [[10 if i == j else near(i, j) for j in range(nodes)] for i in range(nodes)]


def matrix(nodes, value, noise=0.0, dice=None, bench="bandwidth"):
    """Rows as matrix.csv has them: cells whose medians are off by `noise`, farther than their intervals say."""
    rows = []
    for i in range(nodes):
        for j in range(nodes):
            middle = value(i, j) * math.exp(dice.gauss(0, noise) if dice else 0)
            rows.append({**sample(bench, None, i, i, j), "median": middle, "ci_low": 0.995 * middle,
                         "ci_high": 1.005 * middle, "samples": 21, "status": "ok", "penalty": None, "reason": "",
                         "better": "higher" if bench == "bandwidth" else "lower"})
    return rows


def two_sockets(i, j):
    return 260 if i == j else 190 if i // 3 == j // 3 else 95


def with_odd_cells(i, j):
    return ODD.get((i, j), two_sockets(i, j))


def places(found):
    return {(outlier.row["cpu_node"], outlier.row["mem_node"]) for outlier in found}


@pytest.mark.parametrize("slit", [SNC3, slit_of(6, lambda i, j: 15 if i // 3 == j // 3 else 26),
                                  slit_of(6, lambda i, j: 21), None],
                         ids=["its own SLIT", "two distances", "one distance", "no SLIT"])
@pytest.mark.parametrize("noise", [0, 0.02, 0.05])
def test_the_two_odd_cells_of_a_xeon_6_are_found_and_no_others(slit, noise):
    for seed in range(10):
        rows = matrix(6, with_odd_cells, noise, random.Random(seed))
        assert places(verdict.outliers(rows, distances(slit))) == set(ODD)


# Of nodes, their bandwidths and the SLIT, if there is one. None has an odd cell, but kinds with several levels.
ORDINARY = {
    "8 alike": (8, lambda i, j: 100 if i == j else 50, slit_of(8, lambda i, j: 21)),
    "a ring of 4": (4, lambda i, j: 100 / (1 + 0.6 * min((i - j) % 4, (j - i) % 4)),
                    slit_of(4, lambda i, j: (10, 21, 31)[min((i - j) % 4, (j - i) % 4)])),
    "a ring of 4 with one distance": (4, lambda i, j: 100 / (1 + 0.6 * min((i - j) % 4, (j - i) % 4)),
                                      slit_of(4, lambda i, j: 21)),
    "a row of 4": (4, lambda i, j: 100 / (1 + 0.4 * abs(i - j)), slit_of(4, lambda i, j: 10 + 10 * abs(i - j))),
    "a row of 8 without a SLIT": (8, lambda i, j: 100 / (1 + 0.3 * abs(i - j)), None),
    "a cube of 8": (8, lambda i, j: 100 / (1 + 0.5 * bin(i ^ j).count("1")),
                    slit_of(8, lambda i, j: 10 + 6 * bin(i ^ j).count("1"))),
    "2 sockets of 4": (8, lambda i, j: 100 if i == j else 80 if i // 4 == j // 4 else 40,
                       slit_of(8, lambda i, j: 12 if i // 4 == j // 4 else 32)),
    "2 sockets of 4 without a SLIT": (8, lambda i, j: 100 if i == j else 80 if i // 4 == j // 4 else 40, None),
    "2 sockets of 3": (6, two_sockets, SNC3),
    "2 nodes": (2, lambda i, j: 100 if i == j else 50, slit_of(2, lambda i, j: 21)),
}


@pytest.mark.parametrize("name", ORDINARY)
@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_noise_has_no_outliers(name, noise):
    """50 matrices of each: at most one false outlier, which at 5 % is 1 of 3,200 cells of 8 nodes."""
    nodes, value, slit = ORDINARY[name]
    dice = random.Random(7)
    assert sum(len(verdict.outliers(matrix(nodes, value, noise, dice), distances(slit))) for _ in range(50)) <= 1


@pytest.mark.parametrize("noise", [0.02, 0.05])
def test_64_nodes_by_64_have_no_outliers_but_the_planted(noise):
    def with_two(i, j):
        return 30 if (i, j) in ((3, 60), (41, 7)) else 100 if i == j else 50

    for value, planted in ((lambda i, j: 100 if i == j else 50, set()), (with_two, {(3, 60), (41, 7)})):
        assert places(verdict.outliers(matrix(64, value, noise, random.Random(1)), {})) == planted


def test_a_cell_whose_interval_reaches_to_the_others_is_none():
    rows = matrix(4, lambda i, j: 30 if (i, j) == (0, 3) else 100 if i == j else 50)
    assert places(verdict.outliers(rows, {})) == {(0, 3)}
    next(row for row in rows if (row["cpu_node"], row["mem_node"]) == (0, 3))["ci_high"] = 51
    assert not verdict.outliers(rows, {})


def test_a_faster_cell_costs_nobody_anything():
    assert not verdict.outliers(matrix(8, lambda i, j: 100 if i == j else 90 if (i, j) == (0, 3) else 50), {})


def test_of_latencies_the_high_one_is_the_outlier():
    rows = matrix(4, lambda i, j: 300 if (i, j) == (0, 3) else 100 if i == j else 150, bench="latency")
    assert places(verdict.outliers(rows, {})) == {(0, 3)}
    rows = matrix(4, lambda i, j: 120 if (i, j) == (0, 3) else 90 if i == j else 150, bench="latency")
    assert not verdict.outliers(rows, {})


def test_memory_without_cpus_is_a_kind_of_its_own():
    def with_cxl(i, j):
        return 25 if j == 8 else 100 if i == j else 50

    rows = [row for row in matrix(9, with_cxl) if row["cpu_node"] != 8]
    nodes = [{"id": node, "cpus": "" if node == 8 else str(node)} for node in range(9)]
    assert not verdict.outliers(rows, {"topology": {"nodes": nodes}})
    slow = next(row for row in rows if (row["cpu_node"], row["mem_node"]) == (3, 8))
    slow.update(median=10, ci_low=9.9, ci_high=10.1)
    assert places(verdict.outliers(rows, {"topology": {"nodes": nodes}})) == {(3, 8)}


def test_what_the_slit_explains_is_no_outlier():
    """The far ends of a row of 4 are a kind of 2 cells, and put together with the middle ones."""
    def row_of_4(i, j):
        return (100, 71, 55, 25)[abs(i - j)]

    assert not verdict.outliers(matrix(4, row_of_4), distances(slit_of(4, lambda i, j: (10, 15, 20, 45)[abs(i - j)])))
    assert places(verdict.outliers(matrix(4, row_of_4), distances(slit_of(4, lambda i, j: 21)))) == {(0, 3), (3, 0)}


@pytest.mark.parametrize("status", ["failed", "misplaced", "skipped"])
def test_cells_that_were_not_measured_as_asked_are_no_outliers(status):
    rows = matrix(4, lambda i, j: 30 if (i, j) == (0, 3) else 100 if i == j else 50)
    next(row for row in rows if (row["cpu_node"], row["mem_node"]) == (0, 3))["status"] = status
    assert not verdict.outliers(rows, {})


def test_policies_that_name_no_node_are_no_peers():
    rows = matrix(4, two_sockets) + [{**row, "policy": "interleave:all", "mem_node": None, "median": 1.0}
                                     for row in matrix(4, two_sockets)]
    assert not verdict.outliers(rows, {})


def test_hosts_are_not_mixed():
    rows = matrix(4, two_sockets) + [{**row, "host": "slow"} for row in matrix(4, lambda i, j: two_sockets(i, j) / 3)]
    assert not verdict.outliers(rows, {})


def test_a_run_marks_its_outliers_beside_their_status(tmp_path):
    samples = [sample("bandwidth", "read", 4 * i, i, j, 30 if (i, j) == (0, 3) else 100 if i == j else 50, r, k)
               for i in range(4) for j in range(4) for r in (1, 2, 3) for k in range(1, 6)]
    folder = write_run(tmp_path / "run", samples, machine_environment(range(4), range(4)))
    runs.matrix_of(str(folder))
    run = Run(str(folder))
    marked = [row for row in run.rows if "outlier" in row]
    assert [(row["cell"], row["status"], row["outlier"]) for row in marked] == [
        ("bandwidth.read.cpu0.node3", "ok", "30.0 GB/s; the median of the 12 cells of its kind is 50.0 GB/s")]
    assert any(line.startswith("outliers: bandwidth (read, 1 thread), CPUs of node 0 to memory of node "
                               "3: ") for line in run.words)
    assert run.all_words == run.words + run.more_words and len(run.words) <= 5


def test_what_the_five_lines_have_no_room_for_is_on_the_page(tmp_path):
    def value(i, j):
        return 30 if (i, j) == (0, 3) else 100 if i == j else 44 if i > j else 50

    samples = [{**row, "policy": policy, "cell": f"{row['cell']}.{policy}"}
               for i in range(4) for j in range(4) for r in (1, 2, 3) for k in range(1, 6)
               for row in [sample("bandwidth", "read", 4 * i, i, j, value(i, j), r, k)]
               for policy in (f"bind:{j}", *(("local",) if i == j else ()))]
    for row in samples[:15]:
        row.update(placement="failed", placed_fraction=0.5)
    described = machine_environment(range(4), range(4))
    described["topology"]["distances"] = distances([[99 - 10 * abs(i - j) for j in range(4)] for i in range(4)])[
        "topology"]["distances"]
    described["numa_balancing"] = 1
    folder = write_run(tmp_path / "run", samples, described)
    run = Run(str(folder))
    assert len(run.words) == 5 and len(run.more_words) >= 1, run.all_words
    with open(page.write(run, []), encoding="utf-8") as file:
        text = file.read()
    kinds = [line.partition(":")[0] for line in run.all_words]
    places = [text.index(f">{kind}<") for kind in kinds]
    assert places == sorted(places) and f"<summary>{len(run.more_words)} more</summary>" in text


def test_the_published_xeon_6_is_shown_with_its_two_odd_cells(tmp_path):
    """Its figures have no intervals, and are judged as they stand."""
    published = Path(__file__).resolve().parents[2] / "results" / "reference" / "granite-rapids-6980p-snc3.csv"
    (tmp_path / "matrix.csv").write_bytes(published.read_bytes())
    run = Run(str(tmp_path))
    assert {(row["cpu_node"], row["mem_node"]) for row in run.rows if row.get("outlier")} == set(ODD)
    assert any(line.startswith("outliers: bandwidth (read), CPUs of node 2 to memory of node 4: 27.9 GB/s") for line in run.words)
