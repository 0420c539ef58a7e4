"""Damaged data: one line naming file, row and column, a non-zero exit, never a traceback, and no picture."""

import contextlib
import io
import sys

import pytest
from conftest import machine, write_run

from numa_report import pictures, runs
from numa_report.errors import run_main, whole_file
from numa_report.run import Run


def read_judge_and_draw(folder):
    read = Run(folder)
    return 0 if read.words and pictures.draw(read) else 1


def complaint(path):
    """What plot.py does with a path, in this process: (exit status, lines on stderr)."""
    errors = io.StringIO()
    folders = []
    with contextlib.redirect_stderr(errors):
        status = run_main("plot.py", lambda: folders.extend(runs.find(str(path))) or 0)
        for folder in folders:
            status = max(status, run_main("plot.py", lambda folder=folder: read_judge_and_draw(folder)))
    return status, errors.getvalue().splitlines()


def edit(row, column, value):
    """Damage: sets a field. row counts from 1, the header."""
    def apply(data):
        lines = data.decode().split("\n")
        fields = lines[row - 1].split(",")
        fields[lines[0].split(",").index(column)] = value
        lines[row - 1] = ",".join(fields)
        return "\n".join(lines).encode()
    return apply


def drop_column(column):
    def apply(data):
        rows = [line.split(",") for line in data.decode().splitlines()]
        at = rows[0].index(column)
        return "".join(",".join(row[:at] + row[at + 1:]) + "\n" for row in rows).encode()
    return apply


def repeat_row(row):
    def apply(data):
        lines = data.splitlines(keepends=True)
        return b"".join(lines[:row] + [lines[row - 1]] + lines[row:])
    return apply


def in_line(row, old, new):
    def apply(data):
        lines = data.splitlines(keepends=True)
        lines[row - 1] = lines[row - 1].replace(old, new, 1)
        return b"".join(lines)
    return apply


# file, damage, what the line must name
TABLE = {
    "empty file": ("matrix.csv", lambda data: b"", ["empty file"]),
    "header only": ("matrix.csv", lambda data: data[:data.index(b"\n") + 1], ["row 1", "no data"]),
    "missing column": ("matrix.csv", drop_column("penalty"), ["row 1", "column penalty", "missing"]),
    "missing median": ("matrix.csv", drop_column("median"), ["row 1", "column median", "missing"]),
    "column twice": ("matrix.csv", in_line(1, b"reason", b"median"), ["row 1", "median", "twice"]),
    "word": ("matrix.csv", edit(3, "median", "fast"), ["row 3", "column median", "'fast'"]),
    "underscore": ("matrix.csv", edit(3, "median", "12_9"), ["row 3", "column median", "not a number"]),
    "spaces": ("matrix.csv", edit(3, "median", " 129 "), ["row 3", "column median", "' 129 '"]),
    "other digits": ("matrix.csv", edit(3, "median", "\u0661\u0662"), ["row 3", "column median", "not a number"]),
    "two units": ("matrix.csv", edit(3, "unit", "GB/s"), ["row 3", "column unit", "GB/s", "'load_latency' is in ns"]),
    "two rows at one position": ("matrix.csv", in_line(3, b",0,1,numa_alloc,bind:1", b",0,0,numa_alloc,bind:0"),
                                 ["row 3", "column mem_node", "repeats row 2"]),
    "nan": ("matrix.csv", edit(3, "median", "nan"), ["row 3", "column median", "finite"]),
    "infinity": ("matrix.csv", edit(4, "ci_high", "inf"), ["row 4", "column ci_high", "finite"]),
    "negative": ("matrix.csv", edit(2, "median", "-5"), ["row 2", "column median", "negative"]),
    "zero": ("matrix.csv", edit(2, "median", "0"), ["row 2", "column median", "0"]),
    "no value": ("matrix.csv", edit(2, "median", ""), ["row 2", "column median", "empty"]),
    "negative node": ("matrix.csv", edit(2, "mem_node", "-1"), ["row 2", "column mem_node", "'-1'"]),
    "node 0.5": ("matrix.csv", edit(2, "cpu_node", "0.5"), ["row 2", "column cpu_node", "'0.5'"]),
    "huge node": ("matrix.csv", edit(2, "cpu_node", "9" * 400), ["row 2", "column cpu_node"]),
    "unknown status": ("matrix.csv", edit(5, "status", "fine"), ["row 5", "column status", "'fine'", "ok, noisy"]),
    "unknown placement": ("matrix.csv", edit(5, "placement", "yes"), ["row 5", "column placement", "'yes'"]),
    "unit of two words": ("matrix.csv", edit(5, "unit", "par sec"), ["row 5", "column unit", "'par sec'"]),
    "node and policy": ("matrix.csv", edit(3, "mem_node", "0"), ["row 3", "column mem_node", "policy is 'bind:1'"]),
    "which way is better": ("matrix.csv", edit(5, "better", "left"), ["row 5", "column better", "'left'", "lower, higher"]),
    "cut in a row": ("matrix.csv", lambda data: data[:data.rindex(b"\n", 0, -1) + 40], ["row 29", "column ", "cut"]),
    "cut in the last field": ("matrix.csv", lambda data: data[:-1], ["row 29", "column 'better'", "cut"]),
    "short row": ("matrix.csv", in_line(6, b",", b" "), ["row 6", "column better"]),
    "long row": ("matrix.csv", in_line(6, b",", b",,"), ["row 6", "fields"]),
    "empty row": ("matrix.csv", in_line(6, b"\n", b"\n\n"), ["row 7", "empty row"]),
    "open quote": ("matrix.csv", in_line(6, b",", b',"'), ["row 6", "CSV"]),
    "Latin-1": ("matrix.csv", in_line(4, b"numa_alloc", "numä_alloc".encode("latin-1")), ["row 4", "0xe4", "UTF-8"]),
    "UTF-16": ("matrix.csv", lambda data: data.decode().encode("utf-16"), ["row 1"]),
    "binary": ("matrix.csv", lambda data: bytes(range(256)) * 8, ["row 1", "not a text"]),
    "random bytes": ("matrix.csv", lambda data: b"\x93\xf1\xa0\n" * 9, ["row 1", "UTF-8"]),
    "one endless field": ("matrix.csv", lambda data: b"x" * 200000 + b"\n", ["row 1"]),
    "duplicate row": ("matrix.csv", repeat_row(4), ["row 5", "repeats row 4"]),
    "sample: word": ("samples.csv", edit(3, "value", "fast"), ["row 3", "column value", "'fast'"]),
    "sample: infinity": ("samples.csv", edit(3, "value", "-inf"), ["row 3", "column value", "finite"]),
    "sample: no value": ("samples.csv", edit(3, "value", ""), ["row 3", "column value"]),
    "sample: placed 2": ("samples.csv", edit(3, "placed_fraction", "2"), ["row 3", "column placed_fraction", "0 and 1"]),
    "sample: duplicate": ("samples.csv", repeat_row(7), ["row 8", "repeats row 7"]),
    "sample: missing column": ("samples.csv", drop_column("placement"), ["row 1", "column placement", "missing"]),
    "sample: cut": ("samples.csv", lambda data: data[:-30], ["row ", "column 'placement'", "cut"]),
    "sample: header only": ("samples.csv", lambda data: data[:data.index(b"\n") + 1], ["row 1", "no data"]),
}


@pytest.mark.parametrize("name", TABLE)
def test_damaged_file(run_folder, name):
    file, damage, expected = TABLE[name]
    path = run_folder / file
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    if file == "samples.csv":
        (run_folder / "matrix.csv").unlink()
    path.write_bytes(damaged)
    status, lines = complaint(run_folder)
    assert status == 1 and len(lines) == 1, lines
    assert lines[0].startswith(f"plot.py: {path}: ") and lines[0].isprintable() and len(lines[0]) < 400
    for word in expected:
        assert word in lines[0]
    assert not list(run_folder.glob("*.png")) + list(run_folder.glob("*.tmp"))


def test_no_such_folder(tmp_path):
    status, lines = complaint(tmp_path / "absent")
    assert status == 1 and len(lines) == 1 and "no such folder" in lines[0]


def test_a_file_instead_of_a_folder(run_folder):
    status, lines = complaint(run_folder / "matrix.csv")
    assert status == 1 and len(lines) == 1 and "is not a folder" in lines[0]


def test_an_empty_folder(tmp_path):
    status, lines = complaint(tmp_path)
    assert status == 1 and len(lines) == 1 and "no runs here" in lines[0]


def test_an_unfinished_sweep_says_how_to_continue(tmp_path):
    (tmp_path / "plan.csv").write_text("seq\n")
    status, lines = complaint(tmp_path)
    assert status == 1 and len(lines) == 1 and "--resume" in lines[0]


def test_a_folder_that_cannot_be_written(run_folder, monkeypatch):
    def refuse(source, target):
        raise PermissionError(13, "Permission denied", target)
    monkeypatch.setattr("os.replace", refuse)
    status, lines = complaint(run_folder)
    assert status == 1 and len(lines) == 1 and "Permission denied" in lines[0]


def test_a_matrix_that_is_a_folder(tmp_path):
    folder = write_run(tmp_path / "run", machine([0], [0]))
    (folder / "matrix.csv").mkdir()
    status, lines = complaint(folder)
    assert status == 1 and len(lines) == 1 and "matrix.csv" in lines[0]


def test_a_full_disk_names_the_file_and_leaves_no_part(tmp_path):
    with pytest.raises(OSError) as caught:
        with whole_file(tmp_path / "data.csv") as file:
            file.write("half")
            raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "data.csv") and not list(tmp_path.iterdir())


@pytest.mark.parametrize("text, words", [
    ("[" * 100_000, "not JSON"), ('{"host": "a"', "not JSON"), ("", "not JSON"), ("[1]", "not an object"),
    ('{"schema": 99}', "schema 99; this version reads 1"), ('{"schema": "1"}', "schema '1'"),
])
def test_a_damaged_environment_is_one_line(run_folder, text, words):
    (run_folder / "environment.json").write_text(text)
    status, lines = complaint(run_folder)
    assert status == 1 and len(lines) == 1 and "environment.json" in lines[0] and words in lines[0]


def test_an_environment_of_unknown_things_is_read(run_folder):
    (run_folder / "environment.json").write_text('{"cpu_model": 7, "topology": [], "options": 3, "firmware": "x"}')
    assert complaint(run_folder) == (0, [])


def test_ctrl_c_while_modules_are_imported_is_one_line(run_folder, tmp_path):
    import subprocess
    from conftest import HARNESS
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt\n")
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); sys.path.insert(0, {str(HARNESS)!r})\n" \
             f"import plot; sys.exit(plot.main(plot.parse_arguments([{str(run_folder)!r}])))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "plot.py: interrupted\n")


def test_no_traceback_reaches_the_user(run_folder):
    """The same through the real program, once."""
    import subprocess
    from conftest import HARNESS
    (run_folder / "matrix.csv").write_bytes(b"\0")
    done = subprocess.run([sys.executable, HARNESS / "plot.py", run_folder], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and "Traceback" not in done.stderr
