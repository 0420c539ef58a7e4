"""A sweep of this machine: planned or continued, run, and said what came of it."""

import datetime
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import suppress

from numa_report import checksums, runs, singles, table, verdict
from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.layout import counted
from numa_report.rounds import round_medians, rounds_disagree
from numa_report.run import Run
from numa_report.schema import RESOURCES

from . import also, axes, collect, conductor, dry_run, environment, identity, locks, options as option_words
from . import plan, records, scripts, topology, workload
from .progress import Progress

PREFLIGHT_WATCH_MS = 300
DATA = (environment.PATH, topology.FILE, "plan.csv", "samples.csv", collect.SENTINELS, "matrix.csv",
        *(f"{name}.csv" for name in singles.PICTURES))
NO_REMOTE = ("one memory node here, so no remote memory to measure; `./harness/setup.sh vm && ./harness/lab.sh -- "
             "./harness/run_matrix.sh --sizes 4M` shows it in a virtual two-node machine")


def say(words):
    print(f"run_matrix.sh: {words}", file=sys.stderr, flush=True)


def main(options, root, resumable):
    """Exit status. resumable: gets the folder as soon as what is there can be continued."""
    if options.dry_run:
        folder = default_folder(options, root)
        refuse_used_folder(options, folder)
        return dry_run.show(options, root, planned(options, topology.load()), folder)
    begin = continued if options.resume else prepared
    folder, options, jobs, kept = begin(options, root)
    resumable.append(folder)
    results = collect.Results(folder, jobs, options, host_of(options))
    measure(folder, root, options, results, kept)
    missed = measure_also(folder, root, options, kept)
    status = max(finish(folder, options, results), 1 if missed else 0)
    resumable.clear()
    return status


def host_of(options):
    return options.host_name or os.uname().nodename


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


# Planning.

def planned(options, machine):
    """The jobs of new options on this machine."""
    if not topology.is_this_machine() and not options.dry_run:
        raise UsageError("HWLOC_FSROOT, HWLOC_XMLFILE or HWLOC_SYNTHETIC describes another machine: only --dry-run")
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1_000_000_000)
    cells = axes.cells(machine, options)
    jobs = plan.make(cells, options.rounds, options.seed, not options.no_sentinel)
    if not any(job.seq for job in jobs):
        raise ReportError("nothing to measure: " + (jobs[0].skip_reason if jobs else "no CPU or no memory node"))
    if topology.has_no_remote_memory(machine):
        say(NO_REMOTE)
    return jobs


def prepared(options, root):
    """(folder, options, jobs, descriptors of the locks) of a new sweep."""
    options.directory = os.getcwd() if options.command else root
    folder = default_folder(options, root)
    check_tools(options, root)
    check_path("this project", root)
    check_path("the run folder", folder)
    refuse_used_folder(options, folder)
    machine = topology.load()
    jobs = planned(options, machine)
    locked = [locks.lock_machine(options.wait, folder, say)]
    described = {**describe(options, root, machine), "started_at": now(), "preflight": preflight(root)}
    warn(described["preflight"])
    folder, made = make_folder(options, folder)
    try:
        locked.append(locks.lock_folder(folder))
        refuse_used_folder(options, folder)  # again: until the lock another sweep could begin here
        options.out = described["options"]["out"] = folder
        # From here on it can be continued: the plan follows from the options and the machine.
        environment.save(folder, described)
        topology.save(folder, machine)
        write_plan(folder, root, options, jobs)
    except BaseException:
        discard(folder, made)
        raise
    announce(jobs, options, folder)
    return folder, options, jobs, [lock for lock in locked if lock is not None]


def write_plan(folder, root, options, jobs):
    mark_unfinished(folder)
    os.makedirs(os.path.join(folder, "cells"), exist_ok=True)
    plan.write(folder, jobs)
    scripts.write(folder, [job for job in jobs if job.seq], options, root, conductor.VARIABLE)


def describe(options, root, machine):
    described = environment.gather(machine, option_words.recorded(options), root)
    described.update(host=host_of(options), directory=options.directory, programs=identity.programs(options, root))
    return described


def preflight(root):
    """What bench/preflight says of the machine, None where it cannot say."""
    program = os.path.join(root, "bench", "preflight")
    with suppress(OSError, ValueError):
        done = subprocess.run([program, "--json", "--watch-ms", str(PREFLIGHT_WATCH_MS)], stdin=subprocess.DEVNULL,
                              capture_output=True, check=False)
        said = json.loads(done.stdout)
        return said if isinstance(said, dict) else None
    return None


def warn(said):
    for check in (said or {}).get("checks", ()):
        if check.get("level") == "warn":
            say("warning: " + " ".join(f"{check['name']}: {check['value']}. {check['meaning']} {check['do']}".split()))


def default_folder(options, root):
    host = re.sub(r"[^A-Za-z0-9_.+-]", "-", host_of(options))  # the kernel takes any name, `../x` too
    name = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}-{host}"
    return os.path.abspath(options.out or os.path.join(root, "results", name))


def check_path(of, path):
    """The folders' paths become words of shell scripts and UTF-8 text in CSV files."""
    try:
        path.encode()
    except UnicodeEncodeError:
        bad = True
    else:
        bad = any(letter < " " or "\x7f" <= letter <= "\x9f" for letter in path)
    if bad:
        raise UsageError(f"the path of {of}, {ascii(path)}, has a control character or is not UTF-8; "
                         "rename it or name another")


def check_tools(options, root):
    placed_by_numactl = any(word != "numa_alloc" for word in options.allocators.split(","))
    conductor.require("taskset", *(["numactl"] if placed_by_numactl else []))
    built = ["alloc/numa_alloc.so", "harness/run_cell"]
    built += [] if options.command else [f"bench/{name}" for name in options.bench.split(",")]
    built += [f"bench/{name}" for name in also.programs(options.also.split(",") if options.also else [])]
    for name in built:
        if not os.path.isfile(os.path.join(root, name)):
            raise ReportError(f"{name} is not built: run make")
    if options.command:
        check_command(options)
    for word in options.allocators.split(","):
        name, _, library = word.partition("=")
        if "/" in library and not os.path.isfile(os.path.join(options.directory, library)):
            raise UsageError(f"--allocators: {name}: no such file: {library}")


def check_command(options):
    program = options.command[0]
    if "{" in program:
        return
    if shutil.which(identity.resolved(program, options.directory)) is None:
        raise UsageError(f"{program}: no such command"
                         + ("" if "/" in program else " on PATH (in this folder? then ./" + program + ")"))


def refuse_used_folder(options, folder):
    if not options.out or not os.path.exists(folder):
        return
    if not os.path.isdir(folder):
        raise UsageError(f"--out: {folder} is not a folder")
    if not all(name.endswith(".tmp") for name in os.listdir(folder)):  # one of those is left by a kill at the very beginning
        raise UsageError(f"--out: {folder} is not empty; name another, or use --resume")


def make_folder(options, folder):
    """(the folder, the part of its path that was there before)."""
    there = folder
    while not os.path.isdir(there):
        there = os.path.dirname(there)
    if options.out:
        os.makedirs(folder, exist_ok=True)
        return folder, there
    os.makedirs(os.path.dirname(folder), exist_ok=True)
    # Another sweep may have begun in the same second: the name is ours only if this mkdir made it.
    name, number = folder, 1
    while True:
        with suppress(FileExistsError):
            os.mkdir(name)
            return name, there
        number += 1
        name = f"{folder}-{number}"


def discard(folder, there):
    """Takes away what an unfinished preparation made: such a folder could be neither used nor resumed."""
    for name in ("environment.json", topology.FILE, "plan.csv", "jobs.txt", runs.UNFINISHED):
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))
    forget_unfinished(folder)
    shutil.rmtree(os.path.join(folder, "cells"), ignore_errors=True)
    with suppress(OSError):
        while folder != there:
            os.rmdir(folder)
            folder = os.path.dirname(folder)


def forget_unfinished(folder):
    """Takes away the files that a kill kept from becoming whole. Only under the folder's lock."""
    for of in (folder, os.path.join(folder, "cells")):
        for name in os.listdir(of) if os.path.isdir(of) else ():
            if name.endswith(".tmp"):
                with suppress(OSError):
                    os.unlink(os.path.join(of, name))


def mark_unfinished(folder):
    with whole_file(os.path.join(folder, runs.UNFINISHED), encoding="utf-8") as file:
        file.write(f"This sweep has not ended. harness/run_matrix.sh --resume {shlex.quote(folder)} continues it.\n")


def announce(jobs, options, folder, done=()):
    """What will run, and about how long that takes."""
    to_run = [job for job in jobs if job.seq and job.seq not in done]
    for reason in sorted({job.skip_reason for job in jobs if not job.seq}):
        say(f"skipping cells: {reason}")
    say(f"{counted(len(to_run), 'run')} to do ({counted(len({job.key for job in jobs if job.seq}), 'cell')}, "
        f"{counted(options.rounds, 'round')}), {dry_run.duration(to_run, options)}, into {folder}")


# Continuing.

def continued(options, root):
    """As prepared(), of the sweep that --resume names."""
    folder = os.path.realpath(options.resume)
    if not os.path.isdir(folder):
        raise UsageError(f"--resume: no such folder: {options.resume}")
    check_path("this project", root)
    check_path("the run folder", folder)
    if not os.path.exists(os.path.join(folder, environment.PATH)):
        raise UsageError(f"--resume: {folder} is not a sweep's folder (no {environment.PATH})")
    refuse_others_folder(folder)
    recorded = environment.load(folder)
    before = collect.recorded_options(folder, recorded)
    if options.given:
        identity.refuse_other_options(folder, options.given, vars(options), vars(before))
    if "metric" in options.given:
        if not before.command:
            raise UsageError(f"--metric: only with a command, and {folder} is a sweep of benchmarks")
        before.metric = options.metric
        recorded["options"]["metric"] = options.metric
    before.directory = recorded.get("directory") or root
    for name in ("wait", "json_progress", "resume"):
        setattr(before, name, getattr(options, name))
    before.no_pictures = before.no_pictures or options.no_pictures
    check_tools(before, root)
    locked = [locks.lock_folder(folder, options.wait, say), locks.lock_machine(options.wait, folder, say)]
    machine = topology.load()
    identity.refuse_other_machine(folder, recorded, json.loads(json.dumps(describe(before, root, machine))))
    jobs = reread(folder, before, machine)
    forget_unfinished(folder)
    done = forget_failures(folder, jobs, before)
    checksums.forget(folder)
    write_plan(folder, root, before, jobs)
    records.write_joblog(folder, jobs, done)
    resumed_at = recorded.get("resumed_at")
    recorded["resumed_at"] = [*(resumed_at if isinstance(resumed_at, list) else ()), now()]
    environment.save(folder, recorded)
    announce(jobs, before, folder, done)
    return folder, before, jobs, [lock for lock in locked if lock is not None]


def reread(folder, options, machine):
    """The folder's plan, refused where it is not that of its options."""
    def expected(bench):
        return workload.expectation(options, bench)

    asked = plan.make(axes.cells(machine, options), options.rounds, options.seed, not options.no_sentinel)
    if not os.path.exists(os.path.join(folder, "plan.csv")):  # ended before it was written
        return asked
    jobs = plan.read(folder, expected)
    extra = [job for job in jobs if job.kind == plan.EXTRA]
    first = [job for job in jobs if job.kind != plan.EXTRA]
    for there, wanted in zip(first, asked):
        if there != wanted:
            raise ReportError(f"--resume: {folder}/plan.csv is not the plan of its options: {wanted.words()} is expected "
                              f"where it has {there.words()}")
    if len(first) != len(asked):
        raise ReportError(f"--resume: {folder}/plan.csv has {len(first)} rows, the plan of its options {len(asked)}")
    known = {job.key: job for job in asked if job.seq}
    for job in extra:  # a plan's scripts are run: what did not come from the options is not
        if job.key not in known or job != plan.job_of(known[job.key], job.seq, plan.EXTRA, job.round):
            raise ReportError(f"--resume: {folder}/plan.csv has a further round of {job.words()}, which is no cell of its options")
    return first + extra


def refuse_others_folder(folder):
    """What a folder says is run when it is resumed, with the rights of who resumes it."""
    ours = {os.geteuid(), 0, *([int(os.environ["SUDO_UID"])] if os.environ.get("SUDO_UID", "").isdecimal() else [])}
    for path in (folder, os.path.join(folder, environment.PATH), os.path.join(folder, "cells")):
        with suppress(FileNotFoundError):
            if os.stat(path).st_uid not in ours:
                raise UsageError(f"--resume: {path} belongs to another user (number {os.stat(path).st_uid}), and resuming runs "
                                 "the commands in it; read them, and make the folder yours (chown -R) first")


def forget_failures(folder, jobs, options):
    """{seq: record} of the runs that need not be done again; what failed or is damaged is forgotten."""
    results = collect.Results(folder, jobs, options, "")
    done = {}
    for job in jobs:
        if not job.seq:
            continue
        results.take(job)
        if job.seq in results.samples:
            done[job.seq] = records.read(folder, job)
        else:
            records.forget(folder, job)
    return done


# Running.

def measure(folder, root, options, results, kept):
    terminal = sys.stderr.isatty() and has_terminal() and not options.json_progress
    progress = Progress(results, options.json_progress, terminal)
    progress.event("plan", folder=folder, host=results.host, seed=options.seed, rounds=options.rounds,
                   runs=sum(job.seq is not None for job in results.jobs),
                   cells=len({job.key for job in results.jobs if job.seq}))
    by_record = {}

    def finished(path):
        job = by_record.get(path)
        if job is not None and results.take(job):
            progress.finished(job, job.seq, total)
            refuse_metric(folder, results)

    while True:
        by_record.update({job.file(folder, "run"): job for job in results.jobs if job.seq})
        total = len(by_record)
        conductor.run(folder, finished, bar=terminal, keep=kept)
        collect.refuse_missing(folder, results.take_all(), results.jobs)
        again = disagreeing(results, options)
        if not again:
            return
        more = plan.extra_round(results.jobs, again)
        results.jobs += more
        scripts.write(folder, [job for job in results.jobs if job.seq], options, root, conductor.VARIABLE)
        plan.write(folder, results.jobs)
        progress.event("extra_round", round=more[0].round, cells=[[job.bench, job.place] for job in more])
        if terminal:
            say(f"the rounds of {counted(len(more), 'cell')} disagree: round {more[0].round} of them")


def measure_also(folder, root, options, kept):
    """Whether one of --also's measurements failed."""
    if not options.also:
        return False
    size = max(options.sizes.split(","), key=option_words.size_bytes) if options.sizes else None
    wanted = also.measurements(options.also.split(","), topology.load(), size)
    failures = also.measure(folder, root, options, wanted, kept, say)
    for item, reason in failures.items():
        say(f"{item.words} failed: {reason}")
    return bool(failures)


def refuse_metric(folder, results):
    """Stops a sweep that would run for hours without a figure: in its first run a metric matched nothing."""
    job = results.unmatched
    if job is not None and not results.samples:
        raise ReportError(f"{results.failures[job.seq]} (it is in {job.file(folder, 'out')} and .err); mend it with: "
                          f"harness/run_matrix.sh --resume {shlex.quote(folder)} --metric 'NAME=REGEX:UNIT'")


def has_terminal():
    """GNU parallel's bar asks /dev/tty for its width; without a controlling terminal it would complain each time."""
    try:
        with open("/dev/tty", "rb"):
            return True
    except OSError:
        return False


def disagreeing(results, options):
    """The keys of the cells that need a further round, none when there have been enough."""
    rounds = max((job.round for job in results.jobs if job.seq and job.kind != plan.SENTINEL), default=0)
    if rounds >= options.rounds + options.extra_rounds:
        return set()
    keys = {job.key for job in results.jobs if job.seq and job.kind == plan.CELL}
    return {key for key in keys
            if any(rounds_disagree(round_medians(of_rounds)) for (_, metric), of_rounds in results.round_values(key).items()
                   if metric == "wall_time" or metric not in RESOURCES)}


# Ending.

def finish(folder, options, results):
    samples = collect.write(results)
    reasons = results.reasons()
    progress = Progress(results, options.json_progress, False)
    for job in results.jobs:
        if job.kind == plan.SENTINEL and job.seq in results.failures:
            say(f"sentinel {job.round}, {job.words()}, failed: {results.failures[job.seq]}")
    if options.samples_only:
        for job, reason in reasons.items():
            say(f"round {job.round}, {job.words()}, failed: {reason}")
        checksums.write(folder, DATA)
        os.unlink(os.path.join(folder, runs.UNFINISHED))
        status = 1 if reasons else 0
        progress.event("finished", folder=folder, status=status, failed=len({job.key for job in reasons}))
        return status
    rows = runs.write_summary(folder, samples, reasons, results.jobs)
    checksums.write(folder, DATA)
    remove_report(folder)
    judged = Run(folder)
    verdict.save(folder, judged.words)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("failed", "misplaced", "noisy")}
    out = open(os.devnull, "w", encoding="utf-8") if options.json_progress else sys.stdout
    print(table.render(rows), "", *judged.words, "", sep="\n", file=out, flush=True)
    report_failures(rows, counts)
    print(f"data: {folder}/matrix.csv, samples.csv, verdict.txt, environment.json", file=out)
    if options.no_pictures:
        print(f"pictures and page: harness/plot.py {shlex.quote(folder)}", file=out)
    elif any(row["median"] is not None for row in rows):
        for path in report_on(judged):
            if path.endswith(".png"):
                print(f"picture: {path} (and .svg)", file=out)
            elif path.endswith(".html"):
                print(f"page: {path}", file=out)
    os.unlink(os.path.join(folder, runs.UNFINISHED))
    status = 1 if counts["failed"] or counts["misplaced"] else 0
    progress.event("finished", folder=folder, status=status, verdict=judged.words, **counts)
    return status


def report_on(run):
    """Draws the pictures and writes the page; returns the paths."""
    from numa_report import report  # what they draw with takes seconds to import: only where it is wanted

    return report.write(run)[1]


def report_failures(rows, counts):
    if counts["misplaced"]:
        say(f"{counted(counts['misplaced'], 'cell')} misplaced: the pages were not on the node asked for; see matrix.csv")
    failed = {}
    for row in rows:
        if row["status"] == "failed":
            failed.setdefault((row["cell"].replace(f".{row['variant']}.", " on "), row["reason"]), row)
    for name, reason in failed:
        say(f"{name} failed: {reason}")


def remove_report(folder):
    """That of a sweep before it was resumed: it shows other data than what is there now. Its pictures are pairs of files."""
    there = set(os.listdir(folder))
    drawn = {name[:-4] for name in there if name.endswith(".svg")} & {name[:-4] for name in there if name.endswith(".png")}
    for name in ["report.html", *(f"{name}.{ending}" for name in drawn for ending in ("png", "svg"))]:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, name))

