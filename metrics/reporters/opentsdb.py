"""Reports to OpenTSDB: `put` lines over TCP, or JSON over HTTP.

The interfaces: https://opentsdb.net/docs/build/html/user_guide/writing/index.html
"""

import socket
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Unpack

from metrics.exporters import opentsdb
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    HttpOptions,
    chosen,
    connect_timeout,
)
from metrics.reporters._push.payloads import Reading
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import basic, given
from metrics.reporters._transports.tcp import Tcp

PORT = 4242

BUFFERED = 30_000
"""Requests kept for a server that is away: they are small, and one report may be many."""


class OpenTsdbOptions(ConnectionOptions, total=False):
    """What a reporter to OpenTSDB can be told besides.

    host_tag: the `host` tag of every series, the machine's name by default.
    prefix: what metrics begin with.
    tags: given to every series that has no label of the same name.
    duration_unit: what timers are written in, `milliseconds` by default.
    """

    host_tag: str | None
    prefix: str | None
    tags: Mapping[str, str] | None
    duration_unit: str | None


class OpenTsdbHttpOptions(OpenTsdbOptions, HttpOptions, total=False):
    """What a reporter to OpenTSDB over HTTP can be told besides: both."""


def tcp(
    registry: Registry,
    host: str | None = None,
    port: int | None = None,
    **options: Unpack[OpenTsdbOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to OpenTSDB as a telnet client would, once an interval and in the end.

    Args:
        registry: what to report.
        host: where the server is, `127.0.0.1` by default.
        port: where it listens, 4242 by default.
        options: see `OpenTsdbOptions`.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    points = checked(options)
    transport = Tcp(
        chosen(host, "127.0.0.1"), chosen(port, PORT), connect_timeout=connect_timeout(options)
    )

    def read(reading: Reading) -> Iterable[bytes]:
        time, reader = reading.timestamp_ns, reading.reader
        return opentsdb.stream(registry, timestamp_ns=time, reader=reader, **points)

    return reporting(registry, "opentsdb", read, transport, options, OpenTsdbOptions)


def http(
    registry: Registry,
    url: str | None,
    *,
    username: str | None = None,
    password: str | None = None,
    batch: int | None = None,
    **options: Unpack[OpenTsdbHttpOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to OpenTSDB's HTTP API once an interval and in the end.

    Args:
        registry: what to report.
        url: the server's, `http://127.0.0.1:4242`.
        username: for basic authentication.
        password: for basic authentication.
        batch: points of one request, 50 by default, as many as the server advises.
        options: see `OpenTsdbHttpOptions`; `buffered` is 30,000 by default, for requests are small.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(given("url", url))
    points = checked(options)
    size = chosen(batch, opentsdb.POINTS)
    opentsdb.stream_json(Registry(), timestamp_ns=0, batch=size, **points)
    credentials = basic(username, password)
    if options.get("buffered") is None:
        options["buffered"] = BUFFERED
    request = Request(
        server.at("/api/put"),
        {"Content-Type": opentsdb.JSON_CONTENT_TYPE, **credentials.headers},
        credentials.secrets,
    )

    def read(reading: Reading) -> Iterable[bytes]:
        time, reader = reading.timestamp_ns, reading.reader
        return opentsdb.stream_json(
            registry, timestamp_ns=time, reader=reader, batch=size, **points
        )

    return posting(registry, "opentsdb", read, request, options, OpenTsdbHttpOptions)


def checked(options: OpenTsdbOptions) -> dict[str, Any]:
    """Return the options that are the exporter's; raise what it raises for those it refuses."""
    points: dict[str, Any] = {
        "host": given("host_tag", chosen(options.get("host_tag"), socket.gethostname())),
        "prefix": chosen(options.get("prefix"), ""),
        "tags": chosen(options.get("tags"), {}),
        "duration_unit": chosen(options.get("duration_unit"), "milliseconds"),
    }
    opentsdb.stream(Registry(), timestamp_ns=0, **points)
    return points
