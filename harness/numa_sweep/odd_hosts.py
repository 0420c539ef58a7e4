"""Which hosts of a fleet are not like the others.

A host is compared with those of its CPU model, at least 3 of them, cell by cell. A cell of it is apart when its median is
over 5 % from the median of the hosts' medians, and over 3.5 robust standard deviations: |x - median| / max(1.4826 MAD, 1 %
of the median) (Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993; the 1 % is for hosts that agree better
than a median can be measured). A host is odd when at least half of the cells of a metric are apart, or when it has no row
for cells that over half of the hosts have.
"""

from collections import namedtuple
from statistics import median

from numa_report.layout import counted, value_words
from numa_report.schema import MAD_TO_SIGMA, MEASURED, RESOURCES

FEWEST_HOSTS = 3
APART = 0.05
APART_Z = 3.5
LEAST_SIGMA = 0.01  # of the median

# What comparable hosts have in a cell. sigma: a robust standard deviation; limit: what is farther off is apart.
Usual = namedtuple("Usual", "median sigma limit")
# A cell in which a host is apart; deviation: a share of the hosts' median; z: in robust standard deviations.
Apart = namedtuple("Apart", "cell value median deviation z")
# A metric of a host that is apart. deviation: the median of the cells'; cells: how many were compared; apart: [Apart],
# the farthest first.
Odd = namedtuple("Odd", "host bench metric unit deviation cells direction apart")
Lacking = namedtuple("Lacking", "host lacking cells example")


def says_something(metric):
    """Whether hosts are compared by it: not by what a command used besides its time, which varies with everything."""
    return metric == "wall_time" or metric not in RESOURCES


def key_of(row):
    """What makes a cell of one host comparable with that of another."""
    return row.bench, row.metric, row.unit, row.cell


class Medians:
    """The medians of every cell of every host."""

    def __init__(self):
        self.of_model = {}  # CPU model: {(bench, metric, unit, cell): {host: median, None where it was not measured}}
        self.hosts = {}  # CPU model: hosts

    def add(self, host, model, row):
        self.hosts.setdefault(model, {})[host] = True
        if says_something(row.metric):
            cells = self.of_model.setdefault(model, {})
            cells.setdefault(key_of(row), {})[host] = row.median if row.status in MEASURED else None

    def models(self):
        """(hosts, cells) of each model that can be judged."""
        return [(list(self.hosts[model]), cells) for model, cells in self.of_model.items()
                if len(self.hosts[model]) >= FEWEST_HOSTS]

    def not_judged(self):
        return [host for hosts in self.hosts.values() if len(hosts) < FEWEST_HOSTS for host in hosts]

    def odd(self):
        """Odd of every host and metric that is, the farthest first."""
        found = [odd for _, cells in self.models() for odd in odd_of(cells)]
        return sorted(found, key=lambda odd: (-abs(odd.deviation), odd.host, odd.bench, odd.metric))

    def lacking(self):
        return [lacking for hosts, cells in self.models() for lacking in lacking_of(hosts, cells)]


def usual(values):
    """Usual of a cell; None where it cannot be told.

    values: {host: its median, None where it was not measured}, in the metric's unit.
    """
    measured = [value for value in values.values() if value is not None]
    middle = median(measured) if len(measured) >= FEWEST_HOSTS else 0
    if middle == 0:
        return None
    sigma = max(MAD_TO_SIGMA * median(abs(value - middle) for value in measured), LEAST_SIGMA * middle)
    return Usual(middle, sigma, max(APART * middle, APART_Z * sigma))


def compared(cells):
    """(host, (bench, metric, unit), Apart, whether it is) of each host and cell that can be compared.

    cells: of one CPU model, as in Medians.of_model.
    """
    for (*metric, cell), values in cells.items():
        known = usual(values)
        for host, value in values.items() if known else ():
            if value is not None:
                distance = value - known.median
                yield host, tuple(metric), Apart(cell, value, known.median, distance / known.median,
                                                 distance / known.sigma), abs(distance) > known.limit


def odd_of(cells):
    counts, apart = {}, {}
    for host, metric, figure, is_apart in compared(cells):
        key = host, *metric
        counts[key] = counts.get(key, 0) + 1
        if is_apart:
            apart.setdefault(key, []).append(figure)
    for key, found in apart.items():
        if 2 * len(found) >= counts[key]:
            deviations = [figure.deviation for figure in found]
            direction = "above" if min(deviations) > 0 else "below" if max(deviations) < 0 else "apart from"
            yield Odd(*key, median(deviations), counts[key], direction,
                      sorted(found, key=lambda figure: -abs(figure.deviation)))


def lacking_of(hosts, cells):
    usual = [(key[-1], values) for key, values in cells.items() if 2 * len(values) > len(hosts)]
    for host in hosts:
        missing = [cell for cell, values in usual if host not in values]
        if missing:
            yield Lacking(host, len(missing), len(usual), missing[0])


def lines(medians, odd, lacking):
    """The verdict on the hosts, in words."""
    words = [odd_words(item) for item in odd] + [lacking_words(item) for item in lacking]
    alone = medians.not_judged()
    judged = sum(len(hosts) for hosts, _ in medians.models())
    if not words and judged:
        words = [f"odd: none of {judged} hosts is over {100 * APART:.0f} % apart from the others in half of its cells"]
    if alone:
        shown = ", ".join(alone[:5]) + (f" and {len(alone) - 5} more" if len(alone) > 5 else "")
        words.append(f"odd: not judged: {shown}; it takes {FEWEST_HOSTS} hosts with the same CPU to tell")
    return words


def odd_words(odd):
    return f"odd: {odd.host}: {metric_words(odd)}"


def metric_words(odd):
    # One benchmark's only metric is called by the benchmark's name.
    what = odd.bench if odd.metric in ("load_latency", "bandwidth") else f"{odd.bench}'s {odd.metric}"
    worst = odd.apart[0]
    return (f"{what} {100 * abs(odd.deviation):.0f} % {odd.direction} the fleet's median in {len(odd.apart)} of "
            f"{counted(odd.cells, 'cell')} (worst: {worst.cell}: {value_words(worst.value)} {odd.unit} against "
            f"{value_words(worst.median)})")


def lacking_words(lacking):
    return (f"odd: {lacking.host}: has no row for {lacking.lacking} of the {counted(lacking.cells, 'cell')} that most "
            f"hosts have ({lacking.example})")
