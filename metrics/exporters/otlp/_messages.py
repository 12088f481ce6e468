"""OTLP's messages: what series become, and the request that holds them.

The format: https://opentelemetry.io/docs/specs/otel/metrics/data-model/. This module needs the
`opentelemetry-proto` package, so nothing imports it before it is used.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import cast, final

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
    SummaryDataPoint,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from metrics.exporters._encoding.numbers import Number, bounded
from metrics.exporters._encoding.units import code_of, code_of_rate
from metrics.exporters._exposition.families import SUMMARY_QUANTILES, WINDOWS
from metrics.exporters._series.deltas import Deltas
from metrics.exporters._series.series import Labels, Series
from metrics.instruments import (
    BucketHistogramSnapshot,
    HistogramSnapshot,
    MeterSnapshot,
    UpDownCounterSnapshot,
)

FRACTIONS = (0.0, *SUMMARY_QUANTILES, 1.0)
"""The quantiles of a summary; the first and the last are minimum and maximum."""

Attributes = list[KeyValue]


@final
class Request:
    """A request that is being filled.

    Args:
        resource: attributes of what is measured.
        scope: what measures.
        version: that of the scope.
    """

    __slots__ = ("_metrics", "_resource", "_scope", "points")

    def __init__(
        self, resource: Mapping[str, str | bool | int | float], scope: str, version: str
    ) -> None:
        self._resource = Resource(attributes=[attribute(*pair) for pair in resource.items()])
        self._scope = InstrumentationScope(name=scope, version=version)
        self._metrics: dict[tuple[str, str | None], Metric] = {}
        self.points = 0

    def add(self, metric: Metric) -> None:
        """Add a metric of one data point to that of the same name and type."""
        key = (metric.name, metric.WhichOneof("data"))
        known = self._metrics.setdefault(key, metric)
        if known is not metric:
            known.MergeFrom(metric)
        self.points += 1

    def taken(self) -> bytes:
        """Return the request, encoded, and begin another."""
        scope_metrics = ScopeMetrics(scope=self._scope, metrics=self._metrics.values())
        request = ExportMetricsServiceRequest(
            resource_metrics=[
                ResourceMetrics(resource=self._resource, scope_metrics=[scope_metrics])
            ]
        )
        self._metrics = {}
        self.points = 0
        return request.SerializeToString()


@final
class Points:
    """Turns series into metrics of one data point each.

    Args:
        start_ns: since when totals have been counted.
        timestamp_ns: the time of the values.
        deltas: what has been told; none for cumulative totals.
    """

    __slots__ = ("_deltas", "_start_ns", "_temporality", "_timestamp_ns")

    def __init__(self, start_ns: int, timestamp_ns: int, deltas: Deltas | None) -> None:
        self._start_ns = start_ns
        self._timestamp_ns = timestamp_ns
        self._deltas = deltas
        self._temporality = (
            AGGREGATION_TEMPORALITY_CUMULATIVE if deltas is None else AGGREGATION_TEMPORALITY_DELTA
        )

    def begin(self) -> None:
        """Begin a pass over all series."""
        if self._deltas is not None:
            self._deltas.begin(self._start_ns, self._timestamp_ns)

    def end(self) -> None:
        """End the pass."""
        if self._deltas is not None:
            self._deltas.end()

    def of(self, one: Series) -> Iterator[Metric]:
        """Yield what a series becomes; nothing if it is not one of the library's own."""
        code = code_of(one.entry.unit)
        labels = attributes(one.labels)
        snapshot = one.snapshot
        sample, rates, scalar = snapshot.distribution, snapshot.rates, snapshot.scalar
        if sample is not None:
            yield from self._distribution(one, code, labels, sample)
            if rates is not None:
                # Rates of a timer are events, not seconds, a second.
                yield from self._rates(one, "", labels, rates)
        elif scalar is not None and snapshot.total is not None:
            yield self._sum(one, code, labels, scalar)
            if rates is not None:
                yield from self._rates(one, code, labels, rates)
        elif isinstance(snapshot, UpDownCounterSnapshot):
            point = self._number(labels, snapshot.count, self._start_ns)
            cumulative = AGGREGATION_TEMPORALITY_CUMULATIVE
            yield metric_of(
                one, code, sum=Sum(data_points=[point], aggregation_temporality=cumulative)
            )
        elif scalar is not None and one.kind is not None:
            is_health = one.kind.geth == "healthcheck"
            yield self._gauge(one, "1" if is_health else code, labels, scalar)

    def _number(self, labels: Attributes, value: Number, start_ns: int = 0) -> NumberDataPoint:
        point = NumberDataPoint(
            attributes=labels, start_time_unix_nano=start_ns, time_unix_nano=self._timestamp_ns
        )
        if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
            point.as_int = value
        else:
            point.as_double = bounded(value)
        return point

    def _gauge(self, one: Series, code: str, labels: Attributes, value: Number) -> Metric:
        return metric_of(one, code, gauge=Gauge(data_points=[self._number(labels, value)]))

    def _sum(self, one: Series, code: str, labels: Attributes, total: Number) -> Metric:
        start_ns, (value,) = self._added((one.name, one.labels), (total,))
        data = Sum(
            data_points=[self._number(labels, value, start_ns)],
            aggregation_temporality=self._temporality,
            is_monotonic=True,
        )
        return metric_of(one, code, sum=data)

    def _rates(
        self, one: Series, code: str, labels: Attributes, rates: MeterSnapshot
    ) -> Iterator[Metric]:
        values = (rates.rate1, rates.rate5, rates.rate15, rates.rate_mean)
        for window, rate in zip(WINDOWS, values, strict=True):
            point = self._number([*labels, attribute("window", window)], rate)
            yield metric_of(one, code_of_rate(code), ".rate", gauge=Gauge(data_points=[point]))

    def _distribution(
        self,
        one: Series,
        code: str,
        labels: Attributes,
        sample: HistogramSnapshot | BucketHistogramSnapshot,
    ) -> Iterator[Metric]:
        if not one.takes(sample):
            return
        if isinstance(sample, BucketHistogramSnapshot):
            yield metric_of(one, code, histogram=self._histogram(one, labels, sample))
            return
        # Quantiles of an empty sample there are none, and 0 would be a lie.
        fractions = FRACTIONS if sample.size else ()
        values = zip(fractions, sample.percentiles(fractions), strict=True)
        point = SummaryDataPoint(
            attributes=labels,
            start_time_unix_nano=self._start_ns,
            time_unix_nano=self._timestamp_ns,
            count=sample.total_count,
            sum=sample.total_sum,
            quantile_values=[
                SummaryDataPoint.ValueAtQuantile(quantile=fraction, value=value)
                for fraction, value in values
            ],
        )
        yield metric_of(one, code, summary=Summary(data_points=[point]))

    def _histogram(
        self, one: Series, labels: Attributes, sample: BucketHistogramSnapshot
    ) -> Histogram:
        counts = [high - low for low, high in pairwise((0, *sample.buckets))]
        key = (one.name, one.labels, sample.bounds)
        start_ns, added = self._added(key, (sum(counts), sample.sum, *counts))
        count, total, *buckets = added
        point = HistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=start_ns,
            time_unix_nano=self._timestamp_ns,
            count=cast("int", count),
            # The sum of what may be negative has no place in the format.
            sum=None if sample.bounds[0] < 0.0 or sample.sum < 0.0 else total,
            bucket_counts=cast("list[int]", buckets),
            explicit_bounds=sample.bounds,
        )
        return Histogram(data_points=[point], aggregation_temporality=self._temporality)

    def _added(self, key: object, totals: tuple[Number, ...]) -> tuple[int, tuple[Number, ...]]:
        """Return since when, and the totals or what was added to them."""
        if self._deltas is None:
            return self._start_ns, totals
        return self._deltas.added(key, totals)


def metric_of(  # one of the last four is given
    one: Series,
    code: str,
    suffix: str = "",
    *,
    sum: Sum | None = None,  # noqa: A002 - the format's name for it
    gauge: Gauge | None = None,
    summary: Summary | None = None,
    histogram: Histogram | None = None,
) -> Metric:
    """Return a metric with the name and description of a series, and data of one type."""
    return Metric(
        name=one.name + suffix,
        description=valid(one.entry.description),
        unit=code,
        sum=sum,
        gauge=gauge,
        summary=summary,
        histogram=histogram,
    )


def attribute(name: str, value: str | bool | float) -> KeyValue:
    """Return an attribute; an int beyond 64 bits is a float."""
    match value:
        case str():
            held = AnyValue(string_value=valid(value))
        case bool():
            held = AnyValue(bool_value=value)
        case int() if -(1 << 63) <= value < 1 << 63:
            held = AnyValue(int_value=value)
        case _:
            held = AnyValue(double_value=bounded(value))
    return KeyValue(key=valid(name), value=held)


def attributes(labels: Labels) -> Attributes:
    """Return labels as attributes, whose names are all different and not empty."""
    named: dict[str, str] = {}
    for key, text in labels:
        name = valid(key) or "_"
        while name in named:
            name += "_"
        named[name] = text
    return [attribute(name, text) for name, text in named.items()]


def valid(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair becomes `?`."""
    return text.encode(errors="replace").decode()
