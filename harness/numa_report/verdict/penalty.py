"""penalty: what remote memory costs here, at most and typically."""

from statistics import median

from .. import layout
from ..schema import MEASURED, is_main
from .cells import (MOST_NAMES, QUANTITIES, WHOLE, are_apart, bracketed, conditions_words, grouped, is_bound, is_remote,
                    joined, key_of, listed, metric_words, nodes_by_cpu, nodes_with_memory, nodes_without_cpus,
                    nodes_words, path_words, series_words, value_words)

WORTH_AVOIDING = 1.10
UNEVEN = 1.01  # the worst over the median penalty from which on both are said


def penalty_line(rows, environment):
    """The remote cells over their local ones, of each benchmark and each of a program's metrics with its own table."""
    remote = [row for row in rows if row["penalty"] is not None and is_remote(row) and is_main(row["metric"])]
    if not remote:
        return f"penalty: {without_penalty(rows, environment)}"
    told = {}
    for row in remote:
        told.setdefault(metric_of(row), []).append(row)
    # The wall time and what the benchmarks measure come before what a program says of itself, then the worst.
    ranked = sorted(told, key=lambda metric: (metric[0] not in QUANTITIES and metric[1] != "wall_time",
                                              -worst_of(told[metric])["penalty"]))[:MOST_NAMES]
    locals_of = {key_of(row, *WHOLE, "cpu_node", "cpu"): row for row in rows if is_bound(row) and not is_remote(row)}
    parts = [metric_penalty(told[metric], locals_of, rows, environment) for metric in told if metric in ranked]
    if len(told) > len(ranked):
        parts.append(f"{layout.counted(len(told) - len(ranked), 'more metric')} in matrix.csv")
    return f"penalty: {'; '.join(parts)}{advice(remote, locals_of, environment)}"


def metric_of(row):
    return row["bench"] if row["bench"] in QUANTITIES else (row["bench"], row["metric"])


def worst_of(cells):
    return max(cells, key=lambda row: round(row["penalty"], 2))  # the first of those that read the same


def metric_penalty(cells, locals_of, rows, environment):
    """`latency 1.80× typically, 1.95× at most (CPUs of node 1 to memory of node 0: 3,916 ns, local 2,008 ns)`"""
    worst = worst_of(cells)
    local = locals_of.get(key_of(worst, *WHOLE, "cpu_node", "cpu"))
    most = layout.penalty_words(worst["penalty"])
    typical = layout.penalty_words(median(row["penalty"] for row in cells))
    uneven = worst["penalty"] > UNEVEN * median(row["penalty"] for row in cells)
    head = f"{typical} typically, {most} at most" if uneven else most
    if not any(costs(row, locals_of) for row in cells):
        head += ", not beyond the intervals"
    no_cpus = ", which has no CPUs" if worst["mem_node"] in nodes_without_cpus(environment) else ""
    where = joined(series_words(worst), conditions_words(worst, rows), path_words(worst, nodes_by_cpu(rows)) + no_cpus)
    beside = joined(value_words(worst), local and f"local {value_words(local)}", doubts(worst, local))
    return f"{metric_words(worst)} {head} ({where}: {beside})"


def doubts(worst, local):
    marks = [mark for row in (worst, local) if row for mark in layout.marks(row)]
    return listed(dict.fromkeys(marks))


def costs(row, locals_of):
    """Whether the cell is worse than its local one beyond their intervals."""
    local = locals_of.get(key_of(row, *WHOLE, "cpu_node", "cpu"))
    known_intervals = local and None not in (row["ci_low"], row["ci_high"], local["ci_low"], local["ci_high"])
    return row["penalty"] > 1 and (not known_intervals or are_apart(row, local))


def advice(remote, locals_of, environment):
    """What keeps a program from the penalty, where there is one; memory without CPUs cannot be had without it."""
    avoidable = [row for row in remote if row["mem_node"] not in nodes_without_cpus(environment)
                 and row["penalty"] > WORTH_AVOIDING and costs(row, locals_of)]
    if not avoidable:
        return ""
    return (f"; to avoid it, keep a program's CPUs and memory together: alloc/numa_run --cpu-nodes "
            f"{avoidable[0]['cpu_node']} --policy local -- PROGRAM")


def without_penalty(rows, environment):
    """Why there is none to tell, and what was measured instead."""
    with_memory = nodes_with_memory(environment)
    measured = [row for row in rows
                if row["status"] in MEASURED and row["median"] is not None and is_main(row["metric"])]
    of_own = [row for row in measured if row["cpu_node"] in with_memory or not with_memory]
    if measured and not of_own:
        homeless = nodes_words(row["cpu_node"] for row in measured)
        return f"not known; the CPUs of {homeless} have no memory of their own to compare with"
    if len(with_memory) == 1:
        first = [cells[0] for cells in grouped(of_own, "bench", "metric").values()][:MOST_NAMES]
        return "; ".join(["one memory node here, nothing is remote", *(
            f"{metric_words(row)}{bracketed(series_words(row))} {value_words(row)}" for row in first)])
    reasons = grouped((row for row in rows if is_remote(row) and row["status"] not in MEASURED), "status")
    counted = joined(*(f"{len(cells)} {status}" for (status,), cells in reasons.items()))
    return "not known; no remote cell was measured beside its local one" + bracketed(counted)
