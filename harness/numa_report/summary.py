"""matrix.csv: the samples of each cell as a median with its interval, a status and a penalty.

* samples that the benchmark marked as disturbed (preempted, moved, faulted, a clock set) are left out, but for rounds
  with fewer than 6 others, in which they count: the rule of bench/lib/series.h.
* median: the median of the rounds' medians. A disturbed round takes more samples than a quiet one and would outweigh
  it if all samples were thrown together.
* ci_low, ci_high: the 95 % percentile bootstrap of that median, rounds drawn first and samples within each then
  (Davison and Hinkley, "Bootstrap Methods", 1997, 3.8), so that drift between rounds widens it; 2,000 resamples, the
  same draws for all cells with as many samples in their rounds, so that the same samples give the same interval.
  Empty for a cell of one sample.
* mad: median absolute deviation from the median, in the metric's unit.
* outliers: samples whose modified z-score |x - median| / (1.4826 mad) is above 3.5 (Iglewicz and Hoaglin, 1993).
  They are counted, never removed: the median does not need it, and they say how busy the machine was.
* status, the first that holds:
    skipped    the cell cannot be measured by this process; `reason` says why
    failed     a command of the cell failed or ran past the time limit in some round; numbers are of the others
    misplaced  in some sample less than 99.9 % of the pages were on the node asked for
    noisy      fewer than 3 samples (they cannot show a spread), or the interval is wider than +-5 % of the median,
               or the rounds disagree (rounds.py). Two cells each within 5 % give a penalty within about 10 %, and
               remote memory costs at least some 20 % on today's machines: beyond that the picture would show the
               noise.
    ok
* penalty: median over the local cell's of the same host, CPU, variant and conditions (policy bind: to the CPU's own
  node), inverted where higher is better, so that above 1 is worse. Only between cells that are ok or noisy and not 0;
  empty where the CPU's node has no memory.
"""

import os
import zlib
from statistics import median

import numpy

from numa_sweep.options import size_bytes
from numa_sweep.topology import format_list

from . import tables
from .rounds import rounds_disagree, undisturbed
from .schema import (CONDITIONS, FEWEST_SAMPLES, HIGHER, MAD_TO_SIGMA, MATRIX_COLUMNS, MEASURED, OUTLIER_Z, better_of,
                     cell_id, cell_order)

RESAMPLES = 2000
CONFIDENCE = 0.95
NOISY_HALF_WIDTH = 0.05
MOST_AT_ONCE = 1_000_000  # medians of resampled rounds in memory, of 8 bytes

GROUP = ("bench", "metric", "unit", "variant", "cpu", "cpu_node", "mem_node", *CONDITIONS, "policy")


def summarise(samples, failures=None, jobs=(), run="", host=""):
    """The rows of matrix.csv. failures: {job: reason}; jobs: the plan, for the cells that gave no sample."""
    groups = {}
    for row in with_cells(samples):
        groups.setdefault((row["host"], row["cell"], row["metric"]), []).append(row)
    failed = failures_of_cells(failures or {})
    rounds = [values_of_rounds(group) for group in groups.values()]
    rows = [summarise_cell(group, of_rounds, interval, failed.get(cell)) for ((_, cell, _), group), of_rounds, interval
            in zip(groups.items(), rounds, bootstrap_intervals(rounds))]
    measured = {(row["cell"], row["metric"]) for row in rows}
    rows.extend(cells_without_samples(jobs, failed, measured, run, host))
    add_penalties(rows)
    return sorted(rows, key=cell_order)


def with_cells(samples):
    """The samples; those of a benchmark run by hand, which knows of no cells, with one made of what differs in them."""
    own = [row for row in samples if not row["cell"]]
    differing = [name for name in ("policy", *CONDITIONS) if len({row[name] for row in own}) > 1]
    for row in samples:
        cell = cell_id(row["bench"], row["variant"], row["cpu"], row["mem_node"])
        yield row if row["cell"] else {**row, "cell": ".".join([cell, *(str(row[name]) for name in differing)])}


def failures_of_cells(failures):
    """{cell id: why its runs failed, in words}"""
    of_cells = {}
    for job, reason in failures.items():
        for variant in {item.variant for item in job.expected}:
            of_cells.setdefault(job.cell_id(variant), {}).setdefault(reason, []).append(job.round)
    return {cell: "; ".join(f"round{'s' if len(rounds) > 1 else ''} {format_list(rounds)}: {reason}"
                            for reason, rounds in reasons.items()) for cell, reasons in of_cells.items()}


def values_of_rounds(group):
    """The values of each round that count, rising."""
    rounds = {}
    for row in group:
        rounds.setdefault(row["round"], []).append(row)
    return [sorted(row["value"] for row in undisturbed(rows)) for rows in rounds.values()]


def summarise_cell(group, rounds, interval, failures=None):
    first, (low, high) = group[0], interval
    round_medians = [median_of_rising(values) for values in rounds]
    middle = median(round_medians)
    values = [value for of_round in rounds for value in of_round]
    distances = sorted(abs(value - middle) for value in values)
    mad = median_of_rising(distances)
    fractions = [row["placed_fraction"] for row in group if row["placed_fraction"] is not None]
    placement = worst_placement(group)
    noise = describe_noise(len(values), middle, low, high, round_medians)
    if len(values) == 1:  # which says nothing of a spread
        low = high = None
    status = "failed" if failures else "misplaced" if placement == "failed" else "noisy" if noise else "ok"
    pages = {row["pages"] for row in group}
    return {
        **{name: first[name] for name in ("run", "host", *GROUP)}, "pages": pages.pop() if len(pages) == 1 else "mixed",
        "cell": first["cell"], "better": better_of(first["unit"], first.get("better")),
        "median": middle, "ci_low": low, "ci_high": high, "mad": mad, "samples": len(values),
        "outliers": sum(distance > OUTLIER_Z * MAD_TO_SIGMA * mad for distance in distances),
        "status": status, "penalty": None, "placement": placement,
        "placed_fraction": min(fractions) if fractions else None,
        "started_at": min(row["started_at"] for row in group), "rounds": len(rounds),
        "reason": failures if failures else noise if status == "noisy" else "",
    }


def median_of_rising(values):
    return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2


def bootstrap_intervals(cells):
    """The 95 % percentile-bootstrap interval of each cell's median of its rounds' medians.

    cells: the rising values of each of its rounds, for each cell. Those of one shape are done together.
    """
    shapes = {}
    for place, rounds in enumerate(cells):
        shapes.setdefault(tuple(sorted(map(len, rounds))), []).append(place)
    found = [None] * len(cells)
    for lengths, places in shapes.items():
        below, above = drawn_medians(lengths)
        most = max(1, MOST_AT_ONCE // below.size)
        for start in range(0, len(places), most):
            part = places[start:start + most]
            values = numpy.array([[value for of_round in sorted(cells[place], key=len) for value in of_round]
                                  for place in part])
            medians = numpy.take(values, below, axis=1)
            if above is not None:
                medians = (medians + numpy.take(values, above, axis=1)) / 2
            medians.sort(axis=2)  # quicker than numpy.median by far
            medians = (medians[:, :, (len(lengths) - 1) // 2] + medians[:, :, len(lengths) // 2]) / 2
            ends = numpy.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=1)
            for place, low, high in zip(part, *ends.tolist()):
                found[place] = low, high
    return found


def drawn_medians(lengths):
    """Where the medians of resampled rounds stand, when rounds have so many rising values, one round behind the other.

    A resample of rising values has its median at the median of the places drawn, so that it need not be looked at.
    Returns (places, places whose values to put halfway between, None where no length is even): a row a resample, a
    column a round drawn.
    """
    random = numpy.random.default_rng(zlib.crc32(repr(lengths).encode()))
    drawn = random.integers(0, len(lengths), (RESAMPLES, len(lengths)))
    below, above, first = numpy.empty_like(drawn), numpy.empty_like(drawn), 0
    for number, length in enumerate(lengths):
        where = numpy.nonzero(drawn == number)
        picks = numpy.sort(random.integers(0, length, (len(where[0]), length)), axis=1)
        below[where], above[where] = first + picks[:, (length - 1) // 2], first + picks[:, length // 2]
        first += length
    return below, None if (below == above).all() else above


def worst_placement(group):
    placements = {row["placement"] for row in group}
    return next(word for word in ("failed", "unverified", "verified") if word in placements)


def describe_noise(count, middle, low, high, round_medians):
    if count < FEWEST_SAMPLES:
        return f"{count} sample{'s' if count > 1 else ''}"
    if rounds_disagree(round_medians):
        return f"the rounds' medians differ by {share_words(max(round_medians) - min(round_medians), middle)}"
    if high - low > 2 * NOISY_HALF_WIDTH * middle:
        return f"the 95 % interval spans {share_words(high - low, middle)}"
    return ""


def share_words(part, middle):
    return f"{100 * part / middle:.0f} % of the median" if middle else f"{part:.3g} around a median of 0"


def cells_without_samples(jobs, failed, measured, run, host):
    """Rows for the cells whose runs gave nothing in any round: one for each figure that was expected."""
    rows = {}
    for job in jobs:
        for item in job.expected if job.kind != "sentinel" else ():
            cell = job.cell_id(item.variant)
            if (cell, item.metric) in measured:
                continue
            rows[cell, item.metric] = {
                "run": run, "host": host, "cell": cell, "bench": job.bench, "metric": item.metric, "unit": item.unit,
                "cpu": job.cpu, "cpu_node": job.cpu_node, "mem_node": job.mem_node, "allocator": job.allocator,
                "policy": job.policy, "pages": job.pages, "threads": job.threads,
                "size_bytes": size_bytes(job.size) if job.size else None,
                "variant": item.variant, "median": None, "samples": 0, "outliers": 0,
                "status": "skipped" if job.skip_reason else "failed", "penalty": None, "placement": None, "rounds": 0,
                "reason": job.skip_reason or failed.get(cell, ""), "better": item.better,
            }
    return list(rows.values())


def add_penalties(rows):
    def conditions(row):
        return tuple(row.get(name) for name in ("host", "bench", "metric", "variant", "cpu_node", "cpu",
                                              *CONDITIONS))

    local = {conditions(row): row["median"] for row in rows if row["status"] in MEASURED and is_local(row)}
    for row in rows:
        base = local.get(conditions(row))
        if base and row["status"] in MEASURED and row["median"]:
            row["penalty"] = base / row["median"] if row["better"] == HIGHER else row["median"] / base


def is_local(row):
    """Whether its memory is that of the CPU's own node; a benchmark run by hand may say nothing of a policy."""
    return row["mem_node"] == row["cpu_node"] and (row["policy"] or "none") in ("none", f"bind:{row['cpu_node']}")


def write_matrix(folder, rows):
    def short(value):  # more digits than any clock gives would only make differences between files
        return float(f"{value:.6g}") if isinstance(value, float) else value

    tables.write_table(os.path.join(folder, "matrix.csv"), MATRIX_COLUMNS,
                       [{name: short(row.get(name)) for name in MATRIX_COLUMNS} for row in rows])
