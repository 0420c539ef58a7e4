"""What a person, or a program, is told while a sweep runs."""

import json
import sys
from statistics import median

from numa_report.layout import penalty_words, value_words
from numa_report.schema import RESOURCES

MOST_FIGURES = 4


class Progress:
    """Lines on a terminal above GNU parallel's bar; with --json-progress objects on standard output; else nothing."""

    def __init__(self, results, as_json, terminal):
        self.results, self.as_json, self.terminal = results, as_json, terminal

    def event(self, name, **details):
        if self.as_json:
            print(json.dumps({"event": name, **details}), flush=True)

    def finished(self, job, number, total):
        """One run has been done."""
        reason = self.results.failures.get(job.seq)
        medians = {} if reason else self.medians(job)
        self.event("run", number=number, of=total, kind=job.kind, round=job.round, bench=job.bench, cell=job.place,
                   status="failed" if reason else "ok", reason=reason or "",
                   medians=[{"metric": metric, "variant": variant, "unit": unit, "median": value, "penalty": penalty}
                            for (metric, variant), (value, unit, penalty) in medians.items()])
        if self.terminal:
            figures = f"failed: {reason}" if reason else figure_words(medians)
            word = "sentinel, " if job.kind == "sentinel" else ""
            print(f"\r\033[K[{number}/{total}] {word}{job.words()}: {figures}", file=sys.stderr, flush=True)

    def medians(self, job):
        """{(metric, variant): (median of the cell's samples so far, unit, penalty so far or None)}"""
        kinds = ("sentinel",) if job.kind == "sentinel" else ("cell", "extra")
        mine, local = {}, {}
        for other, rows in self.results.of(*kinds):
            if other.key == job.key:
                add(mine, rows)
            elif other.is_local and same_but_memory(other, job):
                add(local, rows)
        found = {}
        for name, rows in mine.items():
            value = median(row["value"] for row in rows)
            base = median(row["value"] for row in local[name]) if name in local else None
            higher = rows[0].get("better") == "higher"
            ratio = None if not base or not value else base / value if higher else value / base
            found[name] = value, rows[0]["unit"], ratio
        return found


def add(found, rows):
    for row in rows:
        found.setdefault((row["metric"], row["variant"]), []).append(row)


def same_but_memory(a, b):
    return all(getattr(a, name) == getattr(b, name) for name in ("bench", "cpus", "allocator", "pages", "threads", "size"))


def figure_words(medians):
    shown = [item for item in medians.items() if item[0][0] not in RESOURCES or item[0][0] == "wall_time"]
    words = []
    for (metric, variant), (value, unit, penalty) in shown[:MOST_FIGURES]:
        name = {"load_latency": "", "bandwidth": f"{variant} "}.get(metric, f"{metric} ")
        words.append(f"{name}{value_words(value)} {unit}" + (f" ({penalty_words(penalty)})" if penalty else ""))
    return ", ".join(words) + (", ..." if len(shown) > MOST_FIGURES else "")
