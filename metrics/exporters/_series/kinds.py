"""One kind of distribution for each instrument, for formats in which a name has one type."""

from logging import getLogger
from typing import final

from metrics.instruments import BucketHistogramSnapshot, Snapshot
from metrics.registry._inner import Entries, Store

logger = getLogger(__name__)


@final
class FirstKind:
    """Kind of distribution of an instrument that was read first, by any reader.

    A family may have timers with buckets and timers with samples among its children. A format that
    has one type for a name leaves out the distributions of the other kind, which is logged once.
    """

    __slots__ = ("_kinds", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        # In the order of the first reads; an addition is one step for all threads.
        self._kinds: dict[type[Snapshot], None] = {}

    def takes(self, distribution: Snapshot) -> bool:
        """Return whether a distribution is of the kind that was read first."""
        kind = type(distribution)
        known = kind in self._kinds
        self._kinds.setdefault(kind)
        first = next(iter(self._kinds))
        if kind is not first and not known:
            logger.warning(
                "%r has children with buckets and children without: it is written as a %s, as the "
                "first that was read, and the distributions of the others are left out",
                self._name,
                "histogram" if first is BucketHistogramSnapshot else "summary",
            )
        return kind is first


@final
class FirstKinds:
    """First kinds of the instruments of a registry, its parents and children, by full name.

    Memory is bounded by the registered instruments.
    """

    __slots__ = ("_by_name", "_table")

    def __init__(self, table: Entries) -> None:
        self._table = table
        # With the position of the registration: a successor of the same name has its own.
        self._by_name: dict[str, tuple[int, FirstKind]] = {}

    def of(self, name: str, position: int) -> FirstKind:
        """Return the first kind of an instrument.

        Args:
            name: its full name.
            position: its position in the order of registration.
        """
        known = self._by_name.get(name)
        if known is None or known[0] != position:
            if len(self._by_name) > len(self._table):
                for other in [other for other in list(self._by_name) if other not in self._table]:
                    self._by_name.pop(other, None)
            known = self._by_name.setdefault(name, (position, FirstKind(name)))
            if known[0] != position:
                known = self._by_name[name] = (position, FirstKind(name))
        return known[1]


def first_kinds_of(store: Store) -> FirstKinds:
    """Return the first kinds of a registry, the same for every format."""
    return store.keep_shared("first kinds", lambda: FirstKinds(store.table))
