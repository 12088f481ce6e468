"""What a registry holds as a flat stream of series, the way most formats write it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from metrics._turns import Turns
from metrics.exporters.reading.clashes import warn_once
from metrics.instruments._family import FamilySnapshot
from metrics.instruments._info import InfoSnapshot
from metrics.instruments._labels import label_text
from metrics.instruments._resetting_timer import ResettingTimer
from metrics.instruments._snapshot import Snapshot
from metrics.instruments._timer import Timer
from metrics.registry import Entry, Registry
from metrics.registry._exported_names import type_of

OFTEN = 8
"""Series between two offers to other threads."""

Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """One instrument, or one child of a family, and its value."""

    name: str
    labels: Labels
    snapshot: Snapshot
    kind: type
    entry: Entry

    @property
    def is_timer(self) -> bool:
        """Whether the values are durations that a timer measured, in seconds."""
        return self.kind in {Timer, ResettingTimer}

    @property
    def resets(self) -> bool:
        """Whether the values are those since the reader's last look only."""
        return self.kind is ResettingTimer


def series(registry: Registry, reader: str) -> Iterator[Series]:
    """Yield every series of a registry in name order, a family's children by label values.

    Other threads get their turns meanwhile.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    turns = Turns()
    read = 0
    for entry, snapshot in registry.read(lambda entry: entry.instrument.snapshot(reader), reader):
        kind = type_of(entry.instrument)
        for labels, value in labelled(snapshot):
            read += 1
            if read % OFTEN == 0:
                turns.offer()
            yield Series(entry.name, labels, value, kind, entry)


def labelled(snapshot: Snapshot) -> Iterator[tuple[Labels, Snapshot]]:
    """Yield the children of a family with their labels, or a single instrument with none."""
    if isinstance(snapshot, FamilySnapshot):
        for values, child in snapshot.children.items():
            yield tuple(zip(snapshot.labelnames, values, strict=True)), child
    else:
        yield (), snapshot


def labels_text(labels: Labels) -> str:
    """Return labels as `{method="GET",status="200"}`; nothing when there are none."""
    if not labels:
        return ""
    return label_text([name for name, _ in labels], [value for _, value in labels])


def key_of(one: Series) -> str:
    """Return the full name and the labels."""
    return one.name + labels_text(one.labels)


def keyed(all_series: Iterable[Series]) -> Iterator[tuple[str, Series]]:
    """Yield series with their names and labels as one text, each text once."""
    taken: dict[str, str] = {}
    for one in all_series:
        key = key_of(one)
        # Only a name that looks like one with labels can be taken.
        if "{" in key and taken.setdefault(key, one.name) != one.name:
            warn_once(one.name, key, taken[key])
        else:
            yield key, one


def labels_and_facts(one: Series) -> Labels:
    """Return the labels, and the facts of an info, which are text and can be nothing but tags."""
    if isinstance(one.snapshot, InfoSnapshot):
        return tuple({**one.snapshot.value, **dict(one.labels)}.items())
    return one.labels
