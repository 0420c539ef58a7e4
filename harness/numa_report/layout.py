"""How a matrix is arranged for a reader: its panels, rows, columns, and the words for a cell."""

from .schema import BENCHES, CONDITIONS


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
    """{panel name: {(cpu_node, cpu): {mem_node: row}}} in the order of the rows."""
    names = varying(rows)
    parts = {}
    for row in rows:
        words = [row["variant"]] + [condition_words(name, row[name]) for name in names if row["median"] is not None]
        panel = parts.setdefault(" · ".join(words), {})
        panel.setdefault((row["cpu_node"], row["cpu"]), {})[row["mem_node"]] = row
    return parts


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
    decimals = 0 if value >= 99.95 else 1 if value >= 9.995 else 2 if value >= 0.9995 else 3 if value >= 0.09995 else 4
    return f"{value:,.{decimals}f}"


def penalty_words(penalty):
    return f"{penalty:.2f}×" if penalty < 100 else f"{penalty:.0f}×"


def title(bench):
    return BENCHES[bench].title if bench in BENCHES else bench


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


def column_nodes(rows):
    return sorted({row["mem_node"] for row in rows})
