"""Errors a user can act on: each is printed as one line, never as a traceback."""

import sys


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


def run_main(name, main):
    """Exit status of main(); a ReportError or an OSError becomes one line on stderr."""
    try:
        return main()
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
        status, line = 1, f"{error.filename or 'input/output'}: {error.strerror or error}"
    print(f"{name}: {line}", file=sys.stderr)
    return status
