"""Which pictures a run gives, what they say, and that none of them is drawn where it would say nothing."""

import os
import re

import pytest
from conftest import environment, machine, sample, write_run
from test_curves import keep, row, under_load
from test_plot import words

from numa_report import (cells, comparison, drift, heatmap, layout, loaded, loaded_matrix, picture, pictures, programs,
                         singles, spread, summary)
from numa_report.errors import DataError, ReportError
from numa_report.lettering import Lettering
from numa_report.run import Run


class MadeUp:
    """What pictures are made of, without a folder."""

    def __init__(self, samples, sentinels=(), described=None, single=None):
        self.rows = summary.summarise(samples) if samples else []
        self.environment, self.sentinels, self.singles = described or {}, list(sentinels), single or {}
        self.samples = {}
        for each in samples:
            key = each["host"], each["cell"], each["metric"]
            self.samples.setdefault(key, []).append(SampleOf(each["round"], each["value"], each.get("disturbed", "")))


class SampleOf:
    def __init__(self, number, value, disturbed):
        self.round, self.value, self.disturbed = number, value, disturbed


def placed(policy, mem_node, value, cpu_node=0, **changes):
    return [sample(cpu=4 * cpu_node, cpu_node=cpu_node, mem_node=mem_node, policy=policy, round=number,
                   value=value * (1 + number / 1000), **{"cell": f"{cpu_node}.{policy}", **changes})
            for number in (1, 2, 3)]


def policies(**changes):
    return [each for cpu_node in (0, 1) for policy, node, value in (
        ("bind:0", 0, 100 + 80 * cpu_node), ("bind:1", 1, 180 - 80 * cpu_node), ("local", None, 101),
        ("interleave:all", None, 141)) for each in placed(policy, node, value, cpu_node, **changes)]


def program(node, seconds, cpu_node=0, metric="wall_time", unit="s", better="lower"):
    return [{**sample(cpu=4 * cpu_node, cpu_node=cpu_node, mem_node=node, round=number, value=value, metric=metric,
                      unit=unit, variant="command", size_bytes=0, better=better, cell=f"sqlite.{cpu_node}.{node}"),
             "bench": "sqlite"}
            for number, value in enumerate(seconds, start=1)]


def programs_of():
    return [each for cpu_node in (0, 1) for node in (0, 1) for factor in (1 if node == cpu_node else 1.5,)
            for each in program(node, [1.99 * factor, 2.0 * factor, 2.01 * factor], cpu_node)
            + program(node, [998 / factor, 1000 / factor, 1002 / factor], cpu_node, "tps", "1/s", "higher")]


def sentinels(values):
    return [sample(round=number, value=value * (1 + k / 1000), sample=k + 1,
                   started_at=f"2026-11-22T13:{2 * number:02}:00Z")
            for number, value in enumerate(values, start=1) for k in (-1, 0, 1)]


def loads(nodes=2):
    """What bench/loaded --matrix prints: victims and aggressors on every node with memory of every node."""
    rows = []
    places = [(cpu, memory) for cpu in range(nodes) for memory in range(nodes)]
    for cpu, memory in places:
        victim = {"cpu": 4 * cpu, "cpu_node": cpu, "mem_node": memory}
        rows.append(row("loaded", "loaded_latency", "idle", 100.0, **victim))
        for other_cpu, other_memory in places:
            rows.append(row("loaded", "loaded_latency", "full", 300.0 if other_memory == memory else 110.0, threads=3,
                            other_cpu_node=other_cpu, other_mem_node=other_memory, **victim))
    return rows


def loads_of(tmp_path, rows):
    _, parts = singles.read(keep(tmp_path / "loads", rows) / "samples.csv")
    return MadeUp([], single=parts)


def only(drawings):
    (found,) = drawings
    return found


def written(figure):
    """[(words, what they cover in pixels)] of all that is written."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for axes in figure.axes for text in (*axes.texts, *(axes.get_title(loc) and part for loc, part in (
        ("center", axes.title), ("left", axes._left_title))), axes.xaxis.label, axes.yaxis.label) if text]
    texts += [tick.label2 if tick.label2.get_visible() else tick.label1 for axes in figure.axes
              for axis in (axes.xaxis, axes.yaxis) for tick in axis.get_major_ticks()
              if min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())]
    texts += figure.texts
    found = [(text.get_text(), text.get_window_extent(renderer)) for text in texts
             if text.get_text() and text.get_visible()]
    return found + [box for axes in figure.axes for part in axes.findobj(Lettering) for box in part.boxes(renderer)]


def flaws(figure):
    """Words over others, or beyond the edge."""
    boxes = [(text, box.padded(-1)) for text, box in written(figure)]
    whole = figure.bbox
    return ([(a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[:i] if box.overlaps(other)]
            + [text for text, box in boxes if box.x0 < 0 or box.y0 < 0 or box.x1 > whole.x1 or box.y1 > whole.y1])


def text_of(drawing):
    return [text for text, _ in written(drawing.draw().figure)]


@pytest.fixture
def full_folder(run_folder):
    """A 2 x 2 run with sentinels and loads."""
    from numa_report import tables
    tables.write_table(run_folder / "sentinel.csv", list(sentinels([1])[0]), sentinels([100, 103, 99, 101]))
    tables.write_table(run_folder / "loaded.csv", list(loads()[0]), loads())
    return run_folder


def test_a_run_has_its_pictures_in_order_each_with_words_and_both_files(full_folder):
    drawn = pictures.draw(Run(str(full_folder)))
    assert [each.name for each in drawn] == ["latency", "bandwidth", "penalty", "loaded_matrix", "drift", "samples"]
    assert [each.kind for each in drawn] == ["heatmap"] * 3 + ["loaded_matrix", "drift", "samples"]
    for each in drawn:
        assert each.title and re.search("[0-9]", each.alternative) and each.alternative.endswith(".")
        assert each.paths == [str(full_folder / f"{each.name}.{ending}") for ending in ("png", "svg")]
        assert all(os.path.getsize(path) > 1000 for path in each.paths)
    assert not list(full_folder.glob("*.tmp"))


def test_one_process_draws_what_several_do(full_folder, monkeypatch):
    run = Run(str(full_folder))
    several = [(picture.name, open(picture.paths[1], "rb").read()) for picture in pictures.draw(run)]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    assert [(picture.name, open(picture.paths[1], "rb").read()) for picture in pictures.draw(run)] == several


@pytest.mark.parametrize("failure, line", [
    (DataError("x.csv", "wrong", row=3, column="value"), "x.csv: row 3, column value: wrong"),
    (OSError(28, "No space left on device", "x.png"), "No space left"), (None, "was killed"),
])
@pytest.mark.parametrize("cpus", [{0}, {0, 1}])
def test_what_fails_while_drawing_is_one_error(tmp_path, monkeypatch, failure, line, cpus):
    def fail():
        if failure:
            raise failure
        os._exit(9)

    if cpus == {0} and failure is None:
        pytest.skip("one process that is killed says nothing")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: cpus)
    drawings = [picture.Drawing(name, "kind", "title", "words", fail) for name in "abc"]
    with pytest.raises((ReportError, OSError), match=re.escape(line) if failure else line):
        pictures.save_all(drawings, str(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_name_from_the_data_stays_in_the_folder(tmp_path):
    rows = [dict(each, bench="../../x y", metric=metric, variant="command", cell=f"a{each['mem_node']}{metric}")
            for metric in ("a/b", "a_b") for each in placed("bind:0", 0, 3) + placed("bind:1", 1, 4)]
    folder = write_run(tmp_path / "run", rows)
    names = [each.name for each in pictures.draw(Run(str(folder)))]
    assert len(set(names)) == len(names) == 5 and not any("/" in name for name in names)
    assert {path.parent for path in tmp_path.rglob("*.png")} == {folder}
    assert picture.file_name("..") == "_" and len(picture.file_name("x" * 500)) < 100


# Heatmaps.

def test_cells_show_value_interval_and_penalty(run_folder):
    pictures.draw(Run(str(run_folder)))
    text = words(run_folder, "latency")
    assert text.count("171") == 2 and text.count("1.85×") == 2 and text.count("92.2–92.6") == 2
    penalties = words(run_folder, "penalty")
    assert {"latency", "bandwidth · triad", "times the local cell"} <= {line.split("\n")[0] for line in penalties}
    assert penalties.count("1.85×") == 2 and penalties.count("1.68×") == 12 and "2.00×" in penalties


def test_words_on_cells_keep_their_colour_in_the_dark(run_folder):
    pictures.draw(Run(str(run_folder)))
    svg = (run_folder / "latency.svg").read_text(encoding="utf-8")
    colours = re.findall(r'<text style="fill: (#[0-9a-f]{6});[^>]*>(?:171|92.4)<', svg)
    assert len(colours) == 4 and set(colours) == set(picture.INKS.values())
    assert not set(picture.INKS.values()) & set(picture.THEME.values())


def test_every_grey_of_the_pictures_that_the_page_inlines_is_the_themes(full_folder):
    drawn = pictures.draw(Run(str(full_folder)))
    for each in drawn:
        if each.kind != pictures.HEATMAP:
            body = open(each.paths[1], encoding="utf-8").read().partition("</style>")[2]
            greys = {colour for colour in re.findall(r"(?<=[: \"])#[0-9a-f]{6}", body)
                     if colour[1:3] == colour[3:5] == colour[5:7]}
            assert greys <= {*picture.THEME.values(), *picture.INKS.values()}, each.name


def test_penalties_share_a_scale_that_begins_at_none_and_reaches_to_twice():
    rows = summary.summarise(machine([0, 1], [0, 1], benches=("latency",)))
    assert heatmap.penalty_range(rows) == (1, 2)
    assert heatmap.penalty_range([{"penalty": 0.9}, {"penalty": 3.5}, {"penalty": None}]) == (0.9, 3.5)


def test_local_memory_alone_has_no_picture_of_penalties():
    assert [each.name for each in heatmap.drawings(MadeUp(machine([0], [0])))] == ["latency", "bandwidth"]


def test_a_node_without_memory_is_a_row_that_says_so():
    described = environment([0, 1], [0, 1])
    described["topology"]["nodes"][1]["has_memory"] = False
    samples = [each for each in machine([0, 1], [0, 1], benches=("latency",)) if each["mem_node"] == 0]
    text = text_of(next(heatmap.drawings(MadeUp(samples, described=described))))
    assert "1 (CPU 4),\nno memory" in text and "0 (CPU 0)" in text and "1.00×" in text


@pytest.mark.parametrize("nodes", [16, 17])
def test_a_dense_matrix_shows_every_value_and_nothing_else_in_its_cells(nodes):
    drawing = next(heatmap.drawings(MadeUp(machine(range(nodes), range(nodes), benches=("latency",), each=1))))
    figure = drawing.draw().figure
    (lettering,) = figure.axes[0].findobj(Lettering)
    lines = 3 if nodes * nodes <= cells.DENSE else 1
    assert len(lettering.words) == lines * nodes * nodes and flaws(figure) == []
    assert f"{nodes} CPU nodes by {nodes} memory nodes" in drawing.alternative


def test_a_dense_matrix_is_small_as_svg(tmp_path):
    folder = write_run(tmp_path / "run", machine(range(24), range(24), benches=("latency",), rounds=1, each=1))
    pictures.draw(Run(str(folder)))
    assert os.path.getsize(folder / "latency.svg") < 300 * 24 * 24


@pytest.mark.parametrize("nodes", [4, 18])
def test_marks_are_hatches_or_where_there_is_no_room_letters_and_corners(nodes):
    samples = [dict(each, placement="unverified") for each in machine(range(nodes), range(nodes), benches=("latency",))]
    figure = next(heatmap.drawings(MadeUp(samples))).draw().figure
    (lettering,) = figure.axes[0].findobj(Lettering)
    (legend,) = (text.get_text() for text in figure.legends[0].get_texts() if "unverified" in text.get_text())
    hatched = [patch for patch in figure.axes[0].patches if patch.get_hatch()]
    if nodes * nodes <= cells.DENSE:
        assert hatched and sum(entry[2] == "unverified" for entry in lettering.words) == nodes * nodes
    else:
        assert not hatched and all(entry[2].endswith(" u") for entry in lettering.words) and legend.startswith("u, ")


def test_the_words_for_a_heatmap_say_what_is_worst_and_what_is_marked():
    samples = machine([0, 1], [0, 1])
    for each in samples:
        if each["bench"] == "latency" and (each["cpu_node"], each["mem_node"]) == (0, 1):
            each["placement"] = "unverified"
    latency, bandwidth, penalty = heatmap.drawings(MadeUp(samples))
    assert latency.alternative == ("2 CPU nodes by 2 memory nodes. Local cells 92.4 ns and other cells 171 ns; worst: "
                                   "CPU node 0 to memory node 1. Of 4 cells: 1 unverified.")
    assert "worst: read, CPU node 0 to memory node 1" in bandwidth.alternative
    assert "1.68× to 1.85×" in penalty.alternative and "most in memory latency" in penalty.alternative


# Choices side by side.

def test_policies_are_compared_where_a_sweep_had_several():
    drawing = only(comparison.drawings(MadeUp(policies())))
    text = text_of(drawing)
    assert drawing.name == "policies"
    assert {"local", "interleave:all", comparison.OWN, comparison.OTHER, "CPU node 0", "CPU node 1"} <= set(text)
    assert "1.80×" in drawing.alternative and "bind to another node" in drawing.alternative
    assert list(comparison.drawings(MadeUp(machine([0, 1], [0, 1])))) == []


def test_the_local_cell_is_the_line_that_policies_are_seen_against():
    axes = only(comparison.drawings(MadeUp(policies()))).draw().figure.axes[0]
    lines = [line for line in axes.lines if line.get_color() == picture.INK]
    assert [round(line.get_xdata()[0], 1) for line in lines] == [100.2, 100.2] and axes.get_xlim()[0] == 0


@pytest.mark.parametrize("axis, values, name", [("pages", ("default", "thp"), "pages"),
                                                ("allocator", ("numa_alloc", "glibc"), "allocators")])
def test_pages_and_allocators_are_compared_too(axis, values, name):
    samples = [dict(each, **{axis: value}, cell=f"{each['cell']}.{value}") for value in values
               for each in machine([0, 1], [0, 1])]
    drawing = only(comparison.drawings(MadeUp(samples)))
    text = text_of(drawing)
    assert drawing.name == name and set(values) <= set(text)
    assert {"CPU node 0 to memory node 1", "CPU node 1 to memory node 0 · triad"} <= set(text)


def test_of_many_comparisons_those_that_matter_most_are_shown_and_it_is_said():
    samples = [each for cpu_node in range(60) for policy, node, value in (
        ("bind:0", 0, 100), (f"bind:{cpu_node}", cpu_node, 100 + cpu_node), ("local", None, 100))[cpu_node == 0:]
        for each in placed(policy, node, value, cpu_node)]
    drawing = only(comparison.drawings(MadeUp(samples)))
    text = text_of(drawing)
    assert "CPU node 59" in text and "CPU node 2" not in text
    assert any(line.startswith("of 60 comparisons, those in which the choice matters most") for line in text)


# Programs.

def test_a_programs_penalties_have_intervals_beside_the_line_of_no_penalty():
    drawing = only(programs.drawings(MadeUp(programs_of())))
    assert "sqlite wall_time 1.50×" in drawing.alternative and "sqlite tps 1.50×" in drawing.alternative
    assert "sqlite tps · CPU node 0 to memory node 1" in text_of(drawing)
    assert list(programs.drawings(MadeUp(machine([0, 1], [0, 1])))) == []


def test_raw_latency_stands_beside_the_programs_where_the_run_has_it():
    text = text_of(only(programs.drawings(MadeUp(programs_of() + machine([0, 1], [0, 1], benches=("latency",))))))
    assert "latency · CPU node 0 to memory node 1 · 256 MiB" in text


@pytest.mark.parametrize("better", ["lower", "higher"])
def test_a_penaltys_interval_is_as_wide_as_both_of_its_cells_make_it(better):
    def cell(median, low, high):
        return {"median": median, "ci_low": low, "ci_high": high, "better": better}

    local, remote = cell(100, 97, 103), cell(200, 192, 208)
    if better == "higher":
        local, remote = remote, local
    remote["penalty"] = 2.0
    low, high = programs.interval(remote, local)
    assert low == pytest.approx(2 * (1 - 0.05), rel=0.005) and high == pytest.approx(2 * (1 + 0.05), rel=0.005)
    assert programs.interval({**remote, "ci_low": None}, local) == (None, None)


# The sentinel.

def test_drift_is_drawn_around_the_median_over_time():
    drawing = only(drift.drawings(MadeUp([], sentinels([100, 103, 90, 100]))))
    figure = drawing.draw().figure
    large = [line for line in figure.axes[0].lines if line.get_linewidth() == 1.3]
    assert [list(line.get_xdata()) for line in large] == [[0, 2, 4, 6]]
    assert list(large[0].get_ydata()) == pytest.approx([0, 3, -10, 0])
    assert "−10 % to +3 %" in drawing.alternative and "called a drift" not in drawing.alternative
    assert "minutes since its first run" in text_of(drawing)


def test_without_times_the_sentinels_runs_are_counted():
    rows = [dict(each, started_at="") for each in sentinels([100, 101, 100])]
    drawing = only(drift.drawings(MadeUp([], rows)))
    assert "runs of the sentinel, in the order of time" in text_of(drawing)
    assert drawing.alternative.endswith("None of it is called a drift.")


@pytest.mark.parametrize("values", [[], [100], [100, 101]])
def test_too_few_runs_of_the_sentinel_show_no_drift(values):
    assert list(drift.drawings(MadeUp([], sentinels(values)))) == []


# Samples.

def test_the_samples_of_few_cells_are_all_shown():
    drawing = only(spread.drawings(MadeUp(machine([0, 1], [0, 1], benches=("latency",)))))
    figure = drawing.draw().figure
    assert drawing.title == "Samples by round" and len(figure.axes) == 4
    dots = [line for line in figure.axes[0].lines if line.get_marker() == "."]
    assert sum(len(line.get_xdata()) for line in dots) == 15
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_of_many_cells_the_widest_are_shown_and_the_title_says_so():
    samples = machine([0, 1, 2, 3], [0, 1, 2, 3], benches=("latency",))
    for each in samples:
        if (each["cpu_node"], each["mem_node"]) == (2, 3):
            each["value"] *= 1 + 0.1 * each["round"]
    drawing = only(spread.drawings(MadeUp(samples)))
    text = "\n".join(text_of(drawing))
    assert drawing.title == "Samples by round, the 12 of 16 cells with the widest intervals"
    assert "CPU node 2 to memory node 3" in text and text.count("CPU node") == 12


def test_a_sample_far_away_does_not_flatten_the_others_and_is_counted():
    samples = machine([0], [0], benches=("latency",), each=9)
    samples[4]["value"] *= 30
    drawing = only(spread.drawings(MadeUp(samples)))
    figure = drawing.draw().figure
    assert figure.axes[0].get_ylim()[1] < 10 and "triangles: 1 sample beyond the scale" in text_of(drawing)
    assert [line.get_marker() for line in figure.axes[0].lines if line.get_marker() in "^v"] == ["^"]


def test_a_rounds_bar_is_where_its_undisturbed_samples_are_and_the_others_are_grey():
    samples = machine([0], [0], benches=("latency",), rounds=1, each=13)
    for each in samples[6:]:
        each.update(value=1.04 * each["value"], disturbed="preempted")
    figure = only(spread.drawings(MadeUp(samples))).draw().figure
    (bar,) = [line for line in figure.axes[0].lines if line.get_color() == picture.INK]
    assert bar.get_ydata()[0] == pytest.approx(0)
    assert [len(line.get_xdata()) for line in figure.axes[0].lines if line.get_color() == picture.GREY] == [7]


def test_cells_of_one_or_two_samples_have_no_distribution():
    assert list(spread.drawings(MadeUp(machine([0, 1], [0, 1], rounds=1, each=2)))) == []


# Loads.

def test_whose_traffic_slows_whom_down_is_a_matrix_in_place_of_curves(tmp_path):
    run = loads_of(tmp_path, loads())
    drawing = only(loaded_matrix.drawings(run))
    text = text_of(drawing)
    assert text.count("3.00×") >= 8 and text.count("1.10×") == 8 and text.count("300 ns") == 8
    assert {"0 → 0", "1 → 0"} <= set(text)
    assert "1.10× to 3.00×" in drawing.alternative
    assert list(loaded.drawings(run)) == []


def test_curves_of_one_place_are_no_matrix(tmp_path):
    run = loads_of(tmp_path, under_load())
    assert list(loaded_matrix.drawings(run)) == [] and len(list(loaded.drawings(run))) == 1


def test_a_matrix_of_curves_is_both(tmp_path):
    rows = [each for place in (0, 1) for each in under_load(None, other_cpu_node=place, other_mem_node=place)]
    rows += [each for place in (0, 1) for each in under_load(None, other_cpu_node=place, other_mem_node=place, cpu=2,
                                                             cpu_node=1, mem_node=1)]
    run = loads_of(tmp_path, rows)
    assert len(list(loaded_matrix.drawings(run))) == len(list(loaded.drawings(run))) == 1


# All of them.

def many_loads(tmp_path):
    return loads_of(tmp_path, loads(5))


DRAWN = {
    "policies": lambda _: comparison.drawings(MadeUp(policies())),
    "long policies": lambda _: comparison.drawings(MadeUp(policies() + [
        each for cpu_node in (0, 1)
        for each in placed("weighted:0=200,1=100,2=20,3=255,4=10,5=1", None, 130, cpu_node)])),
    "programs": lambda _: programs.drawings(MadeUp(programs_of())),
    "drift": lambda _: drift.drawings(MadeUp([], sentinels([100, 103, 90, 100]))),
    "samples": lambda _: spread.drawings(MadeUp(machine([0, 1, 2], [0, 1, 2]))),
    "samples of one cell": lambda _: spread.drawings(MadeUp(machine([0], [0], benches=("latency",)))),
    "loads": lambda folder: loaded_matrix.drawings(loads_of(folder, loads())),
    "many loads": lambda folder: loaded_matrix.drawings(many_loads(folder)),
    "few loads": lambda folder: loaded_matrix.drawings(loads_of(folder, [
        each for each in loads() if each["cpu_node"] == each["mem_node"] == 0])),
    "six nodes": lambda _: list(heatmap.drawings(MadeUp(machine(range(6), range(6)))))[2:],
    "CXL": lambda _: list(heatmap.drawings(MadeUp(machine([0, 1], [0, 1, 2]),
                                                  described=environment([0, 1], [0, 1, 2]))))[2:],
}


@pytest.mark.parametrize("name", DRAWN)
def test_no_words_lie_over_others_or_beyond_the_edge(name, tmp_path):
    assert flaws(only(DRAWN[name](tmp_path)).draw().figure) == []


def test_odd_words_in_the_data_are_drawn_as_they_are():
    odd = "$a$<b>\n" + "x" * 300
    samples = [dict(each, host=odd, bench=odd, metric=odd, variant="command", allocator=odd) for each in policies()]
    run = MadeUp(samples, [dict(each, cell=odd, host=odd) for each in sentinels([1, 2, 3])])
    for module in (heatmap, comparison, programs, drift, spread):
        for drawing in module.drawings(run):
            assert drawing.draw().figure.get_size_inches()[0] < 40 and len(drawing.alternative) < 1500
    assert layout.shortened(odd, 5) == "$a$<…"
