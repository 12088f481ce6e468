"""Series as OTLP's metrics of one data point each.

The format: https://opentelemetry.io/docs/specs/otel/metrics/data-model/. This module needs the
`opentelemetry-proto` package, and is imported at its first use.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, cast, final

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Exemplar,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
    Summary,
    SummaryDataPoint,
)

from metrics.exporters._encoding.numbers import Number, canonical
from metrics.exporters._encoding.units import code_of, code_of_rate
from metrics.exporters._exposition.distributions import SUMMARY_QUANTILES
from metrics.exporters._exposition.families import WINDOWS
from metrics.exporters._series.deltas import Deltas
from metrics.exporters._series.series import Series
from metrics.exporters._series.views import rates_of
from metrics.exporters.otlp._conventions import QUANTILE, RATE
from metrics.exporters.otlp._messages import (
    Attributes,
    attribute,
    attributes,
    encodable,
    exemplar_messages,
    set_number,
)
from metrics.exporters.otlp._starts import Starts
from metrics.instruments import (
    BucketHistogramSnapshot,
    HistogramSnapshot,
    MeterSnapshot,
    Snapshot,
    UpDownCounterSnapshot,
)

FRACTIONS = (0.0, *SUMMARY_QUANTILES, 1.0)
"""Quantiles of a sample; the first and the last are its minimum and maximum."""


class Subject(NamedTuple):
    """Series as OTLP has it: the name of its metric, the unit's code and the attributes."""

    series: Series
    name: str
    unit: str
    labels: Attributes

    def beside(self, suffix: str, unit: str, label: str, value: str) -> "Subject":
        """Return the subject of a gauge beside the metric, with one more attribute."""
        labels = [*self.labels, attribute(label, value)]
        return Subject(self.series, self.name + suffix, unit, labels)


@final
class DataPoints:
    """Conversion of series to metrics of one data point each.

    Args:
        timestamp_ns: the time of the values.
        starts: start times of the series.
        deltas: totals of the last report; None for cumulative temporality.
        as_summaries: whether samples are summaries.
    """

    __slots__ = ("_as_summaries", "_deltas", "_starts", "_temporality", "_timestamp_ns")

    def __init__(
        self, timestamp_ns: int, starts: Starts, deltas: Deltas | None, *, as_summaries: bool
    ) -> None:
        self._timestamp_ns = timestamp_ns
        self._starts = starts
        self._deltas = deltas
        self._as_summaries = as_summaries
        self._temporality = (
            AGGREGATION_TEMPORALITY_CUMULATIVE if deltas is None else AGGREGATION_TEMPORALITY_DELTA
        )

    def begin(self) -> None:
        """Begin a pass over all series."""
        self._starts.begin(self._timestamp_ns)
        if self._deltas is not None:
            # No delta starts before its series.
            self._deltas.begin(0, self._timestamp_ns)

    def end(self) -> None:
        """End the pass."""
        self._starts.end()
        if self._deltas is not None:
            self._deltas.end()

    def metrics(self, one: Series, name: str) -> Iterator[Metric]:
        """Yield the metrics of a series; none for an instrument of an unknown kind.

        Args:
            one: the series.
            name: the name of its metric; gauges beside it have a suffix.
        """
        subject = Subject(one, name, code_of(one.entry.unit), attributes(one.labels))
        snapshot = one.snapshot
        sample, rates, scalar = snapshot.distribution, snapshot.rates, snapshot.scalar
        if sample is not None:
            yield from self._distribution(subject, sample)
            if rates is not None:
                # Rates of a timer are events, not seconds, a second.
                yield from self._rates(subject, code_of_rate(""), rates)
        elif scalar is not None and snapshot.total is not None:
            yield self._sum(subject, scalar)
            if rates is not None:
                yield from self._rates(subject, code_of_rate(subject.unit), rates)
        elif isinstance(snapshot, UpDownCounterSnapshot):
            point = self._number(subject.labels, snapshot.count, self._starts.start_ns(one, 0))
            cumulative = AGGREGATION_TEMPORALITY_CUMULATIVE
            data = Sum(data_points=[point], aggregation_temporality=cumulative)
            yield metric_of(subject, sum=data)
        elif scalar is not None and one.kind is not None:
            is_health = one.kind.geth == "healthcheck"
            yield self._gauge(subject._replace(unit="1") if is_health else subject, scalar)

    def _sum(self, subject: Subject, total: Number) -> Metric:
        start_ns, (value,) = self._counts(subject, (total,))
        point = self._number(subject.labels, value, start_ns)
        point.exemplars.extend(self._exemplars(subject.series.snapshot, start_ns))
        data = Sum(
            data_points=[point],
            aggregation_temporality=self._temporality,
            is_monotonic=True,
        )
        return metric_of(subject, sum=data)

    def _gauge(self, subject: Subject, value: Number) -> Metric:
        return metric_of(subject, gauge=Gauge(data_points=[self._number(subject.labels, value)]))

    def _rates(self, subject: Subject, unit: str, rates: MeterSnapshot) -> Iterator[Metric]:
        for window, rate in zip(WINDOWS, rates_of(rates), strict=True):
            yield self._gauge(subject.beside(RATE, unit, "window", window), rate)

    def _distribution(
        self, subject: Subject, sample: HistogramSnapshot | BucketHistogramSnapshot
    ) -> Iterator[Metric]:
        if self._as_summaries and not subject.series.takes(sample):
            return
        if isinstance(sample, BucketHistogramSnapshot):
            yield self._histogram(subject, self._buckets(subject, sample))
            return
        # An empty sample has no quantiles, and 0 would be a lie.
        fractions = FRACTIONS if sample.size else ()
        quantiles = [*zip(fractions, sample.percentiles(fractions), strict=True)]
        if self._as_summaries:
            yield metric_of(subject, summary=self._summary(subject, sample, quantiles))
            return
        yield self._histogram(subject, self._totals(subject, sample))
        for fraction, value in quantiles:
            beside = subject.beside(QUANTILE, subject.unit, "quantile", canonical(fraction))
            yield self._gauge(beside, value)

    def _histogram(self, subject: Subject, point: HistogramDataPoint) -> Metric:
        data = Histogram(data_points=[point], aggregation_temporality=self._temporality)
        return metric_of(subject, histogram=data)

    def _buckets(self, subject: Subject, sample: BucketHistogramSnapshot) -> HistogramDataPoint:
        """Return the data point of a histogram with buckets."""
        counts = [high - low for low, high in pairwise((0, *sample.buckets))]
        totals = (sum(counts), sample.sum, *counts)
        start_ns, (count, total, *buckets) = self._counts(subject, totals, sample.bounds)
        point = self._measured(subject.labels, count, start_ns)
        point.bucket_counts.extend(cast("list[int]", buckets))
        point.explicit_bounds.extend(sample.bounds)
        point.exemplars.extend(self._exemplars(sample, start_ns))
        if sample.bounds[0] >= 0.0 and sample.sum >= 0.0:
            point.sum = total
        return point

    def _totals(self, subject: Subject, sample: HistogramSnapshot) -> HistogramDataPoint:
        """Return the data point of a histogram without buckets, which the format allows.

        No counts of a sample's buckets only grow, and its minimum and maximum are not the extremes
        of all values.
        """
        totals = (sample.total_count, sample.total_sum)
        start_ns, (count, total) = self._counts(subject, totals)
        point = self._measured(subject.labels, count, start_ns)
        if sample.min >= 0.0 and sample.total_sum >= 0.0:
            point.sum = total
        return point

    def _summary(
        self, subject: Subject, sample: HistogramSnapshot, quantiles: list[tuple[float, float]]
    ) -> Summary:
        point = SummaryDataPoint(
            attributes=subject.labels,
            start_time_unix_nano=self._starts.start_ns(subject.series, sample.total_count),
            time_unix_nano=self._timestamp_ns,
            count=sample.total_count,
            sum=sample.total_sum,
            quantile_values=[
                SummaryDataPoint.ValueAtQuantile(quantile=fraction, value=value)
                for fraction, value in quantiles
            ],
        )
        return Summary(data_points=[point])

    def _number(self, labels: Attributes, value: Number, start_ns: int = 0) -> NumberDataPoint:
        """Return the data point of a sum or a gauge."""
        point = NumberDataPoint(
            attributes=labels, start_time_unix_nano=start_ns, time_unix_nano=self._timestamp_ns
        )
        set_number(point, value)
        return point

    def _measured(self, labels: Attributes, count: Number, start_ns: int) -> HistogramDataPoint:
        """Return the data point of a histogram, without its sum.

        The format has no place for a sum that falls, as the sum of negative values does.
        """
        return HistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=start_ns,
            time_unix_nano=self._timestamp_ns,
            count=cast("int", count),
        )

    def _exemplars(self, snapshot: Snapshot, start_ns: int) -> list[Exemplar]:
        """Return the exemplars of a data point; none of earlier increments, which are reported."""
        return exemplar_messages(snapshot.exemplars, 0 if self._deltas is None else start_ns)

    def _counts(
        self, subject: Subject, totals: tuple[Number, ...], bounds: tuple[float, ...] = ()
    ) -> tuple[int, tuple[Number, ...]]:
        """Return the start of a series, and its totals or the increments since the start."""
        one = subject.series
        start_ns = self._starts.start_ns(one, totals[0])
        if self._deltas is None:
            return start_ns, totals
        since_ns, increments = self._deltas.added((*one.identity, bounds), totals)
        return max(since_ns, start_ns), increments


def metric_of(
    subject: Subject,
    *,
    sum: Sum | None = None,  # noqa: A002 - the format's name for it
    gauge: Gauge | None = None,
    summary: Summary | None = None,
    histogram: Histogram | None = None,
) -> Metric:
    """Return the metric of a subject with data of one of the types."""
    return Metric(
        name=subject.name,
        description=encodable(subject.series.entry.description),
        unit=subject.unit,
        sum=sum,
        gauge=gauge,
        summary=summary,
        histogram=histogram,
    )
