"""Locks of files, which forked processes do not keep.

A lock of `flock` belongs to all copies of a descriptor, and a fork copies the descriptors of other
threads. So a file is unlocked before it is closed, and a forked process closes its copies: a parent
that is killed leaves no lock behind.
"""

import fcntl
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import final

from metrics import _fork


@final
class LockFiles:
    """Files of this process that are open to be locked. Safe to use from any thread."""

    def __init__(self) -> None:
        self._descriptors: set[int] = set()
        # A fork waits for it, and so copies no descriptor that is not known yet. A signal handler
        # may fork while its own thread has it.
        self._changing = threading.RLock()
        _fork.track(self)
        os.register_at_fork(
            before=self._changing.acquire,
            after_in_parent=self._changing.release,
            after_in_child=self._changing.release,
        )

    def open(self, path: Path, flags: int = 0) -> int:
        """Open a file for reading and writing, of mode 0600 if it is created; return a descriptor.

        Raises:
            OSError: it cannot be opened.
        """
        with self._changing:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
            self._descriptors.add(descriptor)
            return descriptor

    def close(self, descriptor: int) -> None:
        """Unlock a file, and close it. Does nothing in a process that was forked meanwhile."""
        with self._changing:
            if descriptor in self._descriptors:
                self._descriptors.discard(descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_UN)
                finally:
                    os.close(descriptor)

    def _after_fork(self) -> None:
        """Close the descriptors of the parent process, which still uses their locks."""
        while self._descriptors:
            with suppress(OSError):
                os.close(self._descriptors.pop())


lock_files = LockFiles()


def try_lock(descriptor: int, *, shared: bool) -> bool:
    """Lock an open file without waiting; return whether it is locked."""
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
