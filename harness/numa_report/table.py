"""The matrix as text: rows CPU nodes, columns memory nodes, value and penalty in each cell."""

from . import layout
from .schema import UNITS


def render(rows):
    """One table for each bench and metric. Rows are those of matrix.csv."""
    blocks = []
    for (bench, _), part in layout.figures(rows).items():
        unit = UNITS[part[0]["unit"]]
        blocks.append(f"{layout.title(bench)} in {unit.name}, {unit.better} (penalty over local memory)\n"
                      + render_panels(layout.panels(part), layout.column_nodes(part)))
    return "\n\n".join(blocks)


def render_panels(panels, columns):
    lines = [["", "CPU node"] + [f"memory node {node}" for node in columns]]
    for name, panel in panels.items():
        for (cpu_node, cpu), cells in sorted(panel.items()):
            lines.append([name, f"{cpu_node} (CPU {cpu})"] + [cell_words(cells.get(node)) for node in columns])
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join([words.ljust(width) for words, width in zip(line[:2], widths)] + [
        words.rjust(width) for words, width in zip(line[2:], widths[2:])]).rstrip() for line in lines)


def cell_words(row):
    if row is None:
        return "-"
    words = [layout.value_words(row["median"])] if row["median"] is not None else []
    if row["penalty"] is not None:
        words.append(f"({layout.penalty_words(row['penalty'])})")
    return " ".join(words + layout.marks(row))
