"""Which cells of two runs are the same ones, and which cannot be compared."""

from dataclasses import dataclass

from numa_report import layout
from numa_report.errors import ReportError
from numa_report.schema import MEASURED

NAMES = ("bench", "metric", "cpu_node", "threads", "variant", "allocator", "pages", "size_bytes")
ALWAYS_SAID = 1 + NAMES.index("variant")  # parts of a key, of which the first is the column
UNSAID = (None, "", "unstated")  # how a published figure says that its source does not say


@dataclass(frozen=True)
class Pair:
    """A cell of the first run and the same cell of the other; None where a run lacks it."""

    before: dict
    after: dict

    @property
    def row(self):
        return self.after or self.before


def pairs(first, other):
    """Every cell of two operands once: those of the first in its order, then those that only the other has.

    The host may differ, and so may the CPU within its node where each run measured one CPU a node. A variant, allocator,
    kind of pages or size of which a published figure says nothing matches whatever the other run has, if that is one
    thing alone; the number of threads, which a bandwidth hangs on, does not.
    """
    names = list(NAMES)
    hosts = [len({row["host"] for row in operand.rows}) for operand in (first, other)]
    if min(hosts) == 1 < max(hosts):
        fleet = (first, other)[hosts.index(max(hosts))]
        raise ReportError(f"{fleet.path}: of {max(hosts)} hosts, and the other run is of one: compare that with the "
                          "run of one host (of a fleet: hosts/NAME in its folder)")
    if min(hosts) > 1:
        names.append("host")
    if any(has_several_cpus_a_node(operand.rows) for operand in (first, other)):
        names.append("cpu")
    of_first, of_other = by_key(first.rows, names), by_key(other.rows, names)
    partners = {key: key for key in of_first if key in of_other}
    partners.update(loosely(set(of_first) - set(partners), set(of_other) - set(partners.values())))
    found = [Pair(row, of_other.get(partners.get(key))) for key, row in of_first.items()]
    taken = set(partners.values())
    return found + [Pair(None, row) for key, row in of_other.items() if key not in taken]


def has_several_cpus_a_node(rows):
    cpus = {}
    for row in rows:
        cpus.setdefault((row["host"], row["cpu_node"], row["threads"]), set()).add(row["cpu"])
    return any(len(of_node) > 1 for of_node in cpus.values())


def by_key(rows, names):
    """{what tells a cell of one run from its others: its row}; the first of those that it does not tell apart."""
    found = {}
    for row in rows:
        found.setdefault((layout.column(row), *(row[name] for name in names)), row)
    return found


def loosely(firsts, others):
    """{key of a cell that has no equal: the one key of the other run that differs in nothing that both say}."""
    candidates, claims = {}, {}
    for other in others:
        candidates.setdefault(other[:ALWAYS_SAID], []).append(other)
    for key in firsts:
        fitting = [other for other in candidates.get(key[:ALWAYS_SAID], ()) if agree(key, other)]
        if len(fitting) == 1:
            claims.setdefault(fitting[0], []).append(key)
    return {keys[0]: other for other, keys in claims.items() if len(keys) == 1}


def agree(key, other):
    return all(a == b or a in UNSAID or b in UNSAID for a, b in zip(key, other))


def why_not(pair, first, other):
    """Why a cell that both runs have cannot be compared, in words; "" where it can be."""
    before, after = pair.before, pair.after
    if before["unit"] != after["unit"] or before["better"] != after["better"]:
        return f"{before['unit']}, {layout.better_words(before)}, but {after['unit']}, {layout.better_words(after)}"
    if before["status"] == after["status"] not in MEASURED:
        return f"{before['status']} in both"
    said = [f"{row['status']} in {operand.letter}" for row, operand in ((before, first), (after, other))
            if row["status"] not in MEASURED]
    if said:
        return ", ".join(said)
    zeros = [operand.letter for row, operand in ((before, first), (after, other)) if not operand.known_of(row).median]
    return f"0 in {' and '.join(zeros)}" if len(zeros) == 1 else ""
