"""Reading and writing CSV (UTF-8, RFC 4180). Whatever is wrong is named with file, row and column."""

import csv
import io
import math
import re

from .errors import DataError, regular, whole_file
from .schema import BETTER, COMMAND, CONDITIONS, PLACEMENTS, STATUSES, better_of

INTEGER = re.compile(r"[0-9]{1,18}")
# float() would also take 1_000, spaces around and the digits of other scripts.
NUMBER = re.compile(r"-?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)")


# A spreadsheet runs a field that begins so. Such a text is written with an apostrophe before it, which is taken away when
# it is read (docs/REPORT.md); numbers are numbers.
FORMULA = re.compile(r"[=+\-@\t\r]")
GUARDED = re.compile(r"'+[=+\-@\t\r]")
MOST_UNIT_LETTERS = 20


def guarded(value):
    """A field as it is written. csv does not quote a carriage return, and its reader ends the row there."""
    if isinstance(value, str):
        value = value.replace("\r", " ")
    if isinstance(value, str) and value and (FORMULA.match(value) or GUARDED.match(value)) and not NUMBER.fullmatch(value):
        return "'" + value
    return value


def unguarded(field):
    """A field as it was meant."""
    return field[1:] if field[:1] == "'" and GUARDED.match(field) else field


def text(field):
    return field


def named(field):
    if not field:
        raise ValueError("empty")
    return field


def whole(field):
    if not INTEGER.fullmatch(field):
        raise ValueError(f"{shown(field)} is not a whole number of at least 0")
    return int(field)


def number(field):
    if not NUMBER.fullmatch(field):
        raise ValueError(f"{shown(field)} is not a number")
    value = float(field)
    if not math.isfinite(value):
        raise ValueError(f"{shown(field)} is not a finite number")
    if value < 0:
        raise ValueError(f"{shown(field)} is negative")
    return value


def above_zero(field):
    value = number(field)
    if value == 0:
        raise ValueError("0 cannot be a measurement; a number above 0 is expected")
    return value


def fraction(field):
    value = number(field)
    if value > 1:
        raise ValueError(f"{shown(field)} is not between 0 and 1")
    return value


def unit_name(field):
    if not field or len(field) > MOST_UNIT_LETTERS or not field.isprintable() or " " in field:
        raise ValueError(f"{shown(field)} is not a unit: a word of at most {MOST_UNIT_LETTERS} letters")
    return field


def one_of(words):
    def parse(field):
        if field not in words:
            raise ValueError(f"{shown(field)} is not one of {', '.join(words)}")
        return field

    return parse


def optional(parse):
    return lambda field: parse(field) if field else None


# What another tool did not say is empty: which CPU of the node, how many threads, how much memory of which pages.
SAMPLES = {
    "run": text, "host": text, "round": optional(whole), "cell": text, "bench": named, "metric": named,
    "unit": unit_name, "cpu": optional(whole), "cpu_node": whole, "mem_node": optional(whole), "allocator": text,
    "policy": named, "pages": text, "threads": optional(whole), "size_bytes": optional(whole), "variant": named,
    "value": number, "placement": one_of(PLACEMENTS), "placed_fraction": optional(fraction), "started_at": text,
}

IF_PRESENT = {"better": optional(one_of(BETTER))}

# What one benchmark run by hand prints: memory on several nodes has no single one, and a figure that could not be
# measured has a reason in place of its value.
PROGRAM_SAMPLES = {
    **SAMPLES, "cpu_node": optional(whole), "mem_node": optional(whole), "value": optional(number),
}
PROGRAM_SAMPLES_IF_PRESENT = {
    "other_cpu": optional(whole), "other_cpu_node": optional(whole), "other_mem_node": optional(whole),
    "ci_low": optional(above_zero), "ci_high": optional(above_zero), "status": text, "reason": text, "disturbed": text,
    **IF_PRESENT,
}

MATRIX = {
    "run": text, "host": text, "cell": named, "bench": named, "metric": named, "unit": unit_name,
    "cpu": optional(whole), "cpu_node": whole, "mem_node": optional(whole), "allocator": text, "pages": text,
    "threads": optional(whole), "size_bytes": optional(whole), "variant": named,
    "median": optional(number), "ci_low": optional(number), "ci_high": optional(number),
    "samples": whole, "status": one_of(STATUSES), "penalty": optional(above_zero),
    "placement": optional(one_of(PLACEMENTS)),
}
MATRIX_IF_PRESENT = {
    **IF_PRESENT, "mad": optional(number), "outliers": optional(whole), "rounds": optional(whole),
    "placed_fraction": optional(fraction),
}


def shown(field):
    """The field as a short quoted word that cannot break the line it is printed in."""
    word = ascii(field)
    return word if len(word) <= 40 else word[:36] + "...'"


def read_table(path, parsers, if_present=None):
    """The rows of a CSV file as dictionaries: columns named in parsers typed, others as text.

    if_present: the parsers of columns that the file may lack.
    """
    records = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    rows, header, row = [], None, 0
    while True:
        row += 1
        try:
            fields = next(records, None)
        except csv.Error as error:
            raise DataError(path, f"not CSV ({error})", row=row) from None
        if fields is None:
            break
        if header is None:
            header = check_header(path, list(map(unguarded, fields)), parsers)
            parsers = {**parsers, **{name: parse for name, parse in (if_present or {}).items() if name in header}}
        elif not fields:
            raise DataError(path, "an empty row", row=row)
        else:
            rows.append(parse_row(path, row, header, fields, parsers))
    if not rows:
        raise DataError(path, "a header and no data", row=1)
    return rows


def read_text(path):
    with open(path, "rb", opener=regular) as file:
        data = file.read()
    if not data:
        raise DataError(path, "empty file")
    zero = data.find(b"\0")
    if zero >= 0:
        raise DataError(path, "a zero byte: not a text file", row=data.count(b"\n", 0, zero) + 1)
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise DataError(path, f"byte 0x{data[error.start]:02x} is not UTF-8", row=row) from None
    # Without its line end the last field may be a shorter number than was written.
    if not data.endswith(b"\n"):
        raise DataError(path, "no line end: the file looks cut", row=data.count(b"\n") + 1,
                        column=last_column(content))
    return content


def last_column(content):
    """The column in which a file ends that was cut, None where that cannot be told."""
    lines = content.split("\n")
    try:
        header, last = next(csv.reader(lines[:1]), []), next(csv.reader(lines[-1:]), [])
    except csv.Error:
        return None
    return shown(header[len(last) - 1]) if len(lines) > 1 and 0 < len(last) <= len(header) else None


def check_header(path, header, parsers):
    for column in parsers:
        if column not in header:
            raise DataError(path, "missing", row=1, column=column)
    there = set()
    for column in header:
        if column in there:
            raise DataError(path, "named twice", row=1, column=shown(column))
        there.add(column)
    return header


def parse_row(path, row, header, fields, parsers):
    if len(fields) < len(header):
        raise DataError(path, "the row ends before it: the file looks cut", row=row, column=header[len(fields)])
    if len(fields) > len(header):
        raise DataError(path, f"{len(fields)} fields under {len(header)} columns", row=row)
    parsed = dict(zip(header, map(unguarded, fields)))
    for column, parse in parsers.items():
        try:
            parsed[column] = parse(parsed[column])
        except ValueError as error:
            raise DataError(path, str(error), row=row, column=column) from None
    return parsed


def refuse_duplicates(path, rows, columns):
    """A row whose `columns` repeat those of an earlier one is an error: neither can be trusted."""
    seen = {}
    for row, parsed in enumerate(rows, start=2):
        key = tuple(parsed.get(column) for column in columns)
        if key in seen:
            raise DataError(path, f"repeats row {seen[key]}", row=row, column=columns[0])
        seen[key] = row


def read_matrix(path):
    rows = read_table(path, MATRIX, MATRIX_IF_PRESENT)
    refuse_duplicates(path, rows, ("cell", "metric", "host"))
    refuse_duplicates(path, rows, ("mem_node", "policy", "bench", "metric", "variant", "cpu_node", "cpu", "host",
                                   *CONDITIONS))
    units = {}
    for row, parsed in enumerate(rows, start=2):
        parsed["better"] = better_of(parsed["unit"], parsed.get("better"))
        refuse_nothing(path, row, parsed, "median")
        refuse_contradiction(path, row, parsed)
        unit = units.setdefault((parsed["bench"], parsed["metric"]), parsed["unit"])
        if parsed["unit"] != unit:
            raise DataError(path, f"{parsed['unit']}, but {shown(parsed['metric'])} is in {unit} above", row=row,
                            column="unit")
        measured = parsed["status"] in ("ok", "noisy", "misplaced")
        for column in ("median", "placement"):
            if measured and parsed[column] is None:
                raise DataError(path, f"empty although status is {parsed['status']}", row=row, column=column)
    return rows


def refuse_nothing(path, row, parsed, column):
    """A command may take no time and print 0; what our benchmarks measure is never 0."""
    if parsed[column] == 0 and parsed["variant"] != COMMAND:
        raise DataError(path, "0 cannot be a measurement; a number above 0 is expected", row=row, column=column)


def refuse_contradiction(path, row, parsed):
    """A policy that binds to a node and another memory node: neither can be trusted."""
    bound = re.fullmatch(r"bind:([0-9]+)", parsed.get("policy") or "")
    if bound and str(parsed["mem_node"]) != (bound[1].lstrip("0") or "0"):
        raise DataError(path, f"{parsed['mem_node']}, but policy is {shown(bound[0])}", row=row, column="mem_node")


def read_samples(path):
    rows = read_table(path, SAMPLES, IF_PRESENT)
    for row, parsed in enumerate(rows, start=2):
        refuse_nothing(path, row, parsed, "value")
        refuse_contradiction(path, row, parsed)
    if "sample" in rows[0]:
        refuse_duplicates(path, rows, ("cell", "host", "round", "metric", "sample"))
    return rows


def read_program_samples(path):
    """samples.csv as benchmarks print it: columns that it lacks are None, and so are values that were not measured."""
    rows = read_table(path, PROGRAM_SAMPLES, PROGRAM_SAMPLES_IF_PRESENT)
    rows = [{**dict.fromkeys(PROGRAM_SAMPLES_IF_PRESENT), **row} for row in rows]
    for row, parsed in enumerate(rows, start=2):
        refuse_nothing(path, row, parsed, "value")
        if parsed["value"] is None and parsed["status"] != "failed":
            raise DataError(path, "empty although status is not failed", row=row, column="value")
    if "sample" in rows[0]:
        refuse_duplicates(path, rows, ("cell", "host", "round", "metric", "sample"))
    return rows


def write_table(path, columns, rows):
    """Writes the rows, None as an empty field; the file appears whole or not at all."""
    with whole_file(path, encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(guarded, columns))
        writer.writerows([guarded(row.get(column, "")) for column in columns] for row in rows)
