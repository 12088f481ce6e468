"""Table of full names that a registry shares with all its children."""

import threading
from bisect import bisect_left
from operator import attrgetter
from typing import Final, final

from metrics import _fork
from metrics.errors import DuplicateMetricError
from metrics.instruments import Family, Instrument
from metrics.instruments._inner import Shared, TickSource
from metrics.registry._kinds import Kind
from metrics.registry._shortcuts import KINDS

Labels = tuple[tuple[str, str], ...]

FEW: Final = 64
"""Most changes after which the name order is corrected; after more all names are sorted again."""

name_of = attrgetter("name")


@final
class Entry(Shared):
    """An instrument with its full name and the metadata of its registration.

    Args:
        name: the full name.
        instrument: an instrument or a family.
        description: one line that says what is measured.
        unit: the unit of the values.
        labels: the constant labels of its registry.
        registered: time of the registration, in seconds since the Unix epoch.
        ticker: ticks the instrument; None when it is not ticked.
        owner: the owner of the name, see `metrics._fork.registering`.
    """

    __slots__ = (
        "description",
        "instrument",
        "labels",
        "layout",
        "name",
        "owner",
        "position",
        "registered",
        "settled",
        "ticker",
        "unit",
    )

    def __init__(
        self,
        name: str,
        instrument: Instrument,
        description: str,
        unit: str,
        labels: Labels = (),
        registered: float = 0.0,
        ticker: TickSource | None = None,
        owner: object | None = None,
    ) -> None:
        self.name = name
        self.instrument = instrument
        self.description = description
        self.unit = unit
        self.labels = labels
        self.registered = registered
        self.ticker = ticker
        self.owner = owner
        # Layout of the last page that had the entry, see `metrics.exporters._exposition.reading`.
        self.layout: object = None
        # Position in the order of registration.
        self.position = 0
        # False during the registration, which a forked process may never end.
        self.settled = True

    def copy(self, instrument: Instrument) -> "Entry":
        """Return an entry of the same name for an object that stands for the instrument."""
        return Entry(
            self.name, instrument, self.description, self.unit, self.labels, self.registered
        )

    def __reduce__(self) -> tuple[object, ...]:
        return Entry, (
            self.name,
            self.instrument,
            self.description,
            self.unit,
            self.labels,
            self.registered,
        )


@final
class Order:
    """Entries in name order, and changes since.

    Args:
        entries: the entries in name order.
        changed: names registered or unregistered since then; None for more than a few.
    """

    __slots__ = ("changed", "entries")

    def __init__(self, entries: tuple[Entry, ...], changed: tuple[str, ...] | None) -> None:
        self.entries = entries
        self.changed = changed


@final
class Entries:
    """Full names to entries, in name order. Safe to use from any thread."""

    __slots__ = (
        "_by_name",
        "_generation",
        "_names_of",
        "_order",
        "closed",
        "lock",
        "position",
    )

    def __init__(self) -> None:
        self._by_name: dict[str, Entry] = {}
        # Number of names of an instrument that a ticker ticks, by identity.
        self._names_of: dict[tuple[int, int], int] = {}
        self._order = Order((), ())
        # Whether the resource that created the registry has stopped.
        self.closed = False
        # Position of the newest entry in the order of registration.
        self.position = 0
        self._generation: int = _fork.generation
        # A factory that creates one instrument may register another.
        self.lock = threading.RLock()

    def get(self, name: str) -> Entry | None:
        """Return the entry with this full name, or None."""
        return self._by_name.get(name)

    def add(self, entry: Entry) -> None:
        """Add an entry.

        Raises:
            DuplicateMetricError: the name is taken.
        """
        with self.lock:
            known = self._by_name.get(entry.name)
            if known is not None:
                raise DuplicateMetricError(
                    f"name {entry.name!r} is already registered, as a {type_name(known.instrument)}"
                )
            self.position += 1
            entry.position = self.position
            self._put(entry)
            self._note(entry.name)

    def _put(self, entry: Entry) -> None:
        self._by_name[entry.name] = entry
        key = ticking_key(entry)
        self._names_of[key] = self._names_of.get(key, 0) + 1

    def is_shared(self, entry: Entry) -> bool:
        """Return whether the ticker of an entry ticks its instrument for a registered name."""
        return ticking_key(entry) in self._names_of

    def remove(self, name: str, instrument: Instrument | None = None) -> Entry | None:
        """Remove and return an entry; None if it is missing or not that of `instrument`."""
        with self.lock:
            entry = self._by_name.get(name)
            if entry is None or (instrument is not None and entry.instrument is not instrument):
                return None
            del self._by_name[name]
            self._note(name)
            key = ticking_key(entry)
            self._names_of[key] -= 1
            if not self._names_of[key]:
                del self._names_of[key]
            return entry

    def owned_by(self, owners: frozenset[int]) -> list[Entry]:
        """Return the entries of owners, which are given by identity."""
        return [entry for entry in self._by_name.values() if id(entry.owner) in owners]

    def renew(self) -> list[Entry]:
        """Renew the table in a forked process, and return all entries.

        An entry that another thread was registering is removed: no code in the child holds it. The
        second time in a process there is nothing to renew, and the list is empty.
        """
        if self._generation == _fork.generation:
            return []
        self._generation = _fork.generation
        if _fork.is_orphaned(self.lock):
            self.lock = threading.RLock()
            settled = [entry for entry in self._by_name.values() if entry.settled]
            self._by_name = {}
            self._names_of = {}
            for entry in settled:
                self._put(entry)
            self._order = Order((), None)
        return list(self._by_name.values())

    def _note(self, name: str) -> None:
        """Have the name order corrected at the next read."""
        order = self._order
        if order.changed is None:
            return
        if len(order.changed) >= FEW:
            self._order = Order((), None)
            return
        entries = order.entries
        if name not in self._by_name:
            # The order must not keep an unregistered instrument alive.
            index = bisect_left(entries, name, key=name_of)
            if index < len(entries) and entries[index].name == name:
                entries = entries[:index] + entries[index + 1 :]
        self._order = Order(entries, (*order.changed, name))

    def _corrected(self, order: Order) -> tuple[Entry, ...]:
        """Return the entries in name order.

        To sort 100,000 names would block other threads for 20 ms; a few are moved one by one.
        """
        if order.changed is None:
            return tuple([self._by_name[name] for name in sorted(self._by_name)])
        entries = list(order.entries)
        for name in order.changed:
            index = bisect_left(entries, name, key=name_of)
            if index < len(entries) and entries[index].name == name:
                del entries[index]
            entry = self._by_name.get(name)
            if entry is not None:
                entries.insert(index, entry)
        return tuple(entries)

    def since(self, position: int) -> list[Entry]:
        """Return the entries registered after a position, in the order of registration."""
        found: list[Entry] = []
        with self.lock:
            for entry in reversed(self._by_name.values()):
                if entry.position <= position:
                    break
                found.append(entry)
        found.reverse()
        return found

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def in_order(self, prefix: str) -> tuple[Entry, ...]:
        """Return the entries whose names begin with `prefix`, in name order."""
        with self.lock:
            order = self._order
            while order.changed != ():
                corrected = Order(self._corrected(order), ())
                # A signal handler may have registered an entry meanwhile.
                if self._order is order:
                    self._order = corrected
                order = self._order
            entries = order.entries
        if not prefix:
            return entries
        return tuple([entry for entry in entries if entry.name.startswith(prefix)])


def ticking_key(entry: Entry) -> tuple[int, int]:
    """Return the identities of the instrument of an entry and of its ticker."""
    return id(entry.instrument), id(entry.ticker)


def type_of(instrument: Instrument) -> type:
    """Return the class of an instrument, or of a family's children."""
    own = type(instrument)
    # Most are known, and looking for an attribute in vain takes long.
    if own in KINDS:
        return own
    kind = getattr(instrument, "kind", None)
    return kind if isinstance(kind, type) else own


def kind_of(instrument: Instrument) -> Kind | None:
    """Return the kind of an instrument, or of a family's children; None for a foreign one."""
    return KINDS.get(type_of(instrument))


def type_name(instrument: Instrument) -> str:
    """Return the class of an instrument by name, as users write it."""
    name = type_of(instrument).__name__
    return f"Family of {name}" if isinstance(instrument, Family) else name


def is_ticking(instrument: Instrument) -> bool:
    """Return whether a ticker has to tick an instrument, or a family's children."""
    if isinstance(instrument, Family):
        return instrument.ticking
    return hasattr(instrument, "tick")
