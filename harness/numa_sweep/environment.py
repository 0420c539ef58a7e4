"""environment.json: what a reader of the figures needs to know about the machine, null where not readable."""

import glob
import importlib.util
import json
import math
import os
import platform
import re
import shutil
import subprocess

from . import cpuinfo, dmi, firmware
from numa_report.errors import DataError, regular, whole_file
from .topology import format_list

PATH = "environment.json"
SCHEMA = 1  # of a run's folder: raised when a reader of an older version would take something in it for something else


def gather(topology, options, root):
    """Everything at once. options: every option of the sweep; root: the project's folder."""
    return {
        "schema": SCHEMA,
        "host": platform.node(),
        "started_at": None,  # filled in by the caller, who owns the clock
        "cpu_model": cpu_model(topology),
        "cpu": cpuinfo.gather(),
        "architecture": platform.machine() or None,
        "kernel": {"release": platform.release() or None, "version": platform.version() or None},
        "distribution": distribution(),
        "topology": describe(topology),
        "firmware": firmware.gather(topology),
        **dmi.gather(),
        "transparent_hugepages": {name: chosen(read(f"/sys/kernel/mm/transparent_hugepage/{name}"))
                                  for name in ("enabled", "defrag", "shmem_enabled")},
        "numa_balancing": integer(read("/proc/sys/kernel/numa_balancing")),
        "zone_reclaim_mode": integer(read("/proc/sys/vm/zone_reclaim_mode")),
        "governor": together("/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"),
        "turbo": turbo(),
        "smt": {"control": read("/sys/devices/system/cpu/smt/control"),
                "active": integer(read("/sys/devices/system/cpu/smt/active"))},
        "cgroup": cgroup(),
        "load_average": load_average(),
        "versions": versions(topology),
        "git_revision": git_revision(root),
        "options": options,
    }


def save(folder, environment):
    path = os.path.join(folder, PATH)
    with whole_file(path, encoding="utf-8") as file:
        json.dump(environment, file, indent=2, ensure_ascii=False)
        file.write("\n")


def load(folder):
    """The folder's environment, {} where there is none: pictures without one lack a line of their title, no more.

    Raises DataError where it is damaged, or was written by a later version that may mean something else by it.
    """
    path = os.path.join(folder, PATH)
    try:
        with open(path, encoding="utf-8", opener=regular) as file:
            environment = json.load(file, parse_int=bounded, parse_float=finite, parse_constant=refuse_constant)
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:
        raise DataError(path, f"not JSON ({error})") from None
    if not isinstance(environment, dict):
        raise DataError(path, "not an object of JSON")
    schema = environment.get("schema", SCHEMA)
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise DataError(path, f"schema {ascii(schema):.40}; this version reads 1" + (f" to {SCHEMA}" if SCHEMA > 1 else ""))
    return environment


def bounded(digits):
    if len(digits) > 19:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def finite(digits):
    if not math.isfinite(float(digits)):
        raise ValueError(f"a number that is too large: {digits:.20}")
    return float(digits)


def refuse_constant(name):
    raise ValueError(name)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip("\0\n ") or None
    except OSError:
        return None


def integer(words):
    return int(words) if words and re.fullmatch(r"-?[0-9]+", words) else None


def chosen(words):
    """`always [madvise] never` -> madvise"""
    found = re.search(r"\[(.+?)\]", words or "")
    return found.group(1) if found else words


def together(pattern):
    """The different contents of the files, or None when there is none."""
    contents = sorted({read(path) for path in glob.glob(pattern)} - {None})
    return ",".join(contents) or None


def run(*command):
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                              check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def cpu_model(topology):
    found = re.search(r"^(?:model name|Model|cpu)\s*:\s*(.+)$", read("/proc/cpuinfo") or "", re.MULTILINE)
    return found.group(1).strip() if found else topology.info.get("CPUModel")


def distribution():
    found = re.search(r'^PRETTY_NAME="?(.*?)"?$', read("/etc/os-release") or "", re.MULTILINE)
    return found.group(1) if found else None


def describe(topology):
    return {
        "nodes": [{"id": node.id, "cpus": format_list(node.cpus), "has_memory": node.has_memory,
                   "memory_bytes": node.memory_bytes, "memory_allowed": node.id in topology.allowed_mems}
                  for node in topology.nodes.values()],
        "allowed_cpus": format_list(topology.allowed_cpus),
        "distances": topology.distances,
    }


def turbo():
    no_turbo = integer(read("/sys/devices/system/cpu/intel_pstate/no_turbo"))
    return 1 - no_turbo if no_turbo is not None else integer(read("/sys/devices/system/cpu/cpufreq/boost"))


def cgroup():
    """The nearest limits of this process's cgroup (v2), or of the controllers of v1."""
    limits = dict.fromkeys(("memory.max", "memory.high", "cpu.max", "cpuset.cpus.effective", "cpuset.mems.effective"))
    for line in (read("/proc/self/cgroup") or "").splitlines():
        _, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        folders = [f"/sys/fs/cgroup{path}"] if not controllers else [
            f"/sys/fs/cgroup/{controllers}{path}", f"/sys/fs/cgroup/{controllers}"]
        for folder in folders:
            for name in limits:
                limits[name] = limits[name] or read(f"{folder}/{name}")
            limits["memory.max"] = limits["memory.max"] or read(f"{folder}/memory.limit_in_bytes")
            limits["cpuset.cpus.effective"] = limits["cpuset.cpus.effective"] or read(f"{folder}/cpuset.cpus")
            limits["cpuset.mems.effective"] = limits["cpuset.mems.effective"] or read(f"{folder}/cpuset.mems")
    return limits


def load_average():
    words = (read("/proc/loadavg") or "").split()
    return [float(word) for word in words[:3]] if len(words) >= 3 else None


def versions(topology):
    return {
        "compiler": next(iter((run("gcc", "--version") or "").splitlines()), None),
        "libc": " ".join(word for word in platform.libc_ver() if word) or None,
        "hwloc": topology.info.get("hwlocVersion"),
        "parallel": parallel_version(),
        "python": platform.python_version(),
        "numpy": python_package("numpy"),
        "matplotlib": python_package("matplotlib"),
    }


def parallel_version():
    """From the script's text: to ask it would start five processes."""
    script = read(shutil.which("parallel") or "") or ""
    found = re.search(r"^\s*\$Global::version = ([0-9]+);", script, re.MULTILINE)
    return found.group(1) if found else None


def python_package(name):
    """From the folder beside the package that names its version; importlib.metadata takes long to import."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.origin:
        return None
    beside = glob.escape(os.path.dirname(os.path.dirname(spec.origin)))
    found = [re.search(r"-([^-/]+)\.(?:dist|egg)-info$", path) for path in glob.glob(f"{beside}/{name}-*-info")]
    return next((match.group(1) for match in found if match), None)


def git_revision(root):
    """The commit, with -dirty when tracked files differ from it. Takes no lock: others may be committing."""
    return run("git", "--no-optional-locks", "-C", root, "describe", "--always", "--abbrev=40", "--dirty",
               "--exclude=*")
