"""What the instruments of a registry become in Prometheus' text format: names, types and units."""

from collections.abc import Sequence
from typing import final

from metrics.entries import Entry, exported_name, kind_of
from metrics.exporters.forms import Buckets, Facts, Form, Rates, Single, Summary, Values
from metrics.exporters.units import scale_of
from metrics.instruments.buckets import BucketHistogramSnapshot
from metrics.instruments.counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments.gauge import GaugeSnapshot
from metrics.instruments.healthcheck import HealthcheckSnapshot
from metrics.instruments.info import InfoSnapshot
from metrics.instruments.meter import MeterSnapshot
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.snapshot import Snapshot
from metrics.instruments.timer import TimerSnapshot


@final
class Layout:
    """The forms of one entry of a registry. It is kept with the entry, and lives as long.

    Args:
        entry: an instrument or a family, and what is known about it.
        labelnames: the family's labels; none for an instrument.
    """

    __slots__ = ("_forms", "_help", "_name", "_scale", "labelnames")

    def __init__(self, entry: Entry, labelnames: Values) -> None:
        self.labelnames = labelnames
        self._help = entry.description or f"{entry.name} ({kind_of(entry.instrument)})"
        self._scale = scale_of(entry.unit)
        self._name = exported_name(entry.name)
        if self._scale.base != entry.unit:
            self._name = self._name.removesuffix(f"_{entry.unit}")
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
        name = self._name
        measured = with_unit(name, self._scale.base)
        forms: list[Form] = []
        match snapshot:
            case CounterSnapshot():
                forms = [self._counter()]
            case UpDownCounterSnapshot() | GaugeSnapshot():
                forms = [self._form(Single, measured, "gauge")]
            case InfoSnapshot():
                forms = [self._form(Facts, with_suffix(name, "info"), "gauge")]
            case HealthcheckSnapshot():
                forms = [self._form(Single, f"{name}_healthy", "gauge")]
            case MeterSnapshot():
                forms = [self._counter(), self._form(Rates, f"{measured}_per_second", "gauge")]
            case HistogramSnapshot() | BucketHistogramSnapshot():
                forms = [self._distribution(measured, snapshot)]
            case TimerSnapshot():
                rates = self._form(Rates, f"{name.removesuffix('_seconds')}_per_second", "gauge")
                forms = [self._distribution(with_unit(name, "seconds"), snapshot.durations), rates]
        return forms

    def _counter(self) -> Form:
        # A name may say that it is a total, but the unit comes before that.
        measured = with_unit(self._name.removesuffix("_total"), self._scale.base)
        return self._form(Single, f"{measured}_total", "counter")

    def _distribution(self, name: str, snapshot: Snapshot) -> Form:
        """Return a summary for a sample, a histogram for buckets."""
        if isinstance(snapshot, BucketHistogramSnapshot):
            return self._form(Buckets, name, "histogram")
        return self._form(Summary, name, "summary")

    def _form(self, form: type[Form], name: str, kind: str) -> Form:
        return form(name, kind, self._help, self._scale, self.labelnames)


def with_unit(name: str, unit: str) -> str:
    """Return a name that ends in its unit, if there is one that can be written."""
    written = exported_name(unit).strip("_")
    # go-ethereum's `readbytes` says it too.
    return name if name.endswith(written) else f"{name}_{written}"


def with_suffix(name: str, suffix: str) -> str:
    """Return a name whose last word is `suffix`."""
    return name if name == suffix or name.endswith(f"_{suffix}") else f"{name}_{suffix}"
