"""Metric families of Prometheus: the text and the samples of their children.

Names and labels of an instrument never change, so the text before a number is formed once for each
child and kept; a page then joins kept texts and numbers.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast, final

from metrics._native import BytesWriter, i64, vec
from metrics._turns import Turns
from metrics._units import Scale
from metrics.exporters._encoding.numbers import Number, canonical
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    UTF8,
    escape_label_name,
    quoted_prefix,
)
from metrics.exporters._exposition.writing import (
    LINE_FEED,
    encode,
    prefix,
    write_exemplar,
    write_number,
    write_whole,
)
from metrics.exporters._series.scalar import number_of
from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    Exemplar,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    HistogramSnapshot,
    IntGauge,
    MeterSnapshot,
    Snapshot,
    UpDownCounter,
)
from metrics.instruments._inner import Exemplars, Point
from metrics.registry._inner import Labels, exported_name

SUMMARY_QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)
"""Quantiles of a summary, which are go-ethereum's."""

QUANTILE_TEXTS = [canonical(quantile) for quantile in SUMMARY_QUANTILES]
"""Quantiles of a summary as values of the label `quantile`."""

WINDOWS = ["1m", "5m", "15m", "mean"]
"""Values of the label `window` of rates."""

Values = tuple[str, ...]
"""Label values of a child; none for an instrument without labels."""


@final
class Lines:
    """Lines of a bucket histogram, and the bounds, the counts and the sum that they show."""

    __slots__ = ("bounds", "counts", "sum", "text")

    def __init__(
        self, bounds: tuple[float, ...], counts: vec[i64], total: float, text: bytes
    ) -> None:
        self.bounds = bounds
        self.counts = counts
        self.sum = total
        self.text = text

    def show(self, bounds: tuple[float, ...], counts: vec[i64], total: float) -> bool:
        """Return whether they show these numbers."""
        # Equal bounds are one object for most histograms, and one length of the counts.
        if self.bounds is not bounds or self.sum != total:
            return False
        return all(self.counts[i] == counts[i] for i in range(len(counts)))


@final
class DistributionText:
    """Text of a distribution's child, without its numbers.

    Args:
        opening: the text before the value of its further label.
        sum: the text before its sum.
        count: the text before its count.
    """

    __slots__ = ("count", "lines", "opening", "sum")

    def __init__(
        self,
        opening: bytes,
        sum: bytes,  # noqa: A002 - the format's name for it
        count: bytes,
    ) -> None:
        self.opening = opening
        self.sum = sum
        self.count = count
        # Replaced as a whole: two threads may write a page.
        self.lines: Lines | None = None


class Sample(NamedTuple):
    """A number of a page, in base units, with its exemplar if that is requested."""

    name: str
    labels: Labels
    value: Number
    exemplar: Exemplar | None = None


def tails_of(texts: list[str]) -> list[bytes]:
    """Return what follows the beginning of a label's value, up to the number, for each value."""
    return [f'{text}"}} '.encode() for text in texts]


QUANTILE_TAILS: Final[list[bytes]] = tails_of(QUANTILE_TEXTS)

WINDOW_TAILS: Final[list[bytes]] = tails_of(WINDOWS)


@final
class Children:
    """Children of a family that were read together, each with one view of its snapshot.

    Args:
        values: their label values.
        views: the views that the metric family shows, see `MetricFamily.view`.
        created: times of their creation, in seconds since the Unix epoch; empty if not requested.
        exemplars: their exemplars; empty if not requested, or if no child has any.
        turns: offers other threads their turns while long samples are sorted.
    """

    __slots__ = ("created", "exemplars", "turns", "values", "views")

    def __init__(
        self,
        values: list[Values],
        views: list[Any],
        created: list[float],
        exemplars: list[Exemplars],
        turns: Turns,
    ) -> None:
        self.values = values
        self.views = views
        self.created = created
        self.exemplars = exemplars
        self.turns = turns


class MetricFamily:
    """Metric family of a page: its name and type, and the texts of its children but the numbers.

    Safe to use from several threads: kept texts are replaced as a whole.

    Args:
        name: the name of the samples, without the suffixes of a distribution.
        kind: the type, in the format's word.
        heading: the lines before the samples.
        stem: the text before the suffixes.
        suffixes: every suffix that the name of a sample may have.
        scale: converts values into base units.
        labelnames: the labels of the children; none for an instrument without labels.
        constant: the constant labels of the registry.
    """

    __slots__ = (
        "_columns",
        "_only",
        "_scaled",
        "_suffixes",
        "_texts",
        "constant",
        "ending",
        "escaping",
        "heading",
        "kind",
        "labelnames",
        "name",
        "scale",
        "stem",
        "unsigned",
    )

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
        self.name = name
        self.kind = kind
        self.heading = heading
        self.stem = stem
        self._suffixes = suffixes
        # The line after the last sample.
        self.ending = b""
        # The scheme of all names, in which the arguments are already.
        self.escaping = UNDERSCORES
        self.labelnames = labelnames
        self.constant = constant
        self.scale = scale
        self._scaled = scale.times != scale.over
        # Whether the format leaves out values below 0 where it does not expect any.
        self.unsigned = False
        # Text of an instrument without labels.
        self._only: Any = None
        # Texts of children by label values.
        self._texts: dict[Values, Any] = {}
        # The same texts in the order of children, by the position of the first: a page of the same
        # children as the last one looks nothing up.
        self._columns: dict[int, tuple[list[Values], list[Any]]] = {}

    def names(self) -> list[str]:
        """Return every name of the samples, and the name of the family if the format has one."""
        return [self.stem + suffix for suffix in self._suffixes]

    def view(self, snapshot: Snapshot) -> Any:
        """Return the numbers of a snapshot that this family shows."""
        raise NotImplementedError

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append the lines of a child.

        Args:
            writer: takes the lines.
            text: the kept text of the child, see `text` and `texts`.
            view: the numbers of its snapshot.
        """
        raise NotImplementedError

    def write_traced(self, writer: BytesWriter, text: Any, view: Any, exemplars: Exemplars) -> None:
        """Append the lines of a child with its exemplars; for types that have exemplars only."""
        raise NotImplementedError

    def write_created(self, writer: BytesWriter, values: Values, created: float) -> None:
        """Append the time of the creation of a child, in seconds since the Unix epoch."""
        writer.write(encode(self.prefix(f"{self.stem}_created", self.labels(values))))
        write_number(writer, created)
        writer.append(LINE_FEED)

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return the samples of the child with these label values."""
        raise NotImplementedError

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the texts of these children only."""
        if len(self._texts) > len(present):
            self._texts = only(self._texts, present)
            self._columns = {}

    def texts(self, start: int, values: list[Values]) -> list[Any]:
        """Return the kept text of each of the children from a position on."""
        column = self._columns.get(start)
        if column is None or column[0] != values:
            column = (values, [self.text(child) for child in values])
            self._columns[start] = column
        return column[1]

    def text(self, values: Values) -> Any:
        """Return the kept text of the child with these label values, formed the first time."""
        if not values:
            if self._only is None:
                self._only = self._text(values)
            return self._only
        text = self._texts.get(values)
        if text is None:
            text = self._texts[values] = self._text(values)
        return text

    def _text(self, values: Values) -> Any:
        """Return the text of a child that does not change."""
        raise NotImplementedError

    def write_value(self, writer: BytesWriter, value: Number) -> None:
        """Append a value in base units, in the format's spelling."""
        write_number(writer, self.scale.of(value) if self._scaled else value)

    def labels(self, values: Values) -> Labels:
        """Return the labels of the child with these label values, constant labels first."""
        own = [*zip(self.labelnames, values, strict=True)]
        return (*self.constant, *own) if own else self.constant

    def prefix(self, name: str, labels: Labels) -> str:
        """Return the text before the number of a sample: its name and its labels."""
        return quoted_prefix(name, labels) if self.escaping == UTF8 else prefix(name, labels)

    def opening(self, values: Values, label: str, suffix: str = "") -> bytes:
        """Return the text before the value of a further label of a child."""
        labels = (*self.labels(values), (label, ""))
        return encode(self.prefix(self.name + suffix, labels).removesuffix('"} '))

    def distribution_text(self, values: Values, label: str, suffix: str = "") -> DistributionText:
        """Return the text of a distribution's child."""
        labels = self.labels(values)
        return DistributionText(
            self.opening(values, label, suffix),
            encode(self.prefix(f"{self.name}_sum", labels)),
            encode(self.prefix(f"{self.name}_count", labels)),
        )


class DirectFamily(MetricFamily):
    """Metric family that shows all of an instrument, whose snapshot it can do without."""

    __slots__ = ()

    def write_instrument(self, writer: BytesWriter, text: Any, child: Any, *, traced: bool) -> bool:
        """Append the lines of a child without a snapshot, and return whether that is possible.

        Nothing is appended if it is not. It runs no code of the program.

        Args:
            writer: takes the lines.
            text: the kept text of the child.
            child: the instrument.
            traced: whether the page has exemplars.
        """
        raise NotImplementedError

    def write_kept(self, writer: BytesWriter, text: Any, child: Any, *, traced: bool) -> bool:
        """Append the same lines, kept from the last page where writing them takes longer."""
        return self.write_instrument(writer, text, child, traced=traced)


@final
class ScalarFamily(DirectFamily):
    """A counter or a gauge: one number. Its view is the number."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the scalar value, or the count of a meter."""
        return number_of(snapshot)

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line."""
        self.write_traced(writer, text, view, ())

    def write_traced(self, writer: BytesWriter, text: Any, view: Any, exemplars: Exemplars) -> None:
        """Append one line."""
        writer.write(cast("bytes", text))
        self.write_value(writer, view)
        for exemplar in exemplars:
            if exemplar is not None:
                write_exemplar(writer, exemplar, self.scale)
        writer.append(LINE_FEED)

    def write_instrument(self, writer: BytesWriter, text: Any, child: Any, *, traced: bool) -> bool:
        """Append one line for an instrument that is one number."""
        if isinstance(child, Counter):
            # Read before the total: an update counts before its exemplar is kept.
            exemplars = child._latest_exemplars() if traced else ()  # noqa: SLF001 - no property
            self.write_traced(writer, text, child.count, exemplars)
            return True
        if isinstance(child, Gauge | IntGauge):
            if child._function is not None:  # noqa: SLF001 - as above
                # It may fail, or never return.
                return False
            self.write(writer, text, child.value)
            return True
        if isinstance(child, FloatCounter):
            exemplars = child._latest_exemplars() if traced else ()  # noqa: SLF001 - as above
            self.write_traced(writer, text, child.count, exemplars)
            return True
        if isinstance(child, UpDownCounter | FloatUpDownCounter):
            self.write(writer, text, child.count)
            return True
        return False

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample."""
        return [Sample(self.name, self.labels(values), self.scale.of(view))]

    def _text(self, values: Values) -> Any:
        return encode(self.prefix(self.name, self.labels(values)))


@final
class RatesFamily(MetricFamily):
    """Rates of a meter or a timer: a gauge by `window`."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the moving averages."""
        return snapshot.rates

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line for each window."""
        for tail, rate in zip(WINDOW_TAILS, windows(view), strict=True):
            writer.write(cast("bytes", text))
            writer.write(tail)
            self.write_value(writer, rate)
            writer.append(LINE_FEED)

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample for each window."""
        labels = self.labels(values)
        return [
            Sample(self.name, (*labels, ("window", window)), self.scale.of(rate))
            for window, rate in zip(WINDOWS, windows(view), strict=True)
        ]

    def _text(self, values: Values) -> Any:
        return self.opening(values, "window")


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
        return self.distribution_text(values, "quantile")


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
        if self.unsigned and (view.bounds[0] < 0.0 or view.sum < 0.0):
            return
        writer.write(own.sum)
        self.write_value(writer, view.sum)
        writer.append(LINE_FEED)
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
        self._write_counts(writer, text, child._bounds, counts, total)  # noqa: SLF001 - as above
        return True

    def write_kept(self, writer: BytesWriter, text: Any, child: Any, *, traced: bool) -> bool:
        """Append the lines of a bucket histogram, kept ones if no number differs."""
        if not isinstance(child, BucketHistogram):
            return False
        if traced and child._exemplars is not None:  # noqa: SLF001 - as above
            return self.write_instrument(writer, text, child, traced=traced)
        own = cast("DistributionText", text)
        bounds = child._bounds  # noqa: SLF001 - as above
        counts, total, _ = child._read()  # noqa: SLF001 - as above
        lines = own.lines
        if lines is None or not lines.show(bounds, counts, total):
            apart = BytesWriter()
            self._write_counts(apart, text, bounds, counts, total)
            lines = own.lines = Lines(bounds, counts, total, apart.getvalue())
        writer.write(lines.text)
        return True

    def _write_counts(
        self,
        writer: BytesWriter,
        text: Any,
        bounds: tuple[float, ...],
        counts: vec[i64],
        total: float,
    ) -> None:
        """Append a line for each bucket, given the counts of the single ones, and sum and count."""
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
        if self.unsigned and (bounds[0] < 0.0 or total < 0.0):
            return
        writer.write(own.sum)
        self.write_value(writer, total)
        writer.append(LINE_FEED)
        writer.write(own.count)
        write_whole(writer, bucket)
        writer.append(LINE_FEED)

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
        return self.distribution_text(values, "le", "_bucket")

    def _tails(self, bounds: tuple[float, ...]) -> list[bytes]:
        """Return what follows the beginning of the label `le` of each bucket."""
        newest = self._newest
        if newest[0] is not bounds:
            if newest[0] != bounds:
                newest = (bounds, bound_tails(bounds, self.scale))
            else:
                newest = (bounds, newest[1])
            self._newest = newest
        return newest[1]


@final
class PointsFamily(MetricFamily):
    """Numbers with labels of their own: info labels, states.

    These labels may change, so the kept text is the labels of the child alone.
    """

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the points."""
        return snapshot.points

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line for each point."""
        for sample in self._points(cast("Labels", text), view):
            writer.write(encode(self.prefix(sample.name, sample.labels)))
            write_number(writer, sample.value)
            writer.append(LINE_FEED)

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample for each point."""
        return self._points(self.labels(values), view)

    def _points(self, labels: Labels, view: Any) -> list[Sample]:
        """Return one sample for each point, given the labels of the child."""
        taken = dict(labels)
        samples: list[Sample] = []
        for point in view:
            own = point_labels(point, self.name, taken, self.escaping)
            samples.append(Sample(self.name, (*labels, *own), point.value))
        return samples

    def _text(self, values: Values) -> Any:
        return self.labels(values)


def windows(rates: MeterSnapshot) -> tuple[float, float, float, float]:
    """Return the rates in the order of `WINDOWS`."""
    return rates.rate1, rates.rate5, rates.rate15, rates.rate_mean


def point_labels(
    point: Point, name: str, taken: Mapping[str, str], escaping: str = UNDERSCORES
) -> Labels:
    """Return the labels of a point under different names that Prometheus accepts.

    Args:
        point: the point.
        name: the name of the metric.
        taken: the other labels of the sample.
        escaping: the scheme of the page; the name is in it already.
    """
    labels: dict[str, str] = {}
    for key, text in point.labels:
        if escaping != UNDERSCORES:
            label = name if key is None else escape_label_name(key, escaping)
        else:
            # Two underscores in front are reserved for Prometheus itself.
            label = (name if key is None else exported_name(key)).lstrip("_")
            if not label or label[0].isdigit() or (key is None and name.startswith("_")):
                label = f"_{label}"
        while label in taken or label in labels:
            label += "_" if label != "_" else "0"
        labels[label] = text
    return tuple(sorted(labels.items()))


@lru_cache(maxsize=64)
def bound_texts(bounds: tuple[float, ...], scale: Scale) -> list[str]:
    """Return the texts of the label `le` of buckets with these bounds.

    They are kept, because most histograms have one of a few sets of bounds.
    """
    return [*[canonical(float(scale.of(bound))) for bound in bounds], "+Inf"]


@lru_cache(maxsize=64)
def bound_tails(bounds: tuple[float, ...], scale: Scale) -> list[bytes]:
    """Return what follows the beginning of the label `le` of buckets with these bounds."""
    return tails_of(bound_texts(bounds, scale))


def only(texts: dict[Values, Any], present: Sequence[Values]) -> dict[Values, Any]:
    """Return the texts of children that are present."""
    return {values: texts[values] for values in present if values in texts}
