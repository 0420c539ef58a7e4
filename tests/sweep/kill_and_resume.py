#!/usr/bin/env python3
"""Kills a sweep with SIGKILL at random moments, resumes it, and checks that nothing is lost, torn or there twice.

Each try starts harness/run_matrix.sh on one CPU with a small and short benchmark, kills one of its processes (the
driver, GNU parallel, run_cell, the command) or all of them at once, as a power cut would, and resumes until the sweep
ends. Prints TAP, and a table of what was killed.

`kill_and_resume.py [--tries N] [--seed N] PROJECT`: PROJECT is a built checkout, or a copy of harness/ with stand-ins.
"""

import argparse
import collections
import csv
import json
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time

VICTIMS = ("driver", "parallel", "run_cell", "command", "everything")
MOST_RESUMES = 3
OPTIONS = ("--bench", "latency", "--sizes", "64K", "--max-samples", "3", "--min-sample-ms", "5", "--cpus", "0",
           "--policies", "bind:@,local,none", "--rounds", "3", "--extra-rounds", "0", "--no-pictures", "--wait")
PROGRAM = {"parallel": "parallel", "run_cell": "run_cell", "command": "bench/latency"}


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project")
    parser.add_argument("--tries", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def descendants(pid):
    """{pid: its words} of a process's whole tree, itself included."""
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(entry)] = int(file.read().rpartition(")")[2].split()[1])
            except (OSError, ValueError, IndexError):
                pass
    found, added = {pid}, True
    while added:
        added = {child for child, parent in parents.items() if parent in found} - found
        found |= added
    return {number: words_of(number) for number in found}


def words_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def choose(kind, driver, chance):
    """What to kill: of several of a kind (run_cell is two processes) one."""
    tree = descendants(driver)
    if kind == "driver":
        return [driver]
    if kind == "everything":
        return list(tree)
    # A stand-in for the benchmark is a script: its name is the second word.
    found = [pid for pid, words in tree.items() if any(f"/{word}".endswith("/" + PROGRAM[kind]) for word in words[:2])]
    return [chance.choice(found)] if found else []


def kill(pids):
    hit = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            hit += 1
        except ProcessLookupError:
            pass
    return hit


def wait_until_gone(pids):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if not any(words_of(pid) for pid in pids):
            return True
        time.sleep(0.02)
    return False


def length_s(script, folder):
    """How long a sweep takes that nobody kills."""
    began = time.monotonic()
    subprocess.run([script, *OPTIONS, "--out", folder], check=True, capture_output=True)
    return time.monotonic() - began


def one_try(script, folder, kind, moment_s, chance):
    """(what was wrong, "" if nothing; whether something was killed)"""
    sweep = subprocess.Popen([script, *OPTIONS, "--out", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    time.sleep(moment_s)
    before = descendants(sweep.pid)
    hit = kill(choose(kind, sweep.pid, chance))
    _, said = sweep.communicate()
    if not wait_until_gone(before):
        left = [words for words in map(words_of, before) if words]
        return f"still running 20 s later: {left}", hit
    if sweep.returncode == 0 or not os.path.exists(os.path.join(folder, "environment.json")):
        hit = hit if sweep.returncode else 0
        if sweep.returncode == 0:
            return judge(folder), hit
        # Ended before there was a plan: the folder can be used again.
        subprocess.run([script, *OPTIONS, "--out", folder], check=True, capture_output=True)
        return judge(folder), hit
    for _ in range(MOST_RESUMES):
        done = subprocess.run([script, "--resume", folder, "--wait"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return judge(folder), hit
    return f"resume ended with {done.returncode}: {done.stderr.strip()[-300:]} (first: {said.decode()[-200:]})", hit


def judge(folder):
    with open(os.path.join(folder, "plan.csv"), encoding="utf-8", newline="") as file:
        planned = [row for row in csv.DictReader(file) if row["seq"]]
    wanted = {(f"{row['bench']}.random.{row['place']}", row["round"]) for row in planned if row["kind"] == "cell"}
    with open(os.path.join(folder, "samples.csv"), encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    torn = sum(len(row) != len(header) for row in rows)
    column = {name: header.index(name) for name in ("cell", "round", "sample", "value")}
    found = collections.Counter((row[column["cell"]], row[column["round"]]) for row in rows)
    twice = len(rows) - len({tuple(row[column[name]] for name in ("cell", "round", "sample")) for row in rows})
    records = [json.load(open(os.path.join(folder, "cells", name), encoding="utf-8"))
               for name in os.listdir(os.path.join(folder, "cells")) if name.endswith(".run")]
    left = [name for name in os.listdir(folder) + os.listdir(os.path.join(folder, "cells"))
            if name.endswith(".tmp") or name == "UNFINISHED"]
    wrong = []
    if set(found) != wanted:
        wrong.append(f"lacks {sorted(wanted - set(found))}, has {sorted(set(found) - wanted)} too many")
    if torn or twice:
        wrong.append(f"{torn} torn rows, {twice} twice")
    if len(records) != len(planned):
        wrong.append(f"{len(records)} records of {len(planned)} runs")
    if left:
        wrong.append(f"left over: {left}")
    return "; ".join(wrong)


def main():
    options = parse()
    chance = random.Random(options.seed)
    script = os.path.join(os.path.abspath(options.project), "harness", "run_matrix.sh")
    table = collections.Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        most_s = length_s(script, os.path.join(place, "whole"))
        for number in range(1, options.tries + 1):
            folder = os.path.join(place, "a sweep")
            kind = VICTIMS[number % len(VICTIMS)]
            moment_s = chance.uniform(0, most_s)
            wrong, hit = one_try(script, folder, kind, moment_s, chance)
            table[kind, "killed" if hit else "nothing there to kill", "bad" if wrong else "whole"] += 1
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {kind} killed at {moment_s:.2f} of {most_s:.2f} s"
                  f"{': ' + wrong if wrong else '' if hit else ' (nothing there to kill)'}", flush=True)
            shutil.rmtree(folder, ignore_errors=True)
    print(f"1..{options.tries}")
    for (kind, hit, outcome), count in sorted(table.items()):
        print(f"# {kind:10} {hit:22} {outcome:6} {count:3}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
