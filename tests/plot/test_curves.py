"""Pictures of single runs: the cache curve, latency under load, and the map of hand-overs from CPU to CPU."""

import pytest
from conftest import environment, machine, write_run
from test_damage import complaint
from test_plot import plot, words

from numa_report import core2core, curves, loaded, pictures, runs, singles, tables
from numa_report.run import Run

KIB, MIB = 1 << 10, 1 << 20
LEVELS = (("L1d", 0.95, 49 * KIB), ("L2", 3.3, 976 * KIB), ("L3", 13.0, 6 * MIB), ("memory", 150.0, 256 * MIB))
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def row(bench, metric, variant, value, **changes):
    """A row as the benchmarks print it with --csv."""
    return {
        "run": "", "host": "testhost", "round": "", "cell": "", "bench": bench, "metric": metric,
        "unit": "GB/s" if metric in ("bandwidth", "knee") else "ns", "cpu": 0, "cpu_node": 0, "mem_node": 0,
        "allocator": "glibc", "policy": "none", "pages": "default", "threads": 1, "size_bytes": 256 * MIB,
        "variant": variant, "value": value, "placement": "verified", "placed_fraction": 1,
        "started_at": "2026-11-22T13:00:00Z", "other_cpu": "", "other_cpu_node": "", "other_mem_node": "",
        "disturbed": "", "ci_low": "" if value == "" else 0.98 * value, "ci_high": "" if value == "" else 1.03 * value,
        "status": "ok", "reason": "", **changes,
    }


def curve(pages=("thp",), variants=("random",), levels=LEVELS, **changes):
    """Three samples of each size, four sizes an octave, and the levels found."""
    sizes = [int(4 * KIB * 2 ** (step / 4)) for step in range(65)]
    rows = [row("latency", "load_latency", variant, latency(size) * (1 + number / 4) * (1 + 0.01 * k), pages=kind,
                size_bytes=size, **changes)
            for size in sizes for number, (kind, variant) in enumerate((p, v) for p in pages for v in variants)
            for k in range(3)]
    return rows + [row("latency", "level_latency", name, value, size_bytes=edge, ci_low="", ci_high="", **changes)
                   for name, value, edge in levels]


def latency(size):
    return next(value for _, value, edge in LEVELS if size <= edge)


def under_load(knee=40.0, **changes):
    """A curve that turns up at its knee."""
    rates = ("idle", *(f"{rate}%" for rate in (10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 95)), "full")
    rows = []
    for step, rate in enumerate(rates):
        common = {"threads": 4, **changes}
        for k in range(3):
            rows.append(row("loaded", "loaded_latency", rate, (100 + 0.03 * step ** 3.2) * (1 + 0.01 * k), **common))
            rows.append(row("loaded", "bandwidth", rate, (1 + 3.6 * step) * (1 + 0.01 * k), **common))
    return rows + ([row("loaded", "knee", "x1.5", knee, ci_low="", ci_high="", **common)] if knee else [])


def handovers(cpus, per_node):
    return [row("core2core", "handover_latency", variant, ns * (1 if a // per_node == b // per_node else 3), cpu=a,
                cpu_node=a // per_node, other_cpu=b, other_cpu_node=b // per_node, threads=2)
            for variant, ns in (("cas", 41), ("store-load", 57)) for a in range(cpus) for b in range(a + 1, cpus)]


def keep(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    tables.write_table(folder / "samples.csv", list(rows[0]), rows)
    return folder


def page_of(draw, rows, tmp_path, described=None):
    _, parts = singles.read(keep(tmp_path / "page", rows) / "samples.csv")
    return draw(next(iter(parts.values())), described or {})


PICTURES = {"curve": curve(), "loaded": under_load(), "core2core": handovers(4, 2)}


@pytest.mark.parametrize("name", PICTURES)
def test_a_single_run_gives_its_picture_and_nothing_else(tmp_path, name):
    folder = keep(tmp_path / "run", PICTURES[name])
    done = plot(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"{folder}/{name}.png", f"{folder}/{name}.svg", f"{folder}/report.html"]
    assert {path.name for path in folder.iterdir()} == {"samples.csv", f"{name}.png", f"{name}.svg", "report.html"}
    assert (folder / f"{name}.png").read_bytes().startswith(PNG_MAGIC)


def test_every_level_is_named_with_its_latency_and_where_it_ends(tmp_path):
    folder = keep(tmp_path / "run", curve())
    pictures.draw(Run(str(folder)))
    text = words(folder, "curve")
    assert {"L1d", "L2", "L3", "memory"} <= set(text)
    assert {"0.950 ns, to 49K", "3.30 ns, to 976K", "13.0 ns, to 6M", "150 ns"} <= set(text)


def test_titles_name_host_model_cpu_and_pages(tmp_path):
    for name, rows in PICTURES.items():
        folder = keep(tmp_path / name, rows)
        (folder / "environment.json").write_text('{"cpu_model": "Made-up CPU 9000"}')
        assert plot(folder).returncode == 0
        text = words(folder, name)
        assert any(line.endswith(" on testhost") for line in text)
        assert any(line.startswith("Made-up CPU 9000") for line in text)
    text = words(tmp_path / "curve", "curve")
    assert ("Made-up CPU 9000 · CPU 0 of node 0 · memory of node 0 · glibc · transparent huge pages · "
            "random, 1 chain") in text


def test_axes_have_units_and_sizes_by_1024(tmp_path):
    folder = keep(tmp_path / "run", curve() + under_load())
    assert plot(folder).returncode == 0
    text = words(folder, "curve")
    assert "latency of a load (ns)" in text and {"4K", "64K", "1M", "16M", "256M"} <= set(text)
    text = words(folder, "loaded")
    assert any("(GB/s)" in line for line in text) and any("(ns)" in line for line in text)


def test_kinds_of_pages_and_chains_are_lines_with_names(tmp_path):
    folder = keep(tmp_path / "run", curve(pages=("base", "thp"), variants=("random", "random-x4")))
    assert plot(folder).returncode == 0
    assert {f"{kind} · random, {chains}" for kind in ("base pages", "transparent huge pages")
            for chains in ("1 chain", "4 chains")} <= set(words(folder, "curve"))


def test_levels_belong_to_the_first_line_of_their_run():
    first, second = curve(pages=("base",)), curve(pages=("thp",), levels=[("L1d", 9.0, 32 * KIB)])
    key, levels = curves.levels_of(second + first)
    assert key == singles.line_key(second[0]) and levels == [("L1d", 9.0, 32 * KIB)]


def test_a_curve_without_levels_is_drawn(tmp_path):
    assert plot(keep(tmp_path / "run", curve(levels=()))).returncode == 0


def test_the_knee_is_marked_with_its_value_and_its_absence_is_said(tmp_path):
    for knee, expected in ((40.04, "knee 40.0 GB/s"), (None, "no knee: latency stays below 1.5 × idle")):
        folder = keep(tmp_path / f"knee {knee}", under_load(knee))
        assert plot(folder).returncode == 0
        assert expected in words(folder, "loaded")


def test_rates_are_written_beside_points_and_latency_begins_at_zero(tmp_path):
    page = page_of(loaded.draw, under_load(), tmp_path)
    axes = page.figure.axes[0]
    assert {"idle", "50%", "full"} <= {text.get_text() for text in axes.texts}
    assert axes.get_ylim()[0] == axes.get_xlim()[0] == 0


@pytest.mark.parametrize("other, threads, expected", [
    ({}, (2, 4), {"1 aggressor", "3 aggressors"}),
    ({"other_cpu_node": 0, "other_mem_node": 1}, (2, 4), {"1 aggressor on node 0, memory of node 1",
                                                          "3 aggressors on node 0, memory of node 1"}),
    ({"other_cpu_node": 0, "other_mem_node": 1}, (2,), {"CPU 0 of node 0 · memory of node 0 · glibc · 256 MiB · "
                                                        "1 aggressor on node 0, memory of node 1"}),
])
def test_aggressors_are_named_by_what_tells_them_apart(tmp_path, other, threads, expected):
    rows = [r for number in threads for r in under_load(**other, threads=number)]
    page = page_of(loaded.draw, rows, tmp_path)
    assert expected <= {text.get_text() for text in page.figure.texts}


def test_every_victim_has_a_panel_and_its_idle_point(tmp_path):
    rows = []
    for victim in (0, 1):
        place = {"cpu": 2 * victim, "cpu_node": victim, "mem_node": victim}
        rows += [r for r in under_load(None, **place) if r["variant"] == "idle"]
        for other in (0, 1):
            rows += [r for r in under_load(None, other_cpu_node=other, other_mem_node=other, **place)
                     if r["variant"] == "full"]
    page = page_of(loaded.draw, rows, tmp_path)
    assert [axes.get_title() for axes in page.figure.axes] == [f"CPU {2 * n} of node {n} · memory of node {n}"
                                                               for n in (0, 1)]
    assert all(len(line.get_xdata()) == 2 for axes in page.figure.axes for line in axes.lines)
    assert {f"aggressors on node {n}, memory of node {n}" for n in (0, 1)} <= {t.get_text() for t in page.figure.texts}


@pytest.mark.parametrize("cpus, shown", [(2, True), (32, True), (33, False)])
def test_the_map_shows_values_up_to_32_cpus(tmp_path, cpus, shown):
    page = page_of(core2core.draw, handovers(cpus, 20), tmp_path)
    cas, store_load = page.figure.axes[:2]
    values = [text.get_text() for text in cas.texts if not text.get_text().startswith("node")]
    assert set(values) == ({"41.0"} | ({"123"} if cpus > 20 else set()) if shown else set())
    assert len(values) == (cpus * (cpus - 1) if shown else 0)
    assert (cas.get_title(), store_load.get_title()) == ("cas", "store-load")


def test_the_maps_share_one_scale_and_group_cpus_by_node(tmp_path):
    rows = handovers(4, 2)
    for r in rows:  # CPUs 0 and 2 are of node 0
        for cpu, node in (("cpu", "cpu_node"), ("other_cpu", "other_cpu_node")):
            r[node] = r[cpu] % 2
    page = page_of(core2core.draw, rows, tmp_path)
    panels = page.figure.axes[:2]
    assert len({panel.collections[0].norm for panel in panels}) == 1
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["0", "2", "1", "3"]
    assert [text.get_text() for text in panels[0].texts if "node" in text.get_text()] == ["node 0", "node 1"]


@pytest.mark.parametrize("name", ["curve", "curves", "narrow levels", "loaded", "core2core", "32 CPUs", "192 CPUs"])
def test_no_text_is_over_other_text_or_off_the_page(tmp_path, name):
    narrow = [(f"level {n + 1}", 2.0 ** n, (8 << n) * KIB) for n in range(9)]
    draw, rows = {
        "curve": (curves.draw, curve()), "loaded": (loaded.draw, under_load()),
        "curves": (curves.draw, curve(("base", "thp"), [f"random-x{n}" for n in range(1, 17)])),
        "narrow levels": (curves.draw, curve(levels=narrow)),
        "core2core": (core2core.draw, handovers(4, 2)), "32 CPUs": (core2core.draw, handovers(32, 8)),
        "192 CPUs": (core2core.draw, handovers(192, 24)),
    }[name]
    figure = page_of(draw, rows, tmp_path, environment([0], [0])).figure
    figure.canvas.draw()  # puts the axes' names where they belong
    renderer = figure.canvas.get_renderer()
    texts = [text for axes in figure.axes for text in (*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label)]
    ticks = [tick.label2 if tick.label2.get_visible() else tick.label1 for axes in figure.axes
             for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_major_ticks()
             if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in [*texts, *ticks, *figure.texts]
             if text.get_text()]
    boxes = [(text, box.padded(-1)) for text, box in boxes]
    assert not [(a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[:i] if box.overlaps(other)]
    whole = figure.bbox
    assert not [text for text, box in boxes
                if box.x0 < 0 or box.y0 < 0 or box.x1 > whole.x1 or box.y1 > whole.y1]


def test_disturbed_samples_do_not_move_the_line():
    rows = [row("latency", "load_latency", "random", 100.0, size_bytes=4096) for _ in range(6)]
    rows += [row("latency", "load_latency", "random", 900.0, size_bytes=4096, disturbed="preempted") for _ in range(9)]
    assert singles.point(rows).value == 100.0


def test_what_was_noisy_misplaced_or_failed_is_said(tmp_path):
    rows = curve()
    rows[0].update(status="noisy")
    rows[3].update(placement="failed")
    rows[9:12] = [row("latency", "load_latency", "random", "", size_bytes=rows[9]["size_bytes"], pages="thp",
                      status="failed", reason="no memory")]
    folder = keep(tmp_path / "run", rows)
    assert plot(folder).returncode == 0
    text = " ".join(words(folder, "curve"))
    for mark in ("noisy", "misplaced", "failed"):
        assert f"{mark}: " in text
    assert text.count("1 of 65 figures") == 3


def test_a_sweep_of_several_sizes_is_still_heatmaps(tmp_path):
    rows = [r for size in (1, 2, 4, 8, 16) for r in machine([0, 1], [0, 1], benches=("latency",))
            for r in [{**r, "size_bytes": size * MIB, "cell": f"{r['cell']}.{size}"}]]
    folder = write_run(tmp_path / "run", rows)
    (folder / "plan.csv").write_text("seq,round,bench,cpu,cpu_node,mem_node,skip_reason\n")
    matrix, parts = runs.read(str(folder))
    assert len(matrix) == 4 * 5 and parts == {}


def test_a_run_of_two_benchmarks_has_both_kinds_of_pictures_and_again(tmp_path):
    bandwidth = [row("bandwidth", "bandwidth", variant, 20 + k) for variant in ("copy", "triad") for k in range(6)]
    folder = keep(tmp_path / "run", bandwidth + curve())
    for _ in range(2):
        assert plot(folder).returncode == 0
        assert {path.name for path in folder.glob("*.png")} == {"bandwidth.png", "curve.png"}
    assert {r["bench"] for r in tables.read_matrix(folder / "matrix.csv")} == {"bandwidth"}


def test_memory_on_several_nodes_has_no_node_and_is_drawn(tmp_path):
    folder = keep(tmp_path / "run", curve(mem_node="", policy="interleave:0,1"))
    assert plot(folder).returncode == 0
    assert any("memory of several nodes" in line for line in words(folder, "curve"))


def test_the_same_data_give_the_same_picture(tmp_path):
    for name, rows in PICTURES.items():
        folder = keep(tmp_path / name, rows)
        drawn = []
        for _ in range(2):
            pictures.draw(Run(str(folder)))
            drawn.append((folder / f"{name}.svg").read_bytes())
        assert drawn[0] == drawn[1]


def changed(rows, number, **changes):
    return [{**r, **changes} if at == number else r for at, r in enumerate(rows, start=2)]


ONLY_IDLE = [r for r in under_load() if r["variant"] == "idle"]
DAMAGED = {
    "value": (changed(curve(), 3, value="fast"), ["row 3", "column value", "'fast'"]),
    "no value": (changed(curve(), 3, value=""), ["row 3", "column value", "status is not failed"]),
    "interval": (changed(curve(), 4, ci_low="-1"), ["row 4", "column ci_low", "negative"]),
    "no bytes": (changed(curve(), 4, size_bytes=0), ["row 4", "column size_bytes"]),
    "no other CPU": (changed(handovers(3, 2), 5, other_cpu=""), ["row 5", "column other_cpu"]),
    "a word for a CPU": (changed(handovers(3, 2), 5, other_cpu="x"), ["row 5", "column other_cpu", "'x'"]),
    "nothing measured": ([row("loaded", "loaded_latency", "idle", "", status="failed", reason="no\nmemory")],
                         ["row 2", "nothing was measured", "no memory"]),
    "only idle": (ONLY_IDLE, ["too little of loaded"]),
    "only levels": (curve()[-4:], ["too little of curve"]),
    "a matrix's cell that failed": ([*curve(), row("bandwidth", "bandwidth", "copy", "", status="failed",
                                                   reason="no memory")], ["column value", "not measured: no memory"]),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_one_line_and_no_picture(tmp_path, name):
    rows, expected = DAMAGED[name]
    folder = keep(tmp_path / "run", rows)
    done = plot(folder)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and len(lines) == 1, done.stderr
    assert lines[0].startswith(f"plot.py: {folder}/samples.csv: ") and lines[0].isprintable()
    for word in expected:
        assert word in lines[0]
    assert not [*folder.glob("*.png"), *folder.glob("*.tmp")]


def test_a_curve_cut_while_it_was_written_is_refused(tmp_path):
    folder = keep(tmp_path / "run", curve())
    data = (folder / "samples.csv").read_bytes()
    (folder / "samples.csv").write_bytes(data[:len(data) // 2])
    status, lines = complaint(folder)
    assert status == 1 and len(lines) == 1 and "cut" in lines[0]
