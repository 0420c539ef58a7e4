"""The allocators to compare: glibc, ours, those that the system has installed, and PEERS."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from numa_report.errors import UsageError

LIBRARY_FOLDERS = [Path(p) for p in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")]
INSTALLED = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2.0",
    "tcmalloc": "libtcmalloc_minimal.so.4",
    "tbbmalloc": "libtbbmalloc_proxy.so.2",
}
BASE = "glibc"  # what ratios are to
OURS = "numa_alloc"
CHECKED = "checks"  # numa_alloc@checks


@dataclass(frozen=True)
class Allocator:
    """`label` names it in tables, `name` in the data; `library` is preloaded unless None; `extra` is set for it."""

    label: str
    library: str | None
    extra: dict = field(default_factory=dict, hash=False)

    @property
    def name(self):
        return self.label.partition("@")[0]

    @property
    def is_peer(self):
        """Is it one to be measured against? Neither ours nor the C library's own."""
        return self.name not in (OURS, BASE)

    def environment(self, added=()):
        """The environment for a program: this process's, with this allocator in it."""
        environment = {**os.environ, **dict(added), **self.extra}
        environment.pop("LD_PRELOAD", None)
        if self.library is not None:
            environment["LD_PRELOAD"] = self.library
        return environment

    def reported_name(self):
        """What bench/allocs calls it, from the file that malloc is in."""
        base = os.path.basename(self.library) if self.library else BASE
        return OURS if base == f"{OURS}.so" else base


def parse_peers(text):
    """{name: path} of `name=path.so,name=path.so`; an empty text names none."""
    peers = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, path = item.partition("=")
        if not equals or not name or not path:
            raise UsageError(f"PEERS: '{item}' is not accepted; name=path.so,name=path.so is")
        if name.partition("@")[0] in (BASE, OURS) or name in peers:
            raise UsageError(f"PEERS: the name '{name}' is taken; give another")
        if not os.path.isfile(path):
            raise UsageError(f"PEERS: {name}: there is no file '{path}'")
        peers[name] = os.path.abspath(path)
    return peers


def find(root, peers_text):
    """{label: Allocator} of all that there are, and the names of those that are not installed."""
    ours = Path(root) / "alloc" / f"{OURS}.so"
    if not ours.exists():
        raise UsageError(f"{ours} is not built; run make")
    peers = parse_peers(peers_text)
    found, missing = {BASE: Allocator(BASE, None), OURS: Allocator(OURS, str(ours))}, []
    for name, library in INSTALLED.items():
        path = next((str(folder / library) for folder in LIBRARY_FOLDERS if (folder / library).exists()), None)
        if name in peers:
            continue  # the user's own takes its place
        if path is None:
            missing.append(name)
        else:
            found[name] = Allocator(name, path)
    found.update({name: Allocator(name, path) for name, path in peers.items()})
    return found, missing


def select(found, labels):
    """The allocators asked for, in that order; numa_alloc@POLICY is ours under that policy, numa_alloc@checks ours
    with NUMA_ALLOC_CHECKS=on. No labels: all."""
    chosen = {}
    for label in labels or found:
        name, at, policy = label.partition("@")
        if name not in found or (at and name != OURS):
            raise UsageError(f"--allocators: '{label}' is not accepted; {', '.join(found)} and {OURS}@POLICY and {OURS}@{CHECKED} are")
        if at and not policy:
            raise UsageError(f"--allocators: '{label}': a policy is missing; {OURS}@none or {OURS}@bind:0, for example")
        extra = {"NUMA_ALLOC_CHECKS": "on"} if policy == CHECKED else {"NUMA_ALLOC_POLICY": policy}
        chosen[label] = Allocator(label, found[name].library, extra) if at else found[name]
    return chosen
