"""plot.py --compare: what is printed, on the console and as Markdown, and what differs between environments."""

import re

import pytest
from made_up_runs import compare, machine, row, write

from numa_compare import environments, markdown

ENVIRONMENT = {
    "host": "db1", "started_at": "2026-11-23T05:00:00Z", "cpu_model": "Made-up CPU", "kernel": {"release": "6.1.0"},
    "topology": {"nodes": [{"id": node, "cpus": str(4 * node), "memory_bytes": 64 << 30} for node in (0, 1)],
                 "distances": {"0": {"0": 10, "1": 21}, "1": {"0": 21, "1": 10}}},
    "transparent_hugepages": {"enabled": "madvise"}, "numa_balancing": 0, "governor": "performance", "turbo": 1,
    "smt": {"active": 1}, "cgroup": {"memory.max": None}, "load_average": [0.1, 0.1, 0.1],
    "versions": {"libc": "glibc 2.36", "matplotlib": "3.6.3"}, "git_revision": "a" * 40,
    "options": {"rounds": 3, "threads": None, "seed": 1, "out": "here", "sizes": "4M"},
    "programs": {"/one/alloc/numa_alloc.so": "0" * 64},
    "preflight": {"checks": [{"name": "clock_source", "value": "tsc"}]},
}


def changed(**changes):
    return {**ENVIRONMENT, **changes}


class TestEnvironments:
    @pytest.mark.parametrize("after, what", [
        (changed(cpu_model="Other CPU"), ("CPU", "Made-up CPU", "Other CPU")),
        (changed(kernel={"release": "6.12.0"}), ("kernel", "6.1.0", "6.12.0")),
        (changed(transparent_hugepages={"enabled": "always"}), ("THP enabled", "madvise", "always")),
        (changed(numa_balancing=1), ("NUMA balancing", "0", "1")),
        (changed(governor="powersave"), ("governor", "performance", "powersave")),
        (changed(turbo=0), ("turbo", "1", "0")), (changed(smt={"active": 0}), ("SMT active", "1", "0")),
        (changed(git_revision="b" * 40 + "-dirty"), ("git revision", "a" * 12, "b" * 12 + "-dirty")),
        (changed(versions={"libc": "glibc 2.41"}), ("version of libc", "glibc 2.36", "glibc 2.41")),
        (changed(options={**ENVIRONMENT["options"], "threads": "2"}), ("--threads", "default", "2")),
        (changed(programs={"/two/alloc/numa_alloc.so": "f" * 64}), ("build of numa_alloc.so", "0" * 12, "f" * 12)),
        (changed(preflight={"checks": [{"name": "clock_source", "value": "hpet"}]}), ("clock source", "tsc", "hpet")),
        (changed(topology={**ENVIRONMENT["topology"], "nodes": [{"id": 0, "cpus": "0", "memory_bytes": 32 << 30}]}),
         ("memory of node 0", "64 GiB", "32 GiB")),
    ])
    def test_what_can_change_a_figure_is_told(self, after, what):
        assert environments.differences(ENVIRONMENT, after).changed == [what]

    @pytest.mark.parametrize("after", [
        changed(load_average=[9, 9, 9]), changed(started_at="2027-01-01T00:00:00Z"), changed(host="db2"),
        changed(options={**ENVIRONMENT["options"], "seed": 2, "out": "there"}), changed(directory="/two"),
        changed(versions={"libc": "glibc 2.36", "matplotlib": "3.9"}),
        changed(programs={"/two/numa_alloc.so": "0" * 64}),
        changed(topology={**ENVIRONMENT["topology"], "nodes": [
            {**node, "memory_bytes": node["memory_bytes"] - (1 << 24)} for node in ENVIRONMENT["topology"]["nodes"]]}),
    ])
    def test_what_cannot_is_not(self, after):
        assert not environments.differences(ENVIRONMENT, after)

    @pytest.mark.parametrize("value", [
        None, 7, "x", [1], {"a": None}, {"nodes": [7, None], "distances": {"0": 7}}, True])
    def test_a_part_that_is_something_else_does_no_harm(self, value):
        for name in ENVIRONMENT:
            environments.differences(ENVIRONMENT, changed(**{name: value}))
            environments.differences(changed(**{name: value}), ENVIRONMENT)

    def test_they_come_first(self, tmp_path):
        a = write(tmp_path / "a", machine(1), ENVIRONMENT)
        b = write(tmp_path / "b", machine(2), changed(numa_balancing=1))
        lines = compare(a, b).stdout.splitlines()
        assert lines[3:5] == ["environments of A and B: they differ", "  NUMA balancing  0 → 1"]
        assert "environments of A and B: the same" in compare(a, a).stdout
        assert "not compared, there is none of B" in compare(a, write(tmp_path / "c", machine(2))).stdout


def slower_latency(made):
    return (1.05 + 0.04 * made["mem_node"] if made["bench"] == "latency" else 1)


class TestTheConsole:
    def test_the_numbers_the_worst_and_the_rule_come_before_the_table_worst_first(self, tmp_path):
        done = compare(write(tmp_path / "a", machine(1)), write(tmp_path / "b", machine(2, change=slower_latency)))
        assert done.returncode == 0 and not done.stderr
        assert "B against A: 28 cells compared: 4 worse, 0 better, " in done.stdout
        assert re.search(r"^worst: latency, [01] → 1: \+\d+\.\d % \(\+\d+\.\d to \+\d+\.\d %\)$", done.stdout, re.M)
        assert "28 cells tested together: at most 5 % of the worse and better ones" in done.stdout
        changes = [float(found) for found in re.findall(r"^worse .* \+(\d+\.\d) %  ", done.stdout, re.M)]
        assert len(changes) == 4 and changes == sorted(changes, reverse=True)
        assert not re.search(r"^no change ", done.stdout, re.M)
        assert re.search(r"not listed: \d+ cells without change \(--all", done.stdout)

    def test_all_lists_every_cell(self, tmp_path):
        a = write(tmp_path / "a", machine(1))
        assert len(re.findall("^no change  ", compare(a, a, "--all").stdout, re.M)) == 28

    def test_a_long_table_is_cut_with_a_count(self, tmp_path):
        runs = [write(tmp_path / name, machine(seed, nodes=(0, 1, 2), noise=0.08)) for seed, name in enumerate("ab")]
        assert "not listed: 23 more cells (--all lists them)" in compare(*runs).stdout
        assert len(re.findall("^unclear .*would be seen$", compare(*runs, "--all").stdout, re.M)) == 63

    def test_many_cells_of_one_run_alone_are_counted(self, tmp_path):
        runs = write(tmp_path / "a", machine(1, noise=0.001, nodes=(0, 1, 2))), write(tmp_path / "b", machine(2, noise=0.001))
        assert "not listed: 35 cells only in A, 28 cells without change (--all" in compare(*runs).stdout
        assert len(re.findall("^only in A ", compare(*runs, "--all").stdout, re.M)) == 35

    def test_several_runs_have_a_column_each(self, tmp_path):
        runs = [write(tmp_path / name, machine(seed, noise=0.002, change=change)) for seed, (name, change) in enumerate(
            (("a", None), ("b", None), ("c", slower_latency)))]
        done = compare(*runs)
        assert re.search(r"^cell +CPU → memory +A +B +C$", done.stdout, re.M)
        assert re.search(r"^latency +0 → 1 .* no change  \d+ ns, \+\d\.\d % worse$", done.stdout, re.M)
        for words in ("B against A", "C against A", "56 cells tested together"):
            assert words in done.stdout

    def test_policies_and_conditions_that_differ_are_named(self, tmp_path):
        def both(seed):
            return [made for policy in ("bind:0", "interleave:all") for allocator in ("glibc", "numa_alloc")
                    for made in ({**one, "policy": policy, "mem_node": 0 if policy == "bind:0" else None,
                                  "allocator": allocator, "cell": f"{policy}.{allocator}"}
                                 for one in machine(seed, nodes=(0,), benches=["latency"]))]

        done = compare(write(tmp_path / "a", both(1)), write(tmp_path / "b", both(2)), "--all")
        wanted = r"^no change  latency, allocator (?:glibc|numa_alloc) +0 → (?:0|interleave:all) "
        assert len(re.findall(wanted, done.stdout, re.M)) == 4

    def test_only_one_run_is_bad_usage(self, tmp_path):
        done = compare(tmp_path)
        assert done.returncode == 2 and "two runs or more" in done.stderr

    def test_a_matrix_by_itself_is_said_to_know_less(self, tmp_path):
        write(tmp_path / "a", machine(1))
        done = compare(tmp_path / "a" / "matrix.csv", write(tmp_path / "b", machine(2)))
        assert "Of A only medians and intervals are known, not the rounds" in done.stdout and done.returncode == 0


EVIL = "a|b<img src=x onerror=alert(1)>`*_[l](http://x) @owner #12\n\n# h & |"


class TestMarkdown:
    def test_names_are_words_and_nothing_else(self, tmp_path):
        def program(seconds):
            return [row(EVIL, "command", 0, node, seconds * (1 + 0.001 * number), number, host=EVIL) for node in (0, 1)
                    for number in range(1, 4)]

        done = compare(write(tmp_path / "a", program(1.0), {"cpu_model": EVIL, "kernel": {"release": "1|2"}}),
                       write(tmp_path / "b", program(1.2), {"cpu_model": "x", "kernel": {"release": "<b>"}}),
                       "--markdown")
        assert done.returncode == 0
        text = done.stdout
        assert not re.search(r"<(?!details>|/details>|summary>|/summary>|sub>|/sub>)", text)
        assert "@owner" not in text and "#12" not in text and not re.search(r"^# h", text, re.M)
        for line in text.splitlines():
            if line.startswith("| worse"):
                assert len(re.findall(r"(?<!\\)\|", line)) == 9
        assert re.search(r"^\| kernel \| 1\\\|2 \| &lt;b&gt; \|$", text, re.M)

    def test_what_changed_is_open_and_the_rest_folded(self, tmp_path):
        runs = write(tmp_path / "a", machine(1)), write(tmp_path / "b", machine(2, change=slower_latency))
        done = compare(*runs, "--markdown", "--fail-if", "latency > +4%", "--fail-if", "bandwidth < -5%")
        shown, folded = done.stdout.split("<details><summary>24 other cells</summary>")
        assert shown.count("| worse | latency |") == 4 and "| no change |" not in shown
        assert folded.count("\n| ") == 26 and "</details>" in folded
        assert done.returncode == 3 and "**Fails**: --fail-if 'latency &gt; +4%' holds for" in shown
        assert "**Passes**: --fail-if 'bandwidth &lt; -5%' holds for none of 24 cells" in shown

    def test_nothing_that_changed_has_no_open_table(self, tmp_path):
        a = write(tmp_path / "a", machine(1))
        done = compare(a, a, "--markdown")
        assert "<summary>28 cells</summary>" in done.stdout
        assert done.stdout.index("| no change") > done.stdout.index("<details>")

    def test_more_rows_than_a_comment_takes_are_counted(self):
        rows = [["a", "b"]] + [["1", "2"]] * (markdown.MOST_ROWS + 5)
        assert markdown.table(rows)[-1] == "and 5 more" and len(markdown.table(rows)) == markdown.MOST_ROWS + 4

    def test_several_runs_have_a_column_each(self, tmp_path):
        runs = [write(tmp_path / name, machine(seed, noise=0.002, change=change)) for seed, (name, change) in enumerate(
            (("a", None), ("b", None), ("c", slower_latency)))]
        done = compare(*runs, "--markdown")
        assert "| cell | CPU → memory | A | B | C |" in done.stdout
        assert done.stdout.startswith("### B and C against A\n")
        assert "<summary>24 other cells</summary>" in done.stdout
