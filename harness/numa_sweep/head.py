"""The head of a fleet at work: GNU parallel with one job a host, and what is done as each of them ends."""

import concurrent.futures
import ctypes
import fcntl
import functools
import os
import resource
import select
import signal
import subprocess
import sys

from numa_report.errors import ReportError
from numa_report.layout import counted

from . import conductor, host_rows, records
from .sweep import say

MOST_JOBS = 1000
# What a host costs here while it is swept (docs/FLEET.md): GNU parallel starts a job only with so many file handles to
# spare; host_job.sh, ssh, and tar while something is on its way.
FILES_A_HOST, FILES_BESIDE = 4, 64
PROCESSES_A_HOST, PROCESSES_BESIDE = 3, 200
JOB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_job.sh")
LEAST_INHERITED_FD = 20  # shells take lower ones for themselves


def jobs_at_once(asked, number):
    """How many of so many hosts are swept at a time."""
    wanted = min(asked or MOST_JOBS, number)
    possible = wanted
    for limit, name, each, beside in ((resource.RLIMIT_NOFILE, "ulimit -n", FILES_A_HOST, FILES_BESIDE),
                                      (resource.RLIMIT_NPROC, "ulimit -u", PROCESSES_A_HOST, PROCESSES_BESIDE)):
        most = resource.getrlimit(limit)[1]
        if most != resource.RLIM_INFINITY and (most - beside) // each < possible:
            possible = max(1, (most - beside) // each)
            say(f"{name} is {most}, which is enough for {counted(possible, 'host')} at a time; {wanted} would take "
                f"{each * wanted + beside}")
    return possible


class Head:
    """Follows the hosts' jobs to their end."""

    def __init__(self, fleet, pool, event, terminal):
        self.fleet, self.pool, self.event, self.terminal = fleet, pool, event, terminal
        self.summaries = {}  # future: row as the job reported it
        self.waited_for = {host.label for host in fleet.to_do}

    def run(self, jobs):
        """Has GNU parallel run every host's job. Whatever is raised meanwhile ends them first, here and on the hosts."""
        alive, kept_alive = inheritable_pipe()
        reports, reported = inheritable_pipe()
        folder = self.fleet.folder
        command = ["parallel", "--plain", "--will-cite", "--jobs", str(jobs), "--ungroup",
                   "--joblog", "+" + os.path.join(folder, records.JOBLOG), "--arg-file", os.path.join(folder, "jobs.txt")]
        variables = {**os.environ, "PARALLEL_SHELL": "/bin/sh", **self.fleet.variables(),
                     "FLEET_ALIVE": str(alive), "FLEET_REPORTS": str(reported)}
        # With the folder's lock, so that nobody continues the fleet while a job of it is still there.
        passed = [descriptor for descriptor in (alive, reported, self.fleet.lock) if descriptor is not None]
        with open(os.path.join(folder, "log", "parallel.txt"), "w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=variables, pass_fds=passed,
                preexec_fn=functools.partial(in_a_session_of_its_own, FILES_A_HOST * jobs + FILES_BESIDE))
            os.close(alive)
            os.close(reported)
            try:
                self.follow(reports, process)
                status = process.wait()
            except BaseException:
                os.close(kept_alive)
                conductor.end(process)
                raise
            os.close(kept_alive)
            os.close(reports)
            errors.seek(0)
            said = [line.strip() for line in errors if line.strip()]
        if status < 0 or status == 255 or any(line.startswith("parallel: Error") for line in said):
            raise ReportError(f"GNU parallel failed (exit status {status}){': ' + said[-1] if said else ''}")
        for label in self.waited_for:
            self.fleet.rows[label].update(reason=f"its job here ended without a word; see log/{label}.txt and log/parallel.txt")

    def follow(self, reports, process):
        """Until all jobs have ended and everything that arrived is summarised."""
        rest, ended = b"", False
        while not ended or self.summaries:
            exited = process.poll() is not None
            if not ended and select.select([reports], [], [], 0 if self.summaries or exited else 1)[0]:
                data = os.read(reports, 1 << 16)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.take(*line.decode("utf-8", "replace").split("\t", 4))
                ended = not data
            elif exited:
                ended = True  # something that a job left behind may still hold the other end
            if self.summaries:
                done, _ = concurrent.futures.wait(self.summaries, timeout=None if ended else 0.2,
                                                  return_when=concurrent.futures.FIRST_COMPLETED)
                for summary in done:
                    self.complete(self.summaries.pop(summary), summary.result())
                if done:
                    self.fleet.write_rows()

    def take(self, label, status, started_at, seconds, reason):
        """A job has ended and said so."""
        row = host_rows.row(label, self.fleet.rows[label]["sshlogin"], status, reason=reason, started_at=started_at,
                            seconds=seconds)
        self.summaries[self.pool.submit(host_rows.summarise, host_rows.run_folder(self.fleet.folder, label))] = row

    def complete(self, reported, found):
        """A host's row is known."""
        row = host_rows.completed(reported, found)
        self.fleet.rows[row["host"]] = row
        self.waited_for.discard(row["host"])
        total = len(self.fleet.to_do)
        number = total - len(self.waited_for)
        self.event("host", number=number, of=total, **row)
        words = f"{row['host']}: {row['status']}" + (f": {row['reason']}" if row["reason"] else "")
        if self.terminal:
            print(f"[{number}/{total}] {words} ({row['seconds']} s)", file=sys.stderr, flush=True)
        elif row["status"] != host_rows.OK:
            say(words)


def inheritable_pipe():
    """(reading end, writing end) with numbers that shells leave alone; closed in programs unless passed on."""
    ends = os.pipe()
    moved = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, LEAST_INHERITED_FD) for end in ends)
    for end in ends:
        os.close(end)
    return moved


def in_a_session_of_its_own(files):
    """Without a terminal, so that no ssh asks there, and with so many file handles; it ends with this process."""
    os.setsid()
    usual, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if usual != resource.RLIM_INFINITY:
        wanted = files if most == resource.RLIM_INFINITY else min(files, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(usual, wanted), most))
    ctypes.CDLL(None).prctl(conductor.PR_SET_PDEATHSIG, signal.SIGKILL)
