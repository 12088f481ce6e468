"""The one kind of distributions that an instrument has, for formats in which names have types."""

from logging import getLogger
from typing import final

from metrics.instruments import BucketHistogramSnapshot, Snapshot
from metrics.registry._inner import Entry

KEPT = "first kind"
"""What it is kept under with an entry."""

logger = getLogger(__name__)


@final
class FirstKind:
    """The kind of distribution that was read first of an instrument, whoever read it.

    A family may have timers with buckets and timers with samples among its children. A format that
    has one type for a name leaves out the distributions of the other kind, which is logged once.
    """

    __slots__ = ("_kinds", "_name")

    def __init__(self, name: str) -> None:
        self._name = name
        # Its order is that in which they were read, and adding to it is one step for all threads.
        self._kinds: dict[type[Snapshot], None] = {}

    def takes(self, distribution: Snapshot) -> bool:
        """Return whether a distribution is of that kind."""
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


def first_kind(entry: Entry) -> FirstKind:
    """Return that of an entry, the same to every format."""
    kept = entry.kept.get(KEPT) or entry.kept.setdefault(KEPT, FirstKind(entry.name))
    assert isinstance(kept, FirstKind)  # noqa: S101 - nobody else uses that name
    return kept
