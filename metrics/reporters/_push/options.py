"""What reporters can be told, and how it is checked."""

from typing import TypedDict, TypeVar

from metrics.clock import Clock
from metrics.options import seconds

CONNECT_TIMEOUT = 3.0
"""Seconds that connecting may take, unless told otherwise."""

T = TypeVar("T")


class Options(TypedDict, total=False):
    """What every reporter can be told; None is the default, as a configuration may give it.

    name: what it is called in the log and in its own metrics, `reporter/<name>/sent` and others.
    interval: seconds between two reports, or a duration such as "1m30s"; 10 by default.
    timeout: seconds that one delivery may take, or a duration; 5 by default.
    buffered: payloads that are kept for a server that is away, 1000 by default.
    buffered_bytes: bytes that are kept for it, all payloads together, 16 MiB by default.
    clock: where time comes from.
    """

    name: str | None
    interval: float | str | None
    timeout: float | str | None
    buffered: int | None
    buffered_bytes: int | None
    clock: Clock | None


class ConnectionOptions(Options, total=False):
    """What a reporter that keeps a connection can be told besides.

    connect_timeout: seconds that connecting may take, or a duration; 3 by default.
    """

    connect_timeout: float | str | None


class HttpOptions(ConnectionOptions, total=False):
    """What a reporter over HTTP can be told besides.

    compress: False sends payloads as they are, not gzipped.
    ca_file: certificates to trust, instead of those that the system trusts.
    """

    compress: bool | None
    ca_file: str | None


def check_known(options: Options, accepted: type) -> None:
    """Raise TypeError for an option that does not exist, which is mistyped most likely."""
    known = accepted.__annotations__
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(sorted(known))}")


def checked_name(name: str | None, default: str) -> str:
    """Return what a reporter is called; raise TypeError or ValueError if it cannot be."""
    if name is None:
        return default
    if not isinstance(name, str):
        raise TypeError(f"name takes a str, got {name!r}")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(f"name takes printable characters without space around them, got {name!r}")
    return name


def checked_bool(what: str, value: object) -> bool:
    """Return an option that is on unless it is False; raise TypeError if it is no bool."""
    if value is None or isinstance(value, bool):
        return value is not False
    raise TypeError(f"{what} takes True or False, got {value!r}")


def chosen(value: T | None, default: T) -> T:
    """Return an option, or its default if a configuration left it out."""
    return default if value is None else value


def connect_timeout(options: ConnectionOptions) -> float:
    """Return the seconds that connecting may take."""
    return seconds(options.get("connect_timeout"), "connect_timeout", CONNECT_TIMEOUT)
