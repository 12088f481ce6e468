"""Opening, locking and writing of files, without waiting for other processes.

Files are locked by `flock`, which the kernel releases when a process dies, however it dies. Where
the platform or the file system has no such locks, one process alone may write to a file.
"""

import os
import stat
import sys
from contextlib import suppress
from errno import EAGAIN
from functools import partial
from io import FileIO
from pathlib import Path

if sys.platform != "win32":
    import fcntl

OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""Flags of every opening: no reader of a pipe is waited for, and no terminal takes control."""

POLL_SECONDS = 0.02
"""Seconds between two attempts to lock a file, or to write to a full pipe."""


def open_file(path: str, flags: int, mode: int = 0o666) -> int:
    """Open a file as `os.open` does, without waiting for another process."""
    return os.open(path, flags | OPEN_FLAGS, mode)


open_privately = partial(open_file, mode=0o600)
"""Opener of files that only their owner may read until they get another mode."""


def open_existing(path: str, flags: int) -> int:
    """Open a file as `open_file` does, but create and truncate none."""
    return open_file(path, flags & ~(os.O_CREAT | os.O_TRUNC))


def lock(file: FileIO) -> bool:
    """Lock a file; return False if another process has locked it, True where there are no locks."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno != EAGAIN
    return True


def unlock(file: FileIO) -> None:
    """Unlock a file, also for a forked process that still has it open."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_UN)


def copy_owner_and_mode(status: os.stat_result, file: FileIO) -> None:
    """Give a file the mode of another one, and its owner and group as far as permitted."""
    if sys.platform == "win32":
        return
    for owner in (status.st_uid, -1):
        with suppress(OSError):
            os.fchown(file.fileno(), owner, status.st_gid)
            break
    # After the owner: a change of it clears bits of the mode.
    os.fchmod(file.fileno(), stat.S_IMODE(status.st_mode))


def write_all(file: FileIO, payload: bytes) -> None:
    """Write a payload in one step, or in more if the system takes a part of it."""
    left = memoryview(payload)
    while left:
        left = left[file.write(left) :]


def standard_descriptor(path: Path) -> int | None:
    """Return the descriptor of standard output or error if a path leads to the same file."""
    status = path.stat()
    for descriptor in (1, 2):
        # Either may be closed.
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(descriptor)):
                return descriptor
    return None
