"""What is said of pairs of nodes: the worst link, outliers together, directions that differ."""

import pytest
from test_outliers import SNC3, distances, matrix, slit_of, with_odd_cells

from numa_report import verdict


def said(rows, described, kind):
    words = verdict.all_lines(rows, described)
    assert all(line.isprintable() and len(line) < 600 for line in words), words
    return [line for line in words if line.startswith(kind)]


def flat(i, j):
    return 100 if i == j else 50


def slow(*cells):
    return lambda i, j: 20 if (i, j) in cells else flat(i, j)


def test_the_odd_cells_of_a_xeon_6_are_one_line_the_worst_first():
    rows = matrix(6, with_odd_cells)
    assert said(rows, distances(SNC3), "outliers") == [
        "outliers: bandwidth (read, 1 thread), CPUs of node 2 to memory of node 4: 27.9 GB/s, CPUs of node 5 to memory "
        "of node 1: 44.9 GB/s, where the median of the 14 cells of the kind is 95.0 GB/s; to see whether it stays: "
        "harness/run_matrix.sh --cpu-nodes 2,5 --mem-nodes 1,4 --rounds 10"]
    assert not said(rows, distances(SNC3), "worst link") and not said(rows, distances(SNC3), "imbalance")
    assert said(rows, distances(SNC3), "outliers")[0] in verdict.lines(rows, distances(SNC3))


def test_a_pair_that_is_slow_both_ways_is_a_link():
    rows = matrix(8, slow((2, 5), (5, 2)))
    assert said(rows, {}, "worst link") == [
        "worst link: nodes 2 and 5, both ways, bandwidth (read, 1 thread): 20.0 GB/s and 20.0 GB/s, where the median "
        "of the "
        "56 cells of their kind is 50.0 GB/s; to see whether it stays: harness/run_matrix.sh --cpu-nodes 2,5 "
        "--mem-nodes 2,5 "
        "--rounds 10"]
    assert not said(rows, {}, "outliers")


def test_both_ways_are_of_one_table():
    rows = matrix(8, slow((2, 5))) + [{**row, "variant": "copy"} for row in matrix(8, slow((5, 2)))]
    assert not said(rows, {}, "worst link") and len(said(rows, {}, "outliers")) == 1


def test_a_link_and_an_outlier_beside_it_are_two_matters():
    rows = matrix(8, slow((2, 5), (5, 2), (0, 7)))
    assert len(said(rows, {}, "worst link")) == 1
    line, = said(rows, {}, "outliers")
    assert line.startswith("outliers: bandwidth (read, 1 thread), CPUs of node 0 to memory of node 7: 20.0 "
                           "GB/s, ") and "node 2" not in line


def test_of_more_links_the_worst_is_named_and_the_others_counted():
    rows = matrix(8, lambda i, j: 10 if {i, j} == {0, 7} else slow((2, 5), (5, 2))(i, j))
    line, = said(rows, {}, "worst link")
    assert line.startswith("worst link: nodes 0 and 7, both ways, ") and "; 1 more link like it; " in line


def test_all_cells_of_a_memory_node_are_said_at_once():
    line, = said(matrix(8, lambda i, j: 30 if j == 3 else flat(i, j)), {}, "outliers")
    assert line.startswith("outliers: bandwidth (read, 1 thread), memory of node 3 from the CPUs of every node: 30.0 "
                           "GB/s, ")
    line, = said(matrix(8, lambda i, j: 30 if i == 3 else flat(i, j)), {}, "outliers")
    assert line.startswith("outliers: bandwidth (read, 1 thread), CPUs of node 3 to the memory of every node: 30.0 "
                           "GB/s, ")


def test_where_each_cpu_was_measured_by_itself_the_odd_one_is_named():
    rows = matrix(4, flat) + [{**row, "cpu": row["cpu"] + 100} for row in matrix(4, slow((2, 3)))]
    line, = said(rows, {}, "outliers")
    assert line.startswith("outliers: bandwidth (read, 1 thread), CPU 102 of node 2 to memory of node 3: 20.0 GB/s, ")


def test_outliers_of_several_tables_are_named_once():
    rows = matrix(8, slow((2, 5))) + [{**row, "variant": "copy"} for row in matrix(8, slow((2, 5)))]
    line, = said(rows, {}, "outliers")
    assert line.count("CPUs of node 2 to memory of node 5") == 1 and " (also in 1 other table)" in line


def test_many_outliers_are_named_as_far_as_somebody_reads():
    cells = [(i, (i + 1) % 8) for i in range(6)]
    line, = said(matrix(8, slow(*cells)), {}, "outliers")
    assert line.count("CPUs of node") == 3 and "; 3 more; to see" in line


def test_directions_that_differ_are_said_with_the_better_one():
    rows = matrix(4, lambda i, j: 100 if i == j else 44 if (i, j) == (2, 1) else 50)
    assert said(rows, {}, "imbalance") == [
        "imbalance: bandwidth (read, 1 thread) is 50.0 GB/s from CPUs of node 1 to memory of node 2, 44.0 GB/s the "
        "other way "
        "(1.14×); over 10 % apart in 1 of 6 pairs of nodes; where memory has to be remote, use the better direction"]


def test_of_latencies_the_lower_direction_is_the_better_one():
    rows = matrix(2, lambda i, j: 100 if i == j else 150 if i < j else 200, bench="latency")
    line, = said(rows, {}, "imbalance")
    assert line.startswith("imbalance: latency is 150 ns from CPUs of node 0 to memory of node 1, 200 ns the other "
                           "way (1.33×)")


@pytest.mark.parametrize("back, high", [(46, None), (40, 51)])
def test_directions_within_10_percent_or_the_intervals_are_alike(back, high):
    rows = matrix(2, lambda i, j: 100 if i == j else 50 if i < j else back)
    rows[2]["ci_high"] = high or rows[2]["ci_high"]
    assert not said(rows, {}, "imbalance")


def test_the_directions_of_an_outlier_are_not_said_twice():
    assert not said(matrix(8, slow((2, 5))), {}, "imbalance")


def test_a_direction_that_was_not_measured_is_not_compared():
    rows = [row for row in matrix(4, lambda i, j: 100 if i == j else 50 if i < j else 30) if row["cpu_node"] == 0]
    assert not said(rows, distances(slit_of(4, lambda i, j: 21)), "imbalance")
