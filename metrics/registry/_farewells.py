"""What is unregistered, kept for readers that come later.

A container stops its resources in reverse order, so that a reporter that was declared before a
meter makes its final report when the meter is no longer registered. What it would miss is kept for
it.
"""

import threading
from typing import final

from metrics import _fork
from metrics.instruments._gauge import Gauge, IntGauge
from metrics.instruments._snapshot import Instrument, Snapshot
from metrics.registry._entries import Entry
from metrics.registry._exported_names import type_of

MOST = 100_000
"""Instruments that are kept for one reader, at most; the oldest give way."""


@final
class Last:
    """The last value of an instrument that cannot be read later."""

    __slots__ = ("_snapshot", "kind")

    def __init__(self, instrument: Instrument) -> None:
        self.kind: type = type_of(instrument)
        self._snapshot = instrument.snapshot()

    def snapshot(self, reader: str = "") -> Snapshot:  # noqa: ARG002 - as every instrument
        """Return the last value."""
        return self._snapshot


@final
class Farewells:
    """What was unregistered, by reader and name. Safe to use from any thread."""

    __slots__ = ("_kept", "_lock", "_owners")

    def __init__(self) -> None:
        self._kept: dict[str, dict[str, Entry]] = {}
        # Of the readers that a hook opened.
        self._owners: dict[str, object] = {}
        # A signal handler may unregister something while its own thread does.
        self._lock = threading.RLock()

    def open(self, reader: str) -> None:
        """Keep what is unregistered from now on for a reader."""
        owner = _fork.registering.get()
        with self._lock:
            self._kept.setdefault(reader, {})
            if owner is not None:
                self._owners[reader] = owner

    def close(self, reader: str) -> None:
        """Keep nothing for a reader any more."""
        with self._lock:
            self._kept.pop(reader, None)
            self._owners.pop(reader, None)

    def keep(self, entry: Entry) -> None:
        """Keep what is no longer registered, for every reader there is.

        Most instruments are kept as they are, so that nothing that is still counted is lost, and
        nothing that resets is read twice. A gauge is read now: its function may ask what is closed
        soon.

        Raises:
            Exception: whatever reading the gauge raises.
        """
        if not self._kept:
            return
        if type_of(entry.instrument) in {Gauge, IntGauge}:
            last = Last(entry.instrument)
            entry = Entry(entry.name, last, entry.description, entry.unit, entry.registered)
        with self._lock:
            for kept in self._kept.values():
                kept.pop(entry.name, None)
                kept[entry.name] = entry
                if len(kept) > MOST:
                    del kept[next(iter(kept))]

    def renew(self) -> None:
        """Drop all that is kept, in a forked process: it is the parent's to read."""
        if _fork.is_orphaned(self._lock):
            self._lock = threading.RLock()
        self._kept = {reader: {} for reader in self._kept}

    def drop(self, owners: frozenset[int]) -> None:
        """Keep nothing for the readers of owners, which are given by identity."""
        for reader, owner in list(self._owners.items()):
            if id(owner) in owners:
                self.close(reader)

    def take(self, reader: str, prefix: str) -> list[Entry]:
        """Return what is kept for a reader under a prefix, and keep it no longer."""
        if not self._kept:
            return []
        with self._lock:
            kept = self._kept.get(reader, {})
            taken = [entry for name, entry in kept.items() if name.startswith(prefix)]
            for entry in taken:
                del kept[entry.name]
        return taken
