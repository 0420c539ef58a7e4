"""likwid-bench's bandwidths: MByte/s of 10^6 bytes, over the time of all threads. Several runs in a file are rounds.

It names hardware threads, not nodes.
"""

import re

from .imported import Found, Wrong, bandwidth, figure, need_place, numbered

FIELD = re.compile(r"(Test|MByte/s|Size \(Byte\)|Using ([0-9]+) threads)(?::\s*(\S.*))?")


def parse(path, lines, place):
    need_place(place, "likwid-bench")
    samples, rounds = [], {}
    test, threads, size_bytes, begun = None, None, None, 0
    for number, line in enumerate(lines, start=1):
        found = FIELD.fullmatch(line.strip())
        if found is None:
            if line.startswith("MByte/s"):
                raise Wrong(path, number, "MByte/s: and a figure are expected")
            continue
        name, value = found[1], (found[3] or "").strip()
        if name == "Test":
            if test is not None:
                raise Wrong(path, begun, f"the run of {test} ends without its MByte/s")
            test, threads, size_bytes, begun = value[:40], None, None, number
        elif found[2]:
            threads = int(found[2])
        elif name == "Size (Byte)":
            size_bytes = int(figure(path, number, value))
        elif test is None:
            raise Wrong(path, number, "MByte/s without a line `Test: NAME` before it")
        else:
            key = test, threads, size_bytes
            rounds[key] = rounds.get(key, 0) + 1
            conditions = [] if threads in (None, 1) else [f"t{threads}"]
            samples.append(bandwidth(test, place.cpu_node, place.mem_node, figure(path, number, value), round=rounds[key],
                                     threads=threads, size_bytes=size_bytes, conditions=[*conditions, str(size_bytes or "")]))
            test = None
    if test is not None:
        raise Wrong(path, begun, f"the run of {test} ends without its MByte/s")
    if not samples:
        raise Wrong(path, 1, "no MByte/s of likwid-bench in it")
    return Found("likwid-bench", "", numbered(samples), [], [])
