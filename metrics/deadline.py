"""How long a stop may still take, as the part that is being stopped sees it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import NamedTuple


class Deadline(NamedTuple):
    """When a part has to be down, and the thread that waits for it."""

    at: float
    waiting: int


_deadline: ContextVar[Deadline | None] = ContextVar("metrics-deadline", default=None)


@contextmanager
def deadline(at: float, waiting: int) -> Iterator[None]:
    """Give what is called in the block, in this context, until `at` on the monotonic clock.

    Args:
        at: when the time is up; infinity for no limit.
        waiting: identifies the thread that asked for the stop and waits for its end.
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
    if current is None or current.at > threading.TIMEOUT_MAX:
        return None
    return max(current.at - monotonic(), 0.0)


def waits_for_this(thread: threading.Thread) -> bool:
    """Return whether `thread` asked for the stop under way: who joins it would wait for itself."""
    current = _deadline.get()
    return current is not None and current.waiting == thread.ident
