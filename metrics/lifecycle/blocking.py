"""How parts are started and stopped when nobody awaits it: one after another, blocking."""

import logging
from collections.abc import Coroutine
from concurrent.futures import CancelledError, Future
from functools import partial
from math import inf
from typing import Any, TypeVar, final

from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle.hook_thread import HookThread
from metrics.lifecycle.hooks import entered, is_async
from metrics.lifecycle.injection import call_of
from metrics.lifecycle.part import Leave, Part
from metrics.lifecycle.stopping import Stop, frames_of

logger = logging.getLogger("metrics.lifecycle")

T = TypeVar("T")


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

    def checkpoint(self) -> None:
        """Do nothing: what interrupts this thread is raised at once."""

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""
        while stop.pending:
            try:
                thread = HookThread() if stop.ends < inf else None
            except RuntimeError:
                thread = None  # the interpreter ends and starts no more threads
            if thread is None:
                stop_all(stop)
                continue
            call = thread.call(partial(stop_all, stop))
            thread.end()
            while True:
                try:
                    if over(call, stop.turn_left):
                        thread.thread.join()
                        break
                    if stop.give_up(frames_of(thread.thread), partial(wait_again, call)):
                        break
                except BaseException as error:  # noqa: BLE001 - raised when all are down
                    stop.interrupts.append(error)


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
            logger.warning("%s, which was given up, has ended: %r", part.name, failure)
            return failure
    return None


def wait_again(call: Future[Any], *_: object) -> None:
    """Stop a part that was given up: wait for its hook, and raise what that raised."""
    late = call.result()
    if isinstance(late, BaseException):
        raise late
