"""How a matrix is arranged for a reader: its panels, rows, columns, and the words for a cell."""

from .schema import BENCHES, COMMAND, CONDITIONS, HIGHER, RESOURCES


def figures(rows):
    """{(bench, metric): its rows}; each is one figure (one table group), so units never mix."""
    parts = {}
    for row in rows:
        parts.setdefault((row["bench"], row["metric"]), []).append(row)
    return parts


def varying(rows):
    """The conditions that differ between the measured rows: they belong in the panels' names."""
    return [name for name in CONDITIONS if len({row[name] for row in rows if row["median"] is not None}) > 1]


def panels(rows):
    """{panel name: {(cpu_node, cpu): {column: row}}} in the order of the rows."""
    names = varying(rows)
    parts = {}
    for row in rows:
        words = ([] if row["variant"] == COMMAND else [row["variant"]]) + [condition_words(name, row[name]) for name in names if row["median"] is not None]
        panel = parts.setdefault(" · ".join(words), {})
        panel.setdefault((row["cpu_node"], row["cpu"]), {})[column(row)] = row
    return parts


def column(row):
    """What a cell's column is called: a memory node's number where the policy binds to it, else the policy."""
    bound = row.get("policy") in (None, "", "none", f"bind:{row['mem_node']}")
    return row["mem_node"] if bound and row["mem_node"] is not None else row.get("policy") or "unknown"


def columns(rows):
    """The columns of a table or picture: memory nodes by number, then the other policies in the rows' order."""
    found = dict.fromkeys(column(row) for row in rows)
    return sorted(name for name in found if isinstance(name, int)) + [name for name in found if not isinstance(name, int)]


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
    return words


def value_words(value):
    """A measurement with three digits, more before the point: 1,953 · 171 · 91.2 · 9.31"""
    if value == 0:
        return "0"
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3 if value >= 0.09995 else 4
    return f"{value:,.{decimals}f}"


def quantity_words(value, unit):
    """The value with its unit: bytes in MiB, times below a tenth of a second in ms, counts bare."""
    if unit == "faults":
        return f"{value:,.0f}"
    scale, name = {"B": (1 << 20, "MiB"), "s": (1e-3, "ms") if 0 < value < 0.1 else (1, "s")}.get(unit, (1, unit))
    return f"{value_words(value / scale)} {name}"


def penalty_words(penalty):
    return f"{penalty:.2f}×" if penalty < 100 else f"{penalty:.0f}×"


def title(bench, metric):
    """A figure's name: a benchmark's own, or the program's and the metric's."""
    if bench in BENCHES:
        return BENCHES[bench].title
    return f"{bench}, {RESOURCES[metric].title.lower() if metric in RESOURCES else metric}"


def machine_words(rows, environment):
    """The second line of a figure: CPU model, then the conditions that all its rows share."""
    words = [environment.get("cpu_model")]
    measured = [row for row in rows if row["median"] is not None]
    differing = varying(rows)
    for name in CONDITIONS:
        if measured and name not in differing and not (name == "pages" and measured[0][name] == "default"):
            value = measured[0][name]
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
