"""The matrix as text: rows CPU nodes, columns memory nodes and policies, value and penalty in each cell."""

from . import layout
from .schema import RESOURCES


def render(rows):
    """One table for each bench and metric; of what else was counted of a command, one for all. Rows are matrix.csv's."""
    figures = layout.figures(rows)
    blocks = [render_figure(bench, metric, part) for (bench, metric), part in figures.items() if is_shown(metric)]
    for bench in dict.fromkeys(bench for bench, metric in figures if not is_shown(metric)):
        blocks.append(render_resources(bench, {metric: part for (name, metric), part in figures.items()
                                               if name == bench and not is_shown(metric)}))
    return "\n\n".join(blocks)


def is_shown(metric):
    """Whether a figure has a table and a picture of its own."""
    return metric == "wall_time" or metric not in RESOURCES


def render_figure(bench, metric, part):
    first = part[0]
    head = f"{layout.title(bench, metric)} in {first['unit']}, {layout.better_words(first)} (penalty over local memory)"
    return head + "\n" + render_panels(layout.panels(part), layout.columns(part), layout.value_words)


def render_resources(bench, parts):
    """A line for each of a command's other metrics and CPUs: what run_cell counted."""
    lines, columns = [], layout.columns([row for part in parts.values() for row in part])
    for metric, part in parts.items():
        unit = part[0]["unit"]
        for name, panel in layout.panels(part).items():
            for (cpu_node, cpu), cells in sorted(panel.items()):
                label = " · ".join(word for word in (RESOURCES[metric].title, name) if word)
                lines.append([label, row_words(cpu_node, cpu)]
                             + [cell_words(cells.get(column), lambda value: layout.quantity_words(value, unit))
                                for column in columns])
    return f"{bench}, what else was counted\n" + aligned([header(columns), *lines])


def render_panels(panels, columns, words):
    lines = [[name, row_words(cpu_node, cpu)] + [cell_words(cells.get(column), words) for column in columns]
             for name, panel in panels.items() for (cpu_node, cpu), cells in sorted(panel.items())]
    return aligned([header(columns), *lines])


def header(columns):
    return ["", "CPU node"] + [f"memory node {name}" if isinstance(name, int) else name for name in columns]


def row_words(cpu_node, cpu):
    return f"{cpu_node} (CPU {cpu})"


def aligned(lines):
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join([words.ljust(width) for words, width in zip(line[:2], widths)] + [
        words.rjust(width) for words, width in zip(line[2:], widths[2:])]).rstrip() for line in lines)


def cell_words(row, value_words):
    if row is None:
        return "-"
    words = [value_words(row["median"])] if row["median"] is not None else []
    if row["penalty"] is not None:
        words.append(f"({layout.penalty_words(row['penalty'])})")
    return " ".join(words + layout.marks(row))
