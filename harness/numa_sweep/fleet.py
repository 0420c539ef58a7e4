"""A sweep of many hosts at once: a fleet's folder, its hosts, and their rows. head.py has the hosts swept.

A host's state is its row of hosts.csv and its folder. A fleet is continued by sweeping again the hosts that are not ok; on
each of them its own sweep goes on where it ended.
"""

import json
import os
import secrets
import shlex
import shutil
import string
import sys
from contextlib import suppress

from numa_report import runs
from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.layout import counted

from . import conductor, environment, head, host_rows, hosts, identity, locks, merge, options as option_words, package, records, sweep
from .sweep import say

RECORDED = ("id", "name", "directory", "sweep", "remote_path", "hosts", "package")  # environment.json's `fleet`
CACHE = ".cache/numa_alloc"  # in the home folder of a host
JOBS = "jobs.txt"
PLAIN = string.ascii_letters + string.digits + " _-+=.,:/@%"
MADE = (package.FILE, environment.PATH, host_rows.FILE, JOBS, records.JOBLOG, runs.UNFINISHED)
FOLDERS = ("log", host_rows.HOSTS, "arriving")  # what each host's job said, what came back, what is on its way


def run(options, arguments, resumable):
    """Exit status. arguments: the sweep's own words; resumable: a list that has the folder while it can be continued."""
    for name in ("host_name", "samples_only"):
        if name in options.given and not options.resume:
            raise UsageError(f"--{name.replace('_', '-')}: not with --hosts")
    if options.dry_run:
        return show(options, arguments)
    fleet = continued(options) if options.resume else prepared(options, arguments)
    resumable.append(fleet.folder)
    fleet.sweep(options)
    rows = list(fleet.rows.values())
    status = merge.finish(fleet.folder, rows, sys.stderr if options.json_progress else sys.stdout)
    fleet.end()
    resumable.clear()
    if any(row["status"] != host_rows.OK for row in rows):
        say(f"the hosts that are not ok are tried again by: harness/run_matrix.sh --resume {shlex.quote(fleet.folder)}")
    reporter(options)("finished", folder=fleet.folder, status=status)
    return status


def show(options, arguments):
    """--dry-run: which hosts there are, and what reaches them."""
    for host in hosts.read(options.hosts):
        print(f"{host.label}: {shlex.join(host.words)} ...")
    print(f"# each: harness/run_matrix.sh {shlex.join(word for word in arguments if word != '--dry-run')}")
    return 0


def reporter(options):
    """event(name, **details): an object on a line of standard output, with --json-progress."""
    def event(name, **details):
        if options.json_progress:
            print(json.dumps({"event": name, **details}), flush=True)

    return event


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
        recorded = {
            "id": secrets.token_hex(6), "name": os.path.basename(folder), "directory": os.getcwd(), "sweep": arguments,
            "remote_path": options.remote_path, "hosts": [host._asdict() for host in found],
            "package": None if options.remote_path else package.make(options.root, folder),
        }
        options.out = folder
        fleet = Fleet(folder, lock, recorded, {host.label: not_yet(host) for host in found})
        fleet.begin()
        # From here on it can be continued.
        environment.save(folder, {
            "host": os.uname().nodename, "started_at": sweep.now(), "git_revision": environment.git_revision(options.root),
            "options": option_words.recorded(options), "fleet": recorded})
    except BaseException:
        discard(folder, there)
        raise
    return fleet


def not_yet(host):
    return host_rows.row(host.label, host.sshlogin, reason="has not been swept yet")


def discard(folder, there):
    """Takes away what an unfinished preparation made: such a folder could be neither used nor resumed."""
    for name in FOLDERS:
        shutil.rmtree(os.path.join(folder, name), ignore_errors=True)
    for name in MADE:
        with suppress(OSError):
            os.unlink(os.path.join(folder, name))
    sweep.discard(folder, there)


def continued(options):
    """The Fleet that --resume names."""
    folder = os.path.realpath(options.resume)
    sweep.check_path("this project", options.root)
    sweep.check_path("the fleet's folder", folder)
    sweep.refuse_others_folder(folder)
    described = environment.load(folder)
    recorded = described.get("fleet")
    if not isinstance(recorded, dict) or any(name not in recorded for name in RECORDED):
        way_out = "; harness/slurm/submit.sh --resume continues it" if "slurm" in described else ""
        raise UsageError(f"--resume: {folder}: {environment.PATH} is not that of a sweep of --hosts{way_out}")
    identity.refuse_other_options(folder, options.given, vars(options), described.get("options") or {})
    try:
        found = [hosts.Host(hosts.checked(host["label"]), host["sshlogin"], list(map(str, host["words"])))
                 for host in recorded["hosts"]]
    except (KeyError, TypeError):
        raise ReportError(f"{folder}/{environment.PATH}: the fleet's hosts are not readable") from None
    check_tools(found)
    lock = locks.lock_folder(folder)
    if recorded["package"] and not os.path.exists(os.path.join(folder, package.FILE)):
        recorded["package"] = package.make(options.root, folder)
        environment.save(folder, described)
    earlier = host_rows.read(folder)
    rows = {host.label: earlier.get(host.label) or not_yet(host) for host in found}
    for label, row in rows.items():
        run_folder = host_rows.run_folder(folder, label)
        if row["status"] != host_rows.OK and host_rows.is_whole(run_folder):  # the head was ended before it wrote the row
            rows[label] = host_rows.completed(row, host_rows.summarise(run_folder))
    fleet = Fleet(folder, lock, recorded, rows)
    fleet.begin()
    return fleet


def check_tools(found):
    conductor.require("tar", "bash")
    for program in dict.fromkeys(host.words[0] for host in found):
        if shutil.which(program) is None:
            raise ReportError(f"{program} is missing, which --hosts needs")


class Fleet:
    """A fleet's folder, what was recorded of it, and its hosts' rows of hosts.csv."""

    def __init__(self, folder, lock, recorded, rows):
        self.folder, self.lock, self.recorded, self.rows = folder, lock, recorded, rows
        self.to_do = [host for host in map(lambda host: hosts.Host(**host), recorded["hosts"])
                      if rows[host.label]["status"] != host_rows.OK]

    def begin(self):
        shutil.rmtree(os.path.join(self.folder, "arriving"), ignore_errors=True)
        for name in FOLDERS:
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        # The paths' own bytes, whatever this process takes them to spell.
        with whole_file(os.path.join(self.folder, JOBS), encoding=sys.getfilesystemencoding(), errors="surrogateescape") as file:
            file.writelines(f"exec {shlex.join(['bash', head.JOB, host.label, *host.words])}\n" for host in self.to_do)
        joblog = os.path.join(self.folder, records.JOBLOG)
        if not os.path.exists(joblog):  # GNU parallel writes no header into a file that it appends to
            with whole_file(joblog, encoding="utf-8") as file:
                file.write(records.JOBLOG_HEADER)
        self.write_rows()
        sweep.mark_unfinished(self.folder)

    def write_rows(self):
        host_rows.write(self.folder, self.rows.values())

    def sweep(self, options):
        if not self.to_do:
            say(f"nothing to do: all {counted(len(self.rows), 'host')} are ok")
            return
        jobs = head.jobs_at_once(options.jobs, len(self.to_do))
        done = len(self.rows) - len(self.to_do)
        say(f"{counted(len(self.to_do), 'host')} to sweep{f' ({done} done before)' if done else ''}, {jobs} at a time, into "
            f"{self.folder}")
        event = reporter(options)
        event("plan", folder=self.folder, hosts=[host.label for host in self.to_do], jobs=jobs)
        terminal = sys.stderr.isatty() and not options.json_progress
        with host_rows.Pool() as pool:
            head.Head(self, pool, event, terminal).run(jobs)

    def end(self):
        """Takes away what is needed only while there is something to do."""
        shutil.rmtree(os.path.join(self.folder, "arriving"), ignore_errors=True)
        unneeded = [runs.UNFINISHED]
        if all(row["status"] == host_rows.OK for row in self.rows.values()):
            unneeded.append(package.FILE)
        for name in unneeded:
            with suppress(FileNotFoundError):
                os.unlink(os.path.join(self.folder, name))

    def variables(self):
        """host_job.sh's, but for the descriptors."""
        recorded = self.recorded
        there = recorded["remote_path"]
        return {
            "FLEET_FOLDER": self.folder,
            "FLEET_PROJECT": shlex.quote(there.removeprefix("~/") if there else f"{CACHE}/{recorded['package']}"),
            "FLEET_PACKAGE": "" if there else os.path.join(self.folder, package.FILE),
            "FLEET_RUN": shlex.join([recorded["id"], recorded["name"]]),
            "FLEET_SWEEP": shlex.quote(escaped(shlex.join([recorded["directory"], *recorded["sweep"]]))),
        }


def escaped(text):
    """In letters that every login shell leaves alone in quotes (csh's takes ! and line ends); `printf %b` gives it back."""
    return "".join(chr(byte) if chr(byte) in PLAIN else f"\\0{byte:03o}" for byte in os.fsencode(text))
