"""Metric families in go-ethereum's dialect of Prometheus' text format."""

from collections.abc import Sequence
from typing import Any, cast, final

from metrics._native import BytesWriter
from metrics.exporters._encoding.numbers import Number, go_float
from metrics.exporters._exposition.distributions import QUANTILE_TEXTS, SUMMARY_QUANTILES
from metrics.exporters._exposition.families import (
    MetricFamily,
    Values,
    point_labels,
)
from metrics.exporters._exposition.layout import Layout, numbered_name
from metrics.exporters._exposition.writing import LINE_FEED, encode, write_number
from metrics.exporters._series.kinds import FirstKinds
from metrics.exporters._series.views import number_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.instruments._inner import escape_label
from metrics.registry._inner import Entry, Labels, exported_name

NANOSECONDS = 1e9

PICOSECOND = 3
"""Decimals of a nanosecond to which a float of seconds is exact."""


class GethFamily(MetricFamily):
    """Metric family in go-ethereum's spelling."""

    __slots__ = ()

    def _text(self, values: Values) -> Any:
        return encode(f"{self.name}{label_braces(self.labels(values))} ")


@final
class GethScalarFamily(GethFamily):
    """A counter, a gauge, a meter or a health check: one number."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the scalar value, or the count of a meter."""
        return number_of(snapshot)

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line."""
        write_line(writer, cast("bytes", text), view)


@final
class GethPointsFamily(GethFamily):
    """Numbers with labels of their own: info labels, states."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the points."""
        return snapshot.points

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line for each point."""
        labels = cast("Labels", text)
        for point in view:
            pairs = sorted((*labels, *point_labels(point, self.name, dict(labels))))
            writer.write(encode(f"{self.name}{label_braces(pairs)} "))
            write_number(writer, point.value)
            writer.append(LINE_FEED)

    def _text(self, values: Values) -> Any:
        return self.labels(values)


@final
class GethCountFamily(GethFamily):
    """Count of all values."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the count since the creation of the instrument."""
        return distribution_of(snapshot).total_count

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append one line."""
        write_line(writer, cast("bytes", text), view)


class GethPercentilesFamily(GethFamily):
    """Percentiles, as a summary without sum and count."""

    __slots__ = ()

    def view(self, snapshot: Snapshot) -> Any:
        """Return the distribution."""
        return distribution_of(snapshot)

    def write(self, writer: BytesWriter, text: Any, view: Any) -> None:
        """Append a line for each quantile."""
        openings = cast("list[bytes]", text)
        for opening, value in zip(openings, view.percentiles(SUMMARY_QUANTILES), strict=True):
            write_line(writer, opening, self._exported(value))

    def _text(self, values: Values) -> Any:
        labels = self.labels(values)
        return [
            encode(f"{self.name}{label_braces((*labels, ('quantile', text)))} ")
            for text in QUANTILE_TEXTS
        ]

    def _exported(self, value: float) -> float:
        return value


@final
class GethDurationsFamily(GethPercentilesFamily):
    """Percentiles of durations, in nanoseconds."""

    __slots__ = ()

    def _exported(self, value: float) -> float:
        return round(value * NANOSECONDS, PICOSECOND)


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
        new = self._family(family, name, kind, encode(f"# TYPE {name} {kind}\n"), name, ONLY_NAME)
        # A blank line follows each family.
        new.ending = b"\n"
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


def write_line(writer: BytesWriter, text: bytes, value: Number) -> None:
    """Append a line with a number in Go's spelling; ints stay whole."""
    writer.write(text)
    if isinstance(value, int):
        write_number(writer, value)
    else:
        writer.write(go_float(value).encode())
    writer.append(LINE_FEED)
