"""Reports to files: rows that are appended, or a page that is replaced."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from errno import EISDIR
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Unpack, final

from metrics.exporters import csv, log_lines, prometheus
from metrics.instruments._inner import natural
from metrics.instruments._inner import size as checked_size
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import Option, Options, chosen, list_options
from metrics.reporters._push.payloads import Reading
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.transport import Unavailable

MAX_BYTES = 100_000_000
"""Bytes after which a file is put aside, unless told otherwise."""

BACKUPS = 3
"""Files put aside that are kept, unless told otherwise."""

FORMATS = ("csv", "lines")


@list_options(Options)
def append(
    registry: Registry,
    path: str | os.PathLike[str],
    format: str | None = FORMATS[0],  # noqa: A002 - the common name
    *,
    max_bytes: int | None = MAX_BYTES,
    backups: int | None = BACKUPS,
    **options: Unpack[Options],
) -> AbstractContextManager[Reporter]:
    """Append the values of a registry to a file once an interval.

    A file that would grow above its limit is renamed to `<path>.1`, that to `<path>.2`, and so on.
    The file is opened for every report, so that others may move it away.

    Args:
        registry: the registry to report.
        path: the file, which is made if need be.
        format: `csv` (rows, the default) or `lines` (for people).
        max_bytes: how large the file may get, 100 MB by default.
        backups: how many older files to keep, 3 by default.
        options: see below.

    Raises:
        OSError: the file cannot be written.
        TypeError, ValueError: an option is missing or malformed, or there is no such format.
    """
    file = checked_path(path)
    chosen_format = chosen(format, FORMATS[0])
    if chosen_format not in FORMATS:
        raise ValueError(f"format takes one of {', '.join(FORMATS)}; got {chosen_format!r}")
    rows = chosen_format == "csv"
    transport = Appended(
        file,
        header=b"".join(csv.stream(Registry(), timestamp_ns=0)) if rows else b"",
        max_bytes=checked_size("max_bytes", chosen(max_bytes, MAX_BYTES)),
        backups=natural("backups", chosen(backups, BACKUPS)),
    )

    def read(reading: Reading) -> Iterator[bytes]:
        if rows:
            time, reader = reading.timestamp_ns, reading.reader
            return csv.stream(registry, timestamp_ns=time, header=False, reader=reader)
        return log_lines.stream(registry, reader=reading.reader)

    return reporting(registry, "file", whole(read), transport, options, Options)


@list_options(Options, buffered=Option(1, "no effect: only the newest page is kept"))
def replace(
    registry: Registry, path: str | os.PathLike[str], **options: Unpack[Options]
) -> AbstractContextManager[Reporter]:
    """Replace a file by the Prometheus page of a registry once an interval, in one step.

    What node_exporter's textfile collector reads: the file always is whole. It stays when the
    program ends.

    Args:
        registry: the registry to report.
        path: the file, `<folder>/<name>.prom` for node_exporter; the folder has to exist.
        options: see below.

    Raises:
        OSError: the file cannot be written.
        TypeError, ValueError: an option is missing or malformed.
    """
    transport = Replaced(checked_path(path))
    # Who reads the file wants the newest page alone.
    options["buffered"] = 1

    def read(reading: Reading) -> Iterator[bytes]:
        yield prometheus.render(registry, reader=reading.reader)

    return reporting(registry, "textfile", read, transport, options, Options)


def checked_path(path: str | os.PathLike[str] | None) -> Path:
    """Return where a file is to be.

    Raises:
        TypeError: `path` is neither a str nor a path.
        ValueError: it is missing or empty.
    """
    if path is None or path == "":
        raise ValueError("option 'path' is required")
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path takes a str or a path, got {path!r}")
    return Path(path)


def whole(read: Callable[[Reading], Iterable[bytes]]) -> Callable[[Reading], Iterator[bytes]]:
    """Return what reads the same in one piece: a file gets a report, or does not."""

    def joined(reading: Reading) -> Iterator[bytes]:
        yield b"".join(read(reading))

    return joined


@final
class Appended:
    """Appends payloads to a file, and puts the file aside before it gets too large."""

    def __init__(self, path: Path, *, header: bytes, max_bytes: int, backups: int) -> None:
        self._path = path
        self._header = header
        self._max_bytes = max_bytes
        self._backups = backups
        # Whether it can be written is found out at the start.
        with path.open("ab"):
            pass

    def send(self, payload: bytes, timeout: float) -> None:  # noqa: ARG002 - as every transport
        """Append a payload, all of it or nothing; raise `Unavailable`."""
        try:
            self._put_aside(len(payload))
            with self._path.open("ab", buffering=0) as file:
                before = file.tell()
                try:
                    write_all(file.fileno(), payload if before else self._header + payload)
                except OSError:
                    # Half a row would spoil the next one.
                    file.truncate(before)
                    raise
        except OSError as error:
            raise Unavailable(f"{self._path}: {error.strerror or error}") from None

    def abort(self) -> None:
        """Do nothing: a disk cannot be told to hurry."""

    def close(self) -> None:
        """Do nothing: the file is closed after each payload."""

    def abandon(self) -> None:
        """Do nothing: no file is open between two payloads."""

    def _put_aside(self, more: int) -> None:
        if not self._path.exists():
            return
        held = self._path.stat().st_size
        if not held or held + more <= self._max_bytes:
            return
        if not self._backups:
            self._path.unlink()
            return
        for number in range(self._backups - 1, 0, -1):
            older = numbered(self._path, number)
            if older.exists():
                older.replace(numbered(self._path, number + 1))
        self._path.replace(numbered(self._path, 1))


@final
class Replaced:
    """Makes a payload the content of a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        if path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR), str(path))
        # Whether the folder can be written is found out at the start.
        try:
            with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}."):
                pass
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None

    def send(self, payload: bytes, timeout: float) -> None:  # noqa: ARG002 - as every transport
        """Replace the content; raise `Unavailable`."""
        # Beside the file, for a rename is one step within a file system only; the collector of
        # node_exporter takes what ends in `.prom` alone.
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            new.write_bytes(payload)
            new.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise Unavailable(f"{self._path}: {error.strerror or error}") from None

    def abort(self) -> None:
        """Do nothing: a disk cannot be told to hurry."""

    def close(self) -> None:
        """Do nothing: the file is closed after each payload."""

    def abandon(self) -> None:
        """Do nothing: no file is open between two payloads."""


def numbered(path: Path, number: int) -> Path:
    """Return the name of a file that was put aside."""
    return path.with_name(f"{path.name}.{number}")


def write_all(descriptor: int, payload: bytes) -> None:
    """Write all of a payload, in as many steps as it takes."""
    left = memoryview(payload)
    while left:
        left = left[os.write(descriptor, left) :]
