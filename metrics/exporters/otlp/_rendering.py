"""A registry to OTLP's requests."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from metrics.exporters._encoding.units import checked_ns
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.deltas import Deltas
from metrics.exporters._series.series import read_series, split_points
from metrics.instruments._inner import Whole, natural, size
from metrics.registry import Registry

if TYPE_CHECKING:
    from metrics.exporters.otlp._messages import Points, Request

CONTENT_TYPE = "application/x-protobuf"

SCOPE = "wired-metrics"

MAX_POINTS = 2000
"""Data points of one request, unless told otherwise."""

Attribute = str | bool | int | float

NO_ATTRIBUTES: Mapping[str, Attribute] = {}


def render(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    start_ns: Whole,
    resource: Mapping[str, Attribute] = NO_ATTRIBUTES,
    deltas: Deltas | None = None,
    batch_size: Whole = MAX_POINTS,
    reader: str = "otlp",
) -> bytes:
    """Return the values of a registry as one `ExportMetricsServiceRequest`.

    It is the requests that `stream` yields, one after the other, which protobuf reads as one.

    Counters are monotonic sums, those that go down too are sums that are not; meters are a sum and
    a gauge of rates, `<name>.rate`, by `window`; timers and histograms are summaries with quantiles
    (0 and 1 are minimum and maximum), or explicit-bucket histograms when they have buckets, and a
    timer has rates as a meter has; an info is a gauge of 1 with the facts as attributes; a health
    check is a gauge, 1 when healthy. Names are the registry's, labels are attributes, values stay
    in their units, which are written as UCUM. Ints beyond 64 bits become floats. Instruments that
    are none of the library's own are left out, and so is one that is called like another's rates,
    and, of a family with both summaries and histograms, what is not as the first that was read; for
    these two a warning is logged.

    Args:
        registry: what to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970.
        start_ns: since when they have been counted; 0 if that is not known.
        resource: attributes of what is measured: `service.name`, `service.instance.id`, ...
        deltas: what the receiver has been told; the same `Deltas()` at every look. With it
            monotonic sums and histograms have delta temporality and say what was added since;
            without it all are cumulative.
        batch_size: data points of one request of the stream, at most.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        ImportError: `opentelemetry-proto` is not installed.
        TypeError: a time or `batch_size` is not an int, `deltas` is something else, `resource` is
            not a mapping, or an attribute has another type.
        ValueError: a time is negative or has more than 63 bits, `start_ns` is after
            `timestamp_ns`, `batch_size` is not positive, or an attribute has no name.
    """
    return b"".join(
        stream(
            registry,
            timestamp_ns=timestamp_ns,
            start_ns=start_ns,
            resource=resource,
            deltas=deltas,
            batch_size=batch_size,
            reader=reader,
        )
    )


def stream(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    start_ns: Whole,
    resource: Mapping[str, Attribute] = NO_ATTRIBUTES,
    deltas: Deltas | None = None,
    batch_size: Whole = MAX_POINTS,
    reader: str = "otlp",
) -> Iterator[bytes]:
    """Yield what `render` returns as whole requests of at most `batch_size` data points.

    All of them have to be sent, in order, when there are `deltas`.
    """
    try:
        # opentelemetry-proto is an extra.
        from metrics.exporters.otlp._messages import Points, Request  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "OTLP needs opentelemetry-proto: pip install 'wired-metrics[otlp]'"
        ) from error
    ends_ns = checked_ns(timestamp_ns)
    start_ns = natural("start_ns", start_ns)
    if start_ns > ends_ns:
        raise ValueError(f"start_ns takes a time before timestamp_ns, {ends_ns}, got {start_ns}")
    if deltas is not None and not isinstance(deltas, Deltas):
        raise TypeError(f"deltas takes a Deltas that is kept between reports, got {deltas!r}")
    request = Request(checked_attributes(resource), SCOPE, scope_version())
    points = Points(start_ns, ends_ns, deltas)
    return requests(registry, reader, points, request, size("batch_size", batch_size))


def requests(
    registry: Registry, reader: str, points: "Points", request: "Request", limit: int
) -> Iterator[bytes]:
    """Yield requests with at most `limit` data points."""
    rates: dict[str, str] = {}
    points.begin()
    for one in split_points(read_series(registry, reader)):
        # A meter comes before what is called like its rates.
        if one.name in rates:
            warn_once(one.name, one.name, rates[one.name])
            continue
        for metric in points.of(one):
            if metric.name != one.name:
                rates[metric.name] = one.name
            request.add(metric)
            if request.points == limit:
                yield request.taken()
    points.end()
    if request.points:
        yield request.taken()


def checked_attributes(attributes: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
    """Return attributes as they are; raise TypeError or ValueError for what cannot be some."""
    if not isinstance(attributes, Mapping):
        raise TypeError(f"resource takes a mapping of attributes, got {attributes!r}")
    pairs: Iterable[tuple[object, object]] = attributes.items()
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str | bool | int | float):
            raise TypeError(
                "resource takes a mapping of str to str, bool, int or float, "
                f"got {key!r}: {value!r}"
            )
        if not key:
            raise ValueError(f"an attribute of resource has no name: {key!r}: {value!r}")
    return attributes


@cache
def scope_version() -> str:
    """Return the version of this library; nothing when it runs without being installed."""
    try:
        return version(SCOPE)
    except PackageNotFoundError:
        return ""
