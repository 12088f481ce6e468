"""Container that runs for the length of a block, however the block ends."""

import asyncio
import atexit
import logging
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, Generic, TypeVar, final

from metrics.errors import LifecycleError
from metrics.lifecycle import _signals
from metrics.lifecycle._awaitable import perform, perform_in_loop
from metrics.lifecycle._container import LifecycleContainer, instance_of
from metrics.lifecycle._record import log_safely, name_and_hook
from metrics.lifecycle._transition import State

logger = logging.getLogger("metrics.lifecycle")

C = TypeVar("C", bound=LifecycleContainer)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def running(
    container: C,
    *,
    timeout: float | None = None,
    start_timeout: float | None = None,
    signals: Iterable[signal.Signals] = STOP_SIGNALS,
) -> "Running[C]":
    """Start a container, and stop it when the `with` block ends.

    The block may end by itself, with an exception, `sys.exit` or a signal; a container whose block
    never ends is stopped when the interpreter exits. SIGINT raises KeyboardInterrupt in the block,
    SIGTERM SystemExit(143), as long as it runs in the main thread; other threads leave signals
    alone. Blocks may end in any order; when the last one has ended, the earlier signal handlers are
    restored. A signal that arrives while the container stops is raised when it has stopped. The
    second signal is raised at once, wherever it arrives, and the log names the hook that hangs.

    A signal, `sys.exit` and a cancellation are the normal end of a service: context managers among
    the hooks are exited without an exception. They are given an `Exception` that ends the block.

    `async with` is for containers with async resources, and for event loops that must not be
    blocked.

    Args:
        container: the container.
        timeout: seconds for the stop; the container class's `shutdown_timeout` by default.
        start_timeout: seconds for the start; the container class's `start_timeout` by default.
        signals: the signals that end the block; signals that the program ignores stay ignored.

    Raises:
        TypeError: `with` was used for a container with async resources.
        CheckError: the container could not start.
        StartTimeoutError: a hook did not start in time.
        ShutdownError: resources failed to stop.
        LifecycleError: `async with` was used outside asyncio.
    """
    return Running(container, timeout, start_timeout, signals, "running()")


def lifespan(
    container: LifecycleContainer,
    *,
    timeout: float | None = None,
    start_timeout: float | None = None,
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an ASGI application: `FastAPI(lifespan=lifespan(container))`.

    The container starts before the first request and stops after the last one. If a resource fails
    to start, everything is stopped again, and the server reports the exception. Signals are left to
    the server.

    Args:
        container: the container.
        timeout: seconds for the stop; the container class's `shutdown_timeout` by default.
        start_timeout: seconds for the start; the container class's `start_timeout` by default.
    """
    run = Running(container, timeout, start_timeout, (), "lifespan()")

    @asynccontextmanager
    async def life(_application: object) -> AsyncIterator[None]:
        async with run:
            yield

    return life


@final
class Running(Generic[C]):
    """Context manager of `running`."""

    def __init__(
        self,
        container: C,
        timeout: float | None,
        start_timeout: float | None,
        signals: Iterable[signal.Signals],
        caller: str,
    ) -> None:
        self._container = container
        self._instance = instance_of(container, caller)
        self._timeout = timeout
        self._start_timeout = start_timeout
        # A wrong limit is raised now, and not when the container has to stop.
        self._instance.stop_seconds(timeout)
        self._instance.start_seconds(start_timeout)
        self.signals = tuple(signals)
        # The signal that ends the block, and its exception.
        self.received: signal.Signals | None = None
        self.ending: BaseException | None = None
        self._task: asyncio.Task[Any] | None = None
        self._wakeup: _signals.Wakeup | None = None
        # Whether the block has ended, and its task must not be cancelled any more.
        self.over = False
        self._cancelled = False

    def __enter__(self) -> C:
        start = self._instance.start_operation(
            timeout=self._start_timeout, stop_timeout=self._timeout
        )
        if start.why_awaited:
            raise TypeError(
                f"{start.why_awaited}: write `async with running(container)` instead of `with`"
            )
        try:
            self._prepare(None)
            perform(start)
        except BaseException as error:
            if _signals.broke_through(error):
                self._restore()
                raise
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self._container

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.over = True
        self._log_signal()
        failed: BaseException | None = None
        try:
            self._stop(error)
        except Exception as failure:
            if self.ending is None:
                raise
            failed = failure
        finally:
            self._restore()
        self._raise_ending(error, failed)

    async def __aenter__(self) -> C:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None:
            raise LifecycleError(
                "`async with running(container)` requires asyncio: run it in a coroutine of "
                "asyncio.run()"
            )
        start = self._instance.start_operation(
            timeout=self._start_timeout, stop_timeout=self._timeout
        )
        try:
            self._prepare(task)
            if self.signals:
                self._wakeup = _signals.wakeup(task.get_loop())
            await perform_in_loop(start)
        except BaseException as error:
            if _signals.broke_through(error):
                self._restore()
                raise
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self._container

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        self.over = True
        self._log_signal()
        await self._take_back_cancellation(error)
        failed: BaseException | None = None
        try:
            await perform_in_loop(self._instance.stop_operation(timeout=self._timeout, error=error))
        except Exception as failure:
            if self.ending is None:
                raise
            failed = failure
        finally:
            self._restore()
        self._raise_ending(error, failed)

    async def _take_back_cancellation(self, error: BaseException | None) -> None:
        """Undo the cancellation by which a signal has ended the block."""
        if not self._cancelled or self._task is None:
            return
        if not isinstance(error, asyncio.CancelledError):
            # The block ended before the cancellation was raised in it.
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        self._task.uncancel()

    def _raise_ending(self, error: BaseException | None, failed: BaseException | None) -> None:
        """Raise the exception of the signal that has ended the block, or came after it."""
        ending = self.ending
        _signals.forget(ending)
        if ending is None:
            return
        if ending is not error or failed is not None:
            raise ending from failed

    def _stop(self, error: BaseException | None) -> None:
        stop = self._instance.stop_operation(timeout=self._timeout, error=error)
        if stop.why_awaited:
            # The interpreter exits in the middle of an `async with`, whose loop is gone.
            asyncio.run(perform_in_loop(stop))
        else:
            perform(stop)

    def _prepare(self, task: asyncio.Task[Any] | None) -> None:
        self.received, self.ending = None, None
        self.over, self._cancelled = False, False
        self._task = task
        atexit.register(self._exit_with_interpreter)
        _signals.push(self)

    def _restore(self) -> None:
        atexit.unregister(self._exit_with_interpreter)
        # Before the earlier handlers are back, whose exceptions would interrupt it.
        if self._wakeup is not None:
            self._wakeup.close()
            self._wakeup = None
        _signals.remove(self)

    @property
    def cancel(self) -> Callable[[], None] | None:
        """Ends an async block; None for a sync one, in which the signal is raised."""
        return None if self._task is None else self._cancel_soon

    def _cancel_soon(self) -> None:
        # A block that was never left outlives its loop.
        if self._task is not None and not self._task.get_loop().is_closed():
            self._task.get_loop().call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None and not self.over:
            self._cancelled = True
            self._task.cancel()

    def hanging(self) -> str:
        """Return the names of the hooks that are being entered or exited."""
        lifecycle = self._instance._ownership.lifecycle
        changing = (State.STARTING, State.STOPPING)
        busy = [
            f"{name_and_hook(record)} of {lifecycle.name} is {record.state}"
            for record in list(lifecycle.started)
            if record.state in changing
        ]
        return ", ".join(busy)

    def _log_signal(self) -> None:
        if self.received is not None:
            # Not in the handler, which may have interrupted the very same stream.
            log_safely(logger.info, "stopping: %s", self.received.name)

    def _exit_with_interpreter(self) -> None:
        self.over = True
        try:
            self._stop(self.ending)
        except BaseException as error:
            # The exit goes on after a signal, and a message about it would say nothing new.
            if error is not self.ending:
                raise
        finally:
            _signals.forget(self.ending)
            self._restore()
