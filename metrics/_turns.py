"""Long work that lets other threads have their turns."""

from time import monotonic_ns, sleep
from typing import final

TURN = 1_500_000
"""Nanoseconds of work between two pauses."""

PAUSE = 0.00001
"""Seconds a pause takes at least. One of 0 may end before a waiting thread has woken up."""


@final
class Turns:
    """Pauses long work often enough that no other thread waits for milliseconds.

    Compiled code keeps the interpreter to itself until it calls something that lets go of it, so
    whoever goes through a thousand instruments calls `offer` every few of them.
    """

    __slots__ = ("_since",)

    def __init__(self) -> None:
        self._since = monotonic_ns()

    def offer(self) -> None:
        """Let other threads run if this one has worked for long enough."""
        if monotonic_ns() - self._since >= TURN:
            sleep(PAUSE)
            self._since = monotonic_ns()
