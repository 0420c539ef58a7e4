"""From what the runs left in cells/ to samples, and to the reasons of the failures."""

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest
from made_up_sweep import RECORD, jobs_of, leave, leave_bench, machine, parsed

from numa_report.errors import ReportError
from numa_sweep import collect, options as option_words, plan, records, scripts, workload


class Sweep:
    """A finished one: its folder, options and jobs."""

    def __init__(self, folder, *words):
        self.folder, self.options = str(folder), parsed(*words)
        self.jobs = [job for job in jobs_of(*words, topology=machine({0: [0]})) if job.seq]
        (folder / "cells").mkdir()

    def results(self):
        results = collect.Results(self.folder, self.jobs, self.options, "testhost")
        self.missing = results.take_all()
        return results

    def file(self, number, ending):
        return Path(self.jobs[number].file(self.folder, ending))


@pytest.fixture
def sweep(tmp_path):
    """One latency cell in two rounds."""
    made = Sweep(tmp_path, "--bench", "latency", "--rounds", "2")
    for job in made.jobs:
        leave_bench(made.folder, job)
    return made


@pytest.fixture
def of_command(tmp_path):
    made = Sweep(tmp_path, "--rounds", "2", "--metric", r"tps=tps = (\S+):1/s",
                 "--metric", "lag=lag (-?[0-9.]+):ms:higher", "--", "prog")
    for job in made.jobs:
        leave(made.folder, job, output="lag 3\ntps = 5\nlag 4.5\n", errors="lag 0\n")
    return made


def test_samples_get_run_host_round_cell_number_and_better(sweep):
    results = sweep.results()
    assert not results.reasons() and not sweep.missing
    rows = collect.write(results)
    name = Path(sweep.folder).name
    assert [(row["run"], row["host"], row["round"], row["cell"], row["sample"], row["better"]) for row in rows] == [
        (name, "testhost", r, "latency.random.cpu0.node0", k, "lower") for r in (1, 2) for k in range(1, 6)]


def test_samples_are_written_in_the_order_of_cells_whatever_the_order_of_running(tmp_path):
    made = Sweep(tmp_path, "--rounds", "3", "--sizes", "1M,64K,2M", "--seed", "5")
    for job in made.jobs:
        leave_bench(made.folder, job, size_bytes=option_words.size_bytes(job.size))
    rows = collect.write(made.results())
    seen = [row["cell"] for row in rows]
    assert seen == sorted(seen, key=seen.index)  # each cell's rows together
    assert all([row["round"] for row in rows if row["cell"] == cell] == sorted(
        row["round"] for row in rows if row["cell"] == cell) for cell in set(seen))


def test_the_sentinels_samples_are_in_a_file_of_their_own(tmp_path):
    made = Sweep(tmp_path, "--rounds", "2")
    for job in made.jobs:
        leave_bench(made.folder, job, value=200.0 if job.kind == plan.SENTINEL else 100.0)
    collect.write(made.results())
    with open(tmp_path / "sentinel.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["round"], row["value"]) for row in rows] == [(str(n), "200.0") for n in (1, 2, 3) for _ in range(5)]
    with open(tmp_path / "samples.csv", encoding="utf-8", newline="") as file:
        assert {row["value"] for row in csv.DictReader(file)} == {"100.0"}


@pytest.mark.parametrize("changes, errors, reason", [
    ({"exit_status": 1}, "what\nno node 3\n\n", "exit status 1: no node 3"),
    ({"exit_status": None, "signal": 9}, "", "killed by signal 9"),
    ({"exit_status": None, "signal": 15, "timed_out": True}, "so far\n", "ran past the time limit (--timeout)"),
    ({"exit_status": 127}, b"\xff garbage\n\n", "exit status 127: \ufffd garbage"),
    ({"exit_status": 1}, "x" * 300, "exit status 1: " + "x" * 200),
    ({"exit_status": None, "setup_status": 3}, "no database\n", "setup: exit status 3: no database"),
    ({"teardown_status": 1}, "", "teardown: exit status 1"),
])
def test_a_failed_run_is_a_reason(sweep, changes, errors, reason):
    leave(sweep.folder, sweep.jobs[1], errors=errors, **changes)
    results = sweep.results()
    assert results.reasons() == {sweep.jobs[1]: reason}
    assert len(collect.write(results)) == 5


@pytest.mark.parametrize("in_force, told", [("2M", None), ("mixed", None), ("default", "default pages, not 2M as asked")])
def test_a_run_that_did_not_get_the_pages_asked_for_fails(tmp_path, in_force, told):
    made = Sweep(tmp_path, "--bench", "latency", "--rounds", "1", "--pages", "2M")
    leave_bench(made.folder, made.jobs[0], pages=in_force)
    results = made.results()
    if told:
        assert told in results.failures[1]
    else:
        assert {(row["pages"], row["pages_in_force"]) for row in results.samples[1]} == {("2M", in_force)}


@pytest.mark.parametrize("old, new, reason", [
    (",numa_alloc,", ",glibc,", "allocator is glibc, not numa_alloc as asked"),
    (",bind:0,", ",bind:1,", "policy is bind:1, not bind:0 as asked"),
    (",ns,0,0,0,", ",ns,1,0,0,", "cpu is 1, not 0 as asked"),
    (",random,100.0", ",random,-", "column value"),
    (",random,100.0", ",random,\"100", "not CSV"),
])
def test_output_of_another_cell_than_asked_is_a_failure(sweep, old, new, reason):
    path = sweep.file(0, "out")
    path.write_text(path.read_text().replace(old, new))
    assert reason in sweep.results().failures[1]


@pytest.mark.parametrize("text", ["", "\n", "half a ta"])
def test_an_output_without_rows_is_a_failure(sweep, text):
    sweep.file(0, "out").write_text(text)
    assert "round1.latency.cpu0.node0.out" in sweep.results().failures[1]


def test_an_output_that_is_gone_is_a_failure(sweep):
    sweep.file(1, "out").unlink()
    assert sweep.results().failures == {2: "cells/round2.latency.cpu0.node0.out is gone"}


@pytest.mark.parametrize("text", [
    "", "{", "[]", "null", '"wall_s"', "[" * 100000, json.dumps(RECORD)[:-1],
    json.dumps({key: value for key, value in RECORD.items() if key != "user_s"}),
])
def test_a_record_that_is_damaged_is_a_failure(sweep, text):
    sweep.file(0, "run").write_text(text)
    assert sweep.results().failures == {1: "cells/round1.latency.cpu0.node0.run: not a record of a run"}


def test_runs_without_a_record_are_missing_not_guessed(sweep):
    sweep.file(0, "run").unlink()
    assert sweep.results().samples.keys() == {2} and [job.seq for job in sweep.missing] == [1]
    with pytest.raises(ReportError, match="1 of its 2 runs has not been done; continue with: .*--resume"):
        collect.refuse_missing(sweep.folder, sweep.missing, sweep.jobs)


def test_a_forgotten_run_has_not_been_done(sweep):
    os.mkdir(sweep.file(0, "stats"))
    sweep.file(0, "placement").write_text("{}")
    sweep.file(0, "sh").write_text("")
    records.forget(sweep.folder, sweep.jobs[0])
    assert sorted(path.name for path in sweep.file(0, "x").parent.glob("round1.*")) == ["round1.latency.cpu0.node0.sh"]
    assert records.read(sweep.folder, sweep.jobs[0]) is None


# A command's.

def test_a_command_gives_its_resources_and_every_match_of_its_metrics(of_command):
    rows = collect.write(of_command.results())
    first = [(row["metric"], row["value"], row["unit"], row["better"]) for row in rows if row["round"] == 1]
    assert sorted(first) == sorted([
        ("wall_time", 1.5, "s", "lower"), ("user_time", 1.25, "s", "lower"), ("system_time", 0.25, "s", "lower"),
        ("peak_memory", 4 << 20, "B", "lower"), ("minor_faults", 300, "faults", "lower"),
        ("major_faults", 0, "faults", "lower"), ("tps", 5.0, "1/s", "higher"), ("lag", 3.0, "ms", "higher"),
        ("lag", 4.5, "ms", "higher"), ("lag", 0.0, "ms", "higher")])
    assert {row["cell"] for row in rows} == {"prog.command.cpu0.node0"}
    assert [row["sample"] for row in rows if row["metric"] == "lag"] == [1, 2, 3, 1, 2, 3]
    assert {row["placement"] for row in rows} == {"unverified"}


@pytest.mark.parametrize("output, reason", [
    ("lag 3\n", r"metric tps: 'tps = (\S+)' matches nothing it printed"),
    ("lag 3\ntps = fast\n", "metric tps: 'fast' is not a number"),
    ("lag 3\ntps = 1,000\n", "metric tps: '1,000' is not a number"),
    ("lag 3\ntps = nan\n", "metric tps: 'nan' is not a finite number"),
    ("lag -3\ntps = 4\n", "metric lag: '-3' is negative"),
])
def test_a_metric_that_cannot_be_read_fails_the_run(of_command, output, reason):
    leave(of_command.folder, of_command.jobs[0], output=output)
    results = of_command.results()
    assert results.reasons() == {of_command.jobs[0]: reason}


@pytest.mark.parametrize("spec, output, values", [
    ("a=[0-9]+:s", "1 and 22", [1, 22]), ("a=^n ([0-9]+):s", "n 1\nm n 2\nn 3", [1, 3]),
    ("a=x(?:y|z)([0-9.]+):s", "xy1 xz.5", [1, 0.5]),
    ("a=t: ([0-9:]+|[0-9]+):s", "t: 7", [7]), ("a=([0-9.eE+-]+) s$:s", "1.5e3 s\n", [1500]),
])
def test_metrics_are_pythons_expressions(spec, output, values):
    assert workload.Metric(spec).values(output) == values


@pytest.mark.parametrize("spec, unit, better", [
    ("a=b:s", "s", "lower"), ("a=b:1/s", "1/s", "higher"), ("a=b:MB/s:lower", "MB/s", "lower"),
    ("a=b:points:higher", "points", "higher"), ("a=b:c:d", "d", "lower"),
])
def test_a_metrics_unit_says_what_is_better_unless_told(spec, unit, better):
    metric = workload.Metric(spec)
    assert (metric.unit, metric.better) == (unit, better)


# Where its memory was.

def statistics(folder, name, on_node=100, elsewhere=0, status="ok", one_in=1, resident=None):
    os.makedirs(folder, exist_ok=True)
    Path(folder, name).write_text(json.dumps({"placement_check_one_in": one_in, "nodes": [
        {"node": 0, "placement_check": {"status": status, "on_node_pages": on_node, "elsewhere_pages": elsewhere},
         "resident_bytes": resident or {"0": on_node << 12, "1": elsewhere << 12}}]}))


@pytest.mark.parametrize("processes, placement, fraction, pages", [
    ([{}], "verified", 1.0, "N0=100;N1=0"), ([{}, {"on_node": 60, "elsewhere": 40}], "failed", 0.8, "N0=160;N1=40"),
    ([{"status": "refused"}, {}], "unverified", None, "N0=200;N1=0"),
    ([{"on_node": 0}], "unverified", None, "N0=0;N1=0"), ([], "unverified", None, ""),
    ([{"on_node": 1, "one_in": 1000}, {"elsewhere": 1, "on_node": 0}], "verified", 1000 / 1001, "N0=1;N1=1"),
])
def test_placement_is_added_up_over_a_commands_processes(of_command, processes, placement, fraction, pages):
    job = of_command.jobs[0]
    os.mkdir(job.file(of_command.folder, "stats"))
    for number, what in enumerate(processes):
        statistics(job.file(of_command.folder, "stats"), f"{number}.json", **what)
    [row, *_] = of_command.results().samples[1]
    assert (row["placement"], row["pages_on_nodes"]) == (placement, pages)
    assert row["placed_fraction"] == (None if fraction is None else pytest.approx(fraction))
    assert not os.path.exists(job.file(of_command.folder, "stats"))
    [again, *_] = of_command.results().samples[1]  # from what was kept
    assert again == row


def test_statistics_that_were_cut_do_not_count(of_command):
    folder = of_command.jobs[0].file(of_command.folder, "stats")
    statistics(folder, "1.json")
    Path(folder, "2.json").write_text(Path(folder, "1.json").read_text()[:-10])
    Path(folder, "3.json").write_text('{"nodes": [{}]}')
    assert of_command.results().samples[1][0]["placement"] == "verified"


# The joblog.

def test_the_joblog_keeps_its_own_lines_of_what_is_done_and_gets_those_it_lacks(sweep):
    path = Path(sweep.folder, "joblog.tsv")
    own = "1\t:\t17.5\t1.0\t0\t0\t0\t0\tsh cells/x.sh\n"
    path.write_text(records.JOBLOG_HEADER + own + "3\t:\t18.0\t1.0\t0\t0\t0\t0\tno such\n2\t:\t1.0")
    records.write_joblog(sweep.folder, sweep.jobs, {1: RECORD, 2: RECORD})
    assert path.read_text() == \
        records.JOBLOG_HEADER + own + f"2\t:\t0.000\t1.500\t0\t0\t0\t0\t{sweep.jobs[1].name}\n"
    records.write_joblog(sweep.folder, sweep.jobs, {})
    assert path.read_text() == records.JOBLOG_HEADER


# The scripts.

def test_scripts_survive_spaces_and_quotes(tmp_path):
    folder = tmp_path / "it's a run"
    (folder / "cells").mkdir(parents=True)
    options = parsed("--rounds", "1", "--setup", "echo 'a b' >\"{cpu} x\"", "--", "pro'g", "$HOME", "", "a\nb")
    job = [job for job in jobs_of("--rounds", "1", "--", "x", topology=machine({0: [0]})) if job.seq][0]
    options.directory = str(tmp_path)
    text = scripts.script(job, options, "/a/project", str(folder), "SOCKET")
    (tmp_path / "show").write_text('#!/bin/sh\nfor word; do printf "%s|" "$word"; done\n')
    (tmp_path / "show").chmod(0o755)
    done = subprocess.run(["sh", "-c", text.replace("/a/project/harness/run_cell", "./show")], cwd=tmp_path,
                          capture_output=True, text=True, check=True, env={**os.environ, "SOCKET": "7"})
    words = done.stdout.split("|")
    assert words[words.index("--record") + 1] == str(folder / "cells" / "round1.x.cpu0.node0.run")
    assert words[words.index("--setup") + 1] == "echo 'a b' >\"0 x\"" and words[words.index("--conductor") + 1] == "7"
    assert words[-5:] == ["pro'g", "$HOME", "", "a\nb", ""]
    assert (folder / "cells" / "round1.x.cpu0.node0.stats").is_dir()


@pytest.mark.parametrize("words, timeout", [
    ([], 300), (["--timeout", "7"], 7), (["--", "x"], 3600), (["--timeout", "7", "--", "x"], 7),
])
def test_the_time_limit(words, timeout):
    assert scripts.timeout_s(parsed(*words)) == timeout


@pytest.mark.parametrize("root", ["/a b", "/a:b"])
def test_a_command_cannot_preload_ours_from_a_path_with_a_space_or_colon(root):
    words = ["--cpus", "0", "--allocators", "numa_alloc,glibc", "--", "true"]
    jobs = {job.allocator: job for job in jobs_of(*words, topology=machine({0: [0]}))}
    with pytest.raises(ReportError, match="a path with a space or colon cannot be preloaded"):
        scripts.placed_words(jobs["numa_alloc"], parsed(*words), root, "/a/run")
    assert "taskset" in scripts.placed_words(jobs["glibc"], parsed(*words), root, "/a/run")
    assert scripts.library_words(parsed(), root) == "alloc/numa_alloc.so"
