"""One sweep at a time on a machine, so that two never measure each other, and one at a time in a folder.

Both are flock()s: the runs inherit them, so that they last as long as anything of the sweep does, and the kernel lets go
of them however it ends.
"""

import errno
import fcntl
import os
import stat
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
        sign(path, lock, f"process {os.getpid()}, in {folder}, since {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}\n")
        return lock
    return None


def open_lock(path):
    """The lock file, which any user may lock and none can take away from another; None where it cannot be had."""
    # Without O_CREAT first: in a sticky folder the kernel refuses it on another user's file (fs.protected_regular).
    for flags in (0, os.O_CREAT):
        with suppress(OSError):  # O_NONBLOCK: another user may have put a FIFO there
            lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | flags, 0o644)
            if stat.S_ISREG(os.fstat(lock).st_mode):
                if os.fstat(lock).st_uid == os.geteuid():
                    os.fchmod(lock, 0o644)  # whatever the umask: others have to open it to see that it is locked
                return lock
            os.close(lock)
            return None
    return None


def sign(path, lock, words):
    """Who has it, for the others' message; a file of another user stays as it is."""
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        of = os.fstat(descriptor)
        if os.path.samestat(of, os.fstat(lock)) and of.st_nlink == 1 and of.st_uid == os.geteuid():
            os.ftruncate(descriptor, 0)
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
