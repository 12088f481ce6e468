"""OpenMetrics 1.0.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Collection, Iterator, Sequence
from typing import final

from metrics.exporters._exposition.families import Form, Values, number, only, prefix
from metrics.exporters._exposition.layout import (
    OPENMETRICS_SUFFIXES,
    SAMPLE_SUFFIXES,
    Layout,
    TextLayout,
    escape_help,
    exposed_names,
)
from metrics.exporters._exposition.page import Block, Page, checked_names
from metrics.exporters._exposition.renaming import number_of_entry
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Instrument, Snapshot
from metrics.instruments._inner import Cumulative
from metrics.registry import Registry
from metrics.registry._inner import Entry, Kind, exported_name

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

EOF = "# EOF\n"


def render(
    registry: Registry, *, names: Collection[str] = (), reader: str = "openmetrics"
) -> bytes:
    """Return the values of a registry as a page of OpenMetrics.

    The samples are the same as in Prometheus' text format, with `_created` beside each total: the
    time of the registration, of the creation of a family's child, or of the last `clear`. Values
    that the format does not allow are left out: quantiles and sums below 0, and the sum and the
    count of buckets that begin below 0.

    Args:
        registry: the registry to read.
        names: names of metric families or samples: only these families are written, and
            instruments that are known to have none of them are not read. All when empty.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `names` is a str, or an element is not a str.
    """
    return b"".join(stream(registry, names=names, reader=reader))


def stream(
    registry: Registry, *, names: Collection[str] = (), reader: str = "openmetrics"
) -> Iterator[bytes]:
    """Yield the page that `render` returns in chunks of whole lines, reading as it goes.

    Raises:
        TypeError: as `render`, from the call itself.
    """
    return OpenMetricsPage(reader, checked_names(names)).chunks(registry)


@final
class OpenMetricsPage(Page):
    """Page of one reader.

    Args:
        reader: the name of the reader.
        names: names of the requested families; all when empty.
    """

    __slots__ = ("_created", "_registered")

    def __init__(self, reader: str, names: frozenset[str]) -> None:
        super().__init__(reader, "openmetrics", names)
        self._ending = EOF
        self._registered = 0.0
        # Of the instrument that is being written.
        self._created = 0.0

    def blocks(self, entry: Entry) -> list[Block]:
        """Return the metric families of an instrument, or of all children of a family."""
        self._registered = entry.registered
        return super().blocks(entry)

    def _exposed(self, kind: Kind, entry: Entry, number: int) -> list[str]:
        return exposed_names(kind, entry, number, OPENMETRICS_SUFFIXES)

    def _new_layout(self, entry: Entry, labelnames: Values) -> Layout:
        return OpenMetricsLayout(entry, labelnames, number_of_entry(entry, self._dialect))

    def _snapshot(self, instrument: Instrument) -> Snapshot:
        # Read before the total: one that is cleared in between began after the time written.
        created = instrument.created if isinstance(instrument, Cumulative) else 0.0
        self._created = created or self._registered
        return super()._snapshot(instrument)

    def _text(self, layout: Layout, form: Form, values: Values, snapshot: Snapshot) -> str:
        text = allowed_lines(form.text(values, snapshot), snapshot)
        assert isinstance(layout, OpenMetricsLayout)  # noqa: S101 - returned by _new_layout()
        created = layout.created.get(form)
        return text if created is None else text + created.line(values, self._created)


@final
class OpenMetricsLayout(TextLayout):
    """Metric families of an entry in OpenMetrics.

    Args:
        entry: an instrument or a family, with its description and unit.
        labelnames: the family's labels; empty for an instrument.
    """

    __slots__ = ("_unit_text", "created")

    def __init__(self, entry: Entry, labelnames: Values, number: int = 1) -> None:
        super().__init__(entry, labelnames, number)
        self._unit_text = exported_name(self._scale.base).strip("_")
        self.created: dict[Form, CreatedLines] = {}

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        super().retain(present)
        for created in self.created.values():
            created.retain(present)

    def _form(self, form: type[Form], family: str, kind: str) -> Form:
        heading = f"# HELP {family} {escape_help_text(self._help)}\n# TYPE {family} {kind}\n"
        # Info labels and states have no unit, and a unit has to be the last word of the name.
        unit = "" if kind in {"info", "stateset"} else self._unit_text
        if unit and family.endswith(f"_{unit}"):
            heading += f"# UNIT {family} {unit}\n"
        names = [family + suffix for suffix in OPENMETRICS_SUFFIXES[kind]]
        return self._about(family + SAMPLE_SUFFIXES.get(kind, ""), kind, heading, names, form)

    def _known(self, new: Form) -> Form:
        form = super()._known(new)
        if form is new and form.kind in {"counter", "summary", "histogram"}:
            family = form.name.removesuffix("_total") if form.kind == "counter" else form.name
            self.created[form] = CreatedLines(f"{family}_created", form)
        return form


@final
class CreatedLines:
    """`_created` samples of one metric family.

    Args:
        name: the name of the samples.
        form: the form of the family, which has its labels.
    """

    __slots__ = ("_form", "_kept", "_name")

    def __init__(self, name: str, form: Form) -> None:
        self._name = name
        self._form = form
        # Times seldom change, and to write one takes longer than all else of a counter.
        self._kept: dict[Values, tuple[float, str]] = {}

    def line(self, values: Values, created: float) -> str:
        """Return the line of the child with these label values, created at seconds of the epoch."""
        kept = self._kept.get(values)
        if kept is None or kept[0] != created:
            text = f"{prefix(self._name, self._form.labels(values))}{number(created)}\n"
            kept = self._kept[values] = (created, text)
        return kept[1]

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the lines of these children only."""
        self._kept = only(self._kept, present)


def allowed_lines(text: str, snapshot: Snapshot) -> str:
    """Return the lines of a distribution that the format allows."""
    if isinstance(snapshot, BucketHistogramSnapshot):
        if snapshot.bounds[0] < 0 or snapshot.sum < 0:
            # The last two lines are sum and count, which have to be there together.
            return text.rsplit("\n", 3)[0] + "\n"
    elif isinstance(snapshot, HistogramSnapshot) and " -" in text:
        lines = text.splitlines(keepends=True)
        return "".join([line for line in lines if float(line.rpartition(" ")[2]) >= 0])
    return text


def escape_help_text(text: str) -> str:
    r"""Return a help text with `\`, `"` and line feeds escaped."""
    return escape_help(text).replace('"', '\\"')
