"""Runs the scripts of a plan one after the other under GNU parallel, and stands between them.

Each run_cell, its record on disk, says so over an inherited socket and waits. Only then does this process read what came
of the run and show it, and lets the next one begin: nothing of ours works while something is measured.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress

from numa_report.errors import ReportError

VARIABLE = "NUMA_SWEEP_CONDUCTOR"  # the socket's number, for the scripts
PR_SET_PDEATHSIG = 1
MOST_NAME_BYTES = 65536
WAKE_TIMES, WAKE_EACH_S = 5, 0.004


class Interrupted(Exception):
    """A signal asked for the end."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def require(*tools):
    """Raises ReportError where one of these programs, or GNU parallel, is not on PATH."""
    for tool in ("parallel", *tools):
        if shutil.which(tool) is None:
            raise ReportError(f"{tool} is missing; harness/setup.sh installs it")
    with open(shutil.which("parallel"), "rb") as file:
        if file.read(2) != b"#!":  # moreutils has another program of that name; GNU's is a script
            raise ReportError("the parallel on PATH is not GNU parallel; harness/setup.sh installs it")


def run(folder, finished, bar=False, keep=()):
    """Runs every job of jobs.txt that the joblog lacks. finished(record's path) is called after each.

    keep: descriptors that the runs inherit (locks, so that they outlive this process). Raises ReportError when GNU parallel
    itself failed. Whatever else is raised meanwhile ends the runs first.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    command = ["parallel", "--plain", "--will-cite", "--jobs", "1", "--ungroup", "--joblog",
               os.path.join(folder, "joblog.tsv"), "--resume", *(["--bar"] if bar else []), "--arg-file",
               os.path.join(folder, "jobs.txt"), "sh cells/{}.sh"]
    environment = {**os.environ, "PARALLEL_SHELL": "/bin/sh", VARIABLE: str(theirs.fileno())}
    with ours, tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=environment,
                                   stderr=None if bar else errors, pass_fds=(theirs.fileno(), *keep),
                                   preexec_fn=in_a_group_of_its_own)
        theirs.close()
        try:
            converse(ours, finished, lambda: wake(process))
            status = process.wait()
        except BaseException:
            end(process)
            raise
        errors.seek(0)
        said = [line.strip() for line in errors if line.strip()]
    if status < 0:
        raise ReportError(f"GNU parallel was killed by signal {-status}")
    if status == 255 or any(line.startswith("parallel: Error") for line in said):
        raise ReportError(f"GNU parallel failed (exit status {status}){': ' + said[-1] if said else ''}")


def converse(ours, finished, go_on):
    """Until the last process that holds the socket's other end is gone."""
    while True:
        said = ours.recv(MOST_NAME_BYTES)
        if not said:
            return
        if said.startswith(b"!"):  # run_cell cannot do its own work: neither could the next
            raise ReportError(said[1:].decode(errors="replace"))
        finished(os.fsdecode(said))
        with suppress(BrokenPipeError, ConnectionResetError):
            ours.send(b"\n")
        go_on()


def wake(process):
    """GNU parallel sleeps once more after a job, the longer the job was (up to half a second), unless a SIGCHLD wakes it.

    Waking it in the first milliseconds of the next run does that no harm.
    """
    for _ in range(WAKE_TIMES):
        time.sleep(WAKE_EACH_S)
        process.send_signal(signal.SIGCHLD)


def in_a_group_of_its_own():
    """So that a Ctrl-C reaches this process alone, which then ends the rest; and the rest ends with it in any case."""
    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end(process):
    """Ends GNU parallel and the run it has under way, which ends its command."""
    for number, seconds in ((signal.SIGTERM, 5), (signal.SIGTERM, 5), (signal.SIGKILL, None)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
            return


class Signals:
    """Turns the first of the signals that end a program into Interrupted; what cleans up after it is left alone."""

    NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __enter__(self):
        self.interrupted = False
        self.before = {number: signal.signal(number, self.interrupt) for number in self.NUMBERS}

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def interrupt(self, number, _frame):
        if not self.interrupted:
            self.interrupted = True
            raise Interrupted(number)
