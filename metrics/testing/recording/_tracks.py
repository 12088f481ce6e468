"""Tracks: readings of one instrument from the beginning of a recording to its end."""

import threading
from typing import Any, TypeAlias, final

from metrics.instruments import (
    Family,
    HistogramSnapshot,
    Instrument,
    ResettingTimer,
    Snapshot,
)
from metrics.instruments._inner import Shared
from metrics.registry._inner import kind_of
from metrics.testing.recording._change import Change, FamilyChange
from metrics.testing.recording._tapes import (
    histogram_of,
    listen,
    listen_to_children,
    new_child,
    stop_listening,
    stop_listening_to_children,
)


@final
class Track(Shared):
    """Track of one instrument that is no family, or of one child of a family.

    Args:
        instrument: the instrument to read.
        reader: the name to read it under, which no other reader has.
        before: its snapshot at the beginning; None if it was not registered then.
    """

    __slots__ = ("_before", "_histogram", "_lock", "_reader", "_values", "instrument")

    def __init__(self, instrument: Instrument, reader: str, before: Snapshot | None) -> None:
        self.instrument = instrument
        self._reader = reader
        self._before = before
        self._histogram = histogram_of(instrument)
        self._values: list[float] = []
        # An instrument that resets when it is read is read by one thread at a time.
        self._lock = threading.Lock()
        if self._histogram is not None:
            listen(self._histogram, self._values)

    def read(self) -> Change:
        """Return the change since the beginning."""
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
        """Return whether every update was recorded: a resetting timer retains the newest only."""
        if not isinstance(self.instrument, ResettingTimer):
            return self._histogram is not None
        before = self._before
        seen = before.total_count if isinstance(before, HistogramSnapshot) else 0
        return isinstance(after, HistogramSnapshot) and len(self._values) == (
            after.total_count - seen
        )


@final
class FamilyTrack(Shared):
    """Track of the children of a family, also of children that are created meanwhile."""

    __slots__ = ("_created", "_lock", "_reader", "_tracks", "_unmade", "instrument")

    def __init__(self, family: Family[Any], reader: str, *, is_new: bool) -> None:
        self.instrument = family
        self._reader = reader
        self._unmade: Change | None = None
        # By identity. A family calls `_add` while it is locked, which therefore takes no lock.
        self._created: dict[int, Track] = {}
        listen_to_children(family, self._add)
        self._tracks = {
            values: self._created.get(id(child)) or child_track(child, reader, is_new=is_new)
            for values, child in family.children().items()
        }
        self._lock = threading.Lock()

    def read(self) -> FamilyChange:
        """Return the change since the beginning."""
        children = self.instrument.children()
        with self._lock:
            for values, child in children.items():
                track = self._tracks.get(values)
                if track is None or track.instrument is not child:
                    created = self._created.pop(id(child), None)
                    self._tracks[values] = created or Track(child, self._reader, None)
            tracks = sorted(self._tracks.items())
        if self._unmade is None:
            self._unmade = Track(new_child(self.instrument), self._reader, None).read()
        changes = {values: track.read() for values, track in tracks}
        return FamilyChange(self.instrument.labelnames, changes, self._unmade)

    def end(self) -> None:
        """Leave the family as it was in the beginning; does nothing the second time."""
        stop_listening_to_children(self.instrument, self._add)
        for track in [*self._tracks.values(), *self._created.values()]:
            track.end()

    def _add(self, child: Any) -> None:
        self._created[id(child)] = Track(child, self._reader, None)


AnyTrack: TypeAlias = Track | FamilyTrack


def new_track(instrument: Instrument, reader: str, *, is_new: bool) -> AnyTrack:
    """Begin to track an instrument.

    Args:
        instrument: the instrument to read.
        reader: the name to read it under.
        is_new: whether it is being registered; then no function of the program is called.
    """
    if isinstance(instrument, Family):
        return FamilyTrack(instrument, reader, is_new=is_new)
    return child_track(instrument, reader, is_new=is_new)


def child_track(instrument: Instrument, reader: str, *, is_new: bool) -> Track:
    """Begin to track an instrument that is no family."""
    before = None
    if not is_new or is_counting(instrument):
        try:
            before = instrument.snapshot(reader)
        except Exception:  # noqa: BLE001 - a gauge's function may need a resource that does not run
            before = None
    return Track(instrument, reader, before)


def is_counting(instrument: Instrument) -> bool:
    """Return whether an instrument may have counted before, and reading it calls no function."""
    kind = kind_of(instrument)
    return kind is not None and kind.counts
