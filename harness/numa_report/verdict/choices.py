"""policy, allocator, pages: which served best, where a sweep had several.

In one comparison everything else is the same: CPUs, benchmark and figure, size, and (but for policies) the memory. What
cannot be told from the best there serves as well as it: its median is within 5 % of the best one's, or their intervals
meet. A choice is named when it is among the best in each comparison, or else in how many it is.
"""

from collections import Counter, namedtuple

from .. import layout
from ..schema import CONDITIONS, PAGES
from .cells import (MOST_NAMES, are_apart, best_of, bracketed, grouped, joined, listed, metric_words,
                    series_words, times, usable, value_words)

APART = 1.05  # what two medians are to differ by at least; noise below it is what a cell may have and be called ok
AXES = ("policy", "allocator", "pages")
OWN = "bind to the own node"
PLAIN = ("local", "none")  # the policies that name no node: one setting for all CPUs

# A comparison: `best` the best row, `level` the names that serve as well, `behind` the best of the other rows, or None.
Comparison = namedtuple("Comparison", "best level behind names")


def choice_lines(rows):
    """A line for each axis that had several choices."""
    return [line for axis in AXES for line in axis_lines(axis, usable(rows))]


def axis_lines(axis, rows):
    told = {}
    for cells in grouped(rows, *same_in(axis)).values():
        if is_choice(axis, cells):
            told.setdefault((cells[0]["host"], cells[0]["bench"], cells[0]["metric"]), []).append(compare(axis, cells))
    if not told:
        return []
    parts = [metric_choice(axis, comparisons, rows) for comparisons in list(told.values())[:MOST_NAMES]]
    if len(told) > MOST_NAMES:
        parts.append(f"{layout.counted(len(told) - MOST_NAMES, 'more metric')} in matrix.csv")
    return [f"{axis}: {'; '.join(parts)}{setting(axis, list(told.values()))}"]


def same_in(axis):
    place = ("cpu_node", "cpu") if axis == "policy" else ("cpu_node", "cpu", "mem_node", "policy")
    return ("host", "bench", "metric", "variant", *place, *(name for name in CONDITIONS if name != axis))


def is_choice(axis, cells):
    """Nodes to bind to are the matrix itself; they are compared as policies beside another one."""
    names = {row[axis] for row in cells if row[axis]}
    return len(names) > 1 and not (axis == "policy" and all(name.startswith("bind:") for name in names))


def compare(axis, cells):
    best = best_of(cells)
    level = [row for row in cells if times(row, best) <= APART or not are_apart(row, best)]
    behind = [row for row in cells if all(row is not other for other in level)]
    return Comparison(best, {name_of(axis, row) for row in level}, best_of(behind) if behind else None,
                      list(dict.fromkeys(name_of(axis, row) for row in cells)))


def name_of(axis, row):
    if axis == "policy" and row["policy"] == f"bind:{row['cpu_node']}":
        return OWN
    return layout.shortened(row[axis] or "unknown", 40)


def metric_choice(axis, comparisons, rows):
    """`latency: local is best (2 of 2 comparisons), by up to 1.40× over interleave:all (CPUs of node 0: ...)`"""
    metric = metric_words(comparisons[0].best) + bracketed(host_words(comparisons[0].best, rows))
    if all(comparison.behind is None for comparison in comparisons):
        names = dict.fromkeys(name for comparison in comparisons for name in comparison.names)
        return f"{metric}: no difference between {names_words(names)} beyond 5 % and the intervals"
    names, always, words = winners(comparisons)
    won = [comparison for comparison in comparisons if comparison.behind and names[0] in comparison.level]
    if not won:
        return f"{metric}: {words}"
    most = max(won, key=lambda comparison: times(comparison.best, comparison.behind))
    where = joined(series_words(most.best), f"CPUs of node {most.best['cpu_node']}")
    return (f"{metric}: {words}, {'' if always else 'there '}by up to "
            f"{layout.penalty_words(times(most.best, most.behind))} over the next, {name_of(axis, most.behind)} "
            f"({where}: {value_words(most.best)} against {value_words(most.behind)})")


def winners(comparisons):
    """(names, the first of which is among the best most often; whether it always is; in words)"""
    counts = Counter(name for comparison in comparisons for name in comparison.level)
    every = dict.fromkeys(name for comparison in comparisons for name in comparison.names)
    names = [name for name in every if counts[name]]
    always = [name for name in names if counts[name] == len(comparisons)]
    total = "" if len(comparisons) == 1 else " both" if len(comparisons) == 2 else f" all {len(comparisons)}"
    if always:
        of_all = f" in{total} comparisons" if total else ""
        return always, True, f"{names_words(always)} {'is' if len(always) == 1 else 'are'} best{of_all}"
    names.sort(key=lambda name: -counts[name])
    told = ", ".join(f"{name} in {counts[name]}" for name in [*names[1:MOST_NAMES], names[0]])
    return names, False, f"none is best in{total} comparisons: {told}"


def names_words(names):
    names = list(names)
    return listed(names if len(names) <= MOST_NAMES + 1 else [*names[:MOST_NAMES], f"{len(names) - MOST_NAMES} more"])


def host_words(row, rows):
    return f"host {layout.shortened(row['host'], 40)}" if len({other["host"] for other in rows}) > 1 else ""


def setting(axis, told):
    """The one to try: what is among the best in each comparison of every metric, unless all are."""
    comparisons = [comparison for of_metric in told for comparison in of_metric]
    names = [name for name in comparisons[0].level if all(name in comparison.level for comparison in comparisons)]
    allocators = {comparison.best["allocator"] for comparison in comparisons}
    if not names or all(comparison.behind is None for comparison in comparisons) or allocators != {"numa_alloc"}:
        return ""
    if axis == "policy":
        simplest = [name for name in (*PLAIN, OWN, *sorted(names)) if name in names][0]
        chosen = "bind:N, N being the node of the program's CPUs" if simplest == OWN else simplest
        return f"; try NUMA_ALLOC_POLICY={chosen}"
    if axis == "pages" and "default" not in names and set(names) <= set(PAGES):
        return f"; try NUMA_ALLOC_PAGES={min(names, key=PAGES.index)}"
    return ""
