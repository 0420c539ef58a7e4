"""Which policy, allocator and page size served best, where a sweep had several."""

import pytest
from conftest import sample

from numa_report import summary, verdict

PLACES = {"bind:0": 0, "bind:1": 1}


def cells(values, cpu_node=0, axis="policy", spread=0.002, **changes):
    """Rows for {policy (or what else is the axis): value}."""
    samples = []
    for name, value in values.items():
        row = sample("latency", None, 4 * cpu_node, cpu_node)
        row.update(policy=f"bind:{cpu_node}", mem_node=cpu_node, **changes)
        row["cell"] = f"{row['metric']}.{cpu_node}.{name}"
        row.update({axis: name}, **({"mem_node": PLACES.get(name)} if axis == "policy" else {}))
        samples += [{**row, "value": value * (1 + spread * k), "round": round, "sample": k}
                    for round in (1, 2, 3) for k in range(1, 6)]
    return summary.summarise(samples)


def said(rows, kind):
    words = verdict.all_lines(rows, {})
    assert all(line.isprintable() and len(line) < 600 for line in words), words
    return [line for line in words if line.startswith(f"{kind}: ")]


FOUR = {"bind:0": 100, "bind:1": 180, "interleave:all": 140, "local": 100.3}
FOUR_OF_1 = {"bind:0": 180, "bind:1": 100, "interleave:all": 140, "local": 100.3}


def test_policies_that_cannot_be_told_from_the_best_share_its_place():
    assert said(cells(FOUR) + cells(FOUR_OF_1, 1), "policy") == [
        "policy: latency: bind to the own node and local are best in both comparisons, by up to 1.40× over the next, "
        "interleave:all (CPUs of node 0: 101 ns against 141 ns); try NUMA_ALLOC_POLICY=local"]


def test_a_sweep_of_nodes_alone_compares_no_policies():
    assert not said(cells({"bind:0": 100, "bind:1": 180}), "policy")


def test_policies_that_differ_by_less_than_noise_make_no_difference():
    assert said(cells({"bind:0": 100, "interleave:all": 104, "local": 101}), "policy") == [
        "policy: latency: no difference between bind to the own node, interleave:all and local beyond 5 % and the "
        "intervals"]
    line, = said(cells({"bind:0": 100, "interleave:all": 115}, spread=0.1), "policy")
    assert "no difference" in line


def test_of_policies_none_of_which_is_always_best_the_most_frequent_comes_last():
    rows = cells(FOUR) + cells({"bind:0": 180, "bind:1": 100, "interleave:all": 80}, 1)
    line, = said(rows, "policy")
    assert line.startswith("policy: latency: none is best in both comparisons: interleave:all in 1, local in 1, bind "
                           "to the own "
                           "node in 1, there by up to 1.40× over the next, interleave:all (CPUs of node 0: ")
    assert "try" not in line


def test_where_binding_alone_is_best_it_is_what_to_try():
    line, = said(cells({"bind:0": 100, "local": 130}) + cells({"bind:1": 100, "local": 130}, 1), "policy")
    assert line.endswith("; try NUMA_ALLOC_POLICY=bind:N, N being the node of the program's CPUs")


def test_memory_of_another_node_may_serve_best():
    """HBM: the own node's memory is the slower one."""
    rows = cells({"bind:0": 50, "bind:1": 90, "local": 50}, bench="bandwidth", metric="bandwidth", unit="GB/s",
                 better="higher")
    line, = said(rows, "policy")
    assert "bandwidth: bind:1 is best, by up to 1.80× over the next, " in line
    assert line.endswith("; try NUMA_ALLOC_POLICY=bind:1")


def test_each_metric_of_a_program_has_its_own_best():
    def ran(metric, unit, values, better=None):
        return cells(values, metric=metric, unit=unit, better=better, variant="command")

    rows = [{**row, "bench": "redis"} for row in ran("wall_time", "s", {"bind:0": 1, "local": 1.2})
            + ran("tps", "1/s", {"bind:0": 900, "local": 1100}, "higher")
            + ran("minor_faults", "faults", {"bind:0": 1, "local": 9})]
    line, = said(rows, "policy")
    assert "redis's wall_time: bind to the own node is best" in line and "redis's tps: local is best" in line
    assert "faults" not in line and "try" not in line


def test_the_fastest_allocator_is_named():
    rows = cells({"numa_alloc": 100, "glibc": 120, "jemalloc": 150}, axis="allocator")
    assert said(rows, "allocator") == ["allocator: latency: numa_alloc is best, by up to 1.20× over the next, glibc "
                                       "(CPUs of "
                                       "node 0: 101 ns against 121 ns)"]
    assert not said(rows, "policy")


@pytest.mark.parametrize("values, expected", [
    ({"default": 125, "thp": 100, "2M": 101}, "thp and 2M are best, by up to 1.25× over the next, default (CPUs of "
                                              "node 0: 101 ns "
                                              "against 126 ns); try NUMA_ALLOC_PAGES=thp"),
    ({"default": 100, "thp": 101}, "no difference between default and thp beyond 5 % and the intervals"),
    ({"default": 100, "thp": 130}, "default is best, by up to 1.30× over the next, thp (CPUs of node 0: 101 ns "
                                   "against 131 ns)")])
def test_the_best_pages_are_named_with_the_setting(values, expected):
    assert said(cells(values, axis="pages"), "pages") == [f"pages: latency: {expected}"]


def test_cells_that_were_not_measured_as_asked_are_not_compared():
    rows = cells(FOUR)
    for row in rows:
        row["status"] = "misplaced"
    assert not said(rows, "policy")


def test_hosts_are_compared_each_by_itself():
    rows = cells(FOUR) + [{**row, "host": "slow", "median": row["median"] * 9} for row in cells(FOUR)]
    line, = said(rows, "policy")
    assert "latency (host testhost): bind to the own node and local are best, " in line
    assert "latency (host slow): " in line
