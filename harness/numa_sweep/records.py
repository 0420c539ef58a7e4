"""What a run leaves beside its output: run_cell's record, and where the allocator's statistics say its memory was.

A run is done if and only if its whole record is there: run_cell writes it last, at once.
"""

import json
import os
import shutil
from contextlib import suppress

from numa_report.errors import ReportError, regular, whole_file
from numa_report.schema import PLACED

JOBLOG = "joblog.tsv"
JOBLOG_HEADER = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"
KEYS = ("started_at", "wall_s", "user_s", "system_s", "peak_memory_bytes", "minor_faults", "major_faults", "exit_status",
        "signal", "timed_out", "setup_status", "teardown_status")


def read(folder, job):
    """The record, None where the run has not been done. Raises ReportError when it is not one."""
    path = job.file(folder, "run")
    try:
        with open(path, encoding="utf-8", opener=regular) as file:
            record = json.load(file)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        raise ReportError(f"{os.path.relpath(path, folder)}: not a record of a run") from None
    if not isinstance(record, dict) or any(key not in record for key in KEYS):
        raise ReportError(f"{os.path.relpath(path, folder)}: not a record of a run")
    return record


def forget(folder, job):
    """Makes a run one that has not been done. The record goes first."""
    for ending in ("run", "out", "err", "placement"):
        with suppress(FileNotFoundError):
            os.unlink(job.file(folder, ending))
    shutil.rmtree(job.file(folder, "stats"), ignore_errors=True)


def keep_placement(folder, job):
    """Sums up the statistics that the processes of a run wrote, one file each, and takes those away."""
    statistics = job.file(folder, "stats")
    if not os.path.isdir(statistics):
        return
    placement = add_up(statistics, job)
    with whole_file(job.file(folder, "placement"), encoding="utf-8") as file:
        json.dump(placement, file)
        file.write("\n")
    shutil.rmtree(statistics, ignore_errors=True)


def add_up(statistics, job):
    """{placement, placed_fraction, pages_on_nodes, processes} from the allocator's JSON (docs/STATISTICS.md)."""
    on_node = elsewhere = processes = 0
    refused, resident = False, {}
    for entry in os.scandir(statistics):
        try:
            with open(entry.path, encoding="utf-8", opener=regular) as file:
                said = json.load(file)
            for node in said["nodes"]:
                check = node["placement_check"]
                refused = refused or check["status"] != "ok"
                scale = said.get("placement_check_one_in", 1)
                on_node += scale * check["on_node_pages"]
                elsewhere += scale * check["elsewhere_pages"]
                for number, size_bytes in node["resident_bytes"].items():
                    resident[int(number)] = resident.get(int(number), 0) + size_bytes
            processes += 1
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue  # of a process that was ended while it wrote
    known = not refused and on_node + elsewhere > 0
    fraction = on_node / (on_node + elsewhere) if known else None
    return {
        "placement": "unverified" if not known else "verified" if fraction >= PLACED else "failed",
        "placed_fraction": fraction, "processes": processes,
        "pages_on_nodes": ";".join(f"N{node}={size_bytes >> 12}" for node, size_bytes in sorted(resident.items())),
    }


def read_placement(folder, job):
    try:
        with open(job.file(folder, "placement"), encoding="utf-8", opener=regular) as file:
            said = json.load(file)
        return {name: said[name] for name in ("placement", "placed_fraction", "pages_on_nodes")}
    except (OSError, ValueError, KeyError, TypeError):
        return {"placement": "unverified", "placed_fraction": None, "pages_on_nodes": ""}


def write_joblog(folder, jobs, done):
    """GNU parallel's log of the runs that are done, as it left it; a line of ours where it was ended before its own.

    `parallel --resume` then runs exactly the others. done: {seq: record}.
    """
    path = os.path.join(folder, JOBLOG)
    logged = read_joblog(path)
    with whole_file(path, encoding="utf-8") as file:
        file.write(JOBLOG_HEADER)
        for job in jobs:
            if job.seq in done:
                file.write(logged.get(job.seq) or joblog_line(job, done[job.seq]))


def joblog_line(job, record):
    status = record["exit_status"] if record["exit_status"] is not None else 0
    return f"{job.seq}\t:\t0.000\t{record['wall_s']:.3f}\t0\t0\t{status}\t{record['signal']}\t{job.name}\n"


def read_joblog(path):
    """{seq: whole line}; a line that was cut while being written does not count."""
    try:
        with open(path, encoding="utf-8", errors="replace", opener=regular) as file:
            lines = file.readlines()
    except FileNotFoundError:
        return {}
    found = {}
    for line in lines[1:]:
        fields = line.split("\t", 8)
        if len(fields) == 9 and line.endswith("\n") and fields[0].isdigit():
            found[int(fields[0])] = line
    return found
