"""Threads of the lifecycle, each a daemon that ends with the start or stop that it serves."""

import logging
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from math import inf
from typing import Any, TypeVar, final
from weakref import ref

from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle._record import Event, Events, ResourceRecord, log_safely, name_and_hook
from metrics.lifecycle._transition import POLL_SECONDS, State

logger = logging.getLogger("metrics.lifecycle")

THREAD_NAME = "metrics-lifecycle"

SLOW_SECONDS = 10.0
"""A hook that has been starting for so long is named in the log, if its time is not limited."""

LAST_EVENTS_SECONDS = 0.05
"""Time for the delivery of events when the time of a stop is over."""

T = TypeVar("T")


@final
class HookThread:
    """Daemon thread that calls one function after another, each in a copy of the caller's context.

    Raises:
        RuntimeError: no thread can be started, as at the exit of the interpreter.
    """

    def __init__(self) -> None:
        # Looked up now: gevent may have replaced it since this module was imported.
        self._calls: Any = queue.SimpleQueue()
        # An interruption may lose this object while its thread starts. The method of the queue ends
        # the thread then: a function in Python, as that of `finalize`, could be interrupted too.
        lost = ref(self, self._calls.put)
        self.thread = threading.Thread(
            target=work, args=(self._calls, lost), name=THREAD_NAME, daemon=True
        )
        try:
            self.thread.start()
        except BaseException:
            # The traceback keeps this object for as long as the exception is kept.
            self.end()
            raise

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Call `function` after the calls before it."""
        outcome: Future[T] = Future()
        self._calls.put((copy_context(), function, outcome))
        return outcome

    def end(self) -> None:
        """End the thread after the calls before it."""
        self._calls.put(None)


def work(calls: Any, lost: "ref[HookThread]") -> None:
    """Take calls until the queue has None, or the reference to the thread's lost object."""
    while (call := calls.get()) is not None and call is not lost:
        context, function, outcome = call
        try:
            outcome.set_result(context.run(function))
        except BaseException as error:  # noqa: BLE001 - raised where the outcome is used
            outcome.set_exception(error)
        del call, context, function, outcome


def thread_if_possible() -> HookThread | None:
    """Return a thread for hooks; None when the interpreter exits and runs no more of them."""
    if sys.is_finalizing():
        return None
    try:
        return HookThread()
    except RuntimeError:
        return None


@final
class Delivery:
    """Delivery of events in a thread, so that a log handler that blocks delays no hook.

    Without a time limit they are delivered in the calling thread.

    Args:
        events: the recipients.
        ends: end of the time, on `SYSTEM_CLOCK`.
    """

    def __init__(self, events: Events, ends: float) -> None:
        self._events = events
        self._ends = ends
        self._thread: HookThread | None = None
        # Done when all events are delivered; None if they are.
        self.last: Future[None] | None = None

    def emit(
        self,
        record: ResourceRecord,
        previous: State,
        seconds: float = 0.0,
        error: BaseException | None = None,
    ) -> None:
        """Note the change of a resource to its present state, and deliver it to recipients."""
        state = record.state
        self._events.record(record, state, previous, seconds, error)
        if not self._events.wants(state):
            return
        event = Event(record.name, state, seconds, error, previous)
        if self._thread is None and self._ends < inf:
            self._thread = thread_if_possible()
        if self._thread is None:
            self._events.emit(event, record)
            return
        self.last = self._thread.call(partial(self._events.emit, event, record))

    @property
    def left(self) -> float:
        """Seconds to wait for it."""
        return max(self._ends - SYSTEM_CLOCK.monotonic(), LAST_EVENTS_SECONDS)

    def end(self) -> None:
        """End the thread, when all events are delivered."""
        if self._thread is None:
            return
        self._thread.end()
        if self.last is None or self.last.done():
            self._thread.thread.join()


@final
class SlowStartWatch:
    """Thread that names a hook in the log which has been starting for ten seconds.

    Args:
        container: name of the container, for the log.
    """

    def __init__(self, container: str) -> None:
        self._container = container
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._current: ResourceRecord | None = None
        self._since = 0.0

    def watching(self, record: ResourceRecord) -> "SlowStartWatch":
        """Return a context manager for the start of a resource."""
        self._current, self._since = record, SYSTEM_CLOCK.monotonic()
        return self

    def __enter__(self) -> None:
        if self._thread is None and not sys.is_finalizing():
            thread = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return  # the interpreter exits, and starts no more threads
            self._thread = thread

    def __exit__(self, *_: object) -> None:
        self._current = None

    def end(self) -> None:
        """End the thread."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        warned = None
        wait = SLOW_SECONDS
        while not self._ended.wait(wait):
            record, elapsed = self._current, SYSTEM_CLOCK.monotonic() - self._since
            wait = max(SLOW_SECONDS - elapsed, POLL_SECONDS) if record else SLOW_SECONDS
            if record is not None and record is not warned and elapsed >= SLOW_SECONDS:
                warned = record
                wait = SLOW_SECONDS
                warn_slow(record, self._container)


def warn_slow(record: ResourceRecord, container: str) -> None:
    """Log that a hook takes long to start."""
    log_safely(
        logger.warning,
        "%s of %s has been starting for %g s; init_resources(timeout=) would limit that",
        name_and_hook(record),
        container,
        SLOW_SECONDS,
    )
