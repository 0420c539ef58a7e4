"""--export hwloc: the machine's topology, with what was measured as hwloc's memory attributes.

Every hwloc program reads such a file in place of the machine: lstopo -p --memattrs --input FILE, and applications with
HWLOC_XMLFILE=FILE HWLOC_THISSYSTEM=1. The topology is the one that the sweep kept (topology.xml). hwloc-annotate is not
used for it: it sets one value each time it is started, and 64 x 64 nodes have 20,480.
"""

import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import namedtuple

from numa_report.errors import DataError, ReportError, regular
from numa_report.layout import shortened
from numa_sweep import topology

from . import pairs

# hwloc/memattrs.h: whether lower or higher is better, and that a value is as seen from an initiator
HIGHER_FIRST, LOWER_FIRST, NEED_INITIATOR = 1, 2, 4
MEBIBYTES_A_GIGABYTE = 1e9 / (1 << 20)  # bench/bandwidth's GB/s have 10^9 bytes, hwloc's bandwidths are in MiB/s
MOST_INFO_LETTERS = 200

# scale: from the benchmark's unit to hwloc's, of which values are whole numbers
Attribute = namedtuple("Attribute", "name flags bench variant scale")

# hwloc's Bandwidth is the average of reading and writing: a copy does as much of one as of the other. Its Latency too
# is that of both, but stores wait for nothing, so nothing measures theirs, and it is that of loads.
ATTRIBUTES = (
    Attribute("Bandwidth", HIGHER_FIRST | NEED_INITIATOR, "bandwidth", "copy", MEBIBYTES_A_GIGABYTE),
    Attribute("Latency", LOWER_FIRST | NEED_INITIATOR, "latency", "random", 1),
    Attribute("ReadBandwidth", HIGHER_FIRST | NEED_INITIATOR, "bandwidth", "read", MEBIBYTES_A_GIGABYTE),
    Attribute("WriteBandwidth", HIGHER_FIRST | NEED_INITIATOR, "bandwidth", "write", MEBIBYTES_A_GIGABYTE),
    Attribute("ReadLatency", LOWER_FIRST | NEED_INITIATOR, "latency", "random", 1),
)
OF_FIRMWARE = {*(attribute.name for attribute in ATTRIBUTES), "WriteLatency"}


def text(run):
    """hwloc 2's XML. Raises ReportError where there is no topology of the run's machine, or no figure for hwloc."""
    found = {attribute: pairs.measured(run, attribute.bench, attribute.variant) for attribute in ATTRIBUTES}
    found = {attribute: of_attribute for attribute, of_attribute in found.items() if of_attribute.values}
    if not found:
        raise ReportError(f"{run.folder}: no cell was measured that hwloc has an attribute for (latency or bandwidth "
                          "of memory bound to a node)")
    cpus = pairs.cpus_of_nodes(run)
    path, root = topology_of(run)
    machine, present, targets = parts_of(path, root)
    # The firmware's own would stand between the measured ones, and be compared with them.
    for element in [element for element in root.findall("memattr") if element.get("name") in OF_FIRMWARE]:
        root.remove(element)
    for attribute, of_attribute in found.items():
        element = ElementTree.SubElement(root, "memattr", name=attribute.name, flags=str(attribute.flags))
        for cpu_node, row in of_attribute.values.items():
            if not present.intersection(cpus.get(cpu_node, ())):  # hwloc would leave its values out without a word
                raise DataError(path, f"has no CPU of node {cpu_node}, which {run.folder} measured from")
            for node, value in row.items():
                if node not in targets:
                    raise DataError(path, f"has no node {node}, whose memory {run.folder} measured")
                ElementTree.SubElement(element, "memattr_value", target_obj_type="NUMANode",
                                       target_obj_gp_index=targets[node], value=str(round(value * attribute.scale)),
                                       initiator_cpuset=bitmap(cpus[cpu_node]))
        describe(machine, attribute, of_attribute, run)
    ElementTree.indent(root)
    written = ('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE topology SYSTEM "hwloc2.dtd">\n'
               + ElementTree.tostring(root, encoding="unicode") + "\n")
    refuse_unloadable(path, written)
    return written


def topology_of(run):
    """(its name for messages, the root of hwloc's XML): as the run kept it, else of this machine if it is the run's."""
    path = os.path.join(run.folder, topology.FILE)
    if os.path.exists(path):
        with open(path, "rb", opener=regular) as file:
            content = file.read()
    else:
        path, content = "lstopo's XML", xml_of_this_machine(run)
    try:
        return path, ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise DataError(path, f"not XML ({error})") from None


def xml_of_this_machine(run):
    machine = topology.load()
    here = {node.id: sorted(node.cpus) for node in machine.nodes.values()}
    if run.environment.get("host") != os.uname().nodename or here != pairs.cpus_of_nodes(run):
        raise ReportError(f"{run.folder}: has no {topology.FILE} (an earlier version's sweep), and this machine is not "
                          "the one that it measured: export it there")
    if machine.hwloc_xml is None:
        raise ReportError("lstopo (hwloc) is missing or failed; harness/setup.sh installs it")
    return machine.hwloc_xml


def refuse_unloadable(path, written):
    """Raises DataError where hwloc, if it is installed, does not load what was made of the XML."""
    program = shutil.which("lstopo-no-graphics") or shutil.which("lstopo")
    if program is None:
        return
    loaded = subprocess.run([program, "--input", "-", "--input-format", "xml", "--of", "xml"], capture_output=True,
                            input=written.encode("utf-8", errors="replace"), check=False)
    if loaded.returncode != 0:
        raise DataError(path, "hwloc does not load it")


def parts_of(path, root):
    """(the machine's object, the numbers of its CPUs, {node: hwloc's number of it, by which attributes name it})."""
    machine = root.find("object")
    try:
        cpus = set(topology.parse_bitmap(machine.get("cpuset")))
        nodes = {int(item.get("os_index")): item.attrib["gp_index"] for item in root.iter("object")
                 if item.get("type") == "NUMANode"}
    except (AttributeError, KeyError, TypeError, ValueError):
        nodes = {}
    if root.tag != "topology" or not nodes:
        raise DataError(path, "not a topology of hwloc 2")
    return machine, cpus, nodes


def describe(machine, attribute, of_attribute, run):
    """An info of the machine that says what an attribute's values are."""
    words = shortened(f"measured, run {run.name}: bench/{attribute.bench}, {attribute.variant}, {of_attribute.words}",
                      MOST_INFO_LETTERS)
    after = len(machine.findall("info"))
    machine.insert(after, ElementTree.Element("info", name=f"Memory{attribute.name}", value=words))


def bitmap(cpus):
    """hwloc's notation of a set: 32-bit hexadecimal words, the highest first."""
    bits = sum(1 << cpu for cpu in set(cpus))
    words = [bits >> shift & 0xFFFFFFFF for shift in range(0, max(bits.bit_length(), 1), 32)]
    return ",".join(f"0x{word:08x}" for word in reversed(words))
