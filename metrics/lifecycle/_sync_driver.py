"""Starts and stops without an event loop: one hook after another, in threads where time is limited.

Hooks start in the calling thread, or in a thread `metrics-lifecycle` if the start has a time limit.
They stop in such a thread, so that one that hangs can be abandoned; without a time limit, in the
calling thread.
"""

import concurrent.futures
import faulthandler
import logging
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Future
from functools import partial
from math import inf
from types import FrameType
from typing import Any, NamedTuple, NoReturn, TypeVar, cast, final

from dependency_injector import providers

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError, StartTimeoutError
from metrics.lifecycle import _shutdown as timing
from metrics.lifecycle import _signals
from metrics.lifecycle._hooks import Call, Scope, SyncHook, call_of, calls_hooks, is_async
from metrics.lifecycle._record import ResourceRecord, log_safely, name_and_hook
from metrics.lifecycle._shutdown import Shutdown, Slot, frames_of, stack_of
from metrics.lifecycle._threads import Delivery, HookThread, SlowStartWatch, thread_if_possible
from metrics.lifecycle._transition import POLL_SECONDS, Transition, wait_blocking, wait_done

logger = logging.getLogger("metrics.lifecycle")

T = TypeVar("T")

monotonic = SYSTEM_CLOCK.monotonic


@final
class SyncDriver:
    """Driver that runs one hook after another. Its coroutines never suspend: `drive` runs them."""

    in_loop = False

    def __init__(self, container: str) -> None:
        self.root: Coroutine[Any, Any, Any] | None = None
        self._container = container
        # Made for the first hook that is entered.
        self.watch: SlowStartWatch | None = None

    async def wait(self, transition: Transition, seconds: float | None) -> bool:
        """Wait until a transition of another thread is over; return False if it is not in time."""
        return wait_in_thread(transition, seconds)

    async def enter(
        self,
        record: ResourceRecord,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scope: Scope,
    ) -> object:
        """Enter the hook of a resource; return its value."""
        call = call_of(provider, args, kwargs)
        if scope.ends < inf:
            return enter_in_thread(record, call, scope)
        if self.watch is None:
            self.watch = SlowStartWatch(self._container)
        with self.watch.watching(record):
            return enter_here(record, call, scope)

    async def complete(self, run: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function to its end; `exit_all` notes interruptions by itself."""
        return await run(*args)

    def checkpoint(self) -> None:
        """Raise a signal that was recorded."""
        _signals.checkpoint()

    async def exit_all(self, shutdown: Shutdown) -> None:
        """Exit the hooks of a stop until all have stopped, failed or were abandoned."""
        while shutdown.pending or shutdown.open:
            try:
                if shutdown.ends == inf:
                    exit_slots(shutdown, shutdown.slots())
                elif not watch(shutdown):
                    exit_without_threads(shutdown)
            except BaseException as interrupt:
                if _signals.broke_through(interrupt):
                    raise
                shutdown.interrupts.append(interrupt)
                for slot in list(shutdown.open):
                    shutdown.put_back(slot)

    async def finish(self, delivery: Delivery) -> None:
        """Wait until events are delivered, as long as there is time."""
        if delivery.last is not None:
            wait_done(delivery.last, delivery.left)
        delivery.end()


@calls_hooks
def wait_in_thread(transition: Transition, seconds: float | None) -> bool:
    """Wait for a transition of another thread; a signal may end the wait at any time."""
    return wait_blocking(transition, seconds)


def enter_here(record: ResourceRecord, call: Call, scope: Scope) -> object:
    """Enter the hook of a resource in the calling thread; return its value."""
    hook = SyncHook(call)
    made = hook.call(scope)
    if is_async(made):
        refuse_async(record, made)
    # Before it is entered: an interruption may come between any two instructions.
    record.holds(hook)
    return hook.enter(made, scope)


def refuse_async(record: ResourceRecord, made: object) -> NoReturn:
    """Raise LifecycleError for the async result of a hook that looked sync."""
    if isinstance(made, Coroutine):
        made.close()
    raise LifecycleError(
        f"{name_and_hook(record)} turns out to be async, which its hook does not show: declare it "
        "with an async function, and await its start"
    )


class Attempt(NamedTuple):
    """Outcome of a hook's start in a thread. A future could not hold every exception."""

    hook: SyncHook
    made: object
    value: object = None
    error: BaseException | None = None


@final
class ThreadedStart:
    """Start of a sync hook in a thread, which can be abandoned.

    A hook that starts after it was abandoned is exited by the thread itself.

    Args:
        record: the resource.
        call: calls its hook.
        scope: its circumstances.
    """

    def __init__(self, record: ResourceRecord, call: Call, scope: Scope) -> None:
        self._record = record
        self._hook = SyncHook(call)
        self._scope = scope
        self._thread: HookThread | None = None
        self._lock = threading.Lock()
        self._abandoned = False
        self._ended = False
        record.holds(self._hook)

    def begin(self) -> Future[Attempt]:
        """Start the thread; return the future outcome. An interruption may come at any time.

        Raises:
            RuntimeError: no thread can be started.
        """
        thread = self._thread = HookThread()
        outcome = thread.call(self._attempt)
        thread.end()
        return outcome

    def _attempt(self) -> Attempt:
        hook, made = self._hook, None
        try:
            made = hook.call(self._scope)
            attempt = Attempt(hook, made)
            if not is_async(made):
                attempt = Attempt(hook, made, hook.enter(made, self._scope))
        except BaseException as error:  # noqa: BLE001 - raised by the waiting thread
            attempt = Attempt(hook, made, error=error)
        with self._lock:
            self._ended = True
            if not self._abandoned:
                return attempt
        self._exit_late(attempt)
        return attempt

    def _exit_late(self, attempt: Attempt) -> None:
        error = attempt.error
        try:
            if error is None:
                self._hook.exit(None, Scope((), inf))
        except BaseException as failure:  # noqa: BLE001 - nobody waits for it
            error = failure
        log_safely(
            logger.warning,
            "the start of %s, which was abandoned, has ended and was undone%s",
            name_and_hook(self._record),
            "" if error is None else f": {error!r}",
        )

    def abandon(self) -> list[FrameType] | None:
        """Leave the hook to its thread; return where it hangs, or None if its start has ended."""
        with self._lock:
            if self._ended or self._thread is None:
                return None
            frames = frames_of(self._thread.thread)
            self._abandoned = True
        self._record.abandoned()
        return frames


def enter_in_thread(record: ResourceRecord, call: Call, scope: Scope) -> object:
    """Enter the hook of a resource in a thread; return its value.

    Raises:
        StartTimeoutError: it did not start in time.
        RuntimeError: no thread can be started.
    """
    start = ThreadedStart(record, call, scope)
    try:
        outcome = start.begin()
        done = wait_entered(outcome, scope.ends)
    except BaseException:
        if start.abandon() is not None:
            log_safely(
                logger.warning,
                "the start of %s was interrupted and abandoned; its hook goes on in its thread",
                name_and_hook(record),
            )
        raise
    if not done and (frames := start.abandon()) is not None:
        raise start_timeout(record, frames)
    attempt = outcome.result()
    if attempt.error is not None:
        raise attempt.error
    if is_async(attempt.made):
        refuse_async(record, attempt.made)
    return attempt.value


@calls_hooks
def wait_entered(outcome: Future[Attempt], ends: float) -> bool:
    """Wait for the start of a hook; a signal may end the wait at any time."""
    while not outcome.done() and (left := ends - monotonic()) > 0.0:
        # A signal that arrives just before the wait is seen when the wait is over.
        wait_done(outcome, min(left, POLL_SECONDS))
    return outcome.done()


def start_timeout(record: ResourceRecord, frames: Iterable[FrameType]) -> StartTimeoutError:
    """Return the error of a hook that did not start in time."""
    return StartTimeoutError(
        f"{record.name!r} did not start within the time limit and was abandoned; it hangs at\n"
        f"{stack_of(frames)}"
    )


def exit_slot(shutdown: Shutdown, slot: Slot) -> BaseException | None:
    """Exit the hook of one resource; return its error if it was abandoned meanwhile."""
    hook = cast("SyncHook | None", slot.record.finalizer)
    failure = None
    try:
        if hook is not None:
            hook.exit(shutdown.error, slot.scope)
    except BaseException as error:
        if hook is not None and hook.entered and not isinstance(error, Exception):
            raise  # it was interrupted before it was exited, and will be exited again
        failure = error
    if shutdown.done(slot, failure):
        return None
    log_safely(
        logger.warning,
        "%s, which was abandoned, has ended: %s",
        name_and_hook(slot.record),
        failure or "stopped",
    )
    return failure


def exit_slots(shutdown: Shutdown, slots: Iterable[Slot]) -> BaseException | None:
    """Exit hooks until none is left, or the one in hand was abandoned; return its late error."""
    for slot in slots:
        failure = exit_slot(shutdown, slot)
        if slot.abandoned:
            return failure
    return None


def watch(shutdown: Shutdown) -> bool:
    """Have a thread exit hooks, until all are exited, one hangs, or the time is up.

    Returns:
        False if no thread can be started.
    """
    # It has nothing to do yet: an interruption of its start leaves no hook to a lost thread.
    thread = thread_if_possible()
    if thread is None:
        return False
    call = thread.call(partial(exit_slots, shutdown, shutdown.slots()))
    thread.end()
    while True:
        try:
            slot = next(iter(shutdown.open), None)
            # A signal that arrives just before the wait is seen when the wait is over.
            wait = POLL_SECONDS if slot is None else min(slot.ends - monotonic(), POLL_SECONDS)
            concurrent.futures.wait((call,), max(wait, 0.0))
            if call.done():
                thread.thread.join()
                break
            if slot is not None and slot.left <= 0.0 and abandon(shutdown, slot, call, thread):
                break
            if not thread.thread.is_alive() and not call.done():
                break  # an exception has ended it before it took the call
        except BaseException as interrupt:
            if _signals.broke_through(interrupt):
                leave(shutdown, {thread.thread: call})
                raise
            shutdown.interrupts.append(interrupt)
    settle(shutdown, call, thread)
    if shutdown.pending and shutdown.ends <= monotonic():
        exit_late(shutdown)
    return True


def abandon(
    shutdown: Shutdown, slot: Slot, call: "Future[BaseException | None]", thread: "HookThread"
) -> bool:
    """Abandon the hook that a thread hangs in; return False if it has ended meanwhile."""
    hook = cast("SyncHook | None", slot.record.finalizer)
    if hook is None or not shutdown.abandon(slot, frames_of(thread.thread)):
        return False
    hook.abandon(call, thread.thread)
    return True


def leave(
    shutdown: Shutdown, calls: dict[threading.Thread, "Future[BaseException | None]"]
) -> None:
    """Leave hooks to the threads that they run in: the next stop waits for their ends."""
    for slot in list(shutdown.open):
        hook, call = slot.record.finalizer, calls.get(slot.thread)
        if isinstance(hook, SyncHook) and call is not None:
            hook.abandon(call, slot.thread)


def settle(shutdown: Shutdown, call: "Future[BaseException | None]", thread: HookThread) -> None:
    """Stop the resource of a thread again that ended with an exception."""
    ended = call.exception() is not None if call.done() else not thread.thread.is_alive()
    for slot in list(shutdown.open) if ended else ():
        if slot.thread is thread.thread:
            shutdown.put_back(slot)


def exit_late(shutdown: Shutdown) -> None:
    """Exit the hooks for which there is no time left, concurrently, within the extra time.

    A hook that takes longer than the minimum is set aside: another thread goes on with the next,
    and it is abandoned if it has not ended when the extra time is over.
    """
    calls: dict[HookThread, Future[BaseException | None]] = {}
    try:
        work_late(shutdown, calls)
    except BaseException as interrupt:
        if _signals.broke_through(interrupt):
            leave(shutdown, {thread.thread: call for thread, call in calls.items()})
        raise
    by_thread = {thread.thread: (thread, call) for thread, call in calls.items()}
    for slot in list(shutdown.open):
        if slot.thread in by_thread:
            thread, call = by_thread[slot.thread]
            abandon(shutdown, slot, call, thread)
    shutdown.abandon_pending()
    for thread, call in calls.items():
        if call.done():
            thread.thread.join()


def work_late(shutdown: Shutdown, calls: dict[HookThread, "Future[BaseException | None]"]) -> None:
    """Have threads exit hooks until all are exited or the extra time is over."""
    ends = monotonic() + timing.EXTRA_SECONDS
    workers = shutdown.workers
    while (shutdown.pending or shutdown.open) and monotonic() < ends:
        stuck = {slot.thread for slot in list(shutdown.open) if slot.left <= 0.0}
        free = [
            thread
            for thread, call in calls.items()
            if not call.done() and thread.thread.is_alive() and thread.thread not in stuck
        ]
        for _ in range(min(workers, len(shutdown.pending)) - len(free)):
            thread = thread_if_possible()
            if thread is None:
                return
            calls[thread] = thread.call(partial(exit_slots, shutdown, shutdown.late_slots()))
            thread.end()
        concurrent.futures.wait(calls.values(), timeout=timing.LEAST_SECONDS / 2)
        for thread, call in calls.items():
            settle(shutdown, call, thread)


def exit_without_threads(shutdown: Shutdown) -> None:
    """Exit hooks in the calling thread, because the interpreter exits and starts no more threads.

    A hook that hangs ends the process when the time is up, and its stack is printed.
    """
    seconds = max(shutdown.ends - monotonic(), timing.LEAST_SECONDS)
    if sys.__stderr__ is not None:
        # The file behind it, whatever has taken its place.
        faulthandler.dump_traceback_later(seconds, exit=True, file=sys.__stderr__)
    try:
        exit_slots(shutdown, shutdown.late_slots())
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
