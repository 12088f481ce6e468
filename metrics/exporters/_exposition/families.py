"""What a metric family looks like in Prometheus' text format, and how values are filled in.

Names and labels of an instrument never change, so what stands before a number is rendered once
for each instrument and kept; writing an instrument is then joining that and the numbers.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import inf, isnan
from typing import Final, NamedTuple, TypeVar

from metrics._units import Scale
from metrics.exporters._encoding.numbers import LARGEST, Number, canonical
from metrics.exporters._series.scalar import number_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.instruments._inner import Point, escape_label
from metrics.registry._inner import Labels, exported_name

SUMMARY_QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)
"""The quantiles of a summary, which are go-ethereum's."""

QUANTILE_TEXTS = [canonical(quantile) for quantile in SUMMARY_QUANTILES]
"""The same as texts of the label `quantile`."""

WINDOWS = ["1m", "5m", "15m", "mean"]

SMALL: Final = 1 << 60
"""Ints below this are compared in one step."""

Values = tuple[str, ...]

T = TypeVar("T")


class About(NamedTuple):
    """What is to be said of a metric family."""

    name: str
    """What its samples are called, but for what stands behind that."""

    kind: str
    """Its type, as the format calls it."""

    heading: str
    """The lines before its samples."""

    names: Sequence[str]
    """Every name its samples may have; no other family may use them."""

    scale: Scale
    """Turns values into base units."""

    labelnames: Values
    """Those of the children; none for an instrument without labels."""

    constant: Labels
    """The constant labels of the registry."""


class Form:
    """A metric family of a page: its name and type, and the text of its series but the numbers."""

    __slots__ = (
        "_kept",
        "_scaled",
        "constant",
        "ending",
        "heading",
        "kind",
        "labelnames",
        "name",
        "names",
        "scale",
    )

    def __init__(self, about: About) -> None:
        self.name = about.name
        self.kind = about.kind
        self.heading = about.heading
        self.names = about.names
        # What stands behind the last sample.
        self.ending = ""
        self.labelnames = about.labelnames
        self.constant = about.constant
        self.scale = about.scale
        self._scaled = about.scale.times != about.scale.over
        self._kept: dict[Values, str] = {}

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return the lines of the child with these label values."""
        raise NotImplementedError

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        self._kept = only(self._kept, present)

    def number(self, value: Number) -> str:
        """Return a value in base units as the format writes it."""
        return number(self.scale.of(value) if self._scaled else value)

    def labels(self, values: Values) -> Labels:
        """Return the labels of the child with these label values, constant labels first."""
        own = [*zip(self.labelnames, values, strict=True)]
        return (*self.constant, *own) if own else self.constant

    def template(
        self, labels: Labels, label: str, texts: list[str], value: str = "%s", suffix: str = ""
    ) -> str:
        """Return lines for the `%` operator: one for each text of a label beside `labels`."""
        pairs = label_pairs(labels)
        before = f"{self.name}{suffix}{{{pairs}{',' if pairs else ''}{label}=".replace("%", "%%")
        return "".join([f'{before}"{text}"}} {value}\n' for text in texts])

    def totals(self, labels: Labels, count: str = "%s") -> str:
        """Return the lines of a sum and a count for the `%` operator."""
        total = prefix(f"{self.name}_sum", labels).replace("%", "%%")
        counted = prefix(f"{self.name}_count", labels).replace("%", "%%")
        return f"{total}%s\n{counted}{count}\n"


class Single(Form):
    """A counter or a gauge: one number."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line."""
        kept = self._kept.get(values)
        if kept is None:
            kept = self._kept[values] = prefix(self.name, self.labels(values))
        return f"{kept}{self.number(number_of(snapshot))}\n"


class Rates(Form):
    """The rates of a meter or a timer: a gauge by `window`."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line for each window."""
        kept = self._kept.get(values)
        if kept is None:
            kept = self._kept[values] = self.template(self.labels(values), "window", WINDOWS)
        rates = snapshot.rates
        assert rates is not None  # noqa: S101 - the view of this form
        return kept % (
            self.number(rates.rate1),
            self.number(rates.rate5),
            self.number(rates.rate15),
            self.number(rates.rate_mean),
        )


class Summary(Form):
    """A sample of values: quantiles, sum and count."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return a line for each quantile, and sum and count."""
        sample = snapshot.distribution
        assert isinstance(sample, HistogramSnapshot)  # noqa: S101 - the view of this form
        totals = (self.number(sample.total_sum), number(sample.total_count))
        if not sample.size:
            # An empty sample has no quantiles, and 0 would be a lie.
            return self.totals(self.labels(values)) % totals
        kept = self._kept.get(values)
        if kept is None:
            labels = self.labels(values)
            quantiles = self.template(labels, "quantile", QUANTILE_TEXTS)
            kept = self._kept[values] = quantiles + self.totals(labels)
        return kept % (*[self.number(q) for q in sample.percentiles(SUMMARY_QUANTILES)], *totals)


class Buckets(Form):
    """A histogram: cumulative buckets, sum and count."""

    __slots__ = ("_templates",)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        # With the bounds that each was made for.
        self._templates: dict[Values, tuple[tuple[float, ...], str]] = {}

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return a line for each bucket, and sum and count."""
        sample = snapshot.distribution
        assert isinstance(sample, BucketHistogramSnapshot)  # noqa: S101 - the view of this form
        bounds = sample.bounds
        kept = self._templates.get(values)
        if kept is None or kept[0] != bounds:
            kept = self._templates[values] = (bounds, self._template(values, bounds))
        buckets = sample.buckets
        return kept[1] % (*buckets, self.number(sample.sum), buckets[-1])

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        self._templates = only(self._templates, present)

    def _template(self, values: Values, bounds: tuple[float, ...]) -> str:
        labels = self.labels(values)
        texts = bound_texts(bounds, self.scale)
        return self.template(labels, "le", texts, "%d", "_bucket") + self.totals(labels, "%d")


class Points(Form):
    """Numbers with labels of their own: info labels, states. They may change, so none are kept."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line for each point."""
        labels = self.labels(values)
        lines = []
        for point in snapshot.points:
            own = point_labels(point, self.name, dict(labels))
            lines.append(f"{prefix(self.name, (*labels, *own))}{number(point.value)}\n")
        return "".join(lines)


def point_labels(point: Point, name: str, taken: Mapping[str, str]) -> Labels:
    """Return the labels of a point under names that Prometheus takes, all different.

    Args:
        point: the point.
        name: the name of the metric.
        taken: other labels.
    """
    labels: dict[str, str] = {}
    for key, text in point.labels:
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


def only(kept: dict[Values, T], present: Sequence[Values]) -> dict[Values, T]:
    """Return what is kept for those present; the same dict if there is nothing else in it."""
    if len(kept) <= len(present):
        return kept
    return {values: kept[values] for values in present if values in kept}


def number(value: Number) -> str:
    """Return a number as the format writes it."""
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
