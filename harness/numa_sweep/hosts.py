"""The hosts of a fleet: lines of a file in the form of GNU parallel's --sshloginfile, or names between white space.

A line is `[@GROUP/][N/]SSHLOGIN`, where SSHLOGIN is `:` (this machine, without ssh) or `[SSH COMMAND ][USER@]HOST[:PORT]`.
Groups and numbers of jobs are GNU parallel's business and mean nothing here: a host runs one sweep. What an SSHLOGIN runs
is what GNU parallel makes of it, `SSH COMMAND [-p PORT] [-l USER] HOST`; ssh itself also gets options that let it fail
rather than ask or wait.
"""

import os
import re
import shlex
from collections import namedtuple

from numa_report.errors import UsageError

# label: the host's name in the data and in FOLDER/hosts/; words: what runs a command there, which comes after them.
Host = namedtuple("Host", "label sshlogin words")

FORM = "[@GROUP/][N/][SSH COMMAND ][USER@]HOST[:PORT] is expected, or : for this machine"
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}")  # what --host-name takes
USER = re.compile(r"[A-Za-z0-9_.][^\s@:]*")
NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9._-]*)(?::([0-9]+))?")
IPV6 = re.compile(r"\[([0-9A-Fa-f:]*:[0-9A-Fa-f:.]*)\](?:[:p#]([0-9]+))?|([0-9A-Fa-f:]*:[0-9A-Fa-f]*:[0-9A-Fa-f:]*)(?:[p#]([0-9]+))?")

# Ask nothing, notice a host that is gone (after a minute of silence), forward nothing. Those of the user's own command
# come before, and ssh heeds the first.
SSH_OPTIONS = ("-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "ServerAliveInterval=15",
               "-o", "ServerAliveCountMax=4", "-o", "ClearAllForwardings=yes")
# As ssh does: begin in the home folder, and give the words to a shell.
HERE = ("sh", "-c", 'cd && eval "$1"', "sh")


def read(words):
    """The hosts that --hosts names, in order. Raises UsageError naming the line, or the word."""
    is_file = os.path.exists(words) and not os.path.isdir(words)
    lines = lines_of(words) if is_file else [(f"'{word}'", word) for word in words.split()]
    found, places = [], {}
    for place, line in lines:
        try:
            host = parse(line)
            if host.label in places:
                raise UsageError(f"host {host.label} is named twice (first {places[host.label]})")
        except UsageError as error:
            raise UsageError(f"--hosts: {place}: {error}") from None
        places[host.label] = place
        found.append(host)
    if not found:
        raise UsageError(f"--hosts: {words}: names no host")
    return found


def lines_of(path):
    """[(FILE:LINE, text)] of the lines that name a host."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--hosts: {path}: {getattr(error, 'strerror', None) or 'is not UTF-8 text'}") from None
    numbered = ((f"{path}:{number}", line.strip()) for number, line in enumerate(lines, start=1))
    return [(place, line) for place, line in numbered if line and not line.startswith("#")]


def parse(line):
    """The Host of one line. Raises UsageError that says what is wrong with it."""
    if not line.isprintable():
        raise UsageError(f"{ascii(line)} has a control character")
    sshlogin = re.sub(r"^[0-9]+/", "", re.sub(r"^@[^/]+/", "", line))
    if sshlogin == ":":
        return Host(checked(os.uname().nodename), ":", list(HERE))
    command, _, address = sshlogin.rpartition(" ")
    try:
        command = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"'{command}' cannot be split into words: {error}") from None
    user, at, place = address.rpartition("@")
    if at and not USER.fullmatch(user):
        if ":" in user:
            raise UsageError("a password is not accepted in it; let ssh find a key")
        raise UsageError(f"'{user}' is not a user's name; {FORM}")
    name, port = split_address(place)
    if port is not None and not 1 <= int(port) <= 65535:
        raise UsageError(f"'{port}' is not a port; 1 to 65535 is expected")
    words = command or ["ssh"]
    shown_port = port or port_of(words)
    label = checked(re.sub(r"[^A-Za-z0-9_.+-]", "-", name).strip("-") + (f"-{shown_port}" if shown_port else ""))
    words = words + (list(SSH_OPTIONS) if os.path.basename(words[0]) == "ssh" else [])
    words += ["-p", port] if port else []
    words += ["-l", user] if user else []
    return Host(label, sshlogin, [*words, name])


def split_address(place):
    """(host, port or None)"""
    found = NAME.fullmatch(place) or IPV6.fullmatch(place)
    if not found:
        raise UsageError(f"'{place}' is not a host; {FORM}")
    groups = [group for group in found.groups() if group is not None]
    return groups[0], groups[1] if len(groups) > 1 else None


def port_of(words):
    """The port among the options of the user's own ssh command, None when there is none."""
    options = " ".join(words[1:])
    found = re.search(r"(?:^|\s)(?:-p\s*|-o\s*Port[ =])([0-9]+)(?=\s|$)", options, re.IGNORECASE)
    return found[1] if found else None


def checked(label):
    if not LABEL.fullmatch(label):
        raise UsageError(f"'{label}' cannot name a folder; letters, digits and _.+- are accepted, at most 60")
    return label
