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

# A metric of a host that is apart: deviation is the median of its cells', worst the farthest as (cell, value, the fleet's).
Odd = namedtuple("Odd", "host bench metric unit deviation apart cells direction worst")
Lacking = namedtuple("Lacking", "host lacking cells example")


def says_something(metric):
    """Whether hosts are compared by it: not by what a command used besides its time, which varies with everything."""
    return metric == "wall_time" or metric not in RESOURCES


class Medians:
    """The medians of every cell of every host."""

    def __init__(self):
        self.of_model = {}  # CPU model: {(bench, metric, unit, cell): {host: median, None where it was not measured}}
        self.hosts = {}  # CPU model: hosts

    def add(self, host, model, row):
        self.hosts.setdefault(model, {})[host] = True
        if says_something(row.metric):
            cells = self.of_model.setdefault(model, {})
            key = row.bench, row.metric, row.unit, row.cell
            cells.setdefault(key, {})[host] = row.median if row.status in MEASURED else None

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


def odd_of(cells):
    counts, apart = {}, {}
    for (bench, metric, unit, cell), values in cells.items():
        measured = {host: value for host, value in values.items() if value is not None}
        if len(measured) < FEWEST_HOSTS:
            continue
        middle = median(measured.values())
        if middle == 0:
            continue
        sigma = max(MAD_TO_SIGMA * median(abs(value - middle) for value in measured.values()), LEAST_SIGMA * middle)
        for host, value in measured.items():
            key = host, bench, metric, unit
            counts[key] = counts.get(key, 0) + 1
            if abs(value - middle) > max(APART * middle, APART_Z * sigma):
                apart.setdefault(key, []).append((value / middle - 1, cell, value, middle))
    for key, found in apart.items():
        if 2 * len(found) >= counts[key]:
            deviations = [deviation for deviation, *_ in found]
            direction = "above" if min(deviations) > 0 else "below" if max(deviations) < 0 else "apart from"
            worst = max(found, key=lambda item: abs(item[0]))
            yield Odd(*key, median(deviations), len(found), counts[key], direction, worst[1:])


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
    # One benchmark's only metric is called by the benchmark's name.
    what = odd.bench if odd.metric in ("load_latency", "bandwidth") else f"{odd.bench}'s {odd.metric}"
    cell, value, middle = odd.worst
    return (f"odd: {odd.host}: {what} {100 * abs(odd.deviation):.0f} % {odd.direction} the fleet's median in {odd.apart} of "
            f"{counted(odd.cells, 'cell')} (worst: {cell}: {value_words(value)} {odd.unit} against {value_words(middle)})")


def lacking_words(lacking):
    return (f"odd: {lacking.host}: has no row for {lacking.lacking} of the {counted(lacking.cells, 'cell')} that most "
            f"hosts have ({lacking.example})")
