"""The one table of names that a registry and all its children share."""

import threading
from typing import final

from metrics import _fork
from metrics.errors import DuplicateMetricError
from metrics.instruments._family import Family
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument
from metrics.registry._exported_names import taken_names, type_of


@final
class Entry(Shared):
    """An instrument and what is known about it.

    Args:
        name: its full name.
        instrument: an instrument or a family.
        description: what it measures.
        unit: what it is measured in.
        registered: when it was registered, in seconds since the Unix epoch.
        owner: the owner of the name, see `metrics._fork.registering`.
    """

    __slots__ = (
        "description",
        "instrument",
        "kept",
        "name",
        "owner",
        "registered",
        "settled",
        "unit",
    )

    def __init__(
        self,
        name: str,
        instrument: Instrument,
        description: str,
        unit: str,
        registered: float = 0.0,
        owner: object | None = None,
    ) -> None:
        self.name = name
        self.instrument = instrument
        self.description = description
        self.unit = unit
        self.registered = registered
        self.owner = owner
        # False while a thread registers it, which a forked process may never end.
        self.settled = True
        # What exporters make once and keep, by format, for as long as the instrument is registered.
        self.kept: dict[str, object] = {}

    def names(self) -> list[str]:
        """Return every name the instrument has on any page, its own, exported, first."""
        return taken_names(type_of(self.instrument), self.name, self.unit)

    def __reduce__(self) -> tuple[object, ...]:
        return Entry, (self.name, self.instrument, self.description, self.unit, self.registered)


@final
class Entries:
    """Full names to entries, in name order. Safe to use from any thread.

    Two names that formats with fewer letters write the same (`a/b` and `a.b` are both `a_b`) are
    duplicates, and so are two instruments of which a page would write values under one name (the
    count of a timer `a` and a gauge `a_count`), so that no exporter ever meets them together.
    """

    __slots__ = ("_by_name", "_exported", "_generation", "_in_order", "_names_of", "lock")

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        self._exported: dict[str, str] = {}
        # How many names an instrument has, by identity.
        self._names_of: dict[int, int] = {}
        self._in_order: tuple[Entry, ...] | None = ()
        self._generation: int = _fork.generation
        # A factory that makes one instrument may register another.
        self.lock = threading.RLock()

    def get(self, name: str) -> Entry | None:
        """Return the entry with this full name, or None."""
        return self._by_name.get(name)

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            DuplicateMetricError: the name is taken, or exported like one that is.
        """
        names = entry.names()
        with self.lock:
            known = self._by_name.get(entry.name)
            if known is not None:
                kind = kind_of(known.instrument)
                raise DuplicateMetricError(
                    f"name {entry.name!r} is already registered, as a {kind}"
                )
            for name in names:
                if name in self._exported:
                    raise DuplicateMetricError(
                        f"name {entry.name!r} would be exported as {name!r}, "
                        f"which {self._exported[name]!r} already is"
                    )
            self._put(entry, names)
            self._in_order = None

    def _put(self, entry: Entry, names: list[str]) -> None:
        self._by_name[entry.name] = entry
        for name in names:
            self._exported[name] = entry.name
        key = id(entry.instrument)
        self._names_of[key] = self._names_of.get(key, 0) + 1

    def has(self, instrument: Instrument) -> bool:
        """Return whether an instrument is here, under whatever name."""
        return id(instrument) in self._names_of

    def remove(self, name: str, instrument: Instrument | None = None) -> Entry | None:
        """Remove and return an entry; None if it is not here or not that of `instrument`."""
        with self.lock:
            entry = self._by_name.get(name)
            if entry is None or (instrument is not None and entry.instrument is not instrument):
                return None
            del self._by_name[name]
            for exported in entry.names():
                self._exported.pop(exported, None)  # one name may be two of an instrument's
            self._in_order = None
            key = id(entry.instrument)
            self._names_of[key] -= 1
            if not self._names_of[key]:
                del self._names_of[key]
            return entry

    def owned_by(self, owners: frozenset[int]) -> list[Entry]:
        """Return the entries of owners, which are given by identity."""
        return [entry for entry in self._by_name.values() if id(entry.owner) in owners]

    def renewed(self) -> list[Entry]:
        """Return all entries, after renewing the table in a forked process.

        An entry that another thread was registering is removed: nobody in the child has it. The
        second time in a process there is nothing to renew, and the list is empty.
        """
        if self._generation == _fork.generation:
            return []
        self._generation = _fork.generation
        if _fork.is_orphaned(self.lock):
            self.lock = threading.RLock()
            settled = [entry for entry in self._by_name.values() if entry.settled]
            self._by_name = {}
            self._exported = {}
            self._names_of = {}
            for entry in settled:
                self._put(entry, entry.names())
            self._in_order = None
        return list(self._by_name.values())

    def in_order(self, prefix: str) -> tuple[Entry, ...]:
        """Return the entries whose names begin with `prefix`, in name order."""
        with self.lock:
            if self._in_order is None:
                self._in_order = tuple([self._by_name[name] for name in sorted(self._by_name)])
            entries = self._in_order
        if not prefix:
            return entries
        return tuple([entry for entry in entries if entry.name.startswith(prefix)])


def kind_of(instrument: Instrument) -> str:
    """Return an instrument's type by name, as users call it."""
    name = type_of(instrument).__name__
    return f"Family of {name}" if isinstance(instrument, Family) else name
