"""The matrix as tables of coloured cells: one for each panel of a figure, as layout.py arranges them."""

import re

from .. import layout
from ..schema import HIGHER, RESOURCES, is_main
from . import colours

DENSE = 12  # more rows or columns than this get compact cells


def quantities(run, index_of):
    """The figures of the matrix in the order of the report; index_of: {id(row): its number in the page's data}."""
    found = []
    for (bench, metric), rows in layout.figures(run.rows).items():
        if any(row["median"] is not None for row in rows) or is_main(metric):
            found.append(quantity(rows, run.environment, [index_of[id(row)] for row in rows], f"quantity-{len(found)}"))
    return found


def quantity(rows, environment, numbers, name):
    """One bench and metric: its panels, its colours, their legends."""
    scale, _ = layout.unit_of(rows)
    scaled = [{**row, "number": number, "scale": scale} for row, number in zip(layout.readable(rows), numbers)]
    first = scaled[0]
    columns, places = layout.columns(scaled), layout.places(scaled)
    values, penalties = value_scale(scaled), penalty_scale(scaled)
    return {
        "id": name, "title": layout.title(first["bench"], first["metric"]), "unit": first["unit"],
        "main": is_main(first["metric"]), "better": layout.better_words(first),
        "details": layout.machine_words([{**row, "cpu_model": None} for row in rows], {}),
        "short_title": RESOURCES[first["metric"]].title.lower() if first["metric"] in RESOURCES else first["metric"],
        "columns": [column_view(column, environment) for column in columns],
        "dense": max(len(columns), len(places)) > DENSE,
        "panels": [panel_view(title, panel, columns, places, environment, values, penalties)
                   for title, panel in layout.panels(scaled).items()],
        "legends": [legend(scale, kind, words) for kind, scale, words in (
            ("value", values, f"{first['unit']}, {layout.better_words(first)}"),
            ("penalty", penalties, "penalty, times the local cell; lower is better")) if scale],
        "marks": [{"mark": mark, "meaning": meaning} for mark, meaning in layout.MARKS.items()
                  if any(mark in layout.marks(row) for row in rows)],
        "has_local": any(layout.column(row) == row["cpu_node"] for row in rows),
    }


def value_scale(rows):
    limits = layout.colour_range(rows)
    return limits and colours.Scale(*limits, rows[0]["better"] == HIGHER)


def penalty_scale(rows):
    """From no penalty, or from the best there is; to 1.25 at least, as the values'."""
    penalties = [row["penalty"] for row in rows if row["penalty"] is not None]
    return colours.Scale(min(1, *penalties), max(1.25, *penalties)) if penalties else None


def legend(scale, kind, words):
    ticks = scale.ticks(layout.value_words if kind == "value" else layout.penalty_words)
    return {"kind": kind, "words": words, "reversed": scale.higher_is_better, "ticks": ticks,
            "alternative": f"Colours from dark, the best, to yellow, the worst: {ticks[0][1]} to {ticks[-1][1]}, {words}"}


def column_view(column, environment):
    """A memory node's column, or a policy's."""
    if not isinstance(column, int):
        return {"name": re.sub("([:,=])", "\\1\u200b", layout.shortened(column, 80)), "note": ""}  # may break there
    return {"name": column, "note": "no CPUs" if is_without("cpus", column, environment) else ""}


def is_without(what, number, environment):
    """Whether environment.json says that the node has no `cpus`, or no memory (`has_memory`)."""
    try:
        return any(node["id"] == number and node.get(what) in ("", False) for node in environment["topology"]["nodes"])
    except (KeyError, TypeError, AttributeError):
        return False


def panel_view(title, panel, columns, places, environment, values, penalties):
    return {"title": layout.shortened(title, 120), "rows": [{
        "name": layout.shortened(words, 40), "note": "no memory" if is_without("has_memory", place[0], environment) else "",
        "cells": [cell_view(panel.get(place, {}).get(column), place[0] == column, values, penalties) for column in columns],
    } for place, words in places.items()]}


def cell_view(row, local, values, penalties):
    """(class, number in the data, value, interval, penalty, marks) of a cell in words; None for one not in the plan."""
    if row is None:
        return None
    marks = layout.marks(row)
    classes = ["local"] if local else []
    classes += [f"v{values.step(row['median'])}"] if row["median"] is not None else ["none"]
    classes += [f"p{penalties.step(row['penalty'])}"] if row["penalty"] is not None else ["free"]
    classes += marks[:1]
    return (" ".join(classes), row["number"], "" if row["median"] is None else layout.value_words(row["median"]),
            layout.interval_words(row, row["scale"]),
            "" if row["penalty"] is None else layout.penalty_words(row["penalty"]), " ".join(marks))
