"""Policies, allocators and kinds of pages side by side, where a sweep had several: a row a comparison, a dot each."""

from functools import partial

from . import layout, picture, rowed
from .schema import CONDITIONS, HIGHER, is_main
from .verdict.choices import is_choice, same_in

COMPARISON = "comparison"
AXES = {"policy": ("policies", "Policies"), "allocator": ("allocators", "Allocators"),
        "pages": ("pages", "Kinds of pages")}  # name of the picture, first word of its title
OWN, OTHER = "bind to the own node", "bind to another node"
WIDTH, DOT_IN, TOP, BELOW, TITLE_IN = 6.6, 0.13, 0.95, 0.6, 0.3


def drawings(run):
    for axis, (name, title) in AXES.items():
        figures = comparisons_of(axis, run.rows)
        if figures:
            yield picture.Drawing(name, COMPARISON, f"{title} compared", alternative(axis, figures),
                                  partial(draw, axis, figures, run.environment))


def comparisons_of(axis, rows):
    """{(bench, metric): [the rows of one comparison, in which all but the axis is the same]}"""
    found = {}
    for row in rows:
        if row["median"] is not None and is_main(row["metric"]):
            key = tuple(row.get(name) for name in same_in(axis))
            found.setdefault((row["bench"], row["metric"]), {}).setdefault(key, []).append(row)
    parts = {figure: [part for part in parts.values() if is_choice(axis, part)] for figure, parts in found.items()}
    return {figure: part for figure, part in parts.items() if part}


def choice_of(axis, row):
    if axis == "policy" and layout.column(row) == row["mem_node"]:
        return OWN if row["mem_node"] == row["cpu_node"] else OTHER
    return layout.shortened(str(row[axis] or "unknown"), 40)


def choices_of(axis, figures):
    """All choices in the rows' order, binding last."""
    names = list(dict.fromkeys(choice_of(axis, row) for part in figures.values() for rows in part for row in rows))
    return sorted(names, key=lambda name: (OWN, OTHER).index(name) if name in (OWN, OTHER) else -1)


def weight(rows):
    """How much the choice matters: the worst over the best."""
    medians = [row["median"] for row in rows]
    return max(medians) / min(medians) if min(medians) else 1


def draw(axis, figures, environment):
    """The page: a panel a bench and metric."""
    choices = choices_of(axis, figures)
    numbers = {name: None if name == OTHER else number for number, name in enumerate(choices)}
    shown = {figure: rowed.chosen(part, weight) for figure, part in figures.items()}
    rows = [row for part in shown.values() for of_row in part for row in of_row]
    labels = {figure: [label_of(axis, of_row[0], part) for of_row in part] for figure, part in shown.items()}
    left = 0.45 + 0.068 * max(len(label) for part in labels.values() for label in part)
    row_in = DOT_IN * (len(choices) + 1)
    heights = [len(part) * row_in for part in shown.values()]
    page = picture.Page(left + WIDTH + 0.5 + picture.LETTER_IN * max(map(len, choices)),
                        TOP + sum(heights) + len(heights) * (TITLE_IN + BELOW),
                        picture.heading(f"{AXES[axis][1]} compared", rows),
                        layout.machine_words(rows, environment), notes(axis, figures, shown, rows))
    top = TOP
    for (figure, part), height in zip(shown.items(), heights):
        axes = page.axes(left, top + TITLE_IN, WIDTH, height)
        draw_panel(axes, axis, part, labels[figure], choices, numbers)
        axes.set_title(layout.shortened(layout.title(*figure), 60), fontsize=LABEL_PT, color=picture.INK, loc="left")
        top += TITLE_IN + height + BELOW
    rowed.draw_names(page, choices, left + WIDTH + 0.25, TOP + TITLE_IN, [numbers[name] for name in choices])
    return page


LABEL_PT = picture.LABEL_PT + 1


def label_of(axis, row, part):
    """What a comparison is of."""
    varying = [name for name in ("host", *CONDITIONS) if name != axis
               and len({rows[0][name] for rows in part}) > 1]
    path = f"CPU node {row['cpu_node']}" if axis == "policy" else rowed.path_words(row)
    return rowed.series_words(row, varying, path)


def draw_panel(axes, axis, part, labels, choices, numbers):
    scale, unit = layout.unit_of([row for rows in part for row in rows])
    rowed.style(axes, labels, f"{unit}, {layout.better_words(part[0][0])}")
    most = 0
    for y, rows in enumerate(part):
        for row in rows:
            name = choice_of(axis, row)
            at = y + (choices.index(name) + 1) / (len(choices) + 1) - 0.5
            low, high = (None if row[end] is None else row[end] / scale for end in ("ci_low", "ci_high"))
            rowed.dot(axes, at, row["median"] / scale, low, high, numbers[name], rowed.is_marked(row), name == OTHER)
            if name == OWN:
                axes.plot([row["median"] / scale] * 2, [y - 0.45, y + 0.45], color=picture.INK, linewidth=1, zorder=1.5)
            most = max(most, row["median"] / scale, min(high or 0, 1.5 * row["median"] / scale))
    axes.set_xlim(0, 1.05 * most or 1)


def notes(axis, figures, shown, rows):
    words = ["bars: 95 % intervals of the medians"]
    if any(choice_of(axis, row) == OWN for row in rows) and axis == "policy":
        words.append("upright line: memory of the CPUs' own node")
    if any(rowed.is_marked(row) for row in rows):
        words.append("hollow: " + ", ".join(dict.fromkeys(mark for row in rows for mark in layout.marks(row))))
    hidden = sum(len(figures[figure]) - len(part) for figure, part in shown.items())
    if hidden:
        words.append(f"of {sum(map(len, figures.values()))} comparisons, those in which the choice matters most; the "
                     "others stand in matrix.csv")
    return words


def alternative(axis, figures):
    """Of each metric how much the choice matters, and which choice serves best where it matters most."""
    words = []
    for figure, part in list(figures.items())[:picture.MOST_TOLD]:
        most = max(part, key=weight)
        ordered = sorted(most, key=lambda row: row["median"], reverse=most[0]["better"] == HIGHER)
        best, worst = ((row, f"{choice_of(axis, row)} {layout.quantity_words(row['median'], row['unit'])}")
                       for row in (ordered[0], ordered[-1]))
        words.append(f"{layout.title(*figure)}: {layout.counted(len(part), 'comparison')}, the choice matters by up to "
                     f"{layout.penalty_words(weight(most))} ({label_of(axis, best[0], part)}: {best[1]}, {worst[1]})")
    return f"{', '.join(choices_of(axis, figures))}. {'; '.join(words)}."
