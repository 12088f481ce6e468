"""A start or a stop that is under way, and who is a part of it."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle.part import Leave, Part, State
from metrics.lifecycle.stopping import Stop

T = TypeVar("T")


class Way(Protocol):
    """How hooks are called and others are waited for: `Blocking` or `Cooperative`."""

    in_loop: bool

    async def wait(self, change: Future[None], seconds: float | None) -> bool:
        """Wait for a change that somebody else makes; return whether it is over in time."""

    async def enter(
        self,
        part: Part,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[object, Leave]:
        """Start a part; return its value and what stops it."""

    async def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, whatever interrupts the caller."""

    def checkpoint(self) -> None:
        """Raise what has interrupted a start, if anything has."""

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""


class Change(Future[None]):
    """A start or a stop, of a container or of one part, done when it is over."""

    def __init__(self, name: str, phase: State, way: Way) -> None:
        super().__init__()
        self.name = name
        self.phase = phase
        self.before = State.NEW
        self.error: BaseException | None = None
        # The event loop that has to go on for the change to come to its end.
        self.loop = running_loop() if way.in_loop else None
        # The threads that wait for its end, that of who makes it included.
        self.waiting: set[int] = {threading.get_ident()}
        # The change that whoever makes this one is waiting for.
        self.waits_for: Change | None = None


# The changes from inside of which code is called. What would wait for one of them would wait for
# itself.
_inside: ContextVar[tuple[Change, ...]] = ContextVar("metrics-lifecycle", default=())

# Guards who waits for whom.
_waiting = threading.Lock()


@contextmanager
def inside(change: Change) -> Iterator[None]:
    """Call the block from inside a change."""
    token = _inside.set((*_inside.get(), change))
    try:
        yield
    finally:
        _inside.reset(token)


def is_inside(change: Change) -> bool:
    """Return whether the caller is called from inside a change."""
    return change in _inside.get()


async def ended(change: Change, way: Way, seconds: float | None = None) -> bool:
    """Wait for a change that somebody else makes; return whether it is over in time.

    Raises:
        LifecycleError: it would never be over, because it waits for the caller in turn.
    """
    mine = _inside.get()
    if change.loop is not None and not way.in_loop and change.loop is running_loop():
        raise LifecycleError(
            f"{change.name} is {change.phase} in this event loop, which must not be held up: await "
            "what starts or stops it first"
        )
    with _waiting:
        ahead: Change | None = change
        while ahead is not None:
            if ahead in mine:
                raise LifecycleError(
                    f"{mine[-1].name} is {mine[-1].phase} and waits for {change.name}, which waits "
                    f"for it; metrics.lifecycle.check() shows who needs whom"
                )
            ahead = ahead.waits_for
        for own in mine:
            own.waits_for = change
        change.waiting.add(threading.get_ident())
    try:
        return await way.wait(change, seconds)
    finally:
        for own in mine:
            own.waits_for = None


def begin_anew() -> None:
    """Free the lock that a forked process may have inherited in use."""
    global _waiting  # noqa: PLW0603 - a lock is replaced, not released by who does not hold it
    _waiting = threading.Lock()


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop that calls, if any does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
