"""How long a stop may still take, as the part that is being stopped sees it."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from typing import NamedTuple

from metrics.clock import SYSTEM_CLOCK

# How often a join looks whether the thread has come to wait for the one who joins it.
LOOK_SECONDS = 0.05


class Deadline(NamedTuple):
    """When a part has to be down, and the threads that wait until it is."""

    at: float
    waiting: Collection[int]


_deadline: ContextVar[Deadline | None] = ContextVar("metrics-deadline", default=None)


@contextmanager
def deadline(at: float, waiting: Collection[int]) -> Iterator[None]:
    """Give what is called in the block, in this context, until `at` on `SYSTEM_CLOCK`.

    Args:
        at: when the time is up; infinity for no limit.
        waiting: identifies the threads that wait for the end of the stop, as they come and go.
    """
    token = _deadline.set(Deadline(at, waiting))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float | None:
    """Return the seconds that the stop under way leaves to the caller; None without a limit.

    A part's hook asks for it when it stops, to wait no longer than there is time. Never below 0.
    """
    current = _deadline.get()
    if current is None or current.at - SYSTEM_CLOCK.monotonic() > threading.TIMEOUT_MAX:
        return None
    return max(current.at - SYSTEM_CLOCK.monotonic(), 0.0)


def join(thread: threading.Thread, seconds: float | None) -> bool:
    """Wait for a thread to end; return whether it has, or will when the stop under way has ended.

    A thread that waits for the very stop that joins it would wait for itself: it is left alone.
    """
    ends = inf if seconds is None else SYSTEM_CLOCK.monotonic() + seconds
    while thread.is_alive():
        current = _deadline.get()
        if current is not None and thread.ident in current.waiting:
            return True
        left = ends - SYSTEM_CLOCK.monotonic()
        if left <= 0:
            return False
        thread.join(min(left, LOOK_SECONDS))
    return True
