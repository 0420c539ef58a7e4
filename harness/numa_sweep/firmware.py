"""What the firmware claims about pairs of nodes, beside the SLIT distances that topology.py reads: the HMAT.

Linux shows of the HMAT each memory node's nearest initiators and their figures, to everybody (sysfs). The table
itself has every pair of an initiator (a node with CPUs) and a target (a node with memory), for root only.
Nothing here fails: what is absent, unreadable or not understood is None, with the reason in words.

The table names proximity domains, not nodes. Linux numbers nodes in the order in which domains first appear in the
SRAT, which firmware lists by rising number from 0, so a domain's number is taken for the node's. That is checked: each
node with CPUs must be an initiator, and where sysfs, which Linux mapped itself, shows a pair of the table, it must
show the same figure.
"""

import itertools
import os
import re
import struct
from collections import namedtuple

from .topology import read_numbers

QUANTITIES = ("read_latency", "write_latency", "read_bandwidth", "write_bandwidth")

# ACPI 6.4, section 5.2.27: a header of 36 bytes and 4 reserved ones, then structures of type, length and content.
FIRST_STRUCTURE = 40
REVISION = 2
LOCALITY_TYPE = 1
LOCALITY_HEADER = struct.Struct("<HHIBBBBIIIQ")  # up to the entry base unit, section 5.2.27.4
HIERARCHY_MASK, MEMORY = 0x0F, 0  # others than 0 are caches at the memory's side
DATA_TYPES = (("read_latency", "write_latency"), ("read_latency",), ("write_latency",),
              ("read_bandwidth", "write_bandwidth"), ("read_bandwidth",), ("write_bandwidth",))
UNKNOWN, UNREACHABLE = 0, 0xFFFF
PICOSECONDS_A_NANOSECOND = 1000  # latencies are in multiples of a base unit of picoseconds, bandwidths of MB/s

Locality = namedtuple("Locality", "initiators targets names scale entries")


class Unreadable(Exception):
    """Why the firmware's word is not known; str() is the reason."""


def gather(topology, sysfs="/sys"):
    """environment.json's `firmware`: the pairs as {quantity: {initiator: {target: figure}}}, in ns and MB/s."""
    nearest, no_nearest = attempt(read_nearest, topology, sysfs)
    hmat, no_hmat = attempt(read_hmat, topology, sysfs, nearest)
    return {"nearest": nearest, "nearest_missing": no_nearest, "hmat": hmat, "hmat_missing": no_hmat}


def attempt(read, *arguments):
    try:
        return read(*arguments), None
    except Unreadable as error:
        return None, str(error)
    except OSError as error:
        return None, f"{error.filename}: {error.strerror}"


def read_nearest(topology, sysfs):
    """The pairs of each memory node and its nearest initiators, as Linux shows them."""
    pairs = {}
    for target in topology.nodes:
        # access1 counts CPUs only, access0 also devices that start transfers; older kernels have access0 alone.
        for access in ("access1", "access0"):
            folder = f"{sysfs}/devices/system/node/node{target}/{access}/initiators"
            initiators = linked_nodes(folder)
            if initiators:
                add_figures(pairs, initiators, target, folder)
                break
    if not pairs:
        raise Unreadable(f"no node has access0/initiators in {sysfs}/devices/system/node: no HMAT, or too old a kernel")
    return pairs


def linked_nodes(folder):
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(int(name[4:]) for name in names if re.fullmatch(r"node[0-9]{1,6}", name))


def add_figures(pairs, initiators, target, folder):
    for name in QUANTITIES:
        figure = (read_numbers(f"{folder}/{name}") or [0])[0]
        for initiator in initiators if figure > 0 else ():
            pairs.setdefault(name, {}).setdefault(initiator, {})[target] = figure


def read_hmat(topology, sysfs, nearest=None):
    """Every pair of the HMAT itself, checked against the nodes and against sysfs."""
    path = f"{sysfs}/firmware/acpi/tables/HMAT"
    with open(path, "rb") as file:
        table = file.read()
    try:
        pairs = pairs_of(localities(table))
        check_nodes(pairs, topology, nearest)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from None
    return pairs


def localities(table):
    """The latency and bandwidth structures for memory (not its side caches)."""
    if len(table) < FIRST_STRUCTURE or table[:4] != b"HMAT":
        raise Unreadable("not an HMAT")
    if struct.unpack_from("<I", table, 4)[0] != len(table):
        raise Unreadable(f"its length says {struct.unpack_from('<I', table, 4)[0]} bytes, there are {len(table)}")
    if sum(table) % 256:
        raise Unreadable("its checksum is wrong")
    if table[8] != REVISION:
        raise Unreadable(f"revision {table[8]}; only {REVISION} is understood")
    found, at = [], FIRST_STRUCTURE
    while at < len(table):
        if len(table) - at < 8:
            raise Unreadable(f"cut at byte {at}")
        kind, _, length = struct.unpack_from("<HHI", table, at)
        if not 8 <= length <= len(table) - at:
            raise Unreadable(f"the structure at byte {at} has an impossible length, {length}")
        if kind == LOCALITY_TYPE:
            found.append(locality(table[at:at + length], at))
        at += length
    return [structure for structure in found if structure is not None]


def locality(data, at):
    """One structure, or None when it is not about memory itself."""
    if len(data) < LOCALITY_HEADER.size:
        raise Unreadable(f"the structure at byte {at} is cut")
    _, _, _, flags, data_type, _, _, initiators, targets, _, base_unit = LOCALITY_HEADER.unpack_from(data)
    if flags & HIERARCHY_MASK != MEMORY or data_type >= len(DATA_TYPES):
        return None
    if LOCALITY_HEADER.size + 4 * (initiators + targets) + 2 * initiators * targets > len(data):
        raise Unreadable(f"the structure at byte {at} is too short for {initiators} x {targets} nodes")
    domains = struct.unpack_from(f"<{initiators + targets}I", data, LOCALITY_HEADER.size)
    entries = struct.unpack_from(f"<{initiators * targets}H", data, LOCALITY_HEADER.size + 4 * len(domains))
    names = DATA_TYPES[data_type]
    scale = base_unit / PICOSECONDS_A_NANOSECOND if "latency" in names[0] else base_unit
    return Locality(domains[:initiators], domains[initiators:], names, scale, entries)


def pairs_of(structures):
    pairs = {}
    for structure in structures:
        cells = zip(itertools.product(structure.initiators, structure.targets), structure.entries)
        for (initiator, target), entry in cells:
            if entry in (UNKNOWN, UNREACHABLE) or not structure.scale:
                continue
            for name in structure.names:
                pairs.setdefault(name, {}).setdefault(initiator, {})[target] = entry * structure.scale
    if not pairs:
        raise Unreadable("it gives no latency and no bandwidth")
    return pairs


def check_nodes(pairs, topology, nearest):
    """Refuses a table whose domains cannot be the nodes of the same numbers."""
    for name, rows in pairs.items():
        absent = [node.id for node in topology.nodes.values() if node.cpus and node.id not in rows]
        if absent:
            raise Unreadable(f"its domains are not the nodes' numbers: no {name.replace('_', ' ')} from node "
                             f"{absent[0]}")
        for initiator, row in (nearest or {}).get(name, {}).items():
            for target, shown in row.items():
                claimed = rows.get(initiator, {}).get(target)
                # Linux rounds up to whole units, and knows some nodes (CXL) from elsewhere than this table.
                if claimed is not None and abs(claimed - shown) > 1:
                    raise Unreadable(f"its domains are not the nodes' numbers: {name.replace('_', ' ')} from node "
                                     f"{initiator} to node {target} is {claimed}, and {shown} in sysfs")
