"""Which nodes there are, which have CPUs, which have memory, and which of both this process may use.

hwloc describes the machine (lstopo's XML), sysfs says the one thing hwloc cannot: hwloc gives a node
without CPUs the CPUs nearest to it, the kernel's cpulist is empty. hwloc's own variables replace the
machine by a made-up one, for tests: HWLOC_FSROOT (a folder with sys/ and proc/), HWLOC_XMLFILE,
HWLOC_SYNTHETIC. Nothing can be measured then, unless HWLOC_THISSYSTEM=1 says that it is this machine.
"""

import os
import re
import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field

from numa_report.errors import ReportError, whole_file

FILE = "topology.xml"  # in a run's folder: hwloc's description of the machine
# What root sees of this very machine, and no figure needs.
PRIVATE = re.compile(rb'\s*<info name="[^"]*(?:Serial|UUID|AssetTag)[^"]*" value="[^"]*"/>')
MOST_IN_A_RANGE = 1_000_000  # a file of a run may say anything
MADE_UP = ("HWLOC_FSROOT", "HWLOC_XMLFILE", "HWLOC_SYNTHETIC")


@dataclass
class Node:
    id: int
    cpus: list = field(default_factory=list)
    has_memory: bool = False
    memory_bytes: int = None


@dataclass
class Topology:
    nodes: dict  # id -> Node, by rising id; ids may have gaps
    allowed_cpus: set
    allowed_mems: set
    distances: dict = None  # {id: {id: SLIT distance}}, None when not known
    offline_cpus: set = field(default_factory=set)
    info: dict = field(default_factory=dict)  # hwloc's words on the machine: CPUModel, hwlocVersion, ...
    hwloc_xml: bytes = None  # all that hwloc says, None where it says nothing

    def node_of_cpu(self, cpu):
        for node in self.nodes.values():
            if cpu in node.cpus:
                return node.id
        return None


def parse_list(words):
    """The numbers of a kernel list such as `0,2-3`, in the order given."""
    numbers = []
    for part in words.strip().split(","):
        if not part:
            continue
        first, _, last = part.partition("-")
        if len(first) > 9 or len(last) > 9 or int(last or first) - int(first) > MOST_IN_A_RANGE:
            raise ValueError(f"'{part:.40}' is no list of CPUs or nodes")
        if int(last or first) < int(first):
            raise ValueError(f"'{part}' counts down")
        numbers.extend(range(int(first), int(last or first) + 1))
    return list(dict.fromkeys(numbers))


def format_list(numbers):
    """The kernel's list form of some numbers: 0,2-3."""
    runs = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def is_this_machine(environ=os.environ):
    return environ.get("HWLOC_THISSYSTEM") == "1" or not any(environ.get(name) for name in MADE_UP)


def load(environ=os.environ):
    """The machine as this process sees it. Raises ReportError when neither hwloc nor sysfs describes it."""
    xml = read_lstopo()
    topology = from_hwloc(xml) if xml is not None else Topology({}, set(), set())
    topology.hwloc_xml = xml
    if not environ.get("HWLOC_XMLFILE") and not environ.get("HWLOC_SYNTHETIC"):
        root = environ.get("HWLOC_FSROOT") or ""
        add_sysfs(topology, f"{root}/sys/devices/system/node")
        topology.offline_cpus = set(read_list(f"{root}/sys/devices/system/cpu/offline") or ())
        limit_to_process(topology, f"{root}/proc/self/status")
    elif is_this_machine(environ):
        limit_to_process(topology, "/proc/self/status")
    if not topology.nodes:
        made_up = [f"{name}={environ[name]}" for name in MADE_UP if environ.get(name)]
        if made_up:
            raise ReportError(f"hwloc finds no machine in {made_up[0]}")
        raise ReportError("no description of this machine's nodes: sysfs is not readable and lstopo (hwloc) is "
                          "missing or failed; harness/setup.sh installs it")
    if not any(node.has_memory for node in topology.nodes.values()):  # sizes are hidden, not zero: we run from some
        for node in topology.nodes.values():
            node.has_memory = True
    return topology


def save(folder, topology):
    """Keeps what hwloc says of the machine in a run's folder, for harness/plot.py --export hwloc."""
    if topology.hwloc_xml is not None:
        with whole_file(os.path.join(folder, FILE), "wb") as file:
            file.write(topology.hwloc_xml)


def read_lstopo():
    for program in ("lstopo-no-graphics", "lstopo"):
        try:
            done = subprocess.run([program, "--disallowed", "--of", "xml"], stdin=subprocess.DEVNULL,
                                  capture_output=True, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return PRIVATE.sub(b"", done.stdout)
    return None


def from_hwloc(xml):
    try:
        tree = ElementTree.fromstring(xml)
        machine = tree.find("object")
        nodes, owned = {}, set()
        # A CPU near several nodes belongs to the first: hwloc lists ordinary memory before the special kinds.
        for item in tree.iter("object"):
            if item.get("type") == "NUMANode":
                cpus = [cpu for cpu in parse_bitmap(item.get("cpuset")) if cpu not in owned]
                owned.update(cpus)
                size_bytes = int(item.get("local_memory", 0))
                nodes[int(item.get("os_index"))] = Node(int(item.get("os_index")), cpus, size_bytes > 0, size_bytes)
        info = {item.get("name"): item.get("value") for item in machine.iter("info")}
        return Topology(dict(sorted(nodes.items())), set(parse_bitmap(machine.get("allowed_cpuset"))),
                        set(parse_bitmap(machine.get("allowed_nodeset"))), distances_of(tree), info)
    except (ElementTree.ParseError, AttributeError, TypeError, ValueError) as error:
        raise ReportError(f"lstopo's XML is not understood: {error}") from None


def parse_bitmap(bitmap):
    """hwloc's set notation: 32-bit hexadecimal words, the highest first, an empty one is 0."""
    bits, words = 0, bitmap.split(",")
    for word in words:
        bits = bits << 32 | int(word or "0", 16)
    return [bit for bit in range(32 * len(words)) if bits >> bit & 1]


def distances_of(tree):
    for item in tree.iter("distances2"):
        if item.get("name") == "NUMALatency" and item.get("indexing") == "os":
            ids = [int(word) for part in item.iter("indexes") for word in part.text.split()]
            values = [int(word) for part in item.iter("u64values") for word in part.text.split()]
            return {a: {b: values[i * len(ids) + j] for j, b in enumerate(ids)} for i, a in enumerate(ids)}
    return None


def add_sysfs(topology, folder):
    """Replaces what hwloc guessed by what the kernel says; leaves it where the kernel shows nothing."""
    online = read_list(f"{folder}/online")
    if online is None:
        return
    has_memory = read_list(f"{folder}/has_memory")
    nodes = {}
    for number in sorted(online):
        node = topology.nodes.get(number, Node(number))
        cpus = read_list(f"{folder}/node{number}/cpulist")
        if cpus is not None:
            node.cpus = cpus
        if has_memory is not None:
            node.has_memory = number in has_memory
        nodes[number] = node
    topology.nodes = nodes
    rows = {number: read_numbers(f"{folder}/node{number}/distance") for number in nodes}
    if all(row and len(row) == len(nodes) for row in rows.values()):
        topology.distances = {number: dict(zip(nodes, row)) for number, row in rows.items()}


def limit_to_process(topology, status_path):
    allowed_cpus = allowed_mems = None
    try:
        with open(status_path, encoding="ascii") as file:
            for line in file:
                name, _, words = line.partition(":")
                if name == "Cpus_allowed_list":
                    allowed_cpus = set(parse_list(words))
                elif name == "Mems_allowed_list":
                    allowed_mems = set(parse_list(words))
    except OSError:
        pass
    every_cpu = {cpu for node in topology.nodes.values() for cpu in node.cpus}
    topology.allowed_cpus = every_cpu & (allowed_cpus if allowed_cpus is not None else
                                          topology.allowed_cpus or every_cpu)
    topology.allowed_mems = allowed_mems if allowed_mems is not None else topology.allowed_mems or set(topology.nodes)


def read_list(path):
    try:
        with open(path, encoding="ascii") as file:
            return parse_list(file.read())
    except (OSError, ValueError):
        return None


def read_numbers(path):
    try:
        with open(path, encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except (OSError, ValueError):
        return None


def has_no_remote_memory(topology):
    return all(cpu_node.id == node.id for node in topology.nodes.values() if node.has_memory
               for cpu_node in topology.nodes.values() if cpu_node.cpus)
