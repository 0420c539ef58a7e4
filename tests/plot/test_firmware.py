"""What is read of the firmware's claims, and that nothing in them can end a sweep."""

import json
import random
import struct

import pytest
from conftest import hmat, with_checksum, write_tree

from numa_sweep import firmware
from numa_sweep.topology import Node, Topology

ACCESS_LATENCY, READ_LATENCY, WRITE_LATENCY, ACCESS_BANDWIDTH, READ_BANDWIDTH, WRITE_BANDWIDTH = range(6)
TABLE = "firmware/acpi/tables/HMAT"

TWO_SOCKETS = hmat((ACCESS_LATENCY, 1000, [[2000, 3600], [3600, 2000]]),
                   (ACCESS_BANDWIDTH, 32, [[2, 1], [1, 2]]))


def nodes(*with_cpus, without=()):
    machine = {node: Node(node, [node], True, 1 << 30) for node in with_cpus}
    machine.update({node: Node(node, [], True, 1 << 30) for node in without})
    return Topology(machine, set(with_cpus), set(machine))


def access(target, initiators, access="access0", **figures):
    """The sysfs files of a memory node's nearest initiators."""
    folder = f"devices/system/node/node{target}/{access}/initiators"
    files = {f"{folder}/{name}": f"{figure}\n" for name, figure in figures.items()}
    return {**files, f"{folder}/power": None, **{f"{folder}/node{node}": None for node in initiators}}


def gather(tmp_path, files, machine):
    found = firmware.gather(machine, write_tree(tmp_path, files))
    json.dumps(found)
    return found


def test_the_table_gives_every_pair_in_ns_and_mb_a_second(tmp_path):
    found = gather(tmp_path, {TABLE: TWO_SOCKETS}, nodes(0, 1))
    latency, bandwidth = {0: {0: 2000, 1: 3600}, 1: {0: 3600, 1: 2000}}, {0: {0: 64, 1: 32}, 1: {0: 32, 1: 64}}
    assert found["hmat_missing"] is None
    assert found["hmat"] == {"read_latency": latency, "write_latency": latency,
                             "read_bandwidth": bandwidth, "write_bandwidth": bandwidth}


def test_base_units_of_picoseconds_may_be_less_than_a_nanosecond(tmp_path):
    found = gather(tmp_path, {TABLE: hmat((READ_LATENCY, 100, [[805]]))}, nodes(0))
    assert found["hmat"] == {"read_latency": {0: {0: 80.5}}}


def test_reads_and_writes_may_differ(tmp_path):
    table = hmat((READ_LATENCY, 1000, [[80]]), (WRITE_LATENCY, 1000, [[90]]), (WRITE_BANDWIDTH, 1, [[7]]))
    found = gather(tmp_path, {TABLE: table}, nodes(0))
    assert found["hmat"] == {"read_latency": {0: {0: 80}}, "write_latency": {0: {0: 90}},
                             "write_bandwidth": {0: {0: 7}}}


def test_unknown_and_unreachable_pairs_are_left_out(tmp_path):
    table = hmat((ACCESS_LATENCY, 1000, [[80, 0xFFFF], [0, 90]]))
    assert gather(tmp_path, {TABLE: table}, nodes(0, 1))["hmat"]["read_latency"] == {0: {0: 80}, 1: {1: 90}}


def test_figures_of_memory_side_caches_are_not_of_memory(tmp_path):
    table = hmat((ACCESS_LATENCY, 1000, [[20]], 1), (ACCESS_LATENCY, 1000, [[80]], 0))
    assert gather(tmp_path, {TABLE: table}, nodes(0))["hmat"]["read_latency"] == {0: {0: 80}}


def test_a_node_without_cpus_is_a_target_only(tmp_path):
    table = hmat((ACCESS_LATENCY, 1000, [[80, 130, 250], [130, 80, 310]]))
    found = gather(tmp_path, {TABLE: table}, nodes(0, 1, without=[2]))
    assert found["hmat"]["read_latency"] == {0: {0: 80, 1: 130, 2: 250}, 1: {0: 130, 1: 80, 2: 310}}


def test_sysfs_gives_the_nearest_initiators_and_their_figures(tmp_path):
    files = {**access(0, [0], read_latency=80, read_bandwidth=102400), **access(1, [1], read_latency=80),
             **access(2, [0, 1], read_latency=250, write_latency=300)}
    found = gather(tmp_path, files, nodes(0, 1, without=[2]))
    assert found["nearest"] == {"read_latency": {0: {0: 80, 2: 250}, 1: {1: 80, 2: 250}},
                                "read_bandwidth": {0: {0: 102400}}, "write_latency": {0: {2: 300}, 1: {2: 300}}}
    assert found["nearest_missing"] is None and "No such file" in found["hmat_missing"]


def test_cpus_count_before_devices_where_linux_tells_them_apart(tmp_path):
    files = {**access(0, [5], read_latency=9), **access(0, [0], access="access1", read_latency=80)}
    assert gather(tmp_path, files, nodes(0))["nearest"] == {"read_latency": {0: {0: 80}}}


def test_a_machine_that_says_nothing_has_two_reasons(tmp_path):
    found = gather(tmp_path, {}, nodes(0))
    assert found["nearest"] is None and found["hmat"] is None
    assert "access0" in found["nearest_missing"] and "\n" not in found["nearest_missing"]
    assert "No such file" in found["hmat_missing"] and TABLE in found["hmat_missing"]


def test_a_table_for_root_only_is_a_reason(tmp_path, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", path)
    monkeypatch.setattr("builtins.open", refuse)
    assert firmware.attempt(firmware.read_hmat, nodes(0), "/sys") == (
        None, "/sys/firmware/acpi/tables/HMAT: Permission denied")


def test_domains_that_are_not_the_nodes_numbers_are_refused(tmp_path):
    table = hmat((ACCESS_LATENCY, 1000, [[80, 130], [130, 80]], 0, [1, 2]))
    found = gather(tmp_path, {TABLE: table}, nodes(0, 1))
    assert found["hmat"] is None and "not the nodes' numbers" in found["hmat_missing"]


def test_a_table_that_sysfs_contradicts_is_refused(tmp_path):
    """Linux numbered the nodes otherwise than the firmware its domains."""
    files = {TABLE: hmat((ACCESS_LATENCY, 1000, [[80, 130], [130, 95]])), **access(0, [0], read_latency=95)}
    found = gather(tmp_path, files, nodes(0, 1))
    assert found["hmat"] is None and "is 80.0, and 95 in sysfs" in found["hmat_missing"]


def test_figures_that_linux_rounded_up_are_no_contradiction(tmp_path):
    files = {TABLE: hmat((ACCESS_LATENCY, 100, [[805]])), **access(0, [0], read_latency=81)}
    assert gather(tmp_path, files, nodes(0))["hmat"] is not None


def set_bytes(at, form, value):
    """Damage under a right checksum."""
    def apply(table):
        table = bytearray(table)
        struct.pack_into(form, table, at, value)
        return with_checksum(table)
    return apply


# The first structure is at byte 40: its length at 44, its initiators' number at 52, its base unit at 64.
@pytest.mark.parametrize("damage, reason", [
    (lambda table: b"", "not an HMAT"),
    (lambda table: b"SRAT" + table[4:], "not an HMAT"),
    (lambda table: table[:60], "its length says"),
    (lambda table: table + b"\0", "its length says"),
    (lambda table: table[:-1] + b"\x7f", "checksum"),
    (set_bytes(8, "<B", 1), "revision 1"),
    (set_bytes(44, "<I", 0), "impossible length"),
    (set_bytes(44, "<I", 7), "impossible length"),
    (set_bytes(44, "<I", 0xFFFFFFFF), "impossible length"),
    (set_bytes(44, "<I", 20), "is cut"),
    (set_bytes(52, "<I", 0xFFFFFFFF), "too short"),
    (set_bytes(52, "<I", 3), "too short"),
    (lambda table: hmat(), "no latency and no bandwidth"),
    (lambda table: hmat((9, 1000, [[80, 80], [80, 80]])), "no latency and no bandwidth"),
    (lambda table: hmat((0, 0, [[80, 80], [80, 80]])), "no latency and no bandwidth"),
    (lambda table: hmat((0, 1000, [[0, 0], [0xFFFF, 0]])), "no latency and no bandwidth"),
])
def test_a_damaged_table_is_one_reason(tmp_path, damage, reason):
    found = gather(tmp_path, {TABLE: damage(TWO_SOCKETS)}, nodes(0, 1))
    assert found["hmat"] is None and reason in found["hmat_missing"] and "\n" not in found["hmat_missing"]


def test_a_structure_cut_at_the_end_is_one_reason(tmp_path):
    table = bytearray(TWO_SOCKETS + b"\1\0\0\0")
    struct.pack_into("<I", table, 4, len(table))
    assert "cut at byte" in gather(tmp_path, {TABLE: with_checksum(table)}, nodes(0, 1))["hmat_missing"]


def test_random_damage_never_ends_in_a_traceback(tmp_path):
    dice = random.Random(1)
    for _ in range(500):
        table = bytearray(TWO_SOCKETS[:dice.choice([len(TWO_SOCKETS), dice.randrange(len(TWO_SOCKETS))])])
        for _ in range(dice.randrange(6)):
            if table:
                table[dice.randrange(len(table))] = dice.choice([0, 1, 0x7F, 0xFF, dice.randrange(256)])
        if len(table) > 40 and dice.random() < 0.8:
            struct.pack_into("<I", table, 4, len(table))
            table = with_checksum(table)
        gather(tmp_path, {TABLE: bytes(table)}, nodes(0, 1))


@pytest.mark.parametrize("content", ["", "fast", "-5", "0", "80 90", "\xff" * 9])
def test_odd_sysfs_files_are_left_out(tmp_path, content):
    files = {**access(0, [0], read_latency=content, write_latency=70), TABLE: None}
    found = gather(tmp_path, files, nodes(0))
    assert found["nearest"]["write_latency"] == {0: {0: 70}}
    assert found["nearest"].get("read_latency") in (None, {0: {0: 80}})
    assert "Is a directory" in found["hmat_missing"]
