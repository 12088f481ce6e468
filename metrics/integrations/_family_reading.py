"""Families whose values are read from other objects at each collection."""

from collections.abc import Callable
from typing import final

from metrics.instruments import FamilySnapshot, GaugeSnapshot


@final
class FamilyReading:
    """Instrument that reads values by label values: connections of a pool, runs of a scheduler.

    Args:
        labelnames: the names of the labels.
        read: returns the values by label values.
    """

    __slots__ = ("_labelnames", "_read")

    def __init__(
        self, labelnames: tuple[str, ...], read: Callable[[], dict[tuple[str, ...], int]]
    ) -> None:
        self._labelnames = labelnames
        self._read = read

    def snapshot(self, reader: str = "") -> FamilySnapshot:  # noqa: ARG002 - the same for all
        """Return the present values."""
        children = {labels: GaugeSnapshot(value) for labels, value in self._read().items()}
        return FamilySnapshot(self._labelnames, children, 0)
