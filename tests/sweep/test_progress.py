"""What is said while a sweep runs: the medians so far, as a line or an object."""

import json

import pytest
from made_up_sweep import jobs_of, leave_bench, machine, parsed

from numa_sweep import collect
from numa_sweep.progress import Progress

LOCAL_AND_REMOTE = machine({0: [0], 1: []})


@pytest.fixture
def running(tmp_path):
    """(results, jobs) of a sweep of a local and a remote cell, nothing measured so far."""
    jobs = [job for job in jobs_of("--bench", "latency", "--rounds", "2", topology=LOCAL_AND_REMOTE) if job.seq]
    return collect.Results(str(tmp_path), jobs, parsed("--bench", "latency"), "testhost"), jobs


def run(results, job, value, **changes):
    leave_bench(results.folder, job, value=value, **changes)
    assert results.take(job)


def of(jobs, node, number=1):
    return next(job for job in jobs if job.mem_node == node and job.round == number and job.kind == "cell")


def test_an_object_a_run_with_the_medians_and_penalties_so_far(running, capsys):
    results, jobs = running
    progress = Progress(results, as_json=True, terminal=False)
    for node, number, value in ((1, 1, 150.0), (0, 1, 100.0), (1, 2, 250.0)):
        run(results, of(jobs, node, number), value)
        progress.finished(of(jobs, node, number), 1, 7)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(event["cell"], event["medians"][0]["median"], event["medians"][0]["penalty"]) for event in said] == [
        ("cpu0.node1", 150.0, None), ("cpu0.node0", 100.0, None), ("cpu0.node1", 200.0, 2.0)]
    assert all(event["event"] == "run" and event["status"] == "ok" and event["of"] == 7 for event in said)


def test_a_failed_run_has_its_reason(running, capsys):
    results, jobs = running
    run(results, jobs[0], 100.0, cpu=3)
    Progress(results, as_json=True, terminal=False).finished(jobs[0], 1, 7)
    [said] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert said["status"] == "failed" and "cpu is 3" in said["reason"] and said["medians"] == []
    assert said["kind"] == "sentinel"


def test_a_line_a_run_on_a_terminal(running, capsys):
    results, jobs = running
    progress = Progress(results, as_json=False, terminal=True)
    for node, value in ((0, 100.0), (1, 150.0)):
        run(results, of(jobs, node), value)
        progress.finished(of(jobs, node), 3, 7)
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.splitlines()[-1].endswith("[3/7] latency, CPU 0 of node 0, memory node 1: 150 ns (1.50×)")


def test_nothing_elsewhere(running, capsys):
    results, jobs = running
    progress = Progress(results, as_json=False, terminal=False)
    progress.event("plan", folder="x")
    run(results, jobs[0], 100.0)
    progress.finished(jobs[0], 1, 7)
    assert capsys.readouterr() == ("", "")
