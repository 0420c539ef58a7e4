"""What the memory modules could move at most, by the DMI table of environment.json, and how much of it a run measured.

A channel moves its configured transfers a second times its width: DDR4-3200 is called PC4-25600 since 3,200 MT/s times
8 bytes are 25,600 MB/s (JEDEC's names of modules, JESD79-4 and its like). Modules on one channel take turns and add
nothing, so channels are counted, not modules: by the names that the firmware gives the slots, where these tell them
(`P0_Node0_Channel1_Dimm0`, `CPU1_DIMM_B2`). Where they do not (`PROC 1 DIMM 3`, `A7`), there is a channel for each
module, or one for every two of them: a span.
"""

import math
import re
from dataclasses import dataclass

from . import layout
from .own_figures import Span, bandwidth_rows, span_words
from .verdict.cells import is_remote, known, nodes_of

MOST_MODULES_A_CHANNEL = 3
ALIKE = 1.10  # nodes whose sizes are within this have like modules
IMPOSSIBLE = 1.05  # times the peak: what no memory moves
NOT_CHANNELS_MEMORY = ("Flash", "ROM", "EEPROM", "Logical non-volatile device", "HBM", "HBM2", "HBM3")
BY_CHANNEL = re.compile(r"^(.*?channel[ _-]?[0-9A-Z]+)", re.IGNORECASE)
BY_LETTER = re.compile(r"^((?:.*(?:[ _-]|DIMM))?[A-Z])([0-9])$")


@dataclass
class Peak:
    """What a machine's memory can move, in GB/s (10^9 bytes); None where it is not known, with the reason."""

    machine: Span = None
    node: Span = None  # of one memory node, where all are alike
    modules: list = None  # the populated slots, as environment.json has them
    best: dict = None  # the row of the greatest local bandwidth, from enough threads
    share: Span = None  # of the node's peak that it is
    reason: str = ""


def peak(run):
    environment = run.environment
    slots = environment.get("memory_devices")
    slots = [slot for slot in slots if isinstance(slot, dict)] if isinstance(slots, list) else []
    modules = [slot for slot in slots
               if is_number(slot.get("size_bytes")) and slot.get("type") not in NOT_CHANNELS_MEMORY]
    if known(environment.get("cpu")).get("virtual") is True:
        return Peak(reason="a virtual machine's memory modules are made up")
    if not modules:
        missing = environment.get("memory_devices_missing")
        return Peak(reason=missing if isinstance(missing, str) else "the run did not record the memory modules")
    if not all(is_number(slot.get("speed_mt_s")) and is_number(slot.get("data_width_bits")) for slot in modules):
        return Peak(modules=modules, reason="the DMI table does not give every module's speed and width")
    machine = capacity(modules, slots)
    node = node_share(machine, environment)
    local = [row for row in bandwidth_rows(run) if not is_remote(row)]
    best = max(local, key=lambda row: row["median"], default=None)
    share = Span(*(best["median"] / figure for figure in reversed(node))) if best and node else None
    return Peak(machine, node, modules, best, share)


def is_number(value):
    return type(value) in (int, float) and 0 < value < math.inf


def capacity(modules, slots):
    """The Span of what all channels move together, in GB/s."""
    channels = channels_of(modules, slots)
    if channels is not None:
        total = sum(min(map(module_gb_s, of_channel)) for of_channel in channels.values())
        return Span(total, total)
    each = sorted(map(module_gb_s, modules))
    return Span(sum(each[:(len(each) + 1) // 2]), sum(each))


def module_gb_s(slot):
    return slot["speed_mt_s"] * slot["data_width_bits"] / 8 / 1000


def channels_of(modules, slots):
    """{channel: its modules}, or None where the slots' names, the empty ones' too, do not tell the channels."""
    names = [channel_of(slot) for slot in slots]
    if None in names or any(names.count(name) > MOST_MODULES_A_CHANNEL for name in names):
        return None
    found = {}
    for slot in modules:
        found.setdefault(channel_of(slot), []).append(slot)
    return found


def channel_of(slot):
    locator, bank = (" ".join(words.split()) if isinstance(words, str) else "" for words in
                     (slot.get("locator"), slot.get("bank")))
    for words, other in ((locator, bank), (bank, locator)):
        found = BY_CHANNEL.match(words)
        if found:  # the other may name the socket: `Channel0_Dimm0`, `NODE 1`
            return slot.get("array"), found.group(1), "" if words is bank else other
    found = BY_LETTER.match(locator)
    return (slot.get("array"), found.group(1), "") if found else None


def node_share(machine, environment):
    """The Span of one memory node's modules, None where nodes are not alike."""
    sizes = [node.get("memory_bytes") for node in nodes_of(environment) if node.get("has_memory") is not False]
    if not sizes or not all(map(is_number, sizes)) or max(sizes) > ALIKE * min(sizes):
        return None
    return Span(*(figure / len(sizes) for figure in machine))


def peak_lines(run):
    """`peak: ...`, none where it is not known."""
    found = peak(run)
    if not found.machine:
        return []
    words = f"peak: {modules_words(found.modules)} can move {span_words(found.machine, 'GB/s')}"
    if found.node and found.node != found.machine:
        words += f", {span_words(found.node, 'GB/s')} a node"
    if found.share and found.share.low > IMPOSSIBLE:
        words += f"; {best_words(found.best)}, is more than that: it was of caches, or the DMI table is wrong"
    elif found.share:
        words += f"; {best_words(found.best)}, is {share_words(found.share)} of it"
    return [words]


def modules_words(modules):
    speeds = sorted({slot["speed_mt_s"] for slot in modules})
    kinds = {slot.get("type") for slot in modules}
    kind = f"{kinds.pop()} " if len(kinds) == 1 and all(kinds) else ""
    count = layout.counted(len(modules), layout.shortened(f"{kind}module", 30))
    return f"{count} at {' and '.join(f'{speed:,}' for speed in speeds)} MT/s"


def best_words(row):
    return (f"the best local bandwidth measured, {layout.quantity_words(row['median'], row['unit'])} "
            f"({layout.shortened(row['variant'], 30)}, {layout.counted(row['threads'], 'thread')})")


def share_words(share):
    low, high = (f"{100 * figure:.0f}" for figure in share)
    return f"{low} %" if low == high else f"{low} to {high} %"
