"""What a registry holds as a flat stream of series, the way most formats write it."""

from collections.abc import Iterator
from typing import NamedTuple

from metrics.entries import Entry
from metrics.instruments.family import FamilySnapshot
from metrics.instruments.resetting_timer import ResettingTimer
from metrics.instruments.snapshot import Snapshot
from metrics.instruments.timer import Timer
from metrics.registry import Registry
from metrics.turns import Turns

OFTEN = 8
"""Series between two offers to other threads."""

Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """One instrument, or one child of a family, and its value."""

    name: str
    labels: Labels
    snapshot: Snapshot
    kind: type
    unit: str
    description: str

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
        kind = kind_of(entry)
        for labels, value in labelled(snapshot):
            read += 1
            if read % OFTEN == 0:
                turns.offer()
            yield Series(entry.name, labels, value, kind, entry.unit, entry.description)


def labelled(snapshot: Snapshot) -> Iterator[tuple[Labels, Snapshot]]:
    """Yield the children of a family with their labels, or a single instrument with none."""
    if isinstance(snapshot, FamilySnapshot):
        for values, child in snapshot.children.items():
            yield tuple(zip(snapshot.labelnames, values, strict=True)), child
    else:
        yield (), snapshot


def kind_of(entry: Entry) -> type:
    """Return the type of an instrument, or of a family's children."""
    kind = getattr(entry.instrument, "kind", None)
    return kind if isinstance(kind, type) else type(entry.instrument)
