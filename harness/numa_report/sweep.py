"""The parts of harness/run_matrix.sh that are not running commands. Called by it; not meant to be typed."""

import argparse
import datetime
import os
import shlex
import sys

from . import collect, environment, plan, runs, table, topology
from .errors import ReportError, UsageError, run_main

NO_REMOTE = ("one memory node here, so no remote memory to measure; `make vm-matrix` shows it in a virtual "
             "two-node machine")
OPTIONS = ("bench", "rounds", "size", "cpus", "all_cpus", "mem_nodes", "timeout", "seed")


def say(words):
    print(f"run_matrix.sh: {words}", file=sys.stderr, flush=True)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(prog="numa_report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="plan a sweep into an empty folder, or show the plan")
    prepare.add_argument("--dry-run", action="store_true")
    prepare.add_argument("--bench", required=True)
    prepare.add_argument("--rounds", type=int, required=True)
    prepare.add_argument("--seed", type=int, required=True)
    prepare.add_argument("--timeout", type=int, required=True)
    prepare.add_argument("--size")
    prepare.add_argument("--cpus")
    prepare.add_argument("--all-cpus", action="store_true")
    prepare.add_argument("--mem-nodes")
    resume = commands.add_parser("resume", help="print the time limit a cell, and make ready what is missing")
    finish = commands.add_parser("finish", help="collect, summarise, print and draw")
    finish.add_argument("--no-pictures", action="store_true")
    for command in (prepare, resume, finish):
        command.add_argument("--folder", required=True)
        command.add_argument("--root", required=True, help="the project's folder")
    return parser.parse_args(arguments)


def main(arguments):
    """Exit status of one of the parts, named by the first argument."""
    options = parse_arguments(arguments)
    part = {"prepare": prepare, "resume": resume, "finish": finish}[options.command]
    return run_main("run_matrix.sh", lambda: part(options))


def numbers(option, words):
    try:
        return topology.parse_list(words) if words is not None else None
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def prepare(options):
    machine = topology.load()
    if not topology.is_this_machine() and not options.dry_run:
        raise UsageError("HWLOC_FSROOT, HWLOC_XMLFILE or HWLOC_SYNTHETIC describes another machine: only --dry-run")
    rows = topology.choose_rows(machine, numbers("--cpus", options.cpus), options.all_cpus)
    columns = topology.choose_columns(machine, numbers("--mem-nodes", options.mem_nodes))
    jobs = plan.make(options.bench.split(","), rows, columns, options.rounds, options.seed)
    if not any(job.seq for job in jobs):
        raise ReportError("nothing to measure: " + (jobs[0].skip_reason if jobs else "no CPU or no memory node"))
    if topology.has_no_remote_memory(machine):
        say(NO_REMOTE)
    if options.dry_run:
        show(jobs, options)
        return 0
    os.makedirs(os.path.join(options.folder, "cells"), exist_ok=True)
    recorded = environment.gather(machine, {name: getattr(options, name) for name in OPTIONS}, options.root)
    recorded["started_at"] = now()
    environment.save(options.folder, recorded)
    plan.write(options.folder, jobs)
    write_commands(options.folder, jobs, options.size)
    announce(jobs, 0, options.folder)
    return 0


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def announce(jobs, done, folder):
    runnable = [job for job in jobs if job.seq]
    for reason in sorted({job.skip_reason for job in jobs if not job.seq}):
        say(f"skipping cells: {reason}")
    say(f"{len(runnable) - done} commands to run ({len({job.key for job in runnable})} a round), into {folder}")


def show(jobs, options):
    """The dry run: one line a command in the order they would run, then the cells that cannot be measured."""
    print(f"# seed {options.seed}, {options.rounds} rounds, time limit {options.timeout} s a command; "
          f"run folder {options.folder}")
    for job in jobs:
        words = f"{job.bench}, CPU {job.cpu} of node {job.cpu_node}, memory node {job.mem_node}"
        if job.seq:
            print(f"round {job.round}, {words}: {plan.command(job, options.size)}")
        else:
            print(f"skipped, {words}: {job.skip_reason}")


def write_commands(folder, jobs, size):
    with open(os.path.join(folder, "commands.txt"), "w", encoding="utf-8") as file:
        file.writelines(plan.command_line(job, folder, size) + "\n" for job in jobs if job.seq)


def resume(options):
    folder = options.folder
    if not os.path.exists(os.path.join(folder, "plan.csv")):
        raise UsageError(f"--resume: {folder} is not a sweep's folder (no plan.csv)")
    recorded = environment.load(folder)
    asked = recorded.get("options")
    if not isinstance(asked, dict) or not isinstance(asked.get("timeout"), int):
        raise ReportError(f"{folder}/{environment.PATH}: the sweep's options are not readable")
    if recorded.get("host") != os.uname().nodename:
        raise UsageError(f"--resume: {folder} is a sweep of {recorded.get('host')}, this is {os.uname().nodename}")
    jobs = plan.read(folder)
    os.makedirs(os.path.join(folder, "cells"), exist_ok=True)
    done = collect.prune_joblog(folder, jobs)
    write_commands(folder, jobs, asked.get("size"))
    recorded["resumed_at"] = [*recorded.get("resumed_at", []), now()]
    environment.save(folder, recorded)
    announce(jobs, done, folder)
    print(asked["timeout"])
    return 0


def finish(options):
    rows = runs.finish(options.folder)
    print(table.render(rows))
    print(flush=True)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("failed", "misplaced")}
    if counts["misplaced"]:
        say(f"{counts['misplaced']} cells misplaced: the pages were not on the node asked for; see matrix.csv")
    failed = {(row["bench"], row["cpu"], row["mem_node"]): row["reason"] for row in rows if row["status"] == "failed"}
    for (bench, cpu, mem_node), reason in failed.items():
        say(f"{bench} on CPU {cpu}, memory node {mem_node}, failed: {reason}")
    print(f"data: {options.folder}/matrix.csv, samples.csv, environment.json")
    if options.no_pictures:
        print(f"pictures: harness/plot.py {shlex.quote(options.folder)}")
    elif any(row["median"] is not None for row in rows):
        for path in runs.plot(options.folder):
            if path.endswith(".png"):
                print(f"picture: {path} (and .svg)")
    return 1 if counts["failed"] else 0
