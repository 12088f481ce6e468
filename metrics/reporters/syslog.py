"""Reports to syslog: a message for each instrument.

Servers get messages as https://www.rfc-editor.org/rfc/rfc5424 has them, over TCP framed by their
length (https://www.rfc-editor.org/rfc/rfc6587#section-3.4.1). The machine's own syslog gets them as
its C library writes them: rsyslog and journald take nothing else for well-formed there.
"""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from logging.handlers import SysLogHandler
from typing import NamedTuple, Unpack

from metrics.exporters import log_lines
from metrics.registry import Registry
from metrics.reporters._push.connecting import HOST, tcp_transport, udp_transport
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    Option,
    Options,
    chosen,
    list_options,
)
from metrics.reporters._push.payloads import Report
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import is_plain
from metrics.reporters._transports.transport import Transport
from metrics.reporters._transports.unix import UnixDatagrams

PORT = 514

PATH = "/dev/log"

MESSAGES = 10_000
"""Default number of messages kept for a server that is unavailable."""

FACILITY = "user"
SEVERITY = "info"
APP_NAME = "metrics"

LONGEST_APP_NAME = 48

LONGEST_HOST_NAME = 255

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Header(NamedTuple):
    """Header fields that all messages of a report share."""

    priority: int
    timestamp_ns: int
    app_name: str


Envelope = Callable[[Header, bytes], bytes]
"""Makes a message of a line."""


class SyslogOptions(Options, total=False):
    """Options of a reporter to syslog."""

    facility: str | None
    severity: str | None
    app_name: str | None


class SyslogTcpOptions(SyslogOptions, ConnectionOptions, total=False):
    """Options of a reporter to syslog over TCP."""


OWN = {
    "facility": Option(FACILITY, "facility of the messages: `user`, `daemon`, `local0`, ..."),
    "severity": Option(SEVERITY, "severity of the messages"),
    "app_name": Option(APP_NAME, "name of the program"),
    "buffered": Option(MESSAGES, "number of messages kept for a server that is unavailable"),
}


@list_options(SyslogOptions, **OWN)
def udp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[SyslogOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to a syslog server as datagrams, once an interval.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                syslog.udp,
                MetricsContainer.registry,
                "syslog.example.org",
                app_name="shop",
            )
    """
    transport = udp_transport(registry, host, chosen(port, PORT), options)
    return report_messages(registry, transport, options, standard)


@list_options(SyslogTcpOptions, **OWN)
def tcp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[SyslogTcpOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to a syslog server over one connection, once an interval.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                syslog.tcp,
                MetricsContainer.registry,
                "syslog.example.org",
                app_name="shop",
            )
    """
    transport = tcp_transport(registry, host, chosen(port, PORT), options)
    return report_messages(registry, transport, options, length_prefixed)


@list_options(SyslogOptions, **OWN)
def unix(
    registry: Registry, path: str | None = PATH, **options: Unpack[SyslogOptions]
) -> AbstractContextManager[Reporter]:
    """Send a registry to the machine's own syslog, once an interval; as `udp`.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                syslog.unix,
                MetricsContainer.registry,
                facility="daemon",
            )

    Args:
        registry: the registry to report.
        path: the path of the socket.
        options: see below.

    Raises:
        TypeError, ValueError: an option is malformed, or there is no such facility or severity.
    """
    return report_messages(registry, UnixDatagrams(chosen(path, PATH)), options, local)


def report_messages(
    registry: Registry,
    transport: Transport,
    options: SyslogOptions,
    envelope: Envelope,
) -> AbstractContextManager[Reporter]:
    """Report a registry to a transport."""
    priority = priority_of(
        chosen(options.get("facility"), FACILITY), chosen(options.get("severity"), SEVERITY)
    )
    app_name = checked_app_name(chosen(options.get("app_name"), APP_NAME))

    def read(report: Report) -> Iterator[bytes]:
        header = Header(priority, report.timestamp_ns, app_name)
        for chunk in log_lines.stream(registry, reader=report.reader):
            for line in chunk.splitlines():
                yield envelope(header, line)

    return reporting(registry, "syslog", read, transport, options)


def standard(header: Header, line: bytes) -> bytes:
    """Return a message as RFC 5424 has it."""
    prefix = (
        f"<{header.priority}>1 {timestamp(header.timestamp_ns)} {host_name()} {header.app_name} "
        f"{os.getpid()} - - "
    )
    # The byte order mark says that the text is UTF-8 (RFC 5424, section 6.4).
    return prefix.encode() + b"\xef\xbb\xbf" + line


def length_prefixed(header: Header, line: bytes) -> bytes:
    """Return a message behind its length."""
    message = standard(header, line)
    return b"%d %b" % (len(message), message)


def local(header: Header, line: bytes) -> bytes:
    """Return a message as the C library's `syslog` writes it, in local time."""
    at = datetime.fromtimestamp(header.timestamp_ns // 10**9)  # noqa: DTZ006 - local, as it says
    # `strftime` would use the language of the program.
    time = f"{MONTHS[at.month - 1]} {at.day:2d} {at:%H:%M:%S}"
    return f"<{header.priority}>{time} {header.app_name}[{os.getpid()}]: ".encode() + line


def timestamp(ns: int) -> str:
    """Return a time as RFC 5424 writes it, in microseconds."""
    seconds, rest = divmod(ns, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest // 1000:06d}Z"


def priority_of(facility: str, severity: str) -> int:
    """Return the priority of messages; raise ValueError for an unknown facility or severity."""
    facilities, severities = SysLogHandler.facility_names, SysLogHandler.priority_names
    if facility not in facilities:
        raise ValueError(f"invalid facility {facility!r}: use one of {', '.join(facilities)}")
    if severity not in severities:
        raise ValueError(f"invalid severity {severity!r}: use one of {', '.join(severities)}")
    return facilities[facility] * 8 + severities[severity]


def checked_app_name(name: str) -> str:
    """Return the name of the program; raise TypeError or ValueError if messages cannot have it."""
    if not isinstance(name, str):
        raise TypeError(f"invalid app_name {name!r}: use a str")
    if not is_plain(name) or not 0 < len(name) <= LONGEST_APP_NAME:
        raise ValueError(
            f"invalid app_name {name!r}: use up to {LONGEST_APP_NAME} printable ASCII characters "
            "without spaces"
        )
    return name


def host_name() -> str:
    """Return the machine's name as a message has it; `-` if it has none."""
    name = "".join([c for c in socket.gethostname() if is_plain(c)])
    return name[:LONGEST_HOST_NAME] or "-"
