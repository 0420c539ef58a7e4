"""likwid-bench's bandwidths: MByte/s of 10^6 bytes, over the time of all threads. Several runs in a file are rounds.

It names hardware threads, not nodes.
"""

import re

from .imported import Found, Wrong, bandwidth, figure, in_rounds, need_place, shown

FIELD = re.compile(r"(Test|MByte/s|Size \(Byte\)):\s*(.*)")
THREADS = re.compile(r"Using ([0-9]{1,6}) threads")
TEST = re.compile(r"[A-Za-z0-9_]{1,40}")


def parse(path, lines, place):
    """The Found of a file. Raises Wrong at a line that is not as likwid-bench writes it, UsageError without a place."""
    need_place(place, "likwid-bench")
    runs, test, begun, conditions = [], None, 0, {}
    for number, line in enumerate(map(str.strip, lines), start=1):
        field, threads = FIELD.fullmatch(line), THREADS.fullmatch(line)
        if threads:
            conditions["threads"] = int(threads[1])
        if not field:
            continue
        name, value = field.groups()
        if name == "Test":
            refuse_unended(path, begun, test)
            if not TEST.fullmatch(value):
                raise Wrong(path, number, f"{shown(value)} is not the name of a test")
            test, begun, conditions = value, number, {}
        elif test is None:
            raise Wrong(path, number, f"{name} without a line `Test: NAME` before it")
        elif name == "MByte/s":
            runs.append([bandwidth(test, place.cpu_node, place.mem_node, figure(path, number, value), **conditions)])
            test = None
        else:
            conditions["size_bytes"] = int(figure(path, number, value))
    refuse_unended(path, begun, test)
    if not runs:
        raise Wrong(path, 1, "no MByte/s of likwid-bench in it")
    return Found("likwid-bench", "", in_rounds(runs))


def refuse_unended(path, begun, test):
    if test is not None:
        raise Wrong(path, begun, f"the run of {test} ends without its MByte/s")
