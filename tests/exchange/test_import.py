"""What other tools printed becomes a run with their figures and nothing else; what is damaged is one line.

inputs/mlc_*.txt have the tables, with the lines that head them, that Intel MLC printed on a dual Cascade Lake and a dual
Broadwell in Cluster-on-Die mode; the figures are published in github.com/gjbex/Code-optimization,
info/cascadelake_mlc.txt and info/broadwell_mlc.txt. The others are this project's own
runs: multichase (commit a1ffd89) and likwid-bench 5.2.2 on a host, numademo 2.0.16 in the lab's two-node machine.
"""

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "harness"))

from numa_exchange import importing  # noqa: E402
from numa_report.errors import UsageError, run_main  # noqa: E402
from numa_report.run import Run  # noqa: E402

INPUTS = Path(__file__).parent / "inputs"
OF = {"mlc_v3.11a.txt": "mlc", "mlc_v3.1a.txt": "mlc", "numademo.txt": "numademo", "likwid.txt": "likwid-bench",
      "multichase_v.txt": "multichase", "multichase.txt": "multichase"}


def imported(tmp_path, file, **options):
    folder = tmp_path / "a run"
    assert importing.main(OF[Path(file).name], [str(file if Path(file).is_absolute() else INPUTS / file)], str(folder),
                          "old1", options.get("cpu_node", 0), options.get("mem_node", 1)) == 0
    return Run(str(folder))


def cells(run, bench):
    return {(row["variant"], row["cpu_node"], row["mem_node"]): row["median"] for row in run.rows if row["bench"] == bench}


def test_mlc_matrices_are_cells_in_our_units(tmp_path):
    run = imported(tmp_path, "mlc_v3.11a.txt")
    assert cells(run, "latency") == {("random", 0, 0): 87.6, ("random", 0, 1): 140.4, ("random", 1, 0): 141.8,
                                     ("random", 1, 1): 88.2}
    assert cells(run, "bandwidth") == {("read", 0, 0): 112.846, ("read", 0, 1): 34.3399, ("read", 1, 0): 34.3524,
                                       ("read", 1, 1): 113.115}  # MB/s of 10^6 bytes; matrix.csv has six digits
    assert {(row["cpu"], row["allocator"], row["placement"], row["policy"]) for row in run.rows} == {
        (None, "", "unverified", "bind:0"), (None, "", "unverified", "bind:1")}
    assert run.environment["imported_from"]["tool"] == "Intel MLC v3.11a" and run.environment["host"] == "old1"


def test_mlc_four_nodes_of_an_older_version(tmp_path):
    run = imported(tmp_path, "mlc_v3.1a.txt")
    latency = cells(run, "latency")
    assert len(latency) == 16 and latency["unstated", 0, 3] == 196.0 and latency["unstated", 3, 2] == 141.1


def test_mlc_loaded_latencies_become_a_curve_by_rising_load(tmp_path):
    run = imported(tmp_path, "mlc_v3.11a.txt")
    rows = run.singles["loaded"]
    assert len(rows) == 2 * 19
    assert [(row["metric"], row["value"]) for row in rows[:2] + rows[-2:]] == [
        ("loaded_latency", 88.24), ("bandwidth", 2.1901), ("loaded_latency", 155.0), ("bandwidth", 226.844)]


def test_several_runs_in_a_file_are_rounds(tmp_path):
    path = tmp_path / "mlc_v3.11a.txt"
    text = (INPUTS / path.name).read_text()
    path.write_text(text + text.replace("87.6", "89.6"))
    run = imported(tmp_path, path)
    assert cells(run, "latency")["random", 0, 0] == 88.6
    assert {row["rounds"] for row in run.rows} == {2}


@pytest.mark.parametrize("change", [
    lambda text: text.replace("\n", "\r\n"), lambda text: "\ufeff" + text,
    lambda text: text.replace("87.6", "\x1b[1m87.6\x1b[0m"),
    lambda text: "user@db1:~$ sudo ./mlc\n" + text + "user@db1:~$ \n",
], ids=["CRLF", "byte order mark", "colours", "prompts"])
def test_what_a_terminal_adds_changes_nothing(tmp_path, change):
    path = tmp_path / "mlc_v3.11a.txt"
    path.write_bytes(change((INPUTS / path.name).read_text()).encode())
    assert len(cells(imported(tmp_path, path), "latency")) == 4


def test_numademo_counts_where_it_names_both_nodes(tmp_path):
    run = imported(tmp_path, "numademo.txt")
    assert cells(run, "bandwidth")["memset", 0, 1] == 0.02677 and cells(run, "bandwidth")["memset", 1, 1] == 0.02445
    assert {(row["cpu_node"], row["mem_node"]) for row in run.rows} == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_likwid_bench_counts_in_10_to_the_6_bytes(tmp_path):
    text = (INPUTS / "likwid.txt").read_text()
    wanted = [float(line.split()[1]) / 1000 for line in text.splitlines() if line.startswith("MByte/s:")]
    run = imported(tmp_path, "likwid.txt", cpu_node=2, mem_node=3)
    assert [cells(run, "bandwidth")[variant, 2, 3] for variant in ("load", "copy")] == pytest.approx(wanted, rel=1e-5)
    assert {(row["threads"], row["size_bytes"]) for row in run.rows} == {(1, 8000000)}


def test_multichase_samples_count_where_they_are_printed(tmp_path):
    lines = (INPUTS / "multichase_v.txt").read_text().splitlines()
    wanted = sorted(float(line.split("avg=")[1]) for line in lines if "avg=" in line)
    (row,) = imported(tmp_path, "multichase_v.txt").rows
    assert row["samples"] == 3 and row["median"] == wanted[1] and row["size_bytes"] == 64 << 20


def test_multichase_plain_runs_are_rounds(tmp_path):
    wanted = sorted(map(float, (INPUTS / "multichase.txt").read_text().split()))
    (row,) = imported(tmp_path, "multichase.txt").rows
    assert row["rounds"] == 3 and row["median"] == wanted[1]


@pytest.mark.parametrize("file", ["likwid.txt", "multichase.txt"])
def test_where_a_tool_ran_is_asked_for_and_not_guessed(tmp_path, file):
    with pytest.raises(UsageError, match="--cpu-node and --mem-node"):
        importing.main(OF[file], [str(INPUTS / file)], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_original_is_kept_and_drawn(tmp_path):
    """Through the real program, once, to its page."""
    done = subprocess.run([sys.executable, ROOT / "harness" / "plot.py", "--import", "mlc", INPUTS / "mlc_v3.11a.txt", "--out",
                           tmp_path / "run"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "46 figures of Intel MLC v3.11a" in done.stdout and "left out: peak" in done.stderr
    assert (tmp_path / "run" / "original.txt").read_bytes() == (INPUTS / "mlc_v3.11a.txt").read_bytes()
    done = subprocess.run([sys.executable, ROOT / "harness" / "plot.py", tmp_path / "run"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0 and done.stdout.startswith("penalty: ") and (tmp_path / "run" / "loaded.png").exists()
    assert "140" in (tmp_path / "run" / "report.html").read_text()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(UsageError, match="not a new or empty folder"):
        importing.main("mlc", [str(INPUTS / "mlc_v3.11a.txt")], str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_unknown_format_names_those_there_are(capsys):
    assert run_main("plot.py", lambda: importing.main("lmbench", ["x"])) == 2
    assert capsys.readouterr().err == ("plot.py: --import: 'lmbench' is not a format; there are mlc, multichase, numademo, "
                                       "likwid-bench\n")


def test_a_disk_that_is_full_leaves_no_part(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(importing, "write_table", refuse)
    with pytest.raises(OSError):
        importing.main("mlc", [str(INPUTS / "mlc_v3.11a.txt")], str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


MUTATIONS = {
    "cut in a table": lambda text, choose: text[:text.index("\n", text.index("Numa node\t")) + 12],
    "a word for a figure": lambda text, choose: text.replace(choose(text), "fast", 1),
    "NaN": lambda text, choose: text.replace(choose(text), "nan", 1),
    "negative": lambda text, choose: text.replace(choose(text), "-" + choose(text), 1),
    "huge": lambda text, choose: text.replace(choose(text), "9" * 60, 1),
    "decimal comma": lambda text, choose: text.replace(choose(text), choose(text).replace(".", ","), 1),
    "zero": lambda text, choose: text.replace(choose(text), "0.0", 1),
    "UTF-16": lambda text, choose: text.encode("utf-16"),
    "Latin-1": lambda text, choose: text.encode() + b"\xe4\n",
    "zero byte": lambda text, choose: text + "\0",
    "empty": lambda text, choose: "",
    "another tool's": lambda text, choose: "stress-ng: info: [1] dispatching hogs\n",
    "random bytes": lambda text, choose: bytes(random.Random(1).randbytes(4000)),
}
FIGURE = {"mlc_v3.11a.txt": "140.4", "numademo.txt": "26.77", "likwid.txt": None, "multichase.txt": None}


@pytest.mark.parametrize("file", FIGURE)
@pytest.mark.parametrize("name", MUTATIONS)
def test_damaged_output_is_one_line_and_leaves_no_folder(tmp_path, capsys, file, name):
    text = (INPUTS / file).read_text()
    own = FIGURE[file] or (text.split("MByte/s:")[1].split()[0] if file == "likwid.txt" else text.split()[0])
    if name == "cut in a table" and file != "mlc_v3.11a.txt":
        text = (INPUTS / "mlc_v3.11a.txt").read_text()  # which is another tool's
    mutated = MUTATIONS[name](text, lambda _: own)
    path = tmp_path / "input.txt"
    path.write_bytes(mutated if isinstance(mutated, bytes) else mutated.encode())
    status = run_main("plot.py", lambda: importing.main(OF[file], [str(path)], str(tmp_path / "out"), None, 0, 0))
    error = capsys.readouterr().err
    assert status == 1 and len(error.splitlines()) == 1 and error.startswith(f"plot.py: {path}:") and len(error) < 400
    assert not (tmp_path / "out").exists()


def test_environment_says_where_it_is_from(tmp_path):
    imported(tmp_path, "multichase.txt")
    described = json.loads((tmp_path / "a run" / "environment.json").read_text())
    assert described["imported_from"] == {"tool": "multichase", "file": "multichase.txt", "options": ""}
    shutil.rmtree(tmp_path / "a run")
