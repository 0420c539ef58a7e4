"""The map of what handing a cache line from CPU to CPU costs: a panel a variant, all on one colour scale."""

import math
from functools import partial

from matplotlib import cm
from matplotlib.colors import Normalize

from . import layout, picture, singles
from .picture import LABEL_PT, TICK_PT

MOST_WITH_VALUES = 32  # CPUs; beyond, the colour alone says it
MOST_NAMED = 40  # CPUs with a number at the axes
LEFT, TOP, TITLE_IN, BELOW, GAP, SCALE = 1.0, 0.85, 0.55, 0.65, 0.75, 1.3


def drawings(run):
    rows = run.singles.get(singles.CORE2CORE)
    if rows:
        yield picture.Drawing(singles.CORE2CORE, singles.CORE2CORE, "Hand-over of a cache line between CPUs",
                              alternative(rows), partial(draw, rows, run.environment))


def draw(rows, environment):
    """The page, None if nothing was measured. rows: singles.CORE2CORE's."""
    measured = [row for row in rows if singles.is_measured(row)]
    if not measured:
        return None
    nodes = nodes_of_cpus(measured)
    cpus = sorted(nodes, key=lambda cpu: (nodes[cpu] is None, nodes[cpu] or 0, cpu))
    variants = list(dict.fromkeys(row["variant"] for row in measured))
    points = singles.points(measured, lambda row: (row["variant"], *pair_of(row)))
    cell = min(max(6.5 / len(cpus), 0.4), 1.2) if len(cpus) <= MOST_WITH_VALUES else 10 / len(cpus)
    side = cell * len(cpus)
    page = picture.Page(LEFT + len(variants) * (side + GAP) - GAP + SCALE, TOP + TITLE_IN + side + BELOW,
                        picture.heading("Hand-over of a cache line (ns)", measured), details(measured, environment),
                        notes(rows))
    scale = colour_scale([point.value for point in points.values()])
    for index, variant in enumerate(variants):
        axes = page.axes(LEFT + index * (side + GAP), TOP + TITLE_IN, side, side)
        draw_panel(axes, cpus, {pair[1:]: point.value for pair, point in points.items() if pair[0] == variant},
                   scale, cell)
        draw_nodes(axes, cpus, nodes, side)
        axes.set_title(layout.shortened(variant, 40), fontsize=LABEL_PT + 1.5, color=picture.INK, pad=26)
        axes.set_xlabel("CPU", fontsize=LABEL_PT)
        axes.set_ylabel("CPU" if index == 0 else "", fontsize=LABEL_PT)
    bar = page.figure.colorbar(scale, cax=page.axes(LEFT + len(variants) * (side + GAP) - GAP + 0.35, TOP + TITLE_IN,
                                                    0.16, side))
    bar.set_label("ns, one way\nlower is better", fontsize=8, linespacing=1.3)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_linewidth(0.5)
    return page


def nodes_of_cpus(rows):
    """{CPU: its node, None where it is not known}"""
    nodes = {}
    for row in rows:
        nodes[row["cpu"]], nodes[row["other_cpu"]] = row["cpu_node"], row["other_cpu_node"]
    return nodes


def colour_scale(values):
    """As heatmaps' of a latency: dark is good, and a percent of noise is no cliff."""
    return cm.ScalarMappable(Normalize(min(values), max(max(values), 1.25 * min(values))), cm.cividis)


def details(rows, environment):
    words = [picture.shared_words(rows, environment, ("allocator", "policy", "pages"))]
    homes = {row["mem_node"] for row in rows}
    if len(homes) == 1 and None not in homes:
        words.append(f"lines in memory of node {homes.pop()}")
    return " · ".join(word for word in words if word)


def notes(rows):
    pairs = singles.lines_of(rows, lambda row: (row["variant"], row["cpu"], row["other_cpu"]))
    return ["one way is half a round trip, so both directions of a pair are the same figure",
            *picture.status_notes(list(pairs.values()))]


def draw_panel(axes, cpus, values, scale, cell):
    axes.set_xlim(-0.5, len(cpus) - 0.5)
    axes.set_ylim(len(cpus) - 0.5, -0.5)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    step = -(-len(cpus) // MOST_NAMED)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(range(0, len(cpus), step))
        axis.set_ticklabels(cpus[::step], fontsize=TICK_PT if len(cpus) <= MOST_WITH_VALUES else 7)
    words = len(cpus) <= MOST_WITH_VALUES
    edges = [at - 0.5 for at in range(len(cpus) + 1)]
    points = min(11.0, 72 * cell / 3.4)  # room for a value of four letters
    cells = [[values.get((min(y, x), max(y, x)), math.nan) for x in cpus] for y in cpus]
    axes.set_facecolor(picture.NOTHING)
    axes.pcolormesh(edges, edges, cells, cmap=scale.cmap, norm=scale.norm, rasterized=not words,
                    **({"edgecolors": picture.PAPER, "linewidth": 0.8} if words else {}))
    for y, row in enumerate(cells if words else []):
        for x, value in enumerate(row):
            if not math.isnan(value):
                axes.text(x, y, layout.value_words(value), ha="center", va="center", fontsize=points,
                          color=picture.ink_on(scale.to_rgba(value)))


def draw_nodes(axes, cpus, nodes, side):
    """A line between the CPUs of two nodes, and each node's name above its CPUs."""
    starts = [at for at, cpu in enumerate(cpus) if at == 0 or nodes[cpu] != nodes[cpus[at - 1]]]
    for start, end in zip(starts, [*starts[1:], len(cpus)]):
        if start > 0:
            axes.axhline(start - 0.5, color=picture.INK, linewidth=1.6)
            axes.axvline(start - 0.5, color=picture.INK, linewidth=1.6)
        node = nodes[cpus[start]]
        name = "node not known" if node is None else f"node {node}"
        if len(name) * 0.075 * len(cpus) > side * (end - start):
            name = "?" if node is None else str(node)
        axes.text((start + end - 1) / 2, -0.5 - 0.09 * len(cpus) / side, name, ha="center", va="bottom",
                  fontsize=TICK_PT, color=picture.DETAILS)


def alternative(rows):
    """Of each variant the span of its pairs, within nodes and between them."""
    measured = [row for row in rows if singles.is_measured(row)]
    words = []
    for variant in list(dict.fromkeys(row["variant"] for row in measured))[:picture.MOST_TOLD]:
        parts = []
        for name, same in (("within a node", True), ("between nodes", False)):
            of_part = [row for row in measured if row["variant"] == variant
                       and (row["cpu_node"] == row["other_cpu_node"]) is same]
            values = [point.value for point in singles.points(of_part, pair_of).values()]
            parts += [f"{picture.span_words(values, 'ns')} {name}"] if values else []
        words.append(f"{layout.shortened(variant, 40)}: {', '.join(parts)}")
    cpus = {cpu for row in measured for cpu in pair_of(row)}
    return f"Between {len(cpus)} CPUs, one way. {'; '.join(words)}." if words else ""


def pair_of(row):
    return tuple(sorted((row["cpu"], row["other_cpu"])))
