"""How parts are started and stopped in an event loop, which goes on meanwhile."""

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar, final

from dependency_injector import providers

from metrics.lifecycle.blocking import wait_again
from metrics.lifecycle.hook_thread import HookThread
from metrics.lifecycle.hooks import async_entered, entered, is_async, is_async_hook
from metrics.lifecycle.injection import awaited, call_of, ready
from metrics.lifecycle.part import Leave, Part
from metrics.lifecycle.stopping import LEAST_SECONDS, Stop, frames_of

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

        def attempt() -> tuple[object, Leave] | None:
            made = call()
            if is_async(made):
                found.append(made)
                return None
            return entered(made)

        found: list[object] = []
        thread = HookThread()
        begun = asyncio.wrap_future(thread.call(attempt))
        thread.end()
        try:
            value = await finished(begun)
        except asyncio.CancelledError as error:
            value = begun.result()
            self._cancelled = error
        if value is not None:
            return value
        # It is async after all, which could not be seen from the hook.
        part.in_loop = True
        return await async_entered(found[0])

    def checkpoint(self) -> None:
        """Raise the cancellation that came while a hook ran in a thread."""
        if self._cancelled is not None:
            raise self._cancelled

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up; no cancellation cuts in."""
        await finished(asyncio.ensure_future(self._take_down(stop)))

    async def _take_down(self, stop: Stop) -> None:
        thread: HookThread | None = None
        for part in stop.turns():
            if part.in_loop:
                await leave_in_loop(stop, part)
                continue
            thread = thread or HookThread()
            if not await leave_in_thread(stop, part, thread):
                thread.end()
                thread = None
        if thread is not None:
            thread.end()
            thread.thread.join()


async def leave_in_loop(stop: Stop, part: Part) -> None:
    """Stop an async part, or cancel it when its time is over."""

    async def leave() -> BaseException | None:
        try:
            with stop.turn():
                await ready(stop.leave(part))
        except BaseException as error:  # noqa: BLE001 - raised when all are down
            return error
        return None

    before = part.leave
    task = asyncio.ensure_future(leave())
    while not task.done():
        await settle(task, stop.turn_left)
        if not task.done() and stop.give_up(task.get_stack(), partial(leave_again, task, before)):
            task.cancel()
            await settle(task, LEAST_SECONDS)
            return
    stop.done(part, task.result())


async def leave_again(
    task: asyncio.Task[BaseException | None], leave: Leave | None, *exit_info: object
) -> None:
    """Stop an async part that was given up: wait for what hangs, or else leave it once more."""
    if not task.done() and task.get_loop() is asyncio.get_running_loop():
        await asyncio.wait({task})
    if leave is not None:
        await ready(leave(*exit_info))


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
    waiting = asyncio.wrap_future(call)
    while not waiting.done():
        await settle(waiting, stop.turn_left)
        if not waiting.done() and stop.give_up(frames_of(thread.thread), partial(wait_again, call)):
            call.add_done_callback(partial(report_late, part.name))
            return False
    stop.done(part, waiting.result())
    return True


def report_late(name: str, call: Future[object]) -> None:
    """Log how a hook ended that had been given up."""
    logger.warning("%s, which was given up, has ended: %r", name, call.result())


async def settle(future: asyncio.Future[Any], seconds: float) -> None:
    """Wait for a future, but no longer than until it is done, the time is up, or a cancellation."""
    with suppress(asyncio.CancelledError):
        await asyncio.wait({future}, timeout=seconds)


async def finished(future: asyncio.Future[T]) -> T:
    """Return the result of a future; a cancellation is raised when it is done, and not before."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()
