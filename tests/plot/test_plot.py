"""harness/plot.py: pictures of good runs, and how it is called."""

import json
import re
import subprocess
import sys

import pytest
from conftest import HARNESS, environment, job, machine, write_run

from numa_report import heatmap, picture, pictures, runs, summary, tables
from numa_report.lettering import Lettering
from numa_report.run import Run

PLOT = str(HARNESS / "plot.py")
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


def plot(*arguments, python=sys.executable):
    return subprocess.run([python, PLOT, *map(str, arguments)], capture_output=True, text=True, check=False)


def words(folder, name):
    """The text of an SVG picture."""
    svg = (folder / f"{name}.svg").read_text(encoding="utf-8")
    return [re.sub("<.*?>", "", text) for text in re.findall(r"<text.*?</text>", svg, re.DOTALL)]


def draw(folder):
    pictures.draw(Run(str(folder)))
    return folder


def test_a_run_gives_png_and_svg_of_both_benches(run_folder):
    done = plot(run_folder)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.splitlines()[-9:] == [
        *(f"{run_folder}/{name}.{ending}" for name in ("latency", "bandwidth", "penalty", "samples")
          for ending in ("png", "svg")), f"{run_folder}/report.html"]
    for name in ("latency", "bandwidth"):
        assert (run_folder / f"{name}.png").read_bytes().startswith(PNG_MAGIC)


def test_each_cell_shows_value_and_penalty(run_folder):
    text = words(draw(run_folder), "latency")
    assert text.count("92.4") == 2 and text.count("1.00×") == 2
    assert text.count("171") == 2 and text.count("1.85×") == 2


def test_title_and_axes_name_machine_size_rounds_and_units(run_folder):
    text = words(draw(run_folder), "bandwidth")
    assert "Memory bandwidth (GB/s) on testhost" in text
    assert "Made-up CPU 9000 · numa_alloc · 1 thread · 256 MiB · 3 rounds" in text
    assert "memory node" in text and "CPU node" in text and "1 (CPU 4)" in text
    assert {"read", "write", "copy", "scale", "add", "triad"} <= set(text)
    assert "GB/s" in text and "higher is better" in text


def test_a_plain_run_marks_nothing(run_folder):
    text = " ".join(words(draw(run_folder), "latency"))
    assert not any(mark in text for mark in heatmap.MARKS)


@pytest.mark.parametrize("mark, change", [
    ("misplaced", {"placement": "failed", "placed_fraction": 0.1}),
    ("unverified", {"placement": "unverified", "placed_fraction": None}),
])
def test_placement_marks_are_words_and_in_the_legend(tmp_path, mark, change):
    rows = machine([0, 1], [0, 1], benches=("latency",))
    for row in rows:
        if (row["cpu_node"], row["mem_node"]) == (0, 1):
            row.update(change)
    text = words(draw(write_run(tmp_path / "run", rows)), "latency")
    assert text.count(mark) == 1 and heatmap.MARKS[mark][1] in text


def test_noisy_failed_and_skipped_cells_are_marked(tmp_path):
    rows = machine([0], [0, 1], benches=("latency",))
    for row in rows:
        row["value"] *= 1 + 0.2 * row["round"] * row["mem_node"]
    jobs = [job(cpu=4, cpu_node=1), job(cpu=4, cpu_node=1, mem_node=1, skip_reason="hidden")]
    folder = write_run(tmp_path / "run", rows)
    summary.write_matrix(str(folder), summary.summarise(rows, {jobs[0]: "exit status 1"}, jobs))
    text = words(draw(folder), "latency")
    for mark in ("noisy", "failed", "skipped"):
        assert text.count(mark) == 1 and heatmap.MARKS[mark][1] in text


def test_all_cells_failed_still_draws(tmp_path):
    jobs = [job()]
    folder = tmp_path / "run"
    folder.mkdir()
    summary.write_matrix(str(folder), summary.summarise([], {jobs[0]: "exit status 1"}, jobs))
    assert "failed" in words(draw(folder), "latency")


def test_nodes_without_cpus_are_columns_and_say_so(tmp_path):
    folder = write_run(tmp_path / "run", machine([0, 8], [0, 8, 252]), environment([0, 8], [0, 8, 252]))
    text = words(draw(folder), "latency")
    assert "252" in text and "(no CPUs)" in text and "8 (CPU 32)" in text


@pytest.mark.parametrize("nodes", [1, 2, 8])
def test_every_size_of_machine_is_drawn_without_text_over_text(tmp_path, nodes):
    folder = write_run(tmp_path / "run", machine(range(nodes), range(nodes)), environment(range(nodes), range(nodes)))
    rows = runs.matrix_of(str(folder))
    for part in ([row for row in rows if row["bench"] == bench] for bench in ("latency", "bandwidth")):
        figure = heatmap.draw(part, environment(range(nodes), range(nodes))).figure
        renderer = figure.canvas.get_renderer()
        boxes = [box for axes in figure.axes for part in axes.findobj(Lettering) for _, box in part.boxes(renderer)]
        assert boxes
        boxes += [text.get_window_extent(renderer) for text in figure.texts]
        overlaps = [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]
        assert not overlaps
        whole = figure.bbox
        assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= whole.x1 and box.y1 <= whole.y1 for box in boxes)


@pytest.mark.parametrize("lightness", [i / 20 for i in range(21)])
def test_text_contrasts_with_its_cell(lightness):
    ground = (lightness,) * 3
    def luminance(grey):
        return grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4
    ink = int(picture.ink_on(ground)[1:3], 16) / 255
    bright, dark = sorted((luminance(ink), luminance(lightness)), reverse=True)
    assert (bright + 0.05) / (dark + 0.05) >= 4.1


def test_variants_share_one_colour_scale():
    rows = summary.summarise(machine([0, 1], [0, 1], benches=("bandwidth",)))
    assert len([axes for axes in heatmap.draw(rows, {}).figure.axes if axes.get_ylabel().startswith("GB/s")]) == 1


def test_the_same_data_give_the_same_picture(run_folder):
    first = (draw(run_folder) / "latency.svg").read_bytes()
    assert (draw(run_folder) / "latency.svg").read_bytes() == first


def test_without_matrix_the_samples_are_summarised_first(tmp_path):
    folder = write_run(tmp_path / "run", machine([0, 1], [0, 1]))
    assert plot(folder).returncode == 0
    assert len(tables.read_matrix(folder / "matrix.csv")) == 4 * 7


def test_the_output_of_a_benchmark_alone_can_be_drawn(tmp_path):
    rows = machine([0], [0], benches=("latency",), rounds=1)
    for row in rows:
        row.update(run="", round=None, cell="", sample=None)
    folder = tmp_path / "run"
    folder.mkdir()
    tables.write_table(folder / "samples.csv", [name for name in rows[0] if name != "sample"], rows)
    assert "92.4" in words(draw(folder), "latency")


def test_columns_may_be_added_and_moved(run_folder):
    rows = tables.read_table(run_folder / "matrix.csv", tables.MATRIX)
    for row in rows:
        row["joules"] = "3"
    tables.write_table(run_folder / "matrix.csv", sorted(rows[0], reverse=True), rows)
    assert "1.85×" in words(draw(run_folder), "latency")


def test_an_environment_of_odd_things_costs_only_a_line_of_the_title(run_folder):
    (run_folder / "environment.json").write_text(json.dumps({"topology": 3, "options": []}), encoding="utf-8")
    assert "Memory latency (ns) on testhost" in words(draw(run_folder), "latency")


def test_a_folder_of_runs_draws_every_run_in_it(tmp_path):
    for name in ("one", "two", "reference/three"):
        write_run(tmp_path / name, machine([0], [0], benches=("latency",)))
    done = plot(tmp_path)
    assert done.returncode == 0
    assert sorted(path.parent.name for path in tmp_path.rglob("latency.png")) == ["one", "three", "two"]


def test_one_bad_run_does_not_keep_the_others_from_being_drawn(tmp_path):
    write_run(tmp_path / "good", machine([0], [0], benches=("latency",)))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "matrix.csv").write_text("nonsense\n")
    done = plot(tmp_path)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert (tmp_path / "good" / "latency.png").exists()


def test_help_and_usage():
    assert plot("--help").returncode == 0 and "Exit status" in plot("--help").stdout
    assert plot().returncode == 2


def test_a_python_without_matplotlib_hands_over_to_the_one_that_has_it(run_folder, tmp_path):
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    blind = tmp_path / "bare" / "bin" / "python3"
    assert subprocess.run([blind, "-c", "import matplotlib"], capture_output=True, check=False).returncode != 0
    done = plot(run_folder, python=blind)
    assert done.returncode == 0, done.stderr


def test_dollars_and_endless_names_are_drawn_as_they_are(tmp_path):
    rows = machine([0, 1], [0, 1], benches=("latency",))
    for row in rows:
        row["host"] = "$a$b" + "x" * 100_000
    described = environment([0, 1], [0, 1])
    described["cpu_model"] = "CPU $_$ \\frac" + "\n9" * 5000
    text = " ".join(words(draw(write_run(tmp_path / "run", rows, described)), "latency"))
    assert "on $a$bxx" in text and "CPU $_$ \\frac" in text and "x" * 200 not in text


def test_four_hundred_memory_nodes(tmp_path):
    rows = machine([0], list(range(400)), benches=("latency",), rounds=1, each=1)
    image = (draw(write_run(tmp_path / "run", rows)) / "latency.png").read_bytes()
    width, height = (int.from_bytes(image[at:at + 4], "big") for at in (16, 20))
    assert 25_000 < width < 65_536 and width * height <= picture.MOST_PIXELS


def test_an_image_is_never_too_large():
    assert picture.png_dpi(10, 6) == picture.PNG_DPI
    for width_in, height_in in ((1000, 2), (3, 2000), (600, 600)):
        dpi = picture.png_dpi(width_in, height_in)
        assert max(width_in, height_in) * dpi < 1 << 16 and width_in * height_in * dpi * dpi < 1.01 * picture.MOST_PIXELS


def test_a_home_that_cannot_be_written_is_no_news(run_folder):
    home = {"HOME": "/proc/nowhere", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, PLOT, run_folder], capture_output=True, text=True, check=False, env=home)
    assert done.returncode == 0 and done.stderr == ""
