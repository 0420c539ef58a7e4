"""The verdict: what a run says in words, and what it must not say."""

import json
import random
import time

import pytest
from conftest import machine, sample, write_run

from numa_report import runs, summary, verdict
from numa_report.run import Run

TWO = [[2000, 3600], [3600, 2000]]
SLIT = [[10, 21], [21, 10]]
LIAR = [[3600, 2000], [2000, 3600]]


def cells(latency_ns=None, bandwidth_gbs=None, spread=0.002, **changes):
    """The rows of matrix.csv for these medians, a row of the matrix a CPU node."""
    samples = []
    for bench, matrix in (("latency", latency_ns), ("bandwidth", bandwidth_gbs)):
        samples += [sample(bench, None, 4 * i, i, j, value * (1 + spread * k), r, k + 1, **changes)
                    for i, row in enumerate(matrix or []) for j, value in enumerate(row) if value is not None
                    for r in (1, 2, 3) for k in range(5)]
    return summary.summarise(samples)


def table(matrix):
    """As JSON gives it back."""
    return {str(i): {str(j): figure for j, figure in enumerate(row) if figure is not None}
            for i, row in enumerate(matrix)}


def environment(slit=None, hmat=None, bandwidth=None, nearest=None, **more):
    claims = {"read_latency": hmat and table(hmat), "read_bandwidth": bandwidth and table(bandwidth)}
    return {"topology": {"distances": slit and table(slit)},
            "firmware": {"hmat": claims if hmat or bandwidth else None, "nearest": nearest}, **more}


def said(rows, described, word):
    """The lines that begin with the word."""
    words = verdict.lines(rows, described)
    assert 1 <= len(words) <= 5 and all(line.isprintable() and len(line) < 600 for line in words), words
    return [line for line in words if line.startswith(word)]


def test_the_worst_remote_cell_is_the_penalty():
    line, = said(cells([[2000, 3600], [3900, 2000]], [[64, 30], [32, 64]]), {}, "penalty")
    assert ("latency 1.88× typically, 1.95× at most (CPUs of node 1 to memory of node 0: 3,916 ns, local 2,008 ns); "
            "bandwidth "
            "2.07× typically, 2.13× at most (read, 1 thread, CPUs of node 0 to memory of node 1: 30.1 GB/s, local "
            "64.3 GB/s)"
            ) in line
    assert line.endswith("; to avoid it, keep a program's CPUs and memory together: alloc/numa_run --cpu-nodes 0 "
                         "--policy "
                         "local -- PROGRAM")


def test_a_penalty_that_is_the_same_everywhere_is_said_once():
    line, = said(cells(TWO), {}, "penalty")
    assert line.startswith("penalty: latency 1.80× (CPUs of node 0 to memory of node 1: 3,614 ns, local 2,008 ns); to "
                           "avoid")


def test_a_penalty_within_the_intervals_is_none():
    line, = said(cells([[100, 101], [100.5, 100]], spread=0.02), {}, "penalty")
    assert line.startswith("penalty: latency 1.01×, not beyond the intervals (") and "to avoid it" not in line


def test_memory_without_cpus_is_said_to_have_none_and_cannot_be_avoided():
    described = {"topology": {"nodes": [{"id": 0, "cpus": "0-3"}, {"id": 2, "cpus": ""}]}}
    line, = said(cells([[100, None, 250]]), described, "penalty")
    assert line == ("penalty: latency 2.50× (CPUs of node 0 to memory of node 2, which has no CPUs: 251 ns, local 100 "
                    "ns)")


def test_a_penalty_of_cells_whose_place_is_not_known_says_so():
    line, = said(cells(TWO, placement="unverified", placed_fraction=None), {}, "penalty")
    assert "local 2,008 ns, unverified)" in line


def test_latency_under_load_is_another_matter():
    rows = cells(TWO) + [{**row, "bench": "loaded", "metric": "loaded_latency", "penalty": 9.0} for row in cells(TWO)]
    assert "latency 1.80×" in said(rows, {}, "penalty")[0]
    assert "(2 of 2 pairs)" in said(rows, environment(SLIT), "firmware")[0]


def test_a_penalty_over_a_noisy_cell_says_so():
    line, = said(cells(TWO, spread=0.1), {}, "penalty")
    assert "local 2,400 ns, noisy)" in line


def test_a_machine_with_one_memory_node_has_no_penalty_and_says_what_its_memory_costs():
    assert said(cells([[100]], [[20]]), nodes(0), "penalty") == [
        "penalty: one memory node here, nothing is remote; latency 100 ns; bandwidth (read, 1 thread) 20.1 GB/s"]


def nodes(*with_memory, without=()):
    return {"topology": {"nodes": [{"id": node, "cpus": str(node), "has_memory": node in with_memory}
                                   for node in (*with_memory, *without)]}}


def test_without_a_remote_cell_the_penalty_is_not_known():
    for described in ({}, nodes(0, 1)):
        assert said(cells([[100]]), described, "penalty") == [
            "penalty: not known; no remote cell was measured beside its local one"]


def test_a_penalty_that_is_not_known_says_what_became_of_the_remote_cells():
    rows = cells(TWO)
    for row in rows:
        if row["cpu_node"] != row["mem_node"]:
            row.update(status="skipped", penalty=None, median=None)
    assert said(rows, nodes(0, 1), "penalty")[0].endswith("beside its local one (2 skipped)")


def test_cpus_without_memory_of_their_own_have_nothing_to_compare_with():
    line, = said(cells([[], [100, None, 180]]), nodes(0, 2, without=[1]), "penalty")
    assert line == "penalty: not known; the CPUs of node 1 have no memory of their own to compare with"
    line, = said(cells([[], [100, None, 180]]), nodes(0, 2, without=[1]), "no memory")
    assert line == ("no memory: the CPUs of node 1 have none of their own; nearest to node 1 is memory of node 0, "
                    "100 ns against 181 ns of node 2")
    assert not said(cells([[], [100, None, 101]]), nodes(0, 2, without=[1]), "no memory")
    assert not said(cells([[], [100, None, 180]]), nodes(0, 1, 2), "no memory")  # its own was not measured
    assert not said(cells([[], [100, None, 180]]), {}, "no memory")


def test_firmware_that_ranks_as_measured_is_said_with_its_figures():
    line, = said(cells(TWO, [[64, 32], [32, 64]]), environment(SLIT, TWO, [[64000, 32000], [32000, 64000]]), "firmware")
    assert line.startswith("firmware agrees: SLIT and HMAT rank the nodes as measured (6 of 6 pairs)")
    assert "SLIT 10 against 21, HMAT 2,000 against 3,600 ns, measured 2,008 ns against 3,614 ns" in line


def test_a_coarse_slit_is_not_a_disagreement():
    line, = said(cells([[100, 140], [140, 100]]), environment(SLIT), "firmware")
    assert line.startswith("firmware agrees: SLIT ranks")


def test_an_hmat_that_says_the_opposite_disagrees_and_the_slit_still_agrees():
    line, = said(cells(TWO, [[64, 32], [32, 64]]),
                 environment(SLIT, LIAR, [[32000, 64000], [64000, 32000]]), "firmware")
    assert line.startswith("firmware disagrees: HMAT says that from CPUs of node 0 memory of node 1 is ")
    assert line.endswith("the opposite in 2 of 2 latency pairs, 2 of 2 bandwidth pairs; SLIT agrees (2 of 2 pairs)")


def test_of_two_wrong_sources_the_worse_is_told_and_the_other_named():
    line, = said(cells([[100, 150, 300], [150, 100, 300]]),
                 environment([[10, 21, 15], [21, 10, 15]], [[150, 100, 300], [100, 150, 300]]), "firmware")
    assert line.startswith("firmware disagrees: SLIT says that from CPUs of node 0 memory of node 2 is nearer than of "
                           "node 1")
    assert line.endswith("; HMAT disagrees, too")


def test_the_worst_pair_is_named_with_claimed_and_measured_figures():
    rows = cells([[2000, 3600, 4400], [3600, 2000, 6000]])
    line, = said(rows, environment([[10, 21, 17], [21, 10, 12]]), "firmware")
    assert line == ("firmware disagrees: SLIT says that from CPUs of node 1 memory of node 2 is nearer than of node 0 "
                    "(12 against 21); measured 6,024 ns against 3,614 ns; the opposite in 2 of 6 latency pairs")


def test_bandwidth_that_is_the_other_way_round_disagrees():
    line, = said(cells(None, [[64, 32], [32, 64]]), environment(None, None, TWO), "firmware")
    assert "memory of node 1 is faster than of node 0 (3,600 against 2,000 MB/s); measured" in line
    assert "2 of 2 bandwidth pairs" in line


def test_fast_but_far_memory_is_no_lie_of_the_slit():
    """HBM: the SLIT says far, which is right, and its bandwidth is the highest."""
    line, = said(cells([[100, 130]], [[64, 300]]), environment([[10, 31]]), "firmware")
    assert line.startswith("firmware agrees")


def test_latencies_of_the_hmat_count_as_ratios_too():
    line, = said(cells(TWO), environment(None, [[80, 250], [130, 80]]), "firmware")
    assert line == ("firmware disagrees: HMAT says that from CPUs of node 0 memory of node 1 costs 3.12 times that of "
                    "node 0 (250 against 80 ns); measured 1.80 times (3,614 ns against 2,008 ns); off in 1 pair")
    assert said(cells(TWO), environment(None, [[80, 170], [130, 80]]), "firmware agrees")


@pytest.mark.parametrize("latency, spread", [([[100, 108], [108, 100]], 0.002), ([[100, 130], [130, 100]], 0.2)])
def test_what_is_too_close_to_tell_is_neither(latency, spread):
    line, = said(cells(latency, spread=spread), environment([[21, 10], [10, 21]]), "firmware")
    assert line.startswith("firmware: SLIT cannot be judged; 2 pairs")


def test_pairs_too_close_to_tell_are_not_counted_as_agreement():
    line, = said(cells([[100, 150, 155], [150, 100, 150]]), environment([[10, 20, 30], [20, 10, 20]]), "firmware")
    assert "(4 of 5 pairs, the others too close to tell)" in line


def test_equal_distances_claim_nothing():
    assert not said(cells(TWO), environment([[10, 10], [10, 10]]), "firmware")


def test_cells_that_are_not_measured_as_asked_judge_nobody():
    assert not said(cells(TWO, placement="failed", placed_fraction=0.5), environment(LIAR, LIAR), "firmware")


def test_few_samples_judge_nobody():
    rows = summary.summarise([sample(mem_node=j, value=value) for j, value in ((0, 100), (1, 200))])
    assert not said(rows, environment([[21, 10]]), "firmware")


def test_a_machine_without_claims_has_no_line():
    assert not said(cells(TWO), {}, "firmware")
    assert not said(cells(TWO), environment(), "firmware")


def test_the_nearest_initiators_alone_can_be_contradicted():
    """What sysfs shows to everybody: node 0's memory is nearest to CPUs of node 1."""
    nearest = {"read_latency": {"1": {"0": 2000}, "0": {"1": 2000}}}
    line, = said(cells(TWO), environment(nearest=nearest), "firmware")
    assert ("memory of node 0 is nearest to CPUs of node 1 (2,000 ns), not to those of node 0; measured 3,614 ns "
            "against 2,008 ns") in line


def test_the_nearest_initiators_alone_can_agree():
    nearest = {"read_latency": {"0": {"0": 2000}, "1": {"1": 2000}}}
    line, = said(cells(TWO), environment(nearest=nearest), "firmware")
    assert "HMAT ranks the nodes as measured (2 of 2 pairs)" in line and "HMAT 2,000 against more ns" in line


def test_misplaced_cells_are_counted_and_named_worst_first():
    rows = cells([[100, 180, 180], [180, 100, 180]])
    for number, fraction in ((1, 0.53), (2, 0.997), (3, 0.0), (5, 0.98)):
        rows[number].update(placement="failed", placed_fraction=fraction, status="misplaced")
    line, = said(rows, {}, "misplaced")
    assert line == ("misplaced: 4 of 6 cells had pages elsewhere than on the node asked for: latency.random.cpu4.node0 "
                    "(0 % in place), latency.random.cpu0.node1 (53 % in place), latency.random.cpu4.node2 (98 % in "
                    "place), 1 more")


def test_balancing_over_bound_and_verified_cells_is_no_warning():
    assert not said(cells(TWO), {"numa_balancing": 1}, "NUMA")


@pytest.mark.parametrize("policy", ["none", "local"])
def test_balancing_over_unbound_memory_warns(policy):
    line, = said(cells(TWO, policy=policy), {"numa_balancing": 1}, "NUMA")
    assert f"4 of 4 cells without a binding policy ({policy})" in line and "sysctl kernel.numa_balancing=0" in line
    assert not said(cells(TWO, policy=policy), {"numa_balancing": 0}, "NUMA")
    assert not said(cells(TWO, policy=policy), {}, "NUMA")


def test_balancing_with_pages_gone_astray_warns():
    line, = said(cells(TWO, placement="failed", placed_fraction=0.47), {"numa_balancing": 2}, "NUMA")
    assert "is on (2)" in line and "4 cells misplaced (down to 47 % in place)" in line


def test_five_lines_at_most_when_everything_is_wrong():
    rows = cells(TWO, policy="none")
    rows[0].update(placed_fraction=0.5)
    rows[1].update(status="failed", reason="it was killed")
    moved = [sample(value=value, round=number) for number, value in enumerate((100, 110, 120), start=1)]
    words = verdict.all_lines(rows, environment(LIAR, LIAR, numa_balancing=1), moved)
    assert [line.partition(":")[0] for line in words] == [
        "penalty", "failed", "misplaced", "NUMA balancing", "drift", "firmware disagrees"]
    assert verdict.lines(rows, environment(LIAR, LIAR, numa_balancing=1), moved) == words[:5]


def test_failed_cells_are_counted_with_the_first_reasons():
    rows = cells([[100, 180, 180], [180, 100, 180]])
    for number, reason in ((1, "it was killed"), (2, "it was killed"), (3, "no memory"), (5, "gone")):
        rows[number].update(status="failed", reason=reason)
    line, = said(rows, {}, "failed")
    assert line == ("failed: 4 of 6 cells in some round: latency.random.cpu0.node1 and 1 other like it (it was "
                    "killed), "
                    "latency.random.cpu4.node0 (no memory), 1 more; to try them again: harness/run_matrix.sh --resume "
                    "FOLDER")


def test_the_words_are_kept_beside_the_data(tmp_path):
    folder = write_run(tmp_path / "run", machine([0, 1], [0, 1]), environment(SLIT))
    words = Run(str(folder)).words
    verdict.save(str(folder), words)
    assert (folder / "verdict.txt").read_text(encoding="utf-8").splitlines() == words
    assert words[0].startswith("penalty: latency 1.85×") and words[1].startswith("firmware agrees")


def test_the_file_and_the_memory_give_the_same_words(tmp_path):
    rows = machine([0, 1], [0, 1, 2])
    for row in rows[:15]:
        row.update(placement="failed", placed_fraction=0.5, policy="none")
    described = environment(SLIT, TWO, numa_balancing=1)
    folder = str(write_run(tmp_path / "run", rows, described))
    assert Run(folder).all_words == verdict.all_lines(summary.summarise(rows), described)


ODD = [None, 3, -1, "x", [], {}, [[1, 2]], {"0": 3}, {"0": {"0": "near"}}, {"0": {"0": None, "1": -4}}, {"x": {"0": 1}},
       {"0": {"0": True, "1": 1e400}}, {"0": {"1": float("nan"), "0": 10}}, {"-1": {"0": 10, "1": 20}},
       {"0": {"0": 10, "1": 10 ** 400}}, {"9" * 5000: {"0": 1}}]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_an_odd_environment_judges_nobody_and_breaks_nothing(odd):
    claims = {"read_latency": odd, "read_bandwidth": odd}
    for described in ({"topology": odd, "firmware": odd, "numa_balancing": odd},
                      {"topology": {"nodes": odd}}, {"topology": {"nodes": [odd, {"id": odd, "cpus": ""}]}},
                      {"transparent_hugepages": odd, "architecture": odd},
                      {"topology": {"distances": odd}, "firmware": {"hmat": odd, "nearest": odd}},
                      {"firmware": {"hmat": claims, "nearest": claims}}):
        assert not said(cells(TWO), described, "firmware")


def test_an_odd_matrix_breaks_nothing(tmp_path):
    """Fields that readers do not need may be absent; what they refuse is not for the verdict to judge."""
    folder = write_run(tmp_path / "run", machine([0, 1], [0, 1], benches=("latency",)), environment(SLIT, TWO))
    runs.matrix_of(str(folder))
    lines = (folder / "matrix.csv").read_text(encoding="utf-8").splitlines()
    header = lines[0].split(",")
    dice = random.Random(1)
    for _ in range(100):
        fields = [line.split(",") for line in lines[1:]]
        for _ in range(3):
            column = dice.choice(["placed_fraction", "policy", "ci_low", "ci_high", "penalty", "samples", "status"])
            dice.choice(fields)[header.index(column)] = {
                "placed_fraction": dice.choice(["", "0", "0.5"]), "policy": dice.choice(["", "\x1b[2J" * 40]),
                "samples": "0", "status": dice.choice(["noisy", "misplaced"])}.get(column, "")
        (folder / "matrix.csv").write_text("\n".join([lines[0], *map(",".join, fields)]) + "\n", encoding="utf-8")
        said(runs.matrix_of(str(folder)), json.loads((folder / "environment.json").read_text()), "penalty")


def test_64_nodes_by_64_are_judged_in_seconds():
    distances = [[10 + abs(i - j) for j in range(64)] for i in range(64)]
    rows = cells([[100 + 20 * abs(i - j) for j in range(64)] for i in range(2)])
    rows = [{**row, "cpu": cpu, "cpu_node": cpu, "mem_node": (row["mem_node"] + cpu) % 64}
            for cpu in range(64) for row in rows[:64]]
    nearest = {"read_latency": {str(i): {str(i): 100} for i in range(64)}}
    started = time.process_time()
    verdict.lines(rows, environment(distances, nearest=nearest))
    assert time.process_time() - started < 10


def test_what_is_unusual_for_the_cpu_comes_before_what_is_odd_in_it(tmp_path):
    samples = [sample("latency", None, 4 * i, i, j, 900 * (1 + (i != j)), round, k)
               for i in (0, 1) for j in (0, 1) for round in (1, 2, 3) for k in range(1, 6)]
    described = {"cpu_model": "Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz",
                 "topology": {"nodes": [{"id": node, "cpus": str(4 * node), "has_memory": True} for node in (0, 1)]}}
    words = Run(str(write_run(tmp_path / "run", samples, {**environment(LIAR), **described}))).words
    assert [line.partition(":")[0] for line in words][:2] == ["penalty", "unusual"], words
