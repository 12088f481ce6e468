"""Reports to InfluxDB, versions 1 and 2, and to what speaks like it.

The interfaces: https://docs.influxdata.com/influxdb/v1/tools/api/#write-http-endpoint and
https://docs.influxdata.com/influxdb/v2/api/v2/#operation/PostWrite
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Unpack

from metrics.exporters import influx
from metrics.registry import Registry
from metrics.reporters._push.options import HttpOptions, chosen
from metrics.reporters._push.payloads import Reading, batched
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import basic, given, given_in_ascii

DURATION_UNIT = "nanoseconds"


class InfluxOptions(HttpOptions, total=False):
    """What a reporter to InfluxDB can be told besides.

    namespace: what measurements begin with.
    tags: given to every series that has no label of the same name.
    duration_unit: what timers are written in, `nanoseconds` by default, as go-ethereum does.
    """

    namespace: str | None
    tags: Mapping[str, str] | None
    duration_unit: str | None


def v1(
    registry: Registry,
    url: str | None,
    database: str | None,
    *,
    username: str | None = None,
    password: str | None = None,
    retention_policy: str | None = None,
    **options: Unpack[InfluxOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to InfluxDB 1 once an interval and in the end.

    Args:
        registry: what to report.
        url: the server's, `http://127.0.0.1:8086`.
        database: where to write; it has to exist.
        username: for basic authentication.
        password: for basic authentication.
        retention_policy: which of the database's to use; its default one unless given.
        options: see `InfluxOptions`.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(given("url", url))
    query = {"db": given("database", database)}
    if retention_policy:
        query["rp"] = given("retention_policy", retention_policy)
    endpoint = server.at("/write", query)
    credentials = basic(username, password)
    request = Request(endpoint, credentials.headers, credentials.secrets)
    return written(registry, request, options)


def v2(
    registry: Registry,
    url: str | None,
    token: str | None,
    org: str | None,
    bucket: str | None,
    **options: Unpack[InfluxOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to InfluxDB 2 once an interval and in the end.

    Args:
        registry: what to report.
        url: the server's, `http://127.0.0.1:8086`.
        token: allows to write.
        org: whose bucket it is, by name or identifier.
        bucket: where to write; it has to exist.
        options: see `InfluxOptions`.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    server = endpoint_of(given("url", url))
    secret = given_in_ascii("token", token)
    query = {"org": given("org", org), "bucket": given("bucket", bucket)}
    endpoint = server.at("/api/v2/write", query)
    request = Request(endpoint, {"Authorization": f"Token {secret}"}, (secret,))
    return written(registry, request, options)


def written(
    registry: Registry, request: Request, options: InfluxOptions
) -> AbstractContextManager[Reporter]:
    """Write a registry by way of a request."""
    lines = partial(
        influx.stream,
        namespace=chosen(options.get("namespace"), ""),
        tags=chosen(options.get("tags"), {}),
        duration_unit=chosen(options.get("duration_unit"), DURATION_UNIT),
    )
    # What is wrong with the options is found out at the start.
    lines(Registry())

    def read(reading: Reading) -> Iterable[bytes]:
        return batched(lines(registry, timestamp_ns=reading.timestamp_ns, reader=reading.reader))

    request = request._replace(headers={"Content-Type": influx.CONTENT_TYPE, **request.headers})
    return posting(registry, "influxdb", read, request, options, InfluxOptions)
