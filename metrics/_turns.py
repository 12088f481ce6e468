"""Pauses in long work, so that other threads get their turns."""

from time import monotonic_ns, sleep
from typing import final

TURN = 1_500_000
"""Nanoseconds of work between two pauses."""

PAUSE = 0.00001
"""Shortest pause in seconds. A pause of 0 may end before a waiting thread has woken up."""


@final
class Turns:
    """Pauses of one thread, frequent enough that no other thread waits for milliseconds.

    Compiled code holds the GIL until it calls a function that releases it, so a loop over thousands
    of instruments calls `offer` after every few of them. Belongs to the thread that works.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = monotonic_ns()

    def offer(self) -> None:
        """Let other threads run if this one has worked for 1.5 ms since its last pause."""
        if monotonic_ns() - self._since >= TURN:
            sleep(PAUSE)
            self._since = monotonic_ns()
