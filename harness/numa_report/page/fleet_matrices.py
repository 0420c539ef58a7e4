"""Every host's matrix as numbers for the page's script, which draws them small: one scale for all hosts of a quantity."""

from numa_sweep import odd_hosts

from .. import layout
from . import colours, details, heat

MOST_FIGURES = 1_500_000  # in the page, of some 6 letters each; what is beyond them is left to the hosts' own pages
FULL_Z = 10  # robust standard deviations that the colours by distance span


def of_fleet(fleet, order):
    """{quantities, panels, groups, colours, left_out} of a fleet that was read; order: its hosts, the worst first.

    A panel is one variant of one quantity; a group is the hosts of one CPU model. In a group each panel has its rows,
    columns and cells, [row, column, name, the hosts' median, sigma and limit (odd_hosts.Usual)], and for each host the
    cells' values. Figures are in the metric's own unit; what is drawn of them is in the quantity's.
    """
    rows = [row for cells in fleet.cells.values() for row in cells.values()]
    values = values_of(fleet)
    names = {quantity: layout.varying(of_one) for quantity, of_one in layout.figures(rows).items()}
    quantities = {quantity: quantity_view(quantity, of_one, values[quantity])
                  for quantity, of_one in layout.figures(rows).items() if values.get(quantity)}
    panels, groups, left_out, room = {}, [], set(), MOST_FIGURES
    hosts_of = fleet.judged.medians.hosts
    by_size = sorted(fleet.cells, key=lambda model: -len(hosts_of[model]))
    for model in by_size:
        hosts = [number for number, host in enumerate(order) if host in hosts_of[model]]
        groups.append({"model": layout.shortened(model, 100), "hosts": hosts, "panels": {}})
    for quantity in sorted(quantities, key=lambda quantity: quantity[1] != "load_latency"):
        titles = dict.fromkeys(layout.panel_title(row, names[quantity]) for row in rows if quantity_of(row) == quantity)
        for title in titles:
            parts = [(group, [(key, row) for key, row in fleet.cells[model].items() if quantity_of(row) == quantity
                              and layout.panel_title(row, names[quantity]) == title])
                     for group, model in zip(groups, by_size)]
            size = sum(len(group["hosts"]) * len(cells) for group, cells in parts)
            if size > room:
                left_out.add(f"{quantities[quantity]['title']}, {title}" if title else quantities[quantity]["title"])
                continue
            room -= size
            number = panels.setdefault((quantity, title), len(panels))
            for (group, cells), model in zip(parts, by_size):
                if cells:
                    group["panels"][number] = panel_view(fleet, model, cells, [order[host] for host in group["hosts"]])
    shown = list(dict.fromkeys(quantity for quantity, _ in panels))
    return {
        "colours": [colour for colour, _ in colours.steps()],
        "quantities": [quantities[quantity] for quantity in shown],
        "panels": [{"quantity": shown.index(quantity), "title": layout.shortened(title, 120)} for quantity, title in panels],
        "groups": groups, "left_out": sorted(left_out),
    }


def quantity_of(row):
    return row["bench"], row["metric"]


def values_of(fleet):
    """{(bench, metric): every host's value in every cell}"""
    found = {}
    for cells in fleet.judged.medians.of_model.values():
        for (bench, metric, _, _), of_hosts in cells.items():
            found.setdefault((bench, metric), []).extend(value for value in of_hosts.values() if value is not None)
    return found


def quantity_view(quantity, rows, values):
    ends = [{**rows[0], "median": value} for value in (min(values), max(values))]
    size, unit = layout.unit_of(ends)
    scaled = heat.value_scale(layout.readable(ends))
    better = layout.better_words(rows[0])
    return {"title": layout.shortened(layout.title(*quantity), 80), "unit": unit, "size": size,
            "low": scaled.low, "high": scaled.high, "reversed": scaled.higher_is_better,
            "legend": heat.legend(scaled, "value", f"{unit}, {better}")}


def panel_view(fleet, model, cells, hosts):
    """cells: [(key of odd_hosts.Medians, the cell's row)] of one panel."""
    rows = [row for _, row in cells]
    places, columns = layout.places(rows), layout.columns(rows)
    at_row, at_column = ({name: number for number, name in enumerate(names)} for names in (places, columns))
    medians = fleet.judged.medians.of_model[model]
    known = [medians.get(key, {}) for key, _ in cells]
    usual = [odd_hosts.usual(of_hosts) for of_hosts in known]
    return {
        "rows": [f"CPU node {layout.shortened(words, 60)}" for words in places.values()],
        "columns": [layout.shortened(f"memory node {name}" if isinstance(name, int) else name, 60) for name in columns],
        "cells": [[at_row[layout.place(row)], at_column[layout.column(row)], layout.shortened(row["cell"], 120),
                   *(usual or (None, None, None))] for row, usual in zip(rows, usual)],
        "values": [[None if of_hosts.get(host) is None else details.short(of_hosts[host]) for of_hosts in known]
                   for host in hosts],
        "marks": [[at, number, fleet.marks[host, key]] for at, host in enumerate(hosts)
                  for number, (key, _) in enumerate(cells) if (host, key) in fleet.marks],
        "absent": [[at, number] for at, host in enumerate(hosts) for number, of_hosts in enumerate(known)
                   if host not in of_hosts],
    }
