"""From cells/ and joblog.tsv to samples, and the plan's own promises."""

import re
import subprocess
import sys

import pytest
from conftest import HARNESS, machine

from numa_report import tables
from numa_sweep import collect, plan, topology
from numa_sweep import sweep as sweep_parts
from numa_report.errors import ReportError
from numa_report.schema import SAMPLE_COLUMNS

HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"


@pytest.fixture
def sweep(tmp_path):
    """A finished sweep of one latency cell in two rounds."""
    folder = tmp_path / "sweep"
    (folder / "cells").mkdir(parents=True)
    jobs = plan.make(["latency"], [(0, 0, "")], [(0, "")], rounds=2, seed=1)
    plan.write(folder, jobs)
    for job in jobs:
        rows = machine([0], [0], benches=("latency",), rounds=1)
        columns = [name for name in SAMPLE_COLUMNS if name != "sample"]
        for row in rows:
            row.update(run="", round="", cell="")
        tables.write_table(job.output(folder), columns, rows)
        open(job.errors(folder), "w").close()
    (folder / "joblog.tsv").write_text(HEADER + "".join(f"{job.seq}\t:\t1.0\t1.0\t0\t0\t0\t0\tx\n" for job in jobs))
    return folder


def set_exit(folder, seq, status, signal):
    path = folder / "joblog.tsv"
    lines = path.read_text().splitlines(keepends=True)
    lines[seq] = f"{seq}\t:\t1.0\t1.0\t0\t0\t{status}\t{signal}\tx\n"
    path.write_text("".join(lines))


def test_samples_get_run_round_cell_and_number(sweep):
    samples, failures, jobs = collect.collect(str(sweep))
    assert not failures and len(jobs) == 2
    assert [(row["run"], row["round"], row["cell"], row["sample"]) for row in samples] == [
        ("sweep", r, "latency.random.cpu0.node0", k) for r in (1, 2) for k in range(1, 6)]


@pytest.mark.parametrize("status, signal, stderr, reason", [
    (1, 0, "no node 3\n", "exit status 1: no node 3"),
    (0, 9, "", "killed by signal 9"),
    (-1, 15, "", "time limit"),
    (127, 0, "\xff garbage\n\n", "exit status 127: "),
])
def test_a_failed_command_is_a_reason(sweep, status, signal, stderr, reason):
    set_exit(sweep, 2, status, signal)
    (sweep / "cells" / "round2.latency.cpu0.node0.err").write_bytes(stderr.encode("latin-1"))
    samples, failures, _ = collect.collect(str(sweep))
    assert len(samples) == 5 and [job.seq for job in failures] == [2]
    assert reason in next(iter(failures.values()))


@pytest.mark.parametrize("old, new, reason", [
    (",numa_alloc,", ",glibc,", "allocator is glibc"),
    (",ns,0,0,0,", ",ns,1,0,0,", "cpu is 1, not 0"),
    (",ns,0,0,0,", ",ns,0,0,1,", "mem_node is 1, not 0"),
    (",random,", ",random,-", "column value"),
])
def test_output_of_another_cell_than_asked_is_a_failure(sweep, old, new, reason):
    path = sweep / "cells" / "round1.latency.cpu0.node0.csv"
    path.write_text(path.read_text().replace(old, new))
    assert reason in next(iter(collect.collect(str(sweep))[1].values()))


def test_an_output_without_rows_is_a_failure(sweep):
    (sweep / "cells" / "round1.latency.cpu0.node0.csv").write_text("")
    assert "empty file" in next(iter(collect.collect(str(sweep))[1].values()))


def test_missing_commands_are_counted_not_guessed(sweep):
    (sweep / "joblog.tsv").unlink()
    with pytest.raises(ReportError, match="2 of its 2 commands have not run; continue with: .*--resume"):
        collect.collect(str(sweep))


def test_pruning_keeps_only_logged_jobs_with_output(sweep):
    path = sweep / "joblog.tsv"
    path.write_text(path.read_text() + "3\t:\t1.0\t1.0\t0")  # cut while it was written
    (sweep / "cells" / "round1.latency.cpu0.node0.err").unlink()
    assert collect.prune_joblog(str(sweep), plan.read(sweep)) == {2}
    assert [line.split("\t")[0] for line in path.read_text().splitlines()] == ["Seq", "2"]


@pytest.mark.parametrize("status, signal", [(1, 0), (-1, 15), (0, 9)])
def test_pruning_takes_out_what_failed(sweep, status, signal):
    set_exit(sweep, 2, status, signal)
    assert collect.prune_joblog(str(sweep), plan.read(sweep)) == {1}


def test_pruning_takes_out_what_cannot_be_read(sweep):
    (sweep / "cells" / "round1.latency.cpu0.node0.csv").write_text("half a ta")
    assert [job.round for job in plan.read(sweep) if job.seq in collect.prune_joblog(str(sweep), plan.read(sweep))] == [2]


@pytest.mark.parametrize("benches, rounds, words", [(["latency"], 1, "1 to 3 s"), (["bandwidth"], 30, "2 to 7 min")])
def test_the_time_a_sweep_takes(benches, rounds, words):
    assert sweep_parts.duration(plan.make(benches, [(0, 0, "")], [(0, "")], rounds, 1)) == words


def test_a_plan_reads_back_as_written(tmp_path):
    jobs = plan.make(["latency", "bandwidth"], [(0, 0, ""), (9, 8, 'hidden, "quoted"')], [(0, ""), (252, "")], 3, 5)
    plan.write(tmp_path, jobs)
    assert plan.read(tmp_path) == jobs
    assert [job.seq for job in jobs if job.seq] == list(range(1, 13)) and len(jobs) == 12 + 4


def test_commands_survive_spaces_and_quotes():
    job = plan.Job(1, 1, "latency", 0, 0, 3)
    line = plan.command_line(job, "/tmp/it's a run", ["--size", "4M"])
    assert " -u NUMA_ALLOC_STATS_SIGNAL -u " in line and "-u NUMA_ALLOC_POLICY" not in line
    assert re.sub(" -u [A-Z_]+", "", line).startswith(
                           "exec taskset -c 0 env NUMA_ALLOC_POLICY=bind:3 LD_PRELOAD=alloc/numa_alloc.so "
                           "bench/latency --csv --size 4M >")
    assert """'/tmp/it'"'"'s a run/cells/round1.latency.cpu0.node3.csv'""" in line


@pytest.mark.parametrize("words, numbers", [("0", [0]), ("0,2-4\n", [0, 2, 3, 4]), ("", []), ("5,1,5", [5, 1])])
def test_kernel_lists(words, numbers):
    assert topology.parse_list(words) == numbers


def test_a_list_that_counts_down_is_refused():
    with pytest.raises(ValueError, match="counts down"):
        topology.parse_list("3-1")


def test_hwloc_bitmaps():
    assert topology.parse_bitmap("0x10000000,,,,,,,0x00000101") == [0, 8, 252]


@pytest.mark.parametrize("xml", [b"", b"<topology/>", b"<topology><object><object type='NUMANode'/></object></topology>"])
def test_xml_that_is_not_hwlocs_is_one_line(xml):
    with pytest.raises(ReportError, match="lstopo"):
        topology.from_hwloc(xml)


def test_planning_imports_nothing_slow():
    """In an emulator numpy takes 5 seconds and more to import; only statistics and pictures need it."""
    words = f"import sys; sys.path.insert(0, {str(HARNESS)!r}); from numa_sweep import sweep; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert not {"numpy", "matplotlib", "importlib.metadata"} & set(done.stdout.split())


@pytest.mark.parametrize("asked, words", [
    ({}, []), ({"size": None, "max_samples": None}, []), ({"size": "4M"}, ["--size", "4M"]),
    ({"min_sample_ms": 50, "max_samples": 6, "rounds": 3}, ["--max-samples", "6", "--min-sample-ms", "50"]),
])
def test_every_benchmark_gets_the_options_asked_for(asked, words):
    assert plan.bench_options(asked) == words


def test_versions_are_read_without_asking():
    import importlib.metadata
    from numa_sweep import environment
    assert environment.python_package("numpy") == importlib.metadata.version("numpy")
    assert environment.python_package("no_such_package") is None
    assert environment.parallel_version().isdigit()
