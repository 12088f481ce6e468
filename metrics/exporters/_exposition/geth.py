"""Metric families in go-ethereum's dialect of Prometheus' text format."""

from collections.abc import Sequence
from typing import Any, final

from metrics.exporters._encoding.numbers import Number, go_float
from metrics.exporters._exposition.families import (
    QUANTILE_TEXTS,
    SUMMARY_QUANTILES,
    Children,
    MetricFamily,
    Values,
    number,
    point_labels,
)
from metrics.exporters._exposition.layout import Layout, numbered_name
from metrics.exporters._series.kinds import FirstKinds
from metrics.exporters._series.scalar import number_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.instruments._inner import escape_label
from metrics.registry._inner import Entry, exported_name

NANOSECONDS = 1e9

PICOSECOND = 3
"""Decimals of a nanosecond to which a float of seconds is exact."""


class GethFamily(MetricFamily):
    """Metric family in go-ethereum's spelling."""

    __slots__ = ()

    def _text(self, values: Values) -> str:
        return self.name + label_braces(self.labels(values)) + " "


@final
class GethScalarFamily(GethFamily):
    """A counter, a gauge, a meter or a health check: one number."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the scalar value, or the count of a meter."""
        return number_of(snapshot)

    def lines(self, children: Children) -> list[str]:
        """Return one line for each child."""
        texts = self.texts(children)
        return [f"{texts[i]}{go_number(children.views[i])}\n" for i in range(len(texts))]


@final
class GethPointsFamily(GethFamily):
    """Numbers with labels of their own: info labels, states."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the points."""
        return snapshot.points

    def lines(self, children: Children) -> list[str]:
        """Return one line for each point of each child."""
        lines: list[str] = []
        for i in range(len(children.values)):
            labels = self.labels(children.values[i])
            for point in children.views[i]:
                pairs = sorted((*labels, *point_labels(point, self.name, dict(labels))))
                lines.append(f"{self.name}{label_braces(pairs)} {number(point.value)}\n")
        return lines


@final
class GethCountFamily(GethFamily):
    """Count of all values."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the count since the creation of the instrument."""
        return distribution_of(snapshot).total_count

    def lines(self, children: Children) -> list[str]:
        """Return one line for each child."""
        texts = self.texts(children)
        return [f"{texts[i]}{go_number(children.views[i])}\n" for i in range(len(texts))]


class GethPercentilesFamily(GethFamily):
    """Percentiles, as a summary without sum and count."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return distribution_of(snapshot)

    def lines(self, children: Children) -> list[str]:
        """Return a line for each quantile of each child."""
        texts = self.texts(children)
        lines: list[str] = []
        for i in range(len(texts)):
            quantiles = children.views[i].percentiles(SUMMARY_QUANTILES)
            lines.append(texts[i] % tuple([self._number(value) for value in quantiles]))
            # A sample may have thousands of values, which were sorted.
            children.turns.offer()
        return lines

    def _text(self, values: Values) -> str:
        labels = self.labels(values)
        return "".join(
            [
                f"{self.name}{label_braces((*labels, ('quantile', text)))}".replace("%", "%%")
                + " %s\n"
                for text in QUANTILE_TEXTS
            ]
        )

    def _number(self, value: float) -> str:
        return go_number(value)


@final
class GethDurationsFamily(GethPercentilesFamily):
    """Percentiles of durations, in nanoseconds."""

    __slots__ = ()

    def _number(self, value: float) -> str:
        return go_number(round(value * NANOSECONDS, PICOSECOND))


@final
class GethLayout(Layout):
    """Metric families of an entry in go-ethereum's dialect."""

    __slots__ = ("_text",)

    def __init__(
        self, entry: Entry, labelnames: Values, number: int, first_kinds: FirstKinds
    ) -> None:
        super().__init__(entry, labelnames, number, first_kinds)
        self._text = numbered_name(exported_name(entry.name), number)

    def names(self) -> list[str]:
        """Return every name that the page may have for an instrument of a known kind."""
        if self.kind is None:
            return []
        # go-ethereum writes a distribution as two families.
        if any(exported.view == "distribution" for exported in self.kind.families):
            return [self._text, f"{self._text}_count"]
        return [self._text]

    def families(self, snapshot: Snapshot) -> tuple[MetricFamily, ...]:
        """Return the metric families of such a snapshot; none for a timer without new values."""
        if self.resets and not distribution_of(snapshot).count:
            return ()
        return super().families(snapshot)

    def _new(self, snapshot: Snapshot) -> list[MetricFamily]:
        kind = self.kind
        if snapshot.distribution is not None:
            is_timer = snapshot.rates is not None or (kind is not None and kind.measures_time)
            percentiles = GethDurationsFamily if is_timer else GethPercentilesFamily
            return [
                self._geth_family(GethCountFamily, f"{self._text}_count", "counter"),
                self._geth_family(percentiles, self._text, "summary"),
            ]
        if snapshot.scalar is not None:
            return [self._geth_family(GethScalarFamily, self._text, "gauge")]
        return [] if kind is None else [self._geth_family(GethPointsFamily, self._text, "gauge")]

    def _geth_family(self, family: type[MetricFamily], name: str, kind: str) -> MetricFamily:
        new = self._family(family, name, kind, f"# TYPE {name} {kind}\n", name, ONLY_NAME)
        # A blank line follows each family.
        new.ending = "\n"
        return new


ONLY_NAME: Values = ("",)
"""Suffixes of a family whose samples have its name."""


def distribution_of(snapshot: Snapshot) -> HistogramSnapshot | BucketHistogramSnapshot:
    """Return the distribution of a snapshot that has one."""
    sample = snapshot.distribution
    assert sample is not None  # noqa: S101 - the families above are of such snapshots
    return sample


def label_braces(pairs: Sequence[tuple[str, str]]) -> str:
    """Return labels in go-ethereum's spelling after a space; an empty text for no labels."""
    if not pairs:
        return ""
    return " {" + ", ".join([f'{name}="{escape_label(text)}"' for name, text in pairs]) + "}"


def go_number(value: Number) -> str:
    """Return a number in Go's spelling; ints stay whole."""
    return number(value) if isinstance(value, int) else go_float(value)
