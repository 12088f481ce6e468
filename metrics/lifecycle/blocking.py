"""How parts are started and stopped when nobody awaits it: one after another, blocking."""

import faulthandler
import logging
import sys
from collections.abc import Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import Any, TypeVar, final

from dependency_injector import providers

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError
from metrics.lifecycle.hook_thread import HookThread, thread_if_possible
from metrics.lifecycle.hooks import entered, is_async
from metrics.lifecycle.injection import call_of
from metrics.lifecycle.part import Leave, Part
from metrics.lifecycle.stopping import LEAST_SECONDS, Hung, Stop, frames_of

logger = logging.getLogger("metrics.lifecycle")

T = TypeVar("T")

LOOK_SECONDS = 0.25


@final
class Blocking:
    """Starts in the calling thread; stops in a thread of its own, unless there is no time limit.

    Its coroutines never wait for an event loop: `drive` runs them.
    """

    in_loop = False

    async def wait(self, change: Future[None], seconds: float | None) -> bool:
        """Wait for a change that another thread is making; return whether it is over in time."""
        return over(change, seconds)

    async def enter(
        self,
        part: Part,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[object, Leave]:
        """Start a part; return its value and what stops it."""
        made = call_of(provider, args, kwargs)()
        if is_async(made):
            if isinstance(made, Coroutine):
                made.close()
            raise LifecycleError(
                f"{part.name!r} turns out to be async, which cannot be seen from its hook: declare "
                "it with an async function, and await what starts it"
            )
        return entered(made)

    async def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; what waits in it takes note of interruptions by itself."""
        return await coroutine

    def checkpoint(self) -> None:
        """Do nothing: what interrupts this thread is raised at once."""

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""
        while stop.pending:
            try:
                thread = thread_if_possible() if stop.ends < inf else None
                if thread is not None:
                    watch(stop, thread)
                elif stop.ends < inf:
                    with last_resort(stop.ends - SYSTEM_CLOCK.monotonic()):
                        stop_all(stop)
                else:
                    stop_all(stop)
            except BaseException as interrupt:  # noqa: BLE001 - raised when all are down
                stop.resume(interrupt)


def watch(stop: Stop, thread: HookThread) -> None:
    """Have a thread stop parts, until all are down or it hangs in one."""
    call = thread.call(partial(stop_all, stop))
    thread.end()
    frames = partial(frames_of, thread.thread)
    while True:
        try:
            # A signal that comes just before the wait is seen when the wait is over.
            if over(call, min(stop.turn_left, LOOK_SECONDS)):
                thread.thread.join()
                return
            part = stop.current
            if part is not None and stop.give_up(frames(), partial(Hung, call, frames, part)):
                return
        except BaseException as interrupt:  # noqa: BLE001 - raised when all are down
            stop.resume(interrupt)


@contextmanager
def last_resort(seconds: float) -> Iterator[None]:
    """End the process, and show where it hangs, if the block takes longer.

    For the exit of the interpreter, when some versions of it start no more threads.
    """
    if sys.__stderr__ is not None:
        # The file that is behind it, whatever has taken its place.
        limit = max(seconds, LEAST_SECONDS)
        faulthandler.dump_traceback_later(limit, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for no event loop."""
    try:
        coroutine.send(None)
    except StopIteration as returned:
        value: T = returned.value
        return value
    coroutine.close()
    raise LifecycleError(f"{coroutine!r} waits for an event loop, and there is none")


def over(change: Future[Any], seconds: float | None) -> bool:
    """Wait for a future; return whether it is done in time."""
    try:
        change.exception(seconds)
    except TimeoutError:
        return change.done()
    except CancelledError:
        return True
    return True


def stop_all(stop: Stop) -> BaseException | None:
    """Stop parts until all are down, or the one in hand was given up; return its late error."""
    for part in stop.turns():
        failure = None
        try:
            with stop.turn():
                stop.leave(part)
        except BaseException as error:  # noqa: BLE001 - raised when all are down
            failure = error
        if not stop.done(part, failure):
            logger.warning("%s, which was given up, has ended: %s", part.name, failure or "well")
            return failure
    return None
