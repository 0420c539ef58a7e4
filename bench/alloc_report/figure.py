"""allocs.png and allocs_memory.png: a panel of bars for the geometric means and for each cell, all on one scale."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of a HOME that cannot be written

import matplotlib  # noqa: E402

matplotlib.use("Agg")

from matplotlib.figure import Figure  # noqa: E402

from .allocators import OURS  # noqa: E402

# Of Okabe and Ito's palette, which people with any colour vision can tell apart.
COLOURS = {"ours": "#D55E00", "peer": "#56B4E9", "base": "#999999"}
TITLES = {"wall_time": "Wall time as a ratio to {}'s (shorter is faster)",
          "peak_memory": "Peak resident memory as a ratio to {}'s (shorter is less)"}
SCALE_END = 2.0  # bars beyond are cut off, and their value is printed
VALUES_AT, AXIS_END = 2.06, 2.85  # the column of values, right of the scale: nothing crosses it
PANELS_A_ROW = 5
BAR_INCHES, PANEL_INCHES, AROUND_INCHES = 0.17, 2.9, 0.42


def colour(summary, label):
    return COLOURS["ours" if summary.allocators[label].name == OURS else "base" if label == summary.base else "peer"]


def panel(axes, summary, title, estimates, show_names):
    """estimates: {label: (Estimate or None, note)}."""
    labels = list(estimates)
    axes.plot((1, 1), (-0.5, len(labels) - 0.5), color="#111111", linewidth=0.7, linestyle=(0, (3, 2)), zorder=0.5)
    for at, label in enumerate(labels):
        estimate, note = estimates[label]
        if estimate is None:
            axes.text(VALUES_AT, at, note, va="center", fontsize=6.5, color="#444444", style="italic")
            continue
        low, end, high = (min(value, SCALE_END) for value in (estimate.low, estimate.value, estimate.high))
        axes.barh(at, end, height=0.78, color=colour(summary, label))
        axes.plot((low, high), (at, at), color="#111111", linewidth=1.1, solid_capstyle="butt")
        beyond = " →" if estimate.value > SCALE_END else ""
        axes.text(VALUES_AT, at, f"{estimate.value:.2f}{beyond}{note}", va="center", fontsize=6.5)
    axes.set_xlim(0, AXIS_END)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xticks((0, 0.5, 1, 1.5, 2), ("0", "0.5", "1", "1.5", "2"))
    axes.tick_params(labelsize=6.5, length=2)
    axes.set_yticks(range(len(labels)), labels if show_names else [])
    axes.set_title(title, fontsize=8, pad=3, loc="left", fontweight="bold" if title.startswith("mean") else None)
    axes.spines["bottom"].set_bounds(0, SCALE_END)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def panels(summary, metric):
    """(title, estimates) of each panel that has a value or a failure to show, the means first."""
    wanted = []
    for name, cells in summary.groups().items():
        means = {label: summary.mean(metric, cells, label) for label in summary.allocators}
        wanted.append((f"mean: {name}", {label: (mean, "" if count == len(cells) else f" ({count} of {len(cells)})")
                                         for label, (mean, count) in means.items()}))
    for cell in summary.cells:
        rows = {row.label: row for row in summary.rows if row.cell is cell}
        threads = f", {cell.threads} thr." if cell.is_workload else ""
        ratios = {label: row.time_ratio if metric == "wall_time" else row.peak_ratio for label, row in rows.items()}
        wanted.append((f"{cell.name}{threads}", {label: (ratios[label], "failed" if row.failed else "")
                                                 for label, row in rows.items() if ratios[label] or row.failed}))
    return [(title, estimates) for title, estimates in wanted
            if any(estimate or note == "failed" for estimate, note in estimates.values())]


def draw(path, summary, metric, subtitle):
    """Writes the picture of `wall_time` or `peak_memory`. False: there was no ratio to draw."""
    wanted = panels(summary, metric)
    if not wanted:
        return False
    columns = min(PANELS_A_ROW, len(wanted))
    rows = -(-len(wanted) // columns)
    panel_height = BAR_INCHES * len(summary.allocators) + AROUND_INCHES
    names_inches = 0.3 + 0.055 * max(map(len, summary.allocators))
    width, height = max(PANEL_INCHES * columns + names_inches, 8), panel_height * rows + 1.35
    figure = Figure(figsize=(width, height), dpi=120)
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw={
        "left": names_inches / width, "right": 1 - 0.05 / width, "top": 1 - 0.85 / height, "bottom": 0.5 / height,
        "hspace": AROUND_INCHES / (panel_height - AROUND_INCHES), "wspace": 0.04})
    for at, axes in enumerate(grid.flat):
        if at >= len(wanted):
            axes.set_visible(False)
            continue
        panel(axes, summary, *wanted[at], show_names=at % columns == 0)
        if at + columns >= len(wanted):  # the lowest of its column
            axes.set_xlabel(f"ratio to {summary.base}'s", fontsize=6.5, labelpad=2, x=SCALE_END / AXIS_END / 2)
    figure.text(0.15 / width, 1 - 0.3 / height, TITLES[metric].format(summary.base), fontsize=13)
    figure.text(0.15 / width, 1 - 0.52 / height, subtitle, fontsize=8)
    figure.savefig(path)
    return True
