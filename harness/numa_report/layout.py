"""How a matrix is arranged for a reader: its panels, rows, columns, and the words for a cell."""

from .schema import BENCHES, COMMAND, CONDITIONS, HIGHER, RESOURCES, place_order

# What qualifies a cell, and what a legend says of it.
MARKS = {
    "noisy": "noisy: wide interval or rounds that disagree",
    "misplaced": "misplaced: pages were not on the node asked for",
    "failed": "failed: the benchmark failed or timed out",
    "skipped": "skipped: cannot be used by this process",
    "unverified": "unverified: the kernel did not say where the pages are",
    "outlier": "outlier: worse than the other cells of its kind",
}
APART = ("host", *CONDITIONS)  # what cells of one row and column may differ in


def figures(rows):
    """{(bench, metric): its rows}; each is one figure (one table group), so units never mix."""
    parts = {}
    for row in rows:
        parts.setdefault((row["bench"], row["metric"]), []).append(row)
    return parts


def varying(rows):
    """The conditions that differ between the rows: they belong in the panels' names.

    Not the number of threads where it follows from the CPUs, as that of a command does which may use all of its node's.
    """
    names = [name for name in APART if len(values_of(name, rows)) > 1]
    of_cpus = {}
    for row in rows:
        of_cpus.setdefault(place(row), []).append(row)
    if all(len(values_of("threads", part)) <= 1 for part in of_cpus.values()):
        names = [name for name in names if name != "threads"]
    return names


def values_of(name, rows):
    """A condition's values; a cell that gave nothing need not have one."""
    return {row[name] for row in rows if row[name] not in (None, "")}


def place(row):
    """What a row of a table or picture is of."""
    return row["cpu_node"], row["cpu"]


def places(rows):
    """{(CPU node, CPU): its words}, sorted; with the number of threads where only the CPUs tell it."""
    differ = len(values_of("threads", rows)) > 1 and "threads" not in varying(rows)
    found = {}
    for row in sorted(rows, key=lambda row: place_order(place(row))):
        threads = f", {counted(row['threads'], 'thread')}" if differ and row["threads"] else ""
        cpu = "its CPUs" if row["cpu"] is None else f"CPU {row['cpu']}"
        found[place(row)] = f"{row['cpu_node']} ({cpu}{threads})"
    return found


def panels(rows):
    """{panel name: {(cpu_node, cpu): {column: row}}} in the order of the rows."""
    names = varying(rows)
    parts = {}
    for row in rows:
        panel = parts.setdefault(panel_title(row, names), {})
        panel.setdefault(place(row), {})[column(row)] = row
    return parts


def panel_title(row, names):
    """names: the conditions that tell the panels apart besides the variant."""
    words = [] if row["variant"] == COMMAND else [row["variant"]]
    return " · ".join(words + [condition_words(name, row[name]) for name in names if row[name] not in (None, "")])


def column(row):
    """What a cell's column is called: a memory node's number where the policy binds to it, else the policy."""
    bound = row.get("policy") in (None, "", "none", f"bind:{row['mem_node']}")
    return row["mem_node"] if bound and row["mem_node"] is not None else row.get("policy") or "unknown"


def columns(rows):
    """The columns of a table or picture: memory nodes by number, then the other policies in the rows' order."""
    found = dict.fromkeys(column(row) for row in rows)
    nodes = sorted(name for name in found if isinstance(name, int))
    return nodes + [name for name in found if not isinstance(name, int)]


def better_words(row):
    return "higher is better" if row["better"] == HIGHER else "lower is better"


def condition_words(name, value):
    if name == "size_bytes":
        return size_words(value)
    if name == "threads":
        return counted(value, "thread")
    return f"{name} {value}"


def counted(number, noun):
    """`1 round`, `3 rounds`"""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def shortened(words, most):
    """One printable line of at most so many letters: a name from the data must not stretch the figure."""
    if not words.isprintable():
        words = "".join(letter if letter.isprintable() else " " for letter in words)
    return words if len(words) <= most else words[:most - 1] + "…"


def size_words(size_bytes):
    for power, letter in ((30, "G"), (20, "M"), (10, "K")):
        if size_bytes >= 1 << power and size_bytes % (1 << power - 4) == 0:
            return f"{size_bytes / (1 << power):g} {letter}iB"
    return f"{size_bytes} bytes"


def marks(row):
    """The words that qualify a cell, worst first; none for a cell that is simply measured."""
    words = [] if row["status"] == "ok" else [row["status"]]
    if row["placement"] == "unverified":
        words.append("unverified")
    if row.get("outlier"):
        words.append("outlier")
    return words


def value_words(value):
    """A measurement with three digits, more before the point: 1,953 · 171 · 91.2 · 9.31 · 0.0412"""
    if value == 0:
        return "0"
    if not 0.0009995 <= value < 1e8:
        return f"{value:.2e}"
    least = (99.95, 9.995, 0.9995, 0.09995, 0.009995)
    return f"{value:,.{sum(value < bound for bound in least)}f}"


def quantity_words(value, unit):
    """The value with its unit: bytes in KiB, MiB or GiB, times below a tenth of a second in ms, counts bare."""
    if unit == "faults":
        return f"{value:,.0f}"
    scale, name = readable_unit(value, unit)
    return f"{value_words(value / scale)} {name}"


def readable_unit(value, unit):
    """(how many of the unit it is, its name) of the unit that a value is best said in."""
    if unit == "s" and 0 < value < 0.1:
        return 1e-3, "ms"
    if unit == "B" and value >= 1 << 10:
        steps = ((30, "GiB"), (20, "MiB"), (10, "KiB"))
        return next((1 << power, name) for power, name in steps if value >= 1 << power)
    return 1, unit


def unit_of(rows):
    """(how many of the rows' unit it is, its name) of the unit that a figure's greatest value is best said in."""
    return readable_unit(max((row["median"] or 0 for row in rows), default=0), rows[0]["unit"])


def readable(rows):
    """The rows of one figure in the unit of unit_of()."""
    scale, unit = unit_of(rows)
    return [{**row, "unit": unit, "median": None if row["median"] is None else row["median"] / scale} for row in rows]


def interval_words(row, scale):
    """`92.2–92.6`, a row's 95 % interval in a unit that is `scale` of the row's own; "" where it has none."""
    if row["median"] is None or row["ci_low"] is None or row["ci_high"] is None:
        return ""
    return f"{value_words(row['ci_low'] / scale)}–{value_words(row['ci_high'] / scale)}"


def penalty_words(penalty):
    return f"{penalty:.2f}×" if penalty < 100 else f"{penalty:.0f}×"


def title(bench, metric):
    """A figure's name: a benchmark's own, or the program's and the metric's."""
    if bench in BENCHES:
        return BENCHES[bench].title
    return f"{bench}, {RESOURCES[metric].title.lower() if metric in RESOURCES else metric}"


def colour_range(rows):
    """(least, greatest) value that a figure's colours span; None where nothing was measured.

    It spans a penalty of 1.25 over the best at least, so that a percent of noise does not look like a cliff.
    """
    values = [row["median"] for row in rows if row["median"] is not None]
    if not values:
        return None
    low, high = min(values), max(values)
    if rows[0]["better"] == HIGHER:
        return min(low, high / 1.25), high or 1
    return low, max(high, 1.25 * low) or 1


def is_pale(colour):
    """Whether black reads better on the colour (red, green and blue from 0 to 1) than white does.

    By WCAG 2.1's relative luminance; at 0.179 both contrast alike, 4.6 to 1.
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179


def host_words(rows):
    hosts = {row["host"]: None for row in rows}
    return counted(len(hosts), "machine") if len(hosts) > 1 else next(iter(hosts)) or "an unnamed machine"


def machine_words(rows, environment):
    """The second line of a figure: CPU model, then the conditions that all its rows share."""
    words = [environment.get("cpu_model")]
    measured = [row for row in rows if row["median"] is not None]
    for name in CONDITIONS:
        shared = values_of(name, measured)
        if len(shared) == 1 and not (name == "pages" and "default" in shared):
            value = shared.pop()
            words.append(str(value) if name == "allocator" else condition_words(name, value) if value else None)
    rounds = rounds_of(rows, environment)
    if rounds:
        words.append(counted(rounds, "round"))
    return " · ".join(str(word) for word in words if word)


def rounds_of(rows, environment):
    options = environment.get("options")
    if isinstance(options, dict) and isinstance(options.get("rounds"), int):
        return options["rounds"]
    counts = [int(row["rounds"]) for row in rows if str(row.get("rounds") or "").isdigit()]
    return max(counts, default=0)
