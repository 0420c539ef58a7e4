"""Heatmaps of a matrix: one figure for each bench, a panel for each variant, all panels on one colour scale."""

import logging
import math
import os
import re

# On import matplotlib would say each time that HOME cannot be written; it goes on in a temporary folder.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib  # noqa: E402

INK, PAPER = "#111111", "#ffffff"

matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.fonttype": "none",  # text stays text: searchable, and the same in every viewer
    "svg.hashsalt": "numa_alloc",  # the same data give the same file
    "text.parse_math": False,  # a $ in a name is a $
    "font.family": "DejaVu Sans",
    # Said in every element: a page that inlines a picture gives these colours another value in its dark theme.
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "hatch.linewidth": 0.6,
})

from matplotlib import cm  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.colors import Normalize  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Patch, Rectangle  # noqa: E402
from matplotlib.ticker import FuncFormatter  # noqa: E402

from . import layout  # noqa: E402
from .errors import whole_file  # noqa: E402
from .schema import HIGHER, is_main  # noqa: E402

PNG_DPI = 200  # twice matplotlib's own 100
MOST_PIXELS_A_SIDE = 65_000  # matplotlib draws less than 2^16
MOST_PIXELS = 100_000_000  # of 4 bytes in memory; the SVG beside it stays sharp
NO_VALUE_COLOUR = "#d9d9d9"
SHAPE = 1.6  # width over height that panels are arranged for: a page's or a screen's
TITLE_PT, LABEL_PT = 11, 9

HATCHES = {"noisy": "....", "misplaced": "////", "failed": "xxxx", "skipped": "\\\\\\\\", "unverified": "----", "outlier": "oo"}
MARKS = {mark: (HATCHES[mark], meaning) for mark, meaning in layout.MARKS.items()}  # mark: (hatch, the legend's words)


class Geometry:
    """Sizes in inches and points, from the number of rows and columns, the panels' titles and the other words."""

    def __init__(self, rows, columns, no_cpus, titles, scale_letters, min_width):
        panels = len(titles)
        dense = max(rows, len(columns))
        self.one_line = rows > 16
        self.cell_w, self.cell_h = (1.2, 0.9) if dense <= 3 else (1.05, 0.78) if dense <= 5 else (0.86, 0.62)
        self.value_pt, self.small_pt = (13, 9) if dense <= 3 else (11, 8) if dense <= 5 else (9, 6.5)
        if self.one_line:
            self.cell_w, self.cell_h, self.value_pt = 1.1, 0.26, 7.5
        self.left, self.right, self.top, self.gap = 1.25, 1 + 0.075 * max(scale_letters, 4), 0.85, 0.4
        self.panel_w, self.panel_h = len(columns) * self.cell_w, rows * self.cell_h
        self.titles = [in_lines(title, "(?<= · )", (self.panel_w + self.gap) / letter_in(TITLE_PT)) for title in titles]
        self.column_names = [in_lines(str(name), "(?<=[:,])", self.cell_w / letter_in(LABEL_PT))
                             + ("\n(no CPUs)" if name in no_cpus else "") for name in columns]
        self.panel_title = 0.18 * most_lines(self.titles) + (0.17 if any(titles) else 0)
        self.below = 0.4 + 0.15 * most_lines(self.column_names)
        evenly = {-(-panels // bands) for bands in range(1, panels + 1)}
        self.per_band = min(sorted(evenly), key=lambda count: self.distance_from_shape(count, panels))
        self.panels_w, self.panels_h = self.extent(self.per_band, panels)
        self.width = max(self.left + self.panels_w + self.right, min_width)

    def extent(self, per_band, panels):
        return (per_band * (self.panel_w + self.gap) - self.gap,
                -(-panels // per_band) * (self.panel_title + self.panel_h + self.below))

    def distance_from_shape(self, per_band, panels):
        width, height = self.extent(per_band, panels)
        return abs(math.log((self.left + width + self.right) / (self.top + height) / SHAPE))

    def panel_box(self, index, height):
        """Left, bottom, width, height of a panel as fractions of a figure that is `height` inches high."""
        band, column = divmod(index, self.per_band)
        left = self.left + column * (self.panel_w + self.gap)
        top = self.top + band * (self.panel_title + self.panel_h + self.below) + self.panel_title
        return (left / self.width, 1 - (top + self.panel_h) / height, self.panel_w / self.width, self.panel_h / height)


def letter_in(points):
    """Inches that a letter takes, on average; a line of them is rarely wider."""
    return 0.0082 * points


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


def draw_all(rows, environment, folder):
    """Writes NAME.png and NAME.svg for each bench (NAME-metric where a bench has several); returns the paths."""
    parts = {name: part for name, part in layout.figures(rows).items() if is_main(name[1])}
    benches = [bench for bench, _ in parts]
    paths = []
    for (bench, metric), part in parts.items():
        if all(row["median"] is None for row in part) and len(parts) > 1:
            continue
        name = bench if benches.count(bench) == 1 else f"{bench}-{metric}"
        figure = draw(part, environment)
        for ending, options in (("png", {"dpi": png_dpi(*figure.get_size_inches())}),
                                ("svg", {"metadata": {"Date": None}})):
            path = os.path.join(folder, f"{name}.{ending}")
            with whole_file(path, "wb") as file:
                figure.savefig(file, format=ending, facecolor=PAPER, **options)
            paths.append(path)
    return paths


def png_dpi(width_in, height_in):
    """Less than PNG_DPI for a figure that would be too large an image."""
    return min(PNG_DPI, MOST_PIXELS_A_SIDE / max(width_in, height_in), math.sqrt(MOST_PIXELS / (width_in * height_in)))


def draw(rows, environment):
    """The figure of one bench and metric."""
    rows = layout.readable(rows)
    first = rows[0]
    panels, columns, places = layout.panels(rows), layout.columns(rows), layout.places(rows)
    heading = layout.shortened(f"{layout.title(first['bench'], first['metric'])} ({first['unit']}) on "
                               + layout.host_words(rows), 100)
    details = layout.shortened(layout.machine_words(rows, environment), 180)
    scale = colour_scale(rows)
    size = Geometry(len(places), columns, nodes_without_cpus(environment), list(panels),
                    max(map(len, map(layout.value_words, scale.get_clim()))) if scale else 0,
                    0.5 + max(0.125 * len(heading), 0.078 * len(details)))
    handles = legend_handles(rows)
    height = size.top + size.panels_h + 0.24 * len(handles) + 0.2
    figure = Figure(figsize=(size.width, height))
    FigureCanvasAgg(figure)
    figure.text(0.25 / size.width, 1 - 0.34 / height, heading, fontsize=14, fontweight="bold", color=INK, va="center")
    figure.text(0.25 / size.width, 1 - 0.64 / height, details, fontsize=9.5, color="#444444", va="center")

    for index, (title, panel) in enumerate(zip(size.titles, panels.values())):
        axes = figure.add_axes(size.panel_box(index, height))
        draw_panel(axes, panel, places, columns, scale, size)
        axes.set_title(title, fontsize=TITLE_PT, color=INK, pad=6)
        axes.set_xticks(range(len(columns)))
        axes.set_xticklabels(size.column_names, fontsize=LABEL_PT)
        axes.set_yticks(range(len(places)))
        axes.set_yticklabels([words if size.one_line else words.replace(", ", ",\n") for words in places.values()],
                             fontsize=7 if size.one_line else LABEL_PT)
        axes.set_xlabel("memory node" if isinstance(columns[-1], int) else "memory node, or policy", fontsize=9.5)
        axes.set_ylabel("CPU node" if index % size.per_band == 0 else "", fontsize=9.5)
        if index % size.per_band:
            axes.tick_params(labelleft=False)
    if scale is not None:
        draw_scale(figure, scale, first, size, height)
    if handles:
        figure.legend(handles=handles, loc="lower left", bbox_to_anchor=(0.2 / size.width, 0.08 / height), ncol=1,
                      fontsize=8.5, frameon=False, handlelength=2.2, handleheight=1.1, labelspacing=0.45)
    return figure


def colour_scale(rows):
    """Colours from the best value to the worst, in cividis: dark is good, yellow costs, in both figures."""
    limits = layout.colour_range(rows)
    return limits and cm.ScalarMappable(Normalize(*limits), cm.cividis_r if rows[0]["better"] == HIGHER else cm.cividis)


def draw_scale(figure, scale, row, size, height):
    left, bottom, _, panel_height = size.panel_box(0, height)
    left = (size.left + size.panels_w + 0.3) / size.width
    axes = figure.add_axes((left, bottom, 0.16 / size.width, panel_height))
    bar = figure.colorbar(scale, cax=axes, format=FuncFormatter(lambda value, _: layout.value_words(abs(value))))
    bar.set_label(f"{row['unit']}\n{layout.better_words(row)}", fontsize=8, linespacing=1.3)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_linewidth(0.5)


def nodes_without_cpus(environment):
    try:
        return {node["id"] for node in environment["topology"]["nodes"] if not node["cpus"]}
    except (KeyError, TypeError):
        return set()


def draw_panel(axes, panel, places, columns, scale, size):
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    for y, place in enumerate(places):
        for x, name in enumerate(columns):
            draw_cell(axes, x, y, panel.get(place, {}).get(name), place[0] == name, scale, size)


def draw_cell(axes, x, y, row, local, scale, size):
    if row is None:
        axes.text(x, y, "not in the plan", ha="center", va="center", fontsize=size.small_pt - 1, color="#777777")
        return
    colour = scale.to_rgba(row["median"]) if row["median"] is not None else matplotlib.colors.to_rgba(NO_VALUE_COLOUR)
    ink = ink_on(colour)
    axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour, edgecolor=PAPER, linewidth=1.5))
    words = layout.marks(row)
    if words:
        axes.add_patch(inner(x, y, 0.012, size, fill=False, hatch=MARKS[words[0]][0], linewidth=0,
                             edgecolor=(*matplotlib.colors.to_rgb(ink), 0.55)))
    if local:
        axes.add_patch(inner(x, y, 0.05, size, fill=False, edgecolor=ink, linewidth=1.1))
    lines = [(layout.value_words(row["median"]), size.value_pt)] if row["median"] is not None else []
    if row["penalty"] is not None:
        lines.append((layout.penalty_words(row["penalty"]), size.small_pt))
    lines.extend((word, size.small_pt) for word in words)
    write_lines(axes, x, y, lines, ink, colour, size)


def inner(x, y, inset_in, size, **style):
    """A rectangle that many inches inside the cell's edges."""
    dx, dy = inset_in / size.cell_w, inset_in / size.cell_h
    return Rectangle((x - 0.5 + dx, y - 0.5 + dy), 1 - 2 * dx, 1 - 2 * dy, **style)


def write_lines(axes, x, y, lines, ink, colour, size):
    """The lines centred in their cell, on a ground of the cell's colour where a hatch would run through them."""
    ground = {"facecolor": colour, "edgecolor": "none", "pad": 0.8}
    if size.one_line:
        lines = [("  ".join(words for words, _ in lines), size.value_pt)]
    row_in = [1.3 * points / 72 for _, points in lines]
    at = -sum(row_in) / 2
    for (words, points), line_in in zip(lines, row_in):
        axes.text(x, y + (at + line_in / 2) / size.cell_h, words, ha="center", va="center", fontsize=points, color=ink,
                  bbox=ground)
        at += line_in


def ink_on(colour):
    return INK if layout.is_pale(colour) else PAPER


def legend_handles(rows):
    present = {word for row in rows for word in layout.marks(row)}
    handles = []
    if any(row["cpu_node"] == layout.column(row) for row in rows):
        handles.append(Patch(facecolor="none", edgecolor=INK, linewidth=1.1,
                             label="local memory, which penalties are over"))
    handles.extend(Patch(facecolor=NO_VALUE_COLOUR, edgecolor="#555555", hatch=hatch, linewidth=0, label=label)
                   for word, (hatch, label) in MARKS.items() if word in present)
    return handles
