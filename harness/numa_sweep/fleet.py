"""A sweep of many hosts at once: GNU parallel here runs host_job.sh once a host, which has the host sweep itself.

The head, this process, gets a line from each as it ends, keeps hosts.csv, summarises what arrived, and at the end puts all
of it together. A host's state is its row and its folder: FLEETFOLDER is continued by doing again what is not ok.
"""

import concurrent.futures
import ctypes
import fcntl
import functools
import json
import os
import resource
import secrets
import select
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import suppress

from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.layout import counted

from . import conductor, environment, host_rows, hosts, identity, locks, merge, options as option_words, package, records, sweep
from .sweep import say

MOST_JOBS = 1000
# What a host costs here while it is swept (docs/FLEET.md): GNU parallel starts a job only with so many file handles to
# spare; host_job.sh, ssh, and tar while something is on its way.
FILES_A_HOST, FILES_BESIDE = 4, 64
PROCESSES_A_HOST, PROCESSES_BESIDE = 3, 200
LEAST_INHERITED_FD = 20  # shells take lower ones for themselves
KEPT = ("id", "directory", "sweep", "remote_path", "hosts", "package")  # environment.json's `fleet`
CACHE = ".cache/numa_alloc"  # in the home folder of a host


def run(options, arguments, resumable=None):
    """Exit status. arguments: the sweep's own words; resumable: a list that has the folder while it can be continued."""
    resumable = [] if resumable is None else resumable
    for name in ("host_name", "samples_only"):
        if name in options.given and not options.resume:
            raise UsageError(f"--{name.replace('_', '-')}: not with --hosts")
    if options.dry_run:
        return show(hosts.read(options.hosts), arguments)
    begin = continued if options.resume else prepared
    fleet = begin(options, arguments)
    resumable.append(fleet.folder)
    fleet.sweep_all(options)
    status = merge.finish(fleet.folder, list(fleet.rows.values()), sys.stderr if options.json_progress else sys.stdout)
    fleet.end()
    if any(row["status"] != host_rows.OK for row in fleet.rows.values()):
        say(f"the hosts that are not ok are tried again by: harness/run_matrix.sh --resume {shlex.quote(fleet.folder)}")
    event(options, "finished", folder=fleet.folder, status=status)
    resumable.clear()
    return status


def show(found, arguments):
    for host in found:
        print(f"{host.label}: {shlex.join(host.words)}: harness/run_matrix.sh {shlex.join(arguments)}")
    return 0


def event(options, name, **details):
    if options.json_progress:
        print(json.dumps({"event": name, **details}, ensure_ascii=False), flush=True)


# Beginning.

def prepared(options, arguments):
    """A new Fleet."""
    found = hosts.read(options.hosts)
    check_tools(found)
    name = sweep.now().replace("-", "").replace(":", "") + "-fleet"
    folder = os.path.abspath(options.out or os.path.join(options.root, "results", name))
    sweep.check_path("this project", options.root)
    sweep.check_path("the fleet's folder", folder)
    sweep.refuse_used_folder(options, folder)
    folder, there = sweep.make_folder(options, folder)
    try:
        lock = locks.lock_folder(folder)
        sweep.refuse_used_folder(options, folder)  # again: until the lock another fleet could begin here
        kept = {
            "id": secrets.token_hex(6), "directory": os.getcwd(), "sweep": arguments,
            "remote_path": options.remote_path, "hosts": [host._asdict() for host in found],
            "package": None if options.remote_path else package.make(options.root, folder),
        }
        options.out = folder
        environment.save(folder, {
            "host": os.uname().nodename, "started_at": sweep.now(), "git_revision": environment.git_revision(options.root),
            "options": option_words.recorded(options), "fleet": kept})
        fleet = Fleet(folder, lock, kept, found, {host.label: not_yet(host) for host in found})
        fleet.begin()
    except BaseException:
        discard(folder, there)
        raise
    return fleet


def not_yet(host):
    return host_rows.row(host.label, host.sshlogin, reason="has not been swept yet")


def discard(folder, there):
    """Takes away what an unfinished preparation made."""
    with suppress(OSError):
        os.unlink(os.path.join(folder, package.FILE))
        os.unlink(os.path.join(folder, host_rows.FILE))
    sweep.discard(folder, there)


def continued(options, arguments):
    """The Fleet that --resume names."""
    folder = os.path.realpath(options.resume)
    sweep.check_path("this project", options.root)
    sweep.check_path("the fleet's folder", folder)
    recorded = environment.load(folder)
    kept = recorded.get("fleet")
    try:
        found = [hosts.Host(host["label"], host["sshlogin"], list(host["words"])) for host in kept["hosts"]]
        before = recorded["options"]
        if any(name not in kept for name in KEPT):
            raise KeyError
    except (TypeError, KeyError):
        raise ReportError(f"--resume: {folder}/{environment.PATH} is not that of a fleet") from None
    identity.refuse_other_options(folder, options.given, vars(options), before)
    check_tools(found)
    lock = locks.lock_folder(folder)
    if kept["package"] and not os.path.exists(os.path.join(folder, package.FILE)):
        kept["package"] = package.make(options.root, folder)
        environment.save(folder, recorded)
    earlier = host_rows.read(folder)
    rows = {host.label: earlier.get(host.label) or not_yet(host) for host in found}
    for label, row in rows.items():
        # The head may have ended between a host's results and its row.
        if row["status"] != host_rows.OK and host_rows.is_whole(host_rows.run_folder(folder, label)):
            rows[label] = host_rows.completed(row, host_rows.summarise(host_rows.run_folder(folder, label)))
    fleet = Fleet(folder, lock, kept, found, rows)
    fleet.begin()
    return fleet


def check_tools(found):
    sweep_tools = ("parallel", "tar", "bash")
    for tool in (*sweep_tools, *dict.fromkeys(host.words[0] for host in found)):
        if shutil.which(tool) is None:
            way_out = "harness/setup.sh installs it" if tool in sweep_tools else "it stands in --hosts or is the default"
            raise ReportError(f"{tool} is missing; {way_out}")
    with open(shutil.which("parallel"), "rb") as file:
        if file.read(2) != b"#!":  # moreutils has another program of that name; GNU's is a script
            raise ReportError("the parallel on PATH is not GNU parallel; harness/setup.sh installs it")


class Fleet:
    """A fleet's folder, its hosts, and their rows."""

    def __init__(self, folder, lock, kept, found, rows):
        self.folder, self.lock, self.kept, self.hosts, self.rows = folder, lock, kept, found, rows
        self.to_do = [host for host in found if rows[host.label]["status"] != host_rows.OK]

    def begin(self):
        for name in ("log", "hosts"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        shutil.rmtree(os.path.join(self.folder, "arriving"), ignore_errors=True)
        with whole_file(os.path.join(self.folder, "jobs.txt"), encoding=sys.getfilesystemencoding(),
                        errors="surrogateescape") as file:
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "host_job.sh")
            file.writelines(f"exec {shlex.join(['bash', script, host.label, *host.words])}\n" for host in self.to_do)
        joblog = os.path.join(self.folder, records.JOBLOG)
        if not os.path.exists(joblog):  # GNU parallel writes no header into a file that it appends to
            with whole_file(joblog, encoding="utf-8") as file:
                file.write(records.JOBLOG_HEADER)
        host_rows.write(self.folder, self.rows.values())
        sweep.mark_unfinished(self.folder)

    def end(self):
        """What is needed only while there is something to do."""
        shutil.rmtree(os.path.join(self.folder, "arriving"), ignore_errors=True)
        if all(row["status"] == host_rows.OK for row in self.rows.values()):
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, package.FILE))
        os.unlink(os.path.join(self.folder, "UNFINISHED"))

    def variables(self):
        """host_job.sh's, but for the descriptors."""
        kept = self.kept
        project = kept["remote_path"].removeprefix("~/") if kept["remote_path"] else f"{CACHE}/{kept['package']}"
        return {
            "FLEET_FOLDER": self.folder, "FLEET_PROJECT": shlex.quote(project),
            "FLEET_PACKAGE": os.path.join(self.folder, package.FILE) if kept["package"] else "",
            "FLEET_RUN": shlex.join([kept["id"], os.path.basename(self.folder)]),
            "FLEET_SWEEP": shlex.join([kept["directory"], *kept["sweep"]]),
        }

    def sweep_all(self, options):
        if not self.to_do:
            say(f"nothing to do: all {counted(len(self.hosts), 'host')} are ok")
            return
        jobs = jobs_at_once(options.jobs, len(self.to_do))
        done = len(self.hosts) - len(self.to_do)
        say(f"{counted(len(self.to_do), 'host')} to sweep{f' ({done} done before)' if done else ''}, {jobs} at a time, into "
            f"{self.folder}")
        event(options, "plan", folder=self.folder, hosts=[host.label for host in self.to_do], jobs=jobs)
        with host_rows.Pool() as pool:
            Head(self, options, pool).run(jobs)


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

    def __init__(self, fleet, options, pool):
        self.fleet, self.options, self.pool = fleet, options, pool
        self.summaries = {}  # future: reported row
        self.finished = 0
        self.terminal = sys.stderr.isatty() and not options.json_progress

    def run(self, jobs):
        alive, kept_alive = inheritable_pipe()
        reports, reported = inheritable_pipe()
        folder = self.fleet.folder
        command = ["parallel", "--plain", "--will-cite", "--jobs", str(jobs), "--ungroup",
                   "--joblog", "+" + os.path.join(folder, records.JOBLOG), "--arg-file", os.path.join(folder, "jobs.txt")]
        variables = {**os.environ, "PARALLEL_SHELL": "/bin/sh", **self.fleet.variables(),
                     "FLEET_ALIVE": str(alive), "FLEET_REPORTS": str(reported)}
        with open(os.path.join(folder, "log", "parallel.txt"), "w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env=variables,
                                       pass_fds=self.inherited(alive, reported), preexec_fn=functools.partial(
                                           in_a_session_of_its_own, FILES_A_HOST * jobs + FILES_BESIDE))
            os.close(alive)
            os.close(reported)
            try:
                self.follow(reports, process)
                status = process.wait()
            except BaseException:
                os.close(kept_alive)  # what is left of the jobs, here and on the hosts, ends by itself
                conductor.end(process)
                raise
            errors.seek(0)
            said = [line.strip() for line in errors if line.strip()]
        os.close(kept_alive)
        os.close(reports)
        if status < 0 or status == 255 or any(line.startswith("parallel: Error") for line in said):
            raise ReportError(f"GNU parallel failed (exit status {status}){': ' + said[-1] if said else ''}")

    def inherited(self, *descriptors):
        """With them the folder's lock, so that nobody continues the fleet while a job of it is still there."""
        return descriptors if self.fleet.lock is None else (*descriptors, self.fleet.lock)

    def follow(self, reports, process):
        """Until all jobs have ended and everything that arrived is summarised."""
        rest, ended = b"", False
        while not ended or self.summaries:
            exited = process.poll() is not None
            if not ended and select.select([reports], [], [], 0 if self.summaries or exited else 1)[0]:
                data = os.read(reports, 1 << 16)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self.take(line.decode("utf-8", "replace").split("\t", 4))
                ended = not data
            elif exited:
                ended = True  # something that a job left behind may still hold the other end
            if self.summaries:
                done, _ = concurrent.futures.wait(self.summaries, timeout=None if ended else 0.2,
                                                  return_when=concurrent.futures.FIRST_COMPLETED)
                for summary in done:
                    self.complete(self.summaries.pop(summary), summary.result())
                if done:
                    host_rows.write(self.fleet.folder, self.fleet.rows.values())

    def take(self, fields):
        """A job has ended."""
        label, status, started_at, seconds, reason = fields
        row = host_rows.row(label, self.fleet.rows[label]["sshlogin"], status, reason=reason, started_at=started_at, seconds=seconds)
        self.summaries[self.pool.submit(host_rows.summarise, host_rows.run_folder(self.fleet.folder, label))] = row

    def complete(self, reported, found):
        """A host's row is known."""
        row = host_rows.completed(reported, found)
        self.fleet.rows[row["host"]] = row
        self.finished += 1
        total = len(self.fleet.to_do)
        event(self.options, "host", number=self.finished, of=total, **row)
        words = f"{row['host']}: {row['status']}" + (f": {row['reason']}" if row["reason"] else "")
        if self.terminal:
            print(f"[{self.finished}/{total}] {words}, {row['seconds']} s", file=sys.stderr, flush=True)
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
