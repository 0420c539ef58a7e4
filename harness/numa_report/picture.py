"""What the pictures of single runs share: a page with its heading and notes, words for conditions, and the files."""

import os

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from . import heatmap, layout
from .errors import whole_file
from .singles import LINE

# Okabe and Ito's colours for every kind of colour vision (jfly.uni-koeln.de/color, 2008), without the two palest;
# with the markers they make 42 lines that differ.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^DvP*"
GREY, PALE = "#555555", "#dddddd"
HEADING_PT, DETAILS_PT, LABEL_PT, TICK_PT, NOTE_PT = 14, 9.5, 9.5, 9, 8.5  # as in heatmaps
NOTE_IN = 0.2
LETTER_IN = 0.074  # a letter of LABEL_PT, on average
PAGES = {"base": "base pages", "thp": "transparent huge pages", "2M": "2M huge pages", "1G": "1G huge pages",
         "default": None, "mixed": "pages of several sizes"}


class Page:
    """A figure with heading, details and notes around room for axes, which are placed in inches from top left."""

    def __init__(self, width, height, heading, details, notes):
        heading, details = layout.shortened(heading, 100), layout.shortened(details, 180)
        self.width = max(width, 0.5 + max(0.125 * len(heading), 0.078 * len(details)))
        self.height = height + NOTE_IN * len(notes) + (0.1 if notes else 0)
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)
        self.write(0.25, 0.34, heading, fontsize=HEADING_PT, fontweight="bold", color=heatmap.INK)
        self.write(0.25, 0.64, details, fontsize=DETAILS_PT, color="#444444")
        for number, note in enumerate(notes):
            self.write(0.25, height + 0.05 + NOTE_IN * number, note, fontsize=NOTE_PT, color="#444444")

    def write(self, left, top, words, **style):
        self.figure.text(left / self.width, 1 - top / self.height, words, va="center", **style)

    def axes(self, left, top, width, height):
        return self.figure.add_axes((left / self.width, 1 - (top + height) / self.height, width / self.width,
                                     height / self.height))

    def save(self, folder, name):
        """Writes NAME.png and NAME.svg; returns the paths."""
        paths = []
        for ending, options in (("png", {"dpi": heatmap.png_dpi(self.width, self.height)}),
                                ("svg", {"metadata": {"Date": None}})):
            paths.append(os.path.join(folder, f"{name}.{ending}"))
            with whole_file(paths[-1], "wb") as file:
                self.figure.savefig(file, format=ending, facecolor=heatmap.PAPER, **options)
        return paths


def style_plain(axes):
    """An axes pair with a pale grid, and lines only where the scales are."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.grid(True, which="major", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=TICK_PT, color=GREY)


def condition_words(name, row):
    """One condition of a run for a title or a line's name; None where it says nothing."""
    value = row.get(name)
    if name in ("cpu", "mem_node"):
        place = "memory of " + ("several nodes" if value is None else f"node {value}")
        return place if name == "mem_node" else f"CPU {value}" + ("" if row["cpu_node"] is None
                                                                  else f" of node {row['cpu_node']}")
    if name == "pages":
        return PAGES.get(value, f"pages {value}")
    if name == "policy":
        return None if value in ("none", f"bind:{row['mem_node']}") else f"policy {value}"
    if name == "size_bytes":
        return layout.size_words(value)
    if name == "variant":
        return chains_words(value)
    if name == "threads":
        return layout.counted(value, "thread") if value > 1 else None
    if name == "cpu_node":
        return None  # said with the CPU
    return str(value) if value else None


def chains_words(variant):
    """`random, 4 chains` for bench/latency's random-x4."""
    order, cross, chains = variant.rpartition("-x")
    return f"{order}, {layout.counted(int(chains), 'chain')}" if cross and chains.isdecimal() else f"{variant}, 1 chain"


def differing(rows, names=LINE):
    return [name for name in names if len({row.get(name) for row in rows}) > 1]


def line_name(row, names):
    """What tells a line from the others: the conditions in `names`."""
    words = [condition_words(name, row) for name in names]
    words = [word for word in words if word] or [f"{name} {row.get(name)}" for name in names]
    return layout.shortened(" · ".join(words), 60)


def shared_words(rows, environment, names):
    """CPU model, then the conditions in `names` that all the rows share."""
    different = differing(rows, names)
    words = [environment.get("cpu_model"), *(condition_words(name, rows[0]) for name in names if name not in different)]
    return " · ".join(str(word) for word in words if word)


def heading(title, rows):
    hosts = sorted({row["host"] for row in rows if row["host"]})
    return f"{title} on {', '.join(hosts) or 'an unnamed machine'}"


# What the benchmarks say of a figure: (column, its value, what it means).
STATUSES = (
    ("status", "noisy", "noisy: the interval is wider than asked for"),
    ("placement", "failed", heatmap.MARKS["misplaced"][1]),
    ("placement", "unverified", heatmap.MARKS["unverified"][1]),
    ("status", "cached", "cached: caches hold part of the memory"),
    ("status", "failed", "failed: the benchmark could not measure it"),
)


def status_notes(figures):
    """A line for each thing that a reader has to know of some figures; figures: the rows of each."""
    counts = [(sum(any(row[column] == value for row in rows) for rows in figures), meaning)
              for column, value, meaning in STATUSES]
    return [f"{meaning}: {count} of {layout.counted(len(figures), 'figure')}" for count, meaning in counts if count]
