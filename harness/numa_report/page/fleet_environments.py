"""Which hosts of a fleet are set up otherwise than most with the same CPU, and in what."""

import hashlib
import json
from collections import Counter

from numa_compare import environments

from .. import layout

NOT_TOLD = ("not told", None)
MOST_NAMES = 6
MOST_VALUES = 5
MOST_EXACT_LETTERS = 60


def told(environment):
    """{what: (its value in words, its value to be compared)} of all in environment.json that can change a figure."""
    return {name: (environments.value_words(value), exact(value))
            for name, value in environments.described(environment).items()}


def exact(value):
    """A number as it is; of anything else a short word that no other value has."""
    if isinstance(value, (int, float)):
        return value
    words = json.dumps(value, sort_keys=True)
    return words if len(words) <= MOST_EXACT_LETTERS else hashlib.sha256(words.encode()).hexdigest()


def differences(told_by, models):
    """[{what, model, usual, hosts, others: [(value, the hosts that have it, how many)]}], a line for each that differs.

    told_by: {host: told()}; models: {host: its CPU model}. usual is None where no value is that of over half of the hosts.
    """
    of_models = {}
    for host, lines in told_by.items():
        of_models.setdefault(models.get(host, ""), {})[host] = lines
    found = []
    for model, hosts in of_models.items():
        names = dict.fromkeys(name for lines in hosts.values() for name in lines)
        found += [{**line, "model": model if len(of_models) > 1 else ""}
                  for line in (difference(name, hosts) for name in names) if line]
    return sorted(found, key=lambda line: line["usual"] is None)


def difference(name, hosts):
    """What differs in one line of the environment; None where all hosts say the same."""
    values = {host: lines.get(name, NOT_TOLD) for host, lines in hosts.items()}
    usual, count = Counter(values.values()).most_common(1)[0]
    others = {}
    for host, value in values.items():
        if not is_alike(name, value, usual):
            others.setdefault(value, []).append(host)
    if not others or usual[1] == environments.DEFAULT and set(others) == {NOT_TOLD}:
        return None
    is_most = 2 * (len(values) - sum(map(len, others.values()))) > len(values)
    if not is_most:
        others = {usual: [host for host in values if values[host] == usual], **others}
    ordered = sorted(others.items(), key=lambda item: -len(item[1]))
    return {"what": name, "usual": usual[0] if is_most else None, "hosts": count, "different": len(ordered),
            "others": [(value[0], names_of(labels), len(labels)) for value, labels in ordered[:MOST_VALUES]]}


def is_alike(name, a, b):
    if a == b:
        return True
    return all(isinstance(value[1], (int, float)) for value in (a, b)) and environments.alike(name, a[1], b[1])


def names_of(labels):
    """The first of them."""
    return ([layout.shortened(label, 60) for label in labels[:MOST_NAMES]]
            + ([f"{len(labels) - MOST_NAMES} more"] if len(labels) > MOST_NAMES else []))
