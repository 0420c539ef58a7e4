"""fleet.png and fleet.svg: what every host's local memory takes and its worst remote memory costs, the odd ones named."""

import os

from numa_sweep import merge

from .. import layout, pictures

NAME = "fleet"
MOST_NAMED = 12  # hosts in a strip
MOST_MODELS = 12  # lanes of a strip
GOLDEN = 0.6180339887  # of the golden ratio: its multiples spread evenly, and the same for the same hosts
LEAST_SPAN = 1.25  # as the colours of cells
LEFT, WIDTH, LANE_IN, NAMES_IN = 2.5, 7.6, 0.62, 0.19


def draw(fleet, standings):
    """Draws the picture into the fleet's folder; returns its pictures.Picture, None where nothing was measured."""
    strips = strips_of(fleet)
    if not strips:
        return None
    from .. import picture  # matplotlib takes long to import

    odd = {standing.host for standing in standings if standing.is_odd}
    told = [*(standing.host for standing in standings if standing.is_odd),
            *(standing.host for standing in standings if standing.apart and not standing.is_odd)]
    title = f"Local memory and the worst penalty on every host of {layout.shortened(fleet.name, 40)}"
    drawn = draw_page(picture, title, strips, fleet, odd, told)
    paths = [os.path.join(fleet.folder, f"{NAME}.{ending}") for ending in pictures.ENDINGS]
    for path in paths:
        drawn.save(path)
    return pictures.Picture(NAME, NAME, title, alternative(strips, told), paths)


def strips_of(fleet):
    """[(what, its unit, {host: value}, the values' words)]"""
    found = []
    for metric in fleet.judged.local_metrics()[:1]:
        what, unit = merge.column_words(metric).rsplit(" (", 1)
        found.append((what, unit.rstrip(")"), fleet.judged.local_medians(metric), layout.value_words))
    found.append(("worst penalty", "times local", fleet.judged.worst, layout.penalty_words))
    return [strip for strip in found if strip[2]]


def lanes_of(fleet, values):
    """{CPU model: {host: value}}, the largest first; what is beyond MOST_MODELS is one lane."""
    found = {}
    for host, value in values.items():
        found.setdefault(fleet.judged.models[host], {})[host] = value
    ordered = sorted(found, key=lambda model: -len(found[model]))
    lanes = {model: found[model] for model in ordered[:MOST_MODELS]}
    for model in ordered[MOST_MODELS:]:
        lanes.setdefault("others", {}).update(found[model])
    return lanes


def draw_page(picture, title, strips, fleet, odd, told):
    laid = [(strip, lanes_of(fleet, strip[2]), named(strip[2], told)) for strip in strips]
    heights = [LANE_IN * len(lanes) + NAMES_IN * len(names) + 0.15 for _, lanes, names in laid]
    details = f"{layout.counted(len(fleet.rows), 'host')} · a point a host, a diamond an odd one; named: those with cells apart"
    page = picture.Page(LEFT + WIDTH + 1.6, 0.95 + sum(heights) + 0.75 * len(laid), title, details)
    top = 0.95
    for (strip, lanes, names), height in zip(laid, heights):
        draw_strip(picture, page.axes(LEFT, top, WIDTH, height), strip, lanes, names, odd)
        top += height + 0.75
    return page


def named(values, told):
    """The hosts whose names are written, by rising value. told: those with cells apart, the odd ones first."""
    return sorted([host for host in told if host in values][:MOST_NAMED], key=lambda host: (values[host], host))


def draw_strip(picture, axes, strip, lanes, names, odd):
    what, unit, values, _ = strip
    picture.style_plain(axes)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    heights = {}
    for lane, hosts in enumerate(lanes.values()):
        for number, host in enumerate(sorted(hosts)):
            heights[host] = lane - 0.35 + 0.7 * (number * GOLDEN % 1 if len(hosts) > 3 else 0.5)
        axes.axhspan(lane - 0.45, lane + 0.45, color=picture.NOTHING, linewidth=0, zorder=0)
    plain = [host for host in heights if host not in odd]
    axes.plot([values[host] for host in plain], [heights[host] for host in plain], "o", color=picture.COLOURS[0],
              markersize=4.5 if len(plain) < 100 else 3, alpha=0.6, markeredgewidth=0)
    apart = [host for host in heights if host in odd]
    axes.plot([values[host] for host in apart], [heights[host] for host in apart], "D", color=picture.COLOURS[1],
              markersize=6, markeredgecolor=picture.INK, markeredgewidth=0.7)
    for number, host in enumerate(names, start=1):
        below = len(lanes) - 0.5 + (number - 0.5) * NAMES_IN / LANE_IN
        write_name(picture, axes, host, (values[host], heights[host]), below)
    axes.set_ylim(len(lanes) - 0.5 + len(names) * NAMES_IN / LANE_IN + 0.1, -0.5)
    axes.set_yticks(range(len(lanes)), [f"{layout.shortened(model, 26) or 'unnamed CPU'} ({len(hosts)})"
                                        for model, hosts in lanes.items()])
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(*limits(values.values()))
    axes.set_xlabel(f"{what} ({unit})", fontsize=picture.LABEL_PT)


def limits(values):
    """Of the scale: a factor of LEAST_SPAN at least, so that noise does not look like a cliff."""
    low, high = min(values), max(values)
    wider = max(0, LEAST_SPAN * low - high) / 2
    room = 0.06 * (high - low + 2 * wider) or 1
    return low - wider - room, high + wider + room


def write_name(picture, axes, host, point, y):
    """Below the lanes, with a line up to the point."""
    axes.plot([point[0], point[0]], [point[1], y], color=picture.GREY, linewidth=0.5, zorder=1)
    axes.annotate(layout.shortened(host, 40), (point[0], y), xytext=(3, 0), textcoords="offset points", va="center",
                  fontsize=picture.TICK_PT, color=picture.INK, annotation_clip=False)


def alternative(strips, told):
    words = []
    for what, unit, values, said in strips:
        low, high = (said(end(values.values())) for end in (min, max))
        ends = f" {unit}" if said is layout.value_words else ""
        words.append(f"{what[0].upper()}{what[1:]}: {low} to {high}{ends} on {layout.counted(len(values), 'host')}"
                     + "".join(f"; {layout.shortened(host, 40)} {said(values[host])}" for host in named(values, told)[:4])
                     + ".")
    return " ".join(words)
