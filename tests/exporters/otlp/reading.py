"""Requests as the official classes read them."""

from collections.abc import Iterator

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from metrics import Registry
from metrics.exporters import otlp
from tests.exporters.examples import NOW_NS


def metrics_in(request: bytes) -> list[Metric]:
    """Return the metrics of a request."""
    message = ExportMetricsServiceRequest.FromString(request)
    return [m for r in message.resource_metrics for s in r.scope_metrics for m in s.metrics]


def metrics_of(registry: Registry, **options: object) -> list[Metric]:
    """Return the metrics of a registry."""
    return metrics_in(otlp.render(registry, **{"timestamp_ns": NOW_NS, **options}))


def points_in(request: bytes) -> Iterator[tuple[str, object]]:
    """Yield the name of the metric and each data point of a request."""
    for metric in metrics_in(request):
        for point in getattr(metric, metric.WhichOneof("data")).data_points:
            yield metric.name, point


def labels(point: object) -> dict[str, str]:
    """Return the attributes of a data point, which are text."""
    return {pair.key: pair.value.string_value for pair in point.attributes}


def number(point: object) -> int | float:
    """Return the number of a data point."""
    return getattr(point, point.WhichOneof("value"))
