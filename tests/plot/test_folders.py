"""Folders of sweeps that have ended, that have not, and of many hosts: what plot.py says of each."""

import json
import subprocess
import sys

import pytest
from conftest import HARNESS, environment, job, machine, write_run

from numa_report import runs, schema, tables
from numa_report.errors import ReportError
from numa_report.run import Run
from numa_sweep import host_rows, plan


def plot(folder):
    return subprocess.run([sys.executable, HARNESS / "plot.py", folder], capture_output=True, text=True, check=False)


def latency(host="testhost", scale=1.0):
    return [dict(row, host=host, value=row["value"] * scale) for row in machine([0, 1], [0, 1], benches=("latency",))]


@pytest.fixture
def fleet(tmp_path):
    """A fleet's folder: two hosts that ended, one that did not, what was made of them, and one that is arriving."""
    folder = tmp_path / "a fleet"
    rows = []
    for host, scale in (("db1", 1.0), ("db2", 1.3)):
        run = write_run(folder / "hosts" / host, latency(host, scale), environment([0, 1], [0, 1]))
        rows += runs.matrix_of(str(run))
    (folder / "hosts" / "db3").mkdir()
    (folder / "hosts" / ".db4.tmp").mkdir()
    write_run(folder / "arriving" / "db3", latency("db3"))
    tables.write_table(folder / "matrix.csv", schema.MATRIX_COLUMNS, rows)
    tables.write_table(folder / "samples.csv", schema.SAMPLE_COLUMNS, latency("db1") + latency("db2"))
    host_rows.write(str(folder), [host_rows.row("db1", status="ok", cpu_model="Made-up CPU 9000"),
                                  host_rows.row("db2", status="ok", cpu_model="Made-up CPU 9000"),
                                  host_rows.row("db3", reason="the connection was lost")])
    (folder / "environment.json").write_text(json.dumps({"fleet": {"id": "x"}}))
    (folder / "verdict.txt").write_text("hosts: 2 of 3 ok; 1 incomplete\nodd: none\n")
    return folder


def test_a_fleets_verdict_is_printed_and_it_and_its_hosts_get_pages(fleet):
    before = {path.name: path.read_bytes() for path in fleet.iterdir() if path.is_file()}
    done = plot(fleet)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "hosts: 2 of 3 ok; 1 incomplete", "incomplete: db3: the connection was lost",
        "odd: not judged: db1, db2; it takes 3 hosts with the same CPU to tell",
        *(f"{fleet}/{name}" for name in ("fleet.png", "fleet.svg", "report.html")),
        f"{fleet}/hosts/NAME/report.html: 2 hosts"]
    assert {name: (fleet / name).read_bytes() for name in before} == before
    assert sorted(path.parent.name for path in fleet.glob("hosts/*/report.html")) == ["db1", "db2"]
    assert not list(fleet.glob("hosts/*/*.png"))


def test_a_hosts_pictures_are_drawn_when_its_own_folder_is_named(fleet):
    assert plot(fleet / "hosts" / "db1").returncode == 0
    assert {path.parent.name for path in fleet.rglob("*.png")} == {"db1"}


def test_the_rows_of_all_hosts_read_back(fleet):
    rows = tables.read_matrix(fleet / "matrix.csv")
    assert len(rows) == 8 and {row["host"] for row in rows} == {"db1", "db2"}
    assert len(tables.read_samples(fleet / "samples.csv")) == len(latency()) * 2


def test_a_fleet_is_found_below_a_folder_of_runs(fleet):
    write_run(fleet.parent / "alone", latency())
    assert runs.find(str(fleet.parent)) == [str(fleet), f"{fleet}/hosts/db1", f"{fleet}/hosts/db2",
                                            str(fleet.parent / "alone")]


def test_a_host_that_has_not_ended_is_gone_on_with_by_its_fleet(fleet):
    (fleet / "hosts" / "db3" / "UNFINISHED").write_text("")
    done = plot(fleet)
    assert done.returncode == 1 and len(list(fleet.glob("hosts/*/report.html"))) == 2
    assert done.stderr == (f"plot.py: {fleet}/hosts/db3: the sweep has not ended; continue with: "
                           f"harness/run_matrix.sh --resume '{fleet}'\n")


@pytest.mark.parametrize("described, program", [
    ({"fleet": {}}, "harness/run_matrix.sh"), ({"slurm": {}}, "harness/slurm/submit.sh"), ({}, "harness/run_matrix.sh"),
])
def test_a_fleet_that_has_not_ended_says_how_to_go_on(fleet, described, program):
    (fleet / "verdict.txt").unlink()
    (fleet / "UNFINISHED").write_text("")
    (fleet / "environment.json").write_text(json.dumps(described))
    with pytest.raises(ReportError, match=f"has not ended; continue with: {program} --resume '{fleet}'$"):
        runs.refuse_unmerged(str(fleet))


def test_a_fleet_without_a_verdict_says_what_makes_it(fleet):
    (fleet / "verdict.txt").unlink()
    with pytest.raises(ReportError, match=f"harness/run_matrix.sh --merge '{fleet}' makes it$"):
        runs.refuse_unmerged(str(fleet))


def sweep(folder, *left_out):
    """The folder of a sweep of one latency cell that failed in its one round, but for these files."""
    folder.mkdir()
    (folder / "cells").mkdir()
    failed = job(round=1)
    plan.write(folder, [failed])
    tables.write_table(folder / "samples.csv", schema.SAMPLE_COLUMNS, [])
    (folder / "environment.json").write_text(json.dumps({"host": "testhost", "options": {"bench": "latency"}}))
    (folder / "cells" / "round1.latency.cpu0.node0.run").write_text("{")
    for name in left_out:
        (folder / name).unlink()
    return folder


def test_a_sweep_in_which_all_failed_is_summarised_and_drawn(tmp_path):
    folder = sweep(tmp_path / "run")
    row, = runs.matrix_of(str(folder))
    assert (row["status"], row["host"]) == ("failed", "testhost") and "not a record" in row["reason"]
    assert plot(folder).returncode == 0 and (folder / "latency.png").exists()


@pytest.mark.parametrize("there", [[], ["plan.csv"], ["plan.csv", "samples.csv"]])
def test_a_sweep_that_has_not_ended_is_one_line_with_the_way_on(tmp_path, there):
    folder = sweep(tmp_path / "a run", *({"plan.csv", "samples.csv"} - {*there}))
    (folder / "UNFINISHED").write_text("")
    done = plot(tmp_path)
    assert done.returncode == 1 and not list(tmp_path.rglob("*.png"))
    assert done.stderr == (f"plot.py: {folder}: the sweep has not ended; continue with: harness/run_matrix.sh --resume "
                           f"'{folder}'\n")


def test_a_sweep_that_is_resumed_is_drawn_as_it_ended_before(tmp_path):
    folder = write_run(tmp_path / "run", latency())
    runs.matrix_of(str(folder))
    plan.write(str(folder), [job()])
    (folder / "UNFINISHED").write_text("")
    assert plot(folder).returncode == 0 and (folder / "latency.png").exists()


def test_the_sentinels_drift_is_in_the_verdict(tmp_path):
    folder = write_run(tmp_path / "run", latency())
    assert not any(line.startswith("drift") for line in Run(str(folder)).words)
    sentinels = [dict(row, value=100 + 5 * number, round=number) for number in range(1, 7) for row in latency()[:1]]
    tables.write_table(folder / "sentinel.csv", schema.SAMPLE_COLUMNS, sentinels)
    line, = [line for line in Run(str(folder)).words if line.startswith("drift")]
    assert line.startswith("drift: the sentinel, latency.random.cpu0.node0, went from 108 ns at first to 128 ns at last "
                           "(+19 %), between 105 ns and 130 ns: ")
    assert plot(folder).returncode == 0 and line in (folder / "verdict.txt").read_text(encoding="utf-8")


def test_a_damaged_sentinel_is_one_line(tmp_path):
    folder = write_run(tmp_path / "run", latency())
    (folder / "sentinel.csv").write_text("run,host\n")
    done = plot(folder)
    assert done.returncode == 1 and done.stderr.startswith(f"plot.py: {folder}/sentinel.csv: row 1, column ")
    assert len(done.stderr.splitlines()) == 1
