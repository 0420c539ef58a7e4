"""The fleet's folder of a sweep under Slurm: made for submit.sh, or made ready for further tasks or a merge.

Prints, each with a NUL after it, the folder and the sweep's own words as the tasks are to give them to run_matrix.sh.
"""

import argparse
import contextlib
import os
import shlex
import sys

sys.path[0] = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))

from numa_report import runs  # noqa: E402
from numa_report.errors import UsageError, run_main, whole_file  # noqa: E402
from numa_sweep import environment, host_rows, options as option_words, sweep  # noqa: E402
from numa_sweep.main import HEADS_OWN  # noqa: E402

ROOT = os.path.dirname(sys.path[0])
# Options of run_matrix.sh that each task gets from its script, or that say what is not for a task to do.
NOT_ACCEPTED = ("out", "resume", "merge", "hosts", "jobs", "remote_path", "host_name", "dry_run", "json_progress")


def main(arguments):
    parser = argparse.ArgumentParser(prog="fleet_folder.py", allow_abbrev=False)
    parser.add_argument("--resume", help="a folder that was made before")
    parser.add_argument("--out", help="a new one")
    parser.add_argument("--dry-run", action="store_true", help="make nothing")
    parser.add_argument("--nodes", type=str.split, help="names between spaces")
    parser.add_argument("sweep", nargs="*", help="run_matrix.sh's options, after --")
    place = arguments.index("--") if "--" in arguments else len(arguments)
    asked = parser.parse_args(arguments[:place])
    words = []
    if not asked.resume:
        words, options = read_sweep(arguments[place + 1:])
    folder = asked.resume or (name_of(asked) if asked.dry_run else make(asked, options, words))
    if not asked.dry_run:
        make_ready(folder, asked.nodes)
    sys.stdout.buffer.write(b"".join(os.fsencode(word) + b"\0" for word in (folder, *words)))
    return 0


def read_sweep(arguments):
    """(the words for the tasks, options) of the sweep's options, which are checked here rather than once a node."""
    with contextlib.redirect_stdout(sys.stderr):  # of --help
        options = option_words.parse(arguments)
    for name in NOT_ACCEPTED:
        if name in options.given:
            raise UsageError(f"--{name.replace('_', '-')} is not accepted among the sweep's options; see --help")
    return option_words.words_for(options, HEADS_OWN), options


def name_of(asked):
    started_at = sweep.now().replace("-", "").replace(":", "")
    return os.path.abspath(asked.out or os.path.join(ROOT, "results", f"{started_at}-slurm"))


def make(asked, options, words):
    sweep.check_path("this project", ROOT)
    sweep.check_path("the fleet's folder", name_of(asked))
    options.out = asked.out
    sweep.refuse_used_folder(options, name_of(asked))
    folder, _ = sweep.make_folder(options, name_of(asked))
    os.mkdir(os.path.join(folder, "slurm"))
    options.out = folder
    environment.save(folder, {
        "host": os.uname().nodename, "started_at": sweep.now(), "git_revision": environment.git_revision(ROOT),
        "options": option_words.recorded(options),
        "slurm": {"directory": os.getcwd(), "sweep": words, "nodes": asked.nodes}})
    return folder


def make_ready(folder, nodes):
    """A row for each node that is not complete, for the merge knows of the others; and the mark that this has not ended."""
    rows = [host_rows.row(node, reason=f"its task has not ended a sweep; see slurm/task-{place}.out")
            for place, node in enumerate(nodes) if not host_rows.is_whole(host_rows.run_folder(folder, node))]
    if rows:
        host_rows.write(folder, rows)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, host_rows.FILE))
    with whole_file(os.path.join(folder, runs.UNFINISHED), encoding="utf-8") as file:
        file.write("The tasks of this sweep have not all ended. "
                   f"harness/slurm/submit.sh --resume {shlex.quote(folder)} submits what is missing.\n")


if __name__ == "__main__":
    sys.exit(run_main("submit.sh", lambda: main(sys.argv[1:])))
