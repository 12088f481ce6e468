"""Transport that appends payloads to a regular file, which ends with a whole row at each start."""

import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EINVAL, ETIMEDOUT
from io import SEEK_END, FileIO
from logging import getLogger
from pathlib import Path
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.reporters._transports.files import (
    POLL_SECONDS,
    copy_owner_and_mode,
    lock,
    open_file,
    open_privately,
    unlock,
    write_all,
)
from metrics.reporters._transports.transport import Unavailable

logger = getLogger(__name__)

START_SECONDS = 1.0
"""Seconds that a lock may take at the start; another process holds it for one write."""

BLOCK = 1 << 16
"""Bytes that are read at once to find the end of the last row."""

LONGEST_ROW = 1 << 16
"""Bytes of a row that a quotation mark may extend over several lines."""

SHOWN = 200
"""Bytes of a removed row that are logged."""


@final
class AppendedFile:
    """Regular file that payloads are appended to, renamed before it gets too large.

    A payload is one write, and is removed again if the disk takes only the beginning of it. A file
    that ends within a row, because a process was killed while it wrote, is cut back to the row
    before. CSV is recognized by its header; another file that does not end with a line feed gets
    one, and keeps its content.

    Args:
        path: the file; a symbolic link is followed.
        header: the first row; empty for lines without one.
        max_bytes: the size above which the file is renamed to `<path>.1`.
        backups: renamed files that are kept.

    Raises:
        OSError: the file cannot be written.
    """

    def __init__(self, path: Path, *, header: bytes, max_bytes: int, backups: int) -> None:
        self._path = path
        self._header = header
        self._max_bytes = max_bytes
        self._backups = backups
        self._aborted = threading.Event()
        # Open during a delivery; for `abandon` alone.
        self._file: FileIO | None = None
        with self._lock_file(SYSTEM_CLOCK.monotonic() + START_SECONDS) as file:
            self._repair(file, file.seek(0, SEEK_END))

    @property
    def target(self) -> str:
        """The path of the file."""
        return str(self._path)

    def send(self, payload: bytes, timeout: float) -> None:
        """Append a payload, all of it or nothing.

        Raises:
            Unavailable: the file cannot be written, or another process keeps it locked.
        """
        self._aborted.clear()
        ends = SYSTEM_CLOCK.monotonic() + timeout
        try:
            if not self._append(payload, ends, rename=True):
                self._append(payload, ends, rename=False)
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror or error}") from None

    def abort(self) -> None:
        """End the wait for a lock at once; a disk cannot be interrupted."""
        self._aborted.set()

    def close(self) -> None:
        """Do nothing: the file is closed after each payload."""

    def abandon(self) -> None:
        """Close the descriptor that the parent has open at the moment."""
        self._aborted = threading.Event()
        if self._file is not None:
            self._file.close()

    def _append(self, payload: bytes, ends: float, *, rename: bool) -> bool:
        """Append a payload and return True; rename a file that is full and return False."""
        with self._lock_file(ends) as file:
            size = file.seek(0, SEEK_END)
            if size and not ends_with_line_feed(file):
                size = self._repair(file, size)
            if rename and size and size + len(payload) > self._max_bytes:
                self._rename(file)
                return False
            try:
                write_all(file, payload if size else self._header + payload)
            except OSError:
                # The beginning of a row would run into the next one.
                file.truncate(size)
                raise
            return True

    @contextmanager
    def _lock_file(self, ends: float) -> Iterator[FileIO]:
        """Open the file that is at the path, and keep other processes from writing to it."""
        while True:
            with FileIO(self._path, "a+", opener=open_file) as file:
                self._file = file
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OSError(EINVAL, "no longer a regular file", str(self._path))
                if lock(file):
                    try:
                        # Another process may have renamed it meanwhile.
                        if is_at(file, self._path):
                            yield file
                            return
                    finally:
                        unlock(file)
            if SYSTEM_CLOCK.monotonic() >= ends or self._aborted.wait(POLL_SECONDS):
                raise OSError(ETIMEDOUT, "another process keeps it locked", str(self._path))

    def _repair(self, file: FileIO, size: int) -> int:
        """Remove half a row at the end of a file; return the size of the file after that."""
        if not size:
            return 0
        file.seek(0)
        is_csv = bool(self._header) and self._header.startswith(file.read(len(self._header)))
        rows_end = end_of_rows(file, size, quoted=is_csv)
        if size - rows_end > LONGEST_ROW:
            # No row is that long: a quotation mark was added by hand, and rows follow it.
            rows_end = end_of_rows(file, size, quoted=False)
        # Without a header, a file without a line feed is most likely no log of this library.
        if is_csv or (rows_end and not self._header):
            if rows_end < size:
                file.seek(rows_end)
                removed = file.read(SHOWN)
                file.truncate(rows_end)
                logger.warning(
                    "%s: removed half a row at the end, as a process leaves it that is killed "
                    "while it writes: %r",
                    self._path,
                    removed,
                )
            return rows_end
        if rows_end < size:
            write_all(file, b"\n")
            return size + 1
        return size

    def _rename(self, file: FileIO) -> None:
        """Rename a full file, whose backups are renamed first; the link to it stays."""
        status = os.fstat(file.fileno())
        path = Path(os.path.realpath(self._path))
        if sys.platform == "win32":  # it renames no open file
            file.close()
        if self._backups:
            for number in range(self._backups - 1, 0, -1):
                older = backup_path(path, number)
                if older.exists():
                    older.replace(backup_path(path, number + 1))
            path.replace(backup_path(path, 1))
        else:
            path.unlink()
        with suppress(FileExistsError), FileIO(path, "x", opener=open_privately) as new:
            copy_owner_and_mode(status, new)


def is_at(file: FileIO, path: Path) -> bool:
    """Return whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def backup_path(path: Path, number: int) -> Path:
    """Return the name of a renamed file."""
    return path.with_name(f"{path.name}.{number}")


def ends_with_line_feed(file: FileIO) -> bool:
    """Return whether the last byte of a file is a line feed."""
    file.seek(-1, SEEK_END)
    return file.read(1) == b"\n"


def end_of_rows(file: FileIO, size: int, *, quoted: bool) -> int:
    """Return the position after the last complete row of a file; 0 if there is none.

    Args:
        file: open for report.
        size: bytes of the file.
        quoted: whether a line feed between quotation marks ends no row, as in CSV (RFC 4180).
    """
    mark = b'"'
    before = sum(block.count(mark) for _, block in blocks(file, size)) if quoted else 0
    for start, block in blocks(file, size):
        end = len(block)
        while (found := block.rfind(b"\n", 0, end)) >= 0:
            before -= block.count(mark, found, end) if quoted else 0
            if before % 2 == 0:
                return start + found + 1
            end = found
        before -= block.count(mark, 0, end) if quoted else 0
    return 0


def blocks(file: FileIO, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the positions and bytes of a file's blocks, from the last one to the first."""
    for start in range((size - 1) // BLOCK * BLOCK, -1, -BLOCK):
        file.seek(start)
        yield start, file.read(min(BLOCK, size - start))
