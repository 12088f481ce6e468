"""Metric families that the instruments of a registry become on a page of Prometheus."""

from collections.abc import Sequence

from metrics._units import base_unit, scale_of
from metrics.exporters._exposition.families import (
    About,
    Buckets,
    Form,
    Points,
    Rates,
    Single,
    Summary,
    Values,
)
from metrics.exporters._series.kinds import first_kind
from metrics.instruments import BucketHistogramSnapshot, Snapshot
from metrics.registry._inner import (
    SNAPSHOT_KINDS,
    Entry,
    Kind,
    exported_name,
    stem,
    type_name,
    without,
)

Suffixes = dict[str, tuple[str, ...]]

OPENMETRICS_SUFFIXES: Suffixes = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "info": ("", "_info"),
    "stateset": ("",),
    "summary": ("", "_sum", "_count", "_created"),
    "histogram": ("", "_sum", "_count", "_bucket", "_created"),
}
"""Suffixes of a family's name in the names of its samples, by type, and of the family itself."""

TEXT_SUFFIXES: Suffixes = {
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
    "stateset": ("",),
    "summary": ("", "_sum", "_count"),
    "histogram": ("", "_sum", "_count", "_bucket"),
}
"""The same in Prometheus' text format, which has no `_created` and no family without a suffix."""

TEXT_TYPES = {"info": "gauge", "stateset": "gauge"}
"""Types in Prometheus' text format of the families whose type only OpenMetrics has."""

SAMPLE_SUFFIXES = {"counter": "_total", "info": "_info"}
"""Suffixes of the only sample of a family."""

FORMS: dict[str, type[Form]] = {"scalar": Single, "rates": Rates, "points": Points}
"""Forms by the view of the snapshot that they show."""


class Layout:
    """Forms of one entry of a registry. It is kept with the entry, and lives as long.

    Args:
        entry: an instrument or a family, with its name, unit and description.
        labelnames: the family's labels; none for an instrument.
        number: the number of the entry among those of one name, see `renaming`.
    """

    __slots__ = ("_entry", "_forms", "_help", "_number", "_scale", "labelnames")

    def __init__(self, entry: Entry, labelnames: Values, number: int = 1) -> None:
        self.labelnames = labelnames
        self._entry = entry
        self._number = number
        self._help = entry.description or f"{entry.name} ({type_name(entry.instrument)})"
        self._scale = scale_of(entry.unit)
        # By type of snapshot: a family may mix timers with a sample and timers with buckets.
        self._forms: dict[object, tuple[Form, ...]] = {}

    def forms(self, snapshot: Snapshot) -> tuple[Form, ...]:
        """Return the metric families of such a snapshot; none for one without a value."""
        forms = self._forms.get(type(snapshot))
        if forms is not None:
            return forms
        if snapshot.absent:
            return ()
        key = key_of(snapshot)
        forms = self._forms.get(key)
        if forms is None:
            forms = self._forms[key] = tuple([self._known(f) for f in self._new(snapshot)])
        return forms

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the text of these children only."""
        for forms in self._forms.values():
            for form in forms:
                form.retain(present)

    def _known(self, new: Form) -> Form:
        """Return the existing form of a name, so that children of two types share it."""
        for forms in self._forms.values():
            for form in forms:
                if (form.name, form.kind) == (new.name, new.kind):
                    return form
        return new

    def _new(self, snapshot: Snapshot) -> list[Form]:
        """Return new forms for such a snapshot."""
        raise NotImplementedError

    def _about(
        self, name: str, kind: str, heading: str, names: Sequence[str], form: type[Form]
    ) -> Form:
        labels = self._entry.labels
        return form(About(name, kind, heading, names, self._scale, self.labelnames, labels))


class TextLayout(Layout):
    """Forms of an entry in Prometheus' text format."""

    __slots__ = ()

    def _new(self, snapshot: Snapshot) -> list[Form]:
        kind = SNAPSHOT_KINDS.get(type(snapshot))
        if kind is None:
            return []
        distribution = snapshot.distribution
        if distribution is not None and not first_kind(self._entry).takes(distribution):
            distribution = None
        forms: list[Form] = []
        base = self._scale.base
        text = numbered_stem(self._entry, self._number)
        for exported in kind.families:
            family = exported.name(text, base)
            if exported.view != "distribution":
                forms.append(self._form(FORMS[exported.view], family, exported.type))
            elif isinstance(distribution, BucketHistogramSnapshot):
                forms.append(self._form(Buckets, family, "histogram"))
            elif distribution is not None:
                forms.append(self._form(Summary, family, "summary"))
        return forms

    def _form(self, form: type[Form], family: str, kind: str) -> Form:
        """Return a form of a family, which has its name and type of OpenMetrics."""
        sample = family + SAMPLE_SUFFIXES.get(kind, "")
        heading = (
            f"# HELP {sample} {escape_help(self._help)}\n"
            f"# TYPE {sample} {TEXT_TYPES.get(kind, kind)}\n"
        )
        names = [family + suffix for suffix in TEXT_SUFFIXES[kind]]
        return self._about(sample, kind, heading, names, form)


def key_of(snapshot: Snapshot) -> object:
    """Return the key of the forms of a snapshot: its class, if that says all.

    A timer's snapshot has one of two distributions, and a health check's may be absent.
    """
    kind = type(snapshot)
    distribution = snapshot.distribution
    if distribution is not None and distribution is not snapshot:
        return (kind, type(distribution))
    return (kind, None) if "absent" in vars(kind) else kind


def numbered_stem(entry: Entry, number: int) -> str:
    """Return the text from which the names of an entry's metric families are formed."""
    text = stem(entry.name, entry.unit)
    if number == 1:
        return text
    # The number stands before a suffix that the format appends.
    return numbered_name(without(without(text, "_total"), "_info"), number)


def numbered_name(text: str, number: int) -> str:
    """Return a name with its number, if that is not 1."""
    return text if number == 1 else f"{text}_{number}"


def text_names(kind: Kind, entry: Entry, number: int) -> list[str]:
    """Return every name that a page of Prometheus' text format may have for an entry."""
    return exposed_names(kind, entry, number, TEXT_SUFFIXES)


def exposed_names(kind: Kind, entry: Entry, number: int, suffixes: Suffixes) -> list[str]:
    """Return every name that a page with these suffixes may have for an entry of this kind."""
    exposed: list[str] = []
    base = base_unit(entry.unit)
    text = numbered_stem(entry, number)
    for exported in kind.families:
        family = exported.name(text, base)
        for suffix in suffixes[exported.type]:
            exposed.append(family + suffix)  # noqa: PERF401 - a comprehension is slower compiled
    return exposed


def geth_names(kind: Kind, entry: Entry, number: int) -> list[str]:
    """Return every name that go-ethereum's page may have for an entry of this kind."""
    text = numbered_name(exported_name(entry.name), number)
    # go-ethereum writes a distribution as two families.
    has_count = any(exported.view == "distribution" for exported in kind.families)
    return [text, f"{text}_count"] if has_count else [text]


def escape_help(text: str) -> str:
    r"""Return a help text with `\` and line feeds escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
