"""Errors a user can act on: each is printed as one line, never as a traceback."""

import os
import sys
from contextlib import contextmanager, suppress


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
    """open() for writing a file that appears whole or not at all; an OSError names it."""
    unfinished = f"{path}.tmp"
    try:
        with open(unfinished, mode, **options) as file:
            yield file
        os.replace(unfinished, path)
    except BaseException as error:
        with suppress(OSError):
            os.unlink(unfinished)
        if isinstance(error, OSError) and error.filename is None:  # of a write: the disk is full
            error.filename = str(path)
        raise


def run_main(name, main):
    """Exit status of main(); a ReportError or an OSError becomes one line on stderr."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal's encoding may lack a letter: that must not end a sweep
            stream.reconfigure(errors="replace")
    try:
        status = main()
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
    print(f"{name}: {line}", file=sys.stderr)
    return status
