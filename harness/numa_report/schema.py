"""The vocabulary of the data (design.md, sections 3 and 4): columns, statuses, benchmarks, units."""

from dataclasses import dataclass

SAMPLE_COLUMNS = (
    "run", "host", "round", "cell", "bench", "metric", "unit", "cpu", "cpu_node", "mem_node", "allocator",
    "policy", "pages", "threads", "size_bytes", "variant", "value", "placement", "placed_fraction", "started_at",
    "sample",  # appended by the harness: 1-based within its cell and round, so that a doubled row is seen
)

MATRIX_COLUMNS = (
    "run", "host", "cell", "bench", "metric", "unit", "cpu", "cpu_node", "mem_node", "allocator", "policy", "pages",
    "threads", "size_bytes", "variant", "median", "ci_low", "ci_high", "mad", "samples", "outliers", "status",
    "penalty", "placement", "placed_fraction", "started_at", "rounds", "reason",
)

PLACEMENTS = ("verified", "failed", "unverified")
STATUSES = ("ok", "noisy", "misplaced", "failed", "skipped")
MEASURED = ("ok", "noisy")  # the statuses whose median is the median of what was asked for
FEWEST_SAMPLES = 3  # fewer cannot show a spread

# What tells the figure's panels apart besides the variant.
CONDITIONS = ("allocator", "pages", "threads", "size_bytes")


@dataclass(frozen=True)
class Unit:
    name: str
    higher_is_better: bool

    @property
    def better(self):
        return "higher is better" if self.higher_is_better else "lower is better"


UNITS = {unit.name: unit for unit in (Unit("ns", False), Unit("GB/s", True))}


@dataclass(frozen=True)
class Bench:
    """One program of bench/: what it reports, so that a cell that gave nothing still has its row."""

    metric: str
    unit: str
    variants: tuple
    title: str
    size_bytes: tuple  # the least and the most that its --size takes (size_min_bytes, size_max_bytes in its source)
    seconds: tuple  # what one run takes at its default size on a quiet and on a noisy machine, seen on a few


BENCHES = {
    "latency": Bench("load_latency", "ns", ("random",), "Memory latency", (512, 512 << 30), (1, 3)),
    "bandwidth": Bench("bandwidth", "GB/s", ("read", "write", "copy", "scale", "add", "triad"), "Memory bandwidth",
                       (64 << 10, 4 << 40), (4, 14)),
}


def cell_id(bench, variant, cpu, mem_node):
    return f"{bench}.{variant}.cpu{cpu}.node{mem_node}"


def cell_order(row):
    """Sort key of samples and matrix rows: benches and variants as listed above, then by CPU and node."""
    bench = BENCHES.get(row["bench"])
    benches = list(BENCHES)
    variants = bench.variants if bench else ()
    return (
        benches.index(row["bench"]) if bench else len(benches), row["bench"], row["metric"],
        variants.index(row["variant"]) if row["variant"] in variants else len(variants), row["variant"],
        row["cpu_node"], row["cpu"], row["mem_node"],
    )
