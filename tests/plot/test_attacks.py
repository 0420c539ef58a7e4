"""Attacks on a folder of a run and on its readers: links, FIFOs, names that a terminal, a spreadsheet or a page would obey."""

import csv
import io
import os
import sys
import xml.etree.ElementTree as ElementTree

import pytest
from conftest import HARNESS, environment, machine, sample, write_run

from numa_compare import markdown
from numa_report import pictures, report, run, runs, tables, verdict
from numa_report.page import commands
from numa_report.errors import DataError, ReportError, printable, run_main, whole_file
from numa_sweep import environment as environments, host_rows, locks, merge, plan, topology

ESCAPES = "\x1b]52;c;cm0gLXJm\x07\x1b[2Jgone\r\x9b31m\u202eevil\u2028"
HOSTILE = ["<img src=x onerror=alert(1)>", "$\\frac{", "\\", "${x}", "%(x)s", "{=perl=}", "'; rm -rf /", "a\u2028b", "]]></svg>",
           "\x1b[31m", "=HYPERLINK(\"http://x\")", "@SUM(1)", "+1+1", "-x", "'=x", "\x0b\x0c\ufffe", "javascript:alert(1)"]


@pytest.mark.parametrize("name", ["samples.csv.tmp", "matrix.csv.tmp", "matrix.csv", "report.html", "verdict.txt"])
def test_nothing_is_written_through_a_link_in_a_folder(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = write_run(tmp_path / "run", machine([0, 1], [0, 1]))
    (folder / name).symlink_to(victim)
    if name == "matrix.csv":
        (folder / "matrix.csv").unlink()
        runs.matrix_of(str(folder))
        content = (folder / "matrix.csv").read_text()
        (folder / "matrix.csv").unlink()
        (folder / "matrix.csv").symlink_to(victim)
        tables.write_table(str(folder / "matrix.csv"), *table_of(content))
    found = run.Run(str(folder))
    if name == "report.html":
        report.write(found)
    verdict.save(found.folder, found.words)
    assert victim.read_text() == "mine"


def table_of(content):
    rows = list(csv.DictReader(io.StringIO(content)))
    return list(rows[0]), rows


def test_two_who_write_one_file_at_once_leave_it_whole(tmp_path):
    path = str(tmp_path / "file")
    with whole_file(path, encoding="utf-8") as first:
        first.write("first")
        with whole_file(path, encoding="utf-8") as second:
            second.write("second, and longer")
        assert open(path, encoding="utf-8").read() == "second, and longer"
    assert open(path, encoding="utf-8").read() == "first" and os.listdir(tmp_path) == ["file"]


def test_files_have_the_mode_that_the_umask_leaves(tmp_path):
    for mask, mode in (("022", "0o644"), ("077", "0o600"), ("000", "0o666")):
        path = tmp_path / mask
        command = (f"umask {mask}; exec {sys.executable} -c 'import sys; sys.path.insert(0, sys.argv[1])\n"
                   "from numa_report.errors import whole_file\nwith whole_file(sys.argv[2]): pass' \"$@\"")
        assert os.spawnlp(os.P_WAIT, "sh", "sh", "-c", command, "sh", str(HARNESS), str(path)) == 0
        assert oct(path.stat().st_mode & 0o777) == mode


@pytest.mark.parametrize("name", ["samples.csv", "matrix.csv", "environment.json", "SHA256SUMS", "sentinel.csv", "curve.csv",
                                  "plan.csv"])
@pytest.mark.parametrize("kind", ["fifo", "device", "folder"])
def test_what_is_no_file_is_one_line_and_never_waits(tmp_path, name, kind, capsys):
    folder = write_run(tmp_path / "run", machine([0], [0, 1]), environment([0], [0, 1]))
    runs.matrix_of(str(folder))
    path = folder / name
    path.unlink(missing_ok=True)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()

    def read():
        found = run.Run(str(folder))
        return 0 if found.sentinels is not None and found.samples and commands.of_rows(found.folder, found.rows) is not None else 1

    status, said = run_main("plot.py", read), capsys.readouterr().err
    if name == "plan.csv" and status == 0:  # the commands of cells, which a page may lack
        return
    assert status == 1 and said.startswith("plot.py: ") and said.count("\n") == 1, said


def test_names_never_reach_a_terminal_as_commands(tmp_path, capsys):
    def complain():
        print(ESCAPES)
        raise ReportError(f"{ESCAPES}\nand a second line")

    assert run_main("plot.py", complain) == 1
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert text[:-1].isprintable() and "gone" in text
    assert sys.stdout is not None and type(sys.stdout).__name__ != "Printable"


def test_an_encoding_without_a_letter_does_not_end_a_program(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert run_main("run_matrix.sh", lambda: print("90.3 (1.00×)")) is None
    assert out.buffer.getvalue() == b"90.3 (1.00?)\n"


def test_the_verdict_of_hostile_names_is_printable(tmp_path):
    rows = [dict(row, host="bad" + ESCAPES) for row in machine([0, 1], [0, 1])]
    folder = write_run(tmp_path / "run", rows)
    found = run.Run(str(folder))
    verdict.save(found.folder, found.words)
    for line in (folder / "verdict.txt").read_text().split("\n"):
        assert line.isprintable()


@pytest.mark.parametrize("name", ["".join(HOSTILE), *HOSTILE[:2], HOSTILE[10]])
def test_pictures_of_hostile_names_are_drawn_and_are_xml(tmp_path, name):
    rows = [dict(row, host=name, allocator=name) for row in machine([0, 1], [0, 1], benches=("latency",))]
    folder = write_run(tmp_path / "run", rows, {**environment([0, 1], [0, 1]), "cpu_model": name, "kernel": {"release": name}})
    found = run.Run(str(folder))
    drawn = pictures.draw(found)
    assert drawn
    for picture in drawn:
        for path in picture.paths:
            if path.endswith(".svg"):
                root = ElementTree.parse(path).getroot()
                assert not root.findall(".//{http://www.w3.org/2000/svg}script")
                assert not root.findall(".//{http://www.w3.org/2000/svg}image[@onerror]")
    report.write(found)
    page = (folder / "report.html").read_text()
    assert "<img src=x" not in page and page.count("</script>") == page.count("<script")


@pytest.mark.parametrize("value", ["=1+1", "+1", "-cmd|' /C calc'!A0", "@SUM(A1)", "\tx", "'=1", "''@x"])
def test_no_field_that_is_written_is_a_formula_and_all_are_read_as_they_were(tmp_path, value):
    rows = [{"run": "r", "host": value, "value": 1.5, value: "extra", "note": "-2.5"}]
    path = str(tmp_path / "t.csv")
    tables.write_table(path, list(rows[0]), rows)
    for fields in csv.reader(open(path, encoding="utf-8", newline="")):
        assert not any(field[:1] in tuple("=+@\t\r") for field in fields)
        assert not any(field.startswith("-") and field != "-2.5" for field in fields)  # a number is none
    read = tables.read_table(path, {"host": tables.text})
    assert read == [{"run": "r", "host": value, "value": "1.5", value: "extra", "note": "-2.5"}]


def test_a_fleet_passes_no_formula_on_and_keeps_its_hosts_apart(tmp_path):
    for host in ("lab1", "lab2"):
        rows = [dict(row, host=host, note="=HYPERLINK(1)") for row in machine([0], [0, 1], benches=("latency",))]
        folder = write_run(tmp_path / "hosts" / host, rows, environment([0], [0, 1]))
        text = (folder / "samples.csv").read_text().replace("'=", "=")  # as a host may send it
        (folder / "samples.csv").write_text(text)
        assert ",=HYPERLINK" in text
        runs.matrix_of(str(folder))
    assert merge.merge(str(tmp_path)) == 0
    for name in ("samples.csv", "matrix.csv", "hosts.csv"):
        with open(tmp_path / name, encoding="utf-8", newline="") as file:
            assert not any(field[:1] in tuple("=+-@") for row in csv.reader(file) for field in row)


def test_markdown_makes_no_link_mention_image_or_row(tmp_path):
    for words in ("https://evil.example", "www.evil.example", "HTTP://x", "[a](b)", "![a](b)", "<b>", "a|b", "a\nb", "@team",
                  "#12", "a@b.example", "`x`", "ftp://x"):
        text = markdown.escaped(words)
        for raw in ("https:", "www.evil", "HTTP:/", "<b", "\n", "@team", "#12", "@b.", "ftp:/"):
            assert raw not in text.replace("\\", ""), (words, text)
        assert "|" not in text.replace("\\|", "") and "`" not in text.replace("\\`", "")


@pytest.mark.parametrize("place", ["../../etc/x", "/etc/passwd", "x;id", "$(id)", "a\nb", "x y", "-rf", "`id`", "a/b", "{}"])
def test_a_plan_names_no_path_and_no_command(tmp_path, place):
    header = ",".join(plan.COLUMNS)
    row = dict.fromkeys(plan.COLUMNS, "0") | {"seq": 1, "kind": "cell", "round": 1, "bench": "latency", "place": f'"{place}"',
                                              "policy": "local", "allocator": "glibc", "pages": "thp", "skip_reason": ""}
    (tmp_path / "plan.csv").write_text(header + "\n" + ",".join(str(row[name]) for name in plan.COLUMNS) + "\n")
    with pytest.raises(DataError, match="cannot name a run"):
        plan.read(str(tmp_path))


def test_a_million_columns_and_a_field_without_an_end_are_one_line(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(1_000_000)) + "\n")
    with pytest.raises(DataError, match="missing"):
        tables.read_table(str(path), {"host": tables.text})
    path.write_text(",".join(["host", *(f"c{i}" for i in range(1_000_000))]) + "\n")
    with pytest.raises(DataError, match="no data"):
        tables.read_table(str(path), {"host": tables.text})
    path.write_text("host\n\"" + "x" * 10_000_000 + "\n")
    with pytest.raises(DataError, match="not CSV"):
        tables.read_table(str(path), {"host": tables.text})


@pytest.mark.parametrize("field", ["1e400", "9" * 5000, "-1", "0x10", "1_0", "\u0661"])
def test_numbers_out_of_bounds_are_one_line(tmp_path, field):
    folder = write_run(tmp_path / "run", machine([0], [0]))
    text = (folder / "samples.csv").read_text().split("\n")
    fields = text[1].split(",")
    for column in ("value", "mem_node", "round"):
        damaged = list(fields)
        damaged[text[0].split(",").index(column)] = field
        (folder / "samples.csv").write_text("\n".join([text[0], ",".join(damaged), *text[2:]]))
        with pytest.raises(ReportError) as error:
            run.Run(str(folder))
        assert len(str(error.value)) < 500


@pytest.mark.parametrize("words", ["0-999999999999", "0-4294967295", "9" * 5000, "0-" + "9" * 5000])
def test_a_list_of_cpus_in_a_file_takes_no_memory(tmp_path, words):
    with pytest.raises(ValueError):
        topology.parse_list(words)
    described = environment([0], [0, 1])
    described["topology"]["nodes"][0]["cpus"] = words
    assert run.Run(str(write_run(tmp_path / "run", machine([0], [0, 1]), described))).words


def test_nodes_of_large_numbers_are_cells_like_others(tmp_path):
    rows = [sample(mem_node=node, value=100.0 + k, round=k, policy=f"bind:{node}") for node in (0, 4294967295) for k in (1, 2, 3)]
    folder = write_run(tmp_path / "run", rows)
    assert len(run.Run(str(folder)).rows) == 2
    report.write(run.Run(str(folder)))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"schema": ' + "9" * 5000 + "}", '{"x": 1e400}', '{"x": NaN}', "\0", "[]",
                                  '{"a":' * 100_000])
def test_a_damaged_environment_is_one_line(tmp_path, text):
    (tmp_path / "environment.json").write_text(text)
    with pytest.raises(DataError):
        environments.load(str(tmp_path))


def test_entities_of_xml_are_not_a_bomb():
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaaaaaaaaaaaa">' + "".join(
        f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 20}">' for i in range(9)) + "]><topology>&j;</topology>"
    with pytest.raises(ReportError):
        topology.from_hwloc(bomb.encode())


def test_what_root_sees_of_this_very_machine_is_not_kept():
    xml = (b'<topology>\n <object>\n  <info name="DMIProductSerial" value="S1"/>\n  <info name="DMIProductUUID" value="U1"/>\n'
           b'  <info name="DMIChassisAssetTag" value="T1"/>\n  <info name="SerialNumber" value="S2"/>\n'
           b'  <info name="CPUModel" value="Made-up"/>\n </object>\n</topology>\n')
    left = topology.PRIVATE.sub(b"", xml)
    assert b"Made-up" in left and not any(word in left for word in (b"S1", b"U1", b"T1", b"S2"))
    ElementTree.fromstring(left)


def test_a_fifo_or_link_in_the_place_of_the_lock_keeps_nobody(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(victim)
    os.link(victim, tmp_path / "hard")
    monkeypatch.setattr(locks, "PATHS", [str(tmp_path / name) for name in ("fifo", "link", "own")])
    lock = locks.lock_machine(False, "/f", print)
    assert lock is not None and os.path.samestat(os.fstat(lock), os.stat(tmp_path / "own"))
    os.close(lock)
    monkeypatch.setattr(locks, "PATHS", [str(tmp_path / "hard")])
    os.close(locks.lock_machine(False, "/f", print))
    assert victim.read_text() == "mine"


def test_the_lock_can_be_seen_by_others_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATHS", [str(tmp_path / "lock")])
    before = os.umask(0o077)
    try:
        os.close(locks.lock_machine(False, "/f", print))
    finally:
        os.umask(before)
    assert os.stat(tmp_path / "lock").st_mode & 0o777 == 0o644


def test_a_host_that_stands_twice_in_hosts_csv_is_refused(tmp_path):
    host_rows.write(str(tmp_path), [host_rows.row("lab1", status="ok"), host_rows.row("lab1")])
    with pytest.raises(DataError, match="repeats row 2"):
        host_rows.read(str(tmp_path))


def test_printable_leaves_letters_of_every_script():
    assert printable("größe Ω 日本 é\t\n") == "größe Ω 日本 é\t\n"
