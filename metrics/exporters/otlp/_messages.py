"""OTLP's requests: the resource, the scope, and metrics with their data points.

The format: https://opentelemetry.io/docs/specs/otlp/. This module needs the `opentelemetry-proto`
package, and is imported at its first use.
"""

from collections.abc import Mapping
from typing import final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from metrics.exporters._encoding.numbers import INT64, clamp
from metrics.exporters._series.series import Labels
from metrics.exporters.otlp._conventions import Attribute, attribute_name

Attributes = list[KeyValue]


@final
class ExportRequest:
    """Request that is filled with metrics.

    Args:
        resource: attributes of the measured process.
        scope: the name of the measuring library.
        version: the library's version.
    """

    __slots__ = ("_metrics", "_resource", "_scope", "points")

    def __init__(self, resource: Mapping[str, Attribute], scope: str, version: str) -> None:
        self._resource = Resource(attributes=[attribute(*pair) for pair in resource.items()])
        self._scope = InstrumentationScope(name=scope, version=version)
        self._metrics: dict[tuple[str, str | None], Metric] = {}
        # Number of data points.
        self.points = 0

    def add(self, metric: Metric) -> None:
        """Add a metric of one data point to the metric of the same name and type."""
        key = (metric.name, metric.WhichOneof("data"))
        known = self._metrics.setdefault(key, metric)
        if known is not metric:
            known.MergeFrom(metric)
        self.points += 1

    def flush(self) -> bytes:
        """Return the request, encoded, and empty it for the next one."""
        scope_metrics = ScopeMetrics(scope=self._scope, metrics=self._metrics.values())
        request = ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(resource=self._resource, scope_metrics=[scope_metrics])
            ]
        )
        self._metrics = {}
        self.points = 0
        return request.SerializeToString()


def attribute(name: str, value: Attribute) -> KeyValue:
    """Return an attribute; an int beyond 64 bits is a float."""
    match value:
        case str():
            content = AnyValue(string_value=encodable(value))
        case bool():
            content = AnyValue(bool_value=value)
        case int() if -INT64 <= value < INT64:
            content = AnyValue(int_value=value)
        case _:
            content = AnyValue(double_value=clamp(value))
    return KeyValue(key=encodable(name), value=content)


def attributes(labels: Labels) -> Attributes:
    """Return labels as attributes, whose names are all different and not empty."""
    named: dict[str, str] = {}
    for label, text in labels:
        name = encodable(attribute_name(label)) or "_"
        while name in named:
            name += "_"
        named[name] = text
    return [attribute(name, text) for name, text in named.items()]


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: half a surrogate pair becomes `?`."""
    return text.encode(errors="replace").decode()
