"""Curves of single runs: latency over size with the cache levels in it, and latency over bandwidth with its knee."""

import math
from collections import namedtuple

from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from . import heatmap, layout, picture, singles
from .picture import COLOURS, GREY, LABEL_PT, MARKERS, TICK_PT

FLAT = 1.15  # points within this of a level's latency are of it: bench/lib/levels.h
SIZES = ((1 << 40, "T"), (1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K"))
MOST_TICKS = 10
FLAT_COLOUR = "#f2d377"
FARTHEST = 1.5  # times the greatest median: an interval that reaches farther is cut, or it would flatten the curve

CURVE_WIDTH, CURVE_HEIGHT, LEFT = 8.6, 4.4, 0.95
LETTER_IN = 0.074  # a letter of LABEL_PT, on average
ZONE_ROW_IN = 0.4


def draw_cache_curve(rows, environment):
    """The page of latency over size, None if there is no line. rows: singles.CURVE's, as they were written."""
    figures = [row for row in rows if row["metric"] == "load_latency" and singles.is_measured(row)]
    if not figures:
        return None
    levels_line, levels = levels_of(rows)
    lines = lines_of(figures, singles.line_key)
    names = picture.differing(figures)
    labels = {key: picture.line_name(line[0], names) for key, line in lines.items()} if len(lines) > 1 else {}
    points = {key: singles.points(line, lambda row: row["size_bytes"]) for key, line in lines.items()}
    points = {key: dict(sorted(of_line.items())) for key, of_line in points.items()}
    span = size_span(points)
    zones = zones_of(levels, span)
    zone_rows = max((zone[-1] for zone in zones), default=-1) + 1

    top = 0.9 + ZONE_ROW_IN * zone_rows
    margin = 0.4 + LETTER_IN * max((len(label) for label in labels.values()), default=0)
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


def lines_of(rows, key):
    lines = {}
    for row in rows:
        lines.setdefault(key(row), []).append(row)
    return lines


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
        half = LETTER_IN * max(len(name), len(words)) / 2
        middle = min(max(position(math.sqrt(low * high), span), half), CURVE_WIDTH - half)
        row = next((row for row, end in enumerate(ends) if end < middle - half), len(ends))
        ends[row:row + 1] = [middle + half + LETTER_IN]
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
                  ha="center", va="top", fontsize=size, fontweight=weight, color=heatmap.INK,
                  bbox={"facecolor": heatmap.PAPER, "edgecolor": "none", "pad": 0.6})


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
        axes.annotate(labels[key], (1, ends[key]), xytext=(1.012, placed[key] - over), xycoords="axes fraction",
                      va="center", fontsize=min(TICK_PT, 72 * gap_in / 1.15), color=COLOURS[number % len(COLOURS)],
                      annotation_clip=False)


def curve_notes(rows, points, levels_label, levels):
    figures = lines_of([row for row in rows if row["metric"] == "load_latency"],
                       lambda row: (*singles.line_key(row), row["size_bytes"]))
    notes = []
    if any(point.low is not None for of_line in points.values() for point in of_line.values()):
        notes.append("band around a line: 95 % interval of each median")
    if levels:
        notes.append("yellow: flat parts; each ends where the step to the next is half done"
                     + (f" (of the line {levels_label})" if levels_label else ""))
    return notes + picture.status_notes(list(figures.values()))


# Latency over bandwidth.

RISE = 1.5  # the knee is where latency is so many times idle's: bench/lib/knee.h
VICTIM = ("host", "cpu", "cpu_node", "mem_node", "allocator", "policy", "pages", "size_bytes")
AGGRESSORS = ("other_cpu_node", "other_mem_node", "threads")
PANEL_WIDTH, PANEL_HEIGHT = 7.4, 4.4
RATES = ("idle", "full", "50%", "80%", "20%", "90%")  # whose names are written, in this order, where there is room

# points: {rate: (bandwidth, latency)} by rising rate; knee_gbs: None where latency never rose so far
Curve = namedtuple("Curve", "row points knee_gbs")


def draw_loaded(rows, environment):
    """The page of latency over bandwidth, None if there is no line: a panel a victim, a line a set of aggressors."""
    measured = [row for row in rows if singles.is_measured(row)]
    panels = loaded_panels(measured)
    if not panels:
        return None
    curves = [curve for panel in panels.values() for curve in panel]
    different = picture.differing([panel[0].row for panel in panels.values()], VICTIM)
    across = 1 if len(panels) == 1 else math.ceil(math.sqrt(len(panels)))
    scale = 1 if len(panels) == 1 else 0.65
    wide, high = PANEL_WIDTH * scale, PANEL_HEIGHT * scale
    top, title_in, below, gap = 0.95, 0.3 if len(panels) > 1 else 0, 0.65, 0.75
    margin = 0.5 + LETTER_IN * max((len(aggressor_words(curve.row)) for curve in curves), default=0) \
        if len(curves) > len(panels) else 0.35
    down = -(-len(panels) // across)
    page = picture.Page(LEFT + across * (wide + gap) - gap + margin, top + down * (title_in + high + below),
                        picture.heading("Latency under load (ns)", measured),
                        loaded_details(measured, curves, environment), loaded_notes(rows, curves))
    limits = loaded_limits(curves)
    names = {}
    for curve in curves:
        names.setdefault(aggressor_words(curve.row), len(names))
    for index, panel in enumerate(panels.values()):
        y, x = divmod(index, across)
        axes = page.axes(LEFT + x * (wide + gap), top + y * (title_in + high + below) + title_in, wide, high)
        picture.style_plain(axes)
        axes.set_xlim(0, limits[0])
        axes.set_ylim(0, limits[1])
        axes.yaxis.set_major_formatter("{x:,g}")
        if x == 0:
            axes.set_ylabel("latency of the victim's load (ns)", fontsize=LABEL_PT)
        axes.set_xlabel("bandwidth of victim and aggressors (GB/s)", fontsize=LABEL_PT)
        if len(panels) > 1:
            axes.set_title(picture.line_name(panel[0].row, different), fontsize=LABEL_PT + 1, color=heatmap.INK)
        for curve in panel:
            draw_loaded_curve(axes, curve, names[aggressor_words(curve.row)])
        write_rates(axes, panel, [names[aggressor_words(curve.row)] for curve in panel])
    if len(names) > 1:
        draw_names(page, names, LEFT + across * (wide + gap) - gap + 0.25, top + title_in)
    return page


def loaded_panels(rows):
    """{victim: [its curves]} in the rows' order. The victim alone is the first point of all its curves."""
    def key(names):
        return lambda row: tuple(row.get(name) for name in names)

    panels = {}
    for victim, of_victim in lines_of(rows, key(VICTIM)).items():
        idle = [row for row in of_victim if row["variant"] == "idle"]
        loads = lines_of([row for row in of_victim if row["variant"] != "idle"], key(AGGRESSORS))
        for of_curve in loads.values():
            points = singles.points(idle + of_curve, key(("variant", "metric")))
            knee = points.pop(("x1.5", "knee"), None) or next((point for (_, metric), point in points.items()
                                                               if metric == "knee"), None)
            rates = {rate: (points[rate, "bandwidth"], latency) for (rate, metric), latency in points.items()
                     if metric == "loaded_latency" and (rate, "bandwidth") in points}
            if rates:
                panels.setdefault(victim, []).append(Curve(of_curve[0], rates, knee and knee.value))
    return panels


def aggressor_words(row):
    """What tells one set of aggressors from another: their places, which the CSV may not have, or their number."""
    if row["other_cpu_node"] is None:
        return layout.counted(max(row["threads"] - 1, 0), "aggressor")
    place = f"aggressors on node {row['other_cpu_node']}"
    return place if row["other_mem_node"] is None else f"{place}, memory of node {row['other_mem_node']}"


def loaded_details(rows, curves, environment):
    words = [picture.shared_words(rows, environment, ("cpu", "cpu_node", "mem_node", "allocator", "policy", "pages",
                                                      "size_bytes"))]
    counts = {curve.row["threads"] - 1 for curve in curves}
    places = {aggressor_words(curve.row) for curve in curves}
    if len(counts) == 1:
        words.append(layout.counted(*counts, "aggressor"))
    if len(places) == 1 and not places & set(words):
        words.append(*places)
    return " · ".join(word for word in words if word)


def loaded_limits(curves):
    pairs = [pair for curve in curves for pair in curve.points.values()]
    limits = []
    for side in (0, 1):
        most = max(pair[side].value for pair in pairs)
        reach = max(pair[side].high or pair[side].value for pair in pairs)
        limits.append(1.08 * min(max(most, reach), FARTHEST * most))
    knees = [curve.knee_gbs for curve in curves if curve.knee_gbs]
    return max([limits[0], *(1.08 * knee for knee in knees)]), limits[1]


def draw_loaded_curve(axes, curve, number):
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    x, y = ([pair[side] for pair in curve.points.values()] for side in (0, 1))
    axes.errorbar([point.value for point in x], [point.value for point in y], xerr=reach_of(x), yerr=reach_of(y),
                  color=colour, marker=marker, markersize=4.5, linewidth=1.3,
                  linestyle="-" if len(x) > 2 else "--", elinewidth=0.7, ecolor=(*to_rgb(colour), 0.5), zorder=3)
    if curve.knee_gbs is None:
        return
    height = knee_height(curve, axes)
    axes.plot([curve.knee_gbs] * 2, [0, height], color=colour, linewidth=1, linestyle=":")
    axes.plot([curve.knee_gbs], [height], color=heatmap.PAPER, marker="D", markersize=8, markeredgecolor=colour,
              markeredgewidth=1.5, zorder=4)


def knee_height(curve, axes):
    """Where the knee is on the scale of latency: where it is defined to be, or at the top if idle is not known."""
    idle = curve.points.get("idle")
    return RISE * idle[1].value if idle else axes.get_ylim()[1]


def reach_of(points):
    """How far each interval reaches below and above its median, as errorbar takes it."""
    return [[max(0, point.value - point.low) if point.low is not None else 0 for point in points],
            [max(0, point.high - point.value) if point.high is not None else 0 for point in points]]


def write_rates(axes, panel, numbers):
    """The knees' values at the feet of their lines, then the rates of those points that have room for it."""
    taken = [box for curve in panel
             for box in boxes_along(axes, [(x.value, y.value) for x, y in curve.points.values()])]
    bars = [box for curve in panel for bar in bars_of(curve) for box in boxes_along(axes, bar)]
    taken += [box for curve in panel if curve.knee_gbs is not None
              for box in boxes_along(axes, [(curve.knee_gbs, 0), (curve.knee_gbs, knee_height(curve, axes))], 1)]
    for curve, number in zip(panel, numbers):
        if curve.knee_gbs is not None:
            write_beside(axes, (curve.knee_gbs, 0), f"knee {layout.value_words(curve.knee_gbs)} GB/s", number, taken,
                         (), FOOT_PLACES, fontweight="bold")
    for rate in RATES:
        for curve, number in zip(panel, numbers):
            if rate in curve.points:
                x, y = curve.points[rate]
                write_beside(axes, (x.value, y.value), rate, number, taken, bars, POINT_PLACES)


def bars_of(curve):
    """The ends of the intervals' bars."""
    for x, y in curve.points.values():
        if x.low is not None and x.high is not None:
            yield (x.low, y.value), (x.high, y.value)
        if y.low is not None and y.high is not None:
            yield (x.value, y.low), (x.value, y.high)


def boxes_along(axes, points, reach=3):
    """What a line through points covers, in small pieces; beyond the axes nothing is written anyway."""
    ends = [axes.transData.transform(point) for point in points]
    for (x0, y0), (x1, y1) in zip(ends, ends[1:]):
        pieces = min(int(math.hypot(x1 - x0, y1 - y0) / 4), 1000) + 1
        for piece in range(pieces + 1):
            x, y = x0 + (x1 - x0) * piece / pieces, y0 + (y1 - y0) * piece / pieces
            yield Bbox.from_bounds(x - reach, y - reach, 2 * reach, 2 * reach)


# Offsets in points and alignments, the best first.
POINT_PLACES = ((-6, 6, "right", "bottom"), (6, -6, "left", "top"), (0, 8, "center", "bottom"),
                (0, -8, "center", "top"), (8, 0, "left", "center"), (-8, 0, "right", "center"),
                (6, 6, "left", "bottom"), (-6, -6, "right", "top"))
FOOT_PLACES = tuple((dx, dy, ha, "bottom") for dy in range(6, 90, 14) for dx, ha in ((-5, "right"), (5, "left")))


def write_beside(axes, at, words, number, taken, bars, places, **style):
    """Writes at the first of the places where nothing is; over bars if need be; nowhere if there is no place."""
    renderer = axes.figure.canvas.get_renderer()
    whole = axes.get_window_extent(renderer)
    for avoided in (taken + list(bars), taken) if bars else (taken,):
        for dx, dy, ha, va in places:
            note = axes.annotate(words, at, xytext=(dx, dy), textcoords="offset points", ha=ha, va=va,
                                 fontsize=TICK_PT, color=COLOURS[number % len(COLOURS)], zorder=5, **style)
            box = note.get_window_extent(renderer)
            inside = whole.x0 <= box.x0 and box.x1 <= whole.x1 and whole.y0 <= box.y0 and box.y1 <= whole.y1
            if inside and not any(box.overlaps(other) for other in avoided):
                taken.append(box)
                return
            note.remove()


def draw_names(page, names, left, top):
    """The lines' names with their markers, right of the panels."""
    step = min(0.2, (page.height - top - 0.2) / len(names))
    for name, number in names.items():
        colour, y = COLOURS[number % len(COLOURS)], top + 0.1 + step * number
        page.figure.add_artist(Line2D([left / page.width], [1 - y / page.height], color=colour, markersize=4.5,
                                      marker=MARKERS[number % len(MARKERS)]))
        page.write(left + 0.12, y, name, fontsize=min(TICK_PT, 72 * step / 1.15), color=colour)


def loaded_notes(rows, curves):
    notes = ["beside points: how fast the aggressors were let run, of the rate that they reach unpaced (full)"]
    without = sum(curve.knee_gbs is None and len(curve.points) > 2 for curve in curves)
    if any(curve.knee_gbs is not None for curve in curves):
        notes.append(f"knee: the bandwidth at which latency is {RISE} × idle")
    if without:
        notes.append(f"no knee: latency stays below {RISE} × idle"
                     + (f", on {layout.counted(without, 'line')}" if len(curves) > 1 else ""))
    if any(point.low is not None for curve in curves for pair in curve.points.values() for point in pair):
        notes.append("thin bars: 95 % intervals of the medians")
    return notes + picture.status_notes(list(lines_of(rows, lambda row: tuple(
        row.get(name) for name in (*VICTIM, *AGGRESSORS, "metric", "variant"))).values()))
