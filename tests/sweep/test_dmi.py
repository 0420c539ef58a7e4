"""The memory modules and the CPU's numbers in environment.json: what is read, and what is said where nothing can be."""

import shutil
import struct
import sys

import pytest
from made_up_sweep import TWO_NODES

from numa_sweep import cpuinfo, dmi, environment

EMPTY, EXTENDED = 0, 0x7FFF
DDR5 = 0x22
DMIDECODE = shutil.which("dmidecode", path="/usr/sbin:/sbin:/usr/bin:/bin")

# As dmidecode prints them; the words before SMBIOS 3.2 and after.
NEW = """\
# dmidecode 3.4
Getting SMBIOS data from sysfs.

Handle 0x0022, DMI type 17, 92 bytes
Memory Device
\tArray Handle: 0x0020
\tTotal Width: 80 bits
\tData Width: 64 bits
\tSize: 64 GB
\tLocator: P0 CHANNEL A DIMM 0
\tBank Locator: NODE 0
\tType: DDR5
\tSpeed: 5600 MT/s
\tConfigured Memory Speed: 4800 MT/s

Handle 0x0023, DMI type 17, 92 bytes
Memory Device
\tArray Handle: 0x0020
\tData Width: Unknown
\tSize: No Module Installed
\tLocator: P0 CHANNEL A DIMM 1
\tBank Locator: NODE 0
\tType: Unknown
\tConfigured Memory Speed: Unknown
"""
OLD = """\
Handle 0x1100, DMI type 17, 40 bytes
Memory Device
\tArray Handle: 0x1000
\tData Width: 64 bits
\tSize: 16384 MB
\tLocator: PROC  1 DIMM  1\x20
\tBank Locator: Not Specified
\tType: <OUT OF SPEC>
\tSpeed: 1866 MHz
\tConfigured Clock Speed: 1600 MHz
"""


def test_slots_are_read_with_the_empty_ones():
    full, empty = dmi.parse(NEW)
    assert full == {"array": "0x0020", "locator": "P0 CHANNEL A DIMM 0", "bank": "NODE 0", "size_bytes": 64 << 30,
                    "type": "DDR5", "speed_mt_s": 4800, "data_width_bits": 64}
    assert empty == {"array": "0x0020", "locator": "P0 CHANNEL A DIMM 1", "bank": "NODE 0", "size_bytes": None,
                     "type": None, "speed_mt_s": None, "data_width_bits": None}


def test_the_words_of_older_tables_are_read():
    assert dmi.parse(OLD) == [{"array": "0x1000", "locator": "PROC  1 DIMM  1", "bank": None, "size_bytes": 16 << 30,
                               "type": None, "speed_mt_s": 1600, "data_width_bits": 64}]


def memory_device(handle, size_mib, speed_mt_s, locator, bank):
    """A memory device of SMBIOS 3.3 as bytes: its section 7.18, the fields to 5Ch with what is not needed left 0."""
    formatted = struct.pack("<BBHHHHHHBBBBBHHBBBBBIH", 17, 0x5C, handle, 0x20, 0xFFFE, 72, 64,
                            min(size_mib, EXTENDED), 9, 0, 1, 2, DDR5, 0x80, speed_mt_s, 0, 0, 0, 0, 2, size_mib,
                            speed_mt_s)
    return formatted.ljust(0x5C, b"\0") + f"{locator}\0{bank}\0\0".encode()


def dump(path, *devices):
    """What dmidecode --dump-bin writes: the SMBIOS 3 entry point, and from 20h on the table."""
    table = b"".join(devices) + struct.pack("<BBH", 127, 4, 0xFE) + b"\0\0"
    entry = bytearray(struct.pack("<5sBBBBBBBIQ", b"_SM3_", 0, 24, 3, 3, 0, 1, 0, len(table), 0x20))
    entry[5] = -sum(entry) % 256
    path.write_bytes(bytes(entry).ljust(0x20, b"\0") + table)
    return str(path)


@pytest.mark.skipif(DMIDECODE is None, reason="dmidecode is not installed")
def test_dmidecode_reads_a_made_up_table(tmp_path):
    path = dump(tmp_path / "dmi", memory_device(0x30, 32 << 10, 3200, "CPU1_DIMM_A1", "NODE 1"),
                memory_device(0x31, EMPTY, 0, "CPU1_DIMM_A2", "NODE 1"),
                memory_device(0x32, 16 << 10, 2933, "CPU1_DIMM_B1", "NODE 1"))
    read = dmi.gather((DMIDECODE, "--from-dump", path, *dmi.COMMAND[1:]))
    assert read["memory_devices_missing"] is None
    assert [(slot["locator"], slot["size_bytes"], slot["type"], slot["speed_mt_s"], slot["data_width_bits"])
            for slot in read["memory_devices"]] == [
        ("CPU1_DIMM_A1", 32 << 30, "DDR5", 3200, 64), ("CPU1_DIMM_A2", None, "DDR5", None, 64),
        ("CPU1_DIMM_B1", 16 << 30, "DDR5", 2933, 64)]


@pytest.mark.skipif(DMIDECODE is None, reason="dmidecode is not installed")
def test_a_table_without_modules_says_so(tmp_path):
    assert dmi.gather((DMIDECODE, "--from-dump", dump(tmp_path / "dmi"), *dmi.COMMAND[1:])) == {
        "memory_devices": None, "memory_devices_missing": "the DMI table lists no memory devices"}


@pytest.mark.parametrize("program, reason", [
    ("import sys; sys.exit('/dev/mem: Permission denied')", "dmidecode: /dev/mem: Permission denied"),
    ("print('# No SMBIOS nor DMI entry point found, sorry.')", "the DMI table lists no memory devices"),
    ("import sys; sys.stdout.buffer.write(bytes(range(256)) * 9)", "the DMI table lists no memory devices"),
])
def test_what_cannot_be_read_is_null_with_the_reason(program, reason):
    assert dmi.gather((sys.executable, "-c", program)) == {"memory_devices": None, "memory_devices_missing": reason}


def test_a_machine_without_dmidecode_says_so():
    assert dmi.gather(("no-such-dmidecode",))["memory_devices_missing"].startswith("dmidecode is not installed")


def test_the_environment_has_both(tmp_path):
    described = environment.gather(TWO_NODES, {}, str(tmp_path))
    assert set(described["cpu"]) == set(cpuinfo.gather())
    assert (described["memory_devices"] is None) != (described["memory_devices_missing"] is None)


def write(root, cpuinfo_words, packages=()):
    (root / "proc").mkdir()
    (root / "proc/cpuinfo").write_text(cpuinfo_words)
    for cpu, package in enumerate(packages):
        folder = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
    return str(root)


X86 = """\
processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 85
model name\t: Intel(R) Xeon(R) Gold 6240 CPU @ 2.60GHz
stepping\t: 7
flags\t\t: fpu vme %s

processor\t: 1
vendor_id\t: another
"""


@pytest.mark.parametrize("flag, virtual", [("hypervisor", True), ("hypervisors", False)])
def test_numbers_of_an_x86_cpu(tmp_path, flag, virtual):
    assert cpuinfo.gather(write(tmp_path, X86 % flag, (0, 1, 1))) == {
        "vendor": "GenuineIntel", "family": 6, "model": 85, "stepping": 7, "implementer": None, "part": None,
        "sockets": 2, "virtual": virtual}


def test_numbers_of_an_arm64_cpu(tmp_path):
    words = "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU part\t: 0xd4f\n\n"
    read = cpuinfo.gather(write(tmp_path, words, (-1,)))
    assert (read["implementer"], read["part"], read["sockets"], read["virtual"]) == (0x41, 0xd4f, None, None)


def test_a_machine_that_says_nothing_of_its_cpu(tmp_path):
    assert set(cpuinfo.gather(str(tmp_path)).values()) == {None}
