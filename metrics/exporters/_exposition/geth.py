"""What the instruments of a registry become in go-ethereum's dialect of Prometheus' text format."""

from collections.abc import Sequence

from metrics.exporters._encoding.numbers import Number, canonical, go_float
from metrics.exporters._exposition.families import (
    SUMMARY_QUANTILES,
    About,
    Form,
    Values,
    number,
    point_labels,
)
from metrics.exporters._exposition.layout import Layout, numbered_name
from metrics.exporters._series.scalar import number_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.instruments._inner import escape_label
from metrics.registry._inner import Entry, exported_name, kind_of

NANOSECONDS = 1e9

PICOSECOND = 3
"""Decimals of a nanosecond that a float of seconds can be trusted with."""


class GethForm(Form):
    """A metric family, a blank line behind it."""

    __slots__ = ()

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self.ending = "\n"

    def before(self, values: Values, label: str = "", text: str = "") -> str:
        """Return what stands before the number of a sample, kept from the first time."""
        key = (*values, text)
        kept = self._kept.get(key)
        if kept is None:
            pairs = [*self.labels(values)]
            if label:
                pairs.append((label, text))
            kept = self._kept[key] = self.name + braced(pairs)
        return kept

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        children = set(present)
        self._kept = {key: self._kept[key] for key in self._kept if key[:-1] in children}


class GethSingle(GethForm):
    """A counter, a gauge, a meter or a health check: one number."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line."""
        return f"{self.before(values)} {go_number(number_of(snapshot))}\n"


class GethPoints(GethForm):
    """Numbers with labels of their own: info labels, states."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line for each point."""
        labels = self.labels(values)
        lines = []
        for point in snapshot.points:
            pairs = sorted((*labels, *point_labels(point, self.name, dict(labels))))
            lines.append(f"{self.name}{braced(pairs)} {number(point.value)}\n")
        return "".join(lines)


class GethCount(GethForm):
    """How many values there were in all."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return one line."""
        return f"{self.before(values)} {go_number(sample_of(snapshot).total_count)}\n"


class GethPercentiles(GethForm):
    """Percentiles, as a summary that has neither a sum nor a count."""

    __slots__ = ()

    def text(self, values: Values, snapshot: Snapshot) -> str:
        """Return a line for each quantile."""
        sample = sample_of(snapshot)
        lines = [
            f"{self.before(values, 'quantile', canonical(q))} {self._number(value)}\n"
            for q, value in zip(
                SUMMARY_QUANTILES, sample.percentiles(SUMMARY_QUANTILES), strict=True
            )
        ]
        return "".join(lines)

    def _number(self, value: float) -> str:
        return go_number(value)


class GethDurations(GethPercentiles):
    """Percentiles of durations, in nanoseconds."""

    __slots__ = ()

    def _number(self, value: float) -> str:
        return go_number(round(value * NANOSECONDS, PICOSECOND))


class GethLayout(Layout):
    """Forms of an entry in go-ethereum's dialect."""

    __slots__ = ("_kind", "_name")

    def __init__(self, entry: Entry, labelnames: Values, number: int = 1) -> None:
        super().__init__(entry, labelnames, number)
        self._kind = kind_of(entry.instrument)
        self._name = numbered_name(exported_name(entry.name), number)

    def forms(self, snapshot: Snapshot) -> tuple[Form, ...]:
        """Return the metric families of such a snapshot; none for a timer without new values."""
        if self._kind is not None and self._kind.resets and not sample_of(snapshot).count:
            return ()
        return super().forms(snapshot)

    def _new(self, snapshot: Snapshot) -> list[Form]:
        if snapshot.distribution is not None:
            is_timer = snapshot.rates is not None or (
                self._kind is not None and self._kind.measures_time
            )
            percentiles = GethDurations if is_timer else GethPercentiles
            return [
                self._form(GethCount, f"{self._name}_count", "counter"),
                self._form(percentiles, self._name, "summary"),
            ]
        if snapshot.scalar is not None:
            return [self._form(GethSingle, self._name, "gauge")]
        return [self._form(GethPoints, self._name, "gauge")] if self._kind is not None else []

    def _form(self, form: type[Form], name: str, kind: str) -> Form:
        return self._about(name, kind, f"# TYPE {name} {kind}\n", [name], form)


def sample_of(snapshot: Snapshot) -> HistogramSnapshot | BucketHistogramSnapshot:
    """Return the distribution that a snapshot is, or has."""
    sample = snapshot.distribution
    assert sample is not None  # noqa: S101 - the view of these forms
    return sample


def braced(pairs: Sequence[tuple[str, str]]) -> str:
    """Return labels as go-ethereum writes them, a space before them; nothing for none."""
    if not pairs:
        return ""
    return " {" + ", ".join([f'{name}="{escape_label(text)}"' for name, text in pairs]) + "}"


def go_number(value: Number) -> str:
    """Return a number as Go writes it; ints stay whole."""
    return number(value) if isinstance(value, int) else go_float(value)
