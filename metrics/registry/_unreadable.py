"""Instruments that cannot be read, logged once and not at every read."""

from typing import final

from metrics.registry._entries import Entry


@final
class Unreadable:
    """Names of instruments whose last read failed. Safe to use from any thread."""

    __slots__ = ("_names",)

    def __init__(self) -> None:
        self._names: set[str] = set()

    def add(self, entry: Entry, error: Exception) -> None:
        """Log that an entry cannot be read, unless that was logged."""
        if entry.name in self._names:
            return
        self._names.add(entry.name)
        # Loaded when needed: logging takes longer to import than this package.
        from logging import getLogger  # noqa: PLC0415

        getLogger("metrics.registry").error(
            "%r cannot be read and is left out until it can be", entry.name, exc_info=error
        )

    def discard(self, entry: Entry) -> None:
        """Log the next failure of an entry, which was read."""
        self._names.discard(entry.name)

    def names(self) -> frozenset[str]:
        """Return the full names of the entries whose last read failed."""
        return frozenset(self._names.copy())

    def __bool__(self) -> bool:
        return bool(self._names)
