"""A fleet's page: its ranking, the numbers that its script draws, the odd ones, and each host's own page beside it."""

import csv
import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import made_up_fleet
import pytest
from conftest import HARNESS, machine, write_run
from test_merge import add_host, medians
from test_page import HOSTILE, Page

from numa_report import page, run, tables
from numa_report.page import fleet, fleet_environments, fleet_hosts, fleet_matrices
from numa_sweep import host_rows, merge, odd_hosts


@pytest.fixture(scope="module")
def ten(tmp_path_factory):
    """A fleet of ten, each with something of its own (made_up_fleet.py)."""
    folder = made_up_fleet.write(tmp_path_factory.mktemp("fleets") / "ten", 10, 2, ("latency", "bandwidth"), "node{}")
    return folder, fleet.write(str(folder))


@pytest.fixture
def three(tmp_path):
    folder = tmp_path / "three"
    for name in ("lab1", "lab2", "lab3"):
        add_host(folder, name, machine([0, 1], [0, 1], ("latency",)), 1.3 if name == "lab2" else 1)
    merge.merge(str(folder))
    return folder


def page_of(folder):
    found = Page(Path(folder) / "report.html")
    found.fleet = json.loads(re.search('id="fleet-data">(.*?)</script>', found.source, re.DOTALL)[1])
    rows = re.search("<table[^>]* id=\"hosts\">.*?<tbody>(.*?)</tbody>", found.source, re.DOTALL)[1]
    found.plain = re.sub(r"\s+", " ", found.text)
    cells = [re.findall("<t[dh].*?</t[dh]>", row, re.DOTALL) for row in rows.split("</tr>")[:-1]]
    found.ranking = [[html.unescape(re.sub("<.*?>", "", words)).strip() for words in row] for row in cells]
    return found


def written(folder):
    fleet.write(str(folder))
    return page_of(folder)


def links_of(found):
    return {unquote(attributes["href"]) for tag, attributes in found.tags if tag == "a" and "/hosts/" in attributes["href"]}


def panel_of(found, host, title="random"):
    """({cell's name: value}, {cell's name: (median, sigma, limit)}) of one host in a panel."""
    number = next(number for number, host_data in enumerate(found.fleet["hosts"]) if host_data["name"] == host)
    panel = str([panel["title"] for panel in found.fleet["panels"]].index(title))
    group = next(group for group in found.fleet["groups"] if number in group["hosts"])
    part = group["panels"][panel]
    names = [cell[2] for cell in part["cells"]]
    return (dict(zip(names, part["values"][group["hosts"].index(number)])),
            {cell[2]: tuple(cell[3:]) for cell in part["cells"]})


def test_the_verdict_is_the_merges(ten):
    folder, (words, _, errors) = ten
    assert words == (folder / "verdict.txt").read_text(encoding="utf-8").splitlines() and errors == []
    found = page_of(folder)
    for line in words:
        assert line.partition(": ")[2] in found.plain


def test_every_host_is_in_the_ranking_the_worst_first(ten):
    folder, _ = ten
    ranking = page_of(folder).ranking
    assert [row[0] for row in ranking] == [str(number) for number in range(1, 11)]
    said = {row[1]: row[2] for row in ranking}
    assert [row[1] for row in ranking][:2] == ["node6", "node4"]
    assert {row[1] for row in ranking[2:6]} == {"node3", "node5", "node7", "node8"}
    assert said["node6"] == "○ unreachable" and said["node4"] == "✕ failed"
    assert all(said[host] == "ok ◆ odd" for host in ("node3", "node5", "node7", "node8")) and said["node1"] == "ok"
    slow = next(row for row in ranking if row[1] == "node7")
    assert slow[3] == "Made-up CPU 9000" and float(slow[4]) == pytest.approx(115, abs=3) and slow[7].startswith("+")
    assert slow[8] == "28 of 28"


def test_rows_and_tiles_link_to_pages_that_are_there(ten):
    folder, (_, paths, _) = ten
    found = page_of(folder)
    links = links_of(found)
    assert links == {f"./hosts/node{number}/report.html" for number in range(10) if number != 6}
    assert {host["link"] for host in found.fleet["hosts"]} == {*links, None}
    assert all((folder / link).exists() for link in links) and paths[-1].endswith("hosts/NAME/report.html: 9 hosts")


def test_the_scripts_numbers_are_those_of_the_matrices(ten):
    folder, _ = ten
    found = page_of(folder)
    for host in ("node0", "node7", "node9"):
        rows = [row for row in tables.read_matrix(folder / "hosts" / host / "matrix.csv") if row["bench"] == "latency"]
        assert panel_of(found, host)[0] == {row["cell"]: row["median"] for row in rows}
    quantities = {quantity["title"]: quantity for quantity in found.fleet["quantities"]}
    assert list(quantities) == ["Memory latency", "Memory bandwidth"] and len(found.fleet["panels"]) == 7
    assert quantities["Memory bandwidth"]["reversed"] and not quantities["Memory latency"]["reversed"]
    every = [value for group in found.fleet["groups"] for of_host in group["panels"]["0"]["values"] for value in of_host]
    low, high = quantities["Memory latency"]["low"], quantities["Memory latency"]["high"]
    assert low == min(filter(None, every)) and high == max(filter(None, every))


def test_cells_that_a_host_lacks_are_told_from_those_that_failed(ten):
    folder, _ = ten
    found = page_of(folder)
    for host, wanted in (("node3", 3), ("node4", 0)):
        number = next(number for number, of_host in enumerate(found.fleet["hosts"]) if of_host["name"] == host)
        group = next(group for group in found.fleet["groups"] if number in group["hosts"])
        part, at = group["panels"]["0"], group["hosts"].index(number)
        assert sum(place == at for place, _ in part["absent"]) == wanted
        assert [mark for place, _, mark in part["marks"] if place == at] == (["failed"] if host == "node4" else [])


def test_distances_are_those_that_make_hosts_odd(three):
    """The script has no rule of its own: median, sigma and limit are odd_hosts'."""
    found = written(three)
    values, usual = panel_of(found, "lab2")
    by_host = {host: panel_of(found, host)[0] for host in ("lab1", "lab2", "lab3")}
    for cell, figures in usual.items():
        assert figures == tuple(odd_hosts.usual({host: of_host[cell] for host, of_host in by_host.items()}))
        assert abs(values[cell] - figures[0]) > figures[2]
    middle, sigma, _ = usual["latency.random.cpu0.node0"]
    assert f"{(values['latency.random.cpu0.node0'] - middle) / sigma:+.1f}" in found.text and "30 % above the fleet's median in 4 of 4 cells" in found.text
    assert found.text.count("+30 %") == 4


def test_every_cell_of_every_host_has_its_distance():
    found = list(odd_hosts.compared(medians({"a": [100, 50], "b": [100, 50], "c": [104, 80]}).of_model["a CPU"]))
    assert [(host, apart.cell, round(apart.z, 6), is_apart) for host, _, apart, is_apart in found if apart.z] == [
        ("c", "cell0", 4, False), ("c", "cell1", 60, True)]
    assert odd_hosts.usual({"a": 1.0, "b": None, "c": 2.0}) is None and odd_hosts.usual(dict.fromkeys("abc", 0.0)) is None


def test_two_hosts_are_shown_and_not_judged(three):
    shutil.rmtree(three / "hosts" / "lab3")
    (three / "hosts.csv").unlink()
    merge.merge(str(three))
    found = written(three)
    assert "not judged: lab1, lab2" in found.text and "◆" not in found.text
    assert set(panel_of(found, "lab2")[1].values()) == {(None, None, None)}
    assert [row[6:8] for row in found.ranking] == [["", ""], ["", ""]]


@pytest.mark.parametrize("damage", [
    lambda run: (run / "matrix.csv").write_bytes((run / "matrix.csv").read_bytes()[:-9]),
    lambda run: (run / "environment.json").write_text("{"),
    lambda run: (run / "samples.csv").write_bytes(b"\xff"),
])
def test_a_damaged_host_is_a_line_and_a_row_and_not_the_end(three, damage):
    damage(three / "hosts" / "lab1")
    done = subprocess.run([sys.executable, HARNESS / "plot.py", three], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"plot.py: {three}/hosts/lab1/")
    found = page_of(three)
    assert found.ranking[0][1:3] == ["lab1", "✕ failed"] and found.ranking[0][-1] in done.stderr
    assert found.fleet["hosts"][0]["link"] is None and "Without figures: lab1." in found.plain
    assert {path.parent.name for path in three.glob("hosts/*/report.html")} == {"lab2", "lab3"}
    assert "hosts: 2 of 3 ok; 1 failed" in done.stdout


def test_names_may_hold_anything(tmp_path):
    names = [f"<img src=x onerror=alert(1)>'\"&{{{{7*7}}}} #?%2e {number}" for number in range(3)]
    for name in names:
        run_folder = add_host(tmp_path, name, machine([0], [0, 1], ("latency",)), cpu_model=HOSTILE)
        described = json.loads((run_folder / "environment.json").read_text())
        (run_folder / "environment.json").write_text(json.dumps(
            {**described, "governor": HOSTILE + name[-1], "options": {HOSTILE: [name]}, "topology": 7}))
    host_rows.write(str(tmp_path), [host_rows.row(HOSTILE, status="unreachable", reason=HOSTILE)])
    merge.merge(str(tmp_path))
    found = written(tmp_path)
    assert "<img" not in found.source and found.source.count("<script") == 3
    assert {attributes.get("onerror") for _, attributes in found.tags} == {None}
    shown = re.sub("[^ -~]", " ", HOSTILE)
    assert {shown.strip()} < {row[1] for row in found.ranking} == {shown.strip(), *names}
    assert found.text.count(shown) >= 5
    assert links_of(found) == {f"./hosts/{name}/report.html" for name in names}
    assert all((tmp_path / link).exists() for link in links_of(found))


def test_a_name_in_hosts_csv_is_no_path(three):
    outside = add_host(three.parent / "elsewhere", "lab9", machine([0, 1], [0, 1], ("latency",)))
    rows = host_rows.read(str(three))
    host_rows.write(str(three), [*rows.values(), host_rows.row("../../elsewhere/hosts/lab9", status="ok"),
                                 host_rows.row("lab1/../lab2", status="ok")])
    found = written(three)
    assert len(found.ranking) == 5 and not (outside / "report.html").exists()
    assert sum(host["link"] is not None for host in found.fleet["hosts"]) == 3


def test_a_host_that_came_after_the_merge_is_a_row(three):
    add_host(three, "lab4", machine([0, 1], [0, 1], ("latency",)))
    row = written(three).ranking[0]
    assert row[1:3] == ["lab4", "◐ incomplete"] and "--merge takes it in" in row[-1]


def test_a_sweep_that_has_not_ended_is_not_judged_by_its_earlier_figures(three):
    (three / "hosts" / "lab2" / "UNFINISHED").touch()
    found = written(three)
    assert "Without figures: lab2 ." in found.plain and "◆" not in found.text


def test_too_many_figures_are_left_to_the_hosts_pages(ten, monkeypatch, tmp_path):
    monkeypatch.setattr(fleet_matrices, "MOST_FIGURES", 100)
    read = fleet_hosts.Fleet(str(ten[0]))
    read.read()
    found = fleet_matrices.of_fleet(read, [row["host"] for row in read.rows])
    assert [panel["title"] for panel in found["panels"]] == ["random", "read"]
    assert found["left_out"] == [f"Memory bandwidth, {kernel}" for kernel in ("add", "copy", "scale", "triad", "write")]


def test_a_commands_own_metrics_are_shown(tmp_path):
    rows = [{**row, "bench": "redis", "variant": "command", "metric": metric, "unit": unit, "better": better,
             "cell": f"redis.cpu0.node{row['mem_node']}"} for row in machine([0], [0, 1], ("latency",))
            for metric, unit, better in (("wall_time", "s", "lower"), ("set", "1/s", "higher"),
                                         ("minor_faults", "faults", "lower"))]
    for name in ("lab1", "lab2", "lab3"):
        add_host(tmp_path, name, rows)
    merge.merge(str(tmp_path))
    found = written(tmp_path)
    assert [quantity["title"] for quantity in found.fleet["quantities"]] == ["redis, wall time", "redis, set"]
    assert "local wall_time (s)" in found.text and "local set (1/s)" in found.text


def test_a_fleet_without_any_figure_has_a_page(tmp_path):
    (tmp_path / "hosts").mkdir()
    host_rows.write(str(tmp_path), [host_rows.row("lab1", status="unreachable", reason="No route to host")])
    (tmp_path / "verdict.txt").write_text("hosts: 0 of 1 ok\n")
    found = written(tmp_path)
    assert [row[1] for row in found.ranking] == ["lab1"] and found.fleet["panels"] == []
    assert not (tmp_path / "fleet.png").exists()


def test_the_picture_is_told_in_words_and_part_of_the_page(ten):
    folder, (_, paths, _) = ten
    found = page_of(folder)
    assert [Path(path).name for path in paths[:3]] == ["fleet.png", "fleet.svg", "report.html"]
    assert (folder / "fleet.png").read_bytes().startswith(b"\x89PNG")
    for words in ("Local latency: ", " on 9 hosts; node8 7", "Worst penalty: "):
        assert words in found.text
    assert sum(tag == "svg" and attributes.get("role") == "img" and "aria-labelledby" in attributes
               for tag, attributes in found.tags) == 1


def test_a_hosts_page_leads_back_and_says_what_draws_its_pictures(three):
    fleet.write(str(three))
    found = Page(three / "hosts" / "lab1" / "report.html")
    assert ("a", {"href": "../../report.html"}) in found.tags and "three" in found.text
    assert f"harness/plot.py {three}/hosts/lab1" in found.text
    alone = write_run(three.parent / "alone", machine([0], [0], ("latency",)))
    assert "../../report.html" not in Path(page.write(run.Run(str(alone)))).read_text(encoding="utf-8")


# Environments.

def told(**changes):
    return fleet_environments.told({"governor": "performance", "numa_balancing": 0, **changes})


def found_in(hosts, models=()):
    return [(line["model"], line["what"], line["usual"], line["others"])
            for line in fleet_environments.differences(hosts, dict(models))]


def test_hosts_that_are_set_up_otherwise_are_named():
    hosts = {f"lab{number}": told(governor="powersave" if number == 3 else "performance") for number in range(5)}
    assert found_in(hosts) == [("", "governor", "performance", [("powersave", ["lab3"], 1)])]


def test_hosts_are_set_up_like_those_with_their_cpu():
    hosts = {f"lab{number}": told(numa_balancing=number % 2) for number in range(6)}
    assert found_in(hosts, {host: "odd" if int(host[-1]) % 2 else "even" for host in hosts}) == []
    hosts["lab1"] = told(numa_balancing=0)
    models = {host: "odd" if int(host[-1]) % 2 else "even" for host in hosts}
    assert found_in(hosts, models) == [("odd", "NUMA balancing", "1", [("0", ["lab1"], 1)])]


def test_without_a_majority_every_value_is_named():
    line, = found_in({"a": told(governor="x"), "b": told(governor="y")})
    assert line[2] is None and sorted(line[3]) == [("x", ["a"], 1), ("y", ["b"], 1)]


def test_a_little_more_memory_is_no_difference_and_what_one_does_not_tell_is():
    def memory(size):
        return {"nodes": [{"id": 0, "cpus": "0-3", "memory_bytes": size}]}
    hosts = {host: told(topology=memory(size)) for host, size in (("a", 100 << 30), ("b", 101 << 30), ("c", 50 << 30))}
    assert found_in(hosts) == [("", "memory of node 0", "100 GiB", [("50 GiB", ["c"], 1)])]
    hosts = {"a": told(), "b": told(), "c": fleet_environments.told({"governor": "performance"})}
    assert found_in(hosts) == [("", "NUMA balancing", "0", [("not told", ["c"], 1)])]


def test_long_values_that_begin_alike_are_told_apart():
    hosts = {host: told(kernel={"version": "x" * 100 + end}) for host, end in zip("abc", "112")}
    assert [line[3][0][1] for line in found_in(hosts)] == [["c"]]


def test_many_hosts_and_values_are_counted(tmp_path):
    hosts = {f"lab{number}": told(governor=str(number // 10) if number >= 150 else "performance") for number in range(300)}
    line, = fleet_environments.differences(hosts, {})
    assert line["usual"] is None and line["different"] == 16 and len(line["others"]) == 5
    assert line["others"][0][1:] == ([*(f"lab{number}" for number in range(6)), "144 more"], 150)


@pytest.mark.parametrize("value", [None, 3, "x", [], [1], {"nodes": 3}, {"a": {"b": [None, True, 1.5]}}, 1e300, True])
def test_environments_of_any_shape_are_compared(value):
    names = ("topology", "governor", "options", "programs", "preflight", "kernel", "numa_balancing", "smt")
    hosts = {"a": fleet_environments.told(dict.fromkeys(names, value)), "b": told(), "c": told()}
    assert isinstance(fleet_environments.differences(hosts, {}), list)


def test_the_made_up_fleet_is_merged_without_loss(ten):
    folder, _ = ten
    with open(folder / "matrix.csv", encoding="utf-8", newline="") as file:
        assert len({row["host"] for row in csv.DictReader(file)}) == 9
