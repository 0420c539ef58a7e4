"""What the page of one run says, as plain data for its template."""

import os
import re
import shlex
from urllib.parse import quote

from .. import layout, normal, pictures as drawing, runs, verdict
from . import details, heat, machine

BAD, FINE = verdict.BAD, (*verdict.FINE, "normal")  # kinds of lines; the others are figures
PENALTY = re.compile("([0-9][0-9.,]*×)")  # what a reader's eye looks for
OVERVIEW = 24  # with more rows or columns than this the colours come first, the numbers when asked for

FILES = {  # of a run's folder: what is in them
    "matrix.csv": "one row for each cell and metric: median, 95 % interval, status, penalty",
    "samples.csv": "one row for each sample",
    "sentinel.csv": "the samples of the cell that was measured again and again",
    "curve.csv": "latency by working set, as bench/latency printed it",
    "loaded.csv": "latency under load, as bench/loaded printed it",
    "core2core.csv": "hand-overs between CPUs, as bench/core2core printed it",
    "environment.json": "the machine and every option, as at the start",
    "SHA256SUMS": "checksums of the data, as the sweep left them",
    "verdict.txt": "the words at the top of this page",
    "plan.csv": "every run of the sweep in its order",
    "jobs.txt": "the names of its runs",
    "joblog.tsv": "GNU parallel's log of them",
    "cells": "each run's script (.sh), output (.out, .err) and record (.run)",
}


def of_run(run, pictures):
    """run: a numa_report.run.Run; pictures: what numa_report.pictures.draw gave, none where nothing was drawn."""
    numbers = details.numbers(run.rows)
    quantities = heat.quantities(run, numbers)
    warnings, quiet_checks = machine.warnings(run.environment)
    return {
        "title": layout.shortened(run.name, 100), "host": layout.shortened(host_of(run), 100),
        "fleet": fleet_view(run, pictures), "cpu_model": words_of(run.environment.get("cpu_model")), "date": date_of(run),
        "verdict": [verdict_view(line) for line in run.words],
        "more": [verdict_view(line) for line in run.more_words], "wary": wary(run.rows),
        "normal": normal_view(run), "quantities": [part for part in quantities if part["main"]],
        "overview": any(len(part["columns"]) > OVERVIEW or len(part["panels"][0]["rows"]) > OVERVIEW for part in quantities),
        "counted": [part for part in quantities if not part["main"]],
        "pictures": picture_views(pictures), "warnings": warnings, "quiet_checks": quiet_checks,
        "tables": machine.tables(run.environment), "files": files_of(run.folder, pictures),
        "again": [line for line in (machine.command_again(run.environment),
                                    shlex.join(["harness/plot.py", os.path.abspath(run.folder)])) if line],
        "data": details.of_run(run) if run.rows else None,
    }


def fleet_view(run, pictures):
    """The fleet whose host this is; None where it is of none, or nobody asked for the fleet's page."""
    folder = runs.fleet_of(run.folder)
    if folder is None or pictures and not os.path.exists(os.path.join(folder, "report.html")):
        return None
    return {"name": layout.shortened(os.path.basename(folder), 100), "link": "../../report.html",
            "command": None if pictures else shlex.join(["harness/plot.py", os.path.abspath(run.folder)])}


def words_of(value):
    return layout.shortened(value, 200) if isinstance(value, str) else ""


def host_of(run):
    return layout.host_words(rows_of(run)) if rows_of(run) else words_of(run.environment.get("host")) or "an unnamed machine"


def normal_view(run):
    """This run's machine, and the published ones that are most like it; None where nothing of the matrix was measured."""
    if not any(row["median"] is not None for row in run.rows):
        return None
    found = normal.neighbours(run)
    names = [name for name in normal.FIGURES
             if any(name in machine.figures for machine in (found.own, *found.published))]
    return {"lines": [verdict_view(line) for line in normal.lines(run)], "reason": found.reason,
            "head": [normal.FIGURES[name][0] for name in names],
            "machines": [machine_view(machine, names) for machine in (found.own, *found.published)]}


def machine_view(machine, names):
    words = [machine.cpu_model, machine.sockets and layout.counted(machine.sockets, "socket"), machine.numa_mode]
    figures = [normal.span_words(machine.figures[name], normal.FIGURES[name][1]) if name in machine.figures else ""
               for name in names]
    return {"name": layout.shortened(machine.name, 100), "figures": figures, "note": machine.note, "method": machine.method,
            "words": " · ".join(layout.shortened(word, 100) for word in words if word),
            "link": machine.source if machine.source.startswith(("https://", "http://")) else "",
            "source": ", ".join(filter(None, (machine.source_title or machine.source, machine.published)))}


def rows_of(run):
    """Of the matrix, or where there is none of the single measurements."""
    return run.rows or [row for rows in run.singles.values() for row in rows]


def date_of(run):
    """When it was begun, `2026-11-23 02:40 UTC`; "" where that is not known."""
    times = [run.environment.get("started_at"), *sorted(row.get("started_at") or "" for row in rows_of(run))]
    first = next((time for time in times if isinstance(time, str) and len(time) == 20 and time[10] + time[19] == "TZ"), "")
    return f"{first[:10]} {first[11:16]} UTC" if first else ""


def verdict_view(line):
    """A line of the form `kind: text`; one of another form has no kind."""
    kind, colon, text = line.partition(": ")
    if not colon or len(kind) > 30:
        kind, text = "", line
    severity = "bad" if kind in BAD else "fine" if kind in FINE else "figure"
    pieces = PENALTY.split(text)
    return {"kind": kind, "severity": severity, "parts": [(number % 2, words) for number, words in enumerate(pieces) if words]}


def wary(rows):
    """What to be wary of: [{mark, words}], [] when every cell is simply measured. The worst mark of a cell counts."""
    cells = {}
    for row in rows:
        cells.setdefault((row["host"], row["cell"]), set()).update(layout.marks(row))
    counts = {mark: sum(mark in marks for marks in cells.values()) for mark in layout.MARKS}
    return [{"mark": mark, "words": f"{count} of {layout.counted(len(cells), 'cell')}", "meaning": layout.MARKS[mark]}
            for mark, count in counts.items() if count]


def picture_views(pictures):
    """The pictures that the page does not show as tables: SVG as part of the page."""
    found = []
    for number, picture in enumerate(picture for picture in pictures if picture.kind != drawing.HEATMAP):
        path = next((path for path in picture.paths if path.endswith(".svg")), None)
        if path is None:
            continue
        from . import vector  # knows the colours of the pictures, and with them matplotlib

        name = f"picture-{number}"
        found.append({"id": name, "title": picture.title, "alternative": picture.alternative,
                      "svg": vector.inlined(path, name, picture.title, picture.alternative),
                      "files": [file_view(os.path.basename(path)) for path in picture.paths]})
    return found


def files_of(folder, pictures):
    """What of the folder a reader may want, each with a link that works while the page lies in it."""
    there = set(os.listdir(folder))
    found = [{**file_view(name), "words": words} for name, words in FILES.items() if name in there]
    for picture in pictures:
        found += [{**file_view(os.path.basename(path)), "words": picture.title} for path in picture.paths]
    return found


def file_view(name):
    return {"name": name, "link": "./" + quote(name)}
