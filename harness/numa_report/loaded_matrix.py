"""Whose traffic slows whom down: latency under full load over idle's, victims by places of aggressors."""

from collections import namedtuple
from functools import partial

from matplotlib import cm
from matplotlib.colors import Normalize
from matplotlib.ticker import FuncFormatter

from . import cells, layout, picture, singles
from .loaded import VICTIM, key_of
from .picture import LABEL_PT, TICK_PT

MATRIX = "loaded_matrix"
PLACE = ("other_cpu_node", "other_mem_node")
LEAST_SPAN = 2.0  # that the colours reach to
FULL = "full"
TOP, TITLE_PT = 0.85, 9.5

# times: latency at full load over idle's; ns: itself; marks: of both
Pair = namedtuple("Pair", "times ns marks")
Geometry = namedtuple("Geometry", "cell_w cell_h dense")


def drawings(run):
    rows = run.singles.get(singles.LOADED, ())
    pairs = pairs_of(rows)
    if is_matrix(pairs):
        yield picture.Drawing(MATRIX, MATRIX, "Whose traffic slows whom down", alternative(pairs),
                              partial(draw, rows, pairs, run.environment))


def is_matrix(pairs):
    return len({place for _, place in pairs}) > 1 and len(pairs) > 2


def pairs_of(rows):
    """{(victim, place of the aggressors): Pair} of those that were measured idle and at full load."""
    measured = [row for row in rows if singles.is_measured(row) and row["metric"] == "loaded_latency"]
    idle = singles.lines_of([row for row in measured if row["variant"] == "idle"], key_of(VICTIM))
    found = {}
    full_load = [row for row in measured if row["variant"] == FULL and None not in key_of(PLACE)(row)]
    for (victim, place), full in singles.lines_of(full_load, pair_of).items():
        if victim in idle:
            ns = singles.point(full).value
            marks = [mark for mark in ("misplaced", "unverified", "noisy")
                     if any(mark == mark_of(row) for row in idle[victim] + full)]
            found[victim, place] = Pair(ns / singles.point(idle[victim]).value, ns, marks)
    return found


def pair_of(row):
    return key_of(VICTIM)(row), key_of(PLACE)(row)


def mark_of(row):
    return {"failed": "misplaced", "unverified": "unverified"}.get(row["placement"],
                                                                   "noisy" if row["status"] == "noisy" else None)


def draw(rows, pairs, environment):
    victims = sorted({victim for victim, _ in pairs}, key=lambda victim: tuple(map(str, victim[:1])) + tuple(
        -1 if part is None else part for part in victim[1:4]))
    places = sorted({place for _, place in pairs})
    dense = cells.is_dense(len(places), len(victims))
    sizes = cells.points(len(places), len(victims))
    lines = {key: lines_of(pair, sizes, dense) for key, pair in pairs.items()}
    geometry = Geometry(*cells.size(max(len(words) * picture.letter_in(points) for of_cell in lines.values()
                                        for words, points in of_cell),
                                    max(sum(cells.LINE_SPACING * points / 72 for _, points in of_cell)
                                        for of_cell in lines.values()), dense), dense)
    scale = cm.ScalarMappable(Normalize(min(1, *(pair.times for pair in pairs.values())),
                                        max(LEAST_SPAN, *(pair.times for pair in pairs.values()))), cm.cividis)
    colours = cells.colours_of([pair.times for pair in pairs.values()], scale)
    drawn = [cells.Cell(places.index(place), victims.index(victim), lines[victim, place], colour, pair.marks[:1], False)
             for ((victim, place), pair), colour in zip(pairs.items(), colours)]
    wide, high = geometry.cell_w * len(places), geometry.cell_h * len(victims)
    left, above = 1.3, 0.3
    page = picture.Page(left + wide + 1.45, TOP + above + high + (0.65 if not dense else 0.9),
                        picture.heading("Whose traffic slows whom down", rows), details(rows, environment), notes(rows))
    axes = page.axes(left, TOP + above, wide, high)
    lettering = cells.draw(axes, drawn, len(places), len(victims), geometry)
    for y, victim in enumerate(victims):
        for x, place in enumerate(places):
            if (victim, place) not in pairs:
                lettering.write(x, y, "–", sizes[2], picture.GREY)
    label(axes, victims, places, dense)
    draw_scale(page, scale, left + wide + 0.35, TOP + above, min(high, 8))
    return page


def lines_of(pair, sizes, dense):
    first = [(layout.penalty_words(pair.times), sizes[0])]
    return first if dense else [*first, (f"{layout.value_words(pair.ns)} ns", sizes[2]),
                                *((mark, sizes[2]) for mark in pair.marks)]


def label(axes, victims, places, dense):
    size = cells.DENSE_PT if dense else TICK_PT
    several = len({victim[0] for victim in victims}) > 1
    axes.set_xticks(range(len(places)))
    axes.set_xticklabels([f"{cpu_node} → {mem_node}" for cpu_node, mem_node in places], fontsize=size,
                         rotation=90 if dense else 0)
    axes.set_xlabel("aggressors (CPU node → memory node)", fontsize=LABEL_PT)
    axes.set_yticks(range(len(victims)))
    axes.set_yticklabels([(f"{layout.shortened(victim[0], 12)} " if several else "")
                          + f"{'?' if victim[2] is None else victim[2]} → {'?' if victim[3] is None else victim[3]}"
                          for victim in victims], fontsize=size)
    axes.set_ylabel("victim\n(CPU node → memory node)", fontsize=LABEL_PT if len(victims) > 2 else 7)


def draw_scale(page, scale, left, top, high):
    bar = page.figure.colorbar(scale, cax=page.axes(left, top, 0.16, high),
                               format=FuncFormatter(lambda value, _: layout.penalty_words(value)))
    bar.set_label("times idle's latency\nlower is better", fontsize=8, linespacing=1.3)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_linewidth(0.5)


def details(rows, environment):
    return picture.shared_words([row for row in rows if singles.is_measured(row)], environment, VICTIM[1:])


def notes(rows):
    words = ["each cell: the victim's latency while the aggressors go as fast as they can, over its latency alone"]
    figures = singles.lines_of(rows, lambda row: (*pair_of(row), row["variant"], row["metric"]))
    return words + picture.status_notes(list(figures.values()))


def alternative(pairs):
    (victim, place), worst = max(pairs.items(), key=lambda item: item[1].times)
    least = min(pair.times for pair in pairs.values())
    return (f"{layout.counted(len({victim for victim, _ in pairs}), 'victim')} by "
            f"{layout.counted(len({place for _, place in pairs}), 'place')} of aggressors: latency rises to "
            f"{layout.penalty_words(least)} to {layout.penalty_words(worst.times)} of idle's. Most, to "
            f"{layout.value_words(worst.ns)} ns, for CPU node {victim[2]} with memory of node {victim[3]} beside "
            f"aggressors on node {place[0]} with memory of node {place[1]}.")
