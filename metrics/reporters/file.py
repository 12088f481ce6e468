"""Reports to files: rows that are appended, or a page that is replaced."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from errno import EINVAL
from pathlib import Path
from typing import Unpack

from metrics.exporters import csv, log_lines, prometheus
from metrics.instruments._inner import natural
from metrics.instruments._inner import size as checked_size
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import Option, Options, chosen, list_options
from metrics.reporters._push.payloads import Report
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.appended_file import AppendedFile
from metrics.reporters._transports.files import standard_descriptor
from metrics.reporters._transports.replaced_file import ReplacedFile
from metrics.reporters._transports.stream import Stream

MAX_BYTES = 100_000_000
"""Bytes above which a file is renamed, unless configured otherwise."""

BACKUPS = 3
"""Renamed files that are kept, unless configured otherwise."""

FORMATS = ("csv", "lines")


@list_options(Options)
def append(
    registry: Registry,
    path: str | os.PathLike[str],
    format: str | None = FORMATS[0],  # noqa: A002 - the field's name for it
    *,
    max_bytes: int | None = MAX_BYTES,
    backups: int | None = BACKUPS,
    **options: Unpack[Options],
) -> AbstractContextManager[Reporter]:
    """Append the values of a registry to a file once an interval.

    A file that would grow above its limit is renamed to `<path>.1`, `<path>.1` to `<path>.2`, and
    so on. The file is opened for each report, so that other programs may rename it, and locked
    meanwhile, so that several processes may append to it.

    Each report is one write. A process that is killed during that write may leave half a row
    without a line feed; the next process that opens the file removes it, and logs it. A disk that
    is full leaves no half row behind.

    A pipe, a terminal and `/dev/stdout` work too; they are never renamed. A pipe that no process
    reads keeps no program waiting: reports are kept as for a server that does not answer.

    For example:

        with file.append(registry, "/var/log/shop/metrics.csv", interval="1m"):
            ...

    Args:
        registry: the registry to report.
        path: the file, which is created if need be.
        format: `csv` (rows, the default) or `lines` (for people).
        max_bytes: the largest size of the file.
        backups: the number of renamed files that are kept.
        options: see below.

    Raises:
        OSError: the file cannot be written, or is a directory, a socket or a block device.
        TypeError, ValueError: an option is missing or malformed, or `format` is unknown.
    """
    file = checked_path(path)
    chosen_format = chosen(format, FORMATS[0])
    if chosen_format not in FORMATS:
        raise ValueError(f"invalid format {chosen_format!r}: use {' or '.join(FORMATS)}")
    is_csv = chosen_format == "csv"
    transport = open_to_append(
        file,
        header=b"".join(csv.stream(Registry(), timestamp_ns=0)) if is_csv else b"",
        max_bytes=checked_size("max_bytes", chosen(max_bytes, MAX_BYTES)),
        backups=natural("backups", chosen(backups, BACKUPS)),
    )

    def read(report: Report) -> Iterator[bytes]:
        if is_csv:
            time, reader = report.timestamp_ns, report.reader
            return csv.stream(registry, timestamp_ns=time, header=False, reader=reader)
        return log_lines.stream(registry, reader=report.reader)

    return reporting(registry, "file", join_payload(read), transport, options)


@list_options(Options, buffered=Option(1, "no effect: only the newest page is kept"))
def replace(
    registry: Registry, path: str | os.PathLike[str], **options: Unpack[Options]
) -> AbstractContextManager[Reporter]:
    """Replace a file by the Prometheus page of a registry once an interval, in one step.

    For node_exporter's textfile collector: the file is complete at any time, and stays when the
    program ends. It keeps its mode and owner, and symbolic links to it. Temporary files that a
    killed process has left beside it are removed at the next start.

    For example:

        with file.replace(registry, "/var/lib/node_exporter/shop.prom"):
            ...

    Args:
        registry: the registry to report.
        path: the file, `<folder>/<name>.prom` for node_exporter; the folder has to exist.
        options: see below.

    Raises:
        OSError: the file cannot be written, or is not a regular file.
        TypeError, ValueError: an option is missing or malformed.
    """
    transport = ReplacedFile(checked_path(path))
    options["buffered"] = 1

    def read(report: Report) -> Iterator[bytes]:
        yield prometheus.render(registry, reader=report.reader)

    return reporting(registry, "textfile", read, transport, options)


def checked_path(path: str | os.PathLike[str] | None) -> Path:
    """Return the path of a file.

    Raises:
        TypeError: `path` is neither a str nor a path.
        ValueError: it is missing or empty.
    """
    if path is None or path == "":
        raise ValueError("option 'path' is required")
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"invalid path {path!r}: use a str or a path")
    return Path(path)


def open_to_append(
    path: Path, *, header: bytes, max_bytes: int, backups: int
) -> AppendedFile | Stream:
    """Return the transport that appends to a file, or writes to a pipe or a terminal.

    The file that the process has as its standard output or error is a stream too: renaming it
    would not reach its other writers.

    Args:
        path: a regular file, which is created if need be; or a pipe, a terminal or another
            character device.
        header: the row before all others of a file, or after each opening of a stream.
        max_bytes: the size above which a file is renamed.
        backups: renamed files that are kept.

    Raises:
        OSError: the path cannot be written to.
    """
    with suppress(FileNotFoundError):
        mode = path.stat().st_mode
        if stat.S_ISBLK(mode) or stat.S_ISSOCK(mode):
            kind = "block device" if stat.S_ISBLK(mode) else "socket"
            raise OSError(
                EINVAL, f"rows cannot be appended to a {kind}; use a file or a pipe", str(path)
            )
        if not stat.S_ISDIR(mode) and (
            not stat.S_ISREG(mode) or standard_descriptor(path) is not None
        ):
            return Stream(path, header=header)
    return AppendedFile(path, header=header, max_bytes=max_bytes, backups=backups)


def join_payload(
    read: Callable[[Report], Iterable[bytes]],
) -> Callable[[Report], Iterator[bytes]]:
    """Return a function that reads the same in one payload: a file gets a report, or does not."""

    def joined(report: Report) -> Iterator[bytes]:
        yield b"".join(read(report))

    return joined
