"""harness/lab/topology.py: what is wrong with a topology is said with its line, and what follows from a good one."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "harness" / "lab"))
import topology as topologies  # noqa: E402

SHIPPED = sorted((ROOT / "harness" / "lab" / "topologies").glob("*.conf"))

GOOD = """node 0 cpus 0-1 memory 512M
node 1 cpus none memory 256M # far
node 2 cpus 2-3 memory none
distance
10 20 30
20 10 30
30 30 10
latency ns
1000 2000 -
1500 2500 -
bandwidth GB/s
0.1 0.04 -
0.05 0.03 -
hmat on
"""


def written(tmp_path, text):
    path = tmp_path / "machine.conf"
    path.write_text(text, encoding="utf-8")
    return str(path)


def read(tmp_path, text):
    return topologies.read(written(tmp_path, text))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_topology_reads_and_gives_options_and_a_table(path):
    topology = topologies.read(str(path))
    options = list(topologies.qemu_options(topology, "amd64"))
    assert options.count("-object") == len(topology.with_memory())
    pairs = len(topology.with_cpus()) * len(topology.with_memory())
    table = list(topologies.machine_table(topology, topology, "amd64", 10))
    assert sum(line.startswith("latency") for line in table) == pairs
    assert sum(line.startswith("bandwidth") for line in table) == pairs
    assert sum(int(line.split()[3]) for line in table if line.startswith("memory")) == sum(
        node.memory_bytes for node in topology.nodes)


def test_nodes_are_read_as_written(tmp_path):
    topology = read(tmp_path, GOOD)
    assert [(node.cpus, node.memory_bytes >> 20) for node in topology.nodes] == [([0, 1], 512), ([], 256), ([2, 3], 0)]
    assert topology.cpus == [(0, 0), (1, 0), (2, 2), (3, 2)]
    assert topology.blocks["latency ns"] == {0: {0: 1000, 1: 2000}, 2: {0: 1500, 1: 2500}}
    assert topology.sockets == 2


@pytest.mark.parametrize(("old", "new", "message"), [
    ("node 1 cpus none", "node 1 cpus 1-4", ":2: CPU 1 is on node 0 already"),
    ("node 0 cpus 0-1", "node 3 cpus 0-1", ":1: node 3: the next node's id is 0"),
    ("node 1 cpus", "node 1 cpu", ":2: 'node 1 cpu none memory 256M': accepted are"),
    ("256M", "100M", ":2: memory 100M: a multiple of 128M"),
    ("256M", "none", ":2: node 1 has neither CPUs nor memory"),
    ("cpus 2-3", "cpus 5-4", ":3: cpus 5-4: a list such as"),
    ("cpus 2-3", "cpus 3-4", "the CPUs are not 0 to 3 without gaps"),
    ("30 30 10", "30 30 10\n30 30 10", ":8: '30 30 10': a row too many for 'distance', which has 3"),
    ("cpus 2-3", "cpus 2-4", "5 CPUs cannot be shared out to 2 sockets"),
    ("20 10 30", "20 11 30", ":6: distance 11 from node 1 to 1"),
    ("20 10 30", "20 10 255", ":6: distance 255 from node 1 to 2"),
    ("20 10 30", "20 10", ":6: '20 10': a row of 'distance' has a value for each of 3 nodes"),
    ("30 30 10\n", "", ":6: 'distance' has 2 rows, but there are 3 nodes"),
    ("1000 2000 -", "1000 2000 9", ":9: '9' for node 2: it has no memory, accepted is -"),
    ("1000 2000 -", "1000 - -", ":9: '-' for node 1: a number is accepted"),
    ("1000 2000 -", "100 2000 -", ":9: latency 100 ns: 500 to 60000"),
    ("0.05 0.03 -", "0.05 0.01 -", "bandwidth 0.01 GB/s from node 2 to 1: a line would take 6400 ns"),
    ("0.05 0.03 -", "0.05 90 -", ":13: bandwidth 90 GB/s"),
    ("hmat on", "hmat maybe", ":14: 'hmat maybe': accepted are"),
    ("hmat on", "hmat off\nclaimed latency ns\n1 2 -\n3 4 -", "a claimed block needs 'hmat on'"),
    ("hmat on", "distance\n10 20 30", ":14: 'distance': accepted are, each but nodes once"),
    ("hmat on", "hmat on\nhmat off", ":15: 'hmat off': accepted are, each but nodes once"),
    ("cpus 0-1", "cpus 0-1,5-3", ":1: cpus 0-1,5-3: a list such as"),
    ("bandwidth GB/s\n0.1 0.04 -\n0.05 0.03 -\n", "", "the block 'bandwidth GB/s' is missing"),
    ("hmat on", "node 3 cpus 4 memory 128M", ":14: 'node 3 cpus 4 memory 128M': nodes come before the blocks"),
    (GOOD, "# nothing\n", "no node has CPUs"),
])
def test_what_is_wrong_is_said_with_its_line(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(topologies.TopologyError) as caught:
        read(tmp_path, GOOD.replace(old, new, 1))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_an_unreadable_file_is_one_line(tmp_path, content):
    path = tmp_path / "machine.conf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(topologies.TopologyError):
        topologies.read(str(path))


def test_the_firmware_claims_what_is_paced_unless_told_otherwise(tmp_path):
    honest = list(topologies.qemu_options(read(tmp_path, GOOD), "amd64"))
    assert "hmat-lb,initiator=2,target=1,hierarchy=memory,data-type=access-latency,latency=2500" in honest
    assert "hmat-lb,initiator=0,target=1,hierarchy=memory,data-type=access-bandwidth,bandwidth=40M" in honest
    text = GOOD + "claimed latency ns\n7 8 -\n5 6 -\n"
    liar = read(tmp_path, text)
    assert "hmat-lb,initiator=2,target=1,hierarchy=memory,data-type=access-latency,latency=6" in list(
        topologies.qemu_options(liar, "amd64"))
    assert "latency 2 1 2500" in list(topologies.machine_table(liar, liar, "amd64", 7))


def test_a_node_without_cpus_is_started_from_by_the_nearest(tmp_path):
    options = list(topologies.qemu_options(read(tmp_path, GOOD), "amd64"))
    assert "node,nodeid=1,memdev=m1,initiator=0" in options
    assert "node,nodeid=2,cpus=2,cpus=3,initiator=2" in options


def test_a_pace_file_replaces_what_it_has(tmp_path):
    topology = read(tmp_path, GOOD)
    pace = tmp_path / "slow"
    pace.write_text("latency ns\n9000 9500 -\n9000 9500 -\n", encoding="utf-8")
    paced = topologies.read_pace(str(pace), topology)
    assert paced.blocks["latency ns"][2][1] == 9500
    assert paced.blocks["bandwidth GB/s"] == topology.blocks["bandwidth GB/s"]
    pace.write_text("distance\n10 20 30\n", encoding="utf-8")
    with pytest.raises(topologies.TopologyError, match=":1: 'distance': accepted are the blocks"):
        topologies.read_pace(str(pace), topology)


def addresses(topology, arch, qemu_major):
    return [tuple(line.split()[1:]) for line in topologies.machine_table(topology, topology, arch, qemu_major)
            if line.startswith("memory")]


def test_addresses_are_those_that_each_emulator_tells_plugins(tmp_path):
    topology = read(tmp_path, GOOD)
    assert addresses(topology, "amd64", 7) == [("0", "0x0", str(512 << 20)), ("1", "0x40000000", str(256 << 20))]
    assert addresses(topology, "amd64", 10) == [("0", "0x0", str(512 << 20)), ("1", "0x20000000", str(256 << 20))]
    assert addresses(topology, "arm64", 10)[1] == ("1", "0x60000000", str(256 << 20))


def test_memory_above_the_hole_for_devices_is_at_4_gib(tmp_path):
    topology = read(tmp_path, GOOD.replace("512M", "1G").replace("256M", "2G"))
    assert addresses(topology, "amd64", 10) == [
        ("0", "0x0", str(1 << 30)), ("1", "0x40000000", str(1 << 30)), ("1", "0x100000000", str(1 << 30))]
