"""A run in a few lines of words, each with its figures: what remote memory costs, and what to be wary of.

* penalty: the worst remote cell over its local one.
* firmware: whether SLIT and HMAT rank the nodes as measured. Two memory nodes seen from one CPU are a pair; a pair is
  decided when the medians differ by over 10 % and their 95 % intervals do not meet. The SLIT's distances are coarse,
  so only their order counts; the HMAT's latencies are ns, so its ratios count too, to 25 %. The SLIT is about
  latency (ACPI 6.4, section 5.2.17) and is held against nothing else: of fast but far memory it is right to be large.
* misplaced: cells whose pages were not on the node asked for.
* drift: that the sentinel, one cell measured again and again through the run, moved: its first third against its last
  by over 5 %, or its whole range by over 10 %.
* NUMA balancing: said when it is on and had something to move: memory without a policy, or pages gone astray.
"""

import itertools
import os
from collections import namedtuple
from statistics import median

from . import layout
from .errors import whole_file
from .rounds import round_medians
from .schema import CONDITIONS, FEWEST_SAMPLES, HIGHER, MEASURED, PLACED, is_main

FILE = "verdict.txt"
DRIFT, DRIFT_RANGE = 0.05, 0.10
DIFFERENT = 1.10  # over this, the order of two medians is a fact
RATIO_OFF = 1.25  # over this, the HMAT's ratio of two latencies is another than the measured one
BINDING = ("bind:", "preferred:", "interleave:", "weighted:")
MOST_NAMES = 3

# The quantities compared have the names of the benchmarks that measure them; another benchmark's cells are not judged.
LATENCY, BANDWIDTH = QUANTITIES = ("latency", "bandwidth")

# A claim of the firmware: figures is {(CPU node, memory node): figure}; `nearest` when other pairs are left out of it
# because their CPUs are farther.
Claim = namedtuple("Claim", "source quantity unit figures nearest")

# Two cells of which the firmware calls `best` the better one; the figure of the other is None where it is not given.
Pair = namedtuple("Pair", "claim best other claimed_best claimed_other outcome")


def lines(rows, environment, sentinels=()):
    """A few: the rows of matrix.csv and of sentinel.csv, and what environment.json says, in words."""
    return [penalty_line(rows), *firmware_lines(rows, environment), *misplaced_lines(rows), *drift_lines(sentinels),
            *balancing_lines(rows, environment)]


def save(folder, words):
    with whole_file(os.path.join(folder, FILE), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in words)


def penalty_line(rows):
    """The worst remote cell of each benchmark, and of each of a program's metrics that has a table of its own."""
    worst = {}
    for row in rows:
        remote = row["mem_node"] is not None and row["cpu_node"] != row["mem_node"]
        if row["penalty"] is not None and remote and is_main(row["metric"]):
            quantity = row["bench"] if row["bench"] in QUANTITIES else (row["bench"], row["metric"])
            worst[quantity] = max(worst.get(quantity, row), row, key=lambda row: round(row["penalty"], 2))
    if not worst:
        return "penalty: not known; no remote cell was measured beside its local one"
    told = sorted(worst.values(), key=lambda row: (row["bench"] not in QUANTITIES and row["metric"] != "wall_time",
                                                   -row["penalty"]))[:MOST_NAMES]
    parts = [worst_words(row, rows) for row in worst.values() if row in told]
    if len(worst) > len(told):
        parts.append(f"{layout.counted(len(worst) - len(told), 'more metric')} in matrix.csv")
    return f"penalty: at most {'; '.join(parts)}"


def worst_words(row, rows):
    local = next((other for other in rows if series_key(other) == series_key(row) and layout.column(other) ==
                  row["cpu_node"] and other["median"] is not None), None)
    beside = f", local {value_words(local)}" if local else ""
    noisy = " (noisy)" if "noisy" in (row["status"], local and local["status"]) else ""
    return (f"{layout.penalty_words(row['penalty'])} in {quantity_words(row)}, CPUs of node {row['cpu_node']} to "
            f"memory of node {row['mem_node']}{conditions_words(row, rows)}: {value_words(row)}{beside}{noisy}")


def conditions_words(row, rows):
    """` (allocator glibc, pages thp)`: what tells the row's panel from its figure's others, but for the variant."""
    figure = [other for other in rows if (other["bench"], other["metric"]) == (row["bench"], row["metric"])]
    words = [layout.condition_words(name, row[name]) for name in layout.varying(figure)
             if row[name] and not (name == "threads" and row["bench"] == BANDWIDTH)]
    return f" ({', '.join(layout.shortened(word, 40) for word in words)})" if words else ""


def quantity_words(row):
    """`latency`, `bandwidth (copy, 1 thread)`, `redis-server's wall_time`"""
    if row["bench"] in QUANTITIES:
        return row["bench"] + series_words(row)
    return f"{layout.shortened(row['bench'], 30)}'s {layout.shortened(row['metric'], 40)}"


def drift_lines(sentinels):
    """sentinels: the rows of sentinel.csv, whose `round` counts the sentinel's runs in the order of time.

    One line, for the figure that moved most.
    """
    found = []
    told = [row for row in sentinels if is_main(row["metric"])]  # page faults and the like move for many reasons
    for rows in grouped(told, lambda row: (row["metric"], row["variant"])).values():
        runs = round_medians(dict(sorted(grouped(rows, lambda row: row["round"]).items())))
        if len(runs) < FEWEST_SAMPLES:
            continue
        third = max(1, len(runs) // 3)
        first, last, middle = median(runs[:third]), median(runs[-third:]), median(runs)
        moved, spread = (last - first) / first if first else 0, (max(runs) - min(runs)) / middle if middle else 0
        if abs(moved) > DRIFT or spread > DRIFT_RANGE:
            figures = [layout.quantity_words(value, rows[0]["unit"]) for value in (first, last, min(runs), max(runs))]
            found.append((max(abs(moved), spread / 2), sentinel_words(rows[0]), *figures, f"{100 * moved:+.0f} %"))
    if not found:
        return []
    _, cell, first, last, least, most, moved = max(found)
    return [f"drift: the sentinel, {cell}, went from {first} at first to {last} at last ({moved}), between {least} and "
            f"{most}: cells measured at different times can be compared no more closely than that"]


def sentinel_words(row):
    metric = "" if row["bench"] in QUANTITIES else f"'s {layout.shortened(row['metric'], 40)}"
    return layout.shortened(row["cell"], 60) + metric


def grouped(rows, key):
    found = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def series_key(row, *more):
    """What the cells of one series have in common: everything but the memory node."""
    return tuple(row.get(name) for name in ("bench", "metric", "variant", *CONDITIONS, *(more or ("cpu",))))


def series_words(row):
    """` (copy, 1 thread)`; nothing for a latency."""
    words = [layout.shortened(row["variant"], 20)]
    if row.get("threads"):
        words.append(layout.counted(row["threads"], "thread"))
    return f" ({', '.join(words)})" if row["bench"] == BANDWIDTH else ""


def value_words(row):
    return layout.quantity_words(row["median"], row["unit"])


def firmware_lines(rows, environment):
    """One line for each source that is contradicted, one for those that are not."""
    found, agreeing = [], {}
    for source, claims in itertools.groupby(claims_of(environment), lambda claim: claim.source):
        claims = list(claims)
        pairs = [pair for claim in claims for pair in pairs_of(claim, rows)]
        wrong = [pair for pair in pairs if pair.outcome < 0]
        ratios = [] if wrong else [ratio for claim in claims for ratio in ratios_off(claim, rows)]
        if wrong:
            found.append(contradiction_line(source, pairs, wrong))
        elif ratios:
            found.append(ratio_line(source, ratios))
        elif pairs:
            agreeing[source] = pairs
    return found + agreement_lines(agreeing)


def claims_of(environment):
    topology, firmware = (known(environment.get(name)) for name in ("topology", "firmware"))
    distances = figures_of(topology.get("distances"))
    claims = [Claim("SLIT", LATENCY, "", distances, False)] if distances else []
    source, nearest = known(firmware.get("hmat")), False
    if not source:
        source, nearest = known(firmware.get("nearest")), True
    for name, quantity, unit in (("read_latency", LATENCY, "ns"), ("read_bandwidth", BANDWIDTH, "MB/s")):
        figures = figures_of(source.get(name))
        if figures:
            claims.append(Claim("HMAT", quantity, unit, figures, nearest))
    return claims


def known(value):
    return value if isinstance(value, dict) else {}


def figures_of(table):
    """{(CPU node, memory node): figure}, of whatever in the table is one."""
    return {(int(initiator), int(target)): figure for initiator, row in known(table).items()
            for target, figure in known(row).items()
            if is_id(initiator) and is_id(target) and type(figure) in (int, float) and 0 < figure < 1e18}


def is_id(word):
    return isinstance(word, str) and word.isascii() and word.isdigit() and len(word) < 10


def usable(rows, quantity):
    """The cells that can speak of a memory node: those that are bound to it."""
    return [row for row in rows if row["bench"] == quantity and row["status"] in MEASURED
            and row["samples"] >= FEWEST_SAMPLES and row["ci_low"] is not None and row["ci_high"] is not None
            and layout.column(row) == row["mem_node"]]


def series_of(rows):
    """The cells of each series by memory node, those of one CPU and everything else in common."""
    series = {}
    for row in rows:
        series.setdefault(series_key(row), {})[row["mem_node"]] = row
    return list(series.values())


def pairs_of(claim, rows):
    rows = usable(rows, claim.quantity)
    for cells in series_of(rows):
        claimed = [(claim.figures.get((row["cpu_node"], row["mem_node"])), row) for row in cells.values()]
        claimed = [item for item in claimed if item[0] is not None]
        for (figure_a, a), (figure_b, b) in itertools.combinations(claimed, 2):
            if is_better(figure_a, figure_b, claim.quantity):
                yield Pair(claim, a, b, figure_a, figure_b, outcome(a, b))
            elif figure_a != figure_b:
                yield Pair(claim, b, a, figure_b, figure_a, outcome(b, a))
    if claim.nearest:
        yield from pairs_of_initiators(claim, rows)


def pairs_of_initiators(claim, rows):
    """Where only the nearest initiators are given: those against the other CPUs, for one memory node."""
    series = {}
    for row in rows:
        series.setdefault(series_key(row, "mem_node"), []).append(row)
    for cells in series.values():
        for a, b in itertools.permutations(cells, 2):
            figures = [claim.figures.get((row["cpu_node"], row["mem_node"])) for row in (a, b)]
            if figures[0] is not None and figures[1] is None:
                yield Pair(claim, a, b, figures[0], None, outcome(a, b))


def is_better(a, b, quantity):
    return a < b if quantity == LATENCY else a > b


def outcome(best, other):
    """1: measured as claimed, -1: the opposite, 0: too close to say."""
    low, high = sorted((best, other), key=lambda row: row["median"])
    if high["median"] <= DIFFERENT * low["median"] or low["ci_high"] >= high["ci_low"]:
        return 0
    better = high if low["better"] == HIGHER else low
    return 1 if better is best else -1


def measured_ratio(pair):
    a, b = pair.best["median"], pair.other["median"]
    return max(a, b) / min(a, b)


def contradiction_line(source, pairs, wrong):
    worst = max(wrong, key=measured_ratio)
    counts = []
    for quantity in dict.fromkeys(pair.claim.quantity for pair in pairs):
        of_quantity = [pair for pair in pairs if pair.claim.quantity == quantity]
        counts.append(f"{sum(pair.outcome < 0 for pair in of_quantity)} of {len(of_quantity)} {quantity} pairs")
    return (f"firmware disagrees: {source} says {claim_words(worst)}; measured {value_words(worst.best)} against "
            f"{value_words(worst.other)}{series_words(worst.best)}; the opposite in {', '.join(counts)}")


def claim_words(pair):
    best, other = pair.best, pair.other
    if best["cpu_node"] != other["cpu_node"]:
        return (f"that memory of node {best['mem_node']} is nearest to CPUs of node {best['cpu_node']} "
                f"({figure_words(pair.claimed_best)} {pair.claim.unit}), not to those of node {other['cpu_node']}")
    adjective = "nearer" if pair.claim.quantity == LATENCY else "faster"
    return (f"that from CPUs of node {best['cpu_node']} memory of node {best['mem_node']} is {adjective} than of node "
            f"{other['mem_node']} ({claimed_words(pair)})")


def figure_words(figure):
    return f"{figure:,.0f}" if figure >= 10 else f"{figure:.3g}"


def ratios_off(claim, rows):
    """(how far off, claim, base row, row) where a claimed ratio of latencies is outside the measured one's interval."""
    if claim.unit != "ns":
        return
    for cells in series_of(usable(rows, claim.quantity)):
        claimed = {node: claim.figures[row["cpu_node"], node] for node, row in cells.items()
                   if (row["cpu_node"], node) in claim.figures}
        if not claimed:
            continue
        local = next(iter(cells.values()))["cpu_node"]
        base = local if local in claimed else min(claimed, key=claimed.get)
        for node in claimed:
            ratio = claimed[node] / claimed[base]
            low, high = (cells[node][a] / cells[base][b] for a, b in (("ci_low", "ci_high"), ("ci_high", "ci_low")))
            off = max(ratio / high, low / ratio)
            if node != base and off > RATIO_OFF:
                yield off, claim, cells[base], cells[node]


def ratio_line(source, ratios):
    _, claim, base, row = max(ratios, key=lambda ratio: ratio[0])
    near, far = (claim.figures[cell["cpu_node"], cell["mem_node"]] for cell in (base, row))
    return (f"firmware disagrees: {source} says that from CPUs of node {row['cpu_node']} memory of node "
            f"{row['mem_node']} costs {far / near:.2f} times that of node {base['mem_node']} ({figure_words(far)} "
            f"against {figure_words(near)} ns); measured {row['median'] / base['median']:.2f} times "
            f"({value_words(row)} against {value_words(base)}); off in {layout.counted(len(ratios), 'pair')}")


def agreement_lines(agreeing):
    """agreeing: {source: its pairs}, none of which is contradicted."""
    pairs = [pair for of_source in agreeing.values() for pair in of_source]
    if not pairs:
        return []
    decided = [pair for pair in pairs if pair.outcome > 0]
    sources, ends = " and ".join(agreeing), "s" if len(agreeing) == 1 else ""
    if not decided:
        return [f"firmware: {sources} cannot be judged; {layout.counted(len(pairs), 'pair')} of nodes, none apart by "
                f"over {100 * (DIFFERENT - 1):.0f} % and beyond the intervals"]
    shown = max(decided, key=lambda pair: (pair.claim.quantity == LATENCY, pair.claimed_other is not None,
                                           measured_ratio(pair)))
    said = [f"{pair.claim.source} {claimed_words(pair)}" for pair in decided
            if pair.best is shown.best and pair.other is shown.other]
    said.append(f"measured {value_words(shown.best)} against {value_words(shown.other)}")
    rest = "" if len(decided) == len(pairs) else ", the others too close to tell"
    return [f"firmware agrees: {sources} rank{ends} the nodes as measured ({len(decided)} of {len(pairs)} pairs{rest})"
            f"; {cells_words(shown)}: {', '.join(said)}"]


def claimed_words(pair):
    other = "more" if pair.claimed_other is None else figure_words(pair.claimed_other)
    return f"{figure_words(pair.claimed_best)} against {other} {pair.claim.unit}".rstrip()


def cells_words(pair):
    """Which two cells: of one CPU node, or of one memory node."""
    best, other = pair.best, pair.other
    if best["cpu_node"] == other["cpu_node"]:
        return f"from CPUs of node {best['cpu_node']} memory of node {best['mem_node']} against {other['mem_node']}"
    return f"memory of node {best['mem_node']} from CPUs of node {best['cpu_node']} against {other['cpu_node']}"


def placed_fraction(row):
    """None where it is not known."""
    try:
        fraction = float(row.get("placed_fraction"))
    except (TypeError, ValueError):
        return None
    return fraction if 0 <= fraction <= 1 else None


def is_misplaced(row):
    return row["placement"] == "failed" or (placed_fraction(row) is not None and placed_fraction(row) < PLACED)


def measured_cells(rows):
    """A row of each: what all of a command's metrics have in common stands in every one."""
    return list({row["cell"]: row for row in reversed(rows) if row["median"] is not None}.values())[::-1]


def misplaced_lines(rows):
    measured = measured_cells(rows)
    misplaced = [row for row in measured if is_misplaced(row)]
    if not misplaced:
        return []
    misplaced.sort(key=lambda row: -1 if placed_fraction(row) is None else placed_fraction(row))
    names = [f"{layout.shortened(row['cell'], 60)} ({fraction_words(row)} in place)" for row in misplaced[:MOST_NAMES]]
    if len(misplaced) > MOST_NAMES:
        names.append(f"{len(misplaced) - MOST_NAMES} more")
    return [f"misplaced: {len(misplaced)} of {layout.counted(len(measured), 'cell')} had pages elsewhere than on the "
            f"node asked for: {', '.join(names)}"]


def fraction_words(row):
    fraction = placed_fraction(row)
    return "unknown" if fraction is None else f"{100 * fraction:.3g} %"


def balancing_lines(rows, environment):
    setting = environment.get("numa_balancing")
    if type(setting) is not int or setting == 0:
        return []
    measured = measured_cells(rows)
    unbound = [row for row in measured if row.get("policy") and not row["policy"].startswith(BINDING)]
    misplaced = [row for row in measured if is_misplaced(row)]
    reasons = []
    if unbound:
        policies = sorted({layout.shortened(row["policy"], 20) for row in unbound})[:MOST_NAMES]
        reasons.append(f"{len(unbound)} of {layout.counted(len(measured), 'cell')} without a binding policy "
                       f"({', '.join(policies)})")
    if misplaced:
        fractions = [placed_fraction(row) for row in misplaced if placed_fraction(row) is not None]
        reasons.append(f"{layout.counted(len(misplaced), 'cell')} misplaced"
                       + (f" (down to {100 * min(fractions):.3g} % in place)" if fractions else ""))
    if not reasons:
        return []
    return [f"NUMA balancing is on ({setting}), with which the kernel migrates pages of unbound memory: "
            f"{', '.join(reasons)}; `sysctl kernel.numa_balancing=0` turns it off"]
