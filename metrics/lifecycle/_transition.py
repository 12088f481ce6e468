"""States of containers and resources, and the transitions between them."""

import asyncio
import sys
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from enum import StrEnum
from typing import Any, Protocol, final

from metrics.errors import LifecycleError

running_loop = asyncio._get_running_loop
"""Returns the event loop that runs the caller, or None."""

POLL_SECONDS = 0.25
"""Seconds between two checks that a transition under way still has code that runs it."""


class State(StrEnum):
    """State of a container, or of one of its resources."""

    NEW = "NEW"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


class Waiter(Protocol):
    """Driver, as far as waiting for a transition of another thread or task needs it."""

    in_loop: bool
    root: Coroutine[Any, Any, Any] | None

    async def wait(self, transition: "Transition", seconds: float | None) -> bool:
        """Wait until a transition is over; return False if the time is up before."""


# Guards the waiting threads of all transitions. Reentrant: a signal handler or finalizer that stops
# a container may interrupt its holder.
_waiting = threading.RLock()


@final
class Transition:
    """Start or stop under way, of a container or of one resource.

    Args:
        name: the container or the resource, as messages call it.
        phase: STARTING or STOPPING.
        driver: runs it.
    """

    __slots__ = (
        "_ended",
        "_future",
        "_root",
        "error",
        "loop",
        "name",
        "phase",
        "purpose",
        "thread",
        "waiting",
        "waits_for",
    )

    def __init__(self, name: str, phase: State, driver: Waiter) -> None:
        self.name = name
        # STOPPING as well while a failed start is rolled back; its purpose stays.
        self.phase = phase
        self.purpose = phase
        # The outermost coroutine of the call that makes the transition.
        self._root = driver.root
        self.error: BaseException | None = None
        # The thread and the event loop that have to go on for the transition to end.
        self.thread = threading.get_ident()
        self.loop = running_loop() if driver.in_loop else None
        # Identifiers of the threads that wait for the end, the acting thread included.
        self.waiting = {self.thread}
        # The transition that the acting thread or task is waiting for.
        self.waits_for: Transition | None = None
        self._ended = False
        # Made for the first thread that waits: most transitions have none.
        self._future: Future[None] | None = None

    @property
    def over(self) -> bool:
        """Whether the transition has ended, or was interrupted in its own code.

        KeyboardInterrupt may be raised between any two instructions, so that nothing marks the
        end: the coroutine that was to do so has no frame any more.
        """
        root = self._root
        return self._ended or (root is not None and getattr(root, "cr_frame", root) is None)

    def interrupted(self, driver: Waiter) -> bool:
        """Return whether the caller's own operation has begun it, and was interrupted in it."""
        return self._root is not None and self._root is driver.root

    @property
    def future(self) -> Future[None]:
        """Done when the transition has ended."""
        with _waiting:
            if self._future is None:
                self._future = Future()
                if self._ended:
                    self._future.set_result(None)
            return self._future

    def end(self, error: BaseException | None = None) -> None:
        """Wake the waiting threads and tasks; `error` is raised in them as well."""
        with _waiting:
            self.error = error
            self._ended = True
            future = self._future
        if future is not None and not future.done():
            future.set_result(None)


# Transitions whose hooks are on this call stack; waiting for one of them would deadlock.
INSIDE: ContextVar[tuple[Transition, ...]] = ContextVar("metrics-lifecycle", default=())


def is_inside(transition: Transition) -> bool:
    """Return whether the caller runs in a hook of a transition."""
    return transition in INSIDE.get()


async def wait_over(transition: Transition, driver: Waiter, seconds: float | None = None) -> bool:
    """Wait for the end of a transition that another thread or task makes.

    Returns:
        False if `seconds` are up before it is over.

    Raises:
        LifecycleError: it could never end, because it waits for the caller in turn.
    """
    mine = INSIDE.get()
    if transition.interrupted(driver):
        transition.end()
        return True
    if transition.loop is not None and not driver.in_loop and transition.loop is running_loop():
        raise LifecycleError(
            f"{transition.name} is {transition.phase} in this event loop, which must not be "
            "blocked: await its start or stop first"
        )
    if transition.loop is None and transition.thread == threading.get_ident():
        raise LifecycleError(
            f"{transition.name} is {transition.phase} in this very thread, which a signal handler "
            "or finalizer has interrupted: let it return, and try again"
        )
    with _waiting:
        ahead: Transition | None = transition
        while ahead is not None:
            if ahead in mine:
                raise LifecycleError(
                    f"{mine[-1].name} is {mine[-1].phase} and waits for {transition.name}, which "
                    "waits for it; metrics.lifecycle.check() shows their dependencies"
                )
            ahead = ahead.waits_for
        for own in mine:
            own.waits_for = transition
        transition.waiting.add(threading.get_ident())
    try:
        return await driver.wait(transition, seconds)
    finally:
        for own in mine:
            own.waits_for = None


def wait_blocking(transition: Transition, seconds: float | None) -> bool:
    """Block until a transition is over; return False if the time is up before."""
    waited = 0.0
    while not transition.over:
        left = POLL_SECONDS if seconds is None else min(seconds - waited, POLL_SECONDS)
        if left <= 0.0 or sys.is_finalizing():
            return False
        wait_done(transition.future, left)
        waited += left
    return True


def wait_done(future: Future[Any], seconds: float | None) -> bool:
    """Block until a future is done; return False if the time is up before."""
    try:
        future.exception(seconds)
    except TimeoutError:
        return future.done()
    except CancelledError:
        return True
    return True


def renew_locks() -> None:
    """Replace the lock that a forked process may have inherited in use."""
    global _waiting  # noqa: PLW0603 - a lock is replaced: its holder does not exist here
    _waiting = threading.RLock()
