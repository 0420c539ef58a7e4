"""From the axes asked for to the cells: their product, the local cells, and what cannot be."""

import pytest
from made_up_sweep import cells, machine

from numa_report.errors import UsageError


def words(found):
    return [f"{cell.bench} {cell.cpus} {cell.policy}" for cell in found]


def skipped(found):
    return {cell.words(): cell.skip_reason for cell in found if cell.skip_reason}


def test_without_axes_each_node_with_cpus_meets_each_with_memory():
    topology = machine({0: [0, 1], 1: [2, 3], 8: [], 9: [4]}, without_memory=(9,))
    assert words(cells("--bench", "latency", topology=topology)) == [
        f"latency {cpu} bind:{node}" for cpu in (0, 2, 4) for node in (0, 1, 8)]


def test_the_cells_are_the_product_of_all_axes():
    found = cells("--bench", "bandwidth", "--cpus", "0,1", "--policies", "bind:@,local",
                  "--allocators", "numa_alloc,glibc", "--pages", "default,thp", "--sizes", "64K,1M", "--threads", "1")
    assert len(found) == 2 * 3 * 2 * 2 * 2 == len({cell.key for cell in found})
    assert {cell.place for cell in found if cell.cpu == 1 and cell.allocator == "glibc" and cell.pages == "thp"} == {
        f"cpu1.{where}.glibc.thp.{size}" for where in ("node0", "node1", "local") for size in ("64K", "1M")}


@pytest.mark.parametrize("options, place", [
    ([], "cpu0.node0"), (["--policies", "preferred:0"], "cpu0.preferred-0"),
    (["--policies", "interleave:0,1"], "cpu0.interleave-0+1"),
    (["--policies", "weighted:0=3,1=1"], "cpu0.weighted-0x3+1x1"), (["--threads", "2"], "cpu0.node0.t2"),
    (["--threads", "1"], "cpu0.node0"), (["--sizes", "64k"], "cpu0.node0.64k"), (["--pages", "2M"], "cpu0.node0.2M"),
    (["--allocators", "my.alloc=/lib/a.so"], "cpu0.node0.my.alloc"),
])
def test_a_place_names_what_is_not_usual(options, place):
    assert place in [cell.place for cell in cells("--bench", "bandwidth", "--cpu-nodes", "0", *options)]


def test_two_cells_never_share_a_place():
    found = cells("--policies", "interleave:0,1,interleave:0-1,weighted:0=1,1=1,weighted:0=1,preferred:0,1,preferred:0,"
                  "bind:@")
    assert len({cell.key for cell in found}) == len(found)


def test_a_row_gets_its_own_memory_where_it_is_not_asked_for():
    found = cells("--bench", "latency", "--mem-nodes", "1", "--policies", "bind:@,interleave:all")
    assert words(found) == ["latency 0 bind:0", "latency 0 bind:1", "latency 0 interleave:all",
                            "latency 2 bind:1", "latency 2 interleave:all"]


def test_a_row_without_memory_of_its_own_gets_none_added():
    topology = machine({0: [0], 1: [1]}, without_memory=(1,))
    assert words(cells("--bench", "latency", "--policies", "local", topology=topology)) == \
        ["latency 0 bind:0", "latency 0 local", "latency 1 local"]


def test_local_memory_that_is_not_allowed_is_a_skipped_cell():
    topology = machine({0: [0], 1: [1]}, allowed_mems=[1])
    found = cells("--bench", "latency", "--cpu-nodes", "0", "--policies", "bind:1", topology=topology)
    assert skipped(found) == {
        "latency, CPU 0 of node 0, memory node 0": "the memory of node 0 is not allowed to this process"}
    assert len(found) == 2


def test_cpus_that_are_not_allowed_are_not_used():
    topology = machine({0: [0, 1, 2, 3], 1: [4]}, allowed_cpus=[1, 3])
    for option, cpus in (["--cpu-nodes=0"], ["1,3"]), (["--all-cpus"], ["1", "3"]):
        found = cells(*option, "--mem-nodes", "0", "--", "true", topology=topology)
        assert [cell.cpus for cell in found] == cpus
    assert skipped(cells("--bench", "latency", "--mem-nodes", "1", "--cpu-nodes", "1", topology=topology)) == {
        "latency, CPU 4 of node 1, memory node 1": "no CPU of node 1 is allowed to this process"}


@pytest.mark.parametrize("options, reasons", [
    (["--bench", "bandwidth", "--threads", "1,3"], {
        "bandwidth, CPUs 0-1 of node 0, memory node 0": "3 threads on 2 CPUs (all that this process has of node 0)"}),
    (["--bench", "bandwidth", "--cpus", "0", "--threads", "2,1"], {
        "bandwidth, CPU 0 of node 0, memory node 0": "2 threads on 1 CPU (named singly)"}),
    (["--bench", "latency", "--threads", "3"], {}),  # has one thread
    (["--bench", "latency", "--allocators", "glibc", "--policies", "weighted:0=1"], {
        "latency, CPU 0 of node 0, weighted:0=1, glibc":
        "glibc is placed by numactl, and numactl has no weights of its own"}),
    (["--bench", "latency", "--allocators", "glibc,a=/lib/a.so", "--pages", "thp"], {
        "latency, CPU 0 of node 0, memory node 0, a, thp pages": "a cannot be told which pages to use"}),
])
def test_cells_that_cannot_be_say_why(options, reasons):
    row = [] if "--cpus" in options else ["--cpu-nodes", "0"]
    assert skipped(cells("--mem-nodes", "0", *row, *options)) == reasons


@pytest.mark.parametrize("threads, cpus", [("1", ["0"]), ("all", ["0-3"]), ("1,2,4,all", ["0", "0-1", "0-3"])])
def test_threads_are_pinned_to_the_lowest_cpus(threads, cpus):
    topology = machine({0: [0, 1, 2, 3]})
    for what in (["--bench", "bandwidth"], ["--", "true"]):
        found = cells("--threads", threads, *what, topology=topology)
        assert [cell.cpus for cell in found] == cpus
        assert [cell.threads for cell in found] == [{"0": 1, "0-1": 2, "0-3": 4}[cell.cpus] for cell in found]


def test_without_threads_a_benchmark_has_one_and_a_command_its_nodes_cpus():
    for what, cpus, threads in (["--bench", "bandwidth"], "0", 1), (["--", "true"], "0-1", 2):
        [cell] = cells("--mem-nodes", "0", "--cpu-nodes", "0", *what)
        assert (cell.cpus, cell.threads) == (cpus, threads)


@pytest.mark.parametrize("policy, node", [
    ("bind:1", 1), ("preferred:1", 1), ("preferred:0,1", None), ("interleave:1", None), ("interleave:all", None),
    ("weighted:1=2", None), ("local", None), ("none", None),
])
def test_a_policy_of_one_node_names_it(policy, node):
    found = [cell for cell in cells("--cpus", "0", "--policies", policy) if cell.policy == policy]
    assert [cell.mem_node for cell in found] == [node] * 2


@pytest.mark.parametrize("option, value, said", [
    ("--cpus", "7", "CPU 7 is off-line; as root: echo 1 > /sys/devices/system/cpu/cpu7/online"),
    ("--cpus", "0,9", "there is no CPU 9 here; CPUs: 0-3"),
    ("--cpus", "3-2", "'3-2' counts down"),
    ("--cpus", "3", "CPU 3 is not allowed to this process; allowed: 0-2"),
    ("--cpu-nodes", "2", "node 2 has no CPUs; nodes with CPUs: 0-1"),
    ("--cpu-nodes", "4", "node 4 does not exist; nodes with CPUs: 0-1"),
    ("--mem-nodes", "0-1", "node 1 has no memory; nodes with memory: 0,2"),
    ("--mem-nodes", "4", "node 4 does not exist; nodes with memory: 0,2"),
    ("--policies", "bind:4", "node 4 does not exist; nodes with memory: 0,2"),
    ("--policies", "preferred:0,4", "node 4 does not exist; nodes with memory: 0,2"),
    ("--policies", "interleave:0-2", "node 1 has no memory; nodes with memory: 0,2"),
    ("--policies", "weighted:0=1,4=2", "node 4 does not exist; nodes with memory: 0,2"),
])
def test_what_is_not_there_is_named_with_what_is(option, value, said):
    topology = machine({0: [0, 1], 1: [2, 3], 2: []}, without_memory=(1,), offline=(7,), allowed_cpus=[0, 1, 2])
    with pytest.raises(UsageError) as refused:
        cells(option, value, topology=topology)
    assert str(refused.value) == f"{option}: {said}"


@pytest.mark.parametrize("command, bench", [
    (["/opt/my prog/server.bin", "x"], "server.bin"), (["./run it"], "run-it"), (["a=b,c"], "axb+c"), (["ä"], "-"),
])
def test_a_command_is_named_by_its_file(command, bench):
    assert cells("--cpus", "0", "--", *command)[0].bench == bench
    assert cells("--cpus", "0", "--name", "mine", "--", *command)[0].bench == "mine"
