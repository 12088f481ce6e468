"""A container that runs for the length of a block, whatever ends the block."""

import asyncio
import atexit
import logging
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar, final

from metrics.lifecycle.container import LifecycleContainer, instance_of
from metrics.lifecycle.cooperative import Cooperative
from metrics.lifecycle.outcome import perform

logger = logging.getLogger("metrics.lifecycle")

C = TypeVar("C", bound=LifecycleContainer)

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def running(
    container: C,
    *,
    timeout: float | None = None,
    signals: Iterable[signal.Signals] = STOP_SIGNALS,
) -> "Running[C]":
    """Start a container, and stop it when the `with` block ends.

    The block may end by itself, with an exception, `sys.exit` or a signal; a container whose block
    never ends is stopped when the interpreter exits. SIGINT raises KeyboardInterrupt in the block,
    SIGTERM SystemExit(143), as long as it runs in the main thread; other threads leave signals
    alone. In the end the earlier signal handlers are back. Signals that come while it stops are
    obeyed when it has stopped.

    `async with` is for containers with async parts, and for event loops that must not be held up.

    Args:
        container: what to start.
        timeout: seconds for the stop; the container class' `shutdown_timeout` by default.
        signals: which signals end the block; those that the program ignores stay ignored.

    Raises:
        TypeError: `with` was used for a container with async parts.
        ShutdownError: parts failed to stop.
    """
    return Running(container, timeout, signals, "running()")


def lifespan(
    container: LifecycleContainer, *, timeout: float | None = None
) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    """Return the lifespan of an ASGI application: `FastAPI(lifespan=lifespan(container))`.

    The container starts before the first request and stops after the last one. If a part fails to
    start, everything is stopped again, and the server reports the part's exception. Signals are
    left to the server.

    Args:
        container: what to start.
        timeout: seconds for the stop; the container class' `shutdown_timeout` by default.
    """
    run = Running(container, timeout, (), "lifespan()")

    @asynccontextmanager
    async def life(_application: object) -> AsyncIterator[None]:
        async with run:
            yield

    return life


@final
class Running(Generic[C]):
    """See `running`."""

    def __init__(
        self,
        container: C,
        timeout: float | None,
        signals: Iterable[signal.Signals],
        caller: str,
    ) -> None:
        self._container = container
        self._instance = instance_of(container, caller)
        self._instance._timeout(timeout)  # a wrong one is told now, not when it is to stop
        self._timeout = timeout
        self._signals = tuple(signals)
        self._previous: dict[signal.Signals, Any] = {}
        # What a signal has ended the block with, or will when everything is down.
        self._ending: BaseException | None = None
        self._signal: signal.Signals | None = None
        self._stopping = False
        self._pid = 0
        self._task: asyncio.Task[Any] | None = None

    def __enter__(self) -> C:
        start = self._instance._start(timeout=self._timeout)
        if start.why_awaited:
            raise TypeError(
                f"{start.why_awaited}: write `async with running(container)` instead of `with`"
            )
        self._prepare()
        try:
            perform(start)
        except BaseException as error:
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self._container

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self._stop(error)
        except Exception as failure:
            if self._ending is not None and self._ending is not error:
                raise self._ending from failure
            raise
        if self._ending is not None and self._ending is not error:
            raise self._ending

    async def __aenter__(self) -> C:
        self._task = asyncio.current_task()
        self._prepare()
        try:
            await self._instance._start(timeout=self._timeout).run(Cooperative())
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        return self._container

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._begin_stop()
        stop = self._instance._stop(timeout=self._timeout, error=self._ending or error)
        try:
            await stop.run(Cooperative())
        except Exception as failure:
            if self._ending is not None:
                raise self._ending from failure
            raise
        finally:
            self._restore()
        if self._ending is not None:
            if self._task is not None and isinstance(error, asyncio.CancelledError):
                self._task.uncancel()
            raise self._ending

    def _stop(self, error: BaseException | None) -> None:
        self._begin_stop()
        try:
            stop = self._instance._stop(timeout=self._timeout, error=error)
            if stop.why_awaited:
                # The interpreter exits in the middle of an `async with`, whose loop is gone.
                asyncio.run(stop.run(Cooperative()))
            else:
                perform(stop)
        finally:
            self._restore()

    def _prepare(self) -> None:
        self._ending, self._signal, self._stopping = None, None, False
        self._pid = os.getpid()
        atexit.register(self._exit_with_interpreter)
        if threading.current_thread() is not threading.main_thread():
            return
        for number in self._signals:
            # None is a handler that was not installed from Python and could not be put back.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._previous[number] = signal.signal(number, self._handle)

    def _begin_stop(self) -> None:
        self._stopping = True
        if self._signal is not None:
            # Not in the handler, which may have interrupted the very same stream.
            logger.info("stopping: %s", self._signal.name)

    def _restore(self) -> None:
        atexit.unregister(self._exit_with_interpreter)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous.clear()

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._signal is not None and self._pid == os.getpid():
            return
        self._signal = signal.Signals(number)
        self._ending = KeyboardInterrupt() if number == signal.SIGINT else SystemExit(128 + number)
        forked = self._pid != os.getpid()
        if self._stopping and not forked:
            return
        if self._task is None or forked:
            raise self._ending
        self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def _exit_with_interpreter(self) -> None:
        self._stop(self._ending)
