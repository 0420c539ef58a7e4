"""Intel Memory Latency Checker 3.x: its latency and bandwidth matrices and its curve of latency under load.

What it prints says its units: latency in ns, bandwidth in MB/s of 1,000,000 bytes. Which CPU of a node measured it does
not say. A file may hold several runs one after the other: each is a round. The matrices' cells are bound to their nodes;
the loaded curve is of the whole system, every CPU with memory of its own node.
"""

import re

from .imported import Found, Wrong, bandwidth, figure, gb_s, latency, node, numbered

VERSION = re.compile(r"Intel\(R\) Memory Latency Checker - (v[0-9A-Za-z.]{1,12})")
COMMAND_LINE = re.compile(r"Command line parameters: *(.*)")
IDLE = re.compile(r"Measuring idle latencies( for (random|sequential) access)? ?\(in ns\)")
BETWEEN = "Measuring Memory Bandwidths between nodes"
LOADED = "Measuring Loaded Latencies"
LEFT_OUT = (("Measuring Peak", "peak bandwidths: of the whole system, no cell's"),
            ("Measuring Maximum", "maximum bandwidths: of the whole system, no cell's"),
            ("Measuring cache-to-cache", "cache-to-cache latencies: by node, and core2core's are by CPU"))
HEADER = re.compile(r"(?:Numa node|Socket)((?:\s+[0-9]+)+)\s*")
TRAFFIC = {"Using Read-only traffic type": "read"}
POINT = re.compile(r"\s*([0-9]{5})\s+(\S+)\s+(\S+)\s*")
RULE = re.compile(r"=+")


def parse(path, lines, place):
    """Raises Wrong at the first line of a table that is not as MLC writes it."""
    reader = Reader(path, lines)
    while reader.at < len(lines):
        reader.section()
    if not reader.samples and not reader.loaded:
        raise Wrong(path, 1, "no latency or bandwidth matrix of Intel MLC in it")
    return Found(f"Intel MLC {reader.version or 'of an unknown version'}", reader.options, numbered(reader.samples),
                 reader.loaded, list(dict.fromkeys(reader.left_out)))


class Reader:
    def __init__(self, path, lines):
        self.path, self.lines, self.at = path, lines, 0
        self.version, self.options = None, ""
        self.samples, self.loaded, self.left_out = [], [], []
        self.seen = {}  # kind of table: how many there were

    def section(self):
        line = self.lines[self.at].strip()
        self.at += 1
        idle = IDLE.match(line)
        if VERSION.search(line):
            self.version = VERSION.search(line)[1]
        elif COMMAND_LINE.match(line):
            self.options = COMMAND_LINE.match(line)[1].strip()
        elif idle:
            # It says so where the order is not its default, which was another in another version.
            self.matrix("idle", lambda row, column, value, round: latency(idle[2] or "unstated", row, column, value,
                                                                        round=round))
        elif line.startswith(BETWEEN):
            variant = self.traffic()
            self.matrix("between", lambda row, column, value, round: bandwidth(variant, row, column, value, round=round))
        elif line.startswith(LOADED):
            self.curve()
        else:
            self.left_out += [words for beginning, words in LEFT_OUT if line.startswith(beginning)]

    def round_of(self, kind):
        self.seen[kind] = self.seen.get(kind, 0) + 1
        return self.seen[kind]

    def traffic(self):
        """What the lines before the table say of its reads and writes."""
        for line in self.lines[self.at:self.at + 6]:
            if line.startswith("Using ") and "traffic type" in line:
                return TRAFFIC.get(line.strip(), line.strip()[len("Using "):-len(" traffic type")][:40])
            if HEADER.fullmatch(line):
                break
        return "read"  # its documented default

    def matrix(self, kind, of_cell):
        round_number = self.round_of(kind)
        while self.at < len(self.lines) and not HEADER.fullmatch(self.lines[self.at]):
            if self.at - 12 > len(self.lines) or self.lines[self.at].startswith("Measuring"):
                break
            self.at += 1
        if self.at >= len(self.lines) or not HEADER.fullmatch(self.lines[self.at]):
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), "the columns' line is expected: Numa node 0 1 ...")
        columns = [node(self.path, self.at + 1, word) for word in HEADER.fullmatch(self.lines[self.at])[1].split()]
        self.at += 1
        rows = set()
        while self.at < len(self.lines) and re.match(r"\s*[0-9]+\s", self.lines[self.at]):
            number, words = self.at + 1, self.lines[self.at].split()
            row = node(self.path, number, words[0])
            if len(words) != len(columns) + 1 or row in rows:
                what = "comes twice" if row in rows else f"has {len(words) - 1} figures under {len(columns)} columns"
                raise Wrong(self.path, number, f"the row of node {row} {what}")
            rows.add(row)
            # A node without memory, or CPUs that cannot reach it, are a dash.
            self.samples += [of_cell(row, column, figure(self.path, number, word), round_number)
                             for column, word in zip(columns, words[1:]) if word != "-"]
            self.at += 1
        if not rows:
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), "a row is expected: a node and a figure for each column")

    def curve(self):
        self.round_of("loaded")
        while self.at < len(self.lines) and not RULE.fullmatch(self.lines[self.at].strip()):
            if self.lines[self.at].startswith("Measuring"):
                break
            self.at += 1
        if self.at >= len(self.lines) or not RULE.fullmatch(self.lines[self.at].strip()):
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), "the rule under Inject Latency Bandwidth is expected")
        self.at += 1
        points = []
        while self.at < len(self.lines) and re.match(r"\s*[0-9]", self.lines[self.at]):
            found = POINT.fullmatch(self.lines[self.at])
            if found is None:
                raise Wrong(self.path, self.at + 1, "a delay of 5 digits, a latency and a bandwidth are expected")
            points.append((found[1], figure(self.path, self.at + 1, found[2]), figure(self.path, self.at + 1, found[3])))
            self.at += 1
        if not points:
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), "a line of the curve is expected")
        if self.seen["loaded"] > 1:
            self.left_out.append("loaded latencies of all runs but the first")
            return
        by_rising_load = sorted(points, key=lambda point: point[0], reverse=True)
        for place, (delay, latency_ns, mb_s) in enumerate(by_rising_load, start=1):
            for metric, unit, value in (("loaded_latency", "ns", latency_ns), ("bandwidth", "GB/s", gb_s(mb_s))):
                self.loaded.append({"bench": "loaded", "metric": metric, "unit": unit, "variant": f"delay {delay}",
                                    "value": value, "allocator": "", "policy": "local", "pages": "", "status": "ok", "sample": place})
