"""From the axes asked for, on this machine, to the cells of the sweep: their product, and the local cells."""

from collections import namedtuple

from numa_report.errors import UsageError
from numa_report.schema import BENCHES

from . import options as option_words
from .plan import Cell
from .topology import format_list, parse_list
from .workload import expectation

# CPUs that cells run on: `single` when they were named one by one, so that a cell has one of them.
Row = namedtuple("Row", "cpu_node cpus single skip_reason")

# Where a cell's memory is: node is None when the policy names no single one.
Column = namedtuple("Column", "policy node skip_reason")

NO_PLACING = {  # policies that numactl cannot be asked for
    "weighted": "numactl has no weights of its own",
}


def cells(topology, options):
    """Every cell in the order of the axes; those that cannot be measured say why."""
    rows = choose_rows(topology, options)
    columns = choose_columns(topology, options)
    found = []
    for bench in benches(options):
        for row in rows:
            for size in option_words.words_of(options.sizes) if options.sizes else [""]:
                for threads in thread_counts(options, bench, row):
                    for pages in option_words.words_of(options.pages):
                        for allocator in option_words.words_of(options.allocators):
                            for column in with_local(columns, row, topology):
                                found.append(make_cell(options, bench, row, column, allocator, pages, threads, size))
    return found


def benches(options):
    """The names in the column `bench`."""
    if options.command:
        return [options.name or safe(options.command[0].rpartition("/")[2]) or "command"]
    return option_words.words_of(options.bench)


def safe(text):
    """For names of files and cells: other letters than these become -."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_.+-") else
                   {",": "+", "=": "x"}.get(letter, "-") for letter in text)


def make_cell(options, bench, row, column, allocator, pages, threads, size):
    allocator_name, _, library = allocator.partition("=")
    cpus = row.cpus[:threads] if threads else row.cpus
    reason = (row.skip_reason or column.skip_reason or too_few(row, threads)
              or not_placed(allocator_name, library, column, pages))
    cpu = cpus[0] if cpus else row.cpus[0]
    bound = column.policy == f"bind:{column.node}"
    words = [f"cpu{cpu}", f"node{column.node}" if bound else safe(column.policy)]
    words += [allocator_name] if allocator_name != "numa_alloc" else []
    words += [pages] if pages != "default" else []
    words += [f"t{threads}"] if threads and (threads != 1 or options.command) else []
    words += [size] if size else []
    return Cell(bench=bench, place=".".join(words), cpus=format_list(cpus), cpu=cpu, cpu_node=row.cpu_node,
                mem_node=column.node, policy=column.policy, allocator=allocator_name, pages=pages,
                threads=threads or len(row.cpus), size=size, skip_reason=reason, expected=expectation(options, bench))


def too_few(row, threads):
    if threads and threads > len(row.cpus):
        return (f"{threads} threads on {len(row.cpus)} CPU{'s' if len(row.cpus) > 1 else ''} "
                f"({'named singly' if row.single else f'all that this process has of node {row.cpu_node}'})")
    return ""


def not_placed(allocator, library, column, pages):
    """Why a cell of another allocator than ours cannot be."""
    if allocator == "numa_alloc":
        return ""
    kind = column.policy.partition(":")[0]
    if kind in NO_PLACING:
        return f"{allocator} is placed by numactl, and {NO_PLACING[kind]}"
    if pages != "default" and library:
        return f"{allocator} cannot be told which pages to use"
    return ""


def thread_counts(options, bench, row):
    """The threads axis; 0: as many as a command likes, on all CPUs of its row."""
    if options.threads is None:
        return [0] if options.command else [1]
    if not options.command and not BENCHES[bench].takes_threads:
        return [1]
    counts = [len(row.cpus) if word == "all" else int(word) for word in option_words.words_of(options.threads)]
    return list(dict.fromkeys(counts))


def with_local(columns, row, topology):
    """The columns, and before them the row's own memory: what a penalty is relative to."""
    own = f"bind:{row.cpu_node}"
    node = topology.nodes.get(row.cpu_node)
    if node is None or not node.has_memory or any(column.policy == own for column in columns):
        return columns
    return [Column(own, row.cpu_node, not_allowed(topology, [row.cpu_node])), *columns]


def choose_rows(topology, options):
    if options.cpus or options.all_cpus:
        cpus = (sorted(topology.allowed_cpus) if options.all_cpus else numbers("--cpus", options.cpus))
        return [Row(check_cpu(topology, cpu), [cpu], True, "") for cpu in cpus]
    nodes = list(topology.nodes) if options.cpu_nodes is None else numbers("--cpu-nodes", options.cpu_nodes)
    rows = []
    for number in nodes:
        node = topology.nodes.get(number)
        if options.cpu_nodes is not None and (node is None or not node.cpus):
            why = "does not exist" if node is None else "has no CPUs"
            raise UsageError(f"--cpu-nodes: node {number} {why}; nodes with CPUs: "
                             + format_list(node.id for node in topology.nodes.values() if node.cpus))
        allowed = sorted(set(node.cpus) & topology.allowed_cpus)
        if allowed:
            rows.append(Row(number, allowed, False, ""))
        elif node.cpus:
            rows.append(Row(number, sorted(node.cpus)[:1], False, f"no CPU of node {number} is allowed to this process"))
    return rows


def check_cpu(topology, cpu):
    """The CPU's node."""
    node = topology.node_of_cpu(cpu)
    if node is None and cpu in topology.offline_cpus:
        raise UsageError(f"--cpus: CPU {cpu} is off-line; as root: echo 1 > /sys/devices/system/cpu/cpu{cpu}/online")
    if node is None:
        raise UsageError(f"--cpus: there is no CPU {cpu} here; CPUs: "
                         + format_list(c for n in topology.nodes.values() for c in n.cpus))
    if cpu not in topology.allowed_cpus:
        raise UsageError(f"--cpus: CPU {cpu} is not allowed to this process; allowed: "
                         + format_list(topology.allowed_cpus))
    return node


def choose_columns(topology, options):
    with_memory = [node.id for node in topology.nodes.values() if node.has_memory]
    nodes = with_memory if options.mem_nodes is None else numbers("--mem-nodes", options.mem_nodes)
    check_nodes(topology, "--mem-nodes", nodes, with_memory)
    columns = {}
    for policy in option_words.split_policies(options.policies):
        for text in [policy.replace("@", str(node)) for node in nodes] if "@" in policy else [policy]:
            named = nodes_of(text)
            check_nodes(topology, "--policies", named, with_memory)
            columns[text] = Column(text, named[0] if len(named) == 1 and text.startswith(("bind:", "preferred:")) else None,
                                   not_allowed(topology, named))
    return list(columns.values())


def nodes_of(policy):
    """The nodes that a policy names."""
    _, _, words = policy.partition(":")
    if words in ("", "all"):
        return []
    found = [number for word in words.split(",") for number in numbers("--policies", word.partition("=")[0])]
    if len(set(found)) < len(found):
        raise UsageError(f"--policies: '{policy}' names a node twice")
    return found


def check_nodes(topology, option, wanted, with_memory):
    for number in wanted:
        if number not in with_memory:
            why = "has no memory" if number in topology.nodes else "does not exist"
            raise UsageError(f"{option}: node {number} {why}; nodes with memory: {format_list(with_memory)}")


def not_allowed(topology, nodes):
    for number in nodes:
        if number not in topology.allowed_mems:
            return f"the memory of node {number} is not allowed to this process"
    return ""


def numbers(option, words):
    try:
        return parse_list(words)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None
