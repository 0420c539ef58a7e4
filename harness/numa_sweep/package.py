"""What is sent to the hosts of a fleet: the harness, the allocator and the sweep's benchmarks, as one tar file.

It is named by its content, so that a host has each build once, and a fleet that is resumed goes on with the very same.
"""

import hashlib
import io
import os
import tarfile

from numa_report.errors import ReportError, whole_file
from numa_report.schema import BENCHES

from . import also

FILE = "package.tar"
BUILT = ("alloc/numa_alloc.so", "harness/run_cell", "bench/preflight", *(f"bench/{name}" for name in BENCHES))
IF_BUILT = tuple(f"bench/{name}" for name in also.programs(also.SINGLES))
PACKAGES = ("harness/numa_sweep", "harness/numa_report")
MARK = "complete"  # the last file of the archive: where it is, all are


def make(root, folder):
    """Writes FOLDER/package.tar; returns the hash of what is in it."""
    for name in BUILT:
        if not os.path.isfile(os.path.join(root, name)):
            raise ReportError(f"{name} is not built: run make")
    names = sorted({*BUILT, *sources(root), *(name for name in IF_BUILT if os.path.isfile(os.path.join(root, name)))})
    digest = hashlib.sha256()
    with whole_file(os.path.join(folder, FILE), "wb") as file, \
            tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as content:
                data = content.read()
            mode = 0o755 if os.access(path, os.X_OK) else 0o644
            digest.update(f"{name}\0{mode:o}\0{len(data)}\0".encode() + data)
            archive.addfile(described(name, mode, data), io.BytesIO(data))
        archive.addfile(described(MARK, 0o644, b""))
    return digest.hexdigest()[:16]


def described(name, mode, data):
    item = tarfile.TarInfo(name)
    item.mode, item.size = mode, len(data)
    return item


def sources(root):
    """The scripts: all of harness/ that a sweep uses."""
    folders = ["harness"]
    for package in PACKAGES:
        folders += [os.path.relpath(folder, root) for folder, _, _ in os.walk(os.path.join(root, package))]
    for folder in folders:
        for entry in os.scandir(os.path.join(root, folder)):
            if entry.is_file() and entry.name.endswith((".py", ".sh")):
                yield f"{folder}/{entry.name}"
