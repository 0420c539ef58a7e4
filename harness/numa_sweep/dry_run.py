"""What a sweep would run, and about how long that would take."""

import os

from numa_report.layout import counted
from numa_report.schema import BENCHES

from . import scripts


def show(options, root, jobs, folder):
    """One line a run in the order they would be done, then the cells that cannot be measured. Returns the exit status."""
    options.directory = os.getcwd() if options.command else root
    print(f"# seed {options.seed}, {counted(options.rounds, 'round')}, time limit {scripts.timeout_s(options)} s a run; "
          f"run folder {folder}")
    for job in jobs:
        if job.seq:
            words = "sentinel" if job.kind == "sentinel" else f"round {job.round}"
            print(f"{words}, {job.words()}: {scripts.command_line(job, options, root, folder)}")
        else:
            print(f"skipped, {job.words()}: {job.skip_reason}")
    runs = [job for job in jobs if job.seq]
    print(f"# {counted(len(runs), 'run')} of {counted(len({job.key for job in runs}), 'cell')}, {duration(runs, options)}")
    return 0


def duration(jobs, options):
    """Roughly how long the runs take, in words."""
    if options.command:
        return f"{len(jobs)} times what the command takes"
    if options.sizes or options.max_samples or options.min_sample_ms or options.threads:
        return "for as long as these sizes, samples and threads take"
    least, most = (sum(BENCHES[job.bench].seconds[end] for job in jobs) for end in (0, 1))
    return "roughly " + (f"{least:.0f} to {most:.0f} s" if most < 180 else f"{max(1, least // 60):.0f} to {-(-most // 60):.0f} min")
