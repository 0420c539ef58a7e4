"""harness/numa_report/page: report.html, as a file; tests/page looks at it in a browser."""

import base64
import hashlib
import html.parser
import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import HARNESS, environment, job, machine, write_run

from numa_report import page, pictures, run, schema, summary
from numa_report.page import colours, commands, vector

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&{{7*7}}\u2028\x07"
PRINTABLE = HOSTILE[:-1]
WITHOUT_END = {"meta", "input", "br", "rect", "path", "stop"}


class Page(html.parser.HTMLParser):
    """What the tests ask of a page: its tags, their text, and the cells of its matrices."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags, self.cells, self.open, self.texts = [], [], [], []
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        if tag == "td" and "heat" in self.classes("table"):
            classes = attributes.get("class", "").split()
            self.cells.append({"class": classes, "number": attributes.get("data-c"), "text": ""})
        if tag not in WITHOUT_END:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        if tag not in WITHOUT_END:
            assert self.open and self.open[-1][0] == tag, f"</{tag}> in {self.open[-1:]}"
            self.open.pop()

    def handle_data(self, words):
        self.texts.append((self.open[-1][0] if self.open else "", words))
        if self.cells and any(tag == "td" for tag, _ in self.open) and "heat" in self.classes("table"):
            self.cells[-1]["text"] += words

    def classes(self, name):
        return next((attributes.get("class", "") for tag, attributes in reversed(self.open) if tag == name), "").split()

    @property
    def text(self):
        return " ".join(words for tag, words in self.texts if tag not in ("script", "style"))

    @property
    def data(self):
        found = re.search('<script type="application/json" id="data">(.*?)</script>', self.source, re.DOTALL)
        return json.loads(found[1])

    def details(self, number):
        data = self.data
        return dict(zip(data["fields"], data["cells"][int(number)]))


def page_of(folder, drawn=()):
    return Page(Path(page.write(run.Run(str(folder)), drawn)))


def test_every_cell_shows_value_interval_and_penalty(run_folder):
    cells = page_of(run_folder).cells
    assert len(cells) == 4 * 7
    assert cells[0]["text"] == "92.4 92.2–92.6 1.00×" and "local" in cells[0]["class"]
    assert cells[1]["text"].startswith("171 ") and cells[1]["text"].endswith(" 1.85×")


def test_a_two_node_page_is_small_and_well_formed(run_folder):
    found = page_of(run_folder)
    assert found.open == [] and len(found.source) < 200_000


def test_the_network_is_forbidden_and_not_asked(run_folder):
    """Whatever an address could stand in; a link asks for nothing until it is followed."""
    read = run.Run(str(run_folder))
    found = page_of(run_folder, pictures.draw(read))
    policy = next(attributes["content"] for tag, attributes in found.tags if attributes.get("http-equiv"))
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")
    for tag, attributes in found.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name, value in attributes.items():
            if tag != "a" and name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
                assert value.startswith(("#", "data:")), (tag, value)
            assert not name.startswith("on")
    styles = " ".join(words for tag, words in found.texts if tag == "style")
    assert "@import" not in styles and "url(" not in styles


def test_the_policy_allows_the_pages_own_script_alone(run_folder):
    found = page_of(run_folder)
    scripts = re.findall("<script>(.*?)</script>", found.source, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in found.source


def test_names_from_the_data_stay_names(tmp_path):
    """In every field that is free text, of samples and of environment.json."""
    rows = machine([0, 1], [0, 1], benches=("latency",))
    for row in rows:
        row.update(dict.fromkeys(("host", "bench", "metric", "variant", "allocator", "pages", "disturbed"), PRINTABLE))
        row.update(cell=PRINTABLE + row["cell"], unit="</script>", policy=PRINTABLE if row["mem_node"] else "bind:0")
        row.update(mem_node=None if row["mem_node"] else 0)
    described = environment([0, 1], [0, 1])

    def poison(value):
        if isinstance(value, dict):
            return {HOSTILE: HOSTILE, **{name: poison(item) for name, item in value.items()}}
        return HOSTILE if isinstance(value, str) and not value.isdigit() else value
    said = {"options": {"command": [HOSTILE], "rounds": 3, "name": HOSTILE}, "governor": "x", "programs": {"a": "b"}}
    check = {"level": "warn", "name": HOSTILE, "value": HOSTILE, "do": HOSTILE}
    described = {**poison({**described, **said}), "topology": described["topology"], "preflight": {"checks": [check]}}
    found = page_of(write_run(tmp_path / "run", rows, described))
    assert found.open == []
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in found.tags)
    assert sum(tag == "script" for tag, _ in found.tags) == 2
    assert "onerror=alert(1)" in found.text and "{{7*7}}" in found.text
    assert any("<img src=x" in word for word in found.data["strings"])


def test_marks_are_words_and_patterns_in_the_cells_and_counted_above(tmp_path):
    rows = machine([0, 1], [0, 1], benches=("latency",))
    for row in rows:
        if (row["cpu_node"], row["mem_node"]) == (0, 1):
            row.update(placement="failed", placed_fraction=0.4)
        if (row["cpu_node"], row["mem_node"]) == (1, 0):
            row.update(placement="unverified", placed_fraction=None)
        if (row["cpu_node"], row["mem_node"]) == (1, 1):
            row["value"] *= 1 + 0.3 * row["round"]
    jobs = [job(cpu=28, cpu_node=7), job(cpu=28, cpu_node=7, mem_node=1, skip_reason="hidden by a cpuset")]
    folder = write_run(tmp_path / "run", rows, environment([0, 1, 7], [0, 1]))
    summary.write_matrix(str(folder), summary.summarise(rows, {jobs[0]: "exit status 1"}, jobs, "run", "testhost"))
    found = page_of(folder)
    marked = {mark: cell for cell in found.cells for mark in cell["class"] if mark in schema.STATUSES + ("unverified",)}
    assert set(marked) == {"noisy", "misplaced", "unverified", "failed", "skipped"}
    assert all(cell["text"].strip().endswith(mark) for mark, cell in marked.items())
    for mark in marked:
        assert re.search(rf"{mark}\s+1 of 6 cells", found.text)
    assert found.data["strings"][found.details(marked["skipped"]["number"])["reason"]] == "hidden by a cpuset"
    assert "exit status 1" in found.data["strings"][found.details(marked["failed"]["number"])["reason"]]
    assert marked["failed"]["text"].strip() == "failed" and "none" in marked["failed"]["class"]


def test_nodes_without_cpus_or_memory_are_named_as_such(tmp_path):
    described = environment([0, 8], [0, 252])
    for node in described["topology"]["nodes"]:
        node["has_memory"] = node["id"] != 8
    found = page_of(write_run(tmp_path / "run", machine([0, 8], [0, 252]), described))
    headings = re.findall("<th[^>]*>(.*?)</th>", found.source)
    assert any("252" in words and "no CPUs" in words for words in headings)
    assert any(words.startswith("8 (CPU 32)") and "no memory" in words for words in headings)


def test_a_cell_outside_the_plan_says_so(tmp_path):
    rows = machine([0, 1], [0, 1], benches=("latency",))
    rows = [row for row in rows if (row["cpu_node"], row["mem_node"]) != (1, 0)]
    cells = page_of(write_run(tmp_path / "run", rows)).cells
    assert [cell["text"] for cell in cells].count("not in the plan") == 1
    assert sum(cell["number"] is None for cell in cells) == 1


def test_policies_and_allocators_are_columns_and_panels_as_in_the_pictures(tmp_path):
    rows = []
    for allocator in ("numa_alloc", "glibc"):
        for row in machine([0], [0, 1], benches=("latency",)):
            policy = "interleave:all" if row["mem_node"] else "bind:0"
            rows.append({**row, "allocator": allocator, "policy": policy, "mem_node": None if row["mem_node"] else 0,
                         "cell": f"latency.random.cpu0.{policy}.{allocator}"})
    found = page_of(write_run(tmp_path / "run", rows))
    captions = [words for tag, words in found.texts if tag == "caption"]
    assert captions[:2] == ["random · allocator numa_alloc", "random · allocator glibc"]
    assert found.source.count("interleave:\u200ball</th>") == 2


def test_details_have_the_samples_by_round_with_the_disturbed_ones(tmp_path):
    rows = machine([0], [0], benches=("latency",), rounds=2, each=8)
    rows[3]["disturbed"] = "preempted"
    found = page_of(write_run(tmp_path / "run", rows))
    details = found.details(found.cells[0]["number"])
    assert [(number, len(values)) for number, *values in details["rounds"]] == [(1, 8), (2, 8)]
    assert details["rounds"][0][1:3] == [92, 92.184]
    place, word = details["disturbed"]
    assert place == 3 and found.data["strings"][word] == "preempted"
    assert details["count"] == 15 and details["left_out"] == 0
    assert details["median"] == pytest.approx(92.6, abs=0.2) and details["low"] <= details["median"] <= details["high"]


def test_ten_thousand_samples_are_thinned_and_that_is_said(tmp_path):
    found = page_of(write_run(tmp_path / "run", machine([0], [0], benches=("latency",), rounds=1, each=10_000)))
    details = found.details(0)
    drawn = sum(len(values) - 1 for values in details["rounds"])
    assert drawn <= 600 and drawn + details["left_out"] == 10_000 == details["count"]


def test_details_have_the_command_of_the_sweeps_script(tmp_path):
    from numa_sweep import plan
    folder = write_run(tmp_path / "run", machine([0], [0, 1], benches=("latency",)), environment([0], [0, 1]))
    jobs = [job(mem_node=node, seq=1 + node, round=1) for node in (0, 1)]
    plan.write(str(folder), jobs)
    (folder / "cells").mkdir()
    summary.write_matrix(str(folder), summary.summarise(machine([0], [0, 1], benches=("latency",))))
    with open(jobs[1].file(str(folder), "sh"), "w", encoding="utf-8") as file:
        file.write("#!/bin/sh\ncd / || exit\nexec /x/run_cell --setup 'a -- b' ${V:+--conductor \"$V\"} -- "
                   "taskset -c 0 env NUMA_ALLOC_POLICY=bind:1 LD_PRELOAD='a \"} -- b' bench/latency\n")
    found = page_of(folder)
    strings, details = found.data["strings"], found.details(1)
    assert " ".join(strings[number] for number in details["command"]) == (
        "taskset -c 0 env NUMA_ALLOC_POLICY=bind:1 LD_PRELOAD='a \"} -- b' bench/latency")
    assert strings[details["script"]] == "cells/round1.latency.cpu0.node1.sh"
    assert found.details(0)["command"] == []  # its script is gone


def test_a_plan_of_an_earlier_version_costs_only_the_commands(run_folder):
    summary.write_matrix(str(run_folder), summary.summarise(machine([0, 1], [0, 1])))
    (run_folder / "plan.csv").write_text("cell,round\nlatency,1\n", encoding="utf-8")
    found = page_of(run_folder)
    assert len(found.cells) == 28 and found.details(0)["command"] == []


def test_scripts_are_read_as_the_sweep_writes_them(tmp_path):
    """What stands before a command is taken from numa_sweep/scripts.py, not remembered here."""
    from numa_sweep import conductor, options, scripts
    parsed = options.parse(["--bench", "latency"])
    parsed.directory, parsed.setup = "/", "echo ' -- '"
    measured = job(seq=1, round=1)
    text = scripts.script(measured, parsed, "/root of it", str(tmp_path), conductor.VARIABLE)
    (tmp_path / "cells").mkdir()
    with open(measured.file(str(tmp_path), "sh"), "w", encoding="utf-8") as file:
        file.write(text)
    command, name = commands.read(str(tmp_path), measured)
    assert command.startswith("taskset -c 0 env ") and "bench/latency --csv" in command and name.endswith(".sh")


def test_sixty_four_nodes_are_all_there(tmp_path):
    rows = machine(range(64), range(64), benches=("latency",), rounds=1, each=3)
    found = page_of(write_run(tmp_path / "run", rows, environment(range(64), range(64))))
    assert len(found.cells) == 4096 == len(found.data["cells"])
    assert [int(cell["number"]) for cell in found.cells] == list(range(4096))
    assert len(found.source) < 2_500_000


def test_a_page_needs_no_environment_no_samples_and_no_matrix(tmp_path):
    folder = write_run(tmp_path / "run", machine([0, 1], [0, 1]))
    assert "environment.json is missing" in page_of(folder).text
    (folder / "samples.csv").unlink()
    found = page_of(folder)
    assert len(found.cells) == 28 and found.details(0)["rounds"] == []


@pytest.mark.parametrize("value", [None, 3, "x", [], [1], {"nodes": 3}, {"nodes": [{"id": "x"}, 7, {}]},
                                   {"distances": {"0": 3, "x": {"y": "z"}}}, {"a": {"b": [None, True, 1.5]}}])
def test_any_shape_of_the_environment_is_shown_or_left_out(tmp_path, value):
    from numa_report.page import machine as tables
    names = ("topology", "firmware", "options", "programs", "preflight", "kernel", "numa_balancing", "smt", "new")
    described = dict.fromkeys(names, value)
    assert isinstance(tables.tables(described), list)
    tables.warnings(described)
    tables.command_again(described)


def test_the_machine_is_told_in_tables(tmp_path):
    described = {**environment([0, 1], [0, 1]), "numa_balancing": 1, "versions": {"libc": "glibc 2.36"},
                 "preflight": {"checks": [{"level": "ok", "name": "thp"}, {"level": "warn", "name": "busy_cpus",
                                           "value": "CPU 0", "meaning": "Others run.", "do": "end them"}]},
                 "options": {"rounds": 5, "sizes": "4M", "bench": "latency", "seed": 3, "out": "/somewhere"}}
    described["topology"]["distances"] = {"0": {"0": 10, "1": 21}, "1": {"0": 21, "1": 10}}
    text = page_of(write_run(tmp_path / "run", machine([0, 1], [0, 1]), described)).text
    for words in ("on (1)", "libc glibc 2.36", "warning: busy_cpus", "Distances (SLIT", "1 other checks",
                  "harness/run_matrix.sh --rounds=5 --sizes=4M --bench=latency \n"):
        assert words in text, words


def test_pictures_are_inlined_with_their_own_ids_and_the_pages_colours(tmp_path):
    (tmp_path / "one.svg").write_text(
        '<?xml version="1.0"?>\n<!DOCTYPE svg PUBLIC "x" "http://x">\n<svg xmlns:xlink="http://x" width="72pt" '
        'height="36pt" viewBox="0 0 72 36"><metadata>http://x</metadata><style>*{}</style><!-- id="a" -->'
        '<g id="a" style="fill: #111111; stroke: #d55e00"><use xlink:href="#a"/><path clip-path="url(#a)"/>'
        '<text>id="a" #111111</text></g></svg>', encoding="utf-8")
    svg = vector.inlined(str(tmp_path / "one.svg"), "picture-0", "A <title>", "Two & words")
    assert 'viewBox="0 0 72 36"' in svg and 'width="96"' in svg and 'role="img"' in svg
    assert "A &lt;title&gt;" in svg and "Two &amp; words" in svg
    assert '<g id="picture-0-a" style="fill: var(--ink); stroke: #d55e00">' in svg
    assert 'href="#picture-0-a"' in svg and "url(#picture-0-a)" in svg and '<text>id="a" #111111</text>' in svg
    assert "http" not in svg and "<style" not in svg


def test_the_scale_has_round_ticks_between_its_ends():
    scale = colours.Scale(92.4, 171)
    assert [words for _, words in scale.ticks(lambda value: f"{value:g}")] == ["92.4", "120", "140", "160", "171"]
    assert scale.step(92.4) == 0 and scale.step(171) == 63 and scale.step(1000) == 63
    assert colours.Scale(10, 20, higher_is_better=True).step(20) == 0
    assert colours.Scale(5, 5).step(5) == 0 and colours.Scale(0, 1e-300).ticks(str)


def test_ink_and_colour_of_every_step_contrast():
    def luminance(colour):
        colour = colour if len(colour) == 7 else "#" + "".join(2 * letter for letter in colour[1:])
        parts = [int(colour[at:at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    for colour, ink in colours.steps():
        bright, dark = sorted((luminance(colour), luminance(ink)), reverse=True)
        assert (bright + 0.05) / (dark + 0.05) >= 4.5


def test_the_page_is_made_without_matplotlibs_figures(run_folder):
    """A fleet has one for each of its hosts."""
    code = ("import sys; sys.path.insert(0, sys.argv[1]); from numa_report import page, run; "
            "page.write(run.Run(sys.argv[2])); sys.exit('matplotlib.figure' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code, HARNESS, run_folder], check=False).returncode == 0


def test_the_same_run_gives_the_same_page(run_folder):
    assert page_of(run_folder).source == page_of(run_folder).source


def test_lines_of_the_verdict_have_their_kind_apart():
    from numa_report.page import view
    assert view.verdict_view("drift: it moved: a lot") == {
        "kind": "drift", "severity": "bad", "parts": [(0, "it moved: a lot")]}
    assert view.verdict_view("penalty: latency 1.85× here")["parts"] == [(0, "latency "), (1, "1.85×"), (0, " here")]
    assert view.verdict_view("firmware agrees: yes")["severity"] == "fine"
    assert view.verdict_view("no kind here")["kind"] == ""


def test_a_folder_of_single_measurements_has_its_pictures_alone(tmp_path):
    from numa_report.page import view
    curve = [{"host": "far-away", "started_at": "2026-11-23T02:40:04Z"}]
    alone = SimpleNamespace(rows=[], singles={"curve": curve}, words=[], more_words=[], environment={}, samples={},
                            folder=str(tmp_path), name="alone")
    page.save(tmp_path / "report.html", "report.html.j2", view.of_run(alone, ()))
    found = Page(tmp_path / "report.html")
    assert found.open == [] and "far-away" in found.text and "2026-11-23 02:40 UTC" in found.text
    assert "Findings" not in found.text and "penalty" not in found.text


def test_published_machines_stand_beside_this_one_with_their_sources(tmp_path):
    described = {**environment([0, 1], [0, 1]), "cpu_model": "Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz",
                 "cpu": {"sockets": 2, "virtual": False}}
    found = page_of(write_run(tmp_path / "run", machine([0, 1], [0, 1]), described))
    assert "testhost, this run" in found.text and "dual Intel Xeon Gold 6240" in found.text
    assert "87.6–88.2 ns" in found.text
    links = [attributes["href"] for tag, attributes in found.tags if tag == "a" and "http" in attributes["href"]]
    assert links and all(link.startswith("https://") for link in links)


def test_where_none_is_near_that_is_said(run_folder):
    assert re.search(r"No published machine stands beside this one: none of Made-up CPU 9000\.", page_of(run_folder).text)
