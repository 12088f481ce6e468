"""Transport that writes payloads to a pipe, a terminal or the standard output."""

import os
import select
import stat
import threading
from errno import EACCES, EINVAL, ENXIO, ETIMEDOUT
from io import FileIO
from pathlib import Path
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.reporters._transports.files import POLL_SECONDS, open_existing, standard_descriptor
from metrics.reporters._transports.transport import Unavailable

ATOMIC = getattr(select, "PIPE_BUF", 512)
"""Bytes that a pipe takes as a whole or not at all (POSIX, `write`)."""


@final
class Stream:
    """Pipe, terminal or other character device, which stays open between two payloads.

    A pipe takes each row of up to `ATOMIC` bytes as a whole, so that no reader sees half of it. No
    payload waits for a reader longer than its timeout; the rows that were read before are not
    repeated when the same payload is sent again.

    Args:
        path: the pipe or the device.
        header: written after each opening, for a reader that begins there.

    Raises:
        PermissionError: the path cannot be written to.
    """

    def __init__(self, path: Path, *, header: bytes) -> None:
        # Not by opening a pipe: its reader would see the end of the file when it is closed again.
        if not os.access(path, os.W_OK):
            raise PermissionError(EACCES, os.strerror(EACCES), str(path))
        self._path = path
        self._header = header
        self._aborted = threading.Event()
        self._file: FileIO | None = None
        # The payload that is not delivered completely, and the position within its bytes.
        self._payload: bytes | None = None
        self._data = b""
        self._position = 0

    @property
    def target(self) -> str:
        """The path."""
        return str(self._path)

    def send(self, payload: bytes, timeout: float) -> None:
        """Write a payload.

        Raises:
            Unavailable: no process reads the pipe, or not as much in `timeout` seconds.
        """
        self._aborted.clear()
        ends = SYSTEM_CLOCK.monotonic() + timeout
        try:
            if self._file is None:
                self._file = self._open()
                self._payload, self._data, self._position = payload, self._header + payload, 0
            elif self._payload is not payload:
                self._data = self._rest_of_row() + payload
                self._payload, self._position = payload, 0
            self._write(self._file, ends)
        except OSError as error:
            if error.errno != ETIMEDOUT:
                self.close()
            reason = "no process reads it" if error.errno == ENXIO else error.strerror or error
            raise Unavailable(f"{self._path}: {reason}") from None
        self._payload, self._data, self._position = None, b"", 0

    def abort(self) -> None:
        """End the wait for a reader at once."""
        self._aborted.set()

    def close(self) -> None:
        """Close the stream; the next payload opens it again."""
        file, self._file = self._file, None
        if file is not None:
            file.close()
        self._payload, self._data, self._position = None, b"", 0

    def abandon(self) -> None:
        """Close the descriptor in a forked process; the parent goes on writing."""
        self._aborted = threading.Event()
        self.close()

    def _open(self) -> FileIO:
        status = self._path.stat()
        descriptor = standard_descriptor(self._path)
        if stat.S_ISREG(status.st_mode) and descriptor is not None:
            # It shares the position with the program's own output, which another opening does not.
            return FileIO(os.dup(descriptor), "w")
        if not (stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)):
            raise OSError(EINVAL, "no longer a pipe or a terminal", str(self._path))
        return FileIO(self._path, "w", opener=open_existing)

    def _write(self, file: FileIO, ends: float) -> None:
        data = self._data
        while self._position < len(data):
            end = end_of_piece(data, self._position)
            written = file.write(memoryview(data)[self._position : end])
            if written is not None:
                self._position += written
            elif SYSTEM_CLOCK.monotonic() >= ends or self._aborted.wait(POLL_SECONDS):
                raise OSError(ETIMEDOUT, "its reader does not read", str(self._path))

    def _rest_of_row(self) -> bytes:
        """Return the rest of a row of which the reader has the beginning; empty between rows."""
        data, position = self._data, self._position
        if not position or data[position - 1 : position] == b"\n":
            return b""
        return data[position : data.find(b"\n", position) + 1]


def end_of_piece(data: bytes, start: int) -> int:
    """Return the end of the rows that a pipe takes at once; of one row if that is longer."""
    if len(data) - start <= ATOMIC:
        return len(data)
    return data.rfind(b"\n", start, start + ATOMIC) + 1 or data.find(b"\n", start) + 1 or len(data)
