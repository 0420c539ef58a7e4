"""The cache curve: latency over size, with the cache levels that were found in it."""

import math
from collections import namedtuple
from functools import partial

from . import layout, picture, singles
from .picture import COLOURS, GREY, LABEL_PT, MARKERS, TICK_PT

FLAT = 1.15  # points within this of a level's latency are of it: bench/lib/levels.h
SIZES = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
MOST_TICKS = 10
FLAT_COLOUR = "#f2d377"

CURVE_WIDTH, CURVE_HEIGHT, LEFT = 8.6, 4.4, 0.95
ZONE_ROW_IN = 0.4


def drawings(run):
    rows = run.singles.get(singles.CURVE)
    if rows:
        yield picture.Drawing(singles.CURVE, singles.CURVE, "Memory latency over size", alternative(rows),
                              partial(draw, rows, run.environment))


def draw(rows, environment):
    """The page of latency over size, None if there is no line. rows: singles.CURVE's, as they were written."""
    figures = [row for row in rows if row["metric"] == "load_latency" and singles.is_measured(row)]
    if not figures:
        return None
    levels_line, levels = levels_of(rows)
    lines = singles.lines_of(figures, singles.line_key)
    names = picture.differing(figures)
    labels = {key: picture.line_name(line[0], names) for key, line in lines.items()} if len(lines) > 1 else {}
    points = {key: singles.points(line, lambda row: row["size_bytes"]) for key, line in lines.items()}
    points = {key: dict(sorted(of_line.items())) for key, of_line in points.items()}
    span = size_span(points)
    zones = zones_of(levels, span)
    zone_rows = max((zone[-1] for zone in zones), default=-1) + 1

    top = 0.9 + ZONE_ROW_IN * zone_rows
    margin = 0.55 + picture.LETTER_IN * max((len(label) for label in labels.values()), default=0)
    page = picture.Page(LEFT + CURVE_WIDTH + margin, top + CURVE_HEIGHT + 0.65,
                        picture.heading("Memory latency over size (ns)", figures),
                        picture.shared_words(figures, environment, singles.LINE[1:]),
                        curve_notes(rows, points, labels.get(levels_line), levels))
    axes = page.axes(LEFT, top, CURVE_WIDTH, CURVE_HEIGHT)
    picture.style_plain(axes)
    set_size_scale(axes, span)
    set_latency_scale(axes, points)
    for zone in zones:
        draw_flat_part(axes, zone, span, zone_rows, points.get(levels_line, {}))
        write_zone(axes, zone)
    for number, (key, of_line) in enumerate(points.items()):
        draw_line(axes, of_line, number)
    draw_names_at_ends(axes, points, labels)
    return page


def levels_of(rows):
    """(key of a line, [(name, latency_ns, edge_bytes)] of it by rising size), of the first line that has levels.

    A benchmark writes its levels behind its figures, without the kind of pages: they are of its first line.
    """
    first, ended, levels = None, False, []
    for row in rows:
        is_level = row["metric"] == "level_latency"
        if not is_level and levels:
            break
        if is_level and row["value"] is not None:
            levels.append((row["variant"], row["value"], row["size_bytes"]))
        elif not is_level and (first is None or ended):
            first = singles.line_key(row)
        ended = is_level
    return first, sorted(levels, key=lambda level: level[2])


def size_span(points):
    sizes = [size for of_line in points.values() for size in of_line]
    return min(sizes), max(sizes)


Zone = namedtuple("Zone", "name words latency_ns low high middle row")  # of a level; middle of its words, in inches


def zones_of(levels, span):
    """Where each level is drawn; words that would meet are in rows above each other."""
    zones, low, ends = [], span[0], []
    for name, latency_ns, edge in levels:
        high = min(edge, span[1])
        if high <= low:
            continue
        words = f"{layout.value_words(latency_ns)} ns" + (f", to {size_words(high)}" if high < span[1] else "")
        name = layout.shortened(name, 20)
        half = picture.LETTER_IN * max(len(name), len(words)) / 2
        middle = min(max(position(math.sqrt(low * high), span), half), CURVE_WIDTH - half)
        row = next((row for row, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row:row + 1] = [middle + half + picture.LETTER_IN]
        zones.append(Zone(name, words, latency_ns, low, high, middle, row))
        low = high
    return zones


def position(size, span):
    """Inches from the left end of the scale."""
    return CURVE_WIDTH * math.log(size / span[0]) / math.log(span[1] / span[0])


def size_words(size_bytes):
    """`976K`, `1.07M`: three digits, as bench/latency prints it."""
    for unit, letter in SIZES:
        if size_bytes >= unit * (1000 / 1024):
            return f"{size_bytes / unit:.3g}{letter}"
    return f"{size_bytes}"


def set_size_scale(axes, span):
    axes.set_xscale("log", base=2)
    axes.set_xlim(span[0] / 1.05, span[1] * 1.05)
    first, last = math.ceil(math.log2(span[0])), math.floor(math.log2(span[1]))
    step = -(-(last - first + 1) // MOST_TICKS)
    axes.set_xticks([2 ** power for power in range(first, last + 1, step)])
    axes.set_xticks([2 ** power for power in range(first, last + 1)], minor=True)
    axes.set_xticklabels([size_words(2 ** power) for power in range(first, last + 1, step)])
    axes.set_xticklabels([], minor=True)
    axes.set_xlabel("size of the memory that is read at random (bytes, 1K = 1024)", fontsize=LABEL_PT)


def set_latency_scale(axes, points):
    medians = [point.value for of_line in points.values() for point in of_line.values()]
    low, high = min(medians) / 1.3, max(medians) * 1.4
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    digits = (1, 2, 5) if last - first <= 5 else (1,)
    ticks = [digit * 10.0 ** power for power in range(first, last + 1, -(-(last - first) // 15)) for digit in digits
             if low <= digit * 10.0 ** power <= high]
    axes.set_yticks(ticks)
    axes.set_yticks([], minor=True)
    axes.set_yticklabels([f"{tick:,.6g}" for tick in ticks])
    axes.set_ylabel("latency of a load (ns)", fontsize=LABEL_PT)


def draw_flat_part(axes, zone, span, zone_rows, of_line):
    """The flat part of the curve as a pale bar, and a dotted edge where the level ends."""
    flat = [size for size, point in of_line.items()
            if zone.low <= size <= zone.high and 1 / FLAT <= point.value / zone.latency_ns <= FLAT]
    left, right = (min(flat), max(flat)) if len(flat) > 1 else (zone.low, zone.high)
    axes.plot([left, right], [zone.latency_ns] * 2, color=FLAT_COLOUR, linewidth=9, solid_capstyle="butt", zorder=1.5)
    if zone.high < span[1]:
        axes.plot([zone.high] * 2, [0, 1 + (ZONE_ROW_IN * zone_rows - 0.04) / CURVE_HEIGHT], color=GREY, linewidth=1,
                  linestyle=":", transform=axes.get_xaxis_transform(), clip_on=False)


def write_zone(axes, zone):
    """The level's name and latency above the axes, on a ground that hides edges that run there."""
    upper = 1 + (ZONE_ROW_IN * (zone.row + 1) - 0.02) / CURVE_HEIGHT
    for words, down_in, size, weight in ((zone.name, 0, LABEL_PT, "bold"), (zone.words, 0.17, TICK_PT, "normal")):
        axes.text(zone.middle / CURVE_WIDTH, upper - down_in / CURVE_HEIGHT, words, transform=axes.transAxes,
                  ha="center", va="top", fontsize=size, fontweight=weight, color=picture.INK,
                  bbox={"facecolor": picture.PAPER, "edgecolor": "none", "pad": 1.5})


def draw_line(axes, of_line, number):
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    banded = [(size, point) for size, point in of_line.items() if point.low is not None and point.high is not None]
    axes.fill_between([size for size, _ in banded], [point.low for _, point in banded],
                      [point.high for _, point in banded], color=colour, alpha=0.22, linewidth=0)
    axes.plot(list(of_line), [point.value for point in of_line.values()], color=colour, marker=marker, markersize=3.2,
              linewidth=1.3, zorder=3)


def draw_names_at_ends(axes, points, labels):
    """Each line's name behind its last point, moved apart where they would meet."""
    if not labels:
        return
    low, high = (math.log(limit) for limit in axes.get_ylim())
    ends = {key: (math.log(list(of_line.values())[-1].value) - low) / (high - low) for key, of_line in points.items()}
    gap_in, at = min(0.18, CURVE_HEIGHT / len(ends)), -1.0
    placed = {}
    for key in sorted(ends, key=ends.get):
        placed[key] = at = max(ends[key], at + gap_in / CURVE_HEIGHT)
    over = max(0.0, at - 1)
    for number, key in enumerate(points):
        axes.plot([1.016], [placed[key] - over], transform=axes.transAxes, color=COLOURS[number % len(COLOURS)],
                  marker=MARKERS[number % len(MARKERS)], markersize=4.5, clip_on=False)
        axes.annotate(labels[key], (1, ends[key]), xytext=(1.03, placed[key] - over), xycoords="axes fraction",
                      va="center", fontsize=min(TICK_PT, 72 * gap_in / 1.15), color=picture.INK, annotation_clip=False)


def curve_notes(rows, points, levels_label, levels):
    figures = singles.lines_of([row for row in rows if row["metric"] == "load_latency"],
                       lambda row: (*singles.line_key(row), row["size_bytes"]))
    notes = []
    if any(point.low is not None for of_line in points.values() for point in of_line.values()):
        notes.append("band around a line: 95 % interval of each median")
    if levels:
        notes.append("yellow: flat parts; each ends where the step to the next is half done"
                     + (f" (of the line {levels_label})" if levels_label else ""))
    return notes + picture.status_notes(list(figures.values()))


def alternative(rows):
    """Of each line its ends; of the one with cache levels, these."""
    figures = [row for row in rows if row["metric"] == "load_latency" and singles.is_measured(row)]
    if not figures:
        return ""
    lines = singles.lines_of(figures, singles.line_key)
    names = picture.differing(figures)
    words = []
    for line in list(lines.values())[:picture.MOST_TOLD]:
        points = singles.points(line, lambda row: row["size_bytes"])
        name = f"{picture.line_name(line[0], names)}: " if len(lines) > 1 else ""
        words.append(f"{name}{ns_words(points[min(points)])} at {size_words(min(points))}, "
                     f"{ns_words(points[max(points)])} at {size_words(max(points))}")
    words += [f"{len(lines) - picture.MOST_TOLD} more lines"] if len(lines) > picture.MOST_TOLD else []
    _, levels = levels_of(rows)
    told = ", ".join(f"{layout.shortened(name, 20)} {layout.value_words(latency_ns)} ns"
                     + (f" to {size_words(edge)}" if edge < max(level[2] for level in levels) else "")
                     for name, latency_ns, edge in levels)
    return f"A load takes {'; '.join(words)}." + (f" Levels found: {told}." if told else "")


def ns_words(point):
    return f"{layout.value_words(point.value)} ns"
