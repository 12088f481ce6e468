"""What the instruments of a registry become on a page of Prometheus: names, types and units."""

from collections.abc import Sequence

from metrics._units import scale_of
from metrics.exporters.exposition.forms import (
    About,
    Buckets,
    Facts,
    Form,
    Rates,
    Single,
    Summary,
    Values,
)
from metrics.exporters.reading.first_kind import first_kind
from metrics.instruments._buckets import BucketHistogramSnapshot
from metrics.instruments._counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments._gauge import GaugeSnapshot
from metrics.instruments._healthcheck import HealthcheckSnapshot
from metrics.instruments._info import InfoSnapshot
from metrics.instruments._meter import MeterSnapshot
from metrics.instruments._sample import HistogramSnapshot
from metrics.instruments._snapshot import Snapshot
from metrics.instruments._timer import TimerSnapshot
from metrics.registry import _exported_names as names
from metrics.registry._entries import Entry, kind_of


class Layout:
    """The forms of one entry of a registry. It is kept with the entry, and lives as long.

    Args:
        entry: an instrument or a family, and what is known about it.
        labelnames: the family's labels; none for an instrument.
    """

    __slots__ = ("_first_kind", "_forms", "_help", "_scale", "_stem", "labelnames")

    def __init__(self, entry: Entry, labelnames: Values) -> None:
        self.labelnames = labelnames
        self._stem = names.stem(entry.name, entry.unit)
        self._help = entry.description or f"{entry.name} ({kind_of(entry.instrument)})"
        self._scale = scale_of(entry.unit)
        self._first_kind = first_kind(entry)
        # By type of snapshot: a family may mix timers with a sample and timers with buckets.
        self._forms: dict[object, tuple[Form, ...]] = {}

    def forms(self, snapshot: Snapshot) -> tuple[Form, ...]:
        """Return the metric families that an instrument with such a snapshot is part of."""
        key: object = type(snapshot)
        if isinstance(snapshot, TimerSnapshot):
            key = (key, type(snapshot.durations))
        forms = self._forms.get(key)
        if forms is None:
            forms = self._forms[key] = tuple([self._known(f) for f in self._made(snapshot)])
        return forms

    def forget(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        for forms in self._forms.values():
            for form in forms:
                form.forget(present)

    def _known(self, new: Form) -> Form:
        """Return the form there is under a name, so that children of two types share it."""
        for forms in self._forms.values():
            for form in forms:
                if (form.name, form.kind) == (new.name, new.kind):
                    return form
        return new

    def _made(self, snapshot: Snapshot) -> list[Form]:
        """Return new forms for such a snapshot."""
        raise NotImplementedError


class TextLayout(Layout):
    """The forms of an entry in Prometheus' text format."""

    __slots__ = ()

    def _made(self, snapshot: Snapshot) -> list[Form]:
        text = self._stem
        base = self._scale.base
        forms: list[Form] = []
        match snapshot:
            case CounterSnapshot():
                forms = [self._form(Single, names.counted(text, base), "counter")]
            case UpDownCounterSnapshot() | GaugeSnapshot():
                forms = [self._form(Single, names.measured(text, base), "gauge")]
            case InfoSnapshot():
                forms = [self._form(Facts, names.told(text, base), "info")]
            case HealthcheckSnapshot():
                forms = [self._form(Single, names.checked(text, base), "gauge")]
            case MeterSnapshot():
                forms = [
                    self._form(Single, names.counted(text, base), "counter"),
                    self._form(Rates, names.metered(text, base), "gauge"),
                ]
            case HistogramSnapshot() | BucketHistogramSnapshot():
                forms = self._distribution(names.measured(text, base), snapshot)
            case TimerSnapshot():
                forms = [
                    *self._distribution(names.timed(text, base), snapshot.durations),
                    self._form(Rates, names.paced(text, base), "gauge"),
                ]
        return forms

    def _distribution(self, family: str, snapshot: Snapshot) -> list[Form]:
        """Return a summary for a sample, a histogram for buckets; a family is one of the two."""
        if not self._first_kind.takes(snapshot):
            return []
        if isinstance(snapshot, BucketHistogramSnapshot):
            return [self._form(Buckets, family, "histogram")]
        return [self._form(Summary, family, "summary")]

    def _form(self, form: type[Form], family: str, kind: str) -> Form:
        """Return a form of a family, given as OpenMetrics has it: its name and its type."""
        sample = sample_name(family, kind)
        written = "gauge" if kind == "info" else kind
        heading = f"# HELP {sample} {escaped_help(self._help)}\n# TYPE {sample} {written}\n"
        taken = [family + suffix for suffix in names.TEXT_SUFFIXES[kind]]
        return form(About(sample, kind, heading, taken, self._scale, self.labelnames))


def sample_name(family: str, kind: str) -> str:
    """Return what the samples of a family are called, but for what stands behind that."""
    return family + {"counter": "_total", "info": "_info"}.get(kind, "")


def escaped_help(text: str) -> str:
    r"""Return a help text with `\` and line feeds escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
