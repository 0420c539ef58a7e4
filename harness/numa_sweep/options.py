"""The options of harness/run_matrix.sh: what is accepted, in words, and how a plan file gives them.

Values keep the form in which they were typed, so that environment.json can hold them and a resumed sweep reads them
again; axes.py and workload.py take them apart.
"""

import argparse
import re
import shlex

from numa_report.errors import UsageError
from numa_report.layout import size_words
from numa_report.schema import BENCHES, RESOURCES

from . import also as also_words

SIZE = re.compile(r"([1-9][0-9]{0,14})([KMG]?)", re.IGNORECASE)
LIST = r"[0-9]{1,6}(-[0-9]{1,6})?(,[0-9]{1,6}(-[0-9]{1,6})?)*"
SHARE = r"[0-9]{1,6}=([1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"
POLICY = re.compile(rf"(bind:(@|[0-9]{{1,6}})|preferred:(@|all|{LIST})|interleave:(all|{LIST})|"
                    rf"weighted:{SHARE}(,{SHARE})*|local|none)")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")
ALLOCATOR = re.compile(rf"numa_alloc|glibc|({NAME.pattern})=(.+)")
PAGES = ("default", "thp", "2M", "1G")
EVERY_BENCH = ",".join(BENCHES)
METRIC = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,39})=(.+?):([^\s:,=+@-][^\s:,]{0,19})(?::(lower|higher))?")

DESCRIPTION = """\
What does memory of each node cost from the CPUs of each node? Runs the benchmarks latency and bandwidth, or a COMMAND
of yours, in every cell of CPU node x memory node (x policy x allocator x ...), each cell once a round, and leaves a
run folder with samples.csv, matrix.csv, verdict.txt, environment.json, joblog.tsv, cells/ and pictures."""

EPILOG = """\
A cell's command is pinned by `taskset -c CPUS`; its heap is placed by the preloaded alloc/numa_alloc.so with
NUMA_ALLOC_POLICY, other allocators' by numactl. Every other NUMA_ALLOC_ variable is unset. In COMMAND, --setup and
--teardown these words stand for the cell's: {cpu} {cpus} {cpu_node} {mem_node} {policy} {allocator} {pages} {threads}
{size} {size_bytes} {round}. {place} stands for the pinning and placing words themselves, `taskset ... env ...`, which
otherwise come before COMMAND: with it somewhere, the program after it is what is pinned and placed (a server that
--setup starts, say).

LIST: numbers and ranges such as 0,2-3; words are separated by commas. SIZE takes K, M, G (1024-based).
Exit status: 0 all cells measured (or skipped, with the reason), 1 some cell failed or was misplaced (its pages were
not on the nodes asked for) or the sweep could not be done, 2 bad usage, 128+N ended by signal N (130: Ctrl-C).
HWLOC_FSROOT, HWLOC_XMLFILE and HWLOC_SYNTHETIC, hwloc's own variables, replace this machine by a made-up one, for
tests; only --dry-run is accepted then. Docs: docs/SWEEP.md."""

# What only says how a sweep is run, not what it measures: free to differ when it is resumed. So is --metric, since what the
# command printed is kept.
FREE_ON_RESUME = ("metric", "resume", "wait", "no_pictures", "json_progress", "plan", "out", "merge", "jobs")


class Parser(argparse.ArgumentParser):
    def error(self, message):
        if message.startswith("unrecognized arguments: "):
            words = message.partition(": ")[2]
            raise UsageError(f"unknown option or argument '{words}'; a command to run comes after --; see "
                             "harness/run_matrix.sh --help")
        raise UsageError(re.sub(r"^argument (-h/)?", "", message).replace("expected one argument", "needs a value"))


class Help(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=24, width=118)


def accepted(pattern, words):
    """The type of an option: text that a pattern matches, kept as it is."""
    pattern = re.compile(pattern)

    def check(text):
        if not pattern.fullmatch(text):
            refuse(text, words)
        return text

    return check


def refuse(text, words):
    raise argparse.ArgumentTypeError("it is empty" if not text else f"{shown(text)} is not accepted; {words}")


def shown(text):
    return f"'{text}'" if text.isprintable() else ascii(text)


def whole(most, words):
    def check(text):
        if not re.fullmatch(r"0|[1-9][0-9]{0,8}", text) or not 1 <= int(text) <= most:
            refuse(text, words)
        return int(text)

    return check


def seed(text):
    if not re.fullmatch(r"[0-9]{1,9}", text):
        refuse(text, "a whole number of at most 9 digits")
    return int(text)


def extra_rounds(text):
    if not re.fullmatch(r"[0-9]{1,3}", text):
        refuse(text, "a whole number from 0 to 999")
    return int(text)


def words_of(text):
    return text.split(",")


def split_policies(text):
    """Policies have commas of their own, but each begins with a letter: `interleave:0,1,local` are two."""
    return re.split(r",(?=[a-z])", text)


def every(check_word, words, split=words_of):
    """The type of an option that is a list: each word by itself, none twice."""
    def check(text):
        parts = split(text)
        for part in parts:
            if not part:
                refuse(text, words)
            check_word(part)
        for part in parts:
            if parts.count(part) > 1:
                raise argparse.ArgumentTypeError(f"'{part}' is named twice")
        return text

    return check


def policy(text):
    if not POLICY.fullmatch(text):
        refuse(text, "bind:N or bind:@ (each memory node), preferred:LIST or preferred:@, interleave:all or :LIST, "
                     "weighted:N=W,N=W, local, none")


def allocator(text):
    if not ALLOCATOR.fullmatch(text):
        refuse(text, "numa_alloc, glibc, or a name and a library: jemalloc=/usr/lib/libjemalloc.so.2")


def allocators(text):
    every(allocator, "numa_alloc, glibc or name=path.so")(text)
    names = [word.partition("=")[0] for word in words_of(text)]
    for name in names:
        if names.count(name) > 1:
            raise argparse.ArgumentTypeError(f"'{name}' names two allocators")
    return text


def pages(text):
    if text not in PAGES:
        refuse(text, ", ".join(PAGES))


def threads(text):
    if text != "all":
        whole(99999, "a number of threads, or all (the node's CPUs)")(text)


def size(text):
    if not SIZE.fullmatch(text):
        refuse(text, "bytes, or with K, M or G (1024-based)")


def bench(text):
    if text not in BENCHES:
        refuse(text, f"{', '.join(BENCHES)}; a command of yours comes after --")


def also(text):
    if text not in also_words.SINGLES:
        refuse(text, ", ".join(also_words.SINGLES))


def metric(text):
    found = METRIC.fullmatch(text)
    if not found:
        refuse(text, "NAME=REGEX:UNIT[:lower|higher], e.g. 'tps=tps = ([0-9.]+):1/s:higher'")
    try:
        groups = re.compile(found[2]).groups
    except re.error as error:
        raise argparse.ArgumentTypeError(f"'{found[2]}' is not a regular expression: {error}") from None
    if groups > 1:
        raise argparse.ArgumentTypeError(f"'{found[2]}' has {groups} groups; one holds the number (others: (?:...))")
    return text


def parser():
    built = Parser(prog="harness/run_matrix.sh", description=DESCRIPTION, epilog=EPILOG, formatter_class=Help,
                   allow_abbrev=False, usage="harness/run_matrix.sh [OPTION...] [-- COMMAND [ARGUMENT...]]")
    what = built.add_argument_group("What to run")
    add(what, "--bench", "LIST", "of latency, bandwidth (default: both)", every(bench, "latency, bandwidth"),
        default=EVERY_BENCH)
    add(what, "--name", "NAME", "COMMAND's name in the data (default: its file's name)",
        accepted(NAME, "letters, digits and _.+-"))
    add(what, "--metric", "SPEC", "a figure COMMAND prints, NAME=REGEX:UNIT[:lower|higher]: REGEX, Python's, has one group, "
        "the number; each match is a sample; lower or higher is better (default: higher when UNIT ends in /s). May be "
        "given several times. Wall, user and system time, peak memory and page faults are always recorded",
        metric, action="append")
    add(what, "--setup", "CMD", "shell command before each run, in the working folder, not measured",
        accepted(r"(?s).+", ""))
    add(what, "--teardown", "CMD", "after each run; then what COMMAND or CMD left running is ended",
        accepted(r"(?s).+", ""))
    add(what, "--also", "LIST", "single measurements behind the cells, for the report: curve (latency over size), loaded (latency "
        "under load), loaded-matrix (whose traffic slows whom down), core2core (hand-overs between CPUs); the first two "
        "with the lowest CPU's own memory and the farthest; the largest of --sizes is theirs too", every(also, ", ".join(also_words.SINGLES)))
    axes = built.add_argument_group("Axes: the sweep is their product, and always has each CPU node's local memory")
    add(axes, "--cpu-nodes", "LIST", "CPUs of these nodes (default: every node with CPUs): all of a node's for COMMAND, "
        "its lowest for a benchmark", accepted(LIST, "a list such as 0,2-3"))
    add(axes, "--cpus", "LIST", "these CPUs, each by itself", accepted(LIST, "a list such as 0,8-9"))
    axes.add_argument("--all-cpus", action="store_true", help="every allowed CPU, each by itself")
    add(axes, "--mem-nodes", "LIST", "what bind:@ stands for (default: every node with memory)",
        accepted(LIST, "a list such as 0,2-3"))
    add(axes, "--policies", "LIST", "as NUMA_ALLOC_POLICY has them: bind:N, preferred:N, interleave:all, "
        "weighted:N=W,N=W, local, none; @ is each memory node in turn (default: bind:@)",
        every(policy, "policies such as bind:@,interleave:all,local", split_policies), default="bind:@")
    add(axes, "--allocators", "LIST", "of numa_alloc, glibc, NAME=LIBRARY; the last two are placed by numactl "
        "(default: numa_alloc)", allocators, default="numa_alloc")
    add(axes, "--pages", "LIST", "of default, thp, 2M, 1G, for numa_alloc and glibc (default: default)",
        every(pages, ", ".join(PAGES)), default="default")
    add(axes, "--threads", "LIST", "numbers of threads, each pinned to a CPU of the node, or all (default: COMMAND has "
        "the node's CPUs, a benchmark one thread; latency always has one)", every(threads, "numbers, or all"))
    add(axes, "--sizes", "LIST", "memory that a benchmark works on, {size} of a COMMAND (default: the benchmark's own)",
        every(size, "sizes such as 64M,1G"))
    how = built.add_argument_group("How")
    add(how, "--rounds", "N", "passes over all cells, each in its own random order (default: 3)",
        whole(99999, "a whole number of at least 1"), default=3)
    add(how, "--extra-rounds", "N", "most further rounds of the cells whose rounds disagree (default: 4; 0: none)",
        extra_rounds, default=4)
    how.add_argument("--no-sentinel", action="store_true", help="do not repeat one local cell through the run; it is "
                     "what shows that the machine drifted")
    add(how, "--max-samples", "N", "most samples a benchmark takes a run, 1 to 1000 (default: 7)",
        whole(1000, "a whole number from 1 to 1000"))
    add(how, "--min-sample-ms", "MS", "a benchmark's shortest sample, 1 to 60000 (default: 20, bandwidth 10)",
        whole(60000, "a whole number from 1 to 60000"))
    add(how, "--seed", "N", "of the random order (default: random, recorded)", seed)
    add(how, "--timeout", "SECONDS", "time limit of one run (default: 300; COMMAND: 3600)",
        whole(999999, "seconds, at least 1"))
    add(how, "--plan", "FILE", "options from a text file: `name = value` a line, # begins a comment, `command = ...` is "
        "COMMAND; the command line's own come after, and win", accepted(r"(?s).+", ""))
    add(how, "--out", "FOLDER", "run folder, new or empty (default: results/<UTC time>-<host>)", accepted(r"(?s).+", ""))
    add(how, "--resume", "FOLDER", "run what that folder's plan still lacks; another plan or machine is refused",
        accepted(r"(?s).+", ""))
    how.add_argument("--wait", action="store_true", help="where another sweep measures on this machine, wait for its end "
                     "(otherwise refused)")
    how.add_argument("--dry-run", action="store_true", help="print the cells, their commands and the time they may take")
    how.add_argument("--no-pictures", action="store_true", help="leave pictures and page to harness/plot.py")
    how.add_argument("--samples-only", action="store_true", help="stop at samples.csv; harness/plot.py does the rest")
    how.add_argument("--json-progress", action="store_true", help="an object a line on standard output for each thing "
                     "that happens, and no tables there")
    add(how, "--host-name", "NAME", "recorded as the host (default: uname -n)", accepted(NAME, "letters, digits and _.+-"))
    fleet = built.add_argument_group("Several machines (docs/FLEET.md)")
    add(fleet, "--hosts", "FILE|NAMES", "sweep each of these over ssh, all at once: a file in the form of GNU parallel's "
        "--sshloginfile, or names between spaces", accepted(r"(?s).*\S.*", ""))
    add(fleet, "--jobs", "N", "most hosts at once (default: docs/FLEET.md)", whole(99999, "a whole number of at least 1"))
    add(fleet, "--remote-path", "FOLDER", "this project is in that folder on each host (default: it is sent)",
        accepted(r"(?s).+", ""))
    add(fleet, "--merge", "FOLDER", "put the runs in FOLDER/hosts/ together, once more", accepted(r"(?s).+", ""))
    return built


def add(group, name, metavar, words, kind, **more):
    # A % would be argparse's own notation.
    group.add_argument(name, metavar=metavar, help=words.replace("%", "%%"), type=kind, **more)


def parse(arguments):
    """The options as a namespace, `command` with them (a list, or None). Raises UsageError; --help ends the process."""
    own, command = split_command(arguments)
    built = parser()
    options = built.parse_args(own)
    if options.plan is not None:
        lines, planned = read_plan(options.plan, built)
        own = lines + own
        options = built.parse_args(own)
        command = command if command is not None else planned
    options.command = command
    options.given = given_options(built, options, own)
    check_together(options)
    return options


def split_command(arguments):
    if "--" not in arguments:
        return arguments, None
    place = arguments.index("--")
    if not arguments[place + 1:]:
        raise UsageError("--: a command is expected after it")
    return arguments[:place], arguments[place + 1:]


def given_options(built, options, words):
    """Names of the options that were typed, also those with their default value."""
    typed = built.parse_args(words, argparse.Namespace(**dict.fromkeys(vars(options))))
    return [name for name, value in vars(typed).items() if value is not None] + (["command"] if options.command else [])


def read_plan(path, built):
    """(the words of a plan file's options, its command or None)."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--plan: {path}: {getattr(error, 'strerror', None) or 'is not UTF-8 text'}") from None
    words, command = [], None
    for number, line in enumerate(lines, start=1):
        name, equals, value = (part.strip() for part in line.partition("="))
        if not name or name.startswith("#"):
            continue
        try:
            if name == "command":
                command = shlex.split(value)
                if not command:
                    raise UsageError("command: it is empty")
                continue
            if name in ("plan", "help", "h"):
                raise UsageError(f"'{name}' is not accepted in a plan")
            word = f"--{name}={value}" if equals else f"--{name}"
            built.parse_args([word])
        except (UsageError, ValueError) as error:
            raise UsageError(f"--plan: {path}:{number}: {error}") from None
        words.append(word)
    return words, command


def check_together(options):
    if options.cpus and options.all_cpus:
        raise UsageError("--cpus and --all-cpus exclude each other")
    if options.cpu_nodes and (options.cpus or options.all_cpus):
        raise UsageError("--cpu-nodes and --cpus or --all-cpus exclude each other")
    for name in ("metric", "name", "setup", "teardown"):
        if getattr(options, name) and not options.command and not options.resume:
            raise UsageError(f"--{name}: only with a command, which comes after --")
    if options.command:
        if options.bench != EVERY_BENCH:
            raise UsageError("--bench: not with a command")
        for name in ("max_samples", "min_sample_ms"):
            if getattr(options, name):
                raise UsageError(f"--{name.replace('_', '-')}: a benchmark's, not a command's")
    names = [METRIC.fullmatch(spec)[1] for spec in options.metric or ()]
    for name in names:
        if name in RESOURCES:
            raise UsageError(f"--metric: '{name}' is always recorded; give yours another name")
        if names.count(name) > 1:
            raise UsageError(f"--metric: '{name}' is named twice")
    if options.resume and options.dry_run:
        raise UsageError("--dry-run: not with --resume, which says what it has left to do")
    if options.resume and options.out:
        raise UsageError("--resume continues in its own folder; --out cannot be given with it")
    if not options.hosts and not options.resume:
        for name in ("jobs", "remote_path"):
            if getattr(options, name):
                raise UsageError(f"--{name.replace('_', '-')}: only with --hosts")
    for text in words_of(options.sizes) if options.sizes and not options.command else ():
        check_size(text, words_of(options.bench))


def check_size(text, benches):
    """Refuses a size that a benchmark would refuse, in every cell."""
    for name in benches:
        least, most = BENCHES[name].size_bytes
        if not least <= size_bytes(text) <= most:
            raise UsageError(f"--sizes: '{text}' is not accepted; {name} takes {size_words(least)} to {size_words(most)}")


def size_bytes(text):
    digits, suffix = SIZE.fullmatch(text).groups()
    return int(digits) << {"": 0, "K": 10, "M": 20, "G": 30}[suffix.upper()]


NOT_RECORDED = ("given", "resume", "wait", "dry_run", "merge", "plan", "directory", "root", "json_progress")


def recorded(options):
    """What environment.json keeps: all that decides what is measured."""
    return {name: value for name, value in vars(options).items() if name not in NOT_RECORDED}


def words_of_recorded(kept):
    """The command line that has what recorded() kept. Raises TypeError or UsageError where that cannot be."""
    if not isinstance(kept, dict):
        raise UsageError("there are none")
    words, command = [], []
    for name, value in kept.items():
        option = "--" + name.replace("_", "-")
        if name == "command" and value is not None:
            command = ["--", *map(text_of, value)]
        elif value is True:
            words.append(option)
        elif value is not None and value is not False:
            words += [f"{option}={text_of(item)}" for item in (value if isinstance(value, list) else [value])]
    return words + command


def text_of(value):
    if type(value) not in (str, int):
        raise TypeError(f"{value!r:.40} is neither text nor a number")
    return str(value)


def words_for(options, leave_out):
    """The words that give another run_matrix.sh the same options, but for those named."""
    words = []
    for name in options.given:
        value = getattr(options, name)
        if name in leave_out or name == "command":
            continue
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        else:
            words += [f"{option}={item}" for item in (value if isinstance(value, list) else [value])]
    return words + (["--", *options.command] if options.command else [])
