"""report.html of a fleet: its hosts in a ranking, their matrices side by side, and what makes the odd ones odd."""

import os
import shlex
from collections import Counter
from urllib.parse import quote

from numa_sweep import environment, host_rows, merge, odd_hosts

from .. import layout, page, runs
from ..errors import ReportError
from ..schema import BENCHES
from . import colours, fleet_environments, fleet_hosts, fleet_matrices, fleet_picture, view

MOST_ODD = 40  # hosts of which the cells are listed
MOST_CELLS = 8  # of a host and metric
MOST_COLUMNS = 3  # of local memory
SHAPES = {host_rows.OK: "", host_rows.FAILED: "✕", host_rows.UNREACHABLE: "○", host_rows.INCOMPLETE: "◐"}
STATUSES = (host_rows.UNREACHABLE, host_rows.FAILED, host_rows.INCOMPLETE, host_rows.OK)  # the worst first
FILES = {
    "hosts.csv": "one row for each host: status and reason, cells, CPU model, kernel",
    "matrix.csv": "all hosts' cells", "samples.csv": "all hosts' samples",
    "verdict.txt": "what was said when the hosts' results were put together",
    "joblog.tsv": "GNU parallel's log of the hosts", "environment.json": "the options, the hosts, what was sent",
}


def write(folder):
    """Writes the fleet's page, its picture and each host's own page.

    Returns (the verdict's lines, paths, a line for each host whose data are damaged). Raises ReportError where nothing
    can be said of the fleet.
    """
    fleet = fleet_hosts.Fleet(folder)
    fleet.read()
    standings = ranking(fleet)
    picture = fleet_picture.draw(fleet, standings)
    path = os.path.join(folder, page.FILE)
    page.save(path, "fleet.html.j2", of_fleet(fleet, standings, picture))
    pages = [f"{folder}/{host_rows.HOSTS}/NAME/{page.FILE}: {layout.counted(len(fleet.pages), 'host')}"]
    return fleet.words, [*(picture.paths if picture else ()), path, *(pages if fleet.pages else ())], fleet.errors


class Standing:
    """A host's place among the others: what its figures are against theirs."""

    def __init__(self, row):
        self.row = row
        self.host = row["host"]
        self.odd = []  # odd_hosts.Odd
        self.lacking = None  # odd_hosts.Lacking
        self.compared = self.apart = 0  # cells
        self.farthest = None  # (metric, odd_hosts.Apart) by z, of the odd metrics where there are any

    @property
    def is_odd(self):
        return bool(self.odd or self.lacking)

    @property
    def order(self):
        """Sorts the worst first."""
        return (STATUSES.index(self.row["status"]), not self.odd, not self.lacking, -self.apart,
                -abs(self.farthest[1].z) if self.farthest else 0)


def ranking(fleet):
    """[Standing] of every host, the worst first."""
    standings = {row["host"]: Standing(row) for row in fleet.rows}
    for odd in fleet.judged.odd:
        standings[odd.host].odd.append(odd)
    for lacking in fleet.judged.lacking:
        standings[lacking.host].lacking = lacking
    for _, cells in fleet.judged.medians.models():
        for host, metric, figure, is_apart in odd_hosts.compared(cells):
            standing = standings[host]
            standing.compared += 1
            standing.apart += is_apart
            of_odd = [(odd.bench, odd.metric, odd.unit) for odd in standing.odd]
            if (not of_odd or metric in of_odd) and (
                    standing.farthest is None or abs(figure.z) > abs(standing.farthest[1].z)):
                standing.farthest = metric, figure
    return sorted(standings.values(), key=lambda standing: standing.order)


def of_fleet(fleet, standings, picture):
    """The template's variables."""
    metrics = fleet.judged.local_metrics()[:MOST_COLUMNS]
    local = [fleet.judged.local_medians(metric) for metric in metrics]
    matrices = fleet_matrices.of_fleet(fleet, [standing.host for standing in standings])
    legends = [quantity.pop("legend") for quantity in matrices["quantities"]] + [distance_legend()]
    compared = fleet.compared
    odd = [standing for standing in standings if standing.is_odd]
    differences = fleet_environments.differences(fleet.environments, fleet.judged.models)
    return {
        "title": layout.shortened(fleet.name, 100), "number": len(standings),
        "verdict": [verdict_view(line, fleet) for line in fleet.words],
        "columns": [merge.column_words(metric) for metric in metrics],
        "has_z": any(standing.farthest for standing in standings),
        "ranking": [row_view(standing, fleet, local) for standing in standings],
        "legends": legends, "matrices": matrices,
        "data": {**matrices, "hosts": [host_view(standing, fleet) for standing in standings],
                 "full_z": fleet_matrices.FULL_Z},
        "without_data": [named(standing, fleet) for standing in standings if standing.host not in compared],
        "odd": [odd_view(standing, fleet) for standing in odd[:MOST_ODD]], "more_odd": max(0, len(odd) - MOST_ODD),
        "rule": odd_hosts, "pictures": view.picture_views([picture]) if picture else [],
        "counts": [(name, counts) for name, counts in (("CPU model", counted(fleet.rows, "cpu_model")),
                                                       ("kernel", counted(fleet.rows, "kernel"))) if counts],
        "differences": differences, "described": len(fleet.environments),
        "files": files_of(fleet.folder, picture),
        "again": again(fleet),
        "script_names": ("report.js", "fleet.js"),
    }


def distance_legend():
    """Of the colours by distance from the hosts' median."""
    scale = colours.Scale(0, fleet_matrices.FULL_Z)
    return {"kind": "distance", "words": "|z|, robust standard deviations from the fleet's median", "reversed": False,
            "ticks": [(offset, words + "+" * (offset == 1)) for offset, words in scale.ticks("{:g}".format)],
            "alternative": f"Colours from dark, as the other hosts, to yellow, {fleet_matrices.FULL_Z} robust standard "
                           "deviations and more from their median"}


def verdict_view(line, fleet):
    shown = view.verdict_view(line)
    bad = shown["kind"] in host_rows.STATUSES or shown["kind"] == "misplaced"
    if shown["kind"] == "odd":
        bad = bool(fleet.judged.odd or fleet.judged.lacking) and not line.startswith("odd: not judged: ")
    return {**shown, "severity": "bad" if bad else "figure"}


def named(standing, fleet):
    """A host's name, with the link to its own page where it has one."""
    link = f"./{host_rows.HOSTS}/{quote(os.fsencode(standing.host), safe='')}/{page.FILE}"
    return {"name": layout.shortened(standing.host, 80), "link": link if standing.host in fleet.pages else None}


def row_view(standing, fleet, local):
    """A row of the ranking; its figures are (value to sort by, words), None where there is none."""
    row, worst = standing.row, fleet.judged.worst.get(standing.host)
    figures = [medians.get(standing.host) for medians in local]
    return {
        **named(standing, fleet), "status": row["status"], "shape": SHAPES[row["status"]], "odd": standing.is_odd,
        "model": layout.shortened(row["cpu_model"], 80),
        "figures": [None if value is None else (f"{value:.6g}", layout.value_words(value)) for value in figures]
                   + [None if worst is None else (f"{worst:.6g}", layout.penalty_words(worst))],
        "z": z_view(standing), "apart": standing.apart, "compared": standing.compared,
        "said": said_of(standing),
    }


def z_view(standing):
    """(|z| to sort by, z in words, of which metric) of the farthest cell."""
    if standing.farthest is None:
        return None
    (bench, metric, _), figure = standing.farthest
    return f"{abs(figure.z):.4g}", z_words(figure.z), short_name(bench, metric)


def short_name(bench, metric):
    return layout.shortened(bench if bench in BENCHES else f"{bench}, {metric}", 40)


def z_words(z):
    return f"{z:+.1f}".replace("-", "−")


def said_of(standing):
    """Why a host is not ok, and what makes it odd, in a few words."""
    words = [standing.row["reason"]] if standing.row["reason"] else []
    words += [f"{short_name(odd.bench, odd.metric)} {100 * abs(odd.deviation):.0f} % {odd.direction} the median"
             for odd in standing.odd]
    if standing.lacking:
        words.append(f"lacks {standing.lacking.lacking} of {layout.counted(standing.lacking.cells, 'cell')}")
    return layout.shortened("; ".join(words), 300)


def host_view(standing, fleet):
    """What the script says of a host."""
    return {**named(standing, fleet), "status": standing.row["status"], "odd": standing.is_odd, "said": said_of(standing),
            "apart": standing.apart, "compared": standing.compared}


def odd_view(standing, fleet):
    """An odd host with the cells that make it odd."""
    lacking = standing.lacking
    return {**named(standing, fleet), "model": layout.shortened(standing.row["cpu_model"], 80), "metrics": [{
        "words": odd_hosts.metric_words(odd).partition(" (worst")[0], "unit": odd.unit,
        "cells": [(layout.shortened(cell.cell, 120), layout.value_words(cell.value), layout.value_words(cell.median),
                   f"{100 * cell.deviation:+.0f} %".replace("-", "−"), z_words(cell.z)) for cell in odd.apart[:MOST_CELLS]],
        "more": max(0, len(odd.apart) - MOST_CELLS)} for odd in standing.odd],
        "lacking": odd_hosts.lacking_words(lacking).partition(f"{lacking.host}: ")[2] if lacking else ""}


def counted(rows, column):
    """[(a value of a column of hosts.csv, how many hosts have it)], the most frequent first."""
    return [(layout.shortened(value, 100), count) for value, count in Counter(row[column] for row in rows).most_common()
            if value]


def again(fleet):
    """Commands that make the page anew, and that sweep the hosts that are not ok, where it was a sweep of hosts."""
    folder = os.path.abspath(fleet.folder)
    words = [shlex.join(["harness/plot.py", folder])]
    try:
        described = environment.load(folder)
    except ReportError:
        described = {}
    if described and any(row["status"] != host_rows.OK for row in fleet.rows):
        words.append(runs.resume_command(folder))
    return words


def files_of(folder, picture):
    found = [{**view.file_view(name), "words": words} for name, words in FILES.items()
             if os.path.exists(os.path.join(folder, name))]
    return found + [{**view.file_view(os.path.basename(path)), "words": picture.title}
                    for path in (picture.paths if picture else ())]
