"""Reports to InfluxDB, versions 1 and 2, and to servers that speak its protocol.

The interfaces: https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint and
https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite
"""

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Unpack

from metrics.exporters import influx
from metrics.registry import Registry
from metrics.reporters._push.options import (
    HttpOptions,
    Option,
    exporter_options,
    list_options,
)
from metrics.reporters._push.payloads import LINES, format_reader, join_chunks
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import Endpoint, endpoint_of
from metrics.reporters._transports.secrets import (
    Credentials,
    authorization,
    basic,
    require,
    require_ascii,
)


class InfluxOptions(HttpOptions, total=False):
    """Options of a reporter to InfluxDB."""

    namespace: str | None
    labels: Mapping[str, str] | str | None
    duration_unit: str | None


with_options = list_options(
    InfluxOptions,
    duration_unit=Option("nanoseconds", "unit of timers, nanoseconds as in go-ethereum"),
)


@with_options
def v1(
    registry: Registry,
    url: str,
    database: str,
    *,
    username: str | None = None,
    password: str | None = None,
    retention_policy: str | None = None,
    **options: Unpack[InfluxOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to InfluxDB 1 once an interval and in the end.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                influxdb.v1,
                MetricsContainer.registry,
                "http://127.0.0.1:8086",
                "shop",
                labels={"zone": "eu"},
            )

    Args:
        registry: the registry to report.
        url: the server's URL, as `http://127.0.0.1:8086`.
        database: an existing database.
        username: for basic authentication.
        password: for basic authentication.
        retention_policy: a retention policy of the database; its default one if None.
        options: see below.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(require("url", url))
    query = {"db": require("database", database)}
    if retention_policy:
        query["rp"] = require("retention_policy", retention_policy)
    endpoint = server.at("/write", query)
    return report_lines(registry, endpoint, basic(username, password), options)


@with_options
def v2(
    registry: Registry,
    url: str,
    token: str,
    org: str,
    bucket: str,
    **options: Unpack[InfluxOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to InfluxDB 2 once an interval and in the end.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                influxdb.v2,
                MetricsContainer.registry,
                "http://127.0.0.1:8086",
                token=config.influx.token,
                org="shop",
                bucket="metrics",
            )

    Args:
        registry: the registry to report.
        url: the server's URL, as `http://127.0.0.1:8086`.
        token: an API token with write permission.
        org: name or identifier of the organisation.
        bucket: an existing bucket.
        options: see below.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(require("url", url))
    secret = require_ascii("token", token)
    query = {"org": require("org", org), "bucket": require("bucket", bucket)}
    endpoint = server.at("/api/v2/write", query)
    return report_lines(registry, endpoint, authorization("Token", secret), options)


def report_lines(
    registry: Registry, endpoint: Endpoint, credentials: Credentials, options: InfluxOptions
) -> AbstractContextManager[Reporter]:
    """Report a registry to an endpoint."""
    names = ("namespace", "labels", "duration_unit")
    lines = format_reader(registry, influx.stream, **exporter_options(options, *names))
    request = Request(
        endpoint,
        {"Content-Type": influx.CONTENT_TYPE},
        credentials,
        # InfluxDB writes the other points of a request, and answers 400 or 422 all the same.
        took_rest=lambda answer: b"partial write" in answer,
        codec=LINES._replace(describe=series_of),
    )
    return posting(
        registry, "influxdb", lambda report: join_chunks(lines(report)), request, options
    )


def series_of(line: bytes) -> str:
    """Return the measurement and the tags of a line: all before the first space not escaped."""
    return re.split(rb"(?<!\\) ", line, maxsplit=1)[0].decode()
