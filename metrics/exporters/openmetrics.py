"""OpenMetrics 1.0.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Collection, Iterator, Sequence
from typing import final

from metrics.clock import Clock
from metrics.exporters.exposition.creations import SEQUENCE, Creations
from metrics.exporters.exposition.forms import Form, Values
from metrics.exporters.exposition.layout import (
    OPENMETRICS_SUFFIXES,
    SAMPLE_SUFFIXES,
    Layout,
    TextLayout,
    escape_help,
    exposed_names,
)
from metrics.exporters.exposition.page import Block, Page, checked_names
from metrics.exporters.exposition.renaming import number_of_entry
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.registry import Registry
from metrics.registry._inner import Entry, Kind
from metrics.registry._names import exported_name

CONTENT_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

EOF = "# EOF\n"


def render(
    registry: Registry, *, names: Collection[str] = (), reader: str = "openmetrics"
) -> bytes:
    """Return the values of a registry as a page of OpenMetrics.

    The samples are those of Prometheus' text format, and `_created` beside totals: when they were
    registered, or, for one that was cleared or came later, when it was read before that. What the
    format has no place for is left out: quantiles and sums below 0, and the sum and the count of
    buckets that begin below 0.

    Args:
        registry: what to read.
        names: of metric families or samples; those families alone are written, and what is known
            not to be among them is not read. Everything when empty.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        TypeError: `names` is a str, or holds something else than str.
    """
    return b"".join(stream(registry, names=names, reader=reader))


def stream(
    registry: Registry, *, names: Collection[str] = (), reader: str = "openmetrics"
) -> Iterator[bytes]:
    """Yield what `render` returns in chunks that end with a line; instruments are read meanwhile.

    Raises:
        TypeError: as `render`, and at once.
    """
    return OpenMetricsPage(reader, checked_names(names), registry.clock).chunks(registry)


@final
class OpenMetricsPage(Page):
    """A page that is being made.

    Args:
        reader: who reads.
        names: those that are asked for; all when empty.
        clock: tells when something was read.
    """

    __slots__ = ("_begun", "_clock")

    def __init__(self, reader: str, names: frozenset[str], clock: Clock) -> None:
        super().__init__(reader, "openmetrics", names)
        self._ending = EOF
        self._clock = clock
        self._begun = 0

    def blocks(self, entry: Entry) -> list[Block]:
        """Return the metric families that an instrument, or all children of a family, become."""
        self._begun = next(SEQUENCE)
        now = self._clock.time()
        blocks = super().blocks(entry)
        layout = entry.kept.get(self._dialect)
        if blocks and isinstance(layout, OpenMetricsLayout):
            layout.read_before = now
        return blocks

    def _exposed(self, kind: Kind, entry: Entry, number: int) -> list[str]:
        return exposed_names(kind, entry, number, OPENMETRICS_SUFFIXES)

    def _new_layout(self, entry: Entry, labelnames: Values) -> Layout:
        return OpenMetricsLayout(entry, labelnames, number_of_entry(entry, self._dialect))

    def _text(self, layout: Layout, form: Form, values: Values, snapshot: Snapshot) -> str:
        text = allowed(form.text(values, snapshot), snapshot)
        assert isinstance(layout, OpenMetricsLayout)  # noqa: S101 - made above
        creations = layout.creations.get(form)
        if creations is None:
            return text
        total = snapshot.total or 0
        return text + creations.line(values, total, self._begun, layout.read_before)


@final
class OpenMetricsLayout(TextLayout):
    """The forms of an entry in OpenMetrics.

    Args:
        entry: an instrument or a family, and what is known about it.
        labelnames: the family's labels; none for an instrument.
    """

    __slots__ = ("_unit_text", "creations", "read_before")

    def __init__(self, entry: Entry, labelnames: Values, number: int = 1) -> None:
        super().__init__(entry, labelnames, number)
        self._unit_text = exported_name(self._scale.base).strip("_")
        self.read_before = entry.registered
        self.creations: dict[Form, Creations] = {}

    def retain(self, present: Sequence[Values]) -> None:
        """Keep what is known of these children only."""
        super().retain(present)
        for creations in self.creations.values():
            creations.retain(present)

    def _form(self, form: type[Form], family: str, kind: str) -> Form:
        heading = f"# HELP {family} {escaped(self._help)}\n# TYPE {family} {kind}\n"
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
            self.creations[form] = Creations(f"{family}_created", self.labelnames)
        return form


def allowed(text: str, snapshot: Snapshot) -> str:
    """Return the lines of a distribution that the format has a place for."""
    if isinstance(snapshot, BucketHistogramSnapshot):
        if snapshot.bounds[0] < 0 or snapshot.sum < 0:
            # The last two lines are sum and count, which have to be there together.
            return text.rsplit("\n", 3)[0] + "\n"
    elif isinstance(snapshot, HistogramSnapshot) and " -" in text:
        lines = text.splitlines(keepends=True)
        return "".join([line for line in lines if float(line.rpartition(" ")[2]) >= 0])
    return text


def escaped(text: str) -> str:
    r"""Return a help text with `\`, `"` and line feeds escaped."""
    return escape_help(text).replace('"', '\\"')
