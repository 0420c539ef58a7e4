"""200 mutations of real files: each is read right or is one clear line; never a traceback, never a silent wrong picture.

tests/plot/data/two_nodes.tar.xz is a sweep of the lab's two-node machine (docs/LAB.md) with --also, its cells/ taken out.
A sweep leaves SHA256SUMS. Mutations of matrix.csv, samples.csv and environment.json are tried without it, since these must
be found damaged by themselves, and in folders of other tools; a row that a single benchmark's output lost can only be seen
by it. What is shown of a run is its page, and what the pictures read of the single measurements; a mutation that is not refused
must leave all of that as it was.
"""

import csv
import io
import random
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from numa_report import checksums, page, singles
from numa_report.errors import ReportError
from numa_report.run import Run

RUN = Path(__file__).parent / "data" / "two_nodes.tar.xz"
TABLES = ("matrix.csv", "samples.csv", "sentinel.csv", "plan.csv", "curve.csv", "loaded.csv", "core2core.csv")
SEEDS = range(3)
PICTURED = (*singles.LINE, "bench", "metric", "unit", "size_bytes", "value", "ci_low", "ci_high", "status", "placement",
            "disturbed", "other_cpu", "other_cpu_node", "other_mem_node")


def shown(folder):
    """The page's words, without its name and what stands for the folder's place."""
    run = Run(str(folder))
    assert run.words and run.samples
    text = Path(page.write(run)).read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if checksums.FILE not in line)  # of the list of files
    return text, [[[row.get(name) for name in PICTURED] for row in rows] for rows in run.singles.values()]


def lines(data):
    return data.splitlines(keepends=True)


def cut_anywhere(data, choose):
    return data[:choose.randrange(len(data))]


def cut_at_a_line(data, choose):
    rows = lines(data)
    return b"".join(rows[:choose.randrange(1, len(rows))])


def row_repeated(data, choose):
    rows = lines(data)
    at = choose.randrange(1, len(rows))
    return b"".join(rows[:at + 1] + rows[at:])


def row_lost(data, choose):
    rows = lines(data)
    del rows[choose.randrange(1, len(rows))]
    return b"".join(rows)


def records(data):
    return list(csv.reader(io.StringIO(data.decode(), newline="")))


def written(rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def columns_swapped(data, choose):
    """The names of two columns that differ somewhere; where they never do, the swap means nothing."""
    rows = records(data)
    columns = list(zip(*rows))
    a, b = choose.choice([(a, b) for a in range(len(columns)) for b in range(a) if columns[a][1:] != columns[b][1:]])
    rows[0][a], rows[0][b] = rows[0][b], rows[0][a]
    return written(rows)


def column_lost(data, choose):
    rows = records(data)
    at = choose.randrange(len(rows[0]))
    return written([row[:at] + row[at + 1:] for row in rows])


def field_set(*values):
    """One of the fields that hold figures."""
    def mutate(data, choose):
        rows = records(data)
        figures = [(y, x) for y, row in enumerate(rows[1:], start=1) for x, word in enumerate(row)
                   if re.fullmatch(r"[0-9.]+", word)]
        y, x = choose.choice(figures)
        rows[y][x] = choose.choice(values)
        return written(rows)
    return mutate


def another_encoding(data, choose):
    return data.decode().encode(choose.choice(["utf-16", "utf-32", "utf-16-le"]))


def a_letter_of_another_encoding(data, choose):
    at = choose.randrange(len(data))
    return data[:at] + choose.choice([b"\xe4", b"\xff", b"\x00", b"\x80"]) + data[at:]


def carriage_returns(data, _):
    return data.replace(b"\n", b"\r\n")


def byte_order_mark(data, _):
    return b"\xef\xbb\xbf" + data


def quote_opened(data, choose):
    commas = [at for at, byte in enumerate(data) if byte == ord(",")]
    at = choose.choice(commas)
    return data[:at + 1] + b'"' + data[at + 1:]


def followed_by_itself(data, _):
    return data + data


def another_version(data, choose):
    """A later version's file: the columns this one knows are called otherwise."""
    return data.replace(b",median,", b",median_ns,", 1).replace(b",value,", b",value_ns,", 1).replace(b"seq,", b"number,", 1)


MUTATIONS = {mutate.__name__: mutate for mutate in (
    cut_anywhere, cut_at_a_line, row_repeated, row_lost, columns_swapped, column_lost, another_encoding,
    a_letter_of_another_encoding, carriage_returns, byte_order_mark, quote_opened, followed_by_itself, another_version)}
MUTATIONS["nan"] = field_set("nan", "NaN", "-nan", "inf", "-inf")
MUTATIONS["huge"] = field_set("1e400", "9" * 400, "1" + "0" * 30)
MUTATIONS["no_number"] = field_set("", "fast", "-5", "0x10", "1_000", "1,5", " 7 ", "\u0661")

ALL = [(file, name, seed) for file in TABLES for name in MUTATIONS for seed in SEEDS]
CHOSEN = random.Random(1).sample(ALL, 180)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """(the folder as it was, what is shown of it)"""
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(RUN) as archive:
        archive.extractall(folder)
    checksums.write(str(folder / "two_nodes"), [*TABLES, "environment.json"])
    return folder / "two_nodes", shown(folder / "two_nodes")


@pytest.fixture
def folder(kept):
    """The folder at its place, since a page says where it is; what a test did to it is undone."""
    aside = kept[0].with_name("aside")
    shutil.copytree(kept[0], aside)
    yield kept[0]
    shutil.rmtree(kept[0])
    aside.rename(kept[0])


@pytest.mark.parametrize("file, name, seed", CHOSEN, ids=str)
def test_a_mutated_table_is_read_right_or_refused_in_a_line(kept, folder, file, name, seed):
    if file in ("matrix.csv", "samples.csv"):
        (folder / checksums.FILE).unlink()
    data = (folder / file).read_bytes()
    choose = random.Random(f"{file} {name} {seed}")
    mutated = data
    while mutated == data:
        mutated = MUTATIONS[name](data, choose)
    (folder / file).write_bytes(mutated)
    try:
        after = shown(folder)
    except ReportError as error:
        assert str(error).isprintable() and len(str(error)) < 600 and file in str(error), str(error)
    else:
        assert after == kept[1]


ENVIRONMENT = {
    "cut": lambda text: text[:len(text) // 2], "empty": lambda text: "", "a list": lambda text: f"[{text}]",
    "NaN": lambda text: text.replace('"started_at": "', '"started_at": NaN, "x": "'),
    "huge": lambda text: re.sub(r'"memory_bytes": [0-9]+', '"memory_bytes": ' + "9" * 400, text),
    "infinite": lambda text: re.sub(r'"memory_bytes": [0-9]+', '"memory_bytes": 1e999', text),
    "another version": lambda text: text.replace('"schema": 1', '"schema": 2'),
    "no version": lambda text: text.replace('"schema": 1,', ""),
    "nodes are words": lambda text: text.replace('"id": 0', '"id": "zero"'),
    "nodes are gone": lambda text: text.replace('"nodes"', '"knots"'),
    "lists are words": lambda text: text.replace("[", '"').replace("]", '"'),
    "deep": lambda text: text.replace('"firmware": {', '"firmware": ' + "[" * 100_000),
    "twice": lambda text: text + text, "UTF-16": lambda text: text.encode("utf-16"),
    "Latin-1": lambda text: text.replace("QEMU", "QEM\u00dc").encode("latin-1"),
    "zero byte": lambda text: text.replace("QEMU", "QE\0MU"), "CRLF": lambda text: text.replace("\n", "\r\n"),
    "everything null": lambda text: re.sub(r': ("[^"]*"|[0-9.]+)(,?)$', r": null\2", text, flags=re.MULTILINE),
    "everything a word": lambda text: re.sub(r": [0-9.]+(,?)$", r': "x"\1', text, flags=re.MULTILINE).replace(
        '"schema": "x"', '"schema": 1'),
    "everything a number": lambda text: re.sub(r': "[^"]*"(,?)$', r": 7\1", text, flags=re.MULTILINE),
}


@pytest.mark.parametrize("name", ENVIRONMENT)
def test_a_mutated_environment_is_read_or_refused_in_a_line(kept, folder, name):
    """What stands there is shown, whatever it is; figures are no part of it."""
    (folder / checksums.FILE).unlink()
    path = folder / "environment.json"
    mutated = ENVIRONMENT[name](path.read_text(encoding="utf-8"))
    path.write_bytes(mutated if isinstance(mutated, bytes) else mutated.encode())
    try:
        after = shown(folder)
    except ReportError as error:
        assert str(error).isprintable() and len(str(error)) < 600 and ".json" in str(error), str(error)
    else:
        assert after[1] == kept[1][1]
        for figure in ("2,032", "3,670", "0.0629"):
            assert figure in after[0]


def test_there_are_two_hundred():
    assert len(set(CHOSEN)) + len(ENVIRONMENT) == 200
