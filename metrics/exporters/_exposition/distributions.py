"""Metric families of distributions: summaries and histograms."""

from functools import lru_cache
from typing import Any, Final, cast, final

from metrics._native import BytesWriter, i64
from metrics._units import Scale
from metrics.exporters._encoding.numbers import canonical
from metrics.exporters._exposition.families import (
    DirectFamily,
    MetricFamily,
    Sample,
    Values,
    tails_of,
)
from metrics.exporters._exposition.writing import (
    LINE_FEED,
    encode,
    write_exemplar,
    write_number,
    write_whole,
)
from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    HistogramSnapshot,
    Snapshot,
)
from metrics.instruments._inner import Exemplars
from metrics.registry._inner import Labels

SUMMARY_QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)
"""Quantiles of a summary, which are go-ethereum's."""

QUANTILE_TEXTS = [canonical(quantile) for quantile in SUMMARY_QUANTILES]
"""Quantiles of a summary as values of the label `quantile`."""

QUANTILE_TAILS: Final[list[bytes]] = tails_of(QUANTILE_TEXTS)


@final
class DistributionText:
    """Text of a distribution's child, without its numbers.

    Args:
        opening: the text up to the value of the last label.
        sum: the text before its sum.
        count: the text before its count.
    """

    __slots__ = ("count", "opening", "sum")

    def __init__(
        self,
        opening: bytes,
        sum: bytes,  # noqa: A002 - the format's name for it
        count: bytes,
    ) -> None:
        self.opening = opening
        self.sum = sum
        self.count = count


@final
class SummaryFamily(MetricFamily):
    """Sample of values: quantiles, sum and count. An empty sample has no quantiles."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return snapshot.distribution

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append a line for each quantile, and sum and count."""
        assert isinstance(view, HistogramSnapshot)  # noqa: S101 - the view of this family
        own = cast("DistributionText", text)
        if view.size:
            quantiles = view.percentiles(SUMMARY_QUANTILES)
            for tail, value in zip(QUANTILE_TAILS, quantiles, strict=True):
                if value < 0.0 and self.unsigned:
                    continue
                writer.write(own.opening)
                writer.write(tail)
                self.write_value(writer, value)
                writer.append(LINE_FEED)
        if not (view.total_sum < 0.0 and self.unsigned):
            writer.write(own.sum)
            self.write_value(writer, view.total_sum)
            writer.append(LINE_FEED)
        writer.write(own.count)
        write_number(writer, view.total_count)
        writer.append(LINE_FEED)

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return a sample for each quantile, and sum and count."""
        assert isinstance(view, HistogramSnapshot)  # noqa: S101 - the view of this family
        labels = self.labels(values)
        samples: list[Sample] = []
        if view.size:
            quantiles = view.percentiles(SUMMARY_QUANTILES)
            for text, value in zip(QUANTILE_TEXTS, quantiles, strict=True):
                own = (*labels, ("quantile", text))
                samples.append(Sample(self.name, own, self.scale.of(value)))
        samples.append(Sample(f"{self.name}_sum", labels, self.scale.of(view.total_sum)))
        samples.append(Sample(f"{self.name}_count", labels, view.total_count))
        return samples

    def _text(self, values: Values) -> Any:
        return text_of(self, values, "quantile")


@final
class HistogramFamily(DirectFamily):
    """Histogram: cumulative buckets, sum and count."""

    __slots__ = ("_newest",)

    def __init__(
        self,
        name: str,
        kind: str,
        heading: bytes,
        stem: str,
        suffixes: Values,
        scale: Scale,
        labelnames: Values,
        constant: Labels,
    ) -> None:
        super().__init__(name, kind, heading, stem, suffixes, scale, labelnames, constant)
        # Bounds of the child that was written last, and their tails: most children have the same.
        self._newest: tuple[tuple[float, ...], list[bytes]] = ((), [])

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return snapshot.distribution

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append a line for each bucket, and sum and count."""
        self.write_traced(writer, text, view, ())

    def write_traced(self, writer: BytesWriter, text: Any, view: Any, exemplars: Exemplars) -> None:
        """Append a line for each bucket, and sum and count."""
        assert isinstance(view, BucketHistogramSnapshot)  # noqa: S101 - the view of this family
        own = cast("DistributionText", text)
        opening = own.opening
        tails = self._tails(view.bounds)
        buckets = view.buckets
        for i in range(len(tails)):
            writer.write(opening)
            writer.write(tails[i])
            write_number(writer, buckets[i])
            if exemplars:
                exemplar = exemplars[i]
                if exemplar is not None:
                    write_exemplar(writer, exemplar, self.scale)
            writer.append(LINE_FEED)
        if self._write_sum(writer, own, view.bounds, view.sum):
            writer.write(own.count)
            write_number(writer, buckets[-1])
            writer.append(LINE_FEED)

    def write_instrument(self, writer: BytesWriter, text: Any, child: Any, *, traced: bool) -> bool:
        """Append a line for each bucket of a bucket histogram, and sum and count."""
        if not isinstance(child, BucketHistogram):
            return False
        if traced and child._exemplars is not None:  # noqa: SLF001 - no property
            snapshot = child.snapshot()
            self.write_traced(writer, text, snapshot, snapshot.exemplars)
            return True
        counts, total, _ = child._read()  # noqa: SLF001 - as above
        bounds = child._bounds  # noqa: SLF001 - as above
        own = cast("DistributionText", text)
        opening = own.opening
        tails = self._tails(bounds)
        bucket: i64 = 0
        for i in range(len(tails)):
            bucket += counts[i]
            writer.write(opening)
            writer.write(tails[i])
            write_whole(writer, bucket)
            writer.append(LINE_FEED)
        if self._write_sum(writer, own, bounds, total):
            writer.write(own.count)
            write_whole(writer, bucket)
            writer.append(LINE_FEED)
        return True

    def _write_sum(
        self, writer: BytesWriter, own: DistributionText, bounds: tuple[float, ...], total: float
    ) -> bool:
        """Append the sum, and return whether the format has a sum, and therefore a count."""
        if self.unsigned and (bounds[0] < 0.0 or total < 0.0):
            return False
        writer.write(own.sum)
        self.write_value(writer, total)
        writer.append(LINE_FEED)
        return True

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return a sample for each bucket, and sum and count."""
        assert isinstance(view, BucketHistogramSnapshot)  # noqa: S101 - the view of this family
        labels = self.labels(values)
        buckets = view.buckets
        samples = [
            Sample(f"{self.name}_bucket", (*labels, ("le", bound)), count)
            for bound, count in zip(bound_texts(view.bounds, self.scale), buckets, strict=True)
        ]
        samples.append(Sample(f"{self.name}_sum", labels, self.scale.of(view.sum)))
        samples.append(Sample(f"{self.name}_count", labels, buckets[-1]))
        return samples

    def _text(self, values: Values) -> Any:
        return text_of(self, values, "le", "_bucket")

    def _tails(self, bounds: tuple[float, ...]) -> list[bytes]:
        """Return the text from the label `le` to the number, for each bucket."""
        newest = self._newest
        if newest[0] is not bounds:
            if newest[0] != bounds:
                newest = (bounds, bound_tails(bounds, self.scale))
            else:
                newest = (bounds, newest[1])
            self._newest = newest
        return newest[1]


def text_of(family: MetricFamily, values: Values, label: str, suffix: str = "") -> DistributionText:
    """Return the text of a child whose samples have one more label, but for sum and count."""
    labels = family.labels(values)
    return DistributionText(
        family.opening(values, label, suffix),
        encode(family.prefix(f"{family.name}_sum", labels)),
        encode(family.prefix(f"{family.name}_count", labels)),
    )


@lru_cache(maxsize=64)
def bound_texts(bounds: tuple[float, ...], scale: Scale) -> list[str]:
    """Return the texts of the label `le` of buckets with these bounds.

    They are kept, because most histograms have one of a few sets of bounds.
    """
    return [*[canonical(float(scale.of(bound))) for bound in bounds], "+Inf"]


@lru_cache(maxsize=64)
def bound_tails(bounds: tuple[float, ...], scale: Scale) -> list[bytes]:
    """Return the text from the label `le` to the number, for each bucket with these bounds."""
    return tails_of(bound_texts(bounds, scale))
