"""Single flight: concurrent requests for one result share one call, in a thread of its own."""

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import final

from metrics import _fork


@final
class Flight:
    """One call of a function, shared by all requests that wait for it.

    Args:
        key: the identity of the result.
        function: returns the result.
    """

    __slots__ = ("done", "error", "function", "key", "result", "thread", "waking")

    def __init__(self, key: Hashable, function: Callable[[], object]) -> None:
        self.key = key
        self.function = function
        self.result: object = None
        self.error: BaseException | None = None
        # Set last, after the result or the error.
        self.done = False
        # Identifier of the thread that calls the function; None before it does.
        self.thread: int | None = None
        # Called at the end, once each.
        self.waking: list[Callable[[], object]] = []

    def run(self) -> None:
        """Call the function. Never raises."""
        try:
            self.result = self.function()
        except BaseException as error:  # noqa: BLE001 - handled by the waiting requests
            self.error = error


@final
class SingleFlight:
    """Calls in daemon threads, one at a time for each key. Safe to use from any thread.

    A thread starts when there is a call to make and ends when there is none, so that an idle
    process has none. A call that hangs occupies one thread, however many requests wait for it or
    have stopped waiting; a call that finds all threads occupied waits in a queue, as long as a
    request waits for it.

    Args:
        name: the name of the threads.
        threads: most threads at a time.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._name = name
        self._most = threads
        self._clear()
        self._generation = 0
        _fork.track(self)

    def _clear(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Flight] = {}
        self._queue: deque[Flight] = deque()
        self._threads = 0

    def _after_fork(self) -> None:
        """Begin without calls: their threads, and the requests that wait, are the parent's."""
        self._generation += 1
        self._clear()

    @contextmanager
    def join(
        self, key: Hashable, function: Callable[[], object], wake: Callable[[], object]
    ) -> Iterator[Flight]:
        """Share the call for a key in the block; begin it if there is none.

        Args:
            key: the identity of the result.
            function: returns the result; called in another thread.
            wake: called in that thread when the call has ended. It must neither block nor raise.

        A call for which no thread can be started ends with that error.
        """
        flight, starts = self._enter(key, function, wake)
        try:
            if starts:
                # Without the lock: under gevent another greenlet runs until the thread has started.
                self._start(flight)
            yield flight
        finally:
            self._leave(flight, wake)

    def in_progress(self) -> list[Flight]:
        """Return the calls that are being made now."""
        with self._lock:
            return [flight for flight in self._flights.values() if flight.thread is not None]

    def _enter(
        self, key: Hashable, function: Callable[[], object], wake: Callable[[], object]
    ) -> tuple[Flight, bool]:
        """Return the call for a key, and whether a thread has to be started for it."""
        with self._lock:
            flight = self._flights.get(key)
            is_new = flight is None
            if flight is None:
                flight = self._flights[key] = Flight(key, function)
                self._queue.append(flight)
            flight.waking.append(wake)
            starts = is_new and self._threads < self._most
            if starts:
                self._threads += 1
            return flight, starts

    def _leave(self, flight: Flight, wake: Callable[[], object]) -> None:
        with self._lock:
            if wake in flight.waking:
                flight.waking.remove(wake)
            if not flight.waking and flight in self._queue:
                # No request waits for it any more: a queue of distinct keys must not grow.
                self._queue.remove(flight)
                del self._flights[flight.key]

    def _start(self, flight: Flight) -> None:
        """Start a thread, for a call that is in the queue."""
        generation = self._generation
        thread = threading.Thread(
            target=self._work, args=(generation,), name=self._name, daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            with self._lock:
                self._threads -= 1
                # Another thread may have taken the call from the queue.
                is_queued = flight in self._queue
                if is_queued:
                    self._queue.remove(flight)
            if is_queued:
                flight.error = error
                self._end(flight)

    def _work(self, generation: int) -> None:
        """Make the calls in the queue until it is empty."""
        while True:
            with self._lock:
                # A function may fork; its thread in the child is not one of the child's.
                if generation != self._generation:
                    return
                if not self._queue:
                    self._threads -= 1
                    return
                flight = self._queue.popleft()
                flight.thread = threading.get_ident()
            flight.run()
            self._end(flight)

    def _end(self, flight: Flight) -> None:
        """Wake the requests that wait for a call."""
        with self._lock:
            # A fork by the function has dropped it.
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
            flight.done = True
            waking, flight.waking = flight.waking, []
        for wake in waking:
            wake()
