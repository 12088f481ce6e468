"""Layouts of a registry in one dialect, kept between pages, with names that are unique there.

Names that differ in the registry may be one name in a format: `a/b` and `a.b` are both `a_b`, and
in OpenMetrics an info `a_info` belongs to a family `a`, as a gauge `a` does. On the pages of that
format the instrument registered later gets a number: `a_b_2`.
"""

import threading
from collections.abc import Callable
from functools import partial
from logging import getLogger
from typing import Final, final

from metrics._turns import Turns
from metrics.exporters._exposition.escaping import UNDERSCORES
from metrics.exporters._exposition.families import Values
from metrics.exporters._exposition.layout import Layout, TextLayout
from metrics.exporters._series.kinds import FirstKinds, first_kinds_of
from metrics.instruments._inner import Family
from metrics.registry._inner import Entries, Entry, Store

OFTEN: Final = 32
"""Entries between two offers to other threads."""

NewLayout = Callable[[Entry, Values, int, FirstKinds], Layout]

logger = getLogger(__name__)


@final
class Layouts:
    """Layouts of all entries of a registry, its parents and children, by full name.

    An instrument keeps its number as long as it is registered. A renamed one is logged once. Memory
    is bounded by the registered instruments. Safe to use from any thread.

    Args:
        table: the entries of the registry.
        dialect: the name of the dialect, for the log.
        new: creates the layout of an entry.
        first_kinds: the kinds of distributions, which all formats share.
    """

    __slots__ = (
        "_by_name",
        "_dialect",
        "_first_kinds",
        "_lock",
        "_new",
        "_owners",
        "_position",
        "_table",
    )

    def __init__(
        self, table: Entries, dialect: str, new: NewLayout, first_kinds: FirstKinds
    ) -> None:
        self._table = table
        self._dialect = dialect
        self._new = new
        self._first_kinds = first_kinds
        self._by_name: dict[str, Layout] = {}
        # Names on the pages to full names.
        self._owners: dict[str, str] = {}
        # Position of the last entry that has a layout.
        self._position = 0
        # A signal handler may render a page while its own thread does.
        self._lock = threading.RLock()

    def update(self, turns: Turns) -> None:
        """Create the layouts of entries registered since the last page, in that order."""
        if self._position == self._table.position:
            return
        with self._lock:
            for count, entry in enumerate(self._table.since(self._position)):
                self.of(entry, labelnames_of(entry))
                self._position = max(self._position, entry.position)
                if count % OFTEN == 0:
                    turns.offer()

    def of(self, entry: Entry, labelnames: Values) -> Layout:
        """Return the layout of an entry, created the first time.

        Args:
            entry: an instrument or a family.
            labelnames: the labels; an instrument of a program's own may change them.
        """
        known = self._by_name.get(entry.name)
        if (
            known is not None
            and known.position == entry.position
            and known.labelnames == labelnames
        ):
            return known
        with self._lock:
            return self._create(entry, labelnames)

    def owner(self, exposed: str) -> str:
        """Return the full name of the registered instrument that has a name; "" for none."""
        owner = self._owners.get(exposed, "")
        return owner if owner in self._table else ""

    def has(self, entry: Entry, exposed: str) -> bool:
        """Return whether an entry has a name on the pages."""
        return self._owners.get(exposed) == entry.name

    def prune(self, turns: Turns) -> None:
        """Drop the layouts of unregistered instruments, whose names are free then."""
        if len(self._by_name) <= len(self._table):
            return
        with self._lock:
            for count, name in enumerate(list(self._by_name)):
                if name not in self._table:
                    self._release(name)
                if count % OFTEN == 0:
                    turns.offer()

    def _create(self, entry: Entry, labelnames: Values) -> Layout:
        known = self._by_name.get(entry.name)
        number = 1
        if known is not None:
            # The last value of an unregistered instrument is read under its number.
            if known.position == entry.position or not entry.position:
                number = known.number
            self._release(entry.name)
        layout = self._new(entry, labelnames, number, self._first_kinds)
        names = layout.names()
        while clash := self._clash(entry, names):
            if number == 1:
                logger.warning(
                    "%r is renamed on the pages of %s: %r is a name of %r already",
                    entry.name,
                    self._dialect,
                    clash,
                    self._owners[clash],
                )
            number += 1
            layout = self._new(entry, labelnames, number, self._first_kinds)
            names = layout.names()
        for name in names:
            self._owners[name] = entry.name
        layout.owner = self
        self._by_name[entry.name] = layout
        return layout

    def _clash(self, entry: Entry, names: list[str]) -> str:
        """Return a name that another instrument has; "" if all are free."""
        for name in names:
            owner = self._owners.get(name)
            # An unregistered instrument loses a name to a registered one only.
            if owner is not None and (owner in self._table or entry.name not in self._table):
                return name
        return ""

    def _release(self, name: str) -> None:
        layout = self._by_name.pop(name, None)
        if layout is not None:
            for exposed in layout.names():
                if self._owners.get(exposed) == name:
                    del self._owners[exposed]


def labelnames_of(entry: Entry) -> Values:
    """Return the labels of a family; none for an instrument."""
    return entry.instrument.labelnames if isinstance(entry.instrument, Family) else ()


def layouts_of(store: Store, dialect: str, new: NewLayout) -> Layouts:
    """Return the layouts of a registry in a dialect, the same for its parents and children."""

    def create() -> Layouts:
        return Layouts(store.table, dialect, new, first_kinds_of(store))

    return store.keep_shared(f"layouts of {dialect}", create)


def escaped_layouts_of(store: Store, dialect: str, new: type[TextLayout], escaping: str) -> Layouts:
    """Return the layouts of a registry in a dialect and an escaping scheme.

    Names that are different in one scheme may be the same in another one, so that instruments are
    numbered in each scheme by itself.
    """
    if escaping == UNDERSCORES:
        return layouts_of(store, dialect, new)
    return layouts_of(store, f"{dialect} with escaping={escaping}", partial(new, escaping=escaping))
