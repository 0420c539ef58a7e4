"""The matrix as text: rows CPU nodes, columns memory nodes and policies, value and penalty in each cell."""

from . import layout
from .schema import RESOURCES, is_main, place_order


def render(rows):
    """One table for each bench and metric; one for all that was counted of a command. Rows are matrix.csv's."""
    figures = layout.figures(rows)
    blocks = [render_figure(bench, metric, part) for (bench, metric), part in figures.items() if is_main(metric)]
    for bench in dict.fromkeys(bench for bench, metric in figures if not is_main(metric)):
        blocks.append(render_resources(bench, {metric: part for (name, metric), part in figures.items()
                                               if name == bench and not is_main(metric)}))
    return "\n\n".join(blocks)


def render_figure(bench, metric, rows):
    rows = layout.readable(rows)
    columns, labels = layout.columns(rows), layout.places(rows)
    lines = [[name, labels[place]] + [cell_words(cells.get(column), layout.value_words) for column in columns]
             for name, panel in layout.panels(rows).items() for place, cells in in_order(panel)]
    return (f"{layout.title(bench, metric)} in {rows[0]['unit']}, {layout.better_words(rows[0])} "
            f"(penalty over local memory)\n" + aligned([header(columns), *lines]))


def render_resources(bench, parts):
    """A line for each of a command's other metrics and CPUs: what run_cell counted. parts: {metric: its rows}"""
    rows = [row for part in parts.values() for row in part]
    columns, labels, lines = layout.columns(rows), layout.places(rows), []
    for metric, part in parts.items():
        for name, panel in layout.panels(part).items():
            label = " · ".join(word for word in (RESOURCES[metric].title, name) if word)
            for place, cells in in_order(panel):
                lines.append([label, labels[place]] + [counted_words(cells.get(column)) for column in columns])
    return f"{bench}, what else was counted\n" + aligned([header(columns), *lines])


def in_order(panel):
    return sorted(panel.items(), key=lambda item: place_order(item[0]))


def counted_words(row):
    """The placement of the cell stands in the tables above: it is the same for all that was counted in a run."""
    return cell_words(row and {**row, "placement": None}, lambda value: layout.quantity_words(value, row["unit"]))


def header(columns):
    return ["", "CPU node"] + [f"memory node {name}" if isinstance(name, int) else name for name in columns]


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
