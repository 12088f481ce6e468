"""Instruments of merged numbers, which formats read like instruments of one process.

Counters and bucket histograms, which are most series of a program, keep their instruments between
two reads, which get the new totals. Other series become a new instrument of their own class, or the
snapshot alone where an instrument would count every value again.
"""

from collections.abc import Callable, Iterable, Sequence
from logging import getLogger
from math import fsum
from typing import Any, NamedTuple, cast, final

from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    Family,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    Healthcheck,
    HealthcheckSnapshot,
    Histogram,
    HistogramSnapshot,
    Info,
    InfoSnapshot,
    Instrument,
    IntGauge,
    Meter,
    MeterSnapshot,
    ResettingTimer,
    Snapshot,
    StateSet,
    StateSetSnapshot,
    Timer,
    TimerSnapshot,
    UpDownCounter,
)
from metrics.instruments._inner import label_text
from metrics.integrations._group.files import SeriesRecord
from metrics.integrations._group.merging import (
    Child,
    MergedRecord,
    RecordKey,
    Values,
    exact_sum,
)
from metrics.registry._inner import Entry, type_of

logger = getLogger("metrics.integrations")

WORKER = "worker"
"""Label of the series of each process, with the number of the process."""

MOST_UNMERGED = 1000
"""Most names that are logged because their values cannot be merged."""

SAMPLE = 1028
"""Most values of a merged sample, as many as an `ExpDecayReservoir` has."""


@final
class MergedValue:
    """Instrument that has the merged value of several processes.

    Args:
        kind: the class of the instruments that it stands for.
        snapshot: the value.
    """

    __slots__ = ("_snapshot", "kind")

    def __init__(self, kind: type, snapshot: Snapshot) -> None:
        self.kind = kind
        self._snapshot = snapshot

    def snapshot(self, reader: str = "") -> Snapshot:  # noqa: ARG002 - as every instrument
        """Return the merged value, for any reader."""
        return self._snapshot


def update_counters(one: MergedRecord, old: dict[Values, Any]) -> dict[Values, Any]:
    """Return `Counter`s of all processes by label values, the same objects at each read."""
    children = old
    if [*old] != one.values:
        children = {values: old.get(values) or Counter() for values in one.values}
    for child, count in zip(children.values(), one.counts(), strict=True):
        child._count = count
    return children


def update_histograms(one: MergedRecord, old: dict[Values, Any]) -> dict[Values, Any]:
    """Return `BucketHistogram`s of all processes, the same objects at each read.

    Buckets whose counts or sum no such instrument has are snapshots alone.
    """
    bounds, width = tuple(one.record.extra), one.widths.counts
    counts, sums = one.counts(), one.sums()
    children: dict[Values, Any] = {}
    for index, values in enumerate(one.values):
        child = old.get(values)
        if type(child) is not BucketHistogram or child._bounds != bounds:
            child = BucketHistogram(bounds)
        own = Child(counts[index * width : (index + 1) * width], sums[index : index + 1])
        *buckets, estimated = own.counts
        try:
            child.set_counts(buckets, exact_sum(sums[index]))
        except ValueError:
            estimated = True
        if estimated:
            child = merged_buckets(own, bounds)
        children[values] = child
    return children


UPDATES: dict[str, Callable[[MergedRecord, dict[Values, Any]], dict[Values, Any]]] = {
    "counter": update_counters,
    "bucket_histogram": update_histograms,
}
"""Functions that update the instruments of a shape, given the ones of the last read."""


def merged_buckets(child: Child, bounds: Sequence[float]) -> Instrument:
    """Return the buckets of all processes as a snapshot alone."""
    return MergedValue(BucketHistogram, buckets_of(child, bounds))


def new_counter(kind: type, total: float) -> Instrument:
    """Return a counter of a kind with its total."""
    counter = kind()
    counter.inc(total)
    return cast("Instrument", counter)


def levels_of(child: Child) -> list[Any]:
    """Return the values of the living processes."""
    return [level[0] for level in child.levels]


def new_gauge(kind: type, child: Child, mode: str) -> Instrument:
    """Return a gauge of a kind with the value of the living processes, in a mode for one series."""
    gauge = kind()
    gauge.set(gauge_value(child, mode))
    return cast("Instrument", gauge)


def gauge_value(child: Child, mode: str) -> Any:
    """Return the value of a gauge of the living processes."""
    values = levels_of(child)
    if mode == "min":
        return min(values)
    if mode == "max":
        return max(values)
    if mode == "last":
        changes = [level[1] for level in child.levels]
        return values[changes.index(max(changes))]
    return sum(values)


def buckets_of(child: Child, bounds: Sequence[float]) -> BucketHistogramSnapshot:
    """Return the buckets of all processes."""
    *counts, estimated = child.counts
    return BucketHistogramSnapshot(tuple(bounds), counts, exact_sum(child.sums[0]), estimated > 0)


def rates_of(child: Child, count: int) -> MeterSnapshot:
    """Return the rates of the living processes, added up.

    Args:
        child: the series.
        count: the number of events in all processes.
    """
    one, five, fifteen, mean = [fsum([level[i] for level in child.levels]) for i in range(4)]
    return MeterSnapshot(count, one, five, fifteen, mean)


def sample_of(child: Child) -> HistogramSnapshot:
    """Return the totals of all processes, and a sample of the living ones."""
    return HistogramSnapshot(
        child.counts[0], exact_sum(child.sums[0]), merge_samples(child.samples, child.weights)
    )


def recent_of(child: Child) -> HistogramSnapshot:
    """Return the last minute of the living processes, with the totals of all."""
    counts = [int(level[0]) for level in child.levels]
    return HistogramSnapshot(
        sum(counts),
        exact_sum([level[1] for level in child.levels] or [0.0]),
        merge_samples(child.samples, counts),
        child.counts[0],
        exact_sum(child.sums[0]),
    )


def merge_samples(samples: Sequence[list[float]], weights: Sequence[int]) -> list[float]:
    """Return a sample of several processes, each represented by its weight.

    A process of many updates keeps as few values as one of few updates. So each contributes values
    in proportion to its weight, spread evenly over its own sample.
    """
    pairs = [(sample, weight) for sample, weight in zip(samples, weights, strict=True) if sample]
    if len(pairs) == 1:
        return pairs[0][0]
    total = sum([weight for _, weight in pairs])
    size = min(SAMPLE, sum([len(sample) for sample, _ in pairs]))
    merged: list[float] = []
    for sample, weight in pairs:
        quota = max(round(size * weight / total), 1) if total else len(sample)
        step = (len(sample) - 1) / (quota - 1) if quota > 1 else 0.0
        first = 0.0 if quota > 1 else (len(sample) - 1) / 2
        merged += [sample[round(first + index * step)] for index in range(quota)]
    return sorted(merged)


def health_of(child: Child) -> HealthcheckSnapshot:
    """Return the health of all living processes: the first failure, if any check fails."""
    checked = False
    for number, (has_result, error) in zip(child.numbers, child.texts, strict=True):
        checked = checked or has_result
        if error is not None:
            return HealthcheckSnapshot(f"worker {number}: {error}")
    return HealthcheckSnapshot(None, checked)


BUILDERS: dict[str, tuple[type, Callable[[Child, Any], Instrument]]] = {
    "counter": (Counter, lambda child, _: new_counter(Counter, child.counts[0])),
    "float_counter": (
        FloatCounter,
        lambda child, _: new_counter(FloatCounter, exact_sum(child.sums[0])),
    ),
    "updown_counter": (
        UpDownCounter,
        lambda child, _: new_counter(UpDownCounter, sum(levels_of(child))),
    ),
    "float_updown_counter": (
        FloatUpDownCounter,
        lambda child, _: new_counter(FloatUpDownCounter, exact_sum(levels_of(child))),
    ),
    "gauge": (Gauge, lambda child, mode: new_gauge(Gauge, child, mode)),
    "int_gauge": (IntGauge, lambda child, mode: new_gauge(IntGauge, child, mode)),
    "meter": (
        Meter,
        lambda child, _: MergedValue(Meter, rates_of(child, child.counts[0])),
    ),
    "bucket_histogram": (BucketHistogram, merged_buckets),
    "bucket_timer": (
        Timer,
        lambda child, bounds: MergedValue(
            Timer, TimerSnapshot(buckets_of(child, bounds), rates_of(child, sum(child.counts[:-1])))
        ),
    ),
    "histogram": (Histogram, lambda child, _: MergedValue(Histogram, sample_of(child))),
    "timer": (
        Timer,
        lambda child, _: MergedValue(
            Timer, TimerSnapshot(sample_of(child), rates_of(child, child.counts[0]))
        ),
    ),
    "resetting_timer": (
        ResettingTimer,
        lambda child, _: MergedValue(ResettingTimer, recent_of(child)),
    ),
    "info": (Info, lambda child, _: MergedValue(Info, InfoSnapshot(child.texts[0]))),
    "state_set": (
        StateSet,
        lambda child, _: MergedValue(StateSet, StateSetSnapshot(child.texts[0])),
    ),
    "healthcheck": (Healthcheck, lambda child, _: MergedValue(Healthcheck, health_of(child))),
}
"""Class of the instruments of a shape, and the function that makes one of merged numbers."""


def is_split(one: MergedRecord, children: Sequence[Child]) -> bool:
    """Return whether each living process has a series of its own."""
    if one.record.extra == WORKER:
        return True
    is_text = one.widths.texts and one.record.shape != "healthcheck"
    return bool(is_text) and any(text != c.texts[0] for c in children for text in c.texts)


def instrument_of(
    records: Sequence[MergedRecord], local: Instrument | None, known: Instrument | None
) -> Instrument:
    """Return the instrument or the family of merged records, which have one name and kind.

    Args:
        records: the records; several for a family of children of several shapes.
        local: the instrument of this process, if it has one of the name.
        known: the merged instrument of the last read, if there was one.
    """
    first = records[0].record
    kind, build = BUILDERS[first.shape]
    names = first.labelnames
    found: dict[Values, Instrument] = {}
    update = UPDATES.get(first.shape)
    if update is not None and len(records) == 1:
        if names is None:
            only: Instrument = update(records[0], {(): known} if type(known) is kind else {})[()]
            return only
        old = known._children if isinstance(known, Family) and known.kind is kind else {}
        found = update(records[0], old)
        return family_of(kind, tuple(names), found, local)
    children = [one.children() for one in records]
    split = any(map(is_split, records, children))
    if names is None and not split:
        return build(children[0][0], first.extra)
    for one, own in zip(records, children, strict=True):
        for values, child in zip(one.values, own, strict=True):
            for label, alone in split_child(child) if split else [((), child)]:
                found.setdefault((*values, *label), build_child(one, alone))
    labels = tuple(names or ())
    if split:
        labels += (free_label(WORKER, [*labels, *[name for name, _ in first.labels]]),)
    return family_of(kind, labels, found, local)


def build_child(one: MergedRecord, child: Child) -> Instrument:
    """Return the instrument of one series of a family."""
    extra = one.record.extra
    return BUILDERS[one.record.shape][1](child, "sum" if extra == WORKER else extra)


def family_of(
    kind: type, labelnames: Values, children: dict[Values, Instrument], local: Instrument | None
) -> Instrument:
    """Return a family of merged children."""
    family: Family[Any] = Family(kind, labelnames)
    family._children = children
    if isinstance(local, Family):
        family._overflowed = local.overflowed
        family._truncated = local.truncated
    return family


def split_child(child: Child) -> Iterable[tuple[Values, Child]]:
    """Yield the series of each living process, with the number of the process as a label value."""
    for index, number in enumerate(child.numbers):
        alone = Child([], [])
        alone.numbers = [number]
        alone.levels = child.levels[index : index + 1]
        alone.texts = child.texts[index : index + 1]
        yield (str(number),), alone


def free_label(name: str, taken: Sequence[str]) -> str:
    """Return a name of a label that is not taken: with underscores at its end, if need be."""
    while name in taken:
        name += "_"
    return name


class EntrySource(NamedTuple):
    """Entry of a process, and the records that are merged into it.

    local: the instrument of this process; None if it has none of the name.
    """

    entry: Entry
    local: Instrument | None
    records: list[MergedRecord]


class KnownSources(NamedTuple):
    """Arguments of a read, and the sources of its entries."""

    merged: dict[RecordKey, MergedRecord]
    entries: tuple[Entry, ...]
    prefix: str
    sources: list[EntrySource]


@final
class MergedEntries:
    """Entries with merged instruments, which are the same objects at each read.

    Readers of increments know a series by its entry: another one would begin with the whole total.
    For one thread at a time.
    """

    __slots__ = ("_by_name", "_known", "_unmerged")

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        # Arguments of the last read, and the sources of its entries. In one object: a signal
        # handler may read while its own thread does.
        self._known = KnownSources({}, (), "", [])
        # Names that were logged because their values cannot be merged.
        self._unmerged: set[str] = set()

    def merge(
        self,
        entries: tuple[Entry, ...],
        merged: dict[RecordKey, MergedRecord],
        prefix: str,
        created: float,
    ) -> tuple[Entry, ...]:
        """Return entries with merged instruments, in name order.

        Instruments that only other processes have, or had, are added. An entry whose values cannot
        be merged, such as an instrument of the program's own kind, stays as it is.

        Args:
            entries: the entries of this process.
            merged: the values of all processes.
            prefix: the beginning of the names to return.
            created: the time at which the group began, since which totals count.
        """
        known = self._known
        # Comparing the records of the same series takes long.
        if known.merged is not merged or (known.entries, known.prefix) != (entries, prefix):
            sources = self._sources_of(entries, merged, prefix)
            known = self._known = KnownSources(merged, entries, prefix, sources)
        found: list[Entry] = []
        for source in known.sources:
            try:
                found.append(self._entry(source, created))
            except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
                self._report(source.entry.name, error)
                if source.local is not None:
                    found.append(source.entry)
        return tuple(found)

    def _report(self, name: str, error: Exception) -> None:
        if name not in self._unmerged and len(self._unmerged) < MOST_UNMERGED:
            self._unmerged.add(name)
            logger.error(
                "%r shows this process alone: its values do not add up", name, exc_info=error
            )

    def _sources_of(
        self, entries: tuple[Entry, ...], merged: dict[RecordKey, MergedRecord], prefix: str
    ) -> list[EntrySource]:
        """Return the entries of this process and of others, in name order, with their records."""
        by_name: dict[str, list[MergedRecord]] = {}
        for key, one in merged.items():
            by_name.setdefault(key.name, []).append(one)
        for name in [name for name in self._by_name if name not in by_name]:
            del self._by_name[name]
        sources: list[EntrySource] = []
        for entry in entries:
            records = by_name.pop(entry.name, [])
            own = [one for one in records if belongs_to(one, entry.instrument)]
            sources.append(EntrySource(entry, entry.instrument, own))
        for name, records in by_name.items():
            if name.startswith(prefix):
                first = records[0].record
                alike = [one for one in records if is_alike(one.record, first)]
                instrument = instrument_of(alike, None, None)
                labels = tuple([(label, text) for label, text in first.labels])
                other = Entry(name, instrument, first.description, first.unit, labels)
                sources.append(EntrySource(other, None, alike))
        return sorted(sources, key=lambda source: source.entry.name)

    def _entry(self, source: EntrySource, created: float) -> Entry:
        """Return the entry that stands for an entry of a process, with its merged instrument."""
        entry, local, records = source
        if not records:
            return entry
        known = self._by_name.get(entry.name)
        instrument = instrument_of(records, local, None if known is None else known.instrument)
        if known is None or known.instrument is not instrument:
            # A total goes on when its instrument is registered again, but not as another kind.
            if known is None or type_of(known.instrument) is not type_of(instrument):
                known = self._by_name[entry.name] = entry.copy(instrument)
            elif labelnames_of(known.instrument) != labelnames_of(instrument):
                # Texts of pages have the names of the labels.
                known.layout = None
            known.instrument = instrument
        known.position = entry.position
        known.registered = created
        return known


def labelnames_of(instrument: Instrument) -> Values:
    """Return the labels of a family; none for an instrument."""
    return instrument.labelnames if isinstance(instrument, Family) else ()


def is_alike(record: SeriesRecord, other: SeriesRecord) -> bool:
    """Return whether two records of one name make one family."""
    kind, other_kind = BUILDERS[record.shape][0], BUILDERS[other.shape][0]
    return kind is other_kind and record.labelnames == other.labelnames


def belongs_to(one: MergedRecord, instrument: Instrument) -> bool:
    """Return whether a record has the kind and the labels of an instrument of this process."""
    labelnames = one.record.labelnames
    if BUILDERS[one.record.shape][0] is not type_of(instrument):
        return False
    if not isinstance(instrument, Family):
        return labelnames is None
    return labelnames is not None and tuple(labelnames) == instrument.labelnames


def health_results(
    merged: dict[RecordKey, MergedRecord], prefix: str
) -> dict[str, HealthcheckSnapshot]:
    """Return full names of health checks to their results in all living processes."""
    return {
        key.name + label_text(key.labelnames or (), values): health_of(child)
        for key, one in merged.items()
        if key.shape == "healthcheck" and key.name.startswith(prefix)
        for values, child in zip(one.values, one.children(), strict=True)
    }
