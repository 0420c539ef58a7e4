"""google/multichase's latency: the last line is the best of its samples, in ns; with -v each sample is printed before it.

It says neither the node that it ran on nor that of its memory. The samples count where they are printed; the best alone
otherwise.
"""

import re

from .imported import Found, Wrong, figure, latency, need_place, numbered

SETTING = re.compile(r"(nr_threads|page_size|total_memory|stride|tlb_locality|chase) = (.+)")
SAMPLES = "samples (one column per thread, one row per sample):"
AVERAGE = re.compile(r"avg=(\S+)")


def parse(path, lines, place):
    need_place(place, "multichase")
    samples, settings, round_number = [], {}, 0
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        setting = SETTING.match(line)
        if setting:
            settings[setting[1]] = setting[2].strip()
        elif line == SAMPLES:
            values, at = sample_values(path, lines, at + 1)
            if len(values) < 2:
                raise Wrong(path, min(at + 1, len(lines)), "samples and then their best are expected")
            round_number += 1
            samples += [row(settings, place, value, round_number) for value in values[:-1]]
            settings, at = {}, at - 1
        elif line and not re.match(r"[a-z_]+ = |#|\$", line):
            round_number += 1
            samples.append(row(settings, place, figure(path, at + 1, line), round_number))
        at += 1
    if not samples:
        raise Wrong(path, 1, "no latency of multichase in it")
    return Found("multichase", "", numbered(samples), [], [])


def sample_values(path, lines, at):
    """(the average over the threads of each sample, then the best; the line behind them)"""
    values = []
    while at < len(lines) and lines[at].strip() and not SETTING.match(lines[at].strip()):
        line = lines[at].strip()
        average = AVERAGE.search(line)
        values.append(figure(path, at + 1, average[1] if average else line))
        at += 1
        if not average:
            break
    return values, at


def row(settings, place, value, round_number):
    threads, size = settings.get("nr_threads", ""), re.match(r"([0-9]+) ", settings.get("total_memory", ""))
    variant = settings.get("chase", "simple")
    return latency("random" if variant == "simple" else variant[:40], place.cpu_node, place.mem_node, value, round=round_number,
                   threads=int(threads) if threads.isdecimal() else None, size_bytes=int(size[1]) if size else None)
