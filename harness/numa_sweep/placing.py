"""The words in front of a command that pin it to its cell's CPUs and place its memory, and the check of where it was.

numa_alloc places by its environment. Any other allocator is placed by numactl, which sets the process's own policy: that
takes its program text, stacks and page tables along, which numa_alloc leaves where they are.
"""

from numa_report.schema import PLACED

OURS = ("POLICY", "MIN_SIZE", "PAGES", "ON_ERROR", "STATS", "STATS_SIGNAL", "CHECKS")
# glibc.malloc.hugetlb (glibc 2.35): 1 is madvise for transparent huge pages, else a size of reserved ones.
GLIBC_HUGE = {"thp": "1", "2M": str(2 << 20), "1G": str(1 << 30)}


def words(job, library, preload, stats=None):
    """taskset ... env ...: `library` is numa_alloc's, `preload` the other allocator's or "".

    The caller's settings of the library do not reach the command: cells of two sweeps would differ in what neither shows.
    env comes last, so that only the command is preloaded.
    """
    ours = job.allocator == "numa_alloc"
    settings = {}
    if ours:
        settings["NUMA_ALLOC_POLICY"] = job.policy
        if job.pages != "default":
            settings["NUMA_ALLOC_PAGES"] = job.pages
        if stats:
            settings["NUMA_ALLOC_STATS"] = stats
    elif job.pages != "default":
        settings["GLIBC_TUNABLES"] = f"glibc.malloc.hugetlb={GLIBC_HUGE[job.pages]}"
    load = library if ours else preload
    unset = [f"NUMA_ALLOC_{name}" for name in OURS if f"NUMA_ALLOC_{name}" not in settings]
    unset += [] if load else ["LD_PRELOAD"]
    if load:
        settings["LD_PRELOAD"] = load
    placed = ["taskset", "-c", job.cpus] + ([] if ours else numactl(job.policy))
    return (placed + ["env"] + [word for name in unset for word in ("-u", name)]
            + [f"{name}={value}" for name, value in settings.items()])


def numactl(policy):
    kind, _, nodes = policy.partition(":")
    option = {"bind": "--membind", "preferred": "--preferred-many" if not nodes.isdigit() else "--preferred",
              "interleave": "--interleave", "local": "--localalloc"}.get(kind)
    if option is None:
        return []
    return ["numactl", f"{option}={nodes}" if nodes else option]


def judge_pages(row, job):
    """Sets placement and placed_fraction of a benchmark's row from where it saw its pages: it does not know of numactl."""
    nodes = wanted_nodes(job)
    pages = dict(word[1:].split("=") for word in (row.get("pages_on_nodes") or "").split(";") if word.startswith("N"))
    total = sum(map(int, pages.values()))
    if nodes is None or row["placement"] == "unverified" or not total:
        return
    row["placed_fraction"] = sum(int(count) for node, count in pages.items() if int(node) in nodes) / total
    row["placement"] = "verified" if row["placed_fraction"] >= PLACED else "failed"


def wanted_nodes(job):
    """The nodes that all of the memory has to be on; None where any will do."""
    if job.policy.startswith("bind:"):
        return {job.mem_node}
    return {job.cpu_node} if job.policy == "local" else None
