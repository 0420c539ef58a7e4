"""firmware: whether SLIT and HMAT rank the nodes as measured; no memory: what is nearest to CPUs without their own.

Two memory nodes seen from one CPU are a pair; a pair is decided when the medians differ by over 10 % and their 95 %
intervals do not meet. The SLIT's distances are coarse, so only their order counts; the HMAT's latencies are ns, so its
ratios count too, to 25 %. The SLIT is about latency (ACPI 6.4, section 5.2.17) and is held against nothing else: of
fast but far memory it is right to be large.
"""

import itertools
from collections import namedtuple

from .. import layout
from .cells import (BANDWIDTH, DIFFERENT, LATENCY, MOST_NAMES, WHOLE, and_more, are_apart, bracketed, figures_of,
                    grouped, is_better, is_bound, known, nodes_with_memory, nodes_words, series_words, times, usable,
                    value_words)

RATIO_OFF = 1.25  # over this, the HMAT's ratio of two latencies is another than the measured one

# A claim of the firmware: figures is {(CPU node, memory node): figure}; `nearest` when other pairs are left out of it
# because their CPUs are farther.
Claim = namedtuple("Claim", "source quantity unit figures nearest")

# Two cells of which the firmware calls `best` the better one; the figure of the other is None where it is not given.
Pair = namedtuple("Pair", "claim best other claimed_best claimed_other outcome")


def firmware_lines(rows, environment):
    """([the line of a disagreement], [the line of an agreement]), of which at most one is not empty."""
    wrong, right = [], {}
    for source, claims in itertools.groupby(claims_of(environment), lambda claim: claim.source):
        claims = list(claims)
        pairs = [pair for claim in claims for pair in pairs_of(claim, rows)]
        contradicted = [pair for pair in pairs if pair.outcome < 0]
        ratios = [] if contradicted else [ratio for claim in claims for ratio in ratios_off(claim, rows)]
        if contradicted:
            words = contradiction_words(source, pairs, contradicted)
            wrong.append((max(map(measured_ratio, contradicted)), source, words))
        elif ratios:
            wrong.append((0, source, ratio_words(source, ratios)))
        elif pairs:
            right[source] = pairs
    if not wrong:
        return [], agreement_lines(right)
    wrong.sort(reverse=True)
    rest = [f"{source} disagrees, too" for _, source, _ in wrong[1:]]
    rest += [f"{source} agrees ({decided_words(pairs)})" for source, pairs in right.items() if decided(pairs)]
    return ["; ".join([f"firmware disagrees: {wrong[0][-1]}", *rest])], []


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


def bound(rows, quantity):
    """The cells that can speak of a memory node."""
    return [row for row in usable(rows) if row["bench"] == quantity and is_bound(row)]


def series_of(rows):
    """The cells of each series by memory node, those of one CPU and everything else in common."""
    return [{row["mem_node"]: row for row in cells} for cells in grouped(rows, *WHOLE, "cpu_node", "cpu").values()]


def pairs_of(claim, rows):
    rows = bound(rows, claim.quantity)
    for cells in series_of(rows):
        claimed = [(claim.figures.get((row["cpu_node"], row["mem_node"])), row) for row in cells.values()]
        claimed = [item for item in claimed if item[0] is not None]
        for (figure_a, a), (figure_b, b) in itertools.combinations(claimed, 2):
            if is_nearer(figure_a, figure_b, claim.quantity):
                yield Pair(claim, a, b, figure_a, figure_b, outcome(a, b))
            elif figure_a != figure_b:
                yield Pair(claim, b, a, figure_b, figure_a, outcome(b, a))
    if claim.nearest:
        yield from pairs_of_initiators(claim, rows)


def pairs_of_initiators(claim, rows):
    """Where only the nearest initiators are given: those against the other CPUs, for one memory node."""
    for cells in grouped(rows, *WHOLE, "mem_node").values():
        for a, b in itertools.permutations(cells, 2):
            figures = [claim.figures.get((row["cpu_node"], row["mem_node"])) for row in (a, b)]
            if figures[0] is not None and figures[1] is None:
                yield Pair(claim, a, b, figures[0], None, outcome(a, b))


def is_nearer(a, b, quantity):
    return a < b if quantity == LATENCY else a > b


def outcome(best, other):
    """1: measured as claimed, -1: the opposite, 0: too close to say."""
    if times(best, other) <= DIFFERENT or not are_apart(best, other):
        return 0
    return 1 if is_better(best, other) else -1


def measured_ratio(pair):
    return times(pair.best, pair.other)


def contradiction_words(source, pairs, wrong):
    worst = max(wrong, key=measured_ratio)
    counts = []
    for quantity in dict.fromkeys(pair.claim.quantity for pair in pairs):
        of_quantity = [pair for pair in pairs if pair.claim.quantity == quantity]
        counts.append(f"{sum(pair.outcome < 0 for pair in of_quantity)} of {len(of_quantity)} {quantity} pairs")
    return (f"{source} says {claim_words(worst)}; measured {value_words(worst.best)} against "
            f"{value_words(worst.other)}{bracketed(series_words(worst.best))}; the opposite in {', '.join(counts)}")


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
    for cells in series_of(bound(rows, claim.quantity)):
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


def ratio_words(source, ratios):
    _, claim, base, row = max(ratios, key=lambda ratio: ratio[0])
    near, far = (claim.figures[cell["cpu_node"], cell["mem_node"]] for cell in (base, row))
    return (f"{source} says that from CPUs of node {row['cpu_node']} memory of node "
            f"{row['mem_node']} costs {far / near:.2f} times that of node {base['mem_node']} ({figure_words(far)} "
            f"against {figure_words(near)} ns); measured {row['median'] / base['median']:.2f} times "
            f"({value_words(row)} against {value_words(base)}); off in {layout.counted(len(ratios), 'pair')}")


def agreement_lines(agreeing):
    """agreeing: {source: its pairs}, none of which is contradicted."""
    pairs = [pair for of_source in agreeing.values() for pair in of_source]
    if not pairs:
        return []
    sources, ends = " and ".join(agreeing), "s" if len(agreeing) == 1 else ""
    if not decided(pairs):
        return [f"firmware: {sources} cannot be judged; {layout.counted(len(pairs), 'pair')} of nodes, none apart by "
                f"over {100 * (DIFFERENT - 1):.0f} % and beyond the intervals"]
    shown = max(decided(pairs), key=lambda pair: (pair.claim.quantity == LATENCY, pair.claimed_other is not None,
                                                  measured_ratio(pair)))
    said = [f"{pair.claim.source} {claimed_words(pair)}" for pair in decided(pairs)
            if pair.best is shown.best and pair.other is shown.other]
    said.append(f"measured {value_words(shown.best)} against {value_words(shown.other)}")
    return [f"firmware agrees: {sources} rank{ends} the nodes as measured ({decided_words(pairs)}); "
            f"{cells_words(shown)}: {', '.join(said)}"]


def decided(pairs):
    return [pair for pair in pairs if pair.outcome > 0]


def decided_words(pairs):
    """`4 of 5 pairs, the others too close to tell`"""
    rest = "" if len(decided(pairs)) == len(pairs) else ", the others too close to tell"
    return f"{len(decided(pairs))} of {layout.counted(len(pairs), 'pair')}{rest}"


def claimed_words(pair):
    other = "more" if pair.claimed_other is None else figure_words(pair.claimed_other)
    return f"{figure_words(pair.claimed_best)} against {other} {pair.claim.unit}".rstrip()


def cells_words(pair):
    """Which two cells: of one CPU node, or of one memory node."""
    best, other = pair.best, pair.other
    if best["cpu_node"] == other["cpu_node"]:
        return f"from CPUs of node {best['cpu_node']} memory of node {best['mem_node']} against {other['mem_node']}"
    return f"memory of node {best['mem_node']} from CPUs of node {best['cpu_node']} against {other['cpu_node']}"


def without_memory_lines(rows, environment):
    """For the CPUs of nodes without memory: which node's is nearest to them, where one is beyond the intervals."""
    with_memory, nearest = nodes_with_memory(environment), {}
    for cells in series_of(bound(rows, LATENCY)):
        best, *others = sorted(cells.values(), key=lambda row: row["median"])
        if with_memory and best["cpu_node"] not in with_memory and others and outcome(best, others[0]) > 0:
            nearest.setdefault(best["cpu_node"], (best, others[0]))
    if not nearest:
        return []
    told = [f"nearest to node {node} is memory of node {best['mem_node']}, {value_words(best)} against "
            f"{value_words(other)} of node {other['mem_node']}" for node, (best, other) in nearest.items()]
    told = ", ".join([*told[:MOST_NAMES], *and_more(len(told) - MOST_NAMES)])
    return [f"no memory: the CPUs of {nodes_words(nearest)} have none of their own; {told}"]
