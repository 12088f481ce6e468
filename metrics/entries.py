"""The one table of names that a registry and all its children share."""

import threading
from typing import final

from metrics.errors import DuplicateMetricError
from metrics.instruments.snapshot import Instrument


@final
class Entry:
    """An instrument and what is known about it."""

    __slots__ = ("description", "instrument", "kept", "name", "unit")

    def __init__(self, name: str, instrument: Instrument, description: str, unit: str) -> None:
        self.name = name
        self.instrument = instrument
        self.description = description
        self.unit = unit
        # What an exporter makes once and keeps, for as long as the instrument is registered.
        self.kept: object = None


@final
class Entries:
    """Full names to entries, in name order. Safe to use from any thread.

    Two names that formats with fewer letters write the same (`a/b` and `a.b` are both `a_b`) are
    duplicates, so that no exporter ever meets them together.
    """

    __slots__ = ("_by_name", "_exported", "_in_order", "_names_of", "lock")

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        self._exported: dict[str, str] = {}
        # How many names an instrument has, by identity.
        self._names_of: dict[int, int] = {}
        self._in_order: tuple[Entry, ...] | None = ()
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
        exported = exported_name(entry.name)
        with self.lock:
            taken = self._exported.get(exported)
            if taken is None:
                self._by_name[entry.name] = entry
                self._exported[exported] = entry.name
                self._in_order = None
                key = id(entry.instrument)
                self._names_of[key] = self._names_of.get(key, 0) + 1
                return
        if taken == entry.name:
            kind = kind_of(self._by_name[taken].instrument)
            raise DuplicateMetricError(f"name {taken!r} is already registered, as a {kind}")
        raise DuplicateMetricError(
            f"name {entry.name!r} would be exported as {exported!r}, which {taken!r} already is"
        )

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
            del self._exported[exported_name(name)]
            self._in_order = None
            key = id(entry.instrument)
            self._names_of[key] -= 1
            if not self._names_of[key]:
                del self._names_of[key]
            return entry

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
    kind = getattr(instrument, "kind", None)
    name = type(instrument).__name__
    return f"{name} of {kind.__name__}" if isinstance(kind, type) else name


def exported_name(name: str) -> str:
    """Return a name in ASCII letters, digits and underscores: everything else becomes `_`."""
    if name.isascii() and name.isidentifier():
        return name
    text = "".join([c if c.isascii() and c.isalnum() else "_" for c in name])
    return f"_{text}" if text[:1].isdigit() else text
