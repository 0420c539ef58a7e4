"""harness/run_matrix.sh's own beginning: which of its jobs is asked for, under which Python, and how it ends."""

import importlib.util
import os
import shlex
import shutil
import sys

from numa_report.errors import ReportError, run_main

from . import conductor, options as option_words

NAME = "run_matrix.sh"
# What the head of a fleet does itself; all else is passed on to each host.
HEADS_OWN = ("hosts", "jobs", "remote_path", "out", "resume", "no_pictures", "json_progress", "plan", "wait", "samples_only",
             "host_name")


def main(root, arguments):
    """Exit status."""
    return run_main(NAME, lambda: dispatch(root, arguments))


def dispatch(root, arguments):
    resumable = []  # the folder that can be continued, once there is one
    try:
        with conductor.Signals():
            options = option_words.parse(arguments)
            options.root = root
            need_modules(options)
            return chosen(options)(options, root, resumable)
    except conductor.Interrupted as interrupted:
        print(file=sys.stderr)
        print(f"{NAME}: interrupted{way_on(resumable)}", file=sys.stderr)
        return 128 + interrupted.number
    except (ReportError, OSError) as error:
        if not resumable or "--resume" in str(error):
            raise
        words = f"{error.filename or 'input/output'}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise ReportError(words + way_on(resumable)) from None


def chosen(options):
    """The function that does what is asked for; each takes (options, root, resumable)."""
    if options.merge:
        from . import merge
        return lambda options, root, resumable: merge.merge(options.merge)
    if options.hosts or options.resume and is_fleet(options.resume):
        from . import fleet
        return lambda options, root, resumable: fleet.run(options, option_words.words_for(options, HEADS_OWN), resumable)
    from . import sweep
    return sweep.main


def is_fleet(folder):
    return os.path.isfile(os.path.join(folder, "hosts.csv")) or os.path.isdir(os.path.join(folder, "hosts"))


def way_on(resumable):
    return f"; continue with: harness/run_matrix.sh --resume {shlex.quote(resumable[0])}" if resumable else ""


def need_modules(options):
    """Goes over to another Python where this one lacks what the reports need."""
    of_fleet = options.hosts or options.merge or options.resume and is_fleet(options.resume)
    needed = [] if options.samples_only or options.dry_run else ["numpy"]
    needed += [] if options.samples_only or options.dry_run or options.no_pictures or of_fleet else ["matplotlib"]
    if all(map(importlib.util.find_spec, needed)):
        return
    other = shutil.which("python3")
    if other and os.path.realpath(other) != os.path.realpath(sys.executable) and "NUMA_SWEEP_PYTHON" not in os.environ:
        os.environ["NUMA_SWEEP_PYTHON"] = sys.executable
        os.execv(other, [other, *sys.orig_argv[sys.orig_argv.index("-c"):]])
    raise ReportError(f"python3 with {' and '.join(needed)} is missing; harness/setup.sh installs it")
