"""Reports to OpenTSDB: `put` lines over TCP, or JSON over HTTP.

The interfaces: https://opentsdb.net/docs/build/html/user_guide/writing/index.html
"""

import json
import socket
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Unpack

from metrics.exporters import opentsdb
from metrics.registry import Registry
from metrics.reporters._push.connecting import HOST, tcp_transport
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    HttpOptions,
    Option,
    chosen,
    exporter_options,
    list_options,
)
from metrics.reporters._push.payloads import JSON_ARRAY, format_reader
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import basic, require

PORT = 4242

BUFFERED = 30_000
"""Requests kept for a server that is away: they are small, and one report may be many."""


class OpenTsdbOptions(ConnectionOptions, total=False):
    """Options of a reporter to OpenTSDB."""

    host_tag: str | None
    namespace: str | None
    labels: Mapping[str, str] | str | None
    duration_unit: str | None


class OpenTsdbHttpOptions(OpenTsdbOptions, HttpOptions, total=False):
    """Options of a reporter to OpenTSDB over HTTP."""

    batch_size: int | None


OWN = {
    "host_tag": Option(None, "value of the tag `host`; the machine's name if None"),
    "duration_unit": Option("milliseconds", "unit of timers"),
}


@list_options(OpenTsdbOptions, **OWN)
def tcp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[OpenTsdbOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to OpenTSDB as a telnet client would, once an interval and in the end.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                opentsdb.tcp,
                MetricsContainer.registry,
                "opentsdb.example.org",
                namespace="shop",
            )
    """
    read = format_reader(registry, opentsdb.stream, **point_options(options))
    transport = tcp_transport(registry, host, chosen(port, PORT), options)
    return reporting(registry, "opentsdb", read, transport, options)


@list_options(
    OpenTsdbHttpOptions,
    **OWN,
    batch_size=Option(opentsdb.POINTS, "data points of one request; OpenTSDB advises 50"),
    buffered=Option(BUFFERED, "number of requests kept for a server that is unavailable"),
)
def http(
    registry: Registry,
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    **options: Unpack[OpenTsdbHttpOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to OpenTSDB's HTTP API once an interval and in the end.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                opentsdb.http,
                MetricsContainer.registry,
                "http://127.0.0.1:4242",
                batch_size=50,
            )

    Args:
        registry: the registry to report.
        url: the server's URL, as `http://127.0.0.1:4242`.
        username: for basic authentication.
        password: for basic authentication.
        options: see below.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(require("url", url))
    own = {**point_options(options), **exporter_options(options, "batch_size")}
    read = format_reader(registry, opentsdb.stream, dialect="json", **own)
    request = Request(
        server.at("/api/put"),
        {"Content-Type": opentsdb.JSON_CONTENT_TYPE},
        basic(username, password),
        codec=JSON_ARRAY._replace(describe=series_of),
    )
    return posting(registry, "opentsdb", read, request, options)


def point_options(options: OpenTsdbOptions) -> dict[str, Any]:
    """Return the options of the exporter.

    Raises:
        TypeError, ValueError: `host_tag` or `labels` is malformed.
    """
    host = require("host_tag", chosen(options.get("host_tag"), socket.gethostname()))
    return {"host": host, **exporter_options(options, "namespace", "labels", "duration_unit")}


def series_of(point: bytes) -> str:
    """Return the metric and the tags of a point."""
    fields = json.loads(point)
    return f"{fields['metric']} {fields['tags']}"
