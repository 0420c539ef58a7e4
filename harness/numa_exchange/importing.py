"""plot.py --import FORMAT FILE: a run's folder of what another tool printed, so that old measurements compare."""

import datetime
import itertools
import os
import re
import sys

from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.layout import counted
from numa_report.schema import SAMPLE_COLUMNS, better_of
from numa_report.tables import write_table
from numa_sweep import environment

from . import likwid_bench, mlc, multichase, numademo
from .imported import Place, Wrong

FORMATS = {
    "mlc": (mlc, "Intel Memory Latency Checker: latency and bandwidth matrices, loaded latencies"),
    "multichase": (multichase, "google/multichase's latencies; with -v each sample's; --cpu-node and --mem-node"),
    "numademo": (numademo, "numactl's numademo: what it measures `running on node N`"),
    "likwid-bench": (likwid_bench, "likwid-bench's bandwidths; --cpu-node and --mem-node"),
}
MOST_BYTES = 16 << 20
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
ORIGINAL = "original.txt"


def main(name, paths, out=None, host=None, cpu_node=None, mem_node=None):
    """Makes the folder and says where it is; returns the exit status.

    host, cpu_node, mem_node: what the tool itself does not say. Raises ReportError with the line that is wrong.
    """
    if name == "help":
        print("--import FORMAT, one of:", *(f"  {word:12}  {words}" for word, (_, words) in FORMATS.items()), sep="\n")
        return 0
    if name not in FORMATS:
        raise UsageError(f"--import: no format {ascii(name)}; {', '.join(FORMATS)} are known")
    if len(paths) != 1:
        raise UsageError(f"--import: one file is expected, {len(paths)} are given")
    original = read_bytes(paths[0])
    text = text_of(paths[0], original)
    found = FORMATS[name][0].parse(paths[0], text.splitlines(), Place(cpu_node, mem_node))
    folder = new_folder(out, host or "imported")
    write(folder, name, paths[0], original, host or "", found)
    print(f"{counted(len(found.samples) + len(found.loaded), 'figure')} of {found.tool}: {folder}; "
          f"draw them with harness/plot.py, compare them with harness/plot.py --compare")
    for line in found.notes:
        print(f"plot.py: {line}", file=sys.stderr)
    return 0


def read_bytes(path):
    """All that the file has; it may be a pipe, which is read once. Raises ReportError."""
    with open(path, "rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ReportError(f"{path}: over {MOST_BYTES >> 20} MiB; the output of one tool is expected")
    return data


def text_of(path, data):
    """The file's text without a terminal's colours, its lines ended alike. Raises ReportError."""
    if b"\0" in data:
        raise ReportError(f"{path}: a zero byte: not a text file in UTF-8")
    try:
        text = ESCAPE.sub("", data.decode("utf-8-sig")).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Wrong(path, line, f"byte 0x{data[error.start]:02x} is not UTF-8") from None
    if not text.endswith("\n"):  # its last figure may have had more digits
        raise Wrong(path, text.count("\n") + 1, "no line end: the file looks cut; end the line if it is whole")
    return text


def new_folder(out, host):
    """The folder's path; it is not there, or empty."""
    if out is None:
        safe = re.sub(r"[^A-Za-z0-9_.-]", "-", host)
        time = f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%dT%H%M%SZ}"
        root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
        first = os.path.join(root, "results", f"{time}-{safe}")
        several = itertools.chain([first], (f"{first}-{number}" for number in itertools.count(2)))  # in one second
        return next(path for path in several if not os.path.exists(path))
    if os.path.exists(out) and (not os.path.isdir(out) or os.listdir(out)):
        raise UsageError(f"--out: {out} is not a new or empty folder")
    return out


def write(folder, name, path, original, host, found):
    """All files, or none."""
    there = os.path.isdir(folder)
    os.makedirs(folder, exist_ok=True)
    try:
        described = {"schema": environment.SCHEMA, "host": host or None,
                     "imported_from": {"tool": found.tool, "file": os.path.basename(path), "options": found.options,
                                       "whole_machine": found.whole_machine}}
        environment.save(folder, described)
        with whole_file(os.path.join(folder, ORIGINAL), "wb") as file:
            file.write(original)
        run = os.path.basename(os.path.abspath(folder))
        for file, columns, samples in (("samples.csv", SAMPLE_COLUMNS, found.samples),
                                       ("loaded.csv", (*SAMPLE_COLUMNS, "status"), found.loaded)):
            if samples:
                write_table(os.path.join(folder, file), columns, [row_of(item, run, host) for item in samples])
    except BaseException:
        for file in (environment.PATH, ORIGINAL, "samples.csv", "loaded.csv"):
            try:
                os.unlink(os.path.join(folder, file))
            except FileNotFoundError:
                pass
        if not there:
            os.rmdir(folder)
        raise


def row_of(item, run, host):
    return {"run": run, "host": host, "better": better_of(item["unit"]), "placement": "unverified", "started_at": "",
            **item}
