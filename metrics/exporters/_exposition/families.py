"""Metric families of Prometheus: the text and the samples of their children.

Names and labels of an instrument never change, so the text before a number is formed once for each
child and kept; a page then joins kept texts and numbers.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, cast, final

from metrics._native import BytesWriter
from metrics._turns import Turns
from metrics._units import Scale
from metrics.exporters._encoding.numbers import Number
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    UTF8,
    escape_label_name,
    escape_labels,
    quoted_prefix,
)
from metrics.exporters._exposition.writing import (
    LINE_FEED,
    encode,
    prefix,
    write_exemplar,
    write_number,
)
from metrics.exporters._series.views import number_of, rates_of
from metrics.instruments import (
    Counter,
    Exemplar,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    IntGauge,
    Snapshot,
    UpDownCounter,
)
from metrics.instruments._inner import Exemplars, Point
from metrics.registry._inner import Labels, exported_name

WINDOWS = ["1m", "5m", "15m", "mean"]
"""Values of the label `window` of rates, in the order of `rates_of`."""

Values = tuple[str, ...]
"""Label values of a child; none for an instrument without labels."""


TRACED = frozenset({"counter", "histogram"})
"""Types whose samples may have exemplars: the total, and the buckets."""

DATED = frozenset({"counter", "summary", "histogram"})
"""Types whose children may have the time of their creation."""


class Sample(NamedTuple):
    """A number of a page, in base units, with its exemplar if that is requested."""

    name: str
    labels: Labels
    value: Number
    exemplar: Exemplar | None = None


def tails_of(texts: list[str]) -> list[bytes]:
    """Return the text from a value of the last label to the number, for each value."""
    return [f'{text}"}} '.encode() for text in texts]


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
        # The scheme of all names: that of `name` and `stem`, and by `escape_labels` of labels.
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

    def escape_labels(self) -> None:
        """Write the names of labels in the scheme of the family, `escaping`."""
        self.labelnames = tuple(
            [escape_label_name(name, self.escaping) for name in self.labelnames]
        )
        self.constant = escape_labels(self.constant, self.escaping)

    def prefix(self, name: str, labels: Labels) -> str:
        """Return the text before the number of a sample: its name and its labels."""
        return quoted_prefix(name, labels) if self.escaping == UTF8 else prefix(name, labels)

    def opening(self, values: Values, label: str, suffix: str = "") -> bytes:
        """Return the text of a child up to the value of a last label, which a sample adds."""
        labels = (*self.labels(values), (label, ""))
        return encode(self.prefix(self.name + suffix, labels).removesuffix('"} '))


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
        for tail, rate in zip(WINDOW_TAILS, rates_of(view), strict=True):
            writer.write(cast("bytes", text))
            writer.write(tail)
            self.write_value(writer, rate)
            writer.append(LINE_FEED)

    def samples(self, values: Values, view: Any) -> list[Sample]:
        """Return one sample for each window."""
        labels = self.labels(values)
        return [
            Sample(self.name, (*labels, ("window", window)), self.scale.of(rate))
            for window, rate in zip(WINDOWS, rates_of(view), strict=True)
        ]

    def _text(self, values: Values) -> Any:
        return self.opening(values, "window")


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


def only(texts: dict[Values, Any], present: Sequence[Values]) -> dict[Values, Any]:
    """Return the texts of children that are present."""
    return {values: texts[values] for values in present if values in texts}
