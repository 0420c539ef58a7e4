#!/usr/bin/env python3
"""Reads a topology, the text file that describes a machine of the lab, and derives from it what QEMU, the
plugins and the tests need.

A topology has these lines and blocks; text after # is for people:

  node ID cpus LIST|none memory SIZE|none   ids from 0 without gaps; LIST as in 0-1,4; SIZE a multiple of 128M, as
                                            in 512M or 2G; at most 64 nodes and 128 CPUs
  sockets N                                 default: as many as nodes with CPUs
  distance                                  block: the firmware's SLIT, 10 for a node itself, else 11 to 254
  latency ns                                block: what a line takes from memory, 500 to 60000
  bandwidth GB/s                            block: what each link carries, 0.001 to 60; at least a line in its latency
  hmat on|off                               whether the firmware publishes latency and bandwidth (HMAT)
  claimed latency ns                        block: what the HMAT says instead of the truth
  claimed bandwidth GB/s                    block: likewise

A block is its heading, then a row a node and a column a node. Those of latency and bandwidth have rows for the
nodes with CPUs alone, and - in the columns of nodes without memory. A file for --pace has the blocks
`latency ns` and `bandwidth GB/s` alone.
"""

import argparse
import re
import sys
from dataclasses import dataclass, field

LINE_BYTES = 64
LEAST_LATENCY_NS = 500  # below this the emulator itself is slower than the memory
MOST_NODES, MOST_CPUS = 64, 128
BLOCKS = ("distance", "latency ns", "bandwidth GB/s", "claimed latency ns", "claimed bandwidth GB/s")
LINES = ("node ID cpus LIST|none memory SIZE|none", "sockets N", "hmat on|off", *BLOCKS)


class TopologyError(Exception):
    pass


@dataclass
class Node:
    id: int
    cpus: list
    memory_bytes: int


@dataclass
class Topology:
    """Matrices are {from node: {to node: value}}."""
    path: str
    nodes: list = field(default_factory=list)
    sockets: int = 0
    hmat: bool = None
    blocks: dict = field(default_factory=dict)

    @property
    def cpus(self):
        return sorted((cpu, node.id) for node in self.nodes for cpu in node.cpus)

    def with_cpus(self):
        return [node.id for node in self.nodes if node.cpus]

    def with_memory(self):
        return [node.id for node in self.nodes if node.memory_bytes]

    def claimed(self, block):
        return self.blocks.get(f"claimed {block}", self.blocks[block])


def fail(path, number, message):
    raise TopologyError(f"{path}:{number}: {message}" if number else f"{path}: {message}")


def read_lines(path):
    """[(number, text)] of the lines that say something."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [" ".join(line.split("#")[0].split()) for line in file]
    except (OSError, UnicodeDecodeError) as error:
        fail(path, 0, getattr(error, "strerror", None) or "not a text file")
    return [(number, line) for number, line in enumerate(lines, 1) if line]


def parse_cpus(words):
    cpus = []
    for part in [] if words == "none" else words.split(","):
        first, _, last = part.partition("-")
        if int(last or first) < int(first):
            return None
        cpus.extend(range(int(first), int(last or first) + 1))
    return cpus


def parse_size(words):
    return 0 if words == "none" else int(words[:-1]) << {"M": 20, "G": 30}[words[-1]]


def read_node(topology, number, found):
    node = Node(int(found[1]), parse_cpus(found[2]), parse_size(found[3]))
    if node.id != len(topology.nodes):
        fail(topology.path, number, f"node {node.id}: the next node's id is {len(topology.nodes)}")
    if node.id >= MOST_NODES:
        fail(topology.path, number, f"at most {MOST_NODES} nodes are accepted")
    if node.cpus is None or len(set(node.cpus)) != len(node.cpus):
        fail(topology.path, number, f"cpus {found[2]}: a list such as 0-1,4 or none is accepted")
    if not node.cpus and not node.memory_bytes:
        fail(topology.path, number, f"node {node.id} has neither CPUs nor memory")
    if node.memory_bytes % (128 << 20):
        fail(topology.path, number, f"memory {found[3]}: a multiple of 128M is accepted, the kernel's smallest unit")
    for cpu in node.cpus:
        for other in topology.nodes:
            if cpu in other.cpus:
                fail(topology.path, number, f"CPU {cpu} is on node {other.id} already")
    topology.nodes.append(node)


def read_block(topology, heading, rows):
    """rows: [(number, text)], as many as the block needs; its shape is checked against the nodes."""
    matrix = {}
    memory = set(topology.with_memory())
    columns = [node.id for node in topology.nodes]
    for source, (number, text) in rows:
        words = text.split()
        if len(words) != len(columns):
            fail(topology.path, number, f"'{text}': a row of '{heading}' has a value for each of {len(columns)} nodes")
        matrix[source] = {}
        for target, word in zip(columns, words):
            absent = heading != "distance" and target not in memory
            if absent != (word == "-") or not (absent or re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", word)):
                fail(topology.path, number, f"'{word}' for node {target}: " + (
                    "it has no memory, accepted is -" if absent else "a number is accepted"))
            if not absent:
                matrix[source][target] = float(word)
                check_value(topology, number, heading, source, target, float(word))
    topology.blocks[heading] = matrix


def check_value(topology, number, heading, source, target, value):
    if heading == "distance":
        good = value == 10 if source == target else value.is_integer() and 11 <= value <= 254
        if not good:
            fail(topology.path, number, f"distance {value:g} from node {source} to {target}: accepted are 10 for a "
                                        "node itself and 11 to 254")
    elif heading.endswith("latency ns"):
        least = LEAST_LATENCY_NS if heading == "latency ns" else 1
        if not least <= value <= 60000:
            fail(topology.path, number, f"latency {value:g} ns: {least} to 60000 is accepted")
    elif not 0.001 <= value <= 60:
        fail(topology.path, number, f"bandwidth {value:g} GB/s: 0.001 to 60 is accepted")


def take_rows(topology, heading, lines):
    """The block's rows, taken from the front of lines: [(node, (number, text))]."""
    sources = [node.id for node in topology.nodes if node.cpus or heading == "distance"]
    rows = [(source, lines.pop(0)) for source in sources if lines and re.match(r"[0-9-]", lines[0][1])]
    if len(rows) != len(sources):
        of = "nodes" if heading == "distance" else "nodes with CPUs"
        number = rows[-1][1][0] if rows else 0
        fail(topology.path, number, f"'{heading}' has {len(rows)} rows, but there are {len(sources)} {of}")
    return rows


def read(path):
    topology = Topology(path)
    lines, blocks = read_lines(path), []
    while lines:
        number, text = lines.pop(0)
        if found := re.fullmatch(r"node ([0-9]{1,2}) cpus (none|[0-9]{1,3}(?:-[0-9]{1,3})?(?:,[0-9]{1,3}"
                                 r"(?:-[0-9]{1,3})?)*) memory (none|[0-9]{1,4}[MG])", text):
            if blocks:
                fail(path, number, f"'{text}': nodes come before the blocks")
            read_node(topology, number, found)
        elif (found := re.fullmatch(r"sockets ([1-9][0-9]?)", text)) and not topology.sockets:
            topology.sockets = int(found[1])
        elif (found := re.fullmatch(r"hmat (on|off)", text)) and topology.hmat is None:
            topology.hmat = found[1] == "on"
        elif text in BLOCKS and text not in blocks:
            blocks.append(text)
            read_block(topology, text, take_rows(topology, text, lines))
        elif re.match(r"[0-9-]", text) and blocks:
            fail(path, number, f"'{text}': a row too many for '{blocks[-1]}', which has {len(topology.blocks[blocks[-1]])}")
        else:
            alike = [line for line in LINES if line.split()[0] == text.split()[0]]
            fail(path, number, f"'{text}': accepted are, each but nodes once, " + "; ".join(alike or LINES))
    check(topology)
    return topology


def check(topology):
    path, cpus = topology.path, topology.cpus
    if not cpus or not topology.with_memory():
        fail(path, 0, "no node has CPUs" if not cpus else "no node has memory")
    if len(cpus) > MOST_CPUS:
        fail(path, 0, f"{len(cpus)} CPUs; at most {MOST_CPUS} are accepted")
    if [cpu for cpu, _ in cpus] != list(range(len(cpus))):
        fail(path, 0, f"the CPUs are not 0 to {len(cpus) - 1} without gaps")
    topology.sockets = topology.sockets or len(topology.with_cpus())
    if len(cpus) % topology.sockets:
        fail(path, 0, f"{len(cpus)} CPUs cannot be shared out to {topology.sockets} sockets equally")
    for block in BLOCKS[:3]:
        if block not in topology.blocks:
            fail(path, 0, f"the block '{block}' is missing")
    if not topology.hmat and len(topology.blocks) > 3:
        fail(path, 0, "a claimed block needs 'hmat on'")
    check_links(path, topology.blocks)


def check_links(path, blocks):
    for source, row in blocks["bandwidth GB/s"].items():
        for target, bandwidth in row.items():
            latency = blocks["latency ns"][source][target]
            if LINE_BYTES / bandwidth > latency:
                fail(path, 0, f"bandwidth {bandwidth:g} GB/s from node {source} to {target}: a line would take "
                              f"{LINE_BYTES / bandwidth:.0f} ns, longer than the latency of {latency:g} ns")


def read_pace(path, topology):
    """The topology with its latency and bandwidth replaced by the file's."""
    paced = Topology(path, topology.nodes)
    lines = read_lines(path)
    while lines:
        number, text = lines.pop(0)
        if text not in BLOCKS[1:3] or text in paced.blocks:
            fail(path, number, f"'{text}': accepted are the blocks 'latency ns' and 'bandwidth GB/s', each once")
        read_block(paced, text, take_rows(paced, text, lines))
    for block in BLOCKS[1:3]:
        paced.blocks.setdefault(block, topology.blocks[block])
    check_links(path, paced.blocks)
    return paced


def qemu_options(topology, arch):
    """QEMU's arguments, one a list entry, besides the machine's type."""
    cpus = topology.cpus
    yield from ("-smp", f"{len(cpus)},sockets={topology.sockets},cores={len(cpus) // topology.sockets},threads=1",
                "-m", f"{sum(node.memory_bytes for node in topology.nodes)}B")
    hmat = topology.hmat and arch == "amd64"  # arm64's device tree has no room for it
    for node in topology.nodes:
        words = f"node,nodeid={node.id}" + "".join(f",cpus={cpu}" for cpu in node.cpus)
        if node.memory_bytes:
            yield from ("-object", f"memory-backend-ram,id=m{node.id},size={node.memory_bytes}B")
            words += f",memdev=m{node.id}"
        if hmat:
            words += f",initiator={node.id if node.cpus else nearest(topology, node.id)}"
        yield from ("-numa", words)
    for source, row in topology.blocks["distance"].items():
        for target, distance in row.items():
            if source != target:
                yield from ("-numa", f"dist,src={source},dst={target},val={distance:.0f}")
    if hmat:
        yield from ("-machine", "hmat=on", *hmat_options(topology))


def nearest(topology, target):
    claimed = topology.claimed("latency ns")
    return min(topology.with_cpus(), key=lambda source: claimed[source][target])


def hmat_options(topology):
    latency, bandwidth = topology.claimed("latency ns"), topology.claimed("bandwidth GB/s")
    for source in topology.with_cpus():
        for target in topology.with_memory():
            pair = f"hmat-lb,initiator={source},target={target},hierarchy=memory,data-type=access-"
            yield from ("-numa", f"{pair}latency,latency={latency[source][target]:.0f}")
            # The table counts MB/s, which QEMU writes as M.
            yield from ("-numa", f"{pair}bandwidth,bandwidth={bandwidth[source][target] * 1000:.0f}M")


def machine_table(topology, paced, arch, qemu_major):
    """What the plugins read. Addresses are the ones this QEMU tells plugins."""
    for cpu, node in topology.cpus:
        yield f"cpu {cpu} {node}"
    offset = 0
    for node in topology.nodes:
        for first, size_bytes in address_ranges(topology, offset, node.memory_bytes, arch, qemu_major):
            yield f"memory {node.id} {first:#x} {size_bytes}"
        offset += node.memory_bytes
    for source, row in paced.blocks["latency ns"].items():
        for target, latency_ns in row.items():
            yield f"latency {source} {target} {latency_ns:.0f}"
    for source, row in paced.blocks["bandwidth GB/s"].items():
        for target, bandwidth in row.items():
            yield f"bandwidth {source} {target} {bandwidth * 1e9:.0f}"


def address_ranges(topology, offset, size_bytes, arch, qemu_major):
    """[(first address, bytes)] of the memory that begins `offset` after the machine's first."""
    if not size_bytes:
        return []
    if qemu_major < 9:  # tells a node's place in the machine's memory twice added to the place within the node
        return [(2 * offset, size_bytes)]
    if arch == "arm64":
        return [((1 << 30) + offset, size_bytes)]
    # The q35 machine has a hole for devices below 4 GiB (hw/i386/pc_q35.c).
    total = sum(node.memory_bytes for node in topology.nodes)
    low = 0x80000000 if total >= 0xb0000000 else 0xb0000000
    below = max(0, min(low - offset, size_bytes))
    ranges = [(offset, below), (max(offset, low) - low + (4 << 30), size_bytes - below)]
    return [part for part in ranges if part[1]]


def parse_arguments():
    parser = argparse.ArgumentParser(prog="topology.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--pace", metavar="FILE", help="latency and bandwidth to pace instead of the topology's own")
    parser.add_argument("--arch", choices=("amd64", "arm64"), default="amd64")
    parser.add_argument("--qemu-major", type=int, default=7, metavar="N", help="of --table (default 7)")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--qemu", action="store_true", help="print QEMU's arguments, one a line")
    what.add_argument("--table", action="store_true", help="print what the plugins read")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    try:
        topology = read(arguments.file)
        paced = read_pace(arguments.pace, topology) if arguments.pace else topology
    except TopologyError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.qemu:
        print("\n".join(qemu_options(topology, arguments.arch)))
    else:
        print("\n".join(machine_table(topology, paced, arguments.arch, arguments.qemu_major)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
