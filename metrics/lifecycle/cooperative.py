"""How parts are started and stopped in an event loop, which goes on meanwhile."""

import asyncio
import gc
import logging
from collections.abc import Coroutine
from concurrent.futures import Future
from functools import partial
from types import AsyncGeneratorType, FrameType
from typing import Any, NamedTuple, TypeVar, final

from dependency_injector import providers

from metrics.lifecycle.hook_thread import HookThread, thread_if_possible
from metrics.lifecycle.hooks import async_entered, entered, is_async, is_async_hook
from metrics.lifecycle.injection import Call, awaited, call_of, ready
from metrics.lifecycle.part import Leave, Part
from metrics.lifecycle.stopping import LEAST_SECONDS, Hung, Stop, frames_of

logger = logging.getLogger("metrics.lifecycle")

T = TypeVar("T")


@final
class Cooperative:
    """Runs async hooks in the event loop, and the others in a thread, so that the loop goes on."""

    in_loop = True

    def __init__(self) -> None:
        self._cancelled: asyncio.CancelledError | None = None

    async def wait(self, change: Future[None], seconds: float | None) -> bool:
        """Wait for a change that another task is making; return whether it is over in time."""
        await asyncio.wait({asyncio.wrap_future(change)}, timeout=seconds)
        return change.done()

    async def enter(
        self,
        part: Part,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[object, Leave]:
        """Start a part; return its value and what stops it.

        A hook that runs in a thread cannot be cancelled. When its task is, the part comes up first;
        `checkpoint` raises afterwards.
        """
        call = await awaited(call_of(provider, args, kwargs, asynchronous=part.asynchronous))
        part.in_loop = is_async_hook(call.hook)
        if part.in_loop:
            return await async_entered(call())

        thread = HookThread()
        begun = asyncio.wrap_future(thread.call(partial(attempt, call)))
        thread.end()
        try:
            attempted = await finished(begun)
        except asyncio.CancelledError as error:
            attempted = begun.result()
            self._cancelled = error
        if attempted.error is not None:
            raise attempted.error
        if attempted.entered is not None:
            return attempted.entered
        # It is async after all, which could not be seen from the hook.
        part.in_loop = True
        return await async_entered(attempted.made)

    async def complete(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end; a cancellation is raised then."""
        done = await finished(Shielded(outcome_of(coroutine)))
        if isinstance(done, Raised):
            raise done.error
        return done

    def checkpoint(self) -> None:
        """Raise the cancellation that came while a hook ran in a thread."""
        if self._cancelled is not None:
            raise self._cancelled

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""
        thread: HookThread | None = None
        for part in stop.turns():
            if part.in_loop:
                await leave_in_loop(stop, part)
                continue
            thread = thread or thread_if_possible()
            if thread is None:
                await leave_in_loop(stop, part)
            elif not await leave_in_thread(stop, part, thread):
                thread.end()
                thread = None
        if thread is not None:
            thread.end()
            thread.thread.join()


class Attempt(NamedTuple):
    """How a hook fared in a thread; a future cannot hold every exception."""

    entered: tuple[object, Leave] | None = None
    made: object = None
    error: BaseException | None = None


def attempt(call: Call) -> Attempt:
    """Call a hook and enter what it gives, unless that is async."""
    try:
        made = call()
        return Attempt(made=made) if is_async(made) else Attempt(entered(made))
    except BaseException as error:  # noqa: BLE001 - raised by who waits
        return Attempt(error=error)


async def leave_in_loop(stop: Stop, part: Part) -> None:
    """Stop an async part, or cancel it when its time is over."""

    async def leave() -> BaseException | None:
        try:
            with stop.turn():
                await ready(stop.leave(part))
        except BaseException as error:  # noqa: BLE001 - raised when all are down
            return error
        return None

    task = Shielded(leave())
    while not task.done():
        await asyncio.wait({task}, timeout=stop.turn_left)
        if not task.done() and stop.give_up(frames_in(task), partial(partial, leave_again, task)):
            asyncio.Task.cancel(task)
            await asyncio.wait({task}, timeout=LEAST_SECONDS)
            return
    stop.done(part, task.result())


async def leave_again(
    task: asyncio.Task[BaseException | None], leave: Leave, *exit_info: object
) -> None:
    """Stop an async part that was given up: wait for what hangs, or leave it again if it was cut.

    The part is left again, too, if the event loop of what hangs is gone.
    """
    if not task.done() and task.get_loop() is asyncio.get_running_loop():
        await asyncio.wait({task})
    if not task.done() or isinstance(task.result(), asyncio.CancelledError):
        await ready(leave(*exit_info))
        return
    late = task.result()
    if late is not None:
        raise late


async def leave_in_thread(stop: Stop, part: Part, thread: HookThread) -> bool:
    """Stop a part in a thread; return False if the thread hangs."""

    def leave() -> BaseException | None:
        failure = None
        try:
            with stop.turn():
                stop.leave(part)
        except BaseException as error:  # noqa: BLE001 - raised when all are down
            failure = error
        return failure

    call = thread.call(leave)
    frames = partial(frames_of, thread.thread)
    waiting = asyncio.wrap_future(call)
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=stop.turn_left)
        if not waiting.done() and stop.give_up(frames(), partial(Hung, call, frames, part)):
            call.add_done_callback(partial(report_late, part.name))
            return False
    stop.done(part, waiting.result())
    return True


def report_late(name: str, call: Future[object]) -> None:
    """Log how a hook ended that had been given up."""
    logger.warning("%s, which was given up, has ended: %s", name, call.result() or "well")


class Shielded(asyncio.Task[T]):
    """A task that nobody cancels, not even the event loop that ends."""

    def cancel(self, msg: Any = None) -> bool:  # noqa: ARG002 - as a task's is
        """Go on; what waits for this raises when it has ended."""
        return False


class Raised(NamedTuple):
    """What a coroutine raised: a task would let KeyboardInterrupt break out of its event loop."""

    error: BaseException


async def outcome_of(coroutine: Coroutine[Any, Any, T]) -> T | Raised:
    """Return what a coroutine returns, or what it raises."""
    try:
        return await coroutine
    except BaseException as error:  # noqa: BLE001 - raised by who waits
        return Raised(error)


async def finished(future: asyncio.Future[T]) -> T:
    """Return the result of a future; a cancellation is raised when it is done, and not before."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    result = future.result()
    if cancelled is not None and isinstance(result, Raised):
        raise cancelled from result.error
    if cancelled is not None:
        raise cancelled
    return result


def frames_in(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return where a task waits, outermost frame first: through everything that it awaits."""
    frames: list[FrameType] = []
    awaits: object = task.get_coro()
    while awaits is not None:
        for kind in ("cr", "ag", "gi"):
            frame = getattr(awaits, f"{kind}_frame", None)
            if frame is not None:
                frames.append(frame)
                awaits = getattr(awaits, f"{kind}_await", None) or getattr(
                    awaits, f"{kind}_yieldfrom", None
                )
                break
        else:
            # The step of an async generator says of which only to the garbage collector.
            held = gc.get_referents(awaits)
            awaits = next((item for item in held if isinstance(item, AsyncGeneratorType)), None)
    return frames
