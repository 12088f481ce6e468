"""Reporter to OpenTelemetry collectors: OTLP over HTTP, as protobuf.

The protocol: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Unpack

from metrics._version import library_version
from metrics.exporters import otlp
from metrics.exporters._encoding.framing import batches
from metrics.exporters._series.deltas import Deltas
from metrics.registry import Registry
from metrics.registry._inner import GroupIdentity, store_of
from metrics.reporters._push.options import (
    HttpOptions,
    Option,
    chosen,
    exporter_options,
    list_options,
)
from metrics.reporters._push.payloads import Codec, Report
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.process import process_uuid, program_name
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import Credentials, require, require_ascii

PATH = "/v1/metrics"

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""Allowed names of headers (RFC 9110, section 5.6.2)."""

TEMPORALITIES = ("cumulative", "delta")

RETRIED = frozenset({429, 502, 503, 504})
"""Answers after which the same payload may be taken later, as the protocol has them."""


class OtlpOptions(HttpOptions, total=False):
    """Options of a reporter to a collector."""

    headers: Mapping[str, str] | None
    temporality: str | None
    distributions: str | None
    batch_size: int | None


@list_options(
    OtlpOptions,
    headers=Option(None, "further headers, such as an API key; the values are kept secret"),
    temporality=Option(TEMPORALITIES[0], "`cumulative` or `delta`"),
    distributions=Option(
        otlp.DISTRIBUTIONS[0],
        "`histogram`, or `summary` for distributions that are samples; several backends take no "
        "summaries",
    ),
    batch_size=Option(otlp.MAX_POINTS, "data points of one request"),
)
def http(
    registry: Registry,
    url: str,
    resource: Mapping[str, otlp.Attribute] | None = None,
    **options: Unpack[OtlpOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to a collector at each interval and at the end.

    Metrics and attributes have the names of OpenTelemetry's semantic conventions, see
    `metrics.exporters.otlp.stream`. With cumulative temporality a lost payload costs no counts: the
    next one has them.

    With delta temporality, increments that the collector refused, or that found no room while it
    was unavailable, are added up and sent with the next report. A request whose answer got lost is
    repeated as it was, as the protocol requires: the collector may count it twice, unless it
    recognises its times. Data points that the collector leaves out of a request are not repeated.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                otlp.http,
                MetricsContainer.registry,
                "http://127.0.0.1:4318",
                resource={"service.name": "shop"},
            )

    Args:
        registry: the registry to report.
        url: the collector's URL, `http://127.0.0.1:4318`; `/v1/metrics` is added unless it is
            there.
        resource: attributes of this process: `service.name`, `deployment.environment.name`, ...
            By default `service.name` is `unknown_service:` and the name of the program,
            `service.instance.id` a random UUID of the process, or of the group of processes that it
            reports, and `telemetry.sdk.*` this library.
        options: see below.

    Raises:
        ImportError: urllib3 or opentelemetry-proto is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    temporality = options.get("temporality")
    if temporality not in TEMPORALITIES:
        raise ValueError(f"invalid temporality {temporality!r}: use {' or '.join(TEMPORALITIES)}")
    headers = checked_headers(chosen(options.get("headers"), {}))
    limits = exporter_options(options, "distributions", "batch_size")
    own = chosen(resource, {})
    # A wrong option is an error at the start.
    otlp.stream(Registry(), timestamp_ns=0, resource=own, **limits)

    def read(report: Report) -> Iterable[bytes]:
        time, reader = report.timestamp_ns, report.reader
        store = store_of(registry)
        return otlp.stream(
            registry,
            timestamp_ns=time,
            resource={**default_resource(store.identity()), **own},
            starts=store.keep(f"{reader} starts", otlp.Starts),
            deltas=store.keep(reader, Deltas) if temporality == "delta" else None,
            reader=reader,
            **limits,
        )

    collector = endpoint_of(require("url", url))
    request = Request(
        collector if collector.path.endswith(PATH) else collector.at(PATH),
        {"Content-Type": otlp.CONTENT_TYPE},
        Credentials(headers, tuple(headers.values())),
        problem=problem,
        retried=RETRIED,
        codec=codec_of(limits["batch_size"], merges=temporality == "delta"),
    )
    return posting(registry, "otlp", read, request, options)


def default_resource(group: GroupIdentity | None) -> dict[str, otlp.Attribute]:
    """Return the attributes that every resource has, as the semantic conventions define them.

    The rules: https://opentelemetry.io/docs/specs/semconv/resource/#semantic-attributes-with-dedicated-environment-variable

    Args:
        group: the identity of a total of several processes; None for values of this one.
    """
    return {
        "service.name": f"unknown_service:{program_name()}",
        "service.instance.id": process_uuid() if group is None else group.uuid,
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "wired-metrics",
        "telemetry.sdk.version": library_version(),
    }


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
    rule = "use a mapping of str to str"
    if not isinstance(headers, Mapping):
        # The value may be secret.
        raise TypeError(f"invalid headers of type {type(headers).__name__}: {rule}")
    for name in headers:
        if not isinstance(name, str):
            raise TypeError(f"invalid name {name!r} in headers: {rule}")
        if not TOKEN.fullmatch(name):
            raise ValueError(
                f"invalid name {name!r} in headers: use letters, digits and !#$%&'*+.^_`|~-"
            )
        if name.lower().startswith(("content-", "transfer-")):
            raise ValueError(
                f"invalid name {name!r} in headers: the reporter sets this one; leave it out"
            )
    return {name: require_ascii(f"header {name!r}", value) for name, value in headers.items()}


def problem(answer: bytes) -> str:
    """Return the collector's complaint about data points that it left out; empty without one."""
    # Slow imports of an extra, which is installed: the reporter has imported it at the start.
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.metrics.v1 import (  # noqa: PLC0415
        metrics_service_pb2 as service,
    )

    try:
        partial = service.ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        # The status is a success.
        return ""
    if partial.rejected_data_points <= 0:
        return ""
    reason = partial.error_message or "without a reason"
    return f"left out {partial.rejected_data_points} data points: {reason}"
