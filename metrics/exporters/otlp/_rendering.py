"""Registry as OTLP's requests."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

from metrics._extras import require_extra
from metrics._turns import Turns
from metrics._version import library_version
from metrics.exporters._encoding.framing import render_of
from metrics.exporters._encoding.units import checked_ns
from metrics.exporters._exposition.layouts import labelnames_of, layouts_of
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.deltas import Deltas
from metrics.exporters._series.series import read_series, split_points
from metrics.exporters.otlp._conventions import Attribute
from metrics.exporters.otlp._layout import OtlpLayout
from metrics.exporters.otlp._starts import Starts
from metrics.instruments._inner import Whole, size
from metrics.registry import Registry
from metrics.registry._inner import store_of

if TYPE_CHECKING:
    from metrics.exporters.otlp._messages import ExportRequest
    from metrics.exporters.otlp._points import DataPoints

CONTENT_TYPE = "application/x-protobuf"

SCOPE = "wired-metrics"

DIALECT = "OTLP"
"""The name of the format in the log, when it renames an instrument."""

DISTRIBUTIONS = ("histogram", "summary")
"""Metrics that a sample can be exported as."""

MAX_POINTS = 2000
"""Default limit of the data points of one request."""

NO_ATTRIBUTES: Mapping[str, Attribute] = {}

T = TypeVar("T")


def stream(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    resource: Mapping[str, Attribute] = NO_ATTRIBUTES,
    distributions: str = DISTRIBUTIONS[0],
    starts: Starts | None = None,
    deltas: Deltas | None = None,
    batch_size: Whole = MAX_POINTS,
    reader: str = "otlp",
) -> Iterator[bytes]:
    """Yield the values of a registry as `ExportMetricsServiceRequest`s.

    Each is a whole request of at most `batch_size` data points. Joined, as `render` returns them,
    protobuf reads them as one. With `deltas`, all have to be sent, in order. Errors are raised by
    the call itself.

    Counters are monotonic sums; up-down counters are sums that are not monotonic; a meter is a sum
    and a gauge of its rates, `<name>.rate`, by `window`; an info is a gauge of 1 with the info
    labels as attributes; a health check is a gauge, 1 when healthy. Timers and histograms are
    explicit-bucket histograms. One that keeps a sample in place of buckets is a histogram with
    count and sum alone, and a gauge of the sample's quantiles, `<name>.quantile`, by `quantile`
    (0 and 1 are minimum and maximum); or a summary, see `distributions`. A timer has the rates of a
    meter beside it.

    Names have dots for `/`: `http.server.request.duration`. An instrument whose name another one
    has after that gets a number, which is logged once. A label that stands for an attribute of the
    semantic conventions gets the name of the attribute, as `http.route` for `http_route`; any other
    label is an attribute of the same name. Units are UCUM codes. Ints beyond 64 bits become floats.
    Instruments of unknown kinds are left out. Monotonic sums and histograms with buckets have their
    latest exemplars, with `deltas` the exemplars since the last report only.

    Totals start when their instrument was created or cleared. The start also moves when a total
    falls for another reason, provided that `starts` is passed.

    Args:
        registry: the registry to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970.
        resource: attributes of the measured process: `service.name`, `service.instance.id`, ...
        distributions: the metric of a sample: `histogram`, or `summary`, which several backends do
            not take. Of a family with summaries and histograms the kind that is read first is
            exported, and the others are left out, which is logged.
        starts: start times of the receiver's series; the same `Starts()` for each report.
        deltas: totals that the receiver has; the same `Deltas()` for each report. With it,
            monotonic sums and histograms have delta temporality: they are the increments since the
            last report. Without it, all are cumulative.
        batch_size: the limit of data points in one request.
        reader: the reader's name; values that reset at a read reset for this reader alone.

    Raises:
        ImportError: `opentelemetry-proto` is not installed.
        TypeError: `timestamp_ns` or `batch_size` is not an int, `starts` or `deltas` is of another
            type, `resource` is not a mapping, or an attribute is of another type.
        ValueError: `timestamp_ns` is negative or has more than 63 bits, `distributions` is neither
            of the two, `batch_size` is not positive, or an attribute has no name.
    """
    with require_extra("otlp"):
        from metrics.exporters.otlp._messages import ExportRequest  # noqa: PLC0415
        from metrics.exporters.otlp._points import DataPoints  # noqa: PLC0415
    if distributions not in DISTRIBUTIONS:
        choices = " or ".join(DISTRIBUTIONS)
        raise ValueError(f"invalid distributions {distributions!r}: use {choices}")
    points = DataPoints(
        checked_ns(timestamp_ns),
        kept_state("starts", starts, Starts) or Starts(),
        kept_state("deltas", deltas, Deltas),
        as_summaries=distributions == DISTRIBUTIONS[1],
    )
    request = ExportRequest(checked_attributes(resource), SCOPE, library_version())
    return requests(registry, reader, points, request, size("batch_size", batch_size))


render = render_of(stream)


def requests(
    registry: Registry, reader: str, points: "DataPoints", request: "ExportRequest", limit: int
) -> Iterator[bytes]:
    """Yield requests of at most `limit` data points."""
    layouts = layouts_of(store_of(registry), DIALECT, OtlpLayout)
    turns = Turns()
    layouts.update(turns)
    taken: dict[str, str] = {}
    points.begin()
    for one in split_points(read_series(registry, reader)):
        layout = layouts.of(one.entry, labelnames_of(one.entry))
        assert isinstance(layout, OtlpLayout)  # noqa: S101 - created by the class given above
        name = layout.metric_name()
        for metric in points.metrics(one, name):
            # Instruments of foreign kinds are not numbered.
            owner = taken.setdefault(metric.name, one.entry.name)
            if owner != one.entry.name:
                warn_once(one.entry.name, metric.name, owner)
                continue
            request.add(metric)
            if request.points == limit:
                yield request.flush()
    points.end()
    layouts.prune(turns)
    if request.points:
        yield request.flush()


def kept_state(option: str, value: T | None, kind: type[T]) -> T | None:
    """Return the state that a destination keeps between reports; raise TypeError for others."""
    if value is None or isinstance(value, kind):
        return value
    raise TypeError(
        f"invalid {option} {value!r}: use one {kind.__name__}() for all reports to a destination"
    )


def checked_attributes(attributes: Mapping[str, Attribute]) -> Mapping[str, Attribute]:
    """Return attributes unchanged.

    Raises:
        TypeError: `attributes` is not a mapping of str to str, bool, int or float.
        ValueError: an attribute has no name.
    """
    rule = "use a mapping of str to str, bool, int or float"
    if not isinstance(attributes, Mapping):
        raise TypeError(f"invalid resource {attributes!r}: {rule}")
    pairs: Iterable[tuple[object, object]] = attributes.items()
    for key, value in pairs:
        if not isinstance(key, str) or not isinstance(value, str | bool | int | float):
            raise TypeError(f"invalid attribute {key!r}: {value!r} of resource: {rule}")
        if not key:
            raise ValueError(f"invalid attribute {key!r}: {value!r} of resource: give it a name")
    return attributes
