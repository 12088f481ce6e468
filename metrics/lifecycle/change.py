"""A start or a stop that is under way, and who is a part of it."""

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from dependency_injector import providers

from metrics.lifecycle.part import Leave, Part, State
from metrics.lifecycle.stopping import Stop


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

    def checkpoint(self) -> None:
        """Raise what has interrupted a start, if anything has."""

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""


class Change(Future[None]):
    """A start or a stop of a container, done when it is over."""

    def __init__(self, phase: State, before: State, way: Way) -> None:
        super().__init__()
        self.phase = phase
        self.before = before
        self.way = way
        self.error: BaseException | None = None


# The changes, and the parts that are starting, from inside of which code is called. What would wait
# for one of them would wait for itself.
_inside: ContextVar[tuple[Change | Part, ...]] = ContextVar("metrics-lifecycle", default=())


@contextmanager
def inside(what: Change | Part) -> Iterator[None]:
    """Call the block from inside a change, or from the start of a part."""
    token = _inside.set((*_inside.get(), what))
    try:
        yield
    finally:
        _inside.reset(token)


def is_inside(what: Change | Part) -> bool:
    """Return whether the caller is called from inside a change, or from the start of a part."""
    return what in _inside.get()
