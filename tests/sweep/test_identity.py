"""Whether a sweep that is resumed is still the same."""

import hashlib
from argparse import Namespace

import pytest
from made_up_sweep import parsed

from numa_report.errors import UsageError
from numa_sweep import identity

NODES = [{"id": 0, "cpus": "0-3", "memory_bytes": 100}, {"id": 1, "cpus": "4-7", "memory_bytes": 100}]
TOPOLOGY = {"nodes": NODES, "allowed_cpus": "0-7", "distances": {"0": {"0": 10, "1": 21}}}
MACHINE = {
    "host": "db1", "cpu_model": "Made-up 9000", "architecture": "x86_64",
    "kernel": {"release": "6.1.0", "version": "#1"}, "topology": TOPOLOGY,
    "load_average": [1.0, 1.0, 1.0], "programs": {"/p/alloc/numa_alloc.so": "abc", "/p/bench/latency": "def"},
}


def changed(**changes):
    return {**MACHINE, **changes}


@pytest.mark.parametrize("now, said", [
    (changed(host="db2"), "host is db1 there, db2 now"),
    (changed(kernel={"release": "6.12.0", "version": "#1"}), "kernel.release is 6.1.0 there, 6.12.0 now"),
    (changed(topology={**TOPOLOGY, "nodes": NODES[:1]}), "topology.nodes is "),
    (changed(topology={**TOPOLOGY, "nodes": [{**NODES[0], "cpus": "0-2"}, NODES[1]]}),
     "topology.nodes[0].cpus is 0-3 there, 0-2 now"),
    (changed(topology={**TOPOLOGY, "distances": {"0": {"0": 10, "1": 31}}}),
     "topology.distances.0.1 is 21 there, 31 now"),
    (changed(programs={"/p/alloc/numa_alloc.so": "abd", "/p/bench/latency": "def"}),
     "/p/alloc/numa_alloc.so is another build"),
    (changed(programs={"/p/alloc/numa_alloc.so": "abc", "/p/bench/latency": None}), "/p/bench/latency is gone"),
    (changed(cpu_model=None), "cpu_model is Made-up 9000 there, not given now"),
])
def test_another_machine_or_build_is_refused_with_the_difference(now, said):
    with pytest.raises(UsageError) as refused:
        identity.refuse_other_machine("/a/run", MACHINE, now)
    assert str(refused.value).startswith("--resume: /a/run was begun elsewhere or with other programs: " + said)
    assert "\n" not in str(refused.value)


def test_what_changes_by_itself_is_not_another_machine():
    topology = {**TOPOLOGY, "nodes": [{**node, "memory_bytes": 101} for node in NODES]}
    identity.refuse_other_machine("/a/run", MACHINE, changed(load_average=[9, 9, 9], topology=topology))


def test_many_differences_are_counted():
    now = changed(host="b", cpu_model="c", architecture="d", kernel={}, programs={})
    with pytest.raises(UsageError, match="host is .*; cpu_model is .*; architecture is [^;]*; and 4 more$"):
        identity.refuse_other_machine("/a/run", MACHINE, now)


@pytest.mark.parametrize("typed, said", [
    (["--rounds", "3"], "--rounds is 5 there, 3 now"), (["--seed", "1"], "--seed is 7 there, 1 now"),
    (["--sizes", "4M"], "--sizes is not given there, 4M now"),
    (["--policies", "local"], "--policies is bind:@ there, local now"),
    (["--no-sentinel"], "--no-sentinel is False there, True now"),
    (["--", "true"], "COMMAND is not given there, ['true'] now"),
    (["--cpus", "0", "--rounds", "2"], "--cpus is not given there, 0 now; --rounds is 5 there, 2 now"),
])
def test_another_plan_is_refused_with_the_difference(typed, said):
    before = vars(parsed("--rounds", "5", "--seed", "7"))
    now = parsed("--resume", "/a/run", *typed)
    with pytest.raises(UsageError) as refused:
        identity.refuse_other_options("/a/run", now.given, vars(now), before)
    assert str(refused.value).startswith(f"--resume: /a/run has another plan: {said}")


@pytest.mark.parametrize("typed", [
    [], ["--rounds", "5"], ["--seed", "7", "--wait", "--no-pictures", "--json-progress"],
])
def test_the_same_options_may_be_given_and_others_that_change_no_figure(typed):
    now = parsed("--resume", "/a/run", *typed)
    identity.refuse_other_options("/a/run", now.given, vars(now), vars(parsed("--rounds", "5", "--seed", "7")))


def test_programs_are_what_is_measured_with(tmp_path, monkeypatch):
    for name in ("p/alloc/numa_alloc.so", "p/bench/latency", "p/bench/bandwidth", "here/prog", "bin/tool", "other.so"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    root = str(tmp_path / "p")

    def named(**options):
        given = Namespace(**{"allocators": "numa_alloc", "bench": "latency", "command": None, "also": None,
                             "directory": str(tmp_path / "here"), **options})
        return {path[len(str(tmp_path)) + 1:]: digest for path, digest in identity.programs(given, root).items()}

    assert named() == {name: hashlib.sha256(name.encode()).hexdigest()
                       for name in ("p/alloc/numa_alloc.so", "p/bench/latency")}
    assert "p/bench/loaded" in named(also="loaded,loaded-matrix")
    assert named(command=["./prog", "x"]).keys() == {"p/alloc/numa_alloc.so", "here/./prog"}
    assert named(command=["tool"]).keys() == {"p/alloc/numa_alloc.so", "bin/tool"}
    assert named(allocators=f"glibc,mine={tmp_path}/other.so").keys() == {"p/bench/latency", "other.so"}
