#!/usr/bin/env python3
"""Kills a sweep with SIGKILL at random moments, resumes it, and checks that nothing is lost, torn or there twice.

Each try starts harness/run_matrix.sh on one CPU with a small and short benchmark, kills one of its processes (the
driver, GNU parallel, run_cell, the command) or all of them at once, as a power cut would, and resumes until the sweep
ends. A sweep that ended before there was such a process is begun anew. Prints TAP, and a table of what was killed when.

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
# Of a process's first two words: a stand-in for the benchmark is a script.
PROGRAM = {"parallel": "parallel", "run_cell": "run_cell", "command": "bench/latency"}
STAGES = ("planning", "running", "reporting")
OPTIONS = ("--bench", "latency", "--sizes", "64K", "--max-samples", "3", "--min-sample-ms", "5", "--cpus", "0",
           "--policies", "bind:@,local,none", "--rounds", "3", "--extra-rounds", "0", "--no-pictures", "--wait")
MOST_BEGINNINGS, MOST_RESUMES = 50, 3
ONE_RUN_S = 0.1  # roughly


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


def choose(kind, driver, tree, chance):
    """What to kill of the tree: of several of a kind (run_cell is two processes) one."""
    if kind == "driver":
        return [driver]
    if kind == "everything":
        return list(tree)
    found = [pid for pid, words in tree.items() if any(f"/{word}".endswith("/" + PROGRAM[kind]) for word in words[:2])]
    return [chance.choice(found)] if found else []


def kill(pids):
    """How many it reached."""
    reached = 0
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            reached += 1
        except ProcessLookupError:
            pass
    return reached


def strike(kind, sweep, folder, chance):
    """(the sweep's processes before, its stage), once one of the kind was killed; ({}, None) if the sweep ended first."""
    while sweep.poll() is None:
        tree = descendants(sweep.pid)
        if choose(kind, sweep.pid, tree, chance):
            if kind in PROGRAM:  # not always at its very beginning
                time.sleep(chance.uniform(0, ONE_RUN_S))
                tree = descendants(sweep.pid)
            stage = stage_of(folder)
            if kill(choose(kind, sweep.pid, tree, chance)):
                return tree, stage
        time.sleep(0.001)
    return {}, None


def stage_of(folder):
    try:
        with open(os.path.join(folder, "jobs.txt"), encoding="utf-8") as file:
            runs = len(file.readlines())
        done = sum(name.endswith(".run") for name in os.listdir(os.path.join(folder, "cells")))
    except FileNotFoundError:
        return "planning"
    return "running" if done < runs else "reporting"


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
    run_whole(script, folder)
    return time.monotonic() - began


def run_whole(script, folder):
    done = subprocess.run([script, *OPTIONS, "--out", folder], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a sweep that nobody killed ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def one_try(script, folder, kind, moment_s, chance):
    """(what was wrong, "" if nothing; the stage in which something was killed, None if the sweep ended before)"""
    sweep = subprocess.Popen([script, *OPTIONS, "--out", folder], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    time.sleep(moment_s)
    before, stage = strike(kind, sweep, folder, chance)
    _, said = sweep.communicate()
    if not wait_until_gone(before):
        return f"still running 20 s later: {[words for words in map(words_of, before) if words]}", stage
    if stage is None:
        return judge(folder) if sweep.returncode == 0 else f"ended with {sweep.returncode}: {said.decode()[-300:]}", None
    if not os.path.exists(os.path.join(folder, "environment.json")):  # no plan so far: the folder can be used again
        run_whole(script, folder)
        return judge(folder), stage
    for _ in range(MOST_RESUMES):
        done = subprocess.run([script, "--resume", folder, "--wait"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return judge(folder), stage
    return f"resume ended with {done.returncode}: {done.stderr.strip()[-300:]} (first: {said.decode()[-200:]})", stage


def judge(folder):
    """What is wrong with a sweep that has ended well, "" if nothing."""
    with open(os.path.join(folder, "plan.csv"), encoding="utf-8", newline="") as file:
        planned = [row for row in csv.DictReader(file) if row["seq"]]
    wanted = {(f"{row['bench']}.random.{row['place']}", row["round"]) for row in planned if row["kind"] == "cell"}
    with open(os.path.join(folder, "samples.csv"), encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    torn = sum(len(row) != len(header) for row in rows)
    column = {name: header.index(name) for name in ("cell", "round", "sample", "value")}
    found = {(row[column["cell"]], row[column["round"]]) for row in rows}
    twice = len(rows) - len({tuple(row[column[name]] for name in ("cell", "round", "sample")) for row in rows})
    names = os.listdir(os.path.join(folder, "cells"))
    records = [name for name in names if name.endswith(".run") and is_record(os.path.join(folder, "cells", name))]
    with open(os.path.join(folder, "joblog.tsv"), encoding="utf-8") as file:
        logged = sorted(int(line.split("\t")[0]) for line in file.readlines()[1:])
    left = [name for name in os.listdir(folder) + names if name.endswith(".tmp") or name == "UNFINISHED"]
    wrong = []
    if found != wanted:
        wrong.append(f"lacks {sorted(wanted - found)}, has {sorted(found - wanted)} too many")
    if torn or twice:
        wrong.append(f"{torn} torn rows, {twice} twice")
    if len(records) != len(planned):
        wrong.append(f"{len(records)} records of {len(planned)} runs")
    if logged != sorted(int(row["seq"]) for row in planned):
        wrong.append(f"joblog.tsv has {logged}")
    if left:
        wrong.append(f"left over: {left}")
    return "; ".join(wrong)


def is_record(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)["exit_status"] == 0
    except (ValueError, KeyError, TypeError):
        return False


def main():
    options = parse()
    chance = random.Random(options.seed)
    script = os.path.join(os.path.abspath(options.project), "harness", "run_matrix.sh")
    table = collections.Counter()
    failed = 0
    with tempfile.TemporaryDirectory() as place:
        most_s = length_s(script, os.path.join(place, "whole"))
        for number in range(1, options.tries + 1):
            kind = VICTIMS[number % len(VICTIMS)]
            for _ in range(MOST_BEGINNINGS):
                folder = os.path.join(place, "a sweep")
                moment_s = chance.uniform(0, most_s)
                wrong, stage = one_try(script, folder, kind, moment_s, chance)
                shutil.rmtree(folder, ignore_errors=True)
                if wrong or stage:
                    break
            else:
                wrong = "there never was such a process"
            table[kind, stage] += not wrong
            failed += bool(wrong)
            print(f"{'not ok' if wrong else 'ok'} {number} - {kind} killed while {stage}, from {moment_s:.2f} s on"
                  f"{': ' + wrong if wrong else ''}", flush=True)
    print(f"1..{options.tries}")
    print(f"# whole after a kill of {''.join(f'{stage:>11}' for stage in STAGES)}")
    for kind in VICTIMS:
        print(f"# {kind:22}{''.join(f'{table[kind, stage]:11}' for stage in STAGES)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
