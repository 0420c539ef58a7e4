"""Which memory modules there are, as the firmware's DMI table says and dmidecode reads it (for root only).

Nothing here fails: what cannot be read is None, with the reason in words.
"""

import os
import re
import subprocess

COMMAND = ("dmidecode", "--type", "17")  # memory devices, SMBIOS 3.7, section 7.18
PATIENCE_S = 10
SUPERUSERS_PATH = "/usr/sbin:/sbin"  # where it lies, and where an ordinary user's PATH need not lead
KIB = {"bytes": 0, "kB": 1, "KB": 1, "MB": 2, "GB": 3, "TB": 4}  # dmidecode's units are of 1024


def gather(command=COMMAND):
    """environment.json's `memory_devices`: a dictionary a slot, empty ones too, and `memory_devices_missing`."""
    devices, reason = read(command)
    return {"memory_devices": devices, "memory_devices_missing": reason}


def read(command):
    """(the devices, None), or (None, why not). command: dmidecode's, of a kind that prints memory devices."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              check=False, timeout=PATIENCE_S,
                              env={**os.environ, "PATH": f"{os.environ.get('PATH', os.defpath)}:{SUPERUSERS_PATH}"})
    except FileNotFoundError:
        return None, "dmidecode is not installed; harness/setup.sh installs it"
    except (OSError, subprocess.SubprocessError) as error:
        return None, f"dmidecode: {getattr(error, 'strerror', None) or 'it took too long'}"
    devices = parse(done.stdout)
    if devices:
        return devices, None
    said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return None, f"dmidecode: {said[-1]}" if said else "the DMI table lists no memory devices"


def parse(words):
    """The devices in dmidecode's words, in its order."""
    return [device(part) for part in re.split(r"\n\s*\n", words) if re.search(r"^Memory Device$", part, re.MULTILINE)]


def device(part):
    said = dict(re.findall(r"^\s+([^:\n]+):[ \t]*(.*?)\s*$", part, re.MULTILINE))
    return {
        "array": said.get("Array Handle"), "locator": name(said.get("Locator")), "bank": name(said.get("Bank Locator")),
        "size_bytes": size_bytes(said.get("Size")), "type": name(said.get("Type")),
        # Named anew in SMBIOS 3.0 and 3.2; what older tables call MHz are transfers all the same.
        "speed_mt_s": number(said.get("Configured Memory Speed") or said.get("Configured Clock Speed"), "MT/s|MHz"),
        "data_width_bits": number(said.get("Data Width"), "bits"),
    }


def name(words):
    return words if words and words not in ("Unknown", "Not Specified", "Other", "None", "<OUT OF SPEC>") else None


def number(words, units):
    found = re.fullmatch(rf"([0-9]+) (?:{units})", words or "")
    return int(found.group(1)) if found else None


def size_bytes(words):
    """None where the slot is empty, or where the size is not known."""
    found = re.fullmatch(r"([0-9]+) (\w+)", words or "")
    return int(found.group(1)) << 10 * KIB[found.group(2)] if found and found.group(2) in KIB else None
