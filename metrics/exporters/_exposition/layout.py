"""Layout of an instrument on a page of Prometheus: its metric families."""

from collections.abc import Sequence

from metrics._units import scale_of
from metrics.exporters._exposition.distributions import HistogramFamily, SummaryFamily
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    UTF8,
    escape_label_name,
    escape_metric_name,
    quoted_name,
)
from metrics.exporters._exposition.families import (
    DirectFamily,
    MetricFamily,
    PointsFamily,
    RatesFamily,
    ScalarFamily,
    Values,
)
from metrics.exporters._exposition.writing import encode
from metrics.exporters._series.kinds import FirstKinds
from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    CounterSnapshot,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    GaugeSnapshot,
    IntGauge,
    Snapshot,
    UpDownCounter,
    UpDownCounterSnapshot,
)
from metrics.registry._inner import (
    SNAPSHOT_KINDS,
    Entry,
    Exported,
    Kind,
    exported_name,
    kind_of,
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

FAMILIES: dict[str, type[MetricFamily]] = {
    "scalar": ScalarFamily,
    "rates": RatesFamily,
    "points": PointsFamily,
}
"""Metric families by the view of the snapshot that they show."""

PROTOTYPES: dict[type, Snapshot] = {
    Counter: CounterSnapshot(0),
    FloatCounter: CounterSnapshot(0.0),
    UpDownCounter: UpDownCounterSnapshot(0),
    FloatUpDownCounter: UpDownCounterSnapshot(0.0),
    Gauge: GaugeSnapshot(0.0),
    IntGauge: GaugeSnapshot(0),
    BucketHistogram: BucketHistogramSnapshot((1.0,), (0, 0), 0.0),
}
"""Snapshots of instruments that a page reads without a snapshot, into one metric family."""


class Layout:
    """Metric families of one entry of a registry on the pages of one dialect.

    It holds no instrument: kept texts must not outlive the registration of one.

    Args:
        entry: an instrument or a family, with its name, unit and description.
        labelnames: the family's labels; none for an instrument.
        number: the number of the entry among entries of one exposed name, see `layouts`.
        first_kinds: the kinds of distributions, which all formats share.
        escaping: the scheme of all names.
    """

    __slots__ = (
        "_constant",
        "_direct",
        "_escaping",
        "_families",
        "_first_kinds",
        "_name",
        "_prototype",
        "_scale",
        "_type",
        "help",
        "kind",
        "labelnames",
        "number",
        "owner",
        "position",
        "resets",
    )

    def __init__(
        self,
        entry: Entry,
        labelnames: Values,
        number: int,
        first_kinds: FirstKinds,
        escaping: str = UNDERSCORES,
    ) -> None:
        # The layouts that this one belongs to.
        self.owner: object = None
        self.kind = kind_of(entry.instrument)
        self.resets = self.kind is not None and self.kind.resets
        self.labelnames = labelnames
        self.number = number
        self.position = entry.position
        self._name = entry.name
        self._constant = entry.labels
        self._first_kinds = first_kinds
        self._escaping = escaping
        # Text of the HELP lines, not escaped.
        self.help = entry.description or f"{entry.name} ({type_name(entry.instrument)})"
        self._scale = scale_of(entry.unit)
        # By type of snapshot: a family may mix timers with a sample and timers with buckets.
        self._families: dict[object, tuple[MetricFamily, ...]] = {}
        self._direct: DirectFamily | None = None
        self._type: type | None = None if self.kind is None else self.kind.instrument
        self._prototype = None if self._type is None else PROTOTYPES.get(self._type)

    def names(self) -> list[str]:
        """Return every name that the page may have for an instrument of a known kind."""
        raise NotImplementedError

    def families(self, snapshot: Snapshot) -> tuple[MetricFamily, ...]:
        """Return the metric families of such a snapshot; none for one without a value."""
        families = self._families.get(type(snapshot))
        if families is not None:
            return families
        if snapshot.absent:
            return ()
        key = key_of(snapshot)
        families = self._families.get(key)
        if families is None:
            families = tuple([self._known(family) for family in self._new(snapshot)])
            self._families[key] = families
        return families

    def direct_family(self, instrument: object) -> DirectFamily | None:
        """Return the only metric family of an instrument; None if it is read by a snapshot.

        Args:
            instrument: the instrument of the entry, or a child of its family.
        """
        if type(instrument) is not self._type:
            return None
        if self._prototype is not None:
            families = self.families(self._prototype)
            self._prototype = None
            if len(families) == 1 and isinstance(families[0], DirectFamily):
                self._direct = families[0]
        return self._direct

    def retain(self, present: Sequence[Values]) -> None:
        """Keep the texts of these children only."""
        for families in self._families.values():
            for family in families:
                family.retain(present)

    def _known(self, new: MetricFamily) -> MetricFamily:
        """Return the existing family of a name, so that children of two types share it."""
        for families in self._families.values():
            for family in families:
                if (family.name, family.kind) == (new.name, new.kind):
                    return family
        return new

    def _new(self, snapshot: Snapshot) -> list[MetricFamily]:
        """Return new families for such a snapshot."""
        raise NotImplementedError

    def _family(
        self,
        family: type[MetricFamily],
        name: str,
        kind: str,
        heading: bytes,
        stem: str,
        suffixes: tuple[str, ...],
    ) -> MetricFamily:
        """Return a new family, with its labels in the scheme of the layout."""
        new = family(
            name, kind, heading, stem, suffixes, self._scale, self.labelnames, self._constant
        )
        new.escaping = self._escaping
        new.escape_labels()
        return new


class TextLayout(Layout):
    """Metric families of an entry in Prometheus' text format."""

    __slots__ = ("_bases", "_stem")

    def __init__(
        self,
        entry: Entry,
        labelnames: Values,
        number: int,
        first_kinds: FirstKinds,
        escaping: str = UNDERSCORES,
    ) -> None:
        super().__init__(entry, labelnames, number, first_kinds, escaping)
        self._stem = numbered_stem(entry, number, escaping)
        # Names of the families, in the order of `kind.families`, without the suffix of a sample.
        self._bases: list[str] = [] if self.kind is None else self._bases_of(self.kind)

    def names(self) -> list[str]:
        """Return every name that the page may have for an instrument of a known kind."""
        names: list[str] = []
        if self.kind is not None:
            suffixes = self._suffixes()
            for base, exported in zip(self._bases, self.kind.families, strict=True):
                for suffix in suffixes[exported.type]:
                    names.append(base + suffix)  # noqa: PERF401 - a comprehension is slower compiled
        return names

    def _bases_of(self, kind: Kind) -> list[str]:
        base = self._scale.base
        if self._escaping == UNDERSCORES:
            return [exported.name(self._stem, base) for exported in kind.families]
        return [self._escaped_base(exported) for exported in kind.families]

    def _escaped_base(self, exported: Exported) -> str:
        """Return the name of a family in another scheme than underscores."""
        name = exported.name(self._stem, self._scale.base)
        if exported.type == "stateset":
            # The name of the family is the name of a label as well.
            return escape_label_name(name, self._escaping)
        # Like client_golang, which escapes `_total` with the name it belongs to, and appends the
        # suffixes of distributions, by which parsers recognize the samples of a family.
        suffix = SAMPLE_SUFFIXES.get(exported.type, "")
        return escape_metric_name(name + suffix, self._escaping).removesuffix(suffix)

    def _suffixes(self) -> Suffixes:
        return TEXT_SUFFIXES

    def _new(self, snapshot: Snapshot) -> list[MetricFamily]:
        kind = SNAPSHOT_KINDS.get(type(snapshot))
        if kind is None:
            return []
        distribution = snapshot.distribution
        if distribution is not None:
            first = self._first_kinds.of(self._name, self.position)
            if not first.takes(distribution):
                distribution = None
        is_own = self.kind is not None and kind.families == self.kind.families
        bases = self._bases if is_own else self._bases_of(kind)
        families: list[MetricFamily] = []
        for base, exported in zip(bases, kind.families, strict=True):
            if exported.view != "distribution":
                families.append(self._text_family(FAMILIES[exported.view], base, exported.type))
            elif isinstance(distribution, BucketHistogramSnapshot):
                families.append(self._text_family(HistogramFamily, base, "histogram"))
            elif distribution is not None:
                families.append(self._text_family(SummaryFamily, base, "summary"))
        return families

    def _text_family(self, family: type[MetricFamily], base: str, kind: str) -> MetricFamily:
        """Return a new family, given its name and its type in OpenMetrics."""
        name = base + SAMPLE_SUFFIXES.get(kind, "")
        written = TEXT_TYPES.get(kind, kind)
        head = self._heading_name(name)
        heading = f"# HELP {head} {escape_help(self.help)}\n# TYPE {head} {written}\n"
        return self._family(family, name, kind, encode(heading), base, TEXT_SUFFIXES[kind])

    def _heading_name(self, name: str) -> str:
        """Return the name of a family as its HELP and TYPE lines have it."""
        return quoted_name(name) if self._escaping == UTF8 else name


def key_of(snapshot: Snapshot) -> object:
    """Return the key of the families of a snapshot: its class, unless they depend on more.

    A timer's snapshot has one of two distributions, and a health check's may be absent.
    """
    kind = type(snapshot)
    distribution = snapshot.distribution
    if distribution is not None and distribution is not snapshot:
        return (kind, type(distribution))
    return (kind, None) if "absent" in vars(kind) else kind


def numbered_stem(entry: Entry, number: int, escaping: str = UNDERSCORES) -> str:
    """Return the text from which the names of an entry's metric families are formed.

    With another scheme than underscores it has the characters of the entry's own name: a number
    and suffixes are added before they are escaped.
    """
    text = stem(exported_name(entry.name) if escaping == UNDERSCORES else entry.name, entry.unit)
    if number == 1:
        return text
    # The number stands before a suffix that the format appends.
    return numbered_name(without(without(text, "_total"), "_info"), number)


def numbered_name(text: str, number: int) -> str:
    """Return a name with its number, if that is not 1."""
    return text if number == 1 else f"{text}_{number}"


def escape_help(text: str) -> str:
    r"""Return a help text with `\` and line feeds escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
