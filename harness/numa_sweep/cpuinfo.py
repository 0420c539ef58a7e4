"""The CPU's vendor and numbers, by which its kind is known where its name does not tell it."""

import glob
import re

X86 = {"family": "cpu family", "model": "model", "stepping": "stepping"}
ARM64 = {"implementer": "CPU implementer", "part": "CPU part"}


def gather(root=""):
    """environment.json's `cpu`; a value is None where it is not known.

    `virtual` is whether x86 says so (a hypervisor's flag): arm64 has no such word.
    """
    said = first_processor(f"{root}/proc/cpuinfo")
    flags = said.get("flags")
    return {
        "vendor": said.get("vendor_id"), **{name: number(said.get(words)) for name, words in {**X86, **ARM64}.items()},
        "sockets": sockets(f"{root}/sys/devices/system/cpu"),
        "virtual": "hypervisor" in flags.split() if flags else None,
    }


def first_processor(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return dict(re.findall(r"^([^:\n]+?)\s*:[ \t]*(.*?)\s*$", file.read().split("\n\n", 1)[0], re.MULTILINE))
    except OSError:
        return {}


def number(words):
    return int(words, 0) if re.fullmatch(r"[0-9]+|0x[0-9a-fA-F]+", words or "") else None


def sockets(folder):
    """How many packages the kernel tells apart; None where it does not say."""
    found = set()
    for path in glob.glob(f"{folder}/cpu[0-9]*/topology/physical_package_id"):
        try:
            with open(path, encoding="utf-8") as file:
                found.add(file.read().strip())
        except OSError:  # one that is off line
            continue
    return len(found) if found and "-1" not in found else None
