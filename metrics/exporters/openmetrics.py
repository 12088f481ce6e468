"""OpenMetrics 1.0.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Collection, Iterator, Sequence
from typing import final

from metrics.clock import Clock
from metrics.exporters.exposition.creations import SEQUENCE, Creations
from metrics.exporters.exposition.forms import About, Form, Values
from metrics.exporters.exposition.layout import Layout, TextLayout, escaped_help, sample_name
from metrics.exporters.exposition.page import Block, Page, checked_names
from metrics.exporters.writing.numbers import Number
from metrics.instruments._buckets import BucketHistogramSnapshot
from metrics.instruments._counter import CounterSnapshot
from metrics.instruments._meter import MeterSnapshot
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._snapshot import Snapshot
from metrics.instruments._timer import TimerSnapshot
from metrics.registry import Registry
from metrics.registry._entries import Entry
from metrics.registry._exported_names import OPENMETRICS_SUFFIXES, exported_name, exposed_names

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

    def _exposed(self, kind: type, entry: Entry) -> list[str]:
        return exposed_names(kind, entry.name, entry.unit, OPENMETRICS_SUFFIXES)

    def _new_layout(self, entry: Entry, labelnames: Values) -> Layout:
        return OpenMetricsLayout(entry, labelnames)

    def _text(self, layout: Layout, form: Form, values: Values, snapshot: Snapshot) -> str:
        text = allowed(form.text(values, snapshot), snapshot)
        assert isinstance(layout, OpenMetricsLayout)  # noqa: S101 - made above
        creations = layout.creations.get(form)
        if creations is None:
            return text
        total = total_of(snapshot)
        return text + creations.line(values, total, self._begun, layout.read_before)


@final
class OpenMetricsLayout(TextLayout):
    """The forms of an entry in OpenMetrics.

    Args:
        entry: an instrument or a family, and what is known about it.
        labelnames: the family's labels; none for an instrument.
    """

    __slots__ = ("_unit_text", "creations", "read_before")

    def __init__(self, entry: Entry, labelnames: Values) -> None:
        super().__init__(entry, labelnames)
        self._unit_text = exported_name(self._scale.base).strip("_")
        self.read_before = entry.registered
        self.creations: dict[Form, Creations] = {}

    def forget(self, present: Sequence[Values]) -> None:
        """Keep what is known of these children only."""
        super().forget(present)
        for creations in self.creations.values():
            creations.forget(present)

    def _form(self, form: type[Form], family: str, kind: str) -> Form:
        heading = f"# HELP {family} {escaped(self._help)}\n# TYPE {family} {kind}\n"
        # Facts have no unit, and a unit has to be the last word of the name.
        if kind != "info" and self._unit_text and family.endswith(f"_{self._unit_text}"):
            heading += f"# UNIT {family} {self._unit_text}\n"
        sample = sample_name(family, kind)
        taken = [family + suffix for suffix in OPENMETRICS_SUFFIXES[kind]]
        return form(About(sample, kind, heading, taken, self._scale, self.labelnames))

    def _known(self, new: Form) -> Form:
        form = super()._known(new)
        if form is new and form.kind in {"counter", "summary", "histogram"}:
            family = form.name.removesuffix("_total") if form.kind == "counter" else form.name
            self.creations[form] = Creations(f"{family}_created", self.labelnames)
        return form


def total_of(snapshot: Snapshot) -> Number:
    """Return what an instrument has counted."""
    if isinstance(snapshot, CounterSnapshot | MeterSnapshot):
        return snapshot.count
    sample = snapshot.durations if isinstance(snapshot, TimerSnapshot) else snapshot
    if isinstance(sample, HistogramSnapshot | BucketHistogramSnapshot):
        return sample.total_count
    return 0


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
    return escaped_help(text).replace('"', '\\"')
