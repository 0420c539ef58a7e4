"""allocs.png: a panel of bars for the geometric means and for each cell, all on one scale."""

import logging

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # of a HOME that cannot be written

import matplotlib  # noqa: E402

matplotlib.use("Agg")

from matplotlib.figure import Figure  # noqa: E402

from .allocators import OURS  # noqa: E402

# Of Okabe and Ito's palette, which people with any colour vision can tell apart.
COLOURS = {"ours": "#D55E00", "peer": "#56B4E9", "base": "#999999"}
SCALE_END = 2.0  # bars beyond are cut off, and their value is printed
PANELS_A_ROW = 5
BAR_INCHES, PANEL_INCHES, AROUND_INCHES = 0.17, 2.9, 0.42


def colour(summary, label):
    return COLOURS["ours" if summary.allocators[label].name == OURS else "base" if label == summary.base else "peer"]


def panel(axes, summary, title, estimates, show_names):
    """estimates: {label: (Estimate or None, note)}."""
    labels = list(estimates)
    for at, label in enumerate(labels):
        estimate, note = estimates[label]
        if estimate is None:
            axes.text(0.03, at, note, va="center", fontsize=6.5, color="#444444", style="italic")
            continue
        end = min(estimate.value, SCALE_END)
        axes.barh(at, end, height=0.78, color=colour(summary, label))
        low, high = min(estimate.low, SCALE_END), min(estimate.high, SCALE_END)
        axes.plot((low, high), (at, at), color="#111111", linewidth=1.1, solid_capstyle="butt")
        beyond = " →" if estimate.value > SCALE_END else ""
        if end > 0.8 * SCALE_END:  # inside, where there is room
            axes.text(0.05, at, f"{estimate.value:.2f}{beyond}{note}", va="center", fontsize=6.5)
        else:
            axes.text(max(end, high) + 0.03, at, f"{estimate.value:.2f}{note}", va="center", fontsize=6.5,
                      bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    axes.axvline(1, color="#111111", linewidth=0.7, linestyle=(0, (3, 2)), zorder=0.5)
    axes.set_xlim(0, SCALE_END)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xticks((0, 0.5, 1, 1.5, 2))
    axes.tick_params(labelsize=6.5, length=2)
    axes.set_yticks(range(len(labels)), labels if show_names else [])
    axes.set_title(title, fontsize=8, pad=3, loc="left", fontweight="bold" if title.startswith("mean") else None)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def panels(summary):
    """(title, estimates) of each panel, the means first."""
    for name, cells in summary.groups().items():
        means = {label: summary.mean("wall_time", cells, label) for label in summary.allocators}
        yield f"mean: {name}", {label: (mean, "" if count == len(cells) else f" ({count} of {len(cells)})")
                                for label, (mean, count) in means.items()}
    for cell in summary.cells:
        rows = {row.label: row for row in summary.rows if row.cell is cell}
        threads = f", {cell.threads} thr." if cell.is_workload else ""
        yield f"{cell.name}{threads}", {label: (row.time_ratio, "failed" if row.failed else "")
                                        for label, row in rows.items() if row.time_ratio or row.failed}


def draw(path, summary, subtitle):
    """Writes the picture."""
    wanted = list(panels(summary))
    columns = min(PANELS_A_ROW, len(wanted))
    rows = -(-len(wanted) // columns)
    panel_height = BAR_INCHES * len(summary.allocators) + AROUND_INCHES
    names_inches = 0.3 + 0.055 * max(map(len, summary.allocators))
    width, height = max(PANEL_INCHES * columns + names_inches, 8), panel_height * rows + 1.2
    figure = Figure(figsize=(width, height), dpi=120)
    grid = figure.subplots(rows, columns, squeeze=False, gridspec_kw={
        "left": names_inches / width, "right": 1 - 0.15 / width, "top": 1 - 0.85 / height, "bottom": 0.35 / height,
        "hspace": AROUND_INCHES / (panel_height - AROUND_INCHES), "wspace": 0.08})
    for at, axes in enumerate(grid.flat):
        if at < len(wanted):
            panel(axes, summary, *wanted[at], show_names=at % columns == 0)
        else:
            axes.set_visible(False)
    figure.text(0.15 / width, 1 - 0.3 / height, f"Wall time as a ratio to {summary.base}'s (shorter is faster)", fontsize=13)
    figure.text(0.15 / width, 1 - 0.52 / height, subtitle, fontsize=8)
    figure.savefig(path)
