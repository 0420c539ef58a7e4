"""Before anything is measured: is each allocator really the one that programs get, and under which policy?"""

import csv
import io
import os
import signal
import subprocess

from numa_report.errors import ReportError, UsageError


def in_force(allocs, allocator, warn):
    """{policy, pages} as bench/allocs reports them under an allocator. Raises UsageError when it is another one's.

    The loader only warns of a library that it cannot preload and goes on with glibc. `warn` is given what
    the program had to say although it worked: that the kernel refused a policy, for example.
    """
    try:
        result = subprocess.run([allocs, "--csv", "--operations", "1", "small"], env=allocator.environment(),
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise ReportError(f"{allocs}: {error.strerror}; run make") from None
    said = result.stderr.strip().splitlines()
    if result.returncode != 0:
        how = f"exit status {result.returncode}" if result.returncode > 0 else signal.Signals(-result.returncode).name
        raise UsageError(f"{allocator.label}: {said[-1] if said else f'bench/allocs ends with {how} under it'}")
    row = next(csv.DictReader(io.StringIO(result.stdout)))
    if row["allocator"] != allocator.reported_name():
        why = said[0] if said else f"{os.path.basename(allocator.library or '')} has no malloc"
        raise UsageError(f"{allocator.label}: with {allocator.library} preloaded, malloc is still {row['allocator']}'s ({why})")
    if said:
        warn(f"{allocator.label}: {said[0]}")
    return {name: row[name] for name in ("policy", "pages")}
