"""What was seen of the processes of a run: that they used the library, and where the kernel says their memory is."""
import json
import re

PAGE_BYTES = 4096
# Pages take turns, each thread for itself: below this a share says nothing.
LEAST_SHARED_BYTES = 16 << 20
SHARE_TOLERANCE = 0.15


class Seen:
    def __init__(self):
        self.statistics = []  # the library's own, of processes that ended by exit
        self.without_library = []  # process ids
        self.mapped = 0  # running processes that were looked at
        self.placed = {}  # node: bytes in mappings with a policy, of those processes
        self.misplaced = []

    @property
    def processes(self):
        return len(self.statistics) + self.mapped

    @property
    def peak_bytes(self):
        """Of the largest process."""
        return max((sum(node["peak_committed_bytes"] + node["peak_huge_bytes"] for node in one["nodes"])
                    for one in self.statistics), default=0)

    def wrong(self, variables):
        """What contradicts the mode with these variables, as one line, or None."""
        if not self.processes:
            return "no sign that the library was in use"
        if self.without_library:
            return f"process {self.without_library[0]} ran without the library"
        if self.misplaced:
            return f"memory in another place: {self.misplaced[0]}"
        asked = dict(variable.split("=", 1) for variable in variables)
        policy = asked.get("NUMA_ALLOC_POLICY")
        if not self.mapped and not self.peak_bytes:
            return "the library was loaded, but nothing was allocated from it"
        for one in self.statistics:
            reason = wrong_statistics(one, policy)
            if reason:
                return f"process {one['pid']}: {reason}"
        if "NUMA_ALLOC_MIN_SIZE" not in asked and policy:
            return wrong_shares(policy, self.placed)
        return None


def wrong_statistics(one, policy):
    if policy and one["policy"] not in (policy, policy.replace("all", memory_list())):
        return f"policy {one['policy']}, not {policy}"
    # What each node was asked for: how much of that is still there depends on when it was last purged, and what
    # the kernel interleaves by itself may be huge pages of 2 MiB.
    handed_out = {}
    for node in one["nodes"]:
        if node["placing"] == "asked" and node["placement_check"]["elsewhere_pages"]:
            return f"{node['placement_check']['elsewhere_pages']} pages not on node {node['node']}"
        if node["node"] is not None:
            handed_out[node["node"]] = node["peak_committed_bytes"]
    return wrong_shares(policy, handed_out) if policy and not one["min_size_bytes"] else None


def nodes_of_policy(policy, used):
    """The share of each node under a policy of several, {} for others. `used`: the nodes that have memory."""
    kind, _, nodes = policy.partition(":")
    if kind == "interleave" and nodes == "all":
        weights = {node: 1 for node in used}
    elif kind == "weighted":
        weights = {int(node): int(weight) for node, weight in (pair.split("=") for pair in nodes.split(","))}
    else:
        return {}
    return {node: weight / sum(weights.values()) for node, weight in weights.items()}


def wrong_shares(policy, resident):
    total = sum(resident.values())
    if total < LEAST_SHARED_BYTES:
        return None
    for node, share in nodes_of_policy(policy, memory_nodes()).items():
        if abs(resident.get(node, 0) / total - share) > SHARE_TOLERANCE:
            return f"{resident.get(node, 0) / total:.0%} of {total >> 20} MiB on node {node}, not {share:.0%}"
    return None


def memory_list():
    """The nodes that have memory, as in 0,2-3."""
    try:
        with open("/sys/devices/system/node/has_memory") as listed:
            return listed.read().strip()
    except OSError:
        return "0"


def memory_nodes():
    parts = [part.split("-") for part in memory_list().split(",")]
    return [node for part in parts for node in range(int(part[0]), int(part[-1]) + 1)]


def read_numa_maps(seen, text):
    """Adds the mappings that have a policy of their own: the library's."""
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or not re.match(r"(bind|prefer|interleave|weighted)", words[1]):
            continue
        allowed = re.search(r":(\d+)$", words[1])
        page_bytes = PAGE_BYTES
        for word in words:
            if word.startswith("kernelpagesize_kB="):
                page_bytes = int(word.partition("=")[2]) << 10
        for node, pages in re.findall(r"\bN(\d+)=(\d+)", line):
            seen.placed[int(node)] = seen.placed.get(int(node), 0) + int(pages) * page_bytes
            if allowed and node != allowed[1]:
                seen.misplaced.append(line)


def read(folder, library):
    seen = Seen()
    for path in sorted(folder.iterdir()):
        text = path.read_text()
        if path.suffix == ".json":
            seen.statistics.append(json.loads(text))
        elif path.suffix == ".numa_maps":
            read_numa_maps(seen, text)
        elif path.suffix == ".maps":
            seen.mapped += 1
            if str(library) not in text:
                seen.without_library.append(path.stem)
    return seen
