"""The command that measured a cell, from the scripts that a sweep leaves in cells/."""

import os
import re
from contextlib import suppress

from numa_sweep import plan

from .. import runs
from ..errors import DataError, regular
from ..layout import shortened

# What numa_sweep/scripts.py writes between run_cell's own words and the command's.
BEFORE_COMMAND = re.compile(r':\+--conductor "\$\w+"\} -- ')
MOST_LETTERS = 4000


def of_rows(folder, rows):
    """{id(row): (the command's words, the name of its script in the folder)}, of those rows whose script is there."""
    if not runs.is_sweep(folder):
        return {}
    jobs = {}
    with suppress(DataError):  # of a folder of an earlier version, which had another plan: a page without commands
        for job in plan.read(folder):
            if job.seq and job.kind == plan.CELL:
                jobs.setdefault(job.key, job)
    scripts, commands = {}, {}
    for row in rows:
        job = jobs.get((row["bench"], row["cell"][len(f"{row['bench']}.{row['variant']}."):]))
        if job is None or job.cell_id(row["variant"]) != row["cell"]:
            continue
        if job.key not in scripts:
            scripts[job.key] = read(folder, job)
        if scripts[job.key]:
            commands[id(row)] = scripts[job.key]
    return commands


def read(folder, job):
    """(the command, its script); None where the script is gone or another program's."""
    path = job.file(folder, "sh")
    try:
        with open(path, encoding="utf-8", errors="replace", opener=regular) as file:
            found = BEFORE_COMMAND.split(file.read(), maxsplit=1)
    except OSError:
        return None
    if len(found) != 2:
        return None
    return shortened(found[1].rstrip("\n"), MOST_LETTERS), os.path.relpath(path, folder)
