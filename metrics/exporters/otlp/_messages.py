"""OTLP's requests: the resource, the scope, and metrics with their data points.

The format: https://opentelemetry.io/docs/specs/otlp/. This module needs the `opentelemetry-proto`
package, and is imported at its first use.
"""

import re
from collections.abc import Mapping
from typing import final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from metrics.exporters._encoding.numbers import INT64, Number, clamp
from metrics.exporters._encoding.units import SECOND
from metrics.exporters._series.series import Labels
from metrics.exporters.otlp._conventions import Attribute, attribute_name
from metrics.instruments._inner import Exemplars

Attributes = list[KeyValue]

TRACE_BYTES = 16
"""Length of the identifier of a trace (W3C Trace Context)."""

SPAN_BYTES = 8
"""Length of the identifier of a span."""

HEX = re.compile("[0-9a-fA-F]+")


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


def exemplar_messages(exemplars: Exemplars, since_ns: int = 0) -> list[Exemplar]:
    """Return the exemplars of a data point.

    Labels `trace_id` and `span_id` are the trace and the span if they are 16 and 8 bytes in hex;
    all others are attributes.

    Args:
        exemplars: the exemplars, and None for buckets without one.
        since_ns: time before which the data point counts no update.
    """
    messages: list[Exemplar] = []
    for exemplar in exemplars:
        if exemplar is None:
            continue
        at = max(int(exemplar.timestamp * SECOND), 0)
        if at < since_ns:
            continue
        labels = dict(exemplar.labels)
        message = Exemplar(time_unix_nano=at)
        message.trace_id = identifier(labels, "trace_id", TRACE_BYTES)
        message.span_id = identifier(labels, "span_id", SPAN_BYTES)
        message.filtered_attributes.extend(attributes(tuple(labels.items())))
        set_number(message, exemplar.value)
        messages.append(message)
    return messages


def identifier(labels: dict[str, str], name: str, size: int) -> bytes:
    """Remove and return an identifier in hex; leave a label of another form, and return none."""
    text = labels.get(name, "")
    if len(text) != 2 * size or not HEX.fullmatch(text):
        return b""
    del labels[name]
    return bytes.fromhex(text)


def set_number(point: NumberDataPoint | Exemplar, value: Number) -> None:
    """Set the value of a data point or an exemplar; an int beyond 64 bits is a float."""
    if isinstance(value, int) and -INT64 <= value < INT64:
        point.as_int = value
    else:
        point.as_double = clamp(value)


def encodable(text: str) -> str:
    """Return a text that UTF-8 can encode: half a surrogate pair becomes `?`."""
    return text.encode(errors="replace").decode()
