"""Latency under load: latency over bandwidth, with the knee where it turns up."""

import math
from collections import namedtuple
from functools import partial

from matplotlib.colors import to_rgb
from matplotlib.transforms import Bbox

from . import layout, picture, rowed, singles
from .picture import COLOURS, LABEL_PT, MARKERS, TICK_PT

RISE = 1.5  # the knee is where latency is so many times idle's: bench/lib/knee.h
VICTIM = ("host", "cpu", "cpu_node", "mem_node", "allocator", "policy", "pages", "size_bytes")
AGGRESSORS = ("other_cpu_node", "other_mem_node", "threads")
LEFT, PANEL_WIDTH, PANEL_HEIGHT = 0.95, 7.4, 4.4
FARTHEST = 1.5  # times the greatest median: an interval that reaches farther is cut, or it would flatten the curve
RATES = ("idle", "full", "50%", "80%", "20%", "90%")  # whose names are written, in this order, where there is room

# points: {rate: (bandwidth, latency)} by rising rate; knee_gbs: None where latency never rose so far
Curve = namedtuple("Curve", "row points knee_gbs")


def drawings(run):
    rows = run.singles.get(singles.LOADED)
    if rows and not is_only_a_matrix(rows):
        yield picture.Drawing(singles.LOADED, singles.LOADED, "Latency under load", alternative(rows),
                              partial(draw, rows, run.environment))


def is_only_a_matrix(rows):
    """Whether several places of aggressors were let run at full speed alone, which loaded_matrix.py shows."""
    places = {(row["other_cpu_node"], row["other_mem_node"]) for row in rows if row["variant"] != "idle"}
    return len(places) > 1 and {row["variant"] for row in rows} <= {"idle", "full"}


def draw(rows, environment):
    """The page of latency over bandwidth, None if there is no line: a panel a victim, a line a set of aggressors."""
    measured = [row for row in rows if singles.is_measured(row)]
    panels = panels_of(measured)
    if not panels:
        return None
    curves = [curve for panel in panels for curve in panel]
    words_of = place_words if are_told_apart(panels, place_words) else aggressor_words
    names = list(dict.fromkeys(words_of(curve.row) for curve in curves))
    numbers = [[names.index(words_of(curve.row)) for curve in panel] for panel in panels]
    grid = Grid(len(panels))
    margin = 0.5 + picture.LETTER_IN * max(map(len, names)) if len(names) > 1 else 0.35
    page = picture.Page(grid.width + margin, grid.height, picture.heading("Latency under load (ns)", measured),
                        details(measured, curves, environment), notes(rows, curves))
    different = picture.differing([panel[0].row for panel in panels], VICTIM)
    limits = limits_of(curves)
    for index, (panel, of_panel) in enumerate(zip(panels, numbers)):
        axes = page.axes(*grid.box(index))
        axes.set_ylabel("latency of the victim's load (ns)" if index % grid.across == 0 else "", fontsize=LABEL_PT)
        axes.set_title(picture.line_name(panel[0].row, different) if len(panels) > 1 else "", fontsize=LABEL_PT + 1,
                       color=picture.INK)
        draw_panel(axes, panel, of_panel, limits)
    if len(names) > 1:
        rowed.draw_names(page, names, grid.width + 0.25, grid.top + grid.title_in)
    return page


class Grid:
    """Where panels are, in inches; several are smaller than one, and as many across as down."""

    top, below, gap = 0.95, 0.65, 0.75

    def __init__(self, panels):
        scale, self.title_in = (1, 0) if panels == 1 else (0.65, 0.3)
        self.wide, self.high = PANEL_WIDTH * scale, PANEL_HEIGHT * scale
        self.across = math.ceil(math.sqrt(panels))
        self.width = LEFT + self.across * (self.wide + self.gap) - self.gap
        self.height = self.top + -(-panels // self.across) * (self.title_in + self.high + self.below)

    def box(self, index):
        """Left, top, width and height of a panel's axes."""
        y, x = divmod(index, self.across)
        return (LEFT + x * (self.wide + self.gap),
                self.top + y * (self.title_in + self.high + self.below) + self.title_in, self.wide, self.high)


def draw_panel(axes, panel, numbers, limits):
    """numbers: of the curves' colours and markers."""
    picture.style_plain(axes)
    axes.set_xlim(0, limits[0])
    axes.set_ylim(0, limits[1])
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.set_xlabel("bandwidth of victim and aggressors (GB/s)", fontsize=LABEL_PT)
    for curve, number in zip(panel, numbers):
        draw_curve(axes, curve, number)
    write_rates(axes, panel, numbers)


def key_of(names):
    return lambda row: tuple(row.get(name) for name in names)


def panels_of(rows):
    """The curves of each victim, in the rows' order. The victim alone is the first point of all its curves."""
    panels = []
    for of_victim in singles.lines_of(rows, key_of(VICTIM)).values():
        idle = [row for row in of_victim if row["variant"] == "idle"]
        beside = singles.lines_of([row for row in of_victim if row["variant"] != "idle"], key_of(AGGRESSORS))
        curves = [curve for of_curve in beside.values() for curve in curves_of(idle, of_curve)]
        panels += [curves] if curves else []
    return panels


def curves_of(idle, loads):
    """The curve of these rows in a list; none if no rate has both its coordinates."""
    points = singles.points(idle + loads, key_of(("variant", "metric")))
    knee = next((point.value for (_, metric), point in points.items() if metric == "knee"), None)
    rates = {rate: (points[rate, "bandwidth"], latency) for (rate, metric), latency in points.items()
             if metric == "loaded_latency" and (rate, "bandwidth") in points}
    return [Curve(loads[0], rates, knee)] if rates.keys() - {"idle"} else []


def place_words(row, who="aggressors"):
    """Where aggressors and their memory are; their number where the CSV does not say."""
    if row["other_cpu_node"] is None:
        if row["threads"] is None:
            return "aggressors of a number not known"
        return layout.counted(max(row["threads"] - 1, 0), "aggressor")
    place = f"{who} on node {row['other_cpu_node']}"
    return place if row["other_mem_node"] is None else f"{place}, memory of node {row['other_mem_node']}"


def aggressor_words(row):
    """Their number too."""
    return place_words(row, layout.counted(max((row["threads"] or 1) - 1, 0), "aggressor"))


def are_told_apart(panels, words_of):
    return all(len({words_of(curve.row) for curve in panel}) == len(panel) for panel in panels)


def details(rows, curves, environment):
    words = [picture.shared_words(rows, environment, VICTIM[1:])]
    for words_of in (aggressor_words, place_words):
        found = {words_of(curve.row) for curve in curves}
        if len(found) == 1:
            words += found
            break
    return " · ".join(word for word in words if word)


def limits_of(curves):
    pairs = [pair for curve in curves for pair in curve.points.values()]
    limits = []
    for side in (0, 1):
        most = max(pair[side].value for pair in pairs)
        reach = max(pair[side].high or pair[side].value for pair in pairs)
        limits.append(1.08 * min(max(most, reach), FARTHEST * most))
    knees = [curve.knee_gbs for curve in curves if curve.knee_gbs]
    return max([limits[0], *(1.08 * knee for knee in knees)]), limits[1]


def draw_curve(axes, curve, number):
    colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
    x, y = ([pair[side] for pair in curve.points.values()] for side in (0, 1))
    axes.errorbar([point.value for point in x], [point.value for point in y], xerr=reach_of(x), yerr=reach_of(y),
                  color=colour, marker=marker, markersize=4.5, linewidth=1.3,
                  linestyle="-" if len(x) > 2 else "--", elinewidth=0.7, ecolor=(*to_rgb(colour), 0.5), zorder=3)
    if curve.knee_gbs is None:
        return
    height = knee_height(curve, axes)
    axes.plot([curve.knee_gbs] * 2, [0, height], color=colour, linewidth=1, linestyle=":")
    axes.plot([curve.knee_gbs], [height], color=picture.PAPER, marker="D", markersize=8, markeredgecolor=colour,
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


def notes(rows, curves):
    words = []
    if any(rate in curve.points for curve in curves for rate in RATES):
        words.append("beside points: how fast the aggressors were let run, of the rate that they reach unpaced (full)")
    without = sum(curve.knee_gbs is None and len(curve.points) > 2 and "idle" in curve.points for curve in curves)
    if any(curve.knee_gbs is not None for curve in curves):
        words.append(f"knee: the bandwidth at which latency is {RISE} × idle")
    if without:
        words.append(f"no knee: latency stays below {RISE} × idle"
                     + (f", on {layout.counted(without, 'line')}" if len(curves) > 1 else ""))
    if any(point.low is not None for curve in curves for pair in curve.points.values() for point in pair):
        words.append("thin bars: 95 % intervals of the medians")
    return words + picture.status_notes(list(singles.lines_of(rows, lambda row: tuple(
        row.get(name) for name in (*VICTIM, *AGGRESSORS, "metric", "variant"))).values()))


def alternative(rows):
    """Of each curve its ends and its knee."""
    curves = [curve for panel in panels_of([row for row in rows if singles.is_measured(row)]) for curve in panel]
    names = [name for name in (*VICTIM, *AGGRESSORS) if len({curve.row.get(name) for curve in curves}) > 1]
    words = []
    for curve in curves[:picture.MOST_TOLD]:
        (_, least), (bandwidth, most) = list(curve.points.values())[0], list(curve.points.values())[-1]
        name = f"{aggressor_words(curve.row)} beside {picture.line_name(curve.row, VICTIM[1:4])}: " if names else ""
        knee = f", knee at {layout.value_words(curve.knee_gbs)} GB/s" if curve.knee_gbs else ""
        words.append(f"{name}{layout.value_words(least.value)} ns at first, {layout.value_words(most.value)} ns at "
                     f"{layout.value_words(bandwidth.value)} GB/s{knee}")
    words += [f"{len(curves) - picture.MOST_TOLD} more lines"] if len(curves) > picture.MOST_TOLD else []
    return f"A load takes {'; '.join(words)}." if words else ""
