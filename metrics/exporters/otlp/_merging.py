"""OTLP requests split by data point, and added up.

The rules of addition: https://opentelemetry.io/docs/specs/otel/metrics/data-model/#sums, "delta
temporality". This module needs the `opentelemetry-proto` package, so nothing imports it before it
is used.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest as ExportRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_DELTA,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ScopeMetrics,
)

from metrics.exporters._series.series import labels_text
from metrics.exporters.otlp._messages import set_number


class Single(NamedTuple):
    """Request of one data point."""

    request: ExportRequest
    metric: Metric
    kind: str

    @property
    def origin(self) -> tuple[bytes, bytes]:
        """The resource and the scope."""
        (resource,) = self.request.resource_metrics
        (scope,) = resource.scope_metrics
        return resource.resource.SerializeToString(), scope.scope.SerializeToString()


def split(payload: bytes) -> list[bytes]:
    """Return the requests of one data point each that a request is made of."""
    requests = []
    for resource in ExportRequest.FromString(payload).resource_metrics:
        for scope in resource.scope_metrics:
            single = ExportRequest()
            target = single.resource_metrics.add(
                resource=resource.resource, schema_url=resource.schema_url
            )
            metrics = target.scope_metrics.add(
                scope=scope.scope, schema_url=scope.schema_url
            ).metrics
            for metric in scope.metrics:
                kind = metric.WhichOneof("data") or ""
                points = list(getattr(metric, kind).data_points) if kind else []
                metrics.add().CopyFrom(metric)
                for point in points:
                    held = getattr(metrics[0], kind).data_points
                    del held[:]
                    held.append(point)
                    requests.append(single.SerializeToString())
                del metrics[:]
    return requests


def join(requests: Sequence[bytes]) -> bytes:
    """Return one request with the data points of several; the inverse of `split`."""
    joined = ExportRequest()
    scopes: dict[object, ScopeMetrics] = {}
    metrics: dict[object, Metric] = {}
    for single in map(single_of, requests):
        origin = single.origin
        if origin not in scopes:
            joined.MergeFrom(single.request)
            scopes[origin] = joined.resource_metrics[-1].scope_metrics[0]
            del scopes[origin].metrics[:]
        key = (origin, single.metric.name, single.kind)
        if key in metrics:
            data = getattr(single.metric, single.kind).data_points
            getattr(metrics[key], single.kind).data_points.extend(data)
        else:
            metrics[key] = scopes[origin].metrics.add()
            metrics[key].CopyFrom(single.metric)
    return joined.SerializeToString()


def merge(requests: Iterable[bytes]) -> list[bytes]:
    """Return the sums of the data points with delta temporality, one request for each series.

    The time of a sum begins with the earliest and ends with the latest of its data points. All
    other data points are left out.
    """
    sums: dict[object, Single] = {}
    for single in map(single_of, requests):
        data = getattr(single.metric, single.kind)
        if getattr(data, "aggregation_temporality", None) != AGGREGATION_TEMPORALITY_DELTA:
            continue
        (point,) = data.data_points
        key = (
            single.origin,
            single.metric.name,
            single.kind,
            tuple([attribute.SerializeToString() for attribute in point.attributes]),
            tuple(getattr(point, "explicit_bounds", ())),
        )
        known = sums.setdefault(key, single)
        if known is not single:
            add_point(getattr(known.metric, known.kind).data_points[0], point)
    return [single.request.SerializeToString() for single in sums.values()]


def describe(request: bytes) -> str:
    """Return the name and the attributes of the data point of a request."""
    single = single_of(request)
    (point,) = getattr(single.metric, single.kind).data_points
    labels = [
        (pair.key, str(getattr(pair.value, pair.value.WhichOneof("value") or "string_value")))
        for pair in point.attributes
    ]
    return single.metric.name + labels_text(tuple(labels))


def single_of(request: bytes) -> Single:
    """Return a request of one data point, decoded."""
    decoded = ExportRequest.FromString(request)
    metric = decoded.resource_metrics[0].scope_metrics[0].metrics[0]
    return Single(decoded, metric, metric.WhichOneof("data") or "")


def add_point(
    total: NumberDataPoint | HistogramDataPoint, more: NumberDataPoint | HistogramDataPoint
) -> None:
    """Add a data point to another of the same series, which may overlap it in no time."""
    total.start_time_unix_nano = min(total.start_time_unix_nano, more.start_time_unix_nano)
    total.time_unix_nano = max(total.time_unix_nano, more.time_unix_nano)
    if more.exemplars:
        del total.exemplars[:]
        total.exemplars.extend(more.exemplars)
    if isinstance(total, NumberDataPoint) and isinstance(more, NumberDataPoint):
        set_number(total, number_of(total) + number_of(more))
    elif isinstance(total, HistogramDataPoint) and isinstance(more, HistogramDataPoint):
        total.count += more.count
        counts = zip(total.bucket_counts, more.bucket_counts, strict=True)
        total.bucket_counts[:] = [one + other for one, other in counts]
        if total.HasField("sum") and more.HasField("sum"):
            total.sum += more.sum
        else:
            total.ClearField("sum")


def number_of(point: NumberDataPoint) -> int | float:
    """Return the value of a data point."""
    return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
