"""Starts and stops in an event loop, which goes on meanwhile.

Async hooks run in the event loop, each in a task of its own; sync ones in threads
`metrics-lifecycle`.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from math import inf
from typing import Any, TypeVar, cast, final

from dependency_injector import providers

from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle import _shutdown as timing
from metrics.lifecycle import _signals, _threads
from metrics.lifecycle._async_hook import AsyncHook, EnterTimeoutError, Raised
from metrics.lifecycle._hooks import (
    Call,
    Scope,
    SyncHook,
    await_arguments,
    call_of,
    is_async,
    is_async_hook,
)
from metrics.lifecycle._record import ResourceRecord
from metrics.lifecycle._shutdown import Shutdown, Slot
from metrics.lifecycle._sync_driver import (
    Attempt,
    ThreadedStart,
    abandon,
    exit_slot,
    start_timeout,
)
from metrics.lifecycle._threads import Delivery, HookThread, thread_if_possible, warn_slow
from metrics.lifecycle._transition import POLL_SECONDS, Transition

T = TypeVar("T")


@final
class AsyncDriver:
    """Driver that runs async hooks in the event loop, and sync ones in threads."""

    in_loop = True

    def __init__(self, container: str) -> None:
        self.root: Coroutine[Any, Any, Any] | None = None
        self._container = container
        self._cancelled: asyncio.CancelledError | None = None

    async def wait(self, transition: Transition, seconds: float | None) -> bool:
        """Wait until a transition is over; return False if it is not in time."""
        ends = timing.ends_in(seconds)
        while not transition.over:
            left = min(ends - SYSTEM_CLOCK.monotonic(), POLL_SECONDS)
            if left <= 0.0:
                return False
            await asyncio.wait({asyncio.wrap_future(transition.future)}, timeout=left)
        return True

    async def enter(
        self,
        record: ResourceRecord,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scope: Scope,
    ) -> object:
        """Enter the hook of a resource; return its value.

        A sync hook, in its thread, cannot be cancelled. When its task is, the resource starts
        first; `checkpoint` raises afterwards.
        """
        call = await await_arguments(
            call_of(provider, args, kwargs, asynchronous=record.asynchronous)
        )
        slow = asyncio.get_running_loop().call_later(
            _threads.SLOW_SECONDS, warn_slow, record, self._container
        )
        if scope.ends < inf:
            slow.cancel()
        try:
            record.in_loop = is_async_hook(call.hook)
            if record.in_loop:
                return await enter_in_loop(record, call, scope)
            attempt = await self._enter_in_thread(record, call, scope)
            if attempt.error is not None:
                raise attempt.error
            if not is_async(attempt.made):
                return attempt.value
            # It is async after all, which its hook does not show.
            record.in_loop = True
            made = Call(lambda: attempt.made, [], {})
            return await enter_in_loop(record, made, scope)
        finally:
            slow.cancel()

    async def _enter_in_thread(self, record: ResourceRecord, call: Call, scope: Scope) -> Attempt:
        start = ThreadedStart(record, call, scope)
        waiting = asyncio.wrap_future(start.begin())
        while not waiting.done():
            try:
                await asyncio.wait({waiting}, timeout=timing.seconds_to(scope.ends))
            except asyncio.CancelledError as error:
                if _signals.broke_through() and start.abandon() is not None:
                    raise
                self._cancelled = error
            ended = timing.seconds_to(scope.ends) == 0.0 and not waiting.done()
            if ended and (frames := start.abandon()) is not None:
                raise start_timeout(record, frames)
        attempt: Attempt = waiting.result()
        return attempt

    async def complete(self, run: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function to its end; a cancellation is raised then."""
        done = await wait_finished(ShieldedTask(outcome_of(run, *args)))
        if isinstance(done, Raised):
            raise done.error
        return done

    def checkpoint(self) -> None:
        """Raise the cancellation that came while a hook ran in a thread, or a recorded signal."""
        if self._cancelled is not None:
            raise self._cancelled
        _signals.checkpoint()

    async def exit_all(self, shutdown: Shutdown) -> None:
        """Exit the hooks of a stop until all have stopped, failed or were abandoned."""
        thread: HookThread | None = None
        for slot in shutdown.slots():
            thread = await exit_one(shutdown, slot, thread)
        if thread is not None:
            thread.end()
            thread.thread.join()
        if shutdown.pending:
            # One after another in each worker; each hook has its minimum.
            workers = range(shutdown.workers)
            await asyncio.wait([ShieldedTask(exit_late(shutdown)) for _ in workers])
            shutdown.abandon_pending()

    async def finish(self, delivery: Delivery) -> None:
        """Wait until events are delivered, as long as there is time."""
        if delivery.last is not None:
            await asyncio.wait({asyncio.wrap_future(delivery.last)}, timeout=delivery.left)
        delivery.end()


async def exit_late(shutdown: Shutdown) -> None:
    """Exit hooks for which there is no time left, each in its minimum, within the extra time."""
    ends = SYSTEM_CLOCK.monotonic() + timing.EXTRA_SECONDS
    thread: HookThread | None = None
    while SYSTEM_CLOCK.monotonic() < ends:
        slot = shutdown.take(late=True)
        if slot is None:
            break
        thread = await exit_one(shutdown, slot, thread)
    if thread is not None:
        thread.end()
        thread.thread.join()


async def exit_one(shutdown: Shutdown, slot: Slot, thread: HookThread | None) -> HookThread | None:
    """Exit the hook of one resource; return the thread for the next sync hook."""
    if slot.record.in_loop:
        await exit_in_loop(shutdown, slot)
        return thread
    thread = thread or thread_if_possible()
    if thread is None:
        exit_slot(shutdown, slot)
        return None
    hangs = True
    try:
        hangs = not await exit_in_thread(shutdown, slot, thread)
    finally:
        if hangs:
            thread.end()
    return None if hangs else thread


async def exit_in_loop(shutdown: Shutdown, slot: Slot) -> None:
    """Exit an async hook, or cancel it when its time is over."""
    hook = cast("AsyncHook", slot.record.finalizer)
    task = ShieldedTask(outcome_of(hook.exit, shutdown.error, slot.scope))
    while not task.done():
        await asyncio.wait({task}, timeout=slot.left)
        ended = not task.done() and slot.left <= 0.0
        if ended and shutdown.abandon(slot, hook.frames()):
            task.shielded = False
            hook.abandon()
            await asyncio.wait({task}, timeout=timing.LEAST_SECONDS)
            return
    outcome = task.result()
    shutdown.done(slot, outcome.error if isinstance(outcome, Raised) else None)


async def exit_in_thread(shutdown: Shutdown, slot: Slot, thread: HookThread) -> bool:
    """Exit a sync hook in a thread; return False if the thread hangs."""
    call = thread.call(partial(exit_here, shutdown, slot))
    waiting = asyncio.wrap_future(call)
    while not waiting.done():
        try:
            await asyncio.wait({waiting}, timeout=slot.left)
        except asyncio.CancelledError:
            # A second signal has ended the block: the next stop waits for the hook.
            hook = slot.record.finalizer
            if isinstance(hook, SyncHook):
                hook.abandon(call, thread.thread)
            raise
        ended = not waiting.done() and slot.left <= 0.0
        if ended and abandon(shutdown, slot, call, thread):
            return False
    if waiting.exception() is not None:
        shutdown.done(slot, waiting.exception())
    return True


def exit_here(shutdown: Shutdown, slot: Slot) -> BaseException | None:
    """Exit the hook of one resource in a thread; return its error if it was abandoned meanwhile."""
    slot.thread = threading.current_thread()
    return exit_slot(shutdown, slot)


async def enter_in_loop(record: ResourceRecord, call: Call, scope: Scope) -> object:
    """Enter an async hook in a task of its own; return the value of the resource.

    Raises:
        StartTimeoutError: it did not start in time.
    """
    hook = AsyncHook(record.name, call)
    record.holds(hook)
    try:
        return await hook.enter(scope)
    except EnterTimeoutError as late:
        raise start_timeout(record, late.frames) from None


class ShieldedTask(asyncio.Task[T]):
    """Task that nothing cancels, not even the end of its event loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self.shielded = True
        super().__init__(coroutine, loop=asyncio.get_running_loop())

    def cancel(self, msg: Any = None) -> bool:
        """Go on; the waiting task raises the cancellation when this has ended."""
        if self.shielded and not _signals.broke_through():
            return False
        return super().cancel(msg)


async def outcome_of(run: Callable[..., Awaitable[T]], *args: Any) -> T | Raised:
    """Return the result of an async function, or its exception."""
    try:
        return await run(*args)
    except BaseException as error:
        if _signals.broke_through(error):
            raise
        return Raised(error)


async def wait_finished(future: asyncio.Future[T]) -> T:
    """Return the result of a future; a cancellation is raised when it is done, and not before."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            if _signals.broke_through():
                raise
            cancelled = error
    result = future.result()
    if cancelled is not None and isinstance(result, Raised):
        raise cancelled from result.error
    if cancelled is not None:
        raise cancelled
    return result
