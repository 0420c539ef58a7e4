"""--export slit: node distances as the SLIT has them, from measured latencies."""

from numa_report.errors import ReportError
from numa_report.verdict.cells import figures_of, known

from . import pairs

LOCAL, GREATEST = 10, 254  # ACPI 6.4, section 5.2.17: 10 is a node to itself, 255 is unreachable


def text(run):
    """The tables: what was measured, then what the firmware says. Raises ReportError where no latency was measured."""
    latency = pairs.measured(run, "latency", "random").values
    if not latency:
        raise ReportError(f"{run.folder}: no latency of a cell was measured, which the distances follow from")
    cpu_nodes, columns = nodes_of(run, latency)
    firmware = {}
    for (initiator, target), distance in figures_of(known(run.environment.get("topology")).get("distances")).items():
        firmware.setdefault(initiator, {})[target] = distance
    distances = {node: row_of(node, latency.get(node, {})) for node in cpu_nodes}
    parts = ["node distances:", *table(distances, columns)]
    parts += [f"node {node}: no local latency to relate its distances to" for node in distances
              if latency.get(node) and node not in latency[node]]
    if firmware:
        known_rows = {node: firmware[node] for node in columns if node in firmware}
        parts += ["", "by the firmware:", *table(known_rows, columns)]
    return "\n".join(parts) + "\n"


def nodes_of(run, latency):
    """(the nodes with CPUs, all nodes): as the run's environment says, else those that were measured."""
    try:
        cpus = pairs.cpus_of_nodes(run)
    except ReportError:  # what another tool measured was imported without one
        cpus = {}
    columns = sorted({*cpus, *latency, *(node for row in latency.values() for node in row)})
    return [node for node in columns if cpus.get(node) or node in latency], columns


def row_of(cpu_node, latency):
    """{memory node: distance} of one CPU node's latencies; none where its local one was not measured."""
    local = latency.get(cpu_node)
    if local is None:
        return {}
    return {node: min(max(round(LOCAL * value / local), LOCAL), GREATEST) for node, value in latency.items()}


def table(distances, columns):
    """Lines of `numactl --hardware`'s form; `-` for what is not known."""
    width = max(3, *(len(str(node)) for node in columns))
    lines = ["node " + " ".join(f"{node:>{width}}" for node in columns)]
    lines += [f"{node:>{width}}: " + " ".join(f"{row.get(column, '-'):>{width}}" for column in columns)
              for node, row in distances.items()]
    return lines
