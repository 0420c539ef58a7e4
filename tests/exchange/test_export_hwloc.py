"""plot.py --export hwloc: hwloc, and an application by way of it, reads the figures of matrix.csv."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from exported_runs import (RECORDED, TWO_NODES, cell, environment, exported, matrix, of_matrix, plot, refused,
                           two_nodes, write)

READER = Path(__file__).parent / "read_memattrs.c"
MEBIBYTE = 1 << 20
OF = {"Latency": ("latency", "random"), "ReadLatency": ("latency", "random"), "Bandwidth": ("bandwidth", "copy"),
      "ReadBandwidth": ("bandwidth", "read"), "WriteBandwidth": ("bandwidth", "write")}

pytestmark = pytest.mark.skipif(not shutil.which("lstopo-no-graphics"), reason="lstopo (hwloc) is not installed")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    program = tmp_path_factory.mktemp("reader") / "read_memattrs"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(READER), "-lhwloc"], check=True)
    return program


def read_back(reader, path, *cpus, **environ):
    """({(attribute, CPU, node): value}, {(attribute, CPU): (best node, value)}) as the C program finds them."""
    said = subprocess.run([str(reader), str(path), *map(str, cpus)], capture_output=True, text=True, check=True,
                          env={**os.environ, **environ})
    values, best = {}, {}
    for line in said.stdout.splitlines():
        name, cpu, node, value = line.split(",")
        if name.startswith("best "):
            best[name[5:], int(cpu)] = int(node), int(value)
        else:
            values[name, int(cpu), int(node)] = int(value)
    return values, best


def wanted(folder):
    """The same, by matrix.csv."""
    values, best = {}, {}
    for attribute, (bench, variant) in OF.items():
        for row in of_matrix(folder):
            if (row["bench"], row["variant"]) == (bench, variant):
                value = float(row["median"]) * (1 if bench == "latency" else 1e9 / MEBIBYTE)
                values[attribute, int(row["cpu"]), int(row["mem_node"])] = round(value)
    for attribute, cpu in {key[:2] for key in values}:
        pick = min if "Latency" in attribute else max
        best[attribute, cpu] = pick(((node, value) for (name, of, node), value in values.items()
                                     if (name, of) == (attribute, cpu)), key=lambda pair: pair[1])
    return values, best


def of_two_nodes(tmp_path):
    return write(tmp_path / "run", matrix(), topology=two_nodes())


def of_cxl(tmp_path):
    return write(tmp_path / "run", matrix((0, 1), (0, 1, 2)), environment((0, 1, 2), {2}), RECORDED.read_bytes())


@pytest.mark.parametrize("make", [of_two_nodes, of_cxl])
@pytest.mark.parametrize("own_xml_reader", ["0", "1"])  # hwloc has two: libxml's and its own
def test_an_application_reads_the_figures_of_the_matrix(tmp_path, reader, make, own_xml_reader):
    folder = make(tmp_path)
    path = tmp_path / "machine.xml"
    path.write_text(exported("hwloc", folder), encoding="utf-8")
    found = read_back(reader, path, 0, 2, HWLOC_LIBXML="0" if own_xml_reader == "1" else "1")
    assert found == wanted(folder)
    assert len(found[0]) == 5 * len({(row["cpu"], row["mem_node"]) for row in of_matrix(folder)})


def test_another_cpu_of_the_node_sees_the_same(tmp_path, reader):
    path = tmp_path / "machine.xml"
    path.write_text(exported("hwloc", of_cxl(tmp_path)), encoding="utf-8")
    one, other = read_back(reader, path, 2)[0], read_back(reader, path, 3)[0]
    assert {(name, node): value for (name, _, node), value in one.items()} == \
        {(name, node): value for (name, _, node), value in other.items()} != {}


def test_lstopo_prints_the_figures(tmp_path):
    path = tmp_path / "machine.xml"
    path.write_text(exported("hwloc", of_cxl(tmp_path)), encoding="utf-8")
    said = subprocess.run(["lstopo-no-graphics", "--memattrs", "--input", str(path)], capture_output=True, text=True,
                          check=True).stdout
    latency = said.partition("`Latency'")[2].partition("Memory attribute")[0]
    assert latency.count(" from cpuset ") == 6
    assert "NUMANode L#1 = 222 from cpuset 0x00000003" in latency  # node 2, whose CPUs are none: 90.4 x (1 + 0.73 x 2)


def test_the_firmwares_figures_do_not_stand_between_the_measured(tmp_path):
    assert "WriteLatency" in RECORDED.read_text(encoding="utf-8")
    document = exported("hwloc", of_cxl(tmp_path))
    assert "WriteLatency" not in document and 'value="4400"' not in document


def test_it_says_what_was_measured_and_how(tmp_path):
    assert '<info name="MemoryLatency" value="measured, run run: bench/latency, random, allocator numa_alloc, pages ' \
           'default, 1 thread, 256 MiB" />' in exported("hwloc", of_two_nodes(tmp_path))


def test_the_largest_size_and_the_most_threads_count_and_several_cpus_give_their_median(tmp_path, reader):
    rows = [cell("latency", "random", 0, 0, 5.0, size_bytes=32 << 10)]
    rows += [cell("latency", "random", 0, 0, value, cpu=cpu) for cpu, value in ((0, 100.0), (1, 110.0))]
    rows += [cell("latency", "random", 0, 0, 80.0, pages="2M"),
             cell("latency", "random", 0, 0, 70.0, allocator="glibc"),
             cell("latency", "random", 0, 0, 60.0, policy="interleave:all", mem_node=None)]
    rows += [cell("bandwidth", "read", 0, 0, value, threads=threads) for threads, value in ((1, 10.0), (2, 19.0))]
    path = tmp_path / "machine.xml"
    path.write_text(exported("hwloc", write(tmp_path / "run", rows, topology=two_nodes())), encoding="utf-8")
    assert read_back(reader, path, 0)[0] == {("Latency", 0, 0): 105, ("ReadLatency", 0, 0): 105,
                                             ("ReadBandwidth", 0, 0): round(19e9 / MEBIBYTE)}


def test_a_cell_that_was_not_measured_as_asked_has_no_value(tmp_path, reader):
    rows = [cell("latency", "random", 0, 0, 90.0, status="noisy"),
            cell("latency", "random", 0, 1, 170.0, status="misplaced"),
            cell("latency", "random", 1, 0, 170.0, status="failed")]
    path = tmp_path / "machine.xml"
    path.write_text(exported("hwloc", write(tmp_path / "run", rows, topology=two_nodes())), encoding="utf-8")
    assert read_back(reader, path, 0, 2)[0] == {("Latency", 0, 0): 90, ("ReadLatency", 0, 0): 90}


def test_a_run_without_a_topology_takes_this_machines_where_it_is_the_runs(tmp_path):
    described = {**environment(), "host": os.uname().nodename}
    folder = write(tmp_path / "run", matrix(), described)
    done = plot("--export", "hwloc", folder, HWLOC_SYNTHETIC=TWO_NODES)
    assert done.returncode == 0 and done.stdout.count("<memattr_value") == 20, done.stderr


@pytest.mark.parametrize("described", [environment(), {**environment((0, 1, 5)), "host": os.uname().nodename}])
def test_a_run_of_another_machine_without_a_topology_is_one_line(tmp_path, described):
    folder = write(tmp_path / "run", matrix(), described)
    assert "has no topology.xml" in refused("--export", "hwloc", folder, HWLOC_SYNTHETIC=TWO_NODES)


@pytest.mark.parametrize("content, said", [
    (b"", "not XML"), (b"<topology", "not XML"), (b"\xff\xfe\x00", "not XML"),
    (b"<html/>", "not a topology of hwloc 2"),
    (b"<topology><object cpuset='0x3'><object type='NUMANode' os_index='0'/></object></topology>",
     "not a topology of hwloc 2"),  # hwloc 1 had no gp_index
    (b"<topology><object cpuset='0xg'><object type='NUMANode' os_index='0' gp_index='1'/></object></topology>",
     "not a topology of hwloc 2"),
    (b"<topology><object cpuset='0xf'><object type='NUMANode' os_index='0' gp_index='1'/></object></topology>",
     "has no node 1"),
    (b"<topology><object cpuset='0x3'><object type='NUMANode' os_index='0' gp_index='1'/>"
     b"<object type='NUMANode' os_index='1' gp_index='2'/></object></topology>", "has no CPU of node 1"),
    (b"<topology><object cpuset='0xf'><object type='NUMANode' os_index='0' gp_index='1'/>"
     b"<object type='NUMANode' os_index='1' gp_index='2'/></object></topology>", "hwloc does not load it"),
])
def test_a_topology_that_is_damaged_or_anothers_is_one_line(tmp_path, content, said):
    line = refused("--export", "hwloc", write(tmp_path / "run", matrix(), topology=content))
    assert "topology.xml" in line and said in line


def test_cells_that_hwloc_has_no_words_for_are_one_line(tmp_path):
    rows = [cell("sqlite", "command", 0, 0, 1.5)]
    assert "no cell was measured that hwloc has" in refused("--export", "hwloc", write(tmp_path / "run", rows,
                                                                                      topology=two_nodes()))
