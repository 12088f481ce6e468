"""Metric families of Prometheus: the text and the samples of their children.

Names and labels of an instrument never change, so the text before a number is formed once for each
child and kept; a page then joins kept texts and numbers.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf, isnan
from typing import Any, Final, NamedTuple, TypeVar, final

from metrics._turns import Turns
from metrics._units import Scale
from metrics.exporters._encoding.numbers import LARGEST, Number, canonical
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    UTF8,
    escape_label_name,
    quoted_prefix,
)
from metrics.exporters._series.scalar import number_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, MeterSnapshot, Snapshot
from metrics.instruments._inner import Point, escape_label
from metrics.registry._inner import Labels, exported_name

SUMMARY_QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)
"""Quantiles of a summary, which are go-ethereum's."""

QUANTILE_TEXTS = [canonical(quantile) for quantile in SUMMARY_QUANTILES]
"""Quantiles of a summary as values of the label `quantile`."""

WINDOWS = ["1m", "5m", "15m", "mean"]
"""Values of the label `window` of rates."""

SMALL: Final = 1 << 60
"""Ints below this are compared in one step."""

Values = tuple[str, ...]
"""Label values of a child; none for an instrument without labels."""

T = TypeVar("T")


class Sample(NamedTuple):
    """A number of a page, in base units."""

    name: str
    labels: Labels
    value: Number


@final
class Children:
    """Children of a family that were read together, each with one view of its snapshot.

    Args:
        start: position of the first one among all children of the family.
        values: their label values.
        views: the views that the metric family shows, see `MetricFamily.view`.
        created: times of their creation, in seconds since the Unix epoch; empty if not requested.
        turns: offers other threads their turns while long samples are sorted.
    """

    __slots__ = ("created", "start", "turns", "values", "views")

    def __init__(
        self,
        start: int,
        values: list[Values],
        views: list[Any],
        created: list[float],
        turns: Turns,
    ) -> None:
        self.start = start
        self.values = values
        self.views = views
        self.created = created
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
    )

    def __init__(
        self,
        name: str,
        kind: str,
        heading: str,
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
        self.ending = ""
        # The scheme of all names, in which the arguments are already.
        self.escaping = UNDERSCORES
        self.labelnames = labelnames
        self.constant = constant
        self.scale = scale
        self._scaled = scale.times != scale.over
        # Text of an instrument without labels.
        self._only = ""
        # Texts of children by label values.
        self._texts: dict[Values, str] = {}
        # The same texts in the order of children, by the position of the first: a page of the same
        # children as the last one looks nothing up.
        self._columns: dict[int, tuple[list[Values], list[str]]] = {}

    def names(self) -> list[str]:
        """Return every name of the samples, and the name of the family if the format has one."""
        return [self.stem + suffix for suffix in self._suffixes]

    def view(self, snapshot: Snapshot) -> Any:
        """Return the numbers of a snapshot that this family shows."""
        raise NotImplementedError

    def lines(self, children: Children) -> list[str]:
        """Return the lines of each child."""
        raise NotImplementedError

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return the samples of the child with these label values."""
        raise NotImplementedError

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the texts of these children only."""
        if len(self._texts) > len(present):
            self._texts = only(self._texts, present)
            self._columns = {}

    def texts(self, children: Children) -> list[str]:
        """Return the kept text of each child."""
        values = children.values
        if len(values) == 1:
            return [self._kept(values[0])]
        column = self._columns.get(children.start)
        if column is None or column[0] != values:
            column = (values, [self._kept(child) for child in values])
            self._columns[children.start] = column
        return column[1]

    def _kept(self, values: Values) -> str:
        """Return the kept text of the child with these label values, formed the first time."""
        if not values:
            if not self._only:
                self._only = self._text(values)
            return self._only
        text = self._texts.get(values)
        if text is None:
            text = self._texts[values] = self._text(values)
        return text

    def _text(self, values: Values) -> str:
        """Return the text of a child that does not change."""
        raise NotImplementedError

    def number(self, value: Number) -> str:
        """Return a value in base units, in the format's spelling."""
        return number(self.scale.of(value) if self._scaled else value)

    def labels(self, values: Values) -> Labels:
        """Return the labels of the child with these label values, constant labels first."""
        own = [*zip(self.labelnames, values, strict=True)]
        return (*self.constant, *own) if own else self.constant

    def prefix(self, name: str, labels: Labels) -> str:
        """Return the text before the number of a sample: its name and its labels."""
        return quoted_prefix(name, labels) if self.escaping == UTF8 else prefix(name, labels)

    def template(
        self, labels: Labels, label: str, texts: list[str], value: str = "%s", suffix: str = ""
    ) -> str:
        """Return lines for the `%` operator: one for each text of a label beside `labels`."""
        empty = self.prefix(self.name + suffix, (*labels, (label, "")))
        before = empty.removesuffix('"} ').replace("%", "%%")
        return "".join([f'{before}{text}"}} {value}\n' for text in texts])

    def totals(self, labels: Labels, count: str = "%s") -> str:
        """Return the lines of a sum and a count for the `%` operator."""
        total = self.prefix(f"{self.name}_sum", labels).replace("%", "%%")
        counted = self.prefix(f"{self.name}_count", labels).replace("%", "%%")
        return f"{total}%s\n{counted}{count}\n"


class ScalarFamily(MetricFamily):
    """A counter or a gauge: one number. Its view is the number."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the scalar value, or the count of a meter."""
        return number_of(snapshot)

    def lines(self, children: Children) -> list[str]:
        """Return one line for each child."""
        texts = self.texts(children)
        views = children.views
        if self._scaled:
            return [f"{texts[i]}{self.number(views[i])}\n" for i in range(len(views))]
        return [f"{texts[i]}{number(views[i])}\n" for i in range(len(views))]

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample."""
        return [Sample(self.name, self.labels(values), self.scale.of(view))]

    def _text(self, values: Values) -> str:
        return self.prefix(self.name, self.labels(values))


@final
class RatesFamily(MetricFamily):
    """Rates of a meter or a timer: a gauge by `window`."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the moving averages."""
        return snapshot.rates

    def lines(self, children: Children) -> list[str]:
        """Return one line for each window of each child."""
        texts = self.texts(children)
        return [
            texts[i] % tuple([self.number(rate) for rate in windows(children.views[i])])
            for i in range(len(texts))
        ]

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample for each window."""
        labels = self.labels(values)
        return [
            Sample(self.name, (*labels, ("window", window)), self.scale.of(rate))
            for window, rate in zip(WINDOWS, windows(view), strict=True)
        ]

    def _text(self, values: Values) -> str:
        return self.template(self.labels(values), "window", WINDOWS)


@final
class SummaryFamily(MetricFamily):
    """Sample of values: quantiles, sum and count. An empty sample has no quantiles."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return snapshot.distribution

    def lines(self, children: Children) -> list[str]:
        """Return a line for each quantile of each child, and sum and count."""
        values = children.values
        lines: list[str] = []
        for i in range(len(values)):
            sample = children.views[i]
            assert isinstance(sample, HistogramSnapshot)  # noqa: S101 - the view of this family
            totals = (self.number(sample.total_sum), number(sample.total_count))
            if not sample.size:
                lines.append(self.totals(self.labels(values[i])) % totals)
                continue
            quantiles = [self.number(q) for q in sample.percentiles(SUMMARY_QUANTILES)]
            lines.append(self._kept(values[i]) % (*quantiles, *totals))
            # A sample may have thousands of values, which were sorted.
            children.turns.offer()
        return lines

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

    def _text(self, values: Values) -> str:
        labels = self.labels(values)
        return self.template(labels, "quantile", QUANTILE_TEXTS) + self.totals(labels)


@final
class HistogramFamily(MetricFamily):
    """Histogram: cumulative buckets, sum and count."""

    __slots__ = ("_templates",)

    def __init__(
        self,
        name: str,
        kind: str,
        heading: str,
        stem: str,
        suffixes: Values,
        scale: Scale,
        labelnames: Values,
        constant: Labels,
    ) -> None:
        super().__init__(name, kind, heading, stem, suffixes, scale, labelnames, constant)
        # By label values, each with the bounds that it was formed for.
        self._templates: dict[Values, tuple[tuple[float, ...], str]] = {}

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return snapshot.distribution

    def lines(self, children: Children) -> list[str]:
        """Return a line for each bucket of each child, and sum and count."""
        lines: list[str] = []
        for i in range(len(children.values)):
            values = children.values[i]
            sample = children.views[i]
            assert isinstance(sample, BucketHistogramSnapshot)  # noqa: S101 - as above
            bounds = sample.bounds
            kept = self._templates.get(values)
            if kept is None or (kept[0] is not bounds and kept[0] != bounds):
                kept = self._templates[values] = (bounds, self._template(values, bounds))
            buckets = sample.buckets
            lines.append(kept[1] % (*buckets, self.number(sample.sum), buckets[-1]))
        return lines

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

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the texts of these children only."""
        if len(self._templates) > len(present):
            self._templates = only(self._templates, present)

    def _template(self, values: Values, bounds: tuple[float, ...]) -> str:
        labels = self.labels(values)
        texts = bound_texts(bounds, self.scale)
        return self.template(labels, "le", texts, "%d", "_bucket") + self.totals(labels, "%d")


@final
class PointsFamily(MetricFamily):
    """Numbers with labels of their own: info labels, states. Labels may change; no text is kept."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the points."""
        return snapshot.points

    def lines(self, children: Children) -> list[str]:
        """Return one line for each point of each child."""
        lines: list[str] = []
        for i in range(len(children.values)):
            points = self.samples(children.values[i], children.views[i])
            texts = [f"{self.prefix(p.name, p.labels)}{number(p.value)}\n" for p in points]
            lines.append("".join(texts))
        return lines

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample for each point."""
        labels = self.labels(values)
        taken = dict(labels)
        samples: list[Sample] = []
        for point in view:
            own = point_labels(point, self.name, taken, self.escaping)
            samples.append(Sample(self.name, (*labels, *own), point.value))
        return samples


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


def prefix(name: str, labels: Labels) -> str:
    """Return the text before the number of a sample: its name and its labels."""
    return f"{name}{{{label_pairs(labels)}}} " if labels else f"{name} "


def label_pairs(labels: Labels) -> str:
    """Return labels as the format writes them between braces."""
    return ",".join([f'{key}="{escape_label(value)}"' for key, value in labels])


@lru_cache(maxsize=64)
def bound_texts(bounds: tuple[float, ...], scale: Scale) -> list[str]:
    """Return the texts of the label `le` of buckets with these bounds.

    They are kept, because most histograms have one of a few sets of bounds.
    """
    return [*[canonical(float(scale.of(bound))) for bound in bounds], "+Inf"]


def only(texts: dict[Values, T], present: Sequence[Values]) -> dict[Values, T]:
    """Return the texts of children that are present."""
    return {values: texts[values] for values in present if values in texts}


def number(value: Number) -> str:
    """Return a number in the format's spelling."""
    if isinstance(value, int):
        if -SMALL < value < SMALL:
            return str(value)
        # Prometheus reads every number as a float.
        return str(value) if abs(value) < LARGEST else "+Inf" if value > 0 else "-Inf"
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)
