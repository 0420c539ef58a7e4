"""The words in front of a command, the words that stand for its cell, and the check of where its memory was."""

import re

import pytest
from made_up_sweep import TWO_NODES, jobs_of, machine, parsed

from numa_sweep import placing, workload


def job(*words, policy="bind:0", topology=TWO_NODES):
    """The first run of a cell with the policy."""
    return next(job for job in jobs_of(*words, topology=topology) if job.policy == policy and not job.skip_reason)


def placed(policy, *more, preload="", stats=None):
    """The words, but for those that unset."""
    made = job("--cpus", "0", "--policies", policy, "--bench", "latency", *more, policy=policy)
    return re.sub(" -u [A-Z_]+", "", " ".join(placing.words(made, "alloc/numa_alloc.so", preload, stats)))


@pytest.mark.parametrize("policy", [
    "bind:1", "preferred:1", "preferred:0,1", "interleave:all", "weighted:0=3,1=1", "local", "none",
])
def test_numa_alloc_is_placed_by_its_environment(policy):
    assert placed(policy) == f"taskset -c 0 env NUMA_ALLOC_POLICY={policy} LD_PRELOAD=alloc/numa_alloc.so"


def test_its_pages_and_statistics_too():
    assert placed("local", "--pages", "2M", stats="/r/%p.json") == (
        "taskset -c 0 env NUMA_ALLOC_POLICY=local NUMA_ALLOC_PAGES=2M NUMA_ALLOC_STATS=/r/%p.json "
        "LD_PRELOAD=alloc/numa_alloc.so")


@pytest.mark.parametrize("policy, words", [
    ("bind:1", "numactl --membind=1 "), ("preferred:1", "numactl --preferred=1 "),
    ("preferred:0,1", "numactl --preferred-many=0,1 "),
    ("interleave:all", "numactl --interleave=all "), ("interleave:0-1", "numactl --interleave=0-1 "),
    ("local", "numactl --localalloc "), ("none", ""),
])
def test_other_allocators_are_placed_by_numactl(policy, words):
    assert placed(policy, "--allocators", "glibc") == f"taskset -c 0 {words}env"
    assert placed(policy, "--allocators", "x=/lib/x.so", preload="/lib/x.so") == \
        f"taskset -c 0 {words}env LD_PRELOAD=/lib/x.so"


@pytest.mark.parametrize("pages, tunable", [("thp", "1"), ("2M", "2097152"), ("1G", "1073741824")])
def test_glibc_is_told_its_pages(pages, tunable):
    assert placed("local", "--allocators", "glibc", "--pages", pages) == \
        f"taskset -c 0 numactl --localalloc env GLIBC_TUNABLES=glibc.malloc.hugetlb={tunable}"


@pytest.mark.parametrize("allocator, left", [("numa_alloc", {"POLICY"}), ("glibc", set())])
def test_every_setting_of_the_library_but_its_own_is_unset(allocator, left):
    words = placing.words(job("--bench", "latency", "--allocators", allocator), "x.so", "")
    unset = {words[place + 1] for place, word in enumerate(words) if word == "-u"}
    assert {name for name in unset if name != "LD_PRELOAD"} == {f"NUMA_ALLOC_{name}" for name in {*placing.OURS} - left}
    assert ("LD_PRELOAD" in unset) == (allocator == "glibc")


def test_every_setting_the_library_has_is_known(request):
    source = (request.config.rootpath / "alloc" / "config.c").read_text()
    assert set(re.findall(r'"NUMA_ALLOC_([A-Z_]+)"', source)) == set(placing.OURS)


# {cpu} and the like.

def test_words_in_braces_stand_for_the_cells():
    made = job("--cpu-nodes", "1", "--mem-nodes", "0", "--threads", "1", "--sizes", "64k", "--pages", "thp",
               "--rounds", "1", "--", "x", topology=machine({0: [0, 1], 1: [2, 3]}, without_memory=(1,)))
    text = ("{cpu}|{cpus}|{cpu_node}|{mem_node}|{policy}|{allocator}|{pages}|{threads}|{size}|{size_bytes}|{round}"
            "|{place}|{}|{x}|{ cpu}|{{cpu}}")
    assert workload.filled(text, made, ["taskset", "-c", "2", "a b"]) == \
        "2|2|1|0|bind:0|numa_alloc|thp|1|64k|65536|1|taskset -c 2 'a b'|{}|{x}|{ cpu}|{2}"


def test_what_a_cell_has_not_is_empty():
    made = job("--cpus", "2", "--policies", "local", "--", "x", policy="local")
    assert workload.filled("{mem_node}|{size}|{size_bytes}", made, []) == "||"


@pytest.mark.parametrize("words, command", [
    (["--", "prog", "-n", "{cpu}"], "TASKSET prog -n 0"),
    (["--setup", "{place} server &", "--", "client", "{cpu}"], "client 0"),
    (["--teardown", "{place} x", "--", "client"], "client"),
    (["--", "sh", "-c", "{place} prog | wc"], "sh -c TASKSET prog | wc"),
])
def test_the_place_comes_before_the_command_unless_it_is_named(words, command):
    options = parsed("--cpus", "0", *words)
    made = job("--cpus", "0", "--mem-nodes", "0", *words)
    assert " ".join(workload.command(made, options, ["TASKSET"])) == command


@pytest.mark.parametrize("options, words", [
    (["--bench", "latency"], "bench/latency --csv --max-samples 7 --min-sample-ms 20"),
    (["--bench", "bandwidth"], "bench/bandwidth --csv --max-samples 7 --min-sample-ms 10"),
    (["--bench", "bandwidth", "--threads", "2", "--sizes", "4M", "--max-samples", "5"],
     "bench/bandwidth --csv --size 4M --threads 2 --max-samples 5 --min-sample-ms 10"),
    (["--bench", "latency", "--threads", "2", "--min-sample-ms", "50"],
     "bench/latency --csv --max-samples 7 --min-sample-ms 50"),
])
def test_every_benchmark_gets_the_options_asked_for(options, words):
    made = job("--cpu-nodes", "0", "--mem-nodes", "0", *options)
    assert " ".join(workload.command(made, parsed(*options), [])) == words


# A benchmark does not know of numactl: its pages are judged here.

@pytest.mark.parametrize("policy, pages, placement, fraction", [
    ("bind:1", "N1=100", "verified", 1.0), ("bind:1", "N0=50;N1=50", "failed", 0.5), ("bind:1", "", "verified", 0.3),
    ("local", "N0=100", "verified", 1.0), ("local", "N1=100", "failed", 0.0),
    ("interleave:all", "N0=1;N1=9", "verified", 0.3),
    ("bind:1", "N1=1999;N0=1", "verified", 0.9995), ("bind:1", "N1=99;N0=1", "failed", 0.99),
])
def test_pages_of_another_allocator_are_judged_by_where_they_were(policy, pages, placement, fraction):
    made = job("--cpus", "0", "--policies", policy, "--allocators", "glibc", "--bench", "latency", policy=policy)
    row = {"placement": "verified", "placed_fraction": 0.3, "pages_on_nodes": pages}
    placing.judge_pages(row, made)
    assert (row["placement"], row["placed_fraction"]) == (placement, fraction)


def test_pages_that_could_not_be_seen_stay_unverified():
    made = job("--cpus", "0", "--allocators", "glibc", "--bench", "latency")
    row = {"placement": "unverified", "placed_fraction": None, "pages_on_nodes": "N0=3"}
    placing.judge_pages(row, made)
    assert row["placement"] == "unverified"
