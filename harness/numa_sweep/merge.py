"""From the run folders of many hosts, FOLDER/hosts/NAME/, to one samples.csv, matrix.csv, hosts.csv and verdict.txt.

Files pass through as bytes where they are what they should be, and by csv where they are not; one host at a time.
"""

import csv
import io
import os
import re
import shlex
import sys
from collections import namedtuple
from statistics import median

from numa_report import tables
from numa_report.errors import DataError, ReportError, UsageError, printable, regular, whole_file
from numa_report.layout import counted, penalty_words, shortened, value_words
from numa_report.schema import BENCHES, MATRIX_COLUMNS, MEASURED, SAMPLE_COLUMNS

from . import host_rows, odd_hosts

VERDICT = "verdict.txt"
FORMULA = re.compile(rb'(?m)(?:^|,)"?[=+\-@\t\r]')  # a field that a spreadsheet would run
MOST_TABLE_ROWS = 40
MOST_LINES = 20  # of a kind in the verdict; the data have them all

# Of a row of matrix.csv, what is said of a fleet.
MatrixRow = namedtuple("MatrixRow", "cell bench metric unit variant cpu_node policy status median penalty")


def merge(folder):
    """Exit status. Whatever hosts/ has is put together once more."""
    labels = host_rows.labels(folder)
    if not labels:
        raise UsageError(f"--merge: {folder}: " + ("no run folders in hosts/" if os.path.isdir(folder) else "no such folder"))
    earlier = host_rows.read(folder)
    with host_rows.Pool() as pool:
        folders = [host_rows.run_folder(folder, label) for label in labels]
        found = dict(zip(labels, pool.map(host_rows.summarise, folders)))
    rows = []
    for label in dict.fromkeys([*earlier, *labels]):
        row = earlier.get(label) or host_rows.row(label, **found[label])
        rows.append(host_rows.completed(row, found[label]) if label in found else row)
    return finish(folder, rows)


def finish(folder, rows, out=None):
    """Writes what is made of all hosts' files together and says it. rows: of hosts.csv. Returns the exit status."""
    out = out or sys.stdout
    fleet = Fleet({row["host"]: row["cpu_model"] for row in rows})
    damaged = combine(folder, [row["host"] for row in rows], fleet)
    for row in rows:
        if row["host"] in damaged:
            row.update(status=host_rows.FAILED, reason=damaged[row["host"]])
    host_rows.write(folder, rows)
    fleet.judge()
    words = verdict(rows, fleet)
    with whole_file(os.path.join(folder, VERDICT), encoding="utf-8") as file:
        file.writelines(printable(f"{line}\n") for line in words)
    print(table(rows, fleet), "", *words, "", f"data: {folder}/samples.csv, matrix.csv, hosts.csv, verdict.txt",
          f"pages, of all hosts and of each: harness/plot.py {shlex.quote(folder)}", sep="\n", file=out, flush=True)
    return 1 if fleet.misplaced or any(row["status"] != host_rows.OK for row in rows) else 0


class Fleet:
    """What the hosts' matrices say together, taken in row by row."""

    def __init__(self, models):
        self.models = models
        self.medians = odd_hosts.Medians()
        self.local = {}  # host: {(bench, metric, unit, variant): medians of its local cells}
        self.worst = {}  # host: its greatest penalty
        self.misplaced = {}  # host: number of cells
        self.odd, self.lacking = [], []

    def add(self, host, row):
        self.medians.add(host, self.models.get(host, ""), row)
        if row.status == "misplaced":
            self.misplaced[host] = self.misplaced.get(host, 0) + 1
        if row.status not in MEASURED or not odd_hosts.says_something(row.metric):
            return
        if row.penalty is not None:
            self.worst[host] = max(self.worst.get(host, 0), row.penalty)
        if row.policy == f"bind:{row.cpu_node}":
            metric = row.bench, row.metric, row.unit, row.variant
            self.local.setdefault(host, {}).setdefault(metric, []).append(row.median)

    def judge(self):
        """Once all rows are in."""
        self.odd, self.lacking = self.medians.odd(), self.medians.lacking()

    def local_metrics(self):
        """(bench, metric, unit, variant) of the tables' columns: the first variant of each metric, latency first."""
        there = {}
        for of_host in self.local.values():
            for key in of_host:
                there.setdefault(key[:2], key)
        return sorted(there.values(), key=lambda key: key[1] != "load_latency")

    def local_medians(self, metric):
        """{host: the median of its local cells}"""
        return {host: median(of_host[metric]) for host, of_host in self.local.items() if metric in of_host}


# Putting files together.

def combine(folder, hosts, fleet):
    """samples.csv and matrix.csv of all hosts whose sweep has ended; returns {host: what is wrong with its files}."""
    there = [host for host in hosts if host_rows.is_whole(host_rows.run_folder(folder, host))
             and all(os.path.exists(path) for path in paths(folder, host))]
    damaged, headers = {}, []
    for place, known in enumerate((SAMPLE_COLUMNS, MATRIX_COLUMNS)):
        headers.append(all_columns([paths(folder, host)[place] for host in there], known))
    with whole_file(os.path.join(folder, "samples.csv"), "wb") as samples, \
            whole_file(os.path.join(folder, "matrix.csv"), "wb") as matrix:
        for file, columns in zip((samples, matrix), headers):
            file.write(header_line(columns))
        for host in there:
            try:
                parts = [read_part(path, host, columns) for path, columns in zip(paths(folder, host), headers)]
                rows = list(matrix_rows(paths(folder, host)[1], parts[1], headers[1]))
            except ReportError as error:
                damaged[host] = str(error).replace(host_rows.run_folder(folder, host) + "/", "")
                continue
            samples.write(parts[0])
            matrix.write(parts[1])
            for row in rows:
                fleet.add(host, row)
    return damaged


def paths(folder, host):
    return [os.path.join(host_rows.run_folder(folder, host), name) for name in ("samples.csv", "matrix.csv")]


def all_columns(files, known):
    """Those of the schema, then what any of the files has beside them."""
    lines = {}
    for path in files:
        with open(path, "rb", opener=regular) as file:
            lines[file.readline()] = True
    columns = [column for line in lines for column in next(csv.reader([line.decode("utf-8", "replace")]), [])]
    return list(dict.fromkeys([*known, *(tables.unguarded(column) for column in columns if column)]))


def header_line(columns):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(map(tables.guarded, columns))
    return text.getvalue().encode()


def read_part(path, host, columns):
    """The rows of one host's file as bytes, in these columns and of this host's name."""
    with open(path, "rb", opener=regular) as file:
        data = file.read()
    header = header_line(columns)
    body = data[len(header):]
    if data.startswith(header) and (not body or is_all_of(host, body)) and not FORMULA.search(body):
        return body
    rows = tables.read_table(path, {})
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([tables.guarded(({**row, "host": host}).get(column, "")) for column in columns] for row in rows)
    return text.getvalue().encode()


def is_all_of(host, body):
    """Whether every line is whole and begins with the same run and this host."""
    first = body.split(b"\n", 1)[0].split(b",", 2)
    if len(first) < 3 or first[1] != host.encode() or not body.endswith(b"\n"):
        return False
    return body.count(b"\n") == 1 + body.count(b"\n" + b",".join(first[:2]) + b",")


def matrix_rows(path, body, columns):
    """MatrixRow of each row of matrix.csv's body."""
    places = [columns.index(name) for name in MatrixRow._fields]
    shared = {}  # the same words stand in many rows, and all hosts' rows are kept
    number = 1
    try:
        for number, fields in enumerate(csv.reader(io.StringIO(body.decode("utf-8"), newline=""), strict=True), start=2):
            words = [shared.setdefault(fields[place], sys.intern(tables.unguarded(fields[place]))) for place in places]
            figures = [float(word) if word else None for word in words[-2:]]
            yield MatrixRow(*words[:-2], *figures)
    except (ValueError, IndexError, csv.Error) as error:
        raise DataError(path, str(error), row=number) from None


# Saying it.

def verdict(rows, fleet):
    counts = {status: sum(row["status"] == status for row in rows) for status in host_rows.STATUSES}
    others = ", ".join(f"{number} {status}" for status, number in counts.items() if number and status != host_rows.OK)
    words = [f"hosts: {counts[host_rows.OK]} of {len(rows)} ok" + (f"; {others}" if others else "")]
    words += at_most([f"{row['status']}: {row['host']}: {row['reason']}" for row in rows if row["status"] != host_rows.OK])
    words += at_most([f"misplaced: {host}: {counted(number, 'cell')}" for host, number in fleet.misplaced.items()])
    return words + at_most(odd_hosts.lines(fleet.medians, fleet.odd, fleet.lacking))


def at_most(words):
    """The lines of one kind, as many of them as somebody reads."""
    if len(words) <= MOST_LINES:
        return words
    kind = words[0].partition(":")[0]
    return words[:MOST_LINES] + [f"{kind}: and {len(words) - MOST_LINES} more; see hosts.csv and matrix.csv"]


def table(rows, fleet):
    """One line a host; of a large fleet their median, and the hosts of which there is something to say."""
    odd = {item.host for item in (*fleet.odd, *fleet.lacking)}
    metric = next(iter(fleet.local_metrics()), None)
    local = fleet.local_medians(metric)
    lines = [["host", "status", "cells", column_words(metric), "worst penalty", ""]]
    shown = rows
    if len(rows) > MOST_TABLE_ROWS:
        shown = [row for row in rows if row["status"] != host_rows.OK or row["host"] in odd][:MOST_TABLE_ROWS]
        lines.append([f"median of {len(rows)}", "", "", shown_value(median(local.values()) if local else None),
                      shown_penalty(median(fleet.worst.values()) if fleet.worst else None), ""])
    for row in shown:
        host = row["host"]
        lines.append([host, row["status"], str(row["cells"]), shown_value(local.get(host)),
                      shown_penalty(fleet.worst.get(host)),
                      shortened(row["reason"], 80) or ("odd" if host in odd else "")])
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(word.ljust(width) if place in (0, 1, 5) else word.rjust(width)
                               for place, (word, width) in enumerate(zip(line, widths))).rstrip() for line in lines)


def column_words(metric):
    """What a column of Fleet.local_metrics() is called."""
    if metric is None:
        return "local memory"
    bench, name, unit, variant = metric
    if name == "load_latency":
        return f"local latency ({unit})"
    return f"local {name}{f', {variant}' if bench in BENCHES else ''} ({unit})"


def shown_value(value):
    return "-" if value is None else value_words(value)


def shown_penalty(value):
    return "-" if value is None else penalty_words(value)
