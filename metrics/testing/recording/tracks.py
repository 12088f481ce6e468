"""Tracks: what is noted of one instrument from the beginning of a recording to its end."""

import threading
from typing import Any, Protocol, final

from metrics.instruments import (
    Family,
    HistogramSnapshot,
    Instrument,
    ResettingTimer,
    Snapshot,
)
from metrics.instruments._inner import Shared
from metrics.registry._inner import kind_of
from metrics.testing.recording.change import Change, FamilyChange
from metrics.testing.recording.tapes import (
    attend,
    histogram_of,
    listen,
    stop_attending,
    stop_listening,
    unheard,
)


class Noted(Protocol):
    """What is noted of an instrument, or of a family."""

    @property
    def instrument(self) -> Instrument:
        """What it is noted of."""

    def read(self) -> Change | FamilyChange:
        """Return what has changed since the beginning."""

    def end(self) -> None:
        """Leave the instrument as it was in the beginning; does nothing the second time."""


@final
class Track(Shared):
    """Notes one instrument, or one child of a family.

    Args:
        instrument: what to note.
        reader: who reads it; nobody else reads under this name.
        before: what it was in the beginning; None if it was not there.
    """

    __slots__ = ("_before", "_histogram", "_lock", "_reader", "_values", "instrument")

    def __init__(self, instrument: Instrument, reader: str, before: Snapshot | None) -> None:
        self.instrument = instrument
        self._reader = reader
        self._before = before
        self._histogram = histogram_of(instrument)
        self._values: list[float] = []
        # What resets when it is read is read by one thread at a time.
        self._lock = threading.Lock()
        if self._histogram is not None:
            listen(self._histogram, self._values)

    def read(self) -> Change:
        """Return what has changed since the beginning."""
        with self._lock:
            after = self.instrument.snapshot(self._reader)
            if isinstance(self.instrument, ResettingTimer) and isinstance(after, HistogramSnapshot):
                self._values += after._values
            values = tuple(self._values) if self._has_all_values(after) else None
        kind = kind_of(self.instrument)
        timed = kind is not None and kind.measures_time
        return Change(self._before, after, values, timed=timed)

    def end(self) -> None:
        """Leave the instrument as it was in the beginning; does nothing the second time."""
        if self._histogram is not None:
            stop_listening(self._histogram, self._values)

    def _has_all_values(self, after: Snapshot) -> bool:
        """Return whether every update was written down: a resetting timer keeps the newest only."""
        if not isinstance(self.instrument, ResettingTimer):
            return self._histogram is not None
        before = self._before
        seen = before.total_count if isinstance(before, HistogramSnapshot) else 0
        return isinstance(after, HistogramSnapshot) and len(self._values) == (
            after.total_count - seen
        )


@final
class FamilyTrack(Shared):
    """Notes the children of a family, those that are made meanwhile too."""

    __slots__ = ("_lock", "_newborn", "_reader", "_tracks", "_unmade", "instrument")

    def __init__(self, family: Family[Any], reader: str, *, is_new: bool) -> None:
        self.instrument = family
        self._reader = reader
        self._unmade: Change | None = None
        # By identity. A family calls `_born` while it is locked, which therefore takes no lock.
        self._newborn: dict[int, Track] = {}
        attend(family, self._born)
        self._tracks = {
            values: self._newborn.get(id(child)) or noted_child(child, reader, is_new=is_new)
            for values, child in family.children().items()
        }
        self._lock = threading.Lock()

    def read(self) -> FamilyChange:
        """Return what has changed since the beginning."""
        children = self.instrument.children()
        with self._lock:
            for values, child in children.items():
                track = self._tracks.get(values)
                if track is None or track.instrument is not child:
                    born = self._newborn.pop(id(child), None)
                    self._tracks[values] = born or Track(child, self._reader, None)
            tracks = sorted(self._tracks.items())
        if self._unmade is None:
            self._unmade = Track(unheard(self.instrument), self._reader, None).read()
        changes = {values: track.read() for values, track in tracks}
        return FamilyChange(self.instrument.labelnames, changes, self._unmade)

    def end(self) -> None:
        """Leave the family as it was in the beginning; does nothing the second time."""
        stop_attending(self.instrument, self._born)
        for track in [*self._tracks.values(), *self._newborn.values()]:
            track.end()

    def _born(self, child: Any) -> None:
        self._newborn[id(child)] = Track(child, self._reader, None)


def noted(instrument: Instrument, reader: str, *, is_new: bool) -> Noted:
    """Begin to note an instrument.

    Args:
        instrument: what to note.
        reader: who reads it.
        is_new: whether it is being registered; then nothing that belongs to the program is called.
    """
    if isinstance(instrument, Family):
        return FamilyTrack(instrument, reader, is_new=is_new)
    return noted_child(instrument, reader, is_new=is_new)


def noted_child(instrument: Instrument, reader: str, *, is_new: bool) -> Track:
    """Begin to note an instrument that is no family."""
    before = None
    if not is_new or is_counting(instrument):
        try:
            before = instrument.snapshot(reader)
        except Exception:  # noqa: BLE001 - a gauge's function may need what is not up yet
            before = None
    return Track(instrument, reader, before)


def is_counting(instrument: Instrument) -> bool:
    """Return whether an instrument may have counted before, and reading it calls no program."""
    kind = kind_of(instrument)
    return kind is not None and kind.counts
