"""Clashes of names that only one format has: the instrument registered later is renamed there.

Names that differ in the registry may be one name in a format: `a/b` and `a.b` are both `a_b`, and
in OpenMetrics an info `a_info` belongs to a family `a`, as a gauge `a` does. On the pages of that
format the later one gets a number: `a_b_2`.
"""

from collections.abc import Callable
from logging import getLogger

from metrics.registry._inner import Entry, Kind, Store, kind_of

Exposed = Callable[[Kind, Entry, int], list[str]]
"""Returns every name that a page may have for an entry with a number."""

logger = getLogger(__name__)


def number_of_entry(entry: Entry, dialect: str) -> int:
    """Return the number of an entry on the pages of a dialect; 1 for one that is not renamed."""
    number = entry.kept.get(f"{dialect} number", 1)
    assert isinstance(number, int)  # noqa: S101 - set below
    return number


def rename_clashes(store: Store, dialect: str, exposed: Exposed) -> None:
    """Number the entries of a registry so that no two have one name on a page of this dialect.

    An entry keeps its number as long as it is registered. A renamed one is logged once.
    """
    entries = store.table.in_order("")
    if store.table.kept.get(dialect) is entries:
        return
    key = f"{dialect} number"
    taken: dict[str, str] = {}
    new: list[Entry] = []
    for entry in entries:
        kind = kind_of(entry.instrument)
        if kind is None:
            continue
        if key in entry.kept:
            for name in exposed(kind, entry, number_of_entry(entry, dialect)):
                taken[name] = entry.name
        else:
            new.append(entry)
    for entry in sorted(new, key=registration):
        kind = kind_of(entry.instrument)
        assert kind is not None  # noqa: S101 - as above
        number = 1
        names = exposed(kind, entry, number)
        while not taken.keys().isdisjoint(names):
            if number == 1:
                clash = next(name for name in names if name in taken)
                logger.warning(
                    "%r is renamed on the pages of %s: %r is a name of %r already",
                    entry.name,
                    dialect,
                    clash,
                    taken[clash],
                )
            number += 1
            names = exposed(kind, entry, number)
        for name in names:
            taken[name] = entry.name
        entry.kept[key] = number
    store.table.kept[dialect] = entries


def registration(entry: Entry) -> int:
    """Return the position of an entry in the order of registration."""
    return entry.position
