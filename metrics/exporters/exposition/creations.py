"""When totals began, as far as those who read them can tell.

An instrument does not know when it was cleared, nor a child that another one had its labels before
it. Both show in a total that is there anew, or less than it was: such a total began no earlier than
the last time it was read, and that is the time that is written.
"""

from collections.abc import Sequence
from itertools import count
from typing import final

from metrics.exporters.exposition.forms import Values, number, only, prefix
from metrics.exporters.writing.numbers import Number

SEQUENCE = count(1)
"""Tells before from after, which a clock does not do for certain."""


Known = tuple[Number, int, str]
"""A total, when in the sequence it was read, and the line that was written beside it."""


@final
class Creations:
    """The `_created` samples of one metric family.

    Args:
        name: what they are called.
        labelnames: of the children; none for an instrument without labels.
    """

    __slots__ = ("_known", "_labelnames", "_name")

    def __init__(self, name: str, labelnames: Values) -> None:
        self._name = name
        self._labelnames = labelnames
        self._known: dict[Values, Known] = {}

    def line(self, values: Values, total: Number, begun: int, before: float) -> str:
        """Return the line of the child with these label values.

        Args:
            values: the child's label values.
            total: its total, which only grows unless it begins anew.
            begun: taken from the sequence before the total was read.
            before: seconds since the epoch, when totals were read before.
        """
        known = self._known.get(values)
        if known is not None:
            last, read, line = known
            # Read by somebody else meanwhile: nobody knows whose total is the newer one.
            if read > begun:
                return line
            if total >= last:
                self._known[values] = (total, next(SEQUENCE), line)
                return line
        pairs = tuple(zip(self._labelnames, values, strict=True))
        line = f"{prefix(self._name, pairs)}{number(before)}\n"
        self._known[values] = (total, next(SEQUENCE), line)
        return line

    def retain(self, present: Sequence[Values]) -> None:
        """Keep what is known of these children only."""
        self._known = only(self._known, present)
