#!/usr/bin/env python3
"""`make check-programs`: other people's programs do the same with the library preloaded as without.

Each script of this folder is a program's workload. It runs once without the library, then under every mode of the
file `modes`. A run passes when what it printed is the same, byte for byte, its exit status is 0, the library was in
use, and every page that the kernel was asked about is where the policy wants it. Ends with a table and
`N passed, N failed, N skipped`."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import evidence

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLAIN = "plain"
SKIPPED_STATUS = 77


class Run:
    """A program under a mode, or plainly: what came of it."""

    def __init__(self, program, mode):
        self.program, self.mode = program, mode
        self.verdict, self.reason, self.seconds, self.seen = "skipped", "", 0.0, None


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lab", action="store_true", help="the modes for two nodes, light workloads")
    parser.add_argument("--long", action="store_true", help="all of CPython's regression tests: an hour a mode")
    parser.add_argument("--programs", metavar="NAME,...", help="these alone")
    parser.add_argument("--modes", metavar="NAME,...", help="these alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="runs at a time (default: a CPU each)")
    parser.add_argument("--prepare", action="store_true", help="only compile and lay out what the programs need")
    parser.add_argument("--prepared", action="store_true", help="take what --prepare has laid out")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "build" / "programs",
                        help="folder of the table and of failed runs (default build/programs)")
    return parser.parse_args()


def read_modes(where):
    """Name and variables of the modes for `where`: host or lab."""
    modes = {}
    for line in (HERE / "modes").read_text().splitlines():
        words = line.split()
        if words and not words[0].startswith("#") and words[0] in (where, "both"):
            modes[words[1]] = words[2:]
    return modes


def chosen(kind, names, wanted):
    if not wanted:
        return names
    wanted = wanted.split(",")
    unknown = [name for name in wanted if name not in names]
    if unknown:
        sys.exit(f"check.py: no {kind} '{unknown[0]}'; there are: {' '.join(names)}")
    return [name for name in names if name in wanted]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run_script(script, step, folder, settings, limit_s):
    """Runs a step of a script in `folder`; returns its exit status, or None when it took too long."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("NUMA_ALLOC_") and name != "LD_PRELOAD"}
    environment["PATH"] = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:" + os.environ.get("PATH", "")
    environment.update(settings)
    with open(folder.parent / f"{step}.out", "wb") as out, open(folder.parent / f"{step}.err", "wb") as err:
        process = subprocess.Popen(["bash", str(script), step], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=err, start_new_session=True)
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.terminate()  # its servers end with it
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                pass
            return None
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # what it left behind
            except ProcessLookupError:
                pass
            process.wait()


class Checker:
    def __init__(self, options, modes, folder):
        self.modes, self.folder = modes, folder
        self.prepared = options.out / "prepared"
        self.extent = "light" if options.lab else "long" if options.long else "full"
        self.limit_s = {"light": 1800, "full": 300, "long": 4 * 3600}[self.extent]
        self.library = folder / "numa_alloc.so"
        # A copy: the checkout's path may have spaces, which a list of libraries cannot hold, and other users may not
        # be allowed to look into it.
        shutil.copy(ROOT / "alloc" / "numa_alloc.so", self.library)

    def settings(self, program, mode, evidence_folder):
        return {
            "PREPARED": str(self.prepared / program), "EXTENT": self.extent, "PORT": str(free_port()),
            "LIBRARY": "" if mode == PLAIN else str(self.library),
            "MODE_VARIABLES": " ".join(self.modes.get(mode, [])), "EVIDENCE": str(evidence_folder),
        }

    def prepare(self, program):
        """Lays out what a program needs. Returns None, or a run that says why it cannot be tested."""
        folder = self.prepared / program
        shutil.rmtree(folder, ignore_errors=True)
        settings = self.settings(program, PLAIN, folder)
        status = run_script(HERE / f"{program}.sh", "prepare", folder, settings, 600)
        if status == 0:
            return None
        run = Run(program, PLAIN)
        output = folder.parent
        if status == SKIPPED_STATUS:
            run.reason = (output / "prepare.out").read_text().strip()
        else:
            run.verdict, run.reason = "failed", f"preparing: {last_line(output / 'prepare.err')}"
        return run

    def run(self, program, mode, reference=None):
        """Runs a program's workload; `reference` is the plain run that it must equal."""
        run = Run(program, mode)
        base = self.folder / folder_name(mode) / program
        seen_folder = base / "evidence"
        seen_folder.mkdir(parents=True)
        for folder in (base.parent, base, seen_folder):
            folder.chmod(0o1777 if folder is seen_folder else 0o755)
        started = time.monotonic()
        status = run_script(HERE / f"{program}.sh", "work", base / "folder", self.settings(program, mode, seen_folder),
                            self.limit_s)
        run.seconds = time.monotonic() - started
        run.verdict, run.reason = self.judge(run, base, status, reference)
        if run.verdict != "failed" and run.mode != PLAIN:
            shutil.rmtree(base)
        return run

    def judge(self, run, base, status, reference):
        if status == SKIPPED_STATUS:
            return "skipped", (base / "work.out").read_text().strip()
        if status is None:
            return "failed", f"not done after {self.limit_s} s"
        if status != 0:
            return "failed", f"status {status}: {last_line(base / 'work.err')}"
        output = (base / "work.out").read_bytes()
        if not output:
            return "failed", "printed nothing"
        if run.mode == PLAIN:
            return "passed", ""
        if output != (self.folder / PLAIN / reference.program / "work.out").read_bytes():
            return "failed", "another output than without the library"
        run.seen = evidence.read(base / "evidence", self.library)
        wrong = run.seen.wrong(self.modes[run.mode])
        return ("failed", wrong) if wrong else ("passed", "")


def folder_name(mode):
    """A colon ends the name of a socket in some servers' configuration."""
    return re.sub(r"[^\w-]", "-", mode)


def last_line(path):
    lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def say(run):
    mark = {"passed": "ok", "failed": "not ok", "skipped": "skipped"}[run.verdict]
    reason = f": {run.reason}" if run.reason else ""
    print(f"{mark} - {run.program}, {run.mode} ({run.seconds:.1f} s){reason}", flush=True)


def check_all(checker, programs, modes, jobs, prepared):
    """Runs every program plainly first, then under each mode. Returns all runs."""
    runs = []

    def first(program):
        wrong = None if prepared else checker.prepare(program)
        return wrong or checker.run(program, PLAIN)

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(first, program) for program in programs}
        while waiting:
            done, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            for future in done:
                run = future.result()
                runs.append(run)
                say(run)
                if run.mode == PLAIN and run.verdict == "passed":
                    waiting |= {pool.submit(checker.run, run.program, mode, run) for mode in modes}
    return runs


def table(runs, programs, modes):
    """Program x mode, seconds in each cell, as Markdown."""
    found = {(run.program, run.mode): run for run in runs}
    lines = ["| program | " + " | ".join(modes) + " |", "| --- |" + " --- |" * len(modes)]
    for program in programs:
        cells = []
        for mode in modes:
            run = found.get((program, mode))
            cells.append("" if run is None else f"{run.seconds:.1f}" if run.verdict == "passed" else run.verdict)
        lines.append(f"| {program} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write_rows(path, runs):
    with open(path, "w") as file:
        file.write("program\tmode\tverdict\tseconds\tprocesses\tpeak_bytes\treason\n")
        for run in sorted(runs, key=lambda run: (run.program, run.mode)):
            seen = (run.seen.processes, run.seen.peak_bytes) if run.seen else ("", "")
            file.write(f"{run.program}\t{run.mode}\t{run.verdict}\t{run.seconds:.2f}\t{seen[0]}\t{seen[1]}\t"
                       f"{run.reason}\n")


def prepare_all(checker, programs):
    wrong = [run for run in map(checker.prepare, programs) if run]
    for run in wrong:
        say(run)
    return any(run.verdict == "failed" for run in wrong)


def main():
    options = parse_arguments()
    all_modes = read_modes("lab" if options.lab else "host")
    modes = chosen("mode", list(all_modes), options.modes)
    programs = sorted(path.stem for path in HERE.glob("*.sh"))
    programs = chosen("program", programs, options.programs)
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="numa_programs.") as name:
        folder = pathlib.Path(name)
        folder.chmod(0o755)
        checker = Checker(options, all_modes, folder)
        if options.prepare:
            return prepare_all(checker, programs)
        runs = check_all(checker, programs, modes, options.jobs, options.prepared)
        keep_failures(runs, folder, options.out / "failed")
    counts = {verdict: sum(run.verdict == verdict for run in runs) for verdict in ("passed", "failed", "skipped")}
    write_rows(options.out / "programs.tsv", runs)
    print("\nseconds a run\n\n" + table(runs, programs, [PLAIN] + modes))
    print(f"\ntook {time.monotonic() - started:.0f} s; rows in {options.out}/programs.tsv")
    print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return counts["failed"] > 0 or counts["passed"] == 0


def keep_failures(runs, folder, kept):
    """What failed runs, and the plain ones to compare with, printed and left as evidence."""
    shutil.rmtree(kept, ignore_errors=True)
    programs = {run.program for run in runs if run.verdict == "failed"}
    for run in runs:
        base = folder / folder_name(run.mode) / run.program
        if run.program in programs and base.is_dir():
            shutil.copytree(base, kept / run.program / folder_name(run.mode), symlinks=True,
                            ignore=lambda name, names: names if name.endswith("folder") else [])
    if programs:
        print(f"# output and evidence of {', '.join(sorted(programs))}: in {kept}")


if __name__ == "__main__":
    sys.exit(main())
