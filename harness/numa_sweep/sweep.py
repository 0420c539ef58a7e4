"""The parts of harness/run_matrix.sh that are not running commands. Called by it; not meant to be typed."""

import argparse
import datetime
import os
import re
import shlex
import sys
from contextlib import suppress

from numa_report import runs, table

from . import collect, environment, plan, topology
from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.layout import counted, size_words
from numa_report.schema import BENCHES

NO_REMOTE = ("one memory node here, so no remote memory to measure; `./harness/setup.sh vm && ./harness/lab.sh -- "
             "./harness/run_matrix.sh --size 4M` shows it in a virtual two-node machine")
OPTIONS = ("bench", "rounds", "size", "cpus", "all_cpus", "mem_nodes", "max_samples", "min_sample_ms", "timeout", "seed", "out",
           "no_pictures")
SIZE = re.compile(r"([1-9][0-9]{0,14})([KMG]?)", re.IGNORECASE)


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
    prepare.add_argument("--max-samples", type=int)
    prepare.add_argument("--min-sample-ms", type=int)
    prepare.add_argument("--cpus")
    prepare.add_argument("--all-cpus", action="store_true")
    prepare.add_argument("--mem-nodes")
    prepare.add_argument("--out")
    prepare.add_argument("--no-pictures", action="store_true")
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
    return {"prepare": prepare, "resume": resume, "finish": finish}[options.command](options)


def numbers(option, words):
    try:
        return topology.parse_list(words) if words is not None else None
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def check_size(size, benches):
    """Refuses a --size that a benchmark would refuse, in every cell."""
    digits, suffix = SIZE.fullmatch(size).groups()
    size_bytes = int(digits) << {"": 0, "K": 10, "M": 20, "G": 30}[suffix.upper()]
    for bench in benches:
        least, most = BENCHES[bench].size_bytes
        if not least <= size_bytes <= most:
            raise UsageError(f"--size: '{size}' is not accepted; {bench} takes {size_words(least)} to "
                             f"{size_words(most)}")


def prepare(options):
    if options.size is not None:
        check_size(options.size, options.bench.split(","))
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
    asked = {name: getattr(options, name) for name in OPTIONS}
    recorded = environment.gather(machine, asked, options.root)
    recorded["started_at"] = now()
    environment.save(options.folder, recorded)
    plan.write(options.folder, jobs)
    write_commands(options.folder, jobs, asked)
    announce(jobs, set(), options, asked)
    return 0


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def announce(jobs, done, options, asked):
    """What will run, and about how long that takes. done: the jobs that need not run, by number."""
    runnable = [job for job in jobs if job.seq]
    to_run = [job for job in runnable if job.seq not in done]
    for reason in sorted({job.skip_reason for job in jobs if not job.seq}):
        say(f"skipping cells: {reason}")
    say(f"{counted(len(to_run), 'command')} to run ({len({job.key for job in runnable})} a round), "
        + ("" if plan.bench_options(asked) else f"roughly {duration(to_run)}, ") + f"into {options.folder}")


def duration(jobs):
    least, most = (sum(BENCHES[job.bench].seconds[end] for job in jobs) for end in (0, 1))
    return f"{least} to {most} s" if most < 180 else f"{max(1, least // 60)} to {-(-most // 60)} min"


def show(jobs, options):
    """The dry run: one line a command in the order they would run, then the cells that cannot be measured."""
    print(f"# seed {options.seed}, {counted(options.rounds, 'round')}, time limit {options.timeout} s a command; "
          f"run folder {options.folder}")
    for job in jobs:
        words = f"{job.bench}, CPU {job.cpu} of node {job.cpu_node}, memory node {job.mem_node}"
        if job.seq:
            print(f"round {job.round}, {words}: {plan.command(job, plan.bench_options(vars(options)))}")
        else:
            print(f"skipped, {words}: {job.skip_reason}")


def write_commands(folder, jobs, asked):
    # The paths' own bytes, whatever this process takes them to spell.
    with whole_file(os.path.join(folder, "commands.txt"), encoding=sys.getfilesystemencoding(),
                    errors="surrogateescape") as file:
        file.writelines(plan.command_line(job, folder, plan.bench_options(asked)) + "\n" for job in jobs if job.seq)


def resume(options):
    folder = options.folder
    if not os.path.exists(os.path.join(folder, "plan.csv")):
        raise UsageError(f"--resume: {folder} is not a sweep's folder (no plan.csv)")
    recorded = environment.load(folder)
    asked = recorded.get("options")
    if not isinstance(asked, dict) or not readable(asked):
        raise ReportError(f"{folder}/{environment.PATH}: the sweep's options are not readable")
    if recorded.get("host") != os.uname().nodename:
        raise UsageError(f"--resume: {folder} is a sweep of {recorded.get('host')}, this is {os.uname().nodename}")
    jobs = plan.read(folder)
    os.makedirs(os.path.join(folder, "cells"), exist_ok=True)
    done = collect.prune_joblog(folder, jobs)
    write_commands(folder, jobs, asked)
    resumed_at = recorded.get("resumed_at")
    recorded["resumed_at"] = [*(resumed_at if isinstance(resumed_at, list) else ()), now()]
    environment.save(folder, recorded)
    announce(jobs, done, options, asked)
    print(asked["timeout"])
    return 0


def readable(asked):
    size = asked.get("size")
    return (is_count(asked.get("timeout")) and (size is None or isinstance(size, str) and SIZE.fullmatch(size))
            and all(asked.get(name) is None or is_count(asked[name]) for name in ("max_samples", "min_sample_ms")))


def is_count(value):
    return type(value) is int and value > 0


def finish(options):
    rows = runs.finish(options.folder)
    remove_pictures(options.folder)
    print(table.render(rows))
    print()
    print("\n".join(runs.judge(options.folder, rows)))
    print(flush=True)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("failed", "misplaced")}
    if counts["misplaced"]:
        say(f"{counted(counts['misplaced'], 'cell')} misplaced: the pages were not on the node asked for; see matrix.csv")
    failed = {(row["bench"], row["cpu"], row["mem_node"]): row["reason"] for row in rows if row["status"] == "failed"}
    for (bench, cpu, mem_node), reason in failed.items():
        say(f"{bench} on CPU {cpu}, memory node {mem_node}, failed: {reason}")
    print(f"data: {options.folder}/matrix.csv, samples.csv, verdict.txt, environment.json")
    if options.no_pictures:
        print(f"pictures: harness/plot.py {shlex.quote(options.folder)}")
    elif any(row["median"] is not None for row in rows):
        for path in runs.plot(options.folder, rows):
            if path.endswith(".png"):
                print(f"picture: {path} (and .svg)")
    return 1 if counts["failed"] or counts["misplaced"] else 0


def remove_pictures(folder):
    """Those of a sweep before it was resumed: they show other data than what is there now."""
    for bench in BENCHES:
        for ending in ("png", "svg"):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, f"{bench}.{ending}"))
