"""Heatmaps of a matrix: one for each bench and metric, one for all penalties; its panels share a colour scale."""

import math
import re
from dataclasses import dataclass
from functools import partial
from typing import Callable

from matplotlib import cm
from matplotlib.colors import Normalize
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from . import cells, layout, picture
from .cells import HATCHES, LINE_SPACING, NO_VALUE_COLOUR
from .picture import GREY, INK, letter_in
from .pictures import HEATMAP
from .schema import BENCHES, HIGHER, RESOURCES, is_main

SHAPE = 1.6  # width over height that panels are arranged for: a page's or a screen's
TITLE_PT, LABEL_PT = 11, 9
LEAST_PENALTY_SPAN = 2.0  # that the colours of penalties reach to, so that small ones look small

MARKS = {mark: (HATCHES[mark], meaning) for mark, meaning in layout.MARKS.items()}  # mark: (hatch, the legend's words)


@dataclass
class Quantity:
    """What a heatmap shows of its rows."""

    heading: str
    details: str
    scale_words: str  # what the colours say, below their unit
    panels: dict  # as layout.panels
    scale: object  # a ScalarMappable, None where nothing was measured
    value: Callable  # of a row; None where there is none
    words: Callable  # of a value
    notes: Callable  # [(words, rank in cells.SIZES)] below the value of a row


class Geometry:
    """Sizes in inches and points, from what is written in the cells, the panels' titles and the other words."""

    def __init__(self, quantity, columns, places, without_cpus, min_width):
        panels = len(quantity.panels)
        rows = len(places)
        self.dense = cells.is_dense(len(columns), rows)
        self.points = cells.points(len(columns), rows)
        self.lines = {id(row): self.lines_of(row, quantity) for panel in quantity.panels.values()
                      for of_place in panel.values() for row in of_place.values()}
        self.cell_w, self.cell_h = self.cell_size()
        scale_letters = max(map(len, map(quantity.words, quantity.scale.get_clim()))) if quantity.scale else 0
        self.left, self.right, self.top, self.gap = 1.25, 1 + 0.075 * max(scale_letters, 4), 0.85, 0.4
        self.panel_w, self.panel_h = len(columns) * self.cell_w, rows * self.cell_h
        self.titles = [in_lines(title, "(?<= · )", (self.panel_w + self.gap) / letter_in(TITLE_PT))
                       for title in quantity.panels]
        self.label_pt = cells.DENSE_PT if self.dense else LABEL_PT
        no_cpus = "\n(no\nCPUs)" if self.dense else "\n(no CPUs)"
        self.column_names = [in_lines(str(name), "(?<=[:,])", self.cell_w / letter_in(self.label_pt))
                             + (no_cpus if name in without_cpus else "") for name in columns]
        self.panel_title = 0.18 * most_lines(self.titles) + (0.17 if any(quantity.panels) else 0)
        self.below = 0.4 + 0.15 * most_lines(self.column_names)
        evenly = {-(-panels // bands) for bands in range(1, panels + 1)}
        self.per_band = min(sorted(evenly), key=lambda count: self.distance_from_shape(count, panels))
        self.panels_w, self.panels_h = self.extent(self.per_band, panels)
        self.width = max(self.left + self.panels_w + self.right, min_width)

    def cell_size(self):
        """Room for the words of the fullest cell."""
        wide = max((len(words) * letter_in(points) for lines in self.lines.values() for words, points in lines),
                   default=0)
        high = max(sum(LINE_SPACING * points / 72 for _, points in lines) for lines in self.lines.values())
        return cells.size(wide, high, self.dense)

    def lines_of(self, row, quantity):
        """[(words, points)] of a cell."""
        value = quantity.value(row)
        if self.dense:
            words = [] if value is None else [quantity.words(value)]
            return [(" ".join(words + [cells.LETTERS[mark] for mark in layout.marks(row)[:1]]), self.points[0])]
        lines = [(quantity.words(value), self.points[0])] if value is not None else []
        lines += [(words, self.points[rank]) for words, rank in quantity.notes(row)]
        return lines + [(word, self.points[2]) for word in layout.marks(row)]

    def extent(self, per_band, panels):
        return (per_band * (self.panel_w + self.gap) - self.gap,
                -(-panels // per_band) * (self.panel_title + self.panel_h + self.below))

    def distance_from_shape(self, per_band, panels):
        width, height = self.extent(per_band, panels)
        return abs(math.log((self.left + width + self.right) / (self.top + height) / SHAPE))

    def panel_at(self, index):
        """Left and top of a panel."""
        band, column = divmod(index, self.per_band)
        return (self.left + column * (self.panel_w + self.gap),
                self.top + band * (self.panel_title + self.panel_h + self.below) + self.panel_title)


def in_lines(words, breaks, letters):
    """The words in lines of at most so many letters, broken where the expression matches; each line fits."""
    lines = [""]
    for piece in re.split(breaks, layout.shortened(words, 80)):
        if lines[-1] and len(lines[-1] + piece.rstrip(" ·")) > letters:
            lines.append("")
        lines[-1] += piece
    return "\n".join(layout.shortened(line.strip(" ·"), max(3, int(letters))) for line in lines)


def most_lines(texts):
    return max(text.count("\n") + 1 if text else 0 for text in texts)


def drawings(run):
    """A heatmap for each bench and metric (NAME-metric where a bench has several), then one of all penalties."""
    parts = {name: part for name, part in layout.figures(run.rows).items() if is_main(name[1])}
    benches = [bench for bench, _ in parts]
    for (bench, metric), part in parts.items():
        if any(row["median"] is not None for row in part) or len(parts) == 1:
            name = picture.file_name(*([bench] if benches.count(bench) == 1 else [bench, metric]))
            yield picture.Drawing(name, HEATMAP, layout.title(bench, metric), value_alternative(part),
                                  partial(draw, part, run.environment))
    parts = {name: part for name, part in parts.items() if any(row["penalty"] is not None for row in part)}
    rows = [row for part in parts.values() for row in part]
    if any(is_penalised(row) for row in rows):
        yield picture.Drawing("penalty", HEATMAP, "Penalty over local memory", penalty_alternative(rows),
                              partial(draw_penalties, rows, run.environment))


def is_penalised(row):
    return row["penalty"] is not None and layout.column(row) != row["cpu_node"]


def draw(rows, environment):
    """The page of one bench and metric."""
    scale_of_unit, _ = layout.unit_of(rows)
    rows = layout.readable(rows)
    first = rows[0]

    def notes(row):
        penalty = [] if row["penalty"] is None else [(layout.penalty_words(row["penalty"]), 1)]
        words = layout.interval_words(row, scale_of_unit)
        return ([(words, 2)] if words else []) + penalty

    return draw_quantity(rows, environment, Quantity(
        f"{layout.title(first['bench'], first['metric'])} ({first['unit']})", layout.machine_words(rows, environment),
        f"{first['unit']}\n{layout.better_words(first)}", layout.panels(rows), colour_scale(rows),
        lambda row: row["median"], layout.value_words, notes))


def draw_penalties(rows, environment):
    """The page of all penalties, a panel for each of the values' ones."""
    panels = {}
    for (bench, metric), part in layout.figures(rows).items():
        for name, panel in layout.panels(part).items():
            own = RESOURCES[metric].title.lower() if metric in RESOURCES else metric
            words = [bench, "" if bench in BENCHES else own, "" if (bench, name) == ("latency", "random") else name]
            panels[" · ".join(filter(None, words))] = panel
    scale = cm.ScalarMappable(Normalize(*penalty_range(rows)), cm.cividis)
    dense = cells.is_dense(len(layout.columns(rows)), len(layout.places(rows)))
    return draw_quantity(rows, environment, Quantity(
        "Penalty over local memory", layout.machine_words(rows, environment), "times the local cell\nlower is better",
        panels, scale, lambda row: row["penalty"], layout.value_words if dense else layout.penalty_words,
        lambda row: [("not known", 2)] if row["penalty"] is None else []))


def penalty_range(rows):
    penalties = [row["penalty"] for row in rows if row["penalty"] is not None]
    return min([1, *penalties]), max([LEAST_PENALTY_SPAN, *penalties])


def draw_quantity(rows, environment, quantity):
    columns, places = layout.columns(rows), layout.places(rows)
    heading = layout.shortened(f"{quantity.heading} on {layout.host_words(rows)}", 100)
    details = layout.shortened(quantity.details, 180)
    size = Geometry(quantity, columns, places, nodes_without("cpus", environment),
                    0.5 + max(0.125 * len(heading), 0.078 * len(details)))
    handles = legend_handles(rows, size.dense)
    page = picture.Page(size.width, size.top + size.panels_h + 0.24 * len(handles) + 0.2, heading, details)
    without_memory = nodes_without("has_memory", environment)
    for index, (title, panel) in enumerate(zip(size.titles, quantity.panels.values())):
        axes = page.axes(*size.panel_at(index), size.panel_w, size.panel_h)
        draw_panel(axes, panel, places, columns, quantity, size)
        axes.set_title(title, fontsize=TITLE_PT, color=INK, pad=6)
        axes.set_xticks(range(len(columns)))
        axes.set_xticklabels(size.column_names, fontsize=size.label_pt)
        axes.set_xlabel("memory node" if isinstance(columns[-1], int) else "memory node, or policy", fontsize=9.5)
        axes.set_yticks(range(len(places)))
        if index % size.per_band:
            axes.tick_params(labelleft=False)
        else:
            axes.set_yticklabels([row_words(place, words, without_memory, size.dense)
                                  for place, words in places.items()], fontsize=size.label_pt)
            axes.set_ylabel("CPU node", fontsize=9.5)
    if quantity.scale is not None:
        draw_scale(page, quantity, size)
    if handles:
        page.figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.2 / page.width, 0.08 / page.height),
                           ncol=1, fontsize=8.5, frameon=False, handlelength=2.2, handleheight=1.1, labelspacing=0.45)
    return page


def row_words(place, words, without_memory, dense):
    words += ", no memory" if place[0] in without_memory else ""
    return words if dense else words.replace(", ", ",\n")


def colour_scale(rows):
    """Colours from the best value to the worst, in cividis: dark is good, yellow costs, in all figures."""
    limits = layout.colour_range(rows)
    return limits and cm.ScalarMappable(Normalize(*limits), cm.cividis_r if rows[0]["better"] == HIGHER else cm.cividis)


def draw_scale(page, quantity, size):
    left, top = size.left + size.panels_w + 0.3, size.panel_at(0)[1]
    axes = page.axes(left, top, 0.16, min(size.panel_h, 8))
    bar = page.figure.colorbar(quantity.scale, cax=axes,
                               format=FuncFormatter(lambda value, _: quantity.words(abs(value))))
    bar.set_label(quantity.scale_words, fontsize=8, linespacing=1.3)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_linewidth(0.5)


def nodes_without(what, environment):
    """The nodes of which environment.json says that they have no `cpus`, or no memory (`has_memory`)."""
    try:
        return {node["id"] for node in environment["topology"]["nodes"] if node.get(what) in ("", False)}
    except (KeyError, TypeError, AttributeError):
        return set()


def draw_panel(axes, panel, places, columns, quantity, size):
    found = [(x, y, panel.get(place, {}).get(name), place[0] == name)
             for y, place in enumerate(places) for x, name in enumerate(columns)]
    there = [cell for cell in found if cell[2] is not None]
    colours = cells.colours_of([quantity.value(row) for _, _, row, _ in there], quantity.scale)
    drawn = [cells.Cell(x, y, size.lines[id(row)], colour, layout.marks(row)[:1], local)
             for (x, y, row, local), colour in zip(there, colours)]
    lettering = cells.draw(axes, drawn, len(columns), len(places), size)
    for x, y, row, _ in found:
        if row is None:
            lettering.write(x, y, "–" if size.dense else "not in the plan", size.points[2] - 0.5, GREY)


def legend_handles(rows, dense):
    present = {word for row in rows for word in layout.marks(row)}
    handles = []
    if any(row["cpu_node"] == layout.column(row) for row in rows):
        handles.append(Patch(facecolor="none", edgecolor=INK, linewidth=1.1,
                             label="local memory, which penalties are over"))
    handles.extend(Patch(facecolor=NO_VALUE_COLOUR, edgecolor=GREY, hatch=None if dense else hatch, linewidth=0,
                         label=f"{cells.LETTERS[word]}, and a corner: {label}" if dense else label)
                   for word, (hatch, label) in MARKS.items() if word in present)
    return handles


def size_words(rows):
    """`2 CPU nodes by 3 memory nodes`"""
    columns = layout.columns(rows)
    nodes = sum(isinstance(name, int) for name in columns)
    words = [layout.counted(nodes, "memory node")] if nodes else []
    policies = len(columns) - nodes
    words += [f"{policies} polic{'y' if policies == 1 else 'ies'}"] if policies else []
    return f"{layout.counted(len({row['cpu_node'] for row in rows}), 'CPU node')} by {' and '.join(words)}"


def cell_words(row):
    """Where a value is of: `triad, CPU node 0 to memory node 1`"""
    variant = "" if row["variant"] == "command" or row["bench"] == "latency" else f"{row['variant']}, "
    target = layout.column(row)
    return layout.shortened(f"{variant}CPU node {row['cpu_node']} to "
                            + (f"memory node {target}" if isinstance(target, int) else str(target)), 100)


def value_alternative(rows):
    readable = [row for row in layout.readable(rows) if row["median"] is not None]
    words = f"{size_words(rows)}."
    if not readable:
        return f"{words} Nothing was measured."
    local = [row["median"] for row in readable if layout.column(row) == row["cpu_node"]]
    others = [row["median"] for row in readable if layout.column(row) != row["cpu_node"]]
    worst = (min if rows[0]["better"] == HIGHER else max)(readable, key=lambda row: row["median"])
    parts = [f"{name} cells {picture.span_words(values, worst['unit'])}" for name, values in
             (("local", local), ("other", others)) if values]
    told = " and ".join(parts)
    return f"{words} {told[0].upper()}{told[1:]}; worst: {cell_words(worst)}." + marks_words(rows)


def penalty_alternative(rows):
    remote = [row for row in rows if is_penalised(row)]
    worst = max(remote, key=lambda row: row["penalty"])
    least = layout.penalty_words(min(row["penalty"] for row in remote))
    most, title = layout.penalty_words(worst["penalty"]), layout.title(worst["bench"], worst["metric"])
    span = most if least == most else f"{least} to {most}"
    return (f"{size_words(rows)}. Other than local memory costs {span} of local memory's; most in "
            f"{title[0].lower()}{title[1:]}: {cell_words(worst)}." + marks_words(rows))


def marks_words(rows):
    counts = {mark: sum(mark in layout.marks(row) for row in rows) for mark in MARKS}
    told = [layout.counted(count, mark) if mark == "outlier" else f"{count} {mark}"
            for mark, count in counts.items() if count]
    return f" Of {layout.counted(len(rows), 'cell')}: {', '.join(told)}." if told else ""
