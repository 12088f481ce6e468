"""Expiry: the children of a family that have not been updated for some time."""

from collections.abc import Iterable
from typing import Any, NamedTuple, final

from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument

READER = "metrics-expiry"
"""Reader under which values are read, so that values that reset do so for no other reader."""


class Observation(NamedTuple):
    """A child with its value and the time since which the value is unchanged."""

    values: tuple[str, ...]
    child: Instrument
    value: object
    since: float


@final
class Idleness:
    """Values of children as of the last tick, for one family.

    Updates pay nothing for it: a child is idle if its value is the same at each tick. About 150
    bytes per child.

    Args:
        limit: seconds without a change after which a child is idle.
    """

    __slots__ = ("_limit", "_observations")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._observations: dict[tuple[str, ...], Observation] = {}

    def observe(
        self, children: Iterable[tuple[tuple[str, ...], Instrument]], now: float
    ) -> list[Observation]:
        """Read all children, and return the idle ones.

        Args:
            children: label values and children now; all others are no longer observed.
            now: seconds on a monotonic clock.
        """
        observations: dict[tuple[str, ...], Observation] = {}
        idle: list[Observation] = []
        for values, child in children:
            last = self._observations.get(values)
            # Another child may have taken the label values meanwhile.
            if last is None or last.child is not child or not is_unchanged(last):
                last = Observation(values, child, value_of(child), now)
            elif now - last.since >= self._limit:
                idle.append(last)
            observations[values] = last
        self._observations = observations
        return idle


def is_unchanged(last: Observation) -> bool:
    """Return whether a child has the value it had; never raises an `Exception`."""
    try:
        value: Any = value_of(last.child)
        # From the read to the return there is no call, so no other thread runs in between.
        if value == last.value:
            return True
        # NaN equals nothing, and a gauge may be NaN for long.
        if value != value and last.value != last.value:  # noqa: PLR0124
            return True
    except Exception:  # noqa: BLE001 - snapshots of a program may fail to compare
        return False
    return False


def value_of(instrument: Any) -> object:
    """Return a value that is another one after an update; never raises an `Exception`.

    The count of an instrument of the library, or its value if it has no count; the snapshot of any
    other instrument. The result equals no other if the instrument cannot be read, and if it reads a
    function, which is not called: such an instrument does not expire.
    """
    try:
        if issubclass(type(instrument), Shared):
            if getattr(instrument, "_function", None) is not None:
                return object()
            # A plain attribute access is the last operation: see `is_unchanged`.
            if hasattr(instrument, "count"):
                return instrument.count
            if hasattr(instrument, "value"):
                return instrument.value
        return instrument.snapshot(READER)
    except Exception:  # noqa: BLE001 - an instrument of a program may fail to be read
        return object()
