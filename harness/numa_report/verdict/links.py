"""worst link, outliers, imbalance: pairs of nodes that are slower than others, or slower one way than the other.

A cell that does not fit its kind (outlier_cells.py) is an outlier; where the other direction of the same two nodes does
not either, both are a link. All cells of one memory node, or of one node's CPUs, are said at once. Directions differ
when their medians do by over 10 % and their intervals do not meet; those of outliers are not said twice.
"""

from statistics import median

from numa_sweep.topology import format_list

from .. import layout
from ..schema import HIGHER
from .cells import (DIFFERENT, MOST_NAMES, WHOLE, and_more, grouped, is_bound, is_remote, key_of, nodes_by_cpu,
                    nodes_words, path_words, quantity_words, usable, value_words)


def link_lines(rows, found):
    """found: outlier_cells.outliers(). A line for the worst link and one for the outliers that are of no link."""
    links, single = {}, []
    of_cells = {key_of(outlier.row, *WHOLE, "cpu_node", "mem_node") for outlier in found}
    for outlier in found:
        row = outlier.row
        back = key_of(row, *WHOLE, "mem_node", "cpu_node")
        if is_remote(row) and back in of_cells:
            links.setdefault((row["host"], frozenset((row["cpu_node"], row["mem_node"]))), []).append(outlier)
        else:
            single.append(outlier)
    whole = whole_nodes(rows, found)
    if whole:  # then its links are no matter of their own
        single, links = found, {}
    lines = []
    if links:
        lines.append(link_line(list(links.values()), rows))
    if single:
        lines.append(outlier_line(single, whole, rows))
    return lines


def link_line(links, rows):
    worst = links[0]  # as they were found: the farthest first
    first = worst[0]
    back = next(other for other in worst if other.row["cpu_node"] == first.row["mem_node"]
                and key_of(other.row, *WHOLE) == key_of(first.row, *WHOLE))
    nodes = nodes_words((first.row["cpu_node"], first.row["mem_node"]))
    rest = f"; {layout.counted(len(links) - 1, 'more link')} like it" if len(links) > 1 else ""
    return (f"worst link: {nodes}, both ways, {quantity_words(first.row, rows)}: {value_words(first.row)} and "
            f"{value_words(back.row)}, where the median of the {first.cells} cells of their kind is "
            f"{layout.quantity_words(first.median, first.row['unit'])}{also_in(worst)}{rest}; {look_again(worst)}")


def whole_nodes(rows, found):
    """{what it is of: its outliers} where all cells of a memory node, or of a node's CPUs, are outliers."""
    ids = {id(outlier.row) for outlier in found}
    whole = {}
    for name, words in (("mem_node", "memory of node {} from the CPUs of every node"),
                        ("cpu_node", "CPUs of node {} to the memory of every node")):
        for cells in grouped(filter(is_bound, usable(rows)), *WHOLE, name).values():
            if len(cells) >= 3 and all(id(row) in ids for row in cells):
                of_node = [outlier for outlier in found if any(outlier.row is row for row in cells)]
                whole.setdefault((cells[0]["host"], words.format(cells[0][name])), []).extend(of_node)
    return whole


def outlier_line(single, whole, rows):
    of_whole = {id(outlier): words for (_, words), of_node in whole.items() for outlier in of_node}
    single_cpus, places, told = nodes_by_cpu(rows), {}, {}
    for outlier in single:
        words = of_whole.get(id(outlier), path_words(outlier.row, single_cpus))
        places.setdefault((outlier.row["host"], words), []).append(outlier)
    for (_, words), of_place in list(places.items())[:MOST_NAMES]:
        worst = of_place[0]
        kind = (quantity_words(worst.row, rows), f"the median of the {worst.cells} cells of the kind is "
                f"{layout.quantity_words(worst.median, worst.row['unit'])}")
        told.setdefault(kind, []).append(f"{words}: {value_words(worst.row)}{also_in(of_place)}")
    parts = [f"{quantity}, {', '.join(of_kind)}, where {usual}" for (quantity, usual), of_kind in told.items()]
    return f"outliers: {'; '.join(parts + and_more(len(places) - MOST_NAMES))}; {look_again(single)}"


def also_in(of_place):
    """` (also in 5 other tables)`: outliers of one place in other matrices than the first one's."""
    tables = {key_of(outlier.row, *WHOLE) for outlier in of_place}
    return f" (also in {layout.counted(len(tables) - 1, 'other table')})" if len(tables) > 1 else ""


def look_again(found):
    cpu_nodes, mem_nodes = (format_list({outlier.row[name] for outlier in found}) for name in ("cpu_node", "mem_node"))
    return f"to see whether it stays: harness/run_matrix.sh --cpu-nodes {cpu_nodes} --mem-nodes {mem_nodes} --rounds 10"


def imbalance_lines(rows, found):
    """The pair of nodes whose two directions differ most, and how many pairs do."""
    odd = {key_of(outlier.row, "host", "cpu_node", "mem_node") for outlier in found}
    differing, pairs = [], set()
    for cells in grouped(filter(is_bound, usable(rows)), *WHOLE).values():
        directions = grouped(filter(is_remote, cells), "host", "cpu_node", "mem_node")
        for (host, i, j), there in directions.items():
            back = directions.get((host, j, i))
            if i > j or not back or odd & {(host, i, j), (host, j, i)}:
                continue
            pairs.add((host, i, j))
            factor = factor_between(there, back)
            if factor > DIFFERENT:
                differing.append((factor, there, back))
    if not differing:
        return []
    factor, there, back = max(differing, key=lambda item: item[0])
    return [imbalance_line(factor, there, back, rows, len({key_of(there[0], "host", "cpu_node", "mem_node")
                                                           for _, there, _ in differing}), len(pairs))]


def factor_between(there, back):
    """How many times the median of one direction's cells (one a CPU) is the other's; 1 where intervals meet."""
    a, b = (median(row["median"] for row in cells) for cells in (there, back))
    (low, high) = (there, back) if a < b else (back, there)
    apart = max(row["ci_high"] for row in low) < min(row["ci_low"] for row in high)
    return max(a, b) / min(a, b) if apart else 1


def imbalance_line(factor, there, back, rows, differing, pairs):
    faster, slower = there[0], back[0]
    if (median(row["median"] for row in there) > median(row["median"] for row in back)) != (faster["better"] == HIGHER):
        faster, slower = slower, faster
    figures = [layout.quantity_words(median(row["median"] for row in cells), faster["unit"]) for cells in
               ((there, back) if faster is there[0] else (back, there))]
    return (f"imbalance: {quantity_words(faster, rows)} is {figures[0]} from {path_words(faster)}, {figures[1]} the "
            f"other way ({layout.penalty_words(factor)}); over 10 % apart in {differing} of "
            f"{layout.counted(pairs, 'pair')} of nodes; where memory has to be remote, use the better direction")
