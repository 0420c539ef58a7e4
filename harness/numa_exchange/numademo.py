"""numactl's numademo: its bandwidths between nodes, from the parts that begin `running on node N`.

There it allocates on each of the other nodes (`alloc on node M`) and on its own (`local allocation`), and prints the
average over its passes in MB/s of 10^6 bytes (numademo.c: bytes over microseconds). Its other figures are of a CPU
that it does not name, or of memory whose node it does not.
"""

import re

from numa_report.layout import counted

from .imported import Found, Wrong, bandwidth, figure, in_rounds, node

RUNNING = re.compile(r"running on node ([0-9]+), preferred node -?[0-9]+")
TEST = re.compile(r"(?P<what>.+?) (?P<test>memset|memcpy|forward|backward|ptrchase|random2|random|stream) *"
                  r"Avg (?P<avg>\S+) MB/s Max (?P<max>\S+) MB/s Min (?P<min>\S+) MB/s")
ON_NODE = re.compile(r"alloc on node ([0-9]+)")


def parse(path, lines, place):
    """The Found of a file. Raises Wrong at a line that is not as numademo writes it."""
    runs, left_out, cpu_node = [], 0, None
    for number, line in enumerate(lines, start=1):
        running, test = RUNNING.fullmatch(line.strip()), TEST.fullmatch(line.strip())
        if running:
            cpu_node = node(path, number, running[1])
        elif test and "running on" not in line:
            if test["what"] == "memory with no policy":  # the first of all that it does with a test
                cpu_node = None
            value = None if test["avg"] == "0.00" else figure(path, number, test["avg"])  # too slow for its digits
            mem_node = memory_of(path, number, test["what"], cpu_node)
            if None in (value, cpu_node, mem_node):
                left_out += 1
            else:
                runs.append([bandwidth(test["test"], cpu_node, mem_node, value, threads=1)])
        elif " Avg " in line or "running on" in line:
            raise Wrong(path, number, "not a line of numademo: NAME TEST Avg X MB/s Max X MB/s Min X MB/s is expected")
    if not runs:
        raise Wrong(path, 1, "no figure of numademo that is `running on node N` with memory of a named node")
    notes = [f"left out: {counted(left_out, 'figure')}: 0.00, or of a CPU or memory whose node numademo does not name"]
    return Found("numademo", "", in_rounds(runs), notes=notes if left_out else ())


def memory_of(path, number, what, cpu_node):
    """The node whose memory it names, None where it names none."""
    on_node = ON_NODE.fullmatch(what)
    if on_node is None:
        return cpu_node if what == "local allocation" else None
    mem_node = node(path, number, on_node[1])
    if mem_node == cpu_node:
        raise Wrong(path, number, f"memory of node {mem_node}, which numademo never names while it runs there: "
                    "a line `running on node N` is missing above")
    return mem_node
