"""What other tools printed becomes a run with their figures and nothing else; what is damaged is one line.

inputs/mlc_*.txt have the tables, with the lines that head them, that Intel MLC printed on a dual Cascade Lake and a
dual Broadwell in Cluster-on-Die mode; the figures are published in github.com/gjbex/Code-optimization,
info/cascadelake_mlc.txt and info/broadwell_mlc.txt. The others are this project's own
runs: multichase (commit a1ffd89) and likwid-bench 5.2.2 on a host, numademo 2.0.16 in the lab's two-node machine.
"""

import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from exported_runs import plot

from numa_exchange import importing
from numa_exchange.importing import FORMATS, Place
from numa_report.errors import ReportError, UsageError, run_main
from numa_report.run import Run

INPUTS = Path(__file__).parent / "inputs"
OF = {"mlc_v3.11a.txt": "mlc", "mlc_v3.1a.txt": "mlc", "numademo.txt": "numademo", "likwid.txt": "likwid-bench",
      "multichase_v.txt": "multichase", "multichase.txt": "multichase"}


def imported(tmp_path, file, **options):
    folder = tmp_path / "a run"
    assert importing.main(OF[Path(file).name], [str(file if Path(file).is_absolute() else INPUTS / file)], str(folder),
                          "old1", options.get("cpu_node", 0), options.get("mem_node", 1)) == 0
    return Run(str(folder))


def cells(run, bench):
    return {(row["variant"], row["cpu_node"], row["mem_node"]): row["median"]
            for row in run.rows if row["bench"] == bench}


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
    penalty = {(row["cpu_node"], row["mem_node"]): row["penalty"] for row in run.rows if row["bench"] == "latency"}
    assert penalty[0, 3] == pytest.approx(196.0 / 73.8, 1e-5) and all(penalty[i, i] == 1 for i in range(4))
    assert "(CPUs of node 0 to memory of node 3: 196 ns, local 73.8 ns" in run.words[0]


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


def test_mlc_of_another_version_or_with_other_options_is_no_round(tmp_path, capsys):
    text = (INPUTS / "mlc_v3.11a.txt").read_text()
    assert refused(tmp_path, capsys, text + text.replace("v3.11a", "v3.10")).endswith(
        ": MLC v3.10, but v3.11a above: import them one by one\n")
    more = text.replace("v3.11a", "v3.11a\nCommand line parameters: --latency_matrix -l128")
    assert "of other options (-l128) than an earlier one of its kind (none)" in refused(tmp_path, capsys, text + more)


def test_mlc_figures_of_the_whole_machine_are_kept_beside_the_cells(tmp_path, capsys):
    kept = imported(tmp_path, "mlc_v3.11a.txt").environment["imported_from"]["whole_machine"]
    assert kept["peak bandwidth of ALL Reads in GB/s"] == [225.6868]
    assert "no cell's" in capsys.readouterr().err


def test_mlc_memory_without_cpus_is_a_column_and_its_missing_row_is_said(tmp_path, capsys):
    """Figures: github.com/cxl-reskit/cxl-reskit, doc/tools.md, of MLC 3.9."""
    path = tmp_path / "mlc_v3.11a.txt"
    path.write_text("""\
[root@db1 ~]# ./mlc --latency_matrix
Intel(R) Memory Latency Checker - v3.9
Command line parameters: --latency_matrix

Using buffer size of 2000.000MiB
Measuring idle latencies (in ns)...
                Numa node
Numa node            0       1
       0          84.5   564.5
[root@db1 ~]#
""")
    run = imported(tmp_path, path)
    assert cells(run, "latency") == {("unstated", 0, 0): 84.5, ("unstated", 0, 1): 564.5}
    assert {(row["size_bytes"], row["threads"]) for row in run.rows} == {(2000 << 20, 1)}
    assert [row["penalty"] for row in run.rows] == [1.0, pytest.approx(6.68047)]
    assert "node 1 has no row: it has no CPUs, or the file was cut" in capsys.readouterr().err


def test_mlc_latencies_of_one_place_are_by_buffer_size(tmp_path):
    path = tmp_path / "mlc_v3.11a.txt"
    path.write_text("".join(f"""\
Intel(R) Memory Latency Checker - v3.11b
Command line parameters: --idle_latency -b{kib}

Using buffer size of {kib / 1024:.3f}MiB
Each iteration took 30.9 base frequency clocks (\t{value}\tns)
""" for kib, value in ((1024, 7.4), (98304, 13.1), (1024, 7.6))))
    run = imported(tmp_path, path, cpu_node=1, mem_node=0)
    assert {(row["size_bytes"], row["median"], row["rounds"]) for row in run.rows} == {
        (1 << 20, 7.5, 2), (96 << 20, 13.1, 1)}
    assert {(row["cpu_node"], row["mem_node"]) for row in run.rows} == {(1, 0)}


def test_multichase_with_more_words_and_times_of_day(tmp_path):
    path = tmp_path / "multichase_v.txt"
    text = (INPUTS / path.name).read_text().replace("samples (", "generating permutation of 131072 elements\nsamples (")
    path.write_text("user@db1:~$ multichase -vv -y\n" + "".join(
        f"1795416626.{819945 + number} {line}" for number, line in enumerate(text.splitlines(True))))
    (row,) = imported(tmp_path, path).rows
    assert row["samples"] == 3 and row["median"] == 2254.2


def test_runs_of_other_sizes_are_other_cells(tmp_path):
    path = tmp_path / "multichase_v.txt"
    text = (INPUTS / path.name).read_text()
    path.write_text(text + text.replace("67108864", "33554432") + text.replace("67108864", "33554432"))
    rows = imported(tmp_path, path).rows
    assert {(row["size_bytes"], row["rounds"]) for row in rows} == {(64 << 20, 1), (32 << 20, 2)}


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


def test_numademo_without_its_line_of_the_cpus_is_refused(tmp_path, capsys):
    text = (INPUTS / "numademo.txt").read_text()
    assert "a line `running on node N` is missing" in refused(
        tmp_path, capsys, text.replace("running on node 1, preferred node -1\n", "", 1), "numademo")


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


def refused(tmp_path, capsys, text, format="mlc"):
    """The one line that is said in place of a run."""
    path = tmp_path / "input.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    status = run_main("plot.py", lambda: importing.main(format, [str(path)], str(tmp_path / "out"), None, 0, 0))
    error = capsys.readouterr().err
    assert status == 1 and len(error.splitlines()) == 1 and error.startswith(f"plot.py: {path}:") and len(error) < 400
    assert not (tmp_path / "out").exists()
    return error


def test_the_original_is_kept_and_drawn(tmp_path):
    """Through the real program, once, to its page."""
    done = plot("--import", "mlc", INPUTS / "mlc_v3.11a.txt", "--out", tmp_path / "run")
    assert done.returncode == 0 and "46 figures of Intel MLC v3.11a" in done.stdout and "no cell's" in done.stderr
    assert (tmp_path / "run" / "original.txt").read_bytes() == (INPUTS / "mlc_v3.11a.txt").read_bytes()
    done = plot(tmp_path / "run")
    assert done.returncode == 0 and done.stdout.startswith("penalty: ") and (tmp_path / "run" / "loaded.png").exists()
    assert "140" in (tmp_path / "run" / "report.html").read_text()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "kept").write_text("mine")
    with pytest.raises(UsageError, match="not a new or empty folder"):
        importing.main("mlc", [str(INPUTS / "mlc_v3.11a.txt")], str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_without_out_each_import_has_a_folder_named_by_time_and_host(tmp_path, monkeypatch):
    monkeypatch.setattr(importing.os.path, "realpath", lambda _: str(tmp_path / "harness" / "numa_exchange" / "x.py"))
    for _ in range(3):
        importing.main("mlc", [str(INPUTS / "mlc_v3.11a.txt")], host="db 1/x")
    folders = list((tmp_path / "results").iterdir())
    assert len(folders) == 3 and all(re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-db-1-x(-[23])?", path.name) for path in folders)
    assert {Run(str(path)).rows[0]["host"] for path in folders} == {"db 1/x"}


def test_an_unknown_format_names_those_there_are(capsys):
    assert run_main("plot.py", lambda: importing.main("lmbench", ["x"])) == 2
    assert capsys.readouterr().err == \
        "plot.py: --import: no format 'lmbench'; mlc, multichase, numademo, likwid-bench are known\n"


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
    refused(tmp_path, capsys, MUTATIONS[name](text, lambda _: own), OF[file])


@pytest.mark.parametrize("file", sorted(OF))
def test_a_file_that_is_cut_anywhere_never_gives_another_figure(tmp_path, file):
    """A shorter run, with those of its figures that were whole, or one line."""
    text = (INPUTS / file).read_text()

    def figures(text):
        path = tmp_path / "input.txt"
        path.write_text(text)
        found = FORMATS[OF[file]][0].parse(str(path), importing.text_of(str(path), importing.read_bytes(str(path))).splitlines(), Place(0, 1))
        return [(row["bench"], row["metric"], row.get("cell"), row["round"], row["variant"], row["value"])
                for row in [*found.samples, *found.loaded]]

    whole, outcomes = Counter(figures(text)), Counter()
    for end in range(0, len(text), 1 + len(text) // 150):
        for cut in (text[:end], text[:end + 1].rpartition("\n")[0] + "\n"):
            try:
                assert not Counter(figures(cut)) - whole
                outcomes["shorter"] += 1
            except ReportError:
                outcomes["a line"] += 1
    assert outcomes["a line"] >= 20 and outcomes["shorter"] >= 1


def test_environment_says_where_it_is_from(tmp_path):
    imported(tmp_path, "multichase.txt")
    described = json.loads((tmp_path / "a run" / "environment.json").read_text())
    assert described["imported_from"] == {"tool": "multichase", "file": "multichase.txt", "options": "",
                                           "whole_machine": {}}
