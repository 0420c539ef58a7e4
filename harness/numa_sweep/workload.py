"""What runs in a cell: a benchmark of bench/ or the user's command, the same way; and what its output says.

A benchmark's output is rows of samples (docs/BENCHMARKS.md). Of a command the record of run_cell gives time, memory and
faults, --metric's expressions the rest, and the allocator's statistics where its memory was.
"""

import os
import re
import shlex

from numa_report import tables
from numa_report.errors import ReportError, regular
from numa_report.schema import BENCHES, COMMAND, RESOURCES, better_of

from . import options as option_words
from . import placing, records
from .plan import Expected

RECORD_KEYS = {"wall_time": "wall_s", "user_time": "user_s", "system_time": "system_s",
               "peak_memory": "peak_memory_bytes", "minor_faults": "minor_faults", "major_faults": "major_faults"}
PLACEHOLDER = re.compile(r"\{(cpu|cpus|cpu_node|mem_node|policy|allocator|pages|threads|size|size_bytes|round|place)\}")


class NoMatch(ReportError):
    """A metric's expression matches nothing in what a run printed that ended well."""


class Metric:
    """A figure that a command prints: --metric's NAME=REGEX:UNIT[:lower|higher]."""

    def __init__(self, spec):
        self.name, self.regex, self.unit, better = option_words.METRIC.fullmatch(spec).groups()
        self.better = better or better_of(self.unit)

    def values(self, output):
        """Every match's number, in order. Raises ReportError when there is none, or one is not a number."""
        found = []
        for match in re.finditer(self.regex, output, re.MULTILINE):
            text = match[1] if match.re.groups else match[0]
            try:
                found.append(tables.number(text or ""))
            except ValueError as error:
                raise ReportError(f"metric {self.name}: {error}") from None
        if not found:
            raise NoMatch(f"metric {self.name}: '{self.regex}' matches nothing it printed")
        return found


def expectation(options, bench):
    """What a run yields, as Expected rows."""
    if not options.command:
        known = BENCHES[bench]
        return tuple(Expected(known.metric, known.unit, better_of(known.unit), variant) for variant in known.variants)
    resources = [Expected(name, unit, better, COMMAND) for name, (unit, better) in resource_units().items()]
    own = [Expected(metric.name, metric.unit, metric.better, COMMAND) for metric in metrics(options)]
    return tuple(resources + own)


def resource_units():
    return {name: (RESOURCES[name].unit, RESOURCES[name].better) for name in RECORD_KEYS}


def metrics(options):
    return [Metric(spec) for spec in options.metric or ()]


def command(job, options, placed):
    """The words of a job's command. placed: the words that pin and place it."""
    if not options.command:
        words = [os.path.join("bench", job.bench), "--csv", *benchmark_options(job, options)]
        return placed + words
    words = [filled(word, job, placed) for word in options.command]
    return words if places_itself(options) else placed + words


def places_itself(options):
    """Whether the command, its setup or its teardown says with {place} what is to be placed."""
    return any("{place}" in word for word in [*options.command, options.setup or "", options.teardown or ""])


def filled(text, job, placed):
    """The text with the cell's values in place of {cpu} and the like; other braces stay."""
    values = {
        "cpu": job.cpu, "cpus": job.cpus, "cpu_node": job.cpu_node, "policy": job.policy, "pages": job.pages,
        "mem_node": "" if job.mem_node is None else job.mem_node, "allocator": job.allocator, "threads": job.threads,
        "size": job.size, "size_bytes": option_words.size_bytes(job.size) if job.size else "", "round": job.round,
        "place": shlex.join(placed),
    }
    return PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def benchmark_options(job, options):
    """A sweep has several rounds, so each run of a benchmark takes fewer and shorter samples than it would by itself."""
    known = BENCHES[job.bench]
    words = ["--size", job.size] if job.size else []
    words += ["--threads", str(job.threads)] if job.threads != 1 else []
    usual = dict(zip(known.sweep_options[::2], known.sweep_options[1::2]))
    for name in ("max_samples", "min_sample_ms"):
        value = getattr(options, name)
        option = "--" + name.replace("_", "-")
        value = str(value) if value is not None else usual.get(option)
        words += [option, value] if value is not None else []
    return words


def read_samples(folder, job, record, options):
    """The rows of samples.csv that a finished run gave, but for `run` and `cell`. Raises ReportError when it failed."""
    if record["timed_out"]:
        raise ReportError("ran past the time limit (--timeout)")
    for part in ("setup", "teardown"):
        if record[f"{part}_status"]:
            raise ReportError(f"{part}: exit status {record[f'{part}_status']}{last_words(folder, job)}")
    if record["signal"]:
        raise ReportError(f"killed by signal {record['signal']}{last_words(folder, job)}")
    if record["exit_status"] != 0:
        raise ReportError(f"exit status {record['exit_status']}{last_words(folder, job)}")
    return command_samples(folder, job, record, options) if options.command else bench_samples(folder, job)


def last_words(folder, job):
    """`: ` and the last line it wrote to standard error, or ``."""
    try:
        with open(job.file(folder, "err"), encoding="utf-8", errors="replace", opener=regular) as file:
            said = [line.strip() for line in file if line.strip()]
    except OSError:
        return ""
    return f": {said[-1][:200]}" if said else ""


def bench_samples(folder, job):
    """The samples a benchmark printed, checked to be of the cell that was asked for."""
    path = job.file(folder, "out")
    rows = tables.read_table(path, tables.SAMPLES)
    here = os.path.relpath(path, folder)
    for row in rows:
        asked = {"bench": job.bench, "cpu": job.cpu}
        if job.allocator == "numa_alloc":
            asked.update(allocator="numa_alloc", policy=job.policy)
        elif row["allocator"] == "numa_alloc":
            raise ReportError(f"{here}: allocator is numa_alloc, not {job.allocator} as asked")
        for column, value in asked.items():
            if row[column] != value:
                raise ReportError(f"{here}: {column} is {row[column]}, not {value} as asked")
        if job.allocator != "numa_alloc":
            placing.judge_pages(row, job)
        elif job.pages != "default" and row["pages"] == "default":
            raise ReportError(f"its memory had default pages, not {job.pages} as asked; bench/preflight says how many "
                              "there are")
        row["pages_in_force"], row["pages"] = row["pages"], job.pages
        row.update(allocator=job.allocator, policy=job.policy, mem_node=job.mem_node, cpu_node=job.cpu_node)
    return rows


def command_samples(folder, job, record, options):
    with open(job.file(folder, "out"), encoding="utf-8", errors="replace", opener=regular) as file:
        output = file.read()
    with open(job.file(folder, "err"), encoding="utf-8", errors="replace", opener=regular) as file:
        output += "\n" + file.read()
    placement = records.read_placement(folder, job)
    shared = {
        "bench": job.bench, "cpu": job.cpu, "cpu_node": job.cpu_node, "mem_node": job.mem_node,
        "allocator": job.allocator, "policy": job.policy, "pages": job.pages, "threads": job.threads,
        "size_bytes": option_words.size_bytes(job.size) if job.size else 0, "variant": COMMAND,
        "placement": placement["placement"], "placed_fraction": placement["placed_fraction"],
        "pages_on_nodes": placement["pages_on_nodes"], "started_at": record["started_at"],
    }
    rows = []
    for name, (unit, better) in resource_units().items():
        rows.append({**shared, "metric": name, "unit": unit, "better": better, "value": record[RECORD_KEYS[name]]})
    for metric in metrics(options):
        rows += [{**shared, "metric": metric.name, "unit": metric.unit, "better": metric.better, "value": value}
                 for value in metric.values(output)]
    return rows
