"""Reports to OpenTelemetry collectors: OTLP over HTTP, as protobuf.

The protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Unpack

from metrics.clock import SYSTEM_CLOCK
from metrics.exporters import otlp
from metrics.exporters._series.deltas import Deltas
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.options import HttpOptions, Option, chosen, list_options
from metrics.reporters._push.payloads import Codec, Reading, batches
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import given, given_in_ascii

PATH = "/v1/metrics"

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""What the name of a header may be (RFC 9110, section 5.6.2)."""

TEMPORALITIES = ("cumulative", "delta")

RETRIED = frozenset({429, 502, 503, 504})
"""Answers after which the same payload may be taken later, as the protocol says."""


class OtlpOptions(HttpOptions, total=False):
    """Options of a reporter to a collector."""

    headers: Mapping[str, str] | None
    temporality: str | None
    batch_size: int | None


@list_options(
    OtlpOptions,
    headers=Option(None, "further headers, such as an API key; the values are kept secret"),
    temporality=Option(TEMPORALITIES[0], "`cumulative` or `delta`"),
    batch_size=Option(otlp.MAX_POINTS, "data points of one request"),
)
def http(
    registry: Registry,
    url: str,
    resource: Mapping[str, otlp.Attribute] | None = None,
    **options: Unpack[OtlpOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to a collector once an interval and in the end.

    With delta temporality, increments that the collector refused, or that found no room while it
    was unavailable, are added up and sent with the next report. A request whose answer got lost is
    repeated as it was, as the protocol requires: the collector may count it twice, unless it
    recognises its times. Data points that the collector leaves out of a request are not repeated.

    Args:
        registry: what to report.
        url: the collector's, `http://127.0.0.1:4318`; `/v1/metrics` is added unless it is there.
        resource: attributes of what is measured: `service.name`, `service.instance.id`, ...
        options: see below.

    Raises:
        ImportError: urllib3 or opentelemetry-proto is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    asked = chosen(options.get("temporality"), TEMPORALITIES[0])
    if asked not in TEMPORALITIES:
        raise ValueError(f"temporality takes one of {', '.join(TEMPORALITIES)}; got {asked!r}")
    secrets = checked_headers(chosen(options.get("headers"), {}))
    batch_size = chosen(options.get("batch_size"), otlp.MAX_POINTS)
    requests = partial(otlp.stream, resource=chosen(resource, {}), batch_size=batch_size)
    start_ns = chosen(options.get("clock"), SYSTEM_CLOCK).time_ns()
    # What is wrong with the options is found out at the start.
    requests(Registry(), timestamp_ns=start_ns, start_ns=start_ns)

    def read(reading: Reading) -> Iterable[bytes]:
        time, reader = reading.timestamp_ns, reading.reader
        deltas = store_of(registry).keep(reader, Deltas) if asked == "delta" else None
        # The wall clock may have been set back.
        since = min(start_ns, time)
        return requests(registry, timestamp_ns=time, start_ns=since, reader=reader, deltas=deltas)

    collector = endpoint_of(given("url", url))
    request = Request(
        collector if collector.path.endswith(PATH) else collector.at(PATH),
        {**secrets, "Content-Type": otlp.CONTENT_TYPE},
        tuple(secrets.values()),
        problem=problem,
        retried=RETRIED,
        codec=codec_of(batch_size, merges=asked == "delta"),
    )
    return posting(registry, "otlp", read, request, options, OtlpOptions)


def codec_of(batch_size: int, *, merges: bool) -> Codec:
    """Return the codec of requests of at most `batch_size` data points."""
    # A slow import of an extra, which the reporter has found installed.
    from metrics.exporters.otlp import _merging as merging  # noqa: PLC0415

    def merge(requests: Sequence[bytes]) -> Iterator[list[bytes]]:
        return batches(merging.merge(requests), batch_size, lambda _: 1)

    return Codec(merging.split, merging.join, merging.describe, merge if merges else None)


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of headers.

    Raises:
        TypeError: `headers` is not a mapping of str to str.
        ValueError: a name is malformed or the reporter's own, or a value is empty or malformed.
    """
    if not isinstance(headers, Mapping):
        # What it holds may be secret.
        raise TypeError(f"headers is a mapping of str to str, got a {type(headers).__name__}")
    for name in headers:
        if not isinstance(name, str):
            raise TypeError(f"headers is a mapping of str to str, got the name {name!r}")
        if not TOKEN.fullmatch(name):
            raise ValueError(f"headers has a name that HTTP cannot send: {name!r}")
        if name.lower().startswith(("content-", "transfer-")):
            raise ValueError(f"headers has {name!r}, which the reporter sets itself")
    return {name: given_in_ascii(f"header {name!r}", value) for name, value in headers.items()}


def problem(answer: bytes) -> str:
    """Return what a collector says that it did not take; nothing if it took everything."""
    # Slow imports of an extra, which the reporter has found installed.
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.metrics.v1 import (  # noqa: PLC0415
        metrics_service_pb2 as service,
    )

    try:
        partial = service.ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        # The status says that all is well.
        return ""
    if partial.rejected_data_points <= 0:
        return ""
    reason = partial.error_message or "it does not say why"
    return f"left out {partial.rejected_data_points} data points: {reason}"
