"""The time left for a stop, as the resource that is being stopped sees it."""

import sys
import threading
from collections.abc import Collection
from contextvars import ContextVar
from math import inf
from typing import NamedTuple, final

from metrics.clock import SYSTEM_CLOCK

POLL_SECONDS = 0.05
"""Seconds between two checks of `join` whether the thread waits for the stop that joins it."""


class Deadline(NamedTuple):
    """The time at which a resource has to be stopped, and the threads that wait for its stop."""

    at: float
    waiting: Collection[int]


LIMIT: ContextVar[Deadline | None] = ContextVar("metrics-deadline", default=None)


def deadline(at: float, waiting: Collection[int]) -> "Limited":
    """Limit the stop in the block, in this context, to the time until `at` on `SYSTEM_CLOCK`.

    Args:
        at: the end of the time; infinity for no limit.
        waiting: the identifiers of the threads that wait for the end of the stop; it may change.
    """
    return Limited(Deadline(at, waiting))


@final
class Limited:
    """Context manager of `deadline`.

    A class, because `contextlib` sets attributes of the exceptions that pass, which some refuse.
    """

    __slots__ = ("_deadline", "_token")

    def __init__(self, limit: Deadline) -> None:
        self._deadline = limit

    def __enter__(self) -> None:
        self._token = LIMIT.set(self._deadline)

    def __exit__(self, *_: object) -> None:
        LIMIT.reset(self._token)


def remaining() -> float | None:
    """Return the seconds left of the stop under way, never below 0; None without a limit.

    A hook passes them on when it stops its resource, so that it waits no longer than it may.
    """
    current = LIMIT.get()
    if current is None or current.at - SYSTEM_CLOCK.monotonic() > threading.TIMEOUT_MAX:
        return None
    return max(current.at - SYSTEM_CLOCK.monotonic(), 0.0)


def waits_for_stop(thread: threading.Thread) -> bool:
    """Return whether a thread waits for the stop under way, so that to join it is a deadlock."""
    current = LIMIT.get()
    return current is not None and thread.ident in current.waiting


def join(thread: threading.Thread, seconds: float | None) -> bool:
    """Wait for a thread to end; return whether it has, or will at the end of the stop under way.

    A thread that waits for the very stop that joins it is not waited for: that would be a
    deadlock. Neither is any thread while the interpreter exits: daemon threads are frozen then,
    and never run again.

    Args:
        thread: a daemon thread.
        seconds: the longest wait; None for no limit.
    """
    ends = inf if seconds is None else SYSTEM_CLOCK.monotonic() + seconds
    # Frozen threads count as alive for good (CPython issues 87135 and 123940).
    while not sys.is_finalizing() and thread.is_alive():
        if waits_for_stop(thread):
            return True
        left = ends - SYSTEM_CLOCK.monotonic()
        if left <= 0:
            return False
        thread.join(min(left, POLL_SECONDS))
    return True
