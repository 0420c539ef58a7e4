"""Is this normal? The published machines, which of them are near a run, and what is said of it beside them."""

import os
import re

import pytest
from conftest import sample, write_run

from numa_report import normal, peak, processors, tables
from numa_report.errors import DataError
from numa_report.run import Run
from numa_report.summary import add_penalties

FILES = sorted(name for name in os.listdir(normal.FOLDER) if name.endswith(".csv"))
KINDS = {"Ivy Bridge", "Haswell", "Broadwell", "Skylake", "Cascade Lake", "Ice Lake", "Sapphire Rapids",
         "Emerald Rapids", "Granite Rapids", "Rome", "Milan", "Genoa", "Neoverse N1", "Neoverse V2"}
DATE = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]|undated, read 20[0-9]{2}-[01][0-9]-[0-3][0-9]")
BOUNDS = {"ns": (40, 1000), "GB/s": (4, 1000)}  # of any memory that a server has had


def rows_of(name):
    return tables.read_matrix(f"{normal.FOLDER}/{name}")


@pytest.mark.parametrize("name", FILES)
def test_a_published_machine_is_whole(name):
    rows = rows_of(name)
    for column in ("machine", "sockets", *normal.WORDS):
        assert {row[column] for row in rows} == {rows[0][column]}, column
        assert rows[0][column] or column == "note"
    about = rows[0]
    assert re.fullmatch(r"https?://[^\s\"'<>]+", about["source"]) and DATE.fullmatch(about["published"])
    assert about["microarchitecture"] in (processors.kind_of(about["cpu_model"]), "not stated") or \
        about["cpu_model"] == "NVIDIA Grace"  # a name that no kernel shows
    assert {row["run"] for row in rows} == {name[:-len(".csv")]}
    for row in rows:
        least, most = BOUNDS[row["unit"]]
        assert least <= row["median"] <= most, row["cell"]
        assert (row["bench"], row["unit"]) in (("latency", "ns"), ("bandwidth", "GB/s"))
        assert row["samples"] == 1 and row["ci_low"] is None and row["status"] == "ok"


@pytest.mark.parametrize("name", FILES)
def test_published_penalties_are_over_each_nodes_own_memory(name):
    rows = rows_of(name)
    again = [{**row, "cpu": row["cpu_node"], "penalty": None} for row in rows]
    add_penalties(again)
    assert [row["penalty"] for row in rows] == [pytest.approx(row["penalty"], rel=1e-5) for row in again]


def test_the_readme_lists_every_file():
    with open(f"{normal.FOLDER}/README.md", encoding="utf-8") as file:
        assert sorted(re.findall(r"^\| `(.+?\.csv)`", file.read(), re.MULTILINE)) == FILES


def test_the_kinds_there_are():
    assert {machine.microarchitecture for machine in normal.published()} == KINDS | {"not stated"}


def test_the_outliers_of_xeon_6_with_three_nodes_a_socket():
    bandwidth = {(row["cpu_node"], row["mem_node"]): row["median"] for row in rows_of("granite-rapids-6980p-snc3.csv")
                 if row["bench"] == "bandwidth"}
    between_sockets = {pair: value for pair, value in bandwidth.items() if pair[0] // 3 != pair[1] // 3}
    assert len(bandwidth) == 36 and len(between_sockets) == 18
    low = {pair: round(value, 1) for pair, value in between_sockets.items() if value < 90}
    assert low == {(2, 4): 27.9, (5, 1): 44.9}


@pytest.mark.parametrize("words, message", [
    ("cell\n1\n", "column run: missing"), ("", "empty file"),
])
def test_a_damaged_file_of_published_figures_is_one_line(tmp_path, words, message):
    (tmp_path / "x.csv").write_text(words)
    with pytest.raises(DataError, match=message):
        normal.published(str(tmp_path))


def test_a_file_of_published_figures_without_its_source_is_refused(tmp_path):
    with open(f"{normal.FOLDER}/{FILES[0]}", encoding="utf-8") as file:
        (tmp_path / "x.csv").write_text(file.read().replace(",source,", ",sauce,", 1))
    with pytest.raises(DataError, match="column source: missing"):
        normal.read_published(str(tmp_path / "x.csv"))


@pytest.mark.parametrize("name, kind", [
    ("Intel(R) Xeon(R) CPU E5-2680 v2 @ 2.80GHz", "Ivy Bridge"),
    ("Intel(R) Xeon(R) CPU E7-8890 v3 @ 2.50GHz", "Haswell"),
    ("Intel(R) Xeon(R) CPU E5-2697A v4 @ 2.60GHz", "Broadwell"),
    ("Intel(R) Xeon(R) Gold 6140 CPU @ 2.30GHz", "Skylake"),
    ("Intel(R) Xeon(R) Platinum 8269CY CPU @ 2.50GHz", "Cascade Lake"),
    ("Intel(R) Xeon(R) Platinum 8380H CPU", "Cooper Lake"),
    ("Intel(R) Xeon(R) Platinum 8360Y CPU @ 2.40GHz", "Ice Lake"), ("Intel(R) Xeon(R) Silver 4410Y", "Sapphire Rapids"),
    ("INTEL(R) XEON(R) GOLD 6548Y+", "Emerald Rapids"), ("Intel(R) Xeon(R) 6980P", "Granite Rapids"),
    ("Intel(R) Xeon(R) 6 6985P-C", "Granite Rapids"), ("Intel(R) Xeon(R) 6780E", "Sierra Forest"),
    ("Intel(R) Xeon(R) CPU Max 9480", "Sapphire Rapids HBM"),
    ("AMD EPYC 7601 32-Core Processor", "Naples"), ("AMD EPYC 7F72 24-Core Processor", "Rome"),
    ("AMD EPYC 7773X 64-Core Processor", "Milan"), ("AMD EPYC 9354P 32-Core Processor", "Genoa"),
    ("AMD EPYC 9754 128-Core Processor", "Bergamo"), ("AMD EPYC 9575F 64-Core Processor", "Turin"),
    ("Neoverse-N1", "Neoverse N1"),
    ("AMD EPYC", ""), ("AMD EPYC-Rome Processor", ""), ("QEMU TCG CPU version 2.5+", ""),
    ("Intel(R) Core(TM) i7-8650U", ""), ("Intel Xeon Processor (Skylake, IBRS)", ""), ("", ""), (None, ""), (7, ""),
])
def test_kinds_by_name(name, kind):
    assert processors.kind_of(name) == kind


@pytest.mark.parametrize("numbers, kind", [
    (("GenuineIntel", 6, 85, 4), "Skylake"), (("GenuineIntel", 6, 85, 7), "Cascade Lake"),
    (("GenuineIntel", 6, 85, 11), "Cooper Lake"), (("GenuineIntel", 6, 173, 1), "Granite Rapids"),
    (("AuthenticAMD", 25, 1, 1), "Milan"), (("AuthenticAMD", 25, 17, 1), "Genoa"),
    (("AuthenticAMD", 26, 2, 1), "Turin"), (("AuthenticAMD", 6, 85, 4), ""), (("GenuineIntel", 6, None, 4), ""), (([], {}, "85", True), ""),
])
def test_kinds_by_number(numbers, kind):
    cpu = dict(zip(("vendor", "family", "model", "stepping"), numbers))
    assert processors.kind_of("some engineering sample", cpu) == kind


def test_kinds_by_arm_part():
    assert processors.kind_of(None, {"implementer": 0x41, "part": 0xd4f}) == "Neoverse V2"
    assert processors.kind_of(None, {"implementer": 0x48, "part": 0xd4f}) == ""


CASCADE_LAKE = "Intel(R) Xeon(R) Gold 6230 CPU @ 2.10GHz"
XEON_6 = "Intel(R) Xeon(R) 6979P"


def run_of(folder, latency, cpu_model, memory_only=(), bandwidth=None, threads=1, **described):
    """A run whose CPU node i shows latency[i][j] ns and bandwidth[i][j] GB/s of node j; 2 CPUs a node."""
    rows = []
    for bench, figures, count in (("latency", latency, 1), ("bandwidth", bandwidth or (), threads)):
        for i, of_cpu in enumerate(figures):
            rows += [sample(bench, None, 2 * i, i, j, value * (1 + 0.001 * k), r, k + 1, threads=count)
                     for j, value in enumerate(of_cpu) for r in range(1, 4) for k in range(5)]
    nodes = {row["mem_node"] for row in rows} | {row["cpu_node"] for row in rows}
    return Run(str(write_run(folder / "run", rows, {
        "cpu_model": cpu_model, "transparent_hugepages": {"enabled": "always"}, **described,
        "topology": {"nodes": [{"id": i, "cpus": "" if i in memory_only else f"{2 * i}-{2 * i + 1}", "has_memory": True,
                                "memory_bytes": 64 << 30} for i in sorted(nodes)]}})))


def test_normal_latencies_are_said_to_be(tmp_path):
    words = normal.lines(run_of(tmp_path, [[90, 141], [142, 91]], CASCADE_LAKE))
    assert words == ["normal: local latency 90.2–91.2 ns is near that of 2 published machines with Cascade Lake "
                     "(81.1–88.2 ns); remote latency 141–142 ns is near that of 2 published machines with Cascade Lake "
                     "(130–142 ns)"]


def test_a_slow_node_is_unusual_and_the_rest_normal(tmp_path):
    normal_words, unusual = normal.lines(run_of(tmp_path, [[171, 141], [142, 91]], CASCADE_LAKE))
    assert unusual.startswith("unusual: local latency 91.2–171 ns is 1.9 times that of 2 published machines")
    assert normal_words.startswith("normal: remote latency")


def test_a_latency_that_no_memory_has_is_unusual(tmp_path):
    assert "unusual: local latency 30.1 ns is below that of" in normal.lines(
        run_of(tmp_path, [[30, 141], [141, 30]], CASCADE_LAKE))[1]


@pytest.mark.parametrize("enabled, kind", [("madvise", "normal"), (None, "normal"), ("always", "unusual")])
def test_base_pages_are_allowed_the_page_walk(tmp_path, enabled, kind):
    run = run_of(tmp_path, [[120]], CASCADE_LAKE, transparent_hugepages={"enabled": enabled})
    words, = normal.lines(run)
    assert words.startswith(f"{kind}: local latency") and ("base pages" in words) == (enabled != "always")


def test_sizes_that_caches_hold_are_not_compared(tmp_path):
    run = run_of(tmp_path, [[20, 25], [25, 20]], CASCADE_LAKE, options={"sizes": ["4M"]})
    for row in run.rows:
        row["size_bytes"] = 4 << 20
    assert normal.lines(run) == [] and normal.neighbours(run).own.figures == {}


def test_machines_of_the_same_mode_come_first(tmp_path):
    three_a_socket = [[100 + 10 * abs(i - j) + 300 * (i // 3 != j // 3) for j in range(6)] for i in range(6)]
    found = normal.neighbours(run_of(tmp_path, three_a_socket, XEON_6, cpu={"sockets": 2}))
    assert [machine.numa_mode for machine in found.published] == ["SNC3", "one node a socket"]
    assert found.own.numa_mode == "3 nodes a socket" and found.reason == ""
    (tmp_path / "b").mkdir()
    found = normal.neighbours(run_of(tmp_path / "b", [[130, 420], [410, 130]], XEON_6, cpu={"sockets": 2}))
    assert [machine.numa_mode for machine in found.published] == ["one node a socket", "SNC3"]


def test_remote_latency_is_compared_with_machines_of_as_many_nodes_alone(tmp_path):
    three_nodes = [[105, 150, 150], [150, 105, 150], [150, 150, 105]]
    words, = normal.lines(run_of(tmp_path, three_nodes, "AMD EPYC 9554 64-Core Processor"))
    assert "local latency" in words and "remote latency" not in words


@pytest.mark.parametrize("model, cpu, reason", [
    ("AMD EPYC", None, "none of AMD EPYC"), (None, None, "none of its CPU"),
    (CASCADE_LAKE, {"virtual": True}, "virtual machine"), (["x"], "y", "none of its CPU"),
])
def test_nothing_is_said_where_no_published_machine_is_near(tmp_path, model, cpu, reason):
    run = run_of(tmp_path, [[90, 141], [142, 91]], model, cpu=cpu)
    found = normal.neighbours(run)
    assert found.published == [] and reason in found.reason and normal.lines(run) == []


def test_memory_without_cpus_is_set_beside_published_cxl_and_not_judged(tmp_path):
    run = run_of(tmp_path, [[90, 250]], "Some CPU", memory_only={1})
    found = normal.neighbours(run)
    assert (found.own.cpu_nodes, found.own.memory_only_nodes) == (1, 1)
    assert found.published and all(machine.memory_only_nodes == 1 for machine in found.published)
    assert found.own.figures["memory_only_latency"] == pytest.approx((250.5, 250.5), rel=0.01)
    assert normal.lines(run) == []


@pytest.mark.parametrize("threads, shown", [(2, True), (1, True), (0, False)])
def test_bandwidth_counts_from_a_thread_for_every_other_cpu_on(tmp_path, threads, shown):
    run = run_of(tmp_path, [[90, 141], [142, 91]], CASCADE_LAKE, bandwidth=[[100, 40], [40, 100]], threads=threads or 1)
    if not threads:
        run.environment["topology"]["nodes"][0]["cpus"] = run.environment["topology"]["nodes"][1]["cpus"] = "0-15"
    assert ("local_bandwidth" in normal.neighbours(run).own.figures) == shown


def test_spans_in_words():
    assert normal.span_words(normal.Span(87.61, 88.2), "ns") == "87.6–88.2 ns"
    assert normal.span_words(normal.Span(88.21, 88.2), "ns") == "88.2 ns"
    assert normal.span_words(normal.Span(1.5, 1.6), "×") == "1.50–1.60×"


def slots(*names, size_bytes=32 << 30, speed=3200, bank=None, array="0x1", empty=()):
    return [{"array": array, "locator": name, "bank": bank, "type": "DDR4", "data_width_bits": 64,
             "size_bytes": None if name in empty else size_bytes, "speed_mt_s": None if name in empty else speed}
            for name in names]


TWO_A_CHANNEL = [f"CPU{cpu}_DIMM_{letter}{slot}" for cpu in (1, 2) for letter in "ABCD" for slot in (1, 2)]


def peak_of(folder, devices, threads=2, best=80.0, **described):
    return peak.peak(run_of(folder, [[90, 141], [142, 91]], CASCADE_LAKE, bandwidth=[[best, 40], [40, best]],
                            threads=threads, memory_devices=devices, **described))


def test_modules_of_a_channel_add_nothing(tmp_path):
    found = peak_of(tmp_path, slots(*TWO_A_CHANNEL))  # 8 channels of 25.6 GB/s, 4 a node
    assert found.machine == pytest.approx((204.8, 204.8)) and found.node == pytest.approx((102.4, 102.4))
    assert found.share == pytest.approx((80.16 / 102.4,) * 2, rel=0.01)


def test_empty_slots_move_nothing(tmp_path):
    devices = slots(*TWO_A_CHANNEL, empty=[name for name in TWO_A_CHANNEL if "_B" in name or name.endswith("2")])
    assert peak_of(tmp_path, devices).machine == pytest.approx((6 * 25.6, 6 * 25.6))


@pytest.mark.parametrize("names, bank, channels", [
    (["P0_Node0_Channel0_Dimm0", "P0_Node0_Channel0_Dimm1", "P0_Node0_Channel1_Dimm0"], None, 2),
    (["DIMM 0", "DIMM 1"], "P0 CHANNEL A", 1),
    (["ChannelA-DIMM0", "ChannelB-DIMM0"], "BANK 0", 2), (["P1-DIMMA1", "P1-DIMMB1", "P2-DIMMA1"], None, 3),
    (["PROC 1 DIMM 1", "PROC 1 DIMM 3"], None, None), (["A1", "A2", "A3", "A4", "B1"], None, None),
    (["", None], None, None),
])
def test_channels_by_the_names_of_slots(names, bank, channels):
    devices = slots(*names, bank=bank)
    found = peak.channels_of(devices, devices)
    assert (len(found) if found else found) == channels


def test_the_slowest_module_of_a_channel_counts():
    devices = slots("DIMM_A1", speed=3200) + slots("DIMM_A2", speed=2666)
    assert peak.capacity(devices, devices).high == pytest.approx(2666 * 8 / 1000)


def test_names_that_tell_no_channel_give_a_span(tmp_path):
    found = peak_of(tmp_path, slots(*(f"PROC {cpu} DIMM {slot}" for cpu in (1, 2) for slot in range(1, 5))))
    assert found.machine == pytest.approx((4 * 25.6, 8 * 25.6)) and found.share.low < found.share.high


def test_one_thread_of_many_cpus_says_nothing_of_a_peak(tmp_path):
    run = run_of(tmp_path, [[90]], CASCADE_LAKE, bandwidth=[[20]], memory_devices=slots("DIMM_A1", "DIMM_B1"))
    run.environment["topology"]["nodes"][0]["cpus"] = "0-15"
    assert peak.peak(run).share is None
    assert peak.peak_lines(run) == ["peak: 2 DDR4 modules at 3,200 MT/s can move 51.2 GB/s"]


def test_the_peak_in_words(tmp_path):
    run = run_of(tmp_path, [[90, 141], [142, 91]], CASCADE_LAKE, bandwidth=[[80, 40], [40, 82]], threads=2,
                 memory_devices=slots(*TWO_A_CHANNEL))
    assert normal.lines(run)[-1] == (
        "peak: 16 DDR4 modules at 3,200 MT/s can move 205 GB/s, 102 GB/s a node; the best local bandwidth measured, "
        "82.2 GB/s (read, 2 threads), is 80 % of it")
    run.environment["memory_devices"] = slots("DIMM_A1", "DIMM_B1")
    assert "is more than that: it was of caches, or the DMI table is wrong" in normal.lines(run)[-1]


@pytest.mark.parametrize("devices, described, reason", [
    (None, {"memory_devices_missing": "dmidecode: /dev/mem: Permission denied"}, "/dev/mem: Permission denied"),
    (None, {}, "did not record"), ([], {}, "did not record"), (slots("A1", empty=["A1"]), {}, "did not record"),
    (slots("DIMM_A1", speed=None), {}, "speed and width"),
    (slots("DIMM_A1"), {"cpu": {"virtual": True}}, "virtual machine"),
    ([7, None, {"size_bytes": "x"}], {}, "did not record"),
    (slots("DIMM_A1", speed=0), {}, "speed and width"),
])
def test_a_peak_that_is_not_known_says_why(tmp_path, devices, described, reason):
    found = peak_of(tmp_path, devices, **described)
    assert found.machine is None and reason in found.reason


def test_unlike_nodes_have_no_common_share(tmp_path):
    run = run_of(tmp_path, [[90, 141], [142, 91]], CASCADE_LAKE, memory_devices=slots(*TWO_A_CHANNEL))
    run.environment["topology"]["nodes"][1]["memory_bytes"] = 32 << 30
    found = peak.peak(run)
    assert found.machine and found.node is None and found.share is None
