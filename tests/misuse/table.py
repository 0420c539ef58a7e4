#!/usr/bin/env python3
"""`make misuse-table`: what allocators do about misuse, as a Markdown table.

Each kind of misuse (build/tests/misuse list) runs in a process of its own under each allocator: glibc, plain and with
MALLOC_CHECK_=3; ours, by default and with NUMA_ALLOC_CHECKS=on; those that are installed; and PEERS=name=path.so,...

  line     stopped, with a line that says why
  stopped  stopped by a bare signal
  told     went on after a line; nothing was broken
  safe     went on, and nothing was broken: ignored, or harmless there
  MISSED   went on with memory handed out twice or changed, an old secret read, or a wrong size not seen
  hung     went on forever
  -        this allocator has no such function"""
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "harness"), str(ROOT / "bench")]

from alloc_report import allocators  # noqa: E402
from numa_report.errors import UsageError  # noqa: E402

PROGRAM = ROOT / "build" / "tests" / "misuse"
LIMIT_SECONDS = 60
SAFE, MISSED, ABSENT = 40, 41, 42  # enum verdict of misuse.h
GLIBC_CHECKS = "libc_malloc_debug.so.0"
WORDS = ("line", "stopped", "told", "safe", "MISSED", "hung", "-")


def environments():
    """{label: environment} of all allocators to try."""
    found, _missing = allocators.find(ROOT, os.environ.get("PEERS", ""))
    tried = {label: allocator.environment() for label, allocator in found.items()}
    ours, base = found.pop(allocators.OURS), found.pop(allocators.BASE)
    chosen = {f"{ours.label}, checks on": ours.environment({"NUMA_ALLOC_CHECKS": "on"}),
              ours.label: ours.environment(), base.label: base.environment(),
              "glibc, MALLOC_CHECK_=3": {**base.environment({"MALLOC_CHECK_": "3"}), "LD_PRELOAD": GLIBC_CHECKS}}
    # Where an allocator can say what it found, it is asked to.
    chosen.update({label: {**tried[label], "MIMALLOC_SHOW_ERRORS": "1"} for label in found})
    return chosen


def judge(kind, environment):
    """The word for one kind under one allocator, and the line that came, if any."""
    try:
        run = subprocess.run([PROGRAM, kind], env=environment, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL,
                             capture_output=True, text=True, errors="replace", check=False)
    except subprocess.TimeoutExpired:
        return "hung", ""
    line = next(iter(run.stderr.splitlines()), "")
    if run.returncode in (SAFE, MISSED, ABSENT):
        word = {SAFE: "told" if line else "safe", MISSED: "MISSED", ABSENT: "-"}[run.returncode]
    elif run.returncode < 0:
        word, line = ("line", line) if line else ("stopped", signal.Signals(-run.returncode).name)
    else:
        raise UsageError(f"{PROGRAM.name} {kind} ended with status {run.returncode}: {line}")
    return word, line


def main():
    kinds = subprocess.run([PROGRAM, "list"], capture_output=True, text=True, check=True).stdout.split()
    try:
        chosen = environments()
        rows = {kind: {label: judge(kind, environment) for label, environment in chosen.items()} for kind in kinds}
    except UsageError as error:
        sys.exit(f"misuse-table: {error}")
    print(f"| misuse | {' | '.join(chosen)} |\n|{' --- |' * (len(chosen) + 1)}")
    for kind, row in rows.items():
        print(f"| {kind} | {' | '.join(word for word, _line in row.values())} |")
    for word in WORDS:
        counts = [sum(row[label][0] == word for row in rows.values()) for label in chosen]
        print(f"| **{word}** | {' | '.join(map(str, counts))} |")
    with open(ROOT / "build" / "misuse_lines.txt", "w", encoding="utf-8") as lines:
        for kind, row in rows.items():
            for label, (word, line) in row.items():
                lines.write(f"{kind}\t{label}\t{word}\t{line}\n")
    print(f"\nThe line of each: {lines.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
