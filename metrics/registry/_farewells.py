"""Final values of unregistered instruments, retained until every reader has read them.

A container stops its resources in reverse order: a reporter that was declared before a meter makes
its final report when the meter is no longer registered. Its last updates are retained for it.
"""

import threading
from typing import final

from metrics import _fork
from metrics.instruments import Gauge, Instrument, IntGauge, Snapshot
from metrics.registry._entries import Entry, type_of

LIMIT = 100_000
"""Most instruments that are retained for a reader; the oldest are dropped first."""


@final
class FinalValue:
    """Final value of an instrument that cannot be read later.

    Args:
        instrument: the instrument, which is read now.
    """

    __slots__ = ("_snapshot", "kind")

    def __init__(self, instrument: Instrument) -> None:
        self.kind: type = type_of(instrument)
        self._snapshot = instrument.snapshot()

    def snapshot(self, reader: str = "") -> Snapshot:  # noqa: ARG002 - as every instrument
        """Return the final value."""
        return self._snapshot


@final
class Farewells:
    """Unregistered instruments by reader and name. Safe to use from any thread."""

    __slots__ = ("_lock", "_owners", "_retained")

    def __init__(self) -> None:
        self._retained: dict[str, dict[str, Entry]] = {}
        # Of the readers that a hook opened.
        self._owners: dict[str, object] = {}
        # A signal handler may unregister an instrument while its own thread does.
        self._lock = threading.RLock()

    def open(self, reader: str) -> None:
        """Retain the instruments that are unregistered from now on for a reader."""
        owner = _fork.registering.get()
        with self._lock:
            self._retained.setdefault(reader, {})
            if owner is not None:
                self._owners[reader] = owner

    def close(self, reader: str) -> None:
        """Retain nothing for a reader any more."""
        with self._lock:
            self._retained.pop(reader, None)
            self._owners.pop(reader, None)

    def is_open(self, reader: str) -> bool:
        """Return whether a reader follows the registry, as reporters do."""
        return reader in self._retained

    def retain(self, entry: Entry) -> None:
        """Retain an unregistered instrument for every reader.

        Most instruments are retained as they are, so that no late update is lost and no value that
        resets is read twice. A gauge is read now: its function may need a resource that stops soon.

        Raises:
            Exception: any exception of the gauge's function.
        """
        if not self._retained:
            return
        if type_of(entry.instrument) in {Gauge, IntGauge}:
            entry = entry.copy(FinalValue(entry.instrument))
        with self._lock:
            for retained in self._retained.values():
                retained.pop(entry.name, None)
                retained[entry.name] = entry
                if len(retained) > LIMIT:
                    del retained[next(iter(retained))]

    def renew(self) -> None:
        """Drop all entries in a forked process, whose parent reads them."""
        if _fork.is_orphaned(self._lock):
            self._lock = threading.RLock()
        self._retained = {reader: {} for reader in self._retained}

    def drop(self, owners: frozenset[int]) -> None:
        """Retain nothing for the readers of owners, which are given by identity."""
        for reader, owner in list(self._owners.items()):
            if id(owner) in owners:
                self.close(reader)

    def take(self, reader: str, prefix: str) -> list[Entry]:
        """Remove and return the entries under a prefix that are retained for a reader."""
        if not self._retained:
            return []
        with self._lock:
            retained = self._retained.get(reader, {})
            taken = [entry for name, entry in retained.items() if name.startswith(prefix)]
            for entry in taken:
                del retained[entry.name]
        return taken
