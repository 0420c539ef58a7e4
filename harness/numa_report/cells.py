"""The cells of a matrix as a picture has them: coloured, with words, and with a hatch where one is marked."""

import math
from collections import namedtuple

import numpy
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from .lettering import Lettering
from .picture import PAPER, ink_on, letter_in

NO_VALUE_COLOUR = "#d9d9d9"
HATCHES = {"noisy": "....", "misplaced": "////", "failed": "xxxx", "skipped": "\\\\\\\\", "unverified": "----",
           "outlier": "oo"}
DENSE = 256  # cells of a panel; in those of more only the value and the letter of a mark are written
LETTERS = {mark: mark[0] for mark in HATCHES}
DENSE_PT = 7
# Points: of the value, of a line of rank 1 and of rank 2 below it; by the most rows or columns that they are for.
SIZES = ((3, (13, 10, 8)), (5, (11, 9, 7.5)), (math.inf, (9, 7.5, 6.5)))
LINE_SPACING = 1.3
FLAG_IN = 0.06

# lines: [(words, points)]; marks: the one that is hatched, or none; local: whether it is outlined
Cell = namedtuple("Cell", "x y lines colour marks local")


def is_dense(across, down):
    return across * down > DENSE


def points(across, down):
    if is_dense(across, down):
        return (DENSE_PT,) * 3
    return next(points for most, points in SIZES if max(across, down) <= most)


def size(wide, high, dense):
    """Width and height in inches of cells whose words are that wide and high."""
    return (max(0.3, wide + 0.06), 0.17) if dense else (max(0.8, wide + 0.22), max(0.6, high + 0.18))


def colours_of(values, scale):
    """Red, green, blue and alpha of each value."""
    if scale is None:
        return [to_rgba(NO_VALUE_COLOUR)] * len(values)
    found = scale.to_rgba(numpy.array([math.nan if value is None else value for value in values]))
    return [to_rgba(NO_VALUE_COLOUR) if value is None else tuple(colour)
            for value, colour in zip(values, found.tolist())]


def draw(axes, cells, across, down, geometry):
    """Draws the cells; returns the Lettering with their words. geometry: has cell_w, cell_h in inches, and dense."""
    axes.set_xlim(-0.5, across - 0.5)
    axes.set_ylim(down - 0.5, -0.5)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    inks = [ink_on(cell.colour) for cell in cells]
    fill(axes, cells, across, down, geometry)
    if geometry.dense:
        flag(axes, cells, inks, geometry)
    else:
        hatch(axes, cells, inks, geometry)
    for ink in sorted(set(inks)):
        outline(axes, [cell for cell, own in zip(cells, inks) if cell.local and own == ink], ink, geometry)
    lettering, grounds = axes.add_artist(Lettering()), []
    for cell, ink in zip(cells, inks):
        grounds += write_lines(lettering, cell, ink, geometry)
    if grounds:
        places, colours = zip(*grounds)
        axes.add_collection(PolyCollection(places, facecolors=colours, linewidths=0, zorder=2))
    return lettering


def fill(axes, cells, across, down, geometry):
    """With a gap between them; as an image of a pixel a cell where there are many."""
    if geometry.dense:
        image = numpy.zeros((down, across, 4), dtype=numpy.uint8)  # bytes are scaled in an eighth of the memory
        for cell in cells:
            image[cell.y, cell.x] = [round(255 * part) for part in cell.colour]
        axes.imshow(image, extent=(-0.5, across - 0.5, down - 0.5, -0.5), aspect="auto", interpolation="none")
        return
    axes.add_collection(PolyCollection([corners(cell.x, cell.y, 0.5, 0.5) for cell in cells],
                                       facecolors=[cell.colour for cell in cells], edgecolors=PAPER, linewidths=1.5))


def corners(x, y, half_w, half_h):
    return [(x - half_w, y - half_h), (x + half_w, y - half_h), (x + half_w, y + half_h), (x - half_w, y + half_h)]


def inner(places, inset_in, geometry):
    """One path of rectangles that many inches inside the edges of the cells at the places."""
    half_w, half_h = 0.5 - inset_in / geometry.cell_w, 0.5 - inset_in / geometry.cell_h
    return Path.make_compound_path(*(Path([*corners(x, y, half_w, half_h), (0, 0)], closed=True) for x, y in places))


def hatch(axes, cells, inks, geometry):
    """All cells of a mark at once."""
    marked = {}
    for cell, ink in zip(cells, inks):
        for mark in cell.marks:
            marked.setdefault((mark, ink), []).append((cell.x, cell.y))
    for (mark, ink), places in marked.items():
        axes.add_patch(PathPatch(inner(places, 0.012, geometry), fill=False, hatch=HATCHES[mark], linewidth=0,
                                 edgecolor=(*to_rgb(ink), 0.55)))


def flag(axes, cells, inks, geometry):
    """A corner of each marked cell, where a hatch would leave nothing of the value."""
    wide, high = FLAG_IN / geometry.cell_w, FLAG_IN / geometry.cell_h
    for ink in sorted(set(inks)):
        at = [(cell.x + 0.5, cell.y - 0.5) for cell, own in zip(cells, inks) if cell.marks and own == ink]
        flags = [Path([(x - wide, y), (x, y), (x, y + high), (0, 0)], closed=True) for x, y in at]
        if flags:
            axes.add_patch(PathPatch(Path.make_compound_path(*flags), facecolor=ink, linewidth=0))


def outline(axes, cells, ink, geometry):
    if cells:
        inset_in, width = (0.02, 0.8) if geometry.dense else (0.05, 1.1)
        axes.add_patch(PathPatch(inner([(cell.x, cell.y) for cell in cells], inset_in, geometry), fill=False,
                                 edgecolor=ink, linewidth=width))


def write_lines(lettering, cell, ink, geometry):
    """The lines centred in their cell; returns [(corners, colour)] of the ground they need on a hatch."""
    grounds, at = [], -sum(LINE_SPACING * points for _, points in cell.lines) / 72 / 2
    for words, points in cell.lines:
        line_in = LINE_SPACING * points / 72
        middle = cell.y + (at + line_in / 2) / geometry.cell_h
        lettering.write(cell.x, middle, words, points, ink)
        if cell.marks and not geometry.dense:
            grounds.append((corners(cell.x, middle, len(words) * letter_in(points) / 2 / geometry.cell_w,
                                    line_in / 2 / geometry.cell_h), cell.colour))
        at += line_in
    return grounds
