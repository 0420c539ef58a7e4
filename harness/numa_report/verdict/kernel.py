"""NUMA balancing, THP: settings of the kernel that were in the way of the figures, or of better ones."""

from .. import layout
from .cells import LATENCY, MOST_NAMES, known, usable
from .trust import is_misplaced, measured_cells

BINDING = ("bind:", "preferred:", "interleave:", "weighted:")

# From this size on a random load of base pages pays for page walks: no second-level TLB reaches farther. x86-64: 4,096
# entries of 4 KiB (AMD, "Software Optimization Guide for the AMD Zen5 Microarchitecture", 58455; Intel's have fewer).
# Elsewhere base pages may be of 64 KiB.
WALKS_FROM_BYTES, WALKS_FROM_BYTES_ELSEWHERE = 16 << 20, 256 << 20
THP_SWITCH = "/sys/kernel/mm/transparent_hugepage/enabled"


def balancing_lines(rows, environment):
    """When it is on and had something to move: memory without a policy, or pages gone astray."""
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
        fractions = [row["placed_fraction"] for row in misplaced if row.get("placed_fraction") is not None]
        reasons.append(f"{layout.counted(len(misplaced), 'cell')} misplaced"
                       + (f" (down to {100 * min(fractions):.3g} % in place)" if fractions else ""))
    if not reasons:
        return []
    return [f"NUMA balancing: it is on ({setting}), with which the kernel migrates pages of unbound memory: "
            f"{', '.join(reasons)}; as root, `sysctl kernel.numa_balancing=0` turns it off"]


def huge_page_lines(rows, environment):
    """That latencies are of base pages since the kernel makes none huge unasked, unless other pages were compared."""
    setting = known(environment.get("transparent_hugepages")).get("enabled")
    least = WALKS_FROM_BYTES if environment.get("architecture") == "x86_64" else WALKS_FROM_BYTES_ELSEWHERE
    told = [row for row in usable(rows) if row["bench"] == LATENCY and row["pages"] == "default"
            and (row["size_bytes"] or 0) >= least]
    compared = any(row["pages"] not in ("default", "", None) for row in rows)
    if setting not in ("never", "madvise") or not told or compared:
        return []
    first = f"as root, `echo madvise > {THP_SWITCH}`; then " if setting == "never" else ""
    size = layout.size_words(told[0]["size_bytes"])
    return [f"THP: '{setting}' here, so the {size} that latency walks are in base pages, and its figures contain page "
            f"walks; {first}--pages default,thp measures what huge pages save, and NUMA_ALLOC_PAGES=thp gives them to "
            "a program"]
