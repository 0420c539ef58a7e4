"""What all pictures share: the theme, a page with its heading and notes, words for conditions, and the files."""

import io
import logging
import math
import re
import warnings
from dataclasses import dataclass
from typing import Callable

# On import matplotlib would say each time that HOME cannot be written; it goes on in a temporary folder.
logging.getLogger("matplotlib").setLevel(logging.ERROR)

import matplotlib  # noqa: E402

# The theme: a page that inlines a picture gives each of these colours the value it has there, in the dark too. So what
# is written on a measured cell, whose colour stays, has none of them but INKS.
THEME = {"ink": "#111111", "paper": "#ffffff", "details": "#444444", "grey": "#555555", "pale": "#dddddd",
         "nothing": "#eeeeee"}
INK, PAPER, DETAILS, GREY, PALE, NOTHING = THEME.values()
INKS = {True: "#010101", False: "#fefefe"}  # on pale colours, and on dark ones; SVG leaves #000000 to the page
# Okabe and Ito's colours for every kind of colour vision (jfly.uni-koeln.de/color, 2008), without the two palest;
# with the markers they make 42 lines that differ.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = "os^DvP*"

NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")

warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name in letters the font lacks is drawn as boxes
matplotlib.use("Agg")
matplotlib.rcParams.update({
    "svg.fonttype": "none",  # text stays text: searchable, and the same in every viewer
    "svg.hashsalt": "numa_alloc",  # the same data give the same file
    "text.parse_math": False,  # a $ in a name is a $
    "font.family": "DejaVu Sans",
    # Said in every element, for the sake of the dark theme.
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    "hatch.linewidth": 0.6,
})

from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from . import layout  # noqa: E402
from .errors import whole_file  # noqa: E402
from .singles import LINE  # noqa: E402

PNG_DPI = 200  # twice matplotlib's own 100
MOST_PIXELS_A_SIDE = 65_000  # matplotlib draws less than 2^16
MOST_PIXELS = 30_000_000  # of 4 bytes in memory, and a second to write; the SVG beside it stays sharp
PNG_COMPRESSION = 3  # zlib's; from 6, its default, on it takes twice as long for a tenth less
HEADING_PT, DETAILS_PT, LABEL_PT, TICK_PT, NOTE_PT = 14, 9.5, 9.5, 9, 8.5
NOTE_IN = 0.2
LETTER_IN = 0.074  # a letter of LABEL_PT, on average
MOST_NAME_LETTERS = 80
MOST_TOLD = 3  # lines of a picture that its text alternative tells of
PAGES = {"base": "base pages", "thp": "transparent huge pages", "2M": "2M huge pages", "1G": "1G huge pages",
         "default": None, "mixed": "pages of several sizes"}


@dataclass
class Drawing:
    """A picture that can be drawn."""

    name: str  # of its files: NAME.png and NAME.svg
    kind: str  # what it shows
    title: str
    alternative: str  # the text alternative: what one sees in it, in a sentence or two
    draw: Callable  # without arguments; gives its Page


class Page:
    """A figure with heading, details and notes around room for axes, which are placed in inches from top left."""

    def __init__(self, width, height, heading, details, notes=()):
        heading, details = layout.shortened(heading, 100), layout.shortened(details, 180)
        self.width = max(width, 0.5 + max(0.125 * len(heading), 0.078 * len(details)),
                         0.5 + 0.064 * max(map(len, notes), default=0))
        self.height = height + NOTE_IN * len(notes) + (0.1 if notes else 0)
        self.figure = Figure(figsize=(self.width, self.height))
        FigureCanvasAgg(self.figure)
        self.write(0.25, 0.34, heading, fontsize=HEADING_PT, fontweight="bold", color=INK)
        self.write(0.25, 0.64, details, fontsize=DETAILS_PT, color=DETAILS)
        for number, note in enumerate(notes):
            self.write(0.25, height + 0.05 + NOTE_IN * number, note, fontsize=NOTE_PT, color=DETAILS)

    def write(self, left, top, words, **style):
        return self.figure.text(left / self.width, 1 - top / self.height, words, va="center", **style)

    def axes(self, left, top, width, height):
        return self.figure.add_axes((left / self.width, 1 - (top + height) / self.height, width / self.width,
                                     height / self.height))

    def save(self, path):
        """Writes the file, PNG or SVG by its ending, whole or not at all."""
        ending = path.rpartition(".")[2]
        options = {"png": {"dpi": png_dpi(self.width, self.height), "pil_kwargs": {"compress_level": PNG_COMPRESSION}},
                   "svg": {"metadata": {"Date": None}}}[ending]
        drawn = io.BytesIO()
        self.figure.savefig(drawn, format=ending, facecolor=PAPER, **options)
        content = drawn.getvalue()
        if ending == "svg":  # names may hold letters that XML has no way to write
            content = NOT_IN_XML.sub("\ufffd", content.decode()).encode()
        with whole_file(path, "wb") as file:
            file.write(content)


def png_dpi(width_in, height_in):
    """Less than PNG_DPI for a figure that would be too large an image."""
    return min(PNG_DPI, MOST_PIXELS_A_SIDE / max(width_in, height_in), math.sqrt(MOST_PIXELS / (width_in * height_in)))


def file_name(*words):
    """A file's name made of words from the data, which may hold anything."""
    return re.sub(r"[^\w.+-]", "_", "-".join(words), flags=re.ASCII).lstrip(".")[:MOST_NAME_LETTERS] or "_"


def ink_on(colour):
    return INKS[layout.is_pale(colour)]


def letter_in(points):
    """Inches that a letter takes, on average; a line of them is rarely wider."""
    return 0.0082 * points


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
        of_node = "" if row["cpu_node"] is None else f" of node {row['cpu_node']}"
        if name == "mem_node":
            return place
        return f"CPU {value}{of_node}" if value is not None else of_node and f"CPUs{of_node}"
    if name == "pages":
        return PAGES.get(value, f"pages {value}") if value else None
    if name == "policy":
        return None if value in ("none", f"bind:{row['mem_node']}") else f"policy {value}"
    if name == "size_bytes":
        return None if value is None else layout.size_words(value)
    if name == "variant":
        return chains_words(value)
    if name == "threads":
        return layout.counted(value, "thread") if (value or 0) > 1 else None
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
    ("placement", "failed", layout.MARKS["misplaced"]),
    ("placement", "unverified", layout.MARKS["unverified"]),
    ("status", "cached", "cached: caches hold part of the memory"),
    ("status", "failed", "failed: the benchmark could not measure it"),
)


def status_notes(figures):
    """A line for each thing that a reader has to know of some figures; figures: the rows of each."""
    counts = [(sum(any(row[column] == value for row in rows) for rows in figures), meaning)
              for column, value, meaning in STATUSES]
    return [f"{meaning}: {count} of {layout.counted(len(figures), 'figure')}" for count, meaning in counts if count]


def percent_words(percent):
    """`+5 %`, `−2.5 %`, `0`"""
    words = f"{percent:+.2g} %" if abs(percent) < 100 else f"{percent:+.0f} %"
    return words.replace("-", "−") if percent else "0"


def span_words(values, unit):
    """`92.4 ns`, or `92.4 to 171 ns` where they differ by what is seen."""
    least, most = layout.value_words(min(values)), layout.value_words(max(values))
    return f"{least} {unit}" if least == most else f"{least} to {most} {unit}"
