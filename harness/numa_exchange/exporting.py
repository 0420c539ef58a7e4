"""plot.py --export: a run's figures in the form that another program reads."""

import os
import sys
from collections import namedtuple

from numa_report import runs
from numa_report.errors import ReportError, UsageError, whole_file
from numa_report.run import Run

from . import hwloc_xml, json_document, prometheus, slit

Format = namedtuple("Format", "text meaning")  # text: from a Run, what the file holds

FORMATS = {
    "hwloc": Format(hwloc_xml.text, "the topology with the figures as memory attributes, for lstopo --memattrs"),
    "slit": Format(slit.text, "the node distances that follow from the latencies, as `numactl --hardware` prints them"),
    "json": Format(json_document.text, "one document: environment, verdict, every cell"),
    "prometheus": Format(prometheus.text, "every cell in base units, for the textfile collector of node_exporter"),
}


def main(name, paths, out):
    """Writes the one run of paths to the file `out`, or to standard output; returns the exit status.

    Raises UsageError at what cannot be asked for, ReportError at a run that lacks what the format needs.
    """
    if name == "help":
        print("--export FORMAT, one of:")
        for word, known in FORMATS.items():
            print(f"  {word:10}  {known.meaning}")
        return 0
    if name not in FORMATS:
        raise UsageError(f"--export: no format {ascii(name)}; {', '.join(FORMATS)} are known")
    if out and os.path.exists(out) and not os.path.isfile(out):  # to replace /dev/null would be worse than to refuse
        raise UsageError(f"--out: {out} is not a file")
    run = Run(only_run(paths))
    if not run.rows:
        raise ReportError(f"{run.folder}: no cells of a matrix, which is what --export writes")
    content = FORMATS[name].text(run).encode("utf-8", errors="replace")
    if out:
        with whole_file(out, "wb") as file:
            file.write(content)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
    return 0


def only_run(paths):
    """The folder of the one run that the paths name; raises UsageError where they name several, or a fleet."""
    if len(paths) != 1:
        raise UsageError(f"--export takes one run's folder, not {len(paths)}")
    found = runs.find(paths[0])
    if runs.is_fleet(found[0]):
        raise UsageError(f"--export takes one run's folder, and {found[0]} is a fleet's; name one in its {runs.HOSTS}/")
    if len(found) > 1:
        raise UsageError(f"--export takes one run's folder, and {paths[0]} has {len(found)}; name one: {found[0]}")
    return found[0]
