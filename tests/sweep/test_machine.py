"""What is read of the machine: the kernel's lists, hwloc's XML, versions."""

import importlib.metadata

import pytest
from made_up_sweep import machine

from numa_report.errors import ReportError
from numa_sweep import environment, topology


@pytest.mark.parametrize("words, numbers", [("0", [0]), ("0,2-4\n", [0, 2, 3, 4]), ("", []), ("5,1,5", [5, 1])])
def test_kernel_lists(words, numbers):
    assert topology.parse_list(words) == numbers


def test_a_list_that_counts_down_is_refused():
    with pytest.raises(ValueError, match="counts down"):
        topology.parse_list("3-1")


@pytest.mark.parametrize("numbers, words", [([], ""), ([3], "3"), ([5, 0, 2, 3, 4], "0,2-5"), (range(4), "0-3")])
def test_lists_in_the_kernels_form(numbers, words):
    assert topology.format_list(numbers) == words


def test_hwloc_bitmaps():
    assert topology.parse_bitmap("0x10000000,,,,,,,0x00000101") == [0, 8, 252]


@pytest.mark.parametrize("xml", [
    b"", b"<topology/>", b"<topology><object><object type='NUMANode'/></object></topology>",
])
def test_xml_that_is_not_hwlocs_is_one_line(xml):
    with pytest.raises(ReportError, match="lstopo"):
        topology.from_hwloc(xml)


def test_off_line_cpus_are_known(tmp_path):
    node, cpu = tmp_path / "sys/devices/system/node", tmp_path / "sys/devices/system/cpu"
    (node / "node0").mkdir(parents=True)
    cpu.mkdir()
    (node / "online").write_text("0\n")
    (node / "has_memory").write_text("0\n")
    (node / "node0" / "cpulist").write_text("0-3\n")
    (cpu / "offline").write_text("4-5\n")
    assert topology.load({"HWLOC_FSROOT": str(tmp_path)}).offline_cpus == {4, 5}


def test_versions_are_read_without_asking():
    assert environment.python_package("numpy") == importlib.metadata.version("numpy")
    assert environment.python_package("no_such_package") is None
    assert environment.parallel_version().isdigit()


@pytest.mark.parametrize("made, none_is_remote", [
    (machine({0: [0]}), True), (machine({0: [0], 1: []}), False), (machine({0: [0], 1: [1]}), False),
    (machine({0: [0], 1: [1]}, without_memory=(1,)), False), (machine({3: [0], 4: []}, without_memory=(4,)), True),
])
def test_one_memory_beside_its_own_cpus_alone_is_no_remote_memory(made, none_is_remote):
    assert topology.has_no_remote_memory(made) == none_is_remote
