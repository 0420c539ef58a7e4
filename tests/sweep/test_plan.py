"""The plan's own promises: every cell in every round, the sentinel between, further rounds, and that it reads back."""

import re
import subprocess
import sys
from collections import Counter

import pytest
from made_up_sweep import HARNESS, cells, jobs_of, machine, parsed

from numa_report.errors import ReportError
from numa_sweep import dry_run, plan, workload

MANY = machine({0: range(0, 8), 1: range(8, 16), 2: range(16, 20)})  # 20 CPUs x 3 memories


def runs(jobs, *kinds):
    return [job for job in jobs if job.seq and (not kinds or job.kind in kinds)]


def test_every_cell_is_in_every_round_once():
    jobs = jobs_of("--all-cpus", "--rounds", "4", "--bench", "latency", topology=MANY)
    count = Counter((job.round, job.key) for job in runs(jobs, plan.CELL))
    assert len(count) == 4 * 60 and set(count.values()) == {1}
    assert [job.seq for job in runs(jobs)] == list(range(1, len(runs(jobs)) + 1))


def test_rounds_have_orders_of_their_own_that_follow_from_the_seed():
    def order(seed):
        jobs = jobs_of("--all-cpus", "--rounds", "3", "--bench", "latency", "--seed", seed, topology=MANY)
        return [[job.key for job in runs(jobs, plan.CELL) if job.round == number] for number in (1, 2, 3)]

    first = order("7")
    assert first == order("7") != order("8")
    assert first[0] != first[1] != first[2] and sorted(first[0]) == sorted(first[1]) == sorted(first[2])


def test_the_sentinel_is_one_local_cell_before_each_round_after_32_runs_and_at_the_end():
    jobs = runs(jobs_of("--all-cpus", "--rounds", "2", "--bench", "latency", topology=MANY))
    kinds = "".join("S" if job.kind == plan.SENTINEL else "c" for job in jobs)
    assert kinds == "S" + 32 * "c" + "S" + 28 * "c" + "S" + 32 * "c" + "S" + 28 * "c" + "S"
    watched = runs(jobs, plan.SENTINEL)
    assert {job.key for job in watched} == {("latency", "cpu0.node0")}
    assert [job.round for job in watched] == [1, 2, 3, 4, 5]
    assert len({job.name for job in jobs}) == len(jobs)


def test_a_sweep_of_one_cell_or_without_sentinels_has_none():
    assert not runs(jobs_of("--cpus", "0", "--mem-nodes", "0", "--bench", "latency"), plan.SENTINEL)
    assert not runs(jobs_of("--no-sentinel"), plan.SENTINEL)


def test_where_no_local_cell_can_be_measured_the_first_cell_is_the_sentinel():
    topology = machine({0: [0], 1: [], 2: []}, without_memory=(0,))
    jobs = jobs_of("--bench", "latency", topology=topology)
    assert {job.place for job in runs(jobs, plan.SENTINEL)} <= {"cpu0.node1", "cpu0.node2"}
    assert len({job.key for job in runs(jobs, plan.SENTINEL)}) == 1


def test_cells_that_cannot_be_are_rows_without_a_number():
    jobs = jobs_of("--bench", "latency", "--allocators", "numa_alloc,glibc", "--policies", "weighted:0=1")
    without = [job for job in jobs if not job.seq]
    assert len(without) == 2 and all(job.skip_reason and job.round is None for job in without)
    assert not any(job.skip_reason for job in runs(jobs))


def test_a_further_round_has_the_cells_that_disagree_and_the_next_numbers():
    jobs = jobs_of("--bench", "latency")
    keys = {("latency", "cpu0.node1"), ("latency", "cpu2.node0")}
    more = plan.extra_round(jobs, keys)
    assert {job.key for job in more} == keys and {job.kind for job in more} == {plan.EXTRA}
    assert {job.round for job in more} == {4} and [job.seq for job in more] == [len(jobs) + 1, len(jobs) + 2]
    again = plan.extra_round([*jobs, *more], {("latency", "cpu2.node0")})
    assert [(job.round, job.seq) for job in again] == [(5, len(jobs) + 3)]
    assert len({job.name for job in [*jobs, *more, *again]}) == len(jobs) + 3


def test_a_plan_reads_back_as_written(tmp_path):
    words = ["--policies", "bind:@,interleave:0,1,weighted:0=3,1=1,local", "--allocators", "numa_alloc,glibc",
             "--sizes", "64K,1M", "--pages", "default,2M"]
    topology = machine({0: [0, 1, 3], 252: [9]}, allowed_mems=[0, 1])
    topology.nodes[1] = machine({1: []}).nodes[1]
    jobs = jobs_of(*words, topology=topology)
    jobs += plan.extra_round(jobs, {jobs[-2].key})
    plan.write(tmp_path, jobs)
    options = parsed(*words)
    assert plan.read(tmp_path, lambda bench: workload.expectation(options, bench)) == jobs


def test_a_plan_that_is_damaged_is_named_by_row_and_column(tmp_path):
    plan.write(tmp_path, jobs_of("--bench", "latency"))
    path = tmp_path / "plan.csv"
    path.write_text(path.read_text().replace("1,sentinel,1,", "1,guardian,1,"))
    with pytest.raises(ReportError, match="plan.csv: row 2, column kind: 'guardian' is not one of"):
        plan.read(tmp_path)


@pytest.mark.parametrize("name, words", [
    ("cpu0.node0", "latency, CPU 0 of node 0, memory node 0"),
    ("cpu0.local.glibc.thp.64K", "latency, CPU 0 of node 0, local, glibc, thp pages, 64K"),
])
def test_a_cell_in_words(name, words):
    found = cells("--bench", "latency", "--cpus", "0", "--policies", "bind:0,local", "--allocators", "numa_alloc,glibc",
                  "--pages", "default,thp", *(["--sizes", "64K"] if "64K" in name else []))
    assert [cell.words() for cell in found if cell.place == name] == [words]


def test_each_variant_of_a_bench_is_a_cell():
    [cell] = cells("--bench", "bandwidth", "--cpus", "0", "--mem-nodes", "0")
    assert [cell.cell_id(item.variant) for item in cell.expected] == [
        f"bandwidth.{variant}.cpu0.node0" for variant in ("read", "write", "copy", "scale", "add", "triad")]


@pytest.mark.parametrize("words, said", [
    (["--bench", "latency", "--rounds", "1"], r"roughly \d+ to \d+ s"),
    (["--rounds", "300"], r"roughly \d+ to \d+ min"),
    (["--sizes", "64K"], "for as long as these sizes, samples and threads take"),
    (["--", "true"], r"\d+ times what the command takes"),
])
def test_the_time_a_sweep_takes(words, said):
    assert re.fullmatch(said, dry_run.duration(runs(jobs_of(*words)), parsed(*words)))


def test_planning_imports_nothing_slow():
    """In an emulator numpy takes 5 seconds and more to import; only statistics and pictures need it."""
    words = f"import sys; sys.path.insert(0, {str(HARNESS)!r}); from numa_sweep import main, sweep; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert not {"numpy", "matplotlib", "importlib.metadata"} & set(done.stdout.split())
