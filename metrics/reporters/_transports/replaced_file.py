"""Transport that makes a payload the content of a regular file, in one step."""

import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, EISDIR
from io import FileIO
from pathlib import Path
from secrets import token_hex
from typing import final

from metrics.reporters._transports.files import (
    copy_owner_and_mode,
    lock,
    open_existing,
    open_file,
    open_privately,
    standard_descriptor,
    write_all,
)
from metrics.reporters._transports.transport import Unavailable

if sys.platform != "win32":
    import fcntl


@final
class ReplacedFile:
    """Regular file whose content is replaced in one step, by renaming a new file over it.

    The file keeps its mode, its owner as far as permitted, and the symbolic links to it. Temporary
    files that killed processes have left beside it are removed at the start; a lock protects the
    temporary files of running processes.

    Raises:
        OSError: the file cannot be written, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # Open during a delivery; for `abandon` alone.
        self._file: FileIO | None = None
        status = status_to_replace(path)
        target = Path(os.path.realpath(path))
        remove_orphans(target)
        try:
            with open_temporary(target, status):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None

    @property
    def target(self) -> str:
        """The path of the file."""
        return str(self._path)

    def send(self, payload: bytes, timeout: float) -> None:  # noqa: ARG002 - as every transport
        """Replace the content.

        Raises:
            Unavailable: the file cannot be written.
        """
        try:
            status = status_to_replace(self._path)
            # Beside the file: a rename is one step within a file system only.
            target = Path(os.path.realpath(self._path))
            with open_temporary(target, status) as file:
                self._file = file
                write_all(file, payload)
                if sys.platform == "win32":  # it renames no open file
                    file.close()
                os.replace(file.name, target)  # noqa: PTH105 - the file has the name
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror or error}") from None

    def abort(self) -> None:
        """Do nothing: a disk cannot be interrupted."""

    def close(self) -> None:
        """Do nothing: the file is closed after each payload."""

    def abandon(self) -> None:
        """Close the descriptor that the parent has open at the moment."""
        if self._file is not None:
            self._file.close()


def status_to_replace(path: Path) -> os.stat_result | None:
    """Return the status of the file that a path leads to; None if there is none yet.

    Raises:
        OSError: it is a directory or not a regular file, or cannot be reached.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
    if not stat.S_ISREG(status.st_mode) or standard_descriptor(path) is not None:
        raise OSError(
            EINVAL,
            "a pipe, a device or the standard output cannot be replaced by a new file; "
            "use a regular file, or file.append",
            str(path),
        )
    return status


@contextmanager
def open_temporary(target: Path, status: os.stat_result | None) -> Iterator[FileIO]:
    """Open a new, locked file beside a target, and remove it at the end if it is still there.

    Args:
        target: the file that it is going to replace.
        status: the status of the target, whose owner and mode it gets; None if there is none.

    Raises:
        OSError: the file cannot be created.
    """
    while True:
        name = f".{target.name}.{os.getpid()}-{token_hex(4)}.tmp"
        opener = open_file if status is None else open_privately
        with FileIO(target.with_name(name), "x", opener=opener) as file:
            try:
                # Another process may take it for an orphan until it is locked.
                if lock(file) and os.fstat(file.fileno()).st_nlink:
                    if status is not None:
                        copy_owner_and_mode(status, file)
                    yield file
                    return
            finally:
                with suppress(FileNotFoundError):
                    target.with_name(name).unlink()


def remove_orphans(target: Path) -> None:
    """Remove temporary files of `open_temporary` whose processes are dead.

    The lock decides, not the number of the process, which may belong to another container.
    """
    if sys.platform == "win32":
        return
    temporary = re.compile(rf"\.{re.escape(target.name)}\.[0-9]+-[0-9a-f]{{8}}\.tmp")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if temporary.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), FileIO(entry.path, "r+", opener=open_existing) as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)  # noqa: PTH108 - the entry has the path
