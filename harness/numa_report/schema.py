"""The vocabulary of the data (design.md, sections 3 and 4): columns, statuses, benchmarks, units."""

from dataclasses import dataclass

SAMPLE_COLUMNS = (
    "run", "host", "round", "cell", "bench", "metric", "unit", "cpu", "cpu_node", "mem_node", "allocator",
    "policy", "pages", "threads", "size_bytes", "variant", "value", "placement", "placed_fraction", "started_at",
    "sample",  # appended by the harness: 1-based within its cell and round, so that a doubled row is seen
    "better",  # lower or higher: which of two values is to be wished for
)

MATRIX_COLUMNS = (
    "run", "host", "cell", "bench", "metric", "unit", "cpu", "cpu_node", "mem_node", "allocator", "policy", "pages",
    "threads", "size_bytes", "variant", "median", "ci_low", "ci_high", "mad", "samples", "outliers", "status",
    "penalty", "placement", "placed_fraction", "started_at", "rounds", "reason", "better",
)

PLACEMENTS = ("verified", "failed", "unverified")
STATUSES = ("ok", "noisy", "misplaced", "failed", "skipped")
MEASURED = ("ok", "noisy")  # the statuses whose median is the median of what was asked for
FEWEST_SAMPLES = 3  # fewer cannot show a spread
MAD_TO_SIGMA = 1.4826  # of normally distributed samples
OUTLIER_Z = 3.5  # modified z-score above which a sample is called an outlier (Iglewicz and Hoaglin, 1993)
PLACED = 0.999  # of the pages: what is called verified
LOWER, HIGHER = BETTER = ("lower", "higher")

PAGES = ("default", "thp", "2M", "1G")

# What tells the figure's panels apart besides the variant.
CONDITIONS = ("allocator", "pages", "threads", "size_bytes")


def better_of(unit, better=None):
    """Which of two values is the better one: what the data say, or what the unit lets one expect."""
    return better or (HIGHER if unit.endswith("/s") else LOWER)


COMMAND = "command"  # the variant of a user's command


@dataclass(frozen=True)
class Resource:
    """What run_cell records of every command (getrusage(2)); of a user's command these are metrics."""

    unit: str
    title: str
    better: str = LOWER


RESOURCES = {
    "wall_time": Resource("s", "Wall time"), "user_time": Resource("s", "User time"),
    "system_time": Resource("s", "System time"), "peak_memory": Resource("B", "Peak memory"),
    "minor_faults": Resource("faults", "Minor page faults"), "major_faults": Resource("faults", "Major page faults"),
}


@dataclass(frozen=True)
class Bench:
    """One program of bench/: what it reports, so that a cell that gave nothing still has its row."""

    metric: str
    unit: str
    variants: tuple
    title: str
    size_bytes: tuple  # the least and the most that its --size takes (size_min_bytes, size_max_bytes in its source)
    takes_threads: bool  # whether it has --threads
    sweep_options: tuple  # fewer and shorter samples than its own default: a sweep puts several rounds together
    seconds: tuple  # what one run takes with those at its default size on a quiet and on a noisy machine, seen on a few


BENCHES = {
    "latency": Bench("load_latency", "ns", ("random",), "Memory latency", (512, 512 << 30),
                     False, ("--max-samples", "7", "--min-sample-ms", "20"), (0.45, 1)),
    "bandwidth": Bench("bandwidth", "GB/s", ("read", "write", "copy", "scale", "add", "triad"), "Memory bandwidth",
                       (64 << 10, 4 << 40), True, ("--max-samples", "7", "--min-sample-ms", "10"), (1, 2)),
}


def cell_id(bench, variant, cpu, mem_node):
    return f"{bench}.{variant}.cpu{cpu}.node{mem_node}"


def cell_order(row):
    """Sort key of samples and matrix rows: benches and variants as listed above, conditions, then CPU and node."""
    bench = BENCHES.get(row["bench"])
    benches = list(BENCHES)
    variants = bench.variants if bench else ()
    return (
        benches.index(row["bench"]) if bench else len(benches), row["bench"], *metric_order(row["metric"]),
        variants.index(row["variant"]) if row["variant"] in variants else len(variants), row["variant"],
        row.get("host") or "", *condition_order(row), *place_order((row["cpu_node"], row["cpu"])), *column_order(row),
    )


def place_order(place):
    """Sort key of (CPU node, CPU, None where it is not known)."""
    return place[0], -1 if place[1] is None else place[1]


def condition_order(row):
    """The plainest first."""
    allocator, pages = row.get("allocator") or "", row.get("pages") or ""
    return (allocator != "numa_alloc", allocator, PAGES.index(pages) if pages in PAGES else len(PAGES), pages,
            row.get("threads") or 0, row.get("size_bytes") or 0)


def metric_order(metric):
    """The time that a command takes first, then its own figures, then what else was counted."""
    names = list(RESOURCES)
    return (names.index(metric) if metric in names else 0.5), metric


def is_main(metric):
    """Whether a metric has a table and a picture of its own: of what is counted of every command only its time has."""
    return metric == "wall_time" or metric not in RESOURCES


def column_order(row):
    """Sort key of a cell's column: memory nodes by number, then the policies that name no single one."""
    node = row["mem_node"]
    return (node is None, -1 if node is None else node, row.get("policy") or "")
