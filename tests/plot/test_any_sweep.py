"""Sweeps that are more than CPU node x memory node: policies, allocators, a user's command, the sentinel."""

import pytest
from conftest import environment, job, sample, write_run

from numa_report import heatmap, layout, pictures, runs, rounds, schema, summary, table, tables, verdict
from numa_report.errors import DataError
from numa_report.lettering import Lettering
from numa_report.run import Run


def placed(policy, mem_node, value, cpu_node=0, round=1, **changes):
    place = f"cpu{4 * cpu_node}.{policy.replace(':', '-')}"
    return sample(cpu=4 * cpu_node, cpu_node=cpu_node, mem_node=mem_node, policy=policy, value=value, round=round,
                  **{"cell": f"latency.random.{place}.{changes.get('allocator', 'numa_alloc')}", **changes})


def ran(metric, unit, values, mem_node=0, cpu_node=0, better="lower"):
    """A command's figure in three rounds."""
    return [{**sample(value=value, round=number, mem_node=mem_node, cpu_node=cpu_node, cpu=4 * cpu_node),
             "metric": metric, "unit": unit, "better": better, "size_bytes": 0, "variant": "command", "bench": "sqlite",
             "cell": f"sqlite.command.cpu{4 * cpu_node}.node{mem_node}"}
            for number, value in enumerate(values, start=1)]


POLICIES = (("bind:0", 0, 100.0), ("bind:1", 1, 180.0), ("interleave:all", None, 140.0), ("local", None, 101.0))


def four_policies(allocator="numa_alloc"):
    return [placed(policy, node, value, round=number, allocator=allocator)
            for policy, node, value in POLICIES for number in (1, 2, 3)]


def test_each_policy_is_a_column_of_its_own_over_the_local_cell():
    rows = summary.summarise(four_policies())
    assert layout.columns(rows) == [0, 1, "interleave:all", "local"]
    assert {row["policy"]: row["penalty"] for row in rows} == {
        "bind:0": 1, "bind:1": 1.8, "interleave:all": 1.4, "local": pytest.approx(1.01)}
    assert "memory node 0" in table.render(rows) and "interleave:all" in table.render(rows)


def test_each_allocator_has_its_own_local_cell_and_panel():
    rows = four_policies() + [dict(row, value=2 * row["value"]) for row in four_policies("glibc")]
    found = summary.summarise(rows)
    assert {row["penalty"] for row in found if row["policy"] == "bind:1"} == {1.8}
    assert [name for name in layout.panels(found)] == ["random · allocator numa_alloc", "random · allocator glibc"]


def glibc_job(mem_node, **changes):
    return job(mem_node=mem_node, allocator="glibc", place=f"cpu0.node{mem_node}.glibc", **changes)


@pytest.mark.parametrize("failing", [(0, 1), (1,)])
def test_what_failed_stands_beside_what_did_not_and_hides_nothing(failing):
    rows = [placed(f"bind:{node}", node, 100 + 80 * node, round=number) for node in (0, 1) for number in (1, 2, 3)]
    rows += [placed(f"bind:{node}", node, 90, round=number, allocator="glibc",
                    cell=f"latency.random.cpu0.node{node}.glibc")
             for node in (0, 1) if node not in failing for number in (1, 2, 3)]
    failures = {glibc_job(node): "exit status 1" for node in failing}
    panels = layout.panels(summary.summarise(rows, failures, list(failures), host="testhost"))
    found = {name: [panel[0, 0][node]["status"] for node in (0, 1)] for name, panel in panels.items()}
    assert found == {"random · allocator numa_alloc": ["ok", "ok"],
                     "random · allocator glibc": ["failed" if node in failing else "ok" for node in (0, 1)]}


def test_what_failed_has_the_size_that_was_asked_for():
    rows = [placed("bind:0", 0, 100, round=number, size_bytes=size, cell=f"latency.random.cpu0.node0.{size >> 20}M")
            for size in (4 << 20, 8 << 20) for number in (1, 2, 3)]
    failed = job(mem_node=1, place="cpu0.node1.8M", size="8M")
    panels = layout.panels(summary.summarise(rows, {failed: "exit status 1"}, [failed], host="testhost"))
    assert {name: list(panel[0, 0]) for name, panel in panels.items()} == {
        "random · 4 MiB": [0], "random · 8 MiB": [0, 1]}


def test_a_cell_is_one_row_whatever_pages_its_rounds_got():
    row, = summary.summarise([placed("bind:0", 0, 100, round=number, pages=pages)
                              for number, pages in enumerate(("thp", "mixed", "thp"), start=1)])
    assert (row["rounds"], row["pages"]) == (3, "mixed")


def test_benchmarks_run_by_hand_into_one_file_are_told_apart_by_what_differs(tmp_path):
    rows = [sample(value=100 + size, sample=None, round=None, cell="", run="", policy=policy, size_bytes=size << 20)
            for size, policy in ((4, "none"), (8, "none"), (8, "local")) for _ in range(3)]
    folder = tmp_path / "run"
    folder.mkdir()
    tables.write_table(folder / "samples.csv", [name for name in rows[0] if name != "sample"], rows)
    found = runs.matrix_of(str(folder))
    assert sorted((row["policy"], row["size_bytes"] >> 20, row["median"]) for row in found) == [
        ("local", 8, 108), ("none", 4, 104), ("none", 8, 108)]
    assert list(layout.panels(found)) == ["random · 4 MiB", "random · 8 MiB"] and layout.columns(found) == [0, "local"]


def test_a_command_that_may_use_all_cpus_of_unequal_nodes_is_one_panel():
    rows = [{**row, "threads": 8 + 4 * cpu_node} for cpu_node in (0, 1) for mem_node in (0, 1)
            for row in ran("wall_time", "s", [1, 1, 1], mem_node, cpu_node)]
    assert list(layout.panels(rows := summary.summarise(rows))) == [""]
    assert layout.places(rows) == {(0, 0): "0 (CPU 0, 8 threads)", (1, 4): "1 (CPU 4, 12 threads)"}
    assert "8 threads" not in layout.machine_words(rows, {})


def test_the_cells_of_several_hosts_are_several_cells(tmp_path):
    rows = [dict(row, host=host, value=row["value"] * scale) for host, scale in (("db1", 1), ("db2", 2))
            for row in four_policies()]
    folder = write_run(tmp_path / "run", rows)
    found = runs.matrix_of(str(folder))
    assert [(row["host"], row["median"], row["penalty"]) for row in found if row["policy"] == "bind:1"] == [
        ("db1", 180, 1.8), ("db2", 360, 1.8)]
    assert list(layout.panels(found)) == ["random · host db1", "random · host db2"]
    assert layout.host_words(found) == "2 machines" and layout.host_words(found[:1]) == "db1"


def test_a_row_that_repeats_another_of_its_host_is_refused(tmp_path):
    folder = write_run(tmp_path / "run", four_policies())
    rows = runs.matrix_of(str(folder))
    tables.write_table(folder / "matrix.csv", schema.MATRIX_COLUMNS, [*rows, dict(rows[0], host="another"), rows[1]])
    with pytest.raises(DataError, match="row 7, column cell: repeats row 3"):
        tables.read_matrix(folder / "matrix.csv")


@pytest.mark.parametrize("value, unit, words", [
    (0, "s", "0 s"), (0.0123, "s", "12.3 ms"), (0.1, "s", "0.100 s"), (75.5, "s", "75.5 s"),
    (4.2e-6, "s", "0.00420 ms"),
    (300, "B", "300 B"), (5000, "B", "4.88 KiB"), (11 << 20, "B", "11.0 MiB"), (3 << 31, "B", "6.00 GiB"),
    (0, "faults", "0"), (12345678, "faults", "12,345,678"), (912345, "1/s", "912,345 1/s"),
    (0.00042, "points", "4.20e-04 points"), (3e12, "op", "3.00e+12 op"),
])
def test_quantities_are_readable(value, unit, words):
    assert layout.quantity_words(value, unit) == words


def test_a_figure_has_one_unit_that_suits_its_greatest_value():
    rows = summary.summarise(ran("wall_time", "s", [0.01] * 3) + ran("wall_time", "s", [0.05] * 3, 1))
    assert "wall time in ms" in table.render(rows) and "10.0 (1.00×)" in table.render(rows)
    rows = summary.summarise(ran("wall_time", "s", [0.01] * 3) + ran("wall_time", "s", [0.5] * 3, 1))
    assert "wall time in s" in table.render(rows) and "0.0100 (1.00×)" in table.render(rows)
    assert [row["median"] for row in rows] == [0.01, 0.5]


def test_time_comes_first_then_the_programs_own_figures_then_the_rest():
    text = table.render(summary.summarise(command_rows()))
    assert [line.split("  ")[0] for line in text.split("\n") if line.startswith(("sqlite", "Peak", "Major"))] == [
        "sqlite, wall time in s, lower is better (penalty over local memory)",
        "sqlite, tps in 1/s, higher is better (penalty over local memory)", "sqlite, what else was counted",
        "Peak memory", "Major page faults"]


@pytest.mark.parametrize("better, values, ends", [
    ("lower", (100, 101), (100, 125)), ("lower", (100, 300), (100, 300)), ("lower", (0, 0), (0, 1)),
    ("higher", (100, 101), (80.8, 101)), ("higher", (20, 100), (20, 100)), ("higher", (0, 0), (0, 1)),
])
def test_what_costs_a_percent_has_the_colour_of_the_best(better, values, ends):
    scale = heatmap.colour_scale([{"better": better, "median": value} for value in values])
    assert scale.get_clim() == pytest.approx(ends)
    best = min(values) if better == "lower" else max(values)
    assert scale.to_rgba(best) == pytest.approx(heatmap.cm.cividis(0.0)) or not any(values)


def product():
    return [sample("bandwidth", "triad", mem_node=node, value=20.0, round=number, threads=threads, pages=pages,
                   size_bytes=size, cell=f"{node}.{threads}.{pages}.{size}")
            for node in (0, 1) for threads in (1, 8) for pages in ("default", "thp") for size in (1 << 20, 1 << 30)
            for number in (1, 2, 3)]


def long_words():
    policies = ("weighted:0=3,1=1,2=2,3=4", "weighted:0=200,1=100,2=20,3=255", "interleave:0-3,8-15", "preferred:0,2-3")
    return [{**placed(policy, None, 98765432.1 * (1 + 1.5 * place), cpu_node, number, allocator=allocator),
             "threads": 9 + cpu_node, "unit": "a" * 20, "bench": "a-program-of-a-long-name", "metric": "figure",
             "variant": "command"}
            for place, policy in enumerate(policies) for allocator in ("numa_alloc", "an-allocator-" + 8 * "long-")
            for cpu_node in range(4) for number in (1, 2, 3)]


def small_numbers():
    return [dict(row, value=row["value"] * 4.2e-6, unit="points") for row in four_policies()]


@pytest.mark.parametrize("samples", [four_policies, product, long_words, small_numbers])
def test_no_word_of_a_picture_lies_over_another_or_beyond_the_edge(samples):
    figure = heatmap.draw(summary.summarise(samples()), environment([0, 1], [0, 1])).figure
    renderer = figure.canvas.get_renderer()
    figure.draw(renderer)
    written = [*figure.texts]
    for axes in figure.axes:
        written += [axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts, *axes.get_xticklabels(),
                    *axes.get_yticklabels()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in written
             if text.get_text() and text.get_visible()]
    boxes += [box for axes in figure.axes for part in axes.findobj(Lettering) for box in part.boxes(renderer)]
    page = figure.bbox
    assert [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > page.x1 or box.y1 > page.y1] == []
    assert [(text, other) for place, (text, box) in enumerate(boxes) for other, another in boxes[:place]
            if box.overlaps(another)] == []


def test_a_policy_that_names_no_node_is_not_called_remote():
    assert "memory of node 1" in verdict.lines(summary.summarise(four_policies()), {})[0]
    spread = [row for row in four_policies() if row["policy"] != "bind:1"]
    assert verdict.lines(summary.summarise(spread), {})[0].startswith("penalty: not known")


def test_matrix_and_samples_with_policies_read_back(tmp_path):
    folder = write_run(tmp_path / "run", four_policies(), environment([0], [0, 1]))
    rows = runs.matrix_of(str(folder))
    assert [row["mem_node"] for row in rows] == [0, 1, None, None]
    assert [row["value"] for row in tables.read_samples(folder / "samples.csv")] == [
        row["value"] for row in four_policies()]
    assert pictures.draw(Run(str(folder)))


def command_rows():
    return (ran("wall_time", "s", [1.8, 1.8, 1.81]) + ran("wall_time", "s", [2.4, 2.43, 2.44], 1)
            + ran("tps", "1/s", [900, 901, 902], better="higher")
            + ran("tps", "1/s", [600, 600, 601], 1, better="higher")
            + ran("major_faults", "faults", [0, 0, 0]) + ran("major_faults", "faults", [0, 0, 7], 1)
            + ran("peak_memory", "B", [11 << 20] * 3) + ran("peak_memory", "B", [11 << 20] * 3, 1))


def test_a_program_is_said_in_its_own_figures_and_ways_of_better():
    rows = summary.summarise(command_rows())
    found = {(row["metric"], row["mem_node"]): row for row in rows}
    assert found["tps", 1]["penalty"] == pytest.approx(901 / 600)
    assert found["wall_time", 1]["penalty"] == pytest.approx(2.43 / 1.8)
    words = verdict.lines(rows, {})[0]
    assert "sqlite's wall_time 1.35× (CPUs of node 0 to memory of node 1: 2.43 s, local 1.80 s)" in words
    assert "sqlite's tps 1.50×" in words and "major_faults" not in words
    text = table.render(rows)
    assert "sqlite, tps in 1/s, higher is better" in text and "11.0 MiB" in text


def test_the_verdict_names_what_the_worst_cell_was_measured_with():
    rows = four_policies() + [dict(row, value=row["value"] * (1.1 if row["policy"] == "bind:1" else 1))
                              for row in four_policies("glibc")]
    line = verdict.lines(summary.summarise(rows), {})[0]
    assert "1.98× at most (allocator glibc, CPUs of node 0 to memory of node 1: 198 ns" in line


def test_of_many_figures_the_verdict_says_the_time_and_the_worst():
    rows = ran("wall_time", "s", [1, 1, 1]) + ran("wall_time", "s", [1.1] * 3, 1)
    for number in range(5):
        rows += ran(f"m{number}", "x", [1, 1, 1]) + ran(f"m{number}", "x", [2 + number] * 3, 1)
    line = verdict.lines(summary.summarise(rows), {})[0]
    assert [word for word in ("wall_time", "m4", "m3", "m2", "m1", "m0") if word in line] == ["wall_time", "m4", "m3"]
    assert "; 3 more metrics in matrix.csv; to avoid it" in line


def test_only_memory_that_is_bound_to_a_node_judges_the_firmware():
    distances = {"topology": {"distances": {"0": {"0": 10, "1": 20}}}}
    found = summary.summarise(four_policies() + [placed("preferred:1", 1, 50, round=number) for number in (1, 2, 3)])
    line = verdict.lines(found, distances)[-1]
    assert line.startswith("firmware agrees: SLIT ranks the nodes as measured (1 of 1 pair)")


def test_a_command_is_misplaced_once_and_not_in_each_of_its_metrics():
    rows = [dict(row, policy="none", **({"placement": "failed", "placed_fraction": 0.25} if row["mem_node"] else {}))
            for row in command_rows()]
    words = verdict.lines(summary.summarise(rows), {"numa_balancing": 1})
    assert ("misplaced: 1 of 2 cells had pages elsewhere than on the node asked for: sqlite.command.cpu0.node1 "
            "(25 % in place)") in words
    assert "2 of 2 cells without a binding policy (none)" in words[-1]


def test_nothing_at_all_divides_nothing():
    rows = summary.summarise(command_rows())
    faults = [row for row in rows if row["metric"] == "major_faults"]
    assert [(row["median"], row["penalty"]) for row in faults] == [(0, None), (0, None)]
    assert faults[0]["status"] == "ok"


def test_a_command_has_pictures_of_its_time_and_its_own_figures_alone(tmp_path):
    folder = write_run(tmp_path / "run", command_rows(), environment([0], [0, 1]))
    paths = [path for picture in pictures.draw(Run(str(folder))) for path in picture.paths]
    assert sorted(path.rpartition("/")[2] for path in paths if path.endswith(".png")) == [
        "penalty.png", "programs.png", "samples.png", "sqlite-tps.png", "sqlite-wall_time.png"]


def test_latency_is_never_nothing(tmp_path):
    folder = write_run(tmp_path / "run", [placed("bind:0", 0, 0.0)])
    with pytest.raises(DataError, match="0 cannot be a measurement"):
        runs.matrix_of(str(folder))


@pytest.mark.parametrize("medians, disagree", [
    ([100], False), ([100, 109], False), ([100, 111], True), ([100, 101, 111], True), ([100, 104, 108], False),
    ([100, 101, 102, 150], True), ([100] * 5 + [150], True), ([100] * 5 + [150] * 2, True),
    ([150] + [100, 101, 102, 103, 104, 105], False), ([10, 100, 101, 102, 103, 104, 105], False),
    ([100] * 9 + [150] * 2, False), ([100] * 7 + [150] * 3, True), ([0, 0, 0], False), ([0, 0, 1], True),
])
def test_rounds_agree_when_they_outvote_the_others(medians, disagree):
    assert rounds.rounds_disagree(medians) is disagree


def cell_of_rounds(medians):
    row, = summary.summarise([placed("bind:0", 0, value * (1 + k / 2000), round=number, sample=k)
                              for number, value in enumerate(medians, start=1) for k in range(7)])
    return row


@pytest.mark.parametrize("count", range(1, 21))
def test_a_cell_whose_rounds_agree_is_not_noisy_by_its_interval_either(count):
    """A sweep stops measuring a cell as soon as its rounds agree: whatever their number is then."""
    for bad in range(count + 1):
        medians = [150.0] * bad + [100 + number / 10 for number in range(count - bad)]
        agree = not rounds.rounds_disagree(medians)
        assert cell_of_rounds(medians)["status"] == ("ok" if agree else "noisy"), (medians, agree)


def test_four_more_rounds_outvote_a_bad_one():
    assert cell_of_rounds([150, 100, 100])["status"] == "noisy"
    row = cell_of_rounds([150, 100, 100, 100, 100, 100, 100])
    assert (row["status"], row["rounds"]) == ("ok", 7) and row["median"] < 101 and row["ci_high"] < 101


def sentinels(values):
    return [sample(value=value, round=number) for number, value in enumerate(values, start=1)]


@pytest.mark.parametrize("values, said", [
    ([100, 101, 100, 99, 100], None),
    ([100, 101, 102, 104, 107, 109], "at first to 108 ns at last (+7 %)"),
    ([100, 100, 100, 125, 100, 100, 100], "between 100 ns and 125 ns"),
    ([100, 200], None),
])
def test_a_sentinel_that_moved_is_said(values, said):
    lines = verdict.drift_lines(sentinels(values))
    assert len(lines) == (said is not None)
    assert all(line.startswith("drift: the sentinel, latency.random.cpu0.node0, ") and said in line for line in lines)


def test_what_a_sentinel_used_beside_its_time_is_no_drift():
    moved = [dict(row, metric="system_time", unit="s") for row in sentinels([1, 5, 9])]
    assert not verdict.drift_lines(moved)
    assert verdict.drift_lines([dict(row, metric="wall_time") for row in moved])
