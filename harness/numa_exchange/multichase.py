"""google/multichase's latency: the last line is the best of its samples, in ns; with -v each is printed before it.

It says neither the node that it ran on nor that of its memory. Where the samples are printed they count, and the best
alone otherwise. Several runs in a file are rounds. Its chase `simple` goes through memory in random order, as
bench/latency's random does (-o, which it does not print, makes that rising).
"""

import re

from .imported import Found, Wrong, figure, in_rounds, latency, need_place, shown

SETTING = re.compile(r"(nr_threads|total_memory|chase) = (.+)")
CHASE = re.compile(r"[A-Za-z0-9_:.-]{1,40}")
SAMPLES = "samples (one column per thread, one row per sample):"
AVERAGE = re.compile(r"avg=(\S+)$")
TIMESTAMP = re.compile(r"[0-9]{9,11}\.[0-9]{6}\s+(?=\S)")  # of -y
OTHER = re.compile(r"[a-z_]+ = .*|.*[$#]|[^0-9.+-].*\s.*")  # other settings, prompts, words


def parse(path, lines, place):
    """The Found of a file. Raises Wrong at a line that is not as multichase writes it, UsageError without a place."""
    need_place(place, "multichase")
    runs, conditions, samples = [], {"variant": "random"}, None  # samples: of this run so far, None where not printed
    for number, line in enumerate(lines, start=1):
        line = TIMESTAMP.sub("", line.strip(), count=1)
        setting, average = SETTING.fullmatch(line), AVERAGE.search(line)
        if setting:
            refuse_unended(path, number, samples)
            conditions.update(condition(path, number, *setting.groups()))
        elif line == SAMPLES:
            refuse_unended(path, number, samples)
            samples = []
        elif average and samples is not None:
            samples.append(figure(path, number, average[1]))
        elif line and (samples is not None or not OTHER.fullmatch(line)):
            best = figure(path, number, line)
            if samples == []:
                raise Wrong(path, number, "a line of a sample is expected before their best: NS avg=NS")
            variant = conditions.pop("variant")
            runs.append([latency(variant, place.cpu_node, place.mem_node, value, **conditions)
                         for value in samples or [best]])
            conditions, samples = {"variant": "random"}, None
    refuse_unended(path, len(lines), samples)
    if not runs:
        raise Wrong(path, 1, "no latency of multichase in it")
    return Found("multichase", "", in_rounds(runs))


def condition(path, number, name, value):
    """What a line `name = value` says of the cell."""
    if name == "chase":
        if not CHASE.fullmatch(value):
            raise Wrong(path, number, f"{shown(value)} is not the name of a chase")
        return {"variant": "random" if value == "simple" else value}
    count = re.match(r"[0-9]{1,18}(?![0-9])", value)
    if not count:
        raise Wrong(path, number, f"{shown(value)} is not a number: {name} = N is expected")
    return {"threads" if name == "nr_threads" else "size_bytes": int(count[0])}


def refuse_unended(path, number, samples):
    if samples is not None:
        raise Wrong(path, number, "the best of the samples is expected, in ns: multichase prints it last")
