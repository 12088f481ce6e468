"""A thread that hooks run in, so that whoever waits for them can stop waiting."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar, final
from weakref import finalize

THREAD_NAME = "metrics-lifecycle"

T = TypeVar("T")
Calls: TypeAlias = SimpleQueue[tuple[Context, Callable[[], Any], Future[Any]] | None]


@final
class HookThread:
    """Calls one function after another in a daemon thread, each in a copy of the caller's context.

    Raises:
        RuntimeError: no thread can be started, as at the exit of the interpreter.
    """

    def __init__(self) -> None:
        self._calls: Calls = SimpleQueue()
        # An interrupt may lose this object while its thread starts.
        finalize(self, self._calls.put, None).atexit = False
        self.thread = threading.Thread(
            target=work, args=(self._calls,), name=THREAD_NAME, daemon=True
        )
        self.thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Call `function` when those before it have returned."""
        outcome: Future[T] = Future()
        self._calls.put((copy_context(), function, outcome))
        return outcome

    def end(self) -> None:
        """Let the thread end when all calls have returned."""
        self._calls.put(None)


def thread_if_possible() -> HookThread | None:
    """Return a thread for hooks; None when the interpreter exits and starts no more of them."""
    try:
        return HookThread()
    except RuntimeError:
        return None


def work(calls: Calls) -> None:
    """Take calls until told to end."""
    while (call := calls.get()) is not None:
        context, function, outcome = call
        try:
            outcome.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is asked for
            outcome.set_exception(error)
        del call, context, function, outcome
