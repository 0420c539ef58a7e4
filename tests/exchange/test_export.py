"""plot.py --export: the node distances, the JSON document, the Prometheus text, and what is refused."""

import json
import re
import shutil
import subprocess

import pytest
from exported_runs import cell, environment, exported, matrix, of_matrix, plot, refused, write

from numa_report.schema import MATRIX_COLUMNS

HOSTILE = 'a"b\\c\nd {e="f"} # é \u2028'


# slit

def test_distances_are_latencies_over_the_local_one_times_ten(tmp_path):
    distances = {"0": {"0": 10, "1": 21, "2": 24}, "1": {"0": 21, "1": 10, "2": 34}}
    rows = [cell("latency", "random", i, j, value) for (i, j), value in
            {(0, 0): 90.0, (0, 1): 166.0, (0, 2): 5000.0, (1, 0): 200.0, (1, 1): 100.0}.items()]
    assert exported("slit", write(tmp_path / "run", rows, environment((0, 1, 2), {2}, distances=distances))) == """\
node distances:
node   0   1   2
  0:  10  18 254
  1:  20  10   -

by the firmware:
node   0   1   2
  0:  10  21  24
  1:  21  10  34
"""


def test_a_remote_memory_that_is_faster_than_the_local_has_the_least_distance(tmp_path):
    rows = [cell("latency", "random", 0, 0, 100.0), cell("latency", "random", 0, 1, 80.0)]
    assert "  0:  10  10\n" in exported("slit", write(tmp_path / "run", rows))


def test_without_a_local_latency_there_is_no_distance(tmp_path):
    rows = [cell("latency", "random", 0, 0, 100.0), cell("latency", "random", 0, 1, 180.0),
            cell("latency", "random", 1, 0, 180.0), cell("latency", "random", 1, 1, 100.0, status="misplaced")]
    said = exported("slit", write(tmp_path / "run", rows))
    assert "  0:  10  18\n  1:   -   -\nnode 1: no local latency" in said


def test_nodes_with_gaps_keep_their_numbers(tmp_path):
    rows = [cell("latency", "random", 0, 0, 100.0), cell("latency", "random", 0, 252, 400.0)]
    assert exported("slit", write(tmp_path / "run", rows, environment((0, 252), {252}))) == \
        "node distances:\nnode   0 252\n  0:  10  40\n"


def test_without_a_latency_or_of_several_machines_distances_are_one_line(tmp_path):
    assert "no latency" in refused("--export", "slit", write(tmp_path / "a", [cell("bandwidth", "read", 0, 0, 20.0)]))
    rows = [cell("latency", "random", 0, 0, 100.0, host=host) for host in ("one", "two")]
    assert "several machines" in refused("--export", "slit", write(tmp_path / "b", rows))


# json

def test_the_document_has_every_cell_as_numbers_and_null(tmp_path):
    rows = [*matrix(), cell("latency", "random", 1, 2, 1.0, median=None, ci_low=None, ci_high=None, mad=None, samples=0,
                            status="skipped", penalty=None, placement=None, placed_fraction=None, reason="offline",
                            rounds=None)]
    described = environment((0, 1, 2))
    folder = write(tmp_path / "run", rows, described)
    document = json.loads(exported("json", folder))
    assert document["schema"] == {"name": "numa_alloc.run", "version": 1}
    assert document["run"] == "run" and document["environment"] == described
    assert document["verdict"][0].startswith("penalty")
    for found, written in zip(document["cells"], of_matrix(folder)):
        assert set(found) == {*MATRIX_COLUMNS, "outlier"}
        assert found["median"] == (float(written["median"]) if written["median"] else None)
        assert all(type(found[name]) is int for name in ("cpu", "cpu_node", "mem_node", "size_bytes", "samples"))
    assert len(document["cells"]) == len(rows)
    assert document["cells"][-1]["reason"] == "offline" and document["cells"][-1]["penalty"] is None


# prometheus

SAMPLE = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\{((?:[a-z_]+="(?:[^"\\\n]|\\[\\n"])*",?)+)\} (\S+)')


def samples_of(text):
    """{(metric, labels as a frozenset): value}; every line is looked at."""
    assert text.endswith("\n")
    found = {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        key = name, frozenset(re.findall(r'([a-z_]+)="((?:[^"\\]|\\.)*)"', labels))
        assert key not in found
        found[key] = float(value)
    return found


def promtool_accepts(text):
    if not shutil.which("promtool"):
        pytest.skip("promtool (Debian package prometheus) is not installed")
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_figures_are_in_seconds_and_bytes_per_second(tmp_path):
    found = samples_of(exported("prometheus", write(tmp_path / "run", matrix())))
    by_name = {}
    for (name, labels), value in found.items():
        key = tuple(dict(labels)[label] for label in ("variant", "cpu_node", "mem_node"))
        by_name.setdefault(name, {})[key] = value
    assert by_name["numa_alloc_load_latency_seconds"]["random", "0", "0"] == pytest.approx(90.4e-9)
    assert by_name["numa_alloc_bandwidth_bytes_per_second"]["write", "0", "1"] == pytest.approx(23e9 * 1.73)
    assert by_name["numa_alloc_penalty_ratio"]["random", "0", "1"] == 1.25
    assert {len(values) for values in by_name.values()} == {4, 16, 20}
    labels = dict(next(labels for name, labels in found if name == "numa_alloc_load_latency_seconds"))
    assert {**labels, "cpu_node": "", "mem_node": "", "cpu": "", "policy": ""} == {
        "host": "testhost", "cpu_node": "", "cpu": "", "mem_node": "", "policy": "", "allocator": "numa_alloc",
        "pages": "default", "threads": "1", "size_bytes": str(256 << 20), "bench": "latency", "variant": "random"}


def test_a_cell_that_was_not_measured_as_asked_has_its_status_alone(tmp_path):
    rows = [cell("latency", "random", 0, 0, 90.0),
            cell("latency", "random", 0, 1, 91.0, status="misplaced", penalty=None),
            cell("latency", "random", 1, 1, 92.0, status="failed", penalty=None)]
    found = samples_of(exported("prometheus", write(tmp_path / "run", rows)))
    assert sum(name == "numa_alloc_load_latency_seconds" for name, _ in found) == 1
    assert sorted(dict(labels)["status"] for name, labels in found if name == "numa_alloc_cell_status") == \
        ["failed", "misplaced", "ok"]


def test_any_name_and_unit_gives_text_that_promtool_accepts(tmp_path):
    rows = [cell("db", "command", 0, 0, 5.0, metric=metric, unit=unit, host=HOSTILE, policy=HOSTILE, mem_node=None)
            for metric, unit in (("wall_time", "s"), ("minor_faults", "faults"), ("peak_memory", "B"), ("tps", "1/s"),
                                 ("hit-rate", "%"), ("hit_rate", "%"), ("9 lives", "q²/s"), ("é", "B/op"),
                                 ("miss", "ms"))]
    text = exported("prometheus", write(tmp_path / "run", rows))
    found = samples_of(text)
    values = {name: value for (name, _), value in found.items()}
    assert values["numa_alloc_wall_time_seconds"] == 5 and values["numa_alloc_miss_seconds"] == 0.005
    assert values["numa_alloc_peak_memory_bytes"] == 5 and values["numa_alloc_tps_per_second"] == 5
    assert values["numa_alloc_metric_bytes_per_op"] == 5
    assert values["numa_alloc_hit_rate_ratio"] == values["numa_alloc_hit_rate_ratio_"] == 0.05
    assert dict(next(iter(found))[1])["host"] == HOSTILE.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    promtool_accepts(text)


def test_promtool_accepts_a_run(tmp_path):
    promtool_accepts(exported("prometheus", write(tmp_path / "run", matrix())))


# all of them

def test_help_lists_the_formats():
    done = plot("--export", "help")
    assert done.returncode == 0 and [line.split()[0] for line in done.stdout.splitlines()[1:]] == \
        ["hwloc", "slit", "json", "prometheus"]


def test_an_unknown_format_is_a_wrong_use(tmp_path):
    assert "no format 'xml'; hwloc, slit, json, prometheus" in refused("--export", "xml", tmp_path, status=2)


def test_several_runs_or_a_fleet_are_a_wrong_use(tmp_path):
    one, two = (write(tmp_path / "all" / name, matrix()) for name in ("one", "two"))
    assert "not 2" in refused("--export", "json", one, two, status=2)
    assert "has 2" in refused("--export", "json", tmp_path / "all", status=2)
    (tmp_path / "all" / "hosts.csv").write_text("host\n")
    assert "is a fleet's" in refused("--export", "json", tmp_path / "all", status=2)


def test_no_run_and_no_cells_are_one_line(tmp_path):
    assert "no such folder" in refused("--export", "json", tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    assert "no runs here" in refused("--export", "json", tmp_path / "empty")


@pytest.mark.parametrize("name", ["slit", "json", "prometheus"])
def test_out_writes_what_standard_output_gets(tmp_path, name):
    folder, path = write(tmp_path / "run", matrix()), tmp_path / "written"
    done = plot("--export", name, folder, "--out", path)
    assert done.returncode == 0 and done.stdout == "" and path.read_text(encoding="utf-8") == exported(name, folder)


def test_what_cannot_be_exported_leaves_the_file_as_it_was(tmp_path):
    folder, path = write(tmp_path / "run", [cell("bandwidth", "read", 0, 0, 20.0)]), tmp_path / "written"
    path.write_text("kept")
    refused("--export", "slit", folder, "--out", path)
    assert path.read_text() == "kept" and sorted(tmp_path.iterdir()) == [folder, path]


def test_out_is_never_put_in_the_place_of_a_device_or_folder(tmp_path):
    folder = write(tmp_path / "run", matrix())
    for path in ("/dev/null", tmp_path):
        assert "is not a file" in refused("--export", "json", folder, "--out", path, status=2)
    assert "no/such" in refused("--export", "json", folder, "--out", tmp_path / "no" / "such")


def test_an_environment_that_says_nothing_is_no_traceback(tmp_path):
    for number, described in enumerate(({"topology": 3}, {"topology": {"nodes": [{"id": [], "cpus": "0"}]}},
                                        {"topology": {"nodes": [{"id": 0, "cpus": None}], "distances": [1]}})):
        folder = write(tmp_path / str(number), matrix(), described)
        assert exported("slit", folder).startswith("node distances:\nnode   0   1\n  0:  10  17\n")
        assert "does not say which nodes" in refused("--export", "hwloc", folder)
