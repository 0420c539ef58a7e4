"""Errors a user can act on: each is printed as one line, never as a traceback."""

import errno
import os
import re
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress

# What a terminal obeys (escape sequences, carriage returns), and what turns the order of letters round; names in the data
# may hold it. A tab and a line end are ours.
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


class ReportError(Exception):
    """Something is wrong with the input; str() is the whole line to print."""


class UsageError(ReportError):
    """An option's value cannot be used on this machine (exit status 2)."""


class DataError(ReportError):
    """A file holds what it should not. `row` counts from 1, the header; `column` is its name."""

    def __init__(self, path, what, row=None, column=None):
        place = [str(path)]
        if row is not None:
            place[0] += f": row {row}"
        if column is not None:
            place.append(f"column {column}")
        super().__init__(", ".join(place) + f": {what}")


@contextmanager
def whole_file(path, mode="w", **options):
    """open() for writing a file that appears whole or not at all; an OSError names it.

    The unfinished file's name is nobody's to foresee: a link laid there would lead what is written elsewhere. A link at
    `path` itself is replaced, not followed.
    """
    unfinished = None
    try:
        descriptor, unfinished = tempfile.mkstemp(".tmp", f"{os.path.basename(path)}.", os.path.dirname(path) or ".")
        with open(descriptor, mode, **options) as file:
            os.fchmod(descriptor, 0o666 & ~UMASK)
            yield file
        os.replace(unfinished, path)
    except BaseException as error:
        if unfinished is not None:
            with suppress(OSError):
                os.unlink(unfinished)
        if isinstance(error, OSError) and error.filename is None:  # of a write: the disk is full
            error.filename = str(path)
        raise


def current_umask():
    mask = os.umask(0o077)  # it cannot be asked without being set
    os.umask(mask)
    return mask


UMASK = current_umask()


def regular(path, flags):
    """open()'s opener for files of folders that others may have made: a FIFO would wait for ever, a device never end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))


def printable(text):
    return UNPRINTABLE.sub("\ufffd", text)


class Printable:
    """A text stream that shows what a terminal would obey as a replacement character."""

    def __init__(self, stream):
        self.stream = stream

    def write(self, text):
        return self.stream.write(printable(text))

    def __getattr__(self, name):
        return getattr(self.stream, name)


def run_main(name, main):
    """Exit status of main(); a ReportError or an OSError becomes one line on stderr."""
    before = sys.stdout, sys.stderr
    for stream in before:
        if hasattr(stream, "reconfigure"):  # a terminal's encoding may lack a letter: that must not end a sweep
            stream.reconfigure(errors="replace")
    sys.stdout, sys.stderr = (stream and Printable(stream) for stream in before)
    status = run(name, main)
    sys.stdout, sys.stderr = (now and then for now, then in zip((sys.stdout, sys.stderr), before))
    return status


def run(name, main):
    try:
        try:
            status = main()
        except SystemExit as end:  # argparse's, after help and after bad usage
            status = end.code
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except UsageError as error:
        status, line = 2, str(error)
    except ReportError as error:
        status, line = 1, str(error)
    except BrokenPipeError:  # the reader (head, less) has left; keep Python from flushing at exit
        sys.stdout = None
        return 1
    except KeyboardInterrupt:
        status, line = 130, "interrupted"
    except OSError as error:
        if error.filename is None:  # stdout cannot be written; keep Python from trying once more at exit
            sys.stdout = None
        status, line = 1, f"{error.filename or 'input/output'}: {error.strerror or error}"
    print(f"{name}: {line}".replace("\n", " "), file=sys.stderr)
    return status
