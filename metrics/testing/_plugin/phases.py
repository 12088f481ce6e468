"""Phases of a test in which descriptors appear that have no origin: setup, call or teardown."""

import os
from typing import TYPE_CHECKING, final

from metrics.testing.leaks._inventory import OPEN_FILES, open_descriptors

if TYPE_CHECKING:
    from metrics.testing.leaks._naming import Leak

Free = tuple[int, int]
"""The two lowest free descriptors; one alone would miss a file above a gap."""


@final
class Phases:
    """Open files at the end of each phase of a test.

    They are listed only when the lowest free descriptors have changed since the last phase: to list
    them takes ten microseconds, and most tests open no file that they do not close.
    """

    def __init__(self) -> None:
        self._free: Free = (-1, -1)
        # The open files after each phase, or the free descriptors if these have not changed.
        self._after: dict[str, frozenset[object] | Free] = {}

    def begin(self) -> None:
        """Begin a test."""
        self._after.clear()

    def end(self, phase: str) -> None:
        """End a phase of the test. Takes a microsecond if no file was left open."""
        try:
            lowest, second = os.dup(1), os.dup(1)
            os.close(lowest)
            os.close(second)
        except OSError:
            return
        free = lowest, second
        if free == self._free:
            self._after[phase] = free
        else:
            self._free, self._after[phase] = (
                free,
                frozenset(key.identity for key in open_descriptors()),
            )

    def name(self, leak: "Leak") -> "Leak":
        """Return a leak with the phase in its detail, if it is a descriptor without an origin."""
        if leak.stack or leak.descriptor < 0 or not OPEN_FILES:
            return leak
        phases = self._phases_of(leak.descriptor)
        if not 0 < len(phases) <= len(self._after):
            return leak
        return leak._replace(detail=f"{leak.detail}, opened in the {' or '.join(phases)}")

    def _phases_of(self, descriptor: int) -> list[str]:
        """Return the phases in which a descriptor may have been opened."""
        try:
            status = os.fstat(descriptor)
        except OSError:
            return []
        key = descriptor, (status.st_dev, status.st_ino)
        possible: list[str] = []
        for phase, after in self._after.items():
            if isinstance(after, frozenset):
                was_open = key in after
            elif descriptor > after[1]:
                # It was open then or not.
                possible.append(phase)
                continue
            else:
                was_open = descriptor not in after
            if was_open:
                return [*possible, phase]
            possible.clear()
        return [*possible, "teardown"]
