"""What a metric family looks like in Prometheus' text format, and how values are filled in.

Names and labels of an instrument never change, so what stands before a number is rendered once
for each instrument and kept; writing an instrument is then joining that and the numbers.
"""

from collections.abc import Sequence
from math import inf, isnan
from typing import Final, NamedTuple, TypeVar

from metrics._units import Scale
from metrics.exporters.reading.single import number_of
from metrics.exporters.writing.floats import canonical
from metrics.exporters.writing.numbers import LARGEST, Number
from metrics.instruments._buckets import BucketHistogramSnapshot
from metrics.instruments._info import InfoSnapshot
from metrics.instruments._labels import label_text
from metrics.instruments._meter import MeterSnapshot
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._snapshot import Snapshot
from metrics.instruments._timer import TimerSnapshot
from metrics.registry._exported_names import exported_name

SUMMARY_QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)
"""The quantiles of a summary, which are go-ethereum's."""

WINDOWS = ("1m", "5m", "15m", "mean")

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


class Form:
    """A metric family of a page: its name and type, and the text of its series but the numbers."""

    __slots__ = (
        "_kept",
        "_scaled",
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
        self.scale = about.scale
        self._scaled = about.scale.times != about.scale.over
        self._kept: dict[Values, str] = {}

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return the lines of the child with these label values."""
        raise NotImplementedError

    def forget(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        self._kept = only(self._kept, present)

    def number(self, value: Number) -> str:
        """Return a value in base units as the format writes it."""
        return number(self.scale.of(value) if self._scaled else value)

    def prefix(self, values: Values, suffix: str = "", label: str = "", text: str = "") -> str:
        """Return what stands before the number of a sample, with one more label if there is one."""
        return prefix(self.name + suffix, self.labelnames, values, label, text)

    def template(self, prefixes: list[str], placeholder: str = "%s") -> str:
        """Return what makes lines of numbers with the `%` operator."""
        return "".join([f"{prefix.replace('%', '%%')}{placeholder}\n" for prefix in prefixes])


class Single(Form):
    """A counter or a gauge: one number."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line."""
        kept = self._kept.get(values)
        if kept is None:
            kept = self._kept[values] = self.prefix(values)
        return f"{kept}{self.number(number_of(snapshot))}\n"


class Rates(Form):
    """The rates of a meter or a timer: a gauge by `window`."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line for each window."""
        kept = self._kept.get(values)
        if kept is None:
            prefixes = [self.prefix(values, "", "window", window) for window in WINDOWS]
            kept = self._kept[values] = self.template(prefixes)
        rates = snapshot.rates if isinstance(snapshot, TimerSnapshot) else snapshot
        assert isinstance(rates, MeterSnapshot)  # noqa: S101 - what it was made for
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
        sample = snapshot.durations if isinstance(snapshot, TimerSnapshot) else snapshot
        assert isinstance(sample, HistogramSnapshot)  # noqa: S101 - what it was made for
        totals = (self.number(sample.total_sum), number(sample.total_count))
        if not sample.size:
            # An empty sample has no quantiles, and 0 would be a lie.
            return self._totals(values) % totals
        kept = self._kept.get(values)
        if kept is None:
            prefixes = [
                self.prefix(values, "", "quantile", canonical(q)) for q in SUMMARY_QUANTILES
            ]
            kept = self._kept[values] = self.template(prefixes) + self._totals(values)
        return kept % (*[self.number(q) for q in sample.percentiles(SUMMARY_QUANTILES)], *totals)

    def _totals(self, values: Values) -> str:
        return self.template([self.prefix(values, "_sum"), self.prefix(values, "_count")])


class Buckets(Form):
    """A histogram: cumulative buckets, sum and count."""

    __slots__ = ("_templates",)

    def __init__(self, about: About) -> None:
        super().__init__(about)
        # With the bounds that each was made for.
        self._templates: dict[Values, tuple[tuple[float, ...], str]] = {}

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return a line for each bucket, and sum and count."""
        sample = snapshot.durations if isinstance(snapshot, TimerSnapshot) else snapshot
        assert isinstance(sample, BucketHistogramSnapshot)  # noqa: S101 - what it was made for
        bounds = sample.bounds
        kept = self._templates.get(values)
        if kept is None or kept[0] != bounds:
            kept = self._templates[values] = (bounds, self._template(values, bounds))
        buckets = sample.buckets
        return kept[1] % (*buckets, self.number(sample.sum), buckets[-1])

    def forget(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        self._templates = only(self._templates, present)

    def _template(self, values: Values, bounds: tuple[float, ...]) -> str:
        texts = [*[canonical(float(self.scale.of(bound))) for bound in bounds], "+Inf"]
        prefixes = [self.prefix(values, "_bucket", "le", text) for text in texts]
        return (
            self.template(prefixes, "%d")
            + self.template([self.prefix(values, "_sum")])
            + self.template([self.prefix(values, "_count")], "%d")
        )


class Facts(Form):
    """Facts as labels of a gauge that is 1. They may change, so nothing is kept."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line: labels, and facts by name; no two of them have the same name."""
        assert isinstance(snapshot, InfoSnapshot)  # noqa: S101 - what it was made for
        facts = named_facts(snapshot, self.labelnames)
        names = [*self.labelnames, *sorted(facts)]
        texts = [*values, *[facts[name] for name in sorted(facts)]]
        return f"{self.name}{label_text(names, texts) if names else ''} 1\n"


def named_facts(snapshot: InfoSnapshot, taken: Values) -> dict[str, str]:
    """Return facts under names that labels can have, no two the same and none of those taken."""
    facts: dict[str, str] = {}
    for key, text in sorted(snapshot.value.items()):
        # Two underscores in front are reserved for Prometheus itself.
        name = exported_name(key).lstrip("_")
        if not name or name[0].isdigit():
            name = f"_{name}"
        while name in taken or name in facts:
            name += "_" if name != "_" else "0"
        facts[name] = text
    return facts


def prefix(name: str, labelnames: Values, values: Values, label: str = "", text: str = "") -> str:
    """Return what stands before the number of a sample, with one more label if there is one."""
    labels = label_text(labelnames, values)[1:-1]
    if label:
        labels = f'{labels}{"," if labels else ""}{label}="{text}"'
    return f"{name}{{{labels}}} " if labels else f"{name} "


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
