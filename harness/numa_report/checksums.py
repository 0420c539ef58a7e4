"""SHA256SUMS: what a sweep left, so that a file that was cut, edited or half copied since is not taken for it.

A row lost from the middle of a file cannot be seen in any other way. `sha256sum --check SHA256SUMS` checks the same. A
folder without the file, or a file that it does not name, is taken as it is.
"""

import hashlib
import os
import re

from .errors import DataError, regular, whole_file

FILE = "SHA256SUMS"
DERIVED = "matrix.csv"
LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+)")  # as sha256sum writes it
PIECE_BYTES = 1 << 20


def write(folder, names):
    """Names those of the files that are there."""
    kept = {name: digest(os.path.join(folder, name)) for name in sorted(names) if os.path.exists(os.path.join(folder, name))}
    with whole_file(os.path.join(folder, FILE), encoding="ascii") as file:
        file.writelines(f"{value}  {name}\n" for name, value in kept.items())


def forget(folder):
    """For files that are about to change."""
    try:
        os.unlink(os.path.join(folder, FILE))
    except FileNotFoundError:
        pass


def renew(folder, name):
    """After a file that is derived from others was made again."""
    known = read(folder)
    if name in known:
        write(folder, known)


def refuse_changed(folder):
    """Raises DataError at a file that is gone or not as it was written. A matrix.csv that is gone can be made again."""
    for name, value in read(folder).items():
        path = os.path.join(folder, name)
        if not os.path.exists(path):
            if name != DERIVED:
                raise DataError(path, f"is gone, and {FILE} names it")
        elif digest(path) != value:
            way_out = "take it away to have it made again from samples.csv" if name == DERIVED else \
                "take its line there away to have it read all the same"
            raise DataError(path, f"is not as the sweep left it ({FILE}): cut, edited or half copied; {way_out}")


def read(folder):
    """{name: digest}, {} where the folder has no such file."""
    path = os.path.join(folder, FILE)
    try:
        with open(path, encoding="ascii", errors="replace", opener=regular) as file:
            lines = file.read().splitlines()
    except FileNotFoundError:
        return {}
    found = {}
    for number, line in enumerate(lines, start=1):
        parts = LINE.fullmatch(line)
        if parts is None:
            raise DataError(path, "not a SHA-256 sum and a file's name", row=number)
        found[parts[2]] = parts[1]
    return found


def digest(path):
    value = hashlib.sha256()
    with open(path, "rb", opener=regular) as file:
        for piece in iter(lambda: file.read(PIECE_BYTES), b""):
            value.update(piece)
    return value.hexdigest()
