"""Whether a sweep that is resumed is still the same: its plan, the machine, and what it measures with."""

import hashlib
import os
import shutil

from numa_report.errors import UsageError

from . import also, options as option_words

MACHINE = ("host", "cpu_model", "architecture", "kernel", "topology")
CHANGING = ("memory_bytes",)  # the kernel keeps a little more or less of it for itself each time it starts
MOST_SHOWN = 3


def programs(options, root):
    """{path: SHA-256} of what is measured with: the benchmarks or the command, and the allocators."""
    found = [os.path.join(root, "alloc", "numa_alloc.so")] if "numa_alloc" in options.allocators.split(",") else []
    if options.command:
        found += [shutil.which(resolved(word, options.directory)) or "" for word in options.command[:1]]
    else:
        found += [os.path.join(root, "bench", name) for name in options.bench.split(",")]
    found += [os.path.join(root, "bench", name) for name in also.programs(options.also.split(",") if options.also else [])]
    found += [path for path in (word.partition("=")[2] for word in options.allocators.split(",")) if os.path.isfile(path)]
    return {path: digest(path) for path in found if path}


def resolved(word, directory):
    return os.path.join(directory, word) if "/" in word else word


def digest(path):
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else \
                hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def refuse_other_options(folder, given, now, before):
    """given: the names of the options typed beside --resume; now and before: option dictionaries."""
    differing = [name for name in given if name not in option_words.FREE_ON_RESUME and now.get(name) != before.get(name)]
    if differing:
        raise UsageError(f"--resume: {folder} has another plan: "
                         + "; ".join(difference(option(name), before.get(name), now.get(name))
                                     for name in differing[:MOST_SHOWN]))


def option(name):
    return "COMMAND" if name == "command" else "--" + name.replace("_", "-")


def refuse_other_machine(folder, before, now):
    """before and now: environment.json's contents."""
    changes = differences("", {name: before.get(name) for name in MACHINE}, {name: now.get(name) for name in MACHINE})
    changes += differences("", before.get("programs") or {}, now["programs"])
    if changes:
        more = f"; and {len(changes) - MOST_SHOWN} more" if len(changes) > MOST_SHOWN else ""
        raise UsageError(f"--resume: {folder} was begun elsewhere or with other programs: "
                         + "; ".join(changes[:MOST_SHOWN]) + more)


def differences(name, before, now):
    """What differs in words, dictionaries and lists part by part."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [words for key in dict.fromkeys([*before, *now]) if key not in CHANGING
                for words in differences(f"{name}.{key}" if name else str(key), before.get(key), now.get(key))]
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [words for place, (a, b) in enumerate(zip(before, now)) for words in differences(f"{name}[{place}]", a, b)]
    return [] if before == now else [difference(name, before, now)]


def difference(name, before, now):
    if name.startswith("/"):
        return f"{name} is another build" if now else f"{name} is gone"
    return f"{name} is {words(before)} there, {words(now)} now"


def words(value):
    text = "not given" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
