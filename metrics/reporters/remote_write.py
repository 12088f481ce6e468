"""Reports to what takes Prometheus' remote write: Prometheus, Mimir, Thanos, VictoriaMetrics.

The protocol: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Unpack

from metrics.exporters import remote_write
from metrics.exporters._encoding.units import MILLISECOND
from metrics.exporters._series.staleness import Staleness
from metrics.exporters.remote_write import _splitting as splitting
from metrics.registry import Registry
from metrics.reporters._push.options import (
    HttpOptions,
    Option,
    chosen,
    constant_labels,
    list_options,
)
from metrics.reporters._push.payloads import Codec, Reading
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import Credentials, basic, given, given_in_ascii

PATH = "/api/v1/write"

RETRIED = frozenset({429, *range(500, 600)})
"""Answers after which the same payload may be taken later, as the protocol says."""

SET_BACK = 60 * 10**9
"""Nanoseconds by which the wall clock may be set back without a server noticing."""


class RemoteWriteOptions(HttpOptions, total=False):
    """Options of a reporter by remote write."""

    labels: Mapping[str, str] | str | None
    batch_size: int | None


@list_options(
    RemoteWriteOptions,
    batch_size=Option(remote_write.MAX_SAMPLES, "samples of one request"),
    compress=Option(True, "no effect: requests always are compressed, with snappy"),
)
def http(
    registry: Registry,
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    bearer_token: str | None = None,
    **options: Unpack[RemoteWriteOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to a Prometheus once an interval and in the end.

    A series that is no more, because its instrument was unregistered or its label value removed,
    ends at once; those that are there in the end are shown for five minutes more.

    Args:
        registry: what to report.
        url: where it takes remote write, `http://127.0.0.1:9090/api/v1/write`; that path is added
            to a URL without one.
        username: for basic authentication.
        password: for basic authentication.
        bearer_token: for authentication with a token instead.
        options: see below.

    Raises:
        ImportError: urllib3 or cramjam is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    credentials = credentials_of(username, password, bearer_token)
    requests = partial(
        remote_write.stream,
        labels=constant_labels(options.get("labels")),
        staleness=Staleness(),
        batch_size=chosen(options.get("batch_size"), remote_write.MAX_SAMPLES),
    )
    # What is wrong with the options is found out at the start.
    requests(Registry(), timestamp_ns=0)

    last_ns = 0

    def read(reading: Reading) -> Iterable[bytes]:
        nonlocal last_ns
        # A server takes one sample of a series for a millisecond, and none that is older.
        next_ns = max(reading.timestamp_ns, last_ns + MILLISECOND)
        last_ns = next_ns if next_ns - reading.timestamp_ns < SET_BACK else reading.timestamp_ns
        return requests(registry, timestamp_ns=last_ns, reader=reading.reader)

    server = endpoint_of(given("url", url))
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": remote_write.CONTENT_TYPE,
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = Request(
        server.at(PATH) if server.path == "/" else server,
        {**headers, **credentials.headers},
        credentials.secrets,
        retried=RETRIED,
        codec=Codec(splitting.split, splitting.join, splitting.describe),
    )
    options["compress"] = False
    return posting(registry, "remote-write", read, request, options, RemoteWriteOptions)


def credentials_of(
    username: str | None, password: str | None, bearer_token: str | None
) -> Credentials:
    """Return the header of one of the two ways to authenticate, or none.

    Raises:
        TypeError, ValueError: there are both, or one is malformed.
    """
    if not bearer_token:
        return basic(username, password)
    if username or password:
        raise ValueError("bearer_token and username are two ways to authenticate; give one of them")
    token = given_in_ascii("bearer_token", bearer_token)
    return Credentials({"Authorization": f"Bearer {token}"}, (token,))
