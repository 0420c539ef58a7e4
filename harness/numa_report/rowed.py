"""What pictures have in common that show figures of many cells: rows of dots with intervals, names, a limit."""

from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from . import layout, picture
from .picture import COLOURS, GREY, LABEL_PT, MARKERS, PALE, TICK_PT

MOST_ROWS = 40
LABEL_LETTERS = 60


def path_words(row):
    """`CPU node 0 to memory node 1`, or to a policy."""
    target = layout.column(row)
    return f"CPU node {row['cpu_node']} to " + (f"memory node {target}" if isinstance(target, int) else f"{target}")


def series_words(row, names, path):
    """What tells a row of the picture from the others: the conditions in `names`, its path, its variant."""
    words = [path, "" if row["variant"] == "command" or row["bench"] == "latency" and row["variant"] == "random"
             else row["variant"], *(layout.condition_words(name, row[name]) for name in names if row[name])]
    return layout.shortened(" · ".join(filter(None, words)), LABEL_LETTERS)


def is_marked(row):
    return bool(layout.marks(row))


def style(axes, labels, unit_words):
    """Axes whose rows have labels, the first at the top; values from left to right."""
    picture.style_plain(axes)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_yticks(range(len(labels)))
    axes.set_yticklabels(labels, fontsize=TICK_PT)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(unit_words, fontsize=LABEL_PT)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: layout.value_words(value) if value > 0 else "0"))
    for edge in range(1, len(labels)):
        axes.axhline(edge - 0.5, color=PALE, linewidth=0.6, zorder=0.5)


def dot(axes, y, value, low, high, number, marked, grey=False):
    """A value with its interval; hollow where the cell is marked. number: of its colour and marker."""
    colour = GREY if grey else COLOURS[number % len(COLOURS)]
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.6, solid_capstyle="butt", zorder=2.5)
    axes.plot([value], [y], color=colour, marker="." if grey else MARKERS[number % len(MARKERS)],
              markersize=6, markeredgewidth=1.2, markerfacecolor=picture.PAPER if marked else colour, zorder=3)


def draw_names(page, names, left, top, numbers=None):
    """The names of lines or dots with their colours and markers, one below the other."""
    step = min(0.2, (page.height - top - 0.2) / len(names))
    for number, name in zip(numbers or range(len(names)), names):
        colour, y = (GREY, top + 0.1) if number is None else (COLOURS[number % len(COLOURS)], top + 0.1)
        page.figure.add_artist(Line2D([left / page.width], [1 - y / page.height], color=colour, markersize=4.5,
                                      marker="." if number is None else MARKERS[number % len(MARKERS)]))
        page.write(left + 0.12, y, name, fontsize=min(TICK_PT, 72 * step / 1.15), color=picture.INK)
        top += step


def chosen(items, weight):
    """The items with most weight, in their order, where there are more than a picture has room for."""
    if len(items) <= MOST_ROWS:
        return items
    kept = sorted(range(len(items)), key=lambda place: -weight(items[place]))[:MOST_ROWS]
    return [items[place] for place in sorted(kept)]
