"""Intel Memory Latency Checker 3.x: its latency and bandwidth matrices and its curve of latency under load.

What it prints says its units: latency in ns, bandwidth in MB/s of 1,000,000 bytes. Which CPU of a node measured it does
not say. A file may hold several runs one after the other: they are rounds, if their options are the same. The matrices'
cells are bound to their nodes; the loaded curve is of the whole machine, every CPU with memory of its own node.
"""

import re

from .imported import Found, Wrong, bandwidth, figure, gb_s, in_rounds, latency, need_place, node

VERSION = re.compile(r"Intel\(R\) Memory Latency Checker - (v[0-9A-Za-z.]{1,12})$")
COMMAND_LINE = re.compile(r"Command line parameters: *(.*)")
BUFFER = re.compile(r"Using buffer size of ([0-9]{1,9}(?:\.[0-9]+)?)MiB$")  # earlier versions say MB, of 2^20 or 10^6
IDLE = re.compile(r"Measuring idle latencies(?: for (random|sequential) access)? ?\(in ns\)")
IDLE_OF_ONE = re.compile(r"Each iteration took .* clocks *\(\s*(\S+)\s*ns\s*\)$")
BETWEEN = "Measuring Memory Bandwidths between nodes"
LOADED = "Measuring Loaded Latencies"
CACHES = "Measuring cache-to-cache"
OF_CACHES = re.compile(r"(Local Socket \S+ HITM? +latency)\s+(\S+)")
WHOLE = re.compile(r"Measuring (Peak|Maximum)\b.*Bandwidths")
OF_WHOLE = re.compile(r"(ALL Reads|[0-9]+:[0-9]+ Reads-Writes|Stream-triad like)\s*:\s*(\S+)")
TRAFFIC = re.compile(r"Using (.{1,40}) traffic type")
HEADER = re.compile(r"(?:Numa node|Socket)((?:\s+[0-9]+)+)")
RULE = re.compile(r"=+")
POINT = re.compile(r"([0-9]{5,9})\s+(\S+)\s+(\S+)")
READ_ONLY = "Read-only"


def parse(path, lines, place):
    """The Found of a file. Raises Wrong at the first line of a table that is not as MLC writes it."""
    reader = Reader(path, [line.strip() for line in lines], place)
    while reader.at < len(lines):
        reader.section()
    if not reader.tables and not reader.points:
        raise Wrong(path, 1, "no latency or bandwidth matrix of Intel MLC in it")
    notes = [*reader.notes]
    if reader.whole_machine:
        notes.append("peak bandwidths and cache-to-cache latencies of the whole machine are no cell's: "
                     "environment.json has them")
    return Found(f"Intel MLC {reader.version or 'of an unknown version'}", reader.options, in_rounds(reader.tables),
                 sorted(reader.points, key=lambda row: (-int(row["variant"].split()[1]), row["round"])),
                 reader.whole_machine, list(dict.fromkeys(notes)))


class Reader:
    """What was read up to the line `at`."""

    def __init__(self, path, lines, place):
        self.path, self.lines, self.place, self.at = path, lines, place, 0
        self.version, self.options, self.size_bytes = None, "", None
        self.whole = "peak"  # which kind of the whole machine's bandwidths comes
        self.tables, self.points, self.whole_machine, self.notes = [], [], {}, []
        self.options_of = {}  # {kind of table: the options of the run that it was in}

    def section(self):
        line = self.lines[self.at]
        self.at += 1
        version, command, size, idle, of_one, whole, of_whole, of_caches = (
            pattern.match(line) for pattern in (VERSION, COMMAND_LINE, BUFFER, IDLE, IDLE_OF_ONE, WHOLE, OF_WHOLE,
                                                OF_CACHES))
        if version:
            self.begin(version[1])
        elif command:
            self.options = command[1].strip()
        elif size:
            self.size_bytes = round(float(size[1]) * (1 << 20))
        elif idle:
            # It says so where the order is not its default, which was another in another version.
            self.idle_matrix(idle[1] or "unstated")
        elif of_one:
            self.idle_of_one(of_one[1])
        elif line.startswith(BETWEEN):
            self.bandwidth_matrix()
        elif line.startswith(LOADED):
            self.curve()
        elif whole:
            self.whole = "peak" if whole[1] == "Peak" else "maximum"
        elif of_whole:
            self.of_whole_machine(f"{self.whole} bandwidth of {of_whole[1]} in GB/s", of_whole[2], gb_s)
        elif of_caches:
            self.of_whole_machine(f"{' '.join(of_caches[1].split())} in ns", of_caches[2])
        elif line.startswith(CACHES):
            self.notes.append("left out: cache-to-cache latencies between nodes; bench/core2core's are between CPUs")

    def begin(self, version):
        if self.version not in (None, version):
            raise Wrong(self.path, self.at, f"MLC {version}, but {self.version} above: import them one by one")
        self.version, self.options, self.size_bytes = version, "", None

    def figure(self, word):
        return figure(self.path, self.at, word)

    def of_whole_machine(self, what, word, of_figure=float):
        if word != "-":
            self.whole_machine.setdefault(what, []).append(of_figure(self.figure(word)))

    def refuse_other_options(self, kind):
        """Two tables of a kind are rounds only where they were measured alike."""
        options = sorted(word for word in self.options.split() if not word.startswith("--"))  # those say which tables
        earlier = self.options_of.setdefault(kind, options)
        if earlier != options:
            here, there = (" ".join(words) or "none" for words in (options, earlier))
            raise Wrong(self.path, self.at, f"of other options ({here}) than an earlier one of its kind ({there}): "
                        "import them one by one")

    def idle_matrix(self, order):
        self.refuse_other_options(("idle", order, self.size_bytes))
        self.matrix(lambda row, column, value: latency(order, row, column, value, threads=1,
                                                       size_bytes=self.size_bytes))

    def idle_of_one(self, word):
        need_place(self.place, "Intel MLC's --idle_latency")
        order = "random" if "-r" in self.options.split() else "unstated"
        self.refuse_other_options(("one", order, self.size_bytes))
        self.tables.append([latency(order, self.place.cpu_node, self.place.mem_node, self.figure(word), threads=1,
                                    size_bytes=self.size_bytes)])

    def bandwidth_matrix(self):
        self.find(lambda line: TRAFFIC.match(line) or HEADER.fullmatch(line), "the kind of traffic")
        traffic = TRAFFIC.match(self.lines[self.at])
        kind = traffic[1] if traffic else READ_ONLY  # its documented default
        self.refuse_other_options(("between", kind))
        self.matrix(lambda row, column, value: bandwidth("read" if kind == READ_ONLY else kind, row, column, value))

    def find(self, is_wanted, what):
        """Goes on to the line that is wanted. Raises Wrong where another table begins before it, or the file ends."""
        while self.at < len(self.lines) and not is_wanted(self.lines[self.at]):
            if self.lines[self.at].startswith("Measuring"):
                break
            self.at += 1
        if self.at == len(self.lines) or not is_wanted(self.lines[self.at]):
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), f"{what} is expected")

    def rows(self, what):
        """Each line of a table from here on, behind which `at` is then. Raises Wrong where there is none."""
        first = self.at
        while self.at < len(self.lines) and re.match(r"[0-9-]", self.lines[self.at]):
            self.at += 1
            yield self.lines[self.at - 1]
        if self.at == first:
            raise Wrong(self.path, min(self.at + 1, len(self.lines)), f"{what} is expected")
        if self.at < len(self.lines) and re.match(r"\S+(?:\s+[0-9]+\.[0-9]+)+$", self.lines[self.at]):
            raise Wrong(self.path, self.at + 1, f"{what} is expected")

    def matrix(self, of_cell):
        self.find(HEADER.fullmatch, "the columns' line: Numa node 0 1 ...")
        self.at += 1
        columns = [node(self.path, self.at, word) for word in HEADER.fullmatch(self.lines[self.at - 1])[1].split()]
        if len(set(columns)) < len(columns):
            raise Wrong(self.path, self.at, "a node comes twice")
        cells, seen = [], set()
        for line in self.rows("a row: a node and a figure for each column"):
            words = line.split()
            row = node(self.path, self.at, words[0])
            if row in seen:
                raise Wrong(self.path, self.at, f"the row of node {row} comes twice")
            if len(words) != len(columns) + 1:
                raise Wrong(self.path, self.at, f"{len(words) - 1} figures under {len(columns)} columns")
            seen.add(row)
            # A node without memory, or that the CPUs cannot reach, is a dash.
            cells += [of_cell(row, column, self.figure(word))
                      for column, word in zip(columns, words[1:]) if word != "-"]
        self.tables.append(cells)
        self.notes += [f"node {column} has no row: it has no CPUs, or the file was cut" for column in columns
                       if column not in seen]

    def curve(self):
        self.find(RULE.fullmatch, "the rule under Inject Latency Bandwidth")
        self.at += 1
        self.refuse_other_options("loaded")
        round_number = 1 + max((row["round"] for row in self.points), default=0)
        what = "a line of the curve: a delay of 5 digits, a latency and a bandwidth"
        points = {}
        for line in self.rows(what):
            found = POINT.fullmatch(line)
            if found is None or found[1] in points:
                raise Wrong(self.path, self.at, "the delay comes twice" if found else f"{what} is expected")
            points[found[1]] = self.figure(found[2]), gb_s(self.figure(found[3]))
        for place, (delay, (latency_ns, bandwidth_gbs)) in enumerate(points.items(), start=1):
            for metric, unit, value in (("loaded_latency", "ns", latency_ns), ("bandwidth", "GB/s", bandwidth_gbs)):
                self.points.append({"bench": "loaded", "metric": metric, "unit": unit, "variant": f"delay {delay}",
                                    "value": value, "allocator": "", "policy": "local", "pages": "", "status": "ok",
                                    "round": round_number, "sample": place})
