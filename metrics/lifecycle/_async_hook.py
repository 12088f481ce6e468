"""Async hooks, each with a task and a context of its own from enter to exit.

Cancel scopes and task groups around the `yield` of a hook work as in a plain `async with`.
"""

import asyncio
import gc
import inspect
import logging
import sys
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future
from contextlib import _AsyncGeneratorContextManager
from contextvars import copy_context
from enum import Enum
from functools import partial
from math import inf
from types import AsyncGeneratorType, FrameType
from typing import Any, NamedTuple, NoReturn, final

from metrics.errors import LifecycleError
from metrics.lifecycle import _shutdown as timing
from metrics.lifecycle import _signals
from metrics.lifecycle._hooks import (
    NO_YIELD,
    TWO_YIELDS,
    Call,
    Scope,
    begin,
    exit_error,
    exit_info,
    generator_of,
    hold_generator,
    is_async,
    ready,
    release,
    resume,
)
from metrics.lifecycle._record import log_safely

logger = logging.getLogger("metrics.lifecycle")

TASK_NAME = "metrics-lifecycle"


class EnterTimeoutError(Exception):
    """An async hook did not start in time; `frames` is where it hangs."""

    def __init__(self, frames: list[FrameType]) -> None:
        super().__init__()
        self.frames = frames


class Raised(NamedTuple):
    """Exception of a coroutine: a task would let KeyboardInterrupt break out of its event loop."""

    error: BaseException


class Exit(NamedTuple):
    """Request to exit an async hook."""

    error: Exception | None
    scope: Scope
    outcome: "Future[BaseException | None]"


class Phase(Enum):
    """Phase of the task that an async hook lives in."""

    ENTERING = "ENTERING"
    HOLDING = "HOLDING"
    EXITING = "EXITING"


@final
class AsyncHook:
    """An async hook, entered and exited in one task, with one context of its own.

    If the event loop ends in between, the hook stays entered, and is exited in another loop, in the
    same context.

    Args:
        name: name of the resource.
        call: calls the hook.
    """

    in_loop = True

    def __init__(self, name: str, call: Call) -> None:
        self._name = name
        self._call = call
        self._context = copy_context()
        self._steps: AsyncGenerator[object, None] | None = None
        # The context manager that the generator holds, unless the generator is the hook's own.
        self._manager: Any = None
        self._task: ResourceTask | None = None
        self._request: asyncio.Future[Exit | None] | None = None
        self.phase = Phase.ENTERING
        self.entered = False
        # Whether the start was abandoned: the hook is exited as soon as it has started.
        self._start_abandoned = False
        # Whether the exit of the context manager raised, and so can be called again.
        self._exit_failed = False
        # The exit under way, and the one that was abandoned because it hangs.
        self._exiting: Future[BaseException | None] | None = None
        self.late: Future[BaseException | None] | None = None
        # Error of a hook that ended by itself: a task group around its `yield` failed.
        self._ended_by: BaseException | None = None

    @classmethod
    def already_entered(cls, name: str, manager: Any) -> "AsyncHook":
        """Return the hook of a context manager that was entered elsewhere."""
        hook = cls(name, Call(lambda: manager, [], {}))
        hook._manager = manager
        hook._exit_failed = True
        return hook

    def forked(self) -> object:
        """Stay entered in a forked process, where the task's event loop does not run.

        Its copy would count as running all the same.
        """
        task, self._task = self._task, None
        self._request = None
        return task

    async def enter(self, scope: Scope) -> object:
        """Enter the hook in a task of its own; return the value of the resource.

        A cancellation of the caller cancels the hook, and is raised when the hook has reacted.

        Raises:
            EnterTimeoutError: it did not start in the time of `scope`.
        """
        loop = asyncio.get_running_loop()
        entering: asyncio.Future[object] = loop.create_future()
        task = self._task = ResourceTask(self, self._live(entering, scope))
        cancelled = None
        while not entering.done():
            try:
                await asyncio.wait({entering}, timeout=timing.seconds_to(scope.ends))
            except asyncio.CancelledError as error:
                cancelled = error
                if self.phase is Phase.ENTERING:
                    asyncio.Task.cancel(task)
                if _signals.broke_through():
                    self._start_abandoned = True
                    raise
            if not entering.done() and timing.seconds_to(scope.ends) == 0.0:
                frames = frames_in(task)
                self._start_abandoned = True
                asyncio.Task.cancel(task)
                await asyncio.wait({entering}, timeout=timing.LEAST_SECONDS)
                raise EnterTimeoutError(frames)
        outcome = entering.result()
        if isinstance(outcome, Raised):
            if cancelled is not None and isinstance(outcome.error, asyncio.CancelledError):
                raise cancelled
            raise outcome.error
        if cancelled is not None:
            raise cancelled
        return outcome

    async def exit(self, error: Exception | None, scope: Scope) -> None:
        """Exit the hook in its own task; `error` is for context managers alone.

        An exit that was abandoned is waited for, and its error raised once. A context manager whose
        exit raised, or was cancelled, is exited again.
        """
        late = self.late
        if late is not None:
            if not late.done() and self._reachable():
                await asyncio.wait({asyncio.wrap_future(late)})
            self.late = None
            failure = late.result() if late.done() else asyncio.CancelledError()
            if failure is None:
                return
            if not isinstance(failure, asyncio.CancelledError):
                raise failure
        ended_by, self._ended_by = self._ended_by, None
        if ended_by is not None:
            raise ended_by
        request = Exit(error, scope, Future())
        self._exiting = request.outcome
        self._send(request)
        failed = await asyncio.wrap_future(request.outcome)
        if failed is not None:
            raise failed

    def _reachable(self) -> bool:
        """Return whether the hook's task can go on: its event loop runs."""
        task = self._task
        return task is not None and not task.done() and task.get_loop().is_running()

    def _send(self, request: Exit) -> None:
        """Have the hook exited in its own task, or in one of this loop if that is gone."""
        task = self._task
        if task is None or self.phase is not Phase.HOLDING or not self._reachable():
            self._task = ResourceTask(self, self._exit(request))
        elif task.get_loop() is asyncio.get_running_loop():
            self._deliver(request)
        else:
            task.get_loop().call_soon_threadsafe(self._deliver, request)

    def _deliver(self, request: Exit) -> None:
        """Pass a request to the task, unless that is about to end with its event loop."""
        if self._request is None or self._request.done():
            self._task = ResourceTask(self, self._exit(request))
        else:
            self._request.set_result(request)

    def abandon(self) -> None:
        """Cancel the exit that hangs; the next `exit` waits for it."""
        self.late = self._exiting
        task = self._task
        if task is not None and not task.done():
            task.get_loop().call_soon_threadsafe(asyncio.Task.cancel, task)

    def frames(self) -> list[FrameType]:
        """Return the frames of the hook's task, outermost first."""
        return [] if self._task is None else frames_in(self._task)

    def detach(self) -> None:
        """End the task, whose event loop ends, and keep the hook entered."""
        if self._request is not None and not self._request.done():
            self._request.set_result(None)

    async def _live(self, entering: "asyncio.Future[object]", scope: Scope) -> None:
        """Enter the hook, wait for the request to exit it, and exit it."""
        try:
            with scope.active():
                value = await self._begin()
        except BaseException as error:  # noqa: BLE001 - raised by the waiting task
            settle(entering, Raised(error))
            return
        if self._start_abandoned:
            await self._undo()
            return
        self._request = asyncio.get_running_loop().create_future()
        self.phase = Phase.HOLDING
        settle(entering, value)
        if not self.entered:
            return  # a plain value: there is nothing to exit
        try:
            request = await self._request
        except asyncio.CancelledError as cancelled:
            await self._end_by_itself(cancelled)
            return
        if request is not None:
            await self._exit(request)

    async def _begin(self) -> object:
        """Call the hook and enter the result; return the value.

        Raises:
            RuntimeError: a generator does not yield.
        """
        made = self._call.make()
        coroutine = inspect.isawaitable(made)
        if coroutine:
            made = await made
        if isinstance(made, AsyncGenerator):
            self._steps = made
        elif coroutine and hasattr(made, "__aenter__"):
            # Some classes are both kinds of context manager; this one came out of a coroutine.
            self._manager, self._steps = made, async_generator_of(made)
        elif is_async(made):
            self._manager, self._steps = made, async_generator_of(made)
        elif isinstance(made, Generator):
            self._steps = hold_sync(hold_generator(made))
        elif hasattr(made, "__enter__") and hasattr(made, "__exit__"):
            self._manager, self._steps = made, hold_sync(generator_of(made))
        else:
            return made
        try:
            value = await UnattendedStep(self._steps)
        except StopAsyncIteration:
            raise RuntimeError(NO_YIELD) from None
        self.entered = True
        return value

    async def _exit(self, request: Exit) -> None:
        """Exit the hook, and report how that went."""
        self.phase = Phase.EXITING
        failure = None
        try:
            with request.scope.active():
                if self.entered and self._steps is not None:
                    finish = resume_async if self._manager is None else release_async
                    await finish(self._steps, request.error)
                elif self._exit_failed and self._manager is not None:
                    await ready(self._manager_exit(request.error))
        except BaseException as error:  # noqa: BLE001 - raised by the waiting task
            failure = error
        self.entered = False
        self._exit_failed = failure is not None
        request.outcome.set_result(failure)
        if failure is not None and _signals.broke_through(failure):
            raise failure

    def _manager_exit(self, error: Exception | None) -> Any:
        exits = getattr(self._manager, "__aexit__", None) or self._manager.__exit__
        return exits(*exit_info(error))

    async def _end_by_itself(self, cancelled: asyncio.CancelledError) -> None:
        """Pass on a cancellation: a cancel scope or task group around the `yield` ends the hook."""
        self.phase = Phase.EXITING
        error: BaseException | None = cancelled
        try:
            if self._steps is not None:
                await self._steps.athrow(cancelled)
                await refuse_second_yield_async(self._steps)
        except StopAsyncIteration:
            error = None
        except BaseException as raised:  # noqa: BLE001 - raised when the container stops
            error = raised
        self.entered = False
        if isinstance(error, asyncio.CancelledError):
            error = LifecycleError(f"the task of {self._name!r} was cancelled while it was running")
        self._ended_by = error
        if error is None:
            log_safely(logger.warning, "%r has ended by itself", self._name)
        else:
            log_safely(logger.error, "%r has ended by itself: %r", self._name, error)

    async def _undo(self) -> None:
        """Exit the hook, whose start was abandoned before its end."""
        outcome: Future[BaseException | None] = Future()
        await self._exit(Exit(None, Scope((), inf), outcome))
        error = outcome.result()
        log_safely(
            logger.warning,
            "the start of %r, which was abandoned, has ended and was undone%s",
            self._name,
            "" if error is None else f": {error!r}",
        )


class ResourceTask(asyncio.Task[None]):
    """Task that an async hook lives in.

    When an event loop ends, it cancels all its tasks. The hook is not exited then, in no order:
    it stays entered until its container stops.
    """

    def __init__(self, hook: AsyncHook, coroutine: Coroutine[Any, Any, None]) -> None:
        self._hook = hook
        super().__init__(
            coroutine,
            loop=asyncio.get_running_loop(),
            name=f"{TASK_NAME} {hook._name}",
            context=hook._context,
        )
        # It may outlive its loop, and then goes on in a task of another one.
        self._log_destroy_pending = False

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the hook; at the end of the event loop, leave it as it is."""
        hook = self._hook
        ends = sys._getframe(1).f_code.co_name == "_cancel_all_tasks"
        if not ends or hook.phase is Phase.ENTERING or hook.late or _signals.broke_through():
            return super().cancel(msg)
        if hook.phase is Phase.HOLDING:
            hook.detach()
        return False


def async_generator_of(manager: Any) -> AsyncGenerator[object, None]:
    """Return an async generator that holds a context manager entered while it is suspended."""
    if type(manager) is _AsyncGeneratorContextManager and type(manager.gen) is AsyncGeneratorType:
        return manager.gen
    return hold_async(manager)


async def hold_async(manager: Any) -> AsyncGenerator[object, None]:
    """Hold an async context manager entered until the generator goes on."""
    async with manager as value:
        yield value


async def hold_sync(
    holding: Generator[object, None, object],
) -> AsyncGenerator[object, None]:
    """Hold a sync hook, which came out of a coroutine, until the generator goes on."""
    try:
        value = begin(holding)
    except StopIteration:
        return
    try:
        yield value
    except Exception as error:
        release(holding, error)
        raise
    else:
        resume(holding)


async def resume_async(steps: AsyncGenerator[object, None], _error: Exception | None) -> None:
    """Run the rest of an async generator, also if an exception ended the program."""
    async for _again in steps:
        await refuse_second_yield_async(steps)


async def refuse_second_yield_async(steps: AsyncGenerator[object, None]) -> NoReturn:
    """Close an async generator that has yielded twice, and raise RuntimeError."""
    await steps.aclose()
    raise RuntimeError(TWO_YIELDS)


async def release_async(holding: AsyncGenerator[object, None], error: Exception | None) -> None:
    """Exit the context manager that an async generator holds."""
    try:
        if error is None:
            await resume_async(holding, None)
        else:
            await holding.athrow(error)
            await refuse_second_yield_async(holding)
    except StopAsyncIteration:
        return
    except RuntimeError as raised:
        failure = exit_error(raised)
        if failure is not error:
            raise failure from None
    except BaseException as raised:
        if raised is not error:
            raise


def settle(future: "asyncio.Future[object]", outcome: object) -> None:
    """Set the result of a future, unless its event loop is gone."""
    if not future.done():
        future.set_result(outcome)


@final
class UnattendedStep:
    """Awaits the first step of an async generator, of which the event loop does not learn.

    A loop closes the generators that it knows of when it ends, and skips the code after `yield`.
    """

    def __init__(self, steps: AsyncGenerator[object, None]) -> None:
        self._steps = steps

    def __await__(self) -> Generator[Any, Any, Any]:
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(None, None)
        try:
            step = anext(self._steps).__await__()
            waits_for = next(step)
        except StopIteration as done:
            return done.value
        finally:
            sys.set_asyncgen_hooks(*hooks)
        while True:
            try:
                sent = yield waits_for
            except BaseException as error:  # noqa: BLE001 - the step has to handle it
                proceed = partial(step.throw, error)
            else:
                proceed = partial(step.send, sent)
            try:
                waits_for = proceed()
            except StopIteration as done:
                return done.value


def frames_in(task: asyncio.Task[Any]) -> list[FrameType]:
    """Return the frames of a task, outermost first, through everything that it awaits."""
    frames: list[FrameType] = []
    awaits: object = task.get_coro()
    while awaits is not None:
        for kind in ("cr", "ag", "gi"):
            frame = getattr(awaits, f"{kind}_frame", None)
            if frame is not None:
                frames.append(frame)
                if frame.f_code is UnattendedStep.__await__.__code__:
                    awaits = frame.f_locals.get("step")
                    break
                awaits = getattr(awaits, f"{kind}_await", None) or getattr(
                    awaits, f"{kind}_yieldfrom", None
                )
                break
        else:
            # An asend() object exposes its generator only through gc.get_referents().
            held = gc.get_referents(awaits)
            awaits = next((item for item in held if isinstance(item, AsyncGeneratorType)), None)
    return frames
