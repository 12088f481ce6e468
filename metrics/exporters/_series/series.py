"""Registry as a flat stream of series, as most formats write it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from metrics._turns import Turns
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.kinds import FirstKinds, first_kinds_of
from metrics.exporters._series.recent import recent_of
from metrics.instruments import FamilySnapshot, GaugeSnapshot, Snapshot
from metrics.instruments._inner import label_text
from metrics.registry import Registry
from metrics.registry._inner import SNAPSHOT_KINDS, Entry, Kind, exported_name, kind_of, store_of

OFTEN = 8
"""Series between two offers to other threads."""

Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """Value of one instrument, or of one child of a family."""

    name: str
    labels: Labels
    snapshot: Snapshot
    kind: Kind | None
    entry: Entry
    first_kinds: FirstKinds

    @property
    def identity(self) -> tuple[Entry, Labels]:
        """Entry and labels that distinguish the series from others, for totals that are kept.

        An empty label is the same as none: a foreign family may get more labels later.
        """
        return self.entry, tuple([pair for pair in self.labels if pair[1]])

    @property
    def is_timer(self) -> bool:
        """Whether the values are durations that a timer measured, in seconds."""
        return self.kind is not None and self.kind.measures_time

    @property
    def is_info(self) -> bool:
        """Whether the value is a set of info labels."""
        return self.kind is not None and self.kind.is_info

    @property
    def resets(self) -> bool:
        """Whether the values cover the time since the reader's last snapshot only."""
        return self.kind is not None and self.kind.resets

    def takes(self, distribution: Snapshot) -> bool:
        """Return whether a distribution is of the kind that was read first of its instrument."""
        first = self.first_kinds.of(self.entry.name, self.entry.position)
        return first.takes(distribution)


def read_series(registry: Registry, reader: str, window: float = 0.0) -> Iterator[Series]:
    """Yield every series of a registry in name order, a family's children by label values.

    Other threads get their turns meanwhile.

    Args:
        registry: the registry.
        reader: the reader's name; values that reset at a read reset for this reader alone.
        window: seconds of values of resetting instruments; 0 for the values since the last read.
    """
    turns = Turns()
    read = 0
    store = store_of(registry)
    first_kinds = first_kinds_of(store)
    recent = recent_of(registry, reader, window)

    def snapshot_of(entry: Entry) -> Snapshot:
        return entry.instrument.snapshot(reader) if recent is None else recent.read(entry)

    for entry, snapshot in store.read(snapshot_of, reader):
        kind = kind_of(entry.instrument)
        for labels, value in children_of(snapshot):
            if value.absent:
                continue
            read += 1
            if read % OFTEN == 0:
                turns.offer()
            yield Series(
                entry.name,
                entry.labels + labels,
                value,
                kind or SNAPSHOT_KINDS.get(type(value)),
                entry,
                first_kinds,
            )


def split_points(all_series: Iterable[Series]) -> Iterator[Series]:
    """Yield series for formats whose values are numbers: points become gauges with their labels."""
    for one in all_series:
        if not one.snapshot.points:
            yield one
        for point in one.snapshot.points:
            labels = dict(one.labels)
            for name, text in point.labels:
                label = exported_name(one.name) if name is None else name
                while label in labels:
                    label += "_"
                labels[label] = text
            yield one._replace(labels=tuple(labels.items()), snapshot=GaugeSnapshot(point.value))


def children_of(snapshot: Snapshot) -> Iterator[tuple[Labels, Snapshot]]:
    """Yield the children of a family with their labels, or a single instrument with none."""
    if isinstance(snapshot, FamilySnapshot):
        for values, child in snapshot.children.items():
            yield tuple(zip(snapshot.labelnames, values, strict=True)), child
    else:
        yield (), snapshot


def labels_text(labels: Labels) -> str:
    """Return labels as `{method="GET",status="200"}`; an empty str for none."""
    if not labels:
        return ""
    return label_text([name for name, _ in labels], [value for _, value in labels])


def key_of(one: Series) -> str:
    """Return the full name and the labels of a series."""
    return one.name + labels_text(one.labels)


def series_by_key(all_series: Iterable[Series]) -> Iterator[tuple[str, Series]]:
    """Yield series with their names and labels as one text, each text once."""
    taken: dict[str, str] = {}
    for one in all_series:
        key = key_of(one)
        # Only a name that looks like one with labels can be taken.
        if "{" in key and taken.setdefault(key, one.name) != one.name:
            warn_once(one.name, key, taken[key])
        else:
            yield key, one
