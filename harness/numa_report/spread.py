"""The samples of cells by round: what is behind a median and its interval."""

import math
from functools import partial
from statistics import median

from . import layout, picture, rowed
from .picture import COLOURS, GREY, LABEL_PT, TICK_PT
from .rounds import FEWEST_UNDISTURBED
from .schema import FEWEST_SAMPLES, is_main

SAMPLES = "samples"
MOST_PANELS = 12
ACROSS, WIDE, HIGH, GAP, LEFT, TOP, TITLE_IN, BELOW = 4, 2.35, 1.35, 0.25, 0.95, 0.9, 0.5, 0.25
LEAST_REACH, MOST_REACH = 5, 50  # percent that the scale reaches to
MOST_VECTOR = 3000  # samples drawn as shapes in an SVG; more become an image in it
JITTER = 0.3  # of a round's width, to both sides


def drawings(run):
    cells = [row for row in run.rows if is_main(row["metric"]) and row["median"]
             and len(run.samples.get(key_of(row), ())) >= FEWEST_SAMPLES]
    if not cells:
        return
    shown = sorted(cells, key=lambda row: -width_of(row))[:MOST_PANELS]
    shown = [row for row in cells if any(row is other for other in shown)]
    title = "Samples by round" + (f", the {len(shown)} of {len(cells):,} cells with the widest intervals"
                                  if len(shown) < len(cells) else "")
    samples = [run.samples[key_of(row)] for row in shown]
    yield picture.Drawing(SAMPLES, SAMPLES, title, alternative(shown, samples),
                          partial(draw, title, shown, samples, run.environment))


def key_of(row):
    return row["host"], row["cell"], row["metric"]


def width_of(row):
    """Of the interval, over the median."""
    known = row["ci_low"] is not None and row["ci_high"] is not None
    return (row["ci_high"] - row["ci_low"]) / row["median"] if known else 0


def percents(row, samples):
    """[(round, percent from the cell's median, whether it was disturbed)], the rounds numbered from 1 as they came."""
    rounds = {number: place for place, number in enumerate(sorted({sample.round for sample in samples}), start=1)}
    return [(rounds[sample.round], 100 * (sample.value / row["median"] - 1), bool(sample.disturbed))
            for sample in samples]


def reach_of(found):
    """Percent to both sides that nine in ten samples of every cell lie within."""
    tenths = [sorted(abs(value) for _, value, _ in of_cell)[int(0.9 * (len(of_cell) - 1))] for of_cell in found]
    return min(MOST_REACH, max(LEAST_REACH, 1.25 * max(tenths)))


def draw(title, cells, samples, environment):
    found = [percents(row, of_cell) for row, of_cell in zip(cells, samples)]
    reach = reach_of(found)
    beyond = sum(abs(value) > reach for of_cell in found for _, value, _ in of_cell)
    notes = ["bar: the median of each round; band: the 95 % interval of the cell's median, which is at 0"]
    if any(disturbed for of_cell in found for _, _, disturbed in of_cell):
        notes.append("grey: the benchmark was disturbed meanwhile; such samples do not count where "
                     f"{FEWEST_UNDISTURBED} others are left")
    if beyond:
        notes.append(f"triangles: {layout.counted(beyond, 'sample')} beyond the scale")
    across = min(ACROSS, len(cells))
    heading = picture.heading("Samples by round", cells) + title.partition("round")[2]
    page = picture.Page(LEFT + across * (WIDE + GAP) + 0.1,
                        TOP + -(-len(cells) // across) * (TITLE_IN + HIGH + BELOW) + 0.3, heading,
                        layout.machine_words(cells, environment), notes)
    names = [name for name in ("host", "allocator", "pages", "threads", "size_bytes")
             if len({row[name] for row in cells}) > 1]
    rasterized = sum(map(len, found)) > MOST_VECTOR
    for number, (row, of_cell) in enumerate(zip(cells, found)):
        y, x = divmod(number, across)
        axes = page.axes(LEFT + x * (WIDE + GAP), TOP + TITLE_IN + y * (TITLE_IN + HIGH + BELOW), WIDE, HIGH)
        style(axes, reach, max(of_round for of_round, _, _ in of_cell), x == 0,
              number + across >= len(cells))
        axes.set_title(title_of(row, names), fontsize=7.5, color=picture.INK, pad=4, linespacing=1.25)
        draw_cell(axes, row, of_cell, reach, rasterized)
    return page


def title_of(row, names):
    letters = int(WIDE / picture.letter_in(7.5))
    bench = row["bench"] if row["variant"] != "command" else f"{row['bench']} · {row['metric']}"
    first = f"{layout.quantity_words(row['median'], row['unit'])} · {rowed.series_words(row, names, bench)}"
    second = rowed.path_words(row)
    return "\n".join(layout.shortened(words, letters) for words in (first, second))


def style(axes, reach, rounds, leftmost, lowest):
    picture.style_plain(axes)
    axes.grid(False, axis="x")
    axes.set_ylim(-1.12 * reach, 1.12 * reach)
    axes.set_xlim(0.4, rounds + 0.6)
    step = -(-rounds // 8)
    axes.set_xticks(range(1, rounds + 1, step))
    axes.tick_params(labelsize=7.5, labelleft=leftmost)
    axes.yaxis.set_major_formatter(lambda value, _: picture.percent_words(value))
    axes.set_xlabel("round" if lowest else "", fontsize=TICK_PT, labelpad=1)
    axes.set_ylabel("from the cell's median" if leftmost else "", fontsize=LABEL_PT - 1)


def draw_cell(axes, row, found, reach, rasterized):
    if row["ci_low"] is not None and row["ci_high"] is not None:
        axes.axhspan(100 * (row["ci_low"] / row["median"] - 1), 100 * (row["ci_high"] / row["median"] - 1),
                     color=picture.PALE, zorder=0.6, linewidth=0)
    rounds = {}
    for number, value, disturbed in found:
        rounds.setdefault(number, []).append((value, disturbed))
    for number, values in rounds.items():
        where = [number + JITTER * (2 * (place + 0.5) / len(values) - 1) for place in range(len(values))]
        for disturbed, colour in ((False, COLOURS[0]), (True, GREY)):
            for marker, chosen in ((".", lambda value: abs(value) <= reach), ("^", lambda value: value > reach),
                                   ("v", lambda value: value < -reach)):
                part = [(x, value) for x, (value, was) in zip(where, values) if was is disturbed and chosen(value)]
                if part:
                    shown = [math.copysign(min(abs(value), 1.05 * reach), value) for _, value in part]
                    axes.plot([x for x, _ in part], shown, linestyle="", marker=marker, color=colour, alpha=0.75,
                              markersize=5 if marker == "." else 4, markeredgewidth=0, zorder=2, rasterized=rasterized)
        counting = [value for value, disturbed in values if not disturbed]
        middle = median(counting if len(counting) >= FEWEST_UNDISTURBED else [value for value, _ in values])
        if abs(middle) <= reach:
            axes.plot([number - 0.4, number + 0.4], [middle] * 2, color=picture.INK, linewidth=1.4, zorder=3,
                      solid_capstyle="butt")


def alternative(cells, samples):
    widest = max(cells, key=width_of)
    counts = sorted(map(len, samples))
    many = f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
    return (f"{many} samples of each of {layout.counted(len(cells), 'cell')}. The widest interval is "
            f"{100 * width_of(widest):.3g} % of its median: {layout.shortened(widest['cell'], 80)}.")
