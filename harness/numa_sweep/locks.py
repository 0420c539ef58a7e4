"""One sweep at a time on a machine, so that two never measure each other, and one at a time in a folder.

Both are flock()s: the runs inherit them, so that they last as long as anything of the sweep does, and the kernel lets go
of them however it ends.
"""

import errno
import fcntl
import os
import time
from contextlib import suppress

from numa_report.errors import ReportError

PATHS = ("/run/lock/numa_alloc-sweep.lock", "/tmp/numa_alloc-sweep.lock")
MOST_WORDS_BYTES = 1000


def lock_machine(wait, folder, say):
    """The descriptor of the machine's lock, None where there is no place for one. Raises ReportError when another has it."""
    for path in PATHS:
        lock = open_lock(path)
        if lock is None:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, MOST_WORDS_BYTES, 0).decode(errors="replace").strip() or "of another user"
            if not wait:
                os.close(lock)
                raise ReportError(f"another sweep is measuring on this machine ({holder}); --wait waits for its end") from None
            say(f"waiting for another sweep on this machine ({holder})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        sign(path, f"process {os.getpid()}, in {folder}, since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n")
        return lock
    return None


def open_lock(path):
    """The lock file, which any user may lock and none can take away from another; None where it cannot be had."""
    # Without O_CREAT first: in a sticky folder the kernel refuses it on another user's file (fs.protected_regular).
    for flags in (os.O_RDONLY, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW):
        try:
            return os.open(path, flags | os.O_CLOEXEC, 0o666)
        except OSError:
            continue
    return None


def sign(path, words):
    """Who has it, for the others' message; a file of another user stays as it is."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW)
        os.write(descriptor, words.encode(errors="surrogateescape"))
        os.close(descriptor)


def lock_folder(folder, wait=False, say=None):
    """The descriptor of the folder's lock, None on a file system without locks.

    wait: for a sweep of the folder that is still ending, or running; say is told.
    """
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            os.close(lock)
            return None
        if not wait:
            os.close(lock)
            raise ReportError(f"another sweep is running in {folder}") from None
        say(f"waiting for another sweep in {folder}")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock
