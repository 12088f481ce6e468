"""Health checks: the state of a program's dependencies, from a function or set by the program."""

import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from math import inf
from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import POLL_SECONDS, waits_for_stop
from metrics.errors import HealthcheckError, StopTimeoutError
from metrics.instruments._arguments import Real, positive
from metrics.instruments._check_function import (
    describe,
    inside,
    is_inside,
    name_of,
    outcome_of,
    refuse_uncallable,
)
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot

TIMEOUT = 3.0
"""Default limit of a check, in seconds: a Prometheus scrape, which has 10 s, stays whole."""

THREAD_NAME = "metrics-healthcheck"


@final
class HealthcheckSnapshot(Snapshot):
    """State of a `Healthcheck`; readers of a registry leave out one that is not `checked`."""

    __slots__ = ("_checked", "_error")
    fields = ("error", "checked")

    def __init__(self, error: str | None, checked: bool = True) -> None:
        self._error = error
        self._checked = checked

    @property
    def error(self) -> str | None:
        """The failure in one line; None when healthy or not checked."""
        return self._error

    @property
    def checked(self) -> bool:
        """Whether there was a result; without one the check is neither healthy nor unhealthy."""
        return self._checked

    def to_dict(self) -> dict[str, object]:
        """Return the error under go-ethereum's key."""
        return {"error": self._error}

    @property
    def scalar(self) -> int:
        """State as a number: 1 healthy, 0 unhealthy."""
        return int(self._error is None)

    @property
    def absent(self) -> bool:
        """Whether there was no result yet."""
        return not self._checked


@final
class Healthcheck(Shared):
    """State of a dependency: healthy, unhealthy with an error, or not checked yet.

    `function` raises an exception that explains the failure, or returns; returning False also
    means unhealthy. Every reader of a registry (a page, a reporter, `snapshot()`) gets a result
    that is not older than the interval of the registry's ticker: reading runs stale checks, all at
    the same time, each in a daemon thread of its own that ends with the function. Concurrent reads
    share one run.

    A read waits at most `timeout` seconds for a check. One that has not returned by then is
    unhealthy until it returns; it occupies its thread, and no read waits for it again or starts
    another one. Reading in the thread of an asyncio event loop blocks that loop for the same time.
    A read from a function of a check, or from a signal handler that interrupts a read, takes the
    present results.

    Without a function the program sets the state with `healthy()` and `unhealthy()`; such a check
    never runs and never gets stale.

    Safe to use from any thread. In a forked process a state that was set stays, and a function runs
    again at the first read.

    Args:
        function: raises or returns False when the dependency is unhealthy. It must not be async.
        timeout: seconds that a reader waits for `function`, above 0.
        clock: dates the results.

    Raises:
        TypeError: `function` is neither callable nor None, or it is a coroutine function or a
            generator function; or `timeout` is not a number.
        ValueError: `timeout` is not positive.
    """

    __slots__ = (
        "_clock",
        "_function",
        "_generation",
        "_lock",
        "_outcome",
        "_run",
        "_stopped",
        "_timeout",
    )

    def __init__(
        self,
        function: Callable[[], object] | None = None,
        *,
        timeout: Real = TIMEOUT,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if function is not None:
            refuse_uncallable(function)
        self._function = function
        self._timeout = positive("Healthcheck(timeout)", timeout)
        self._clock = clock
        self._outcome: Outcome | None = None
        self._run: Run | None = None
        self._stopped = False
        # Guards the start of a run. A signal handler may read while its own thread starts one.
        self._lock = threading.RLock()
        self._generation: int = _fork.generation

    def check(self) -> bool:
        """Run the function now, in the calling thread; return whether the dependency is healthy.

        Has no time limit. CancelledError and SystemExit are failures like any `Exception`;
        KeyboardInterrupt and other exceptions that end threads or tasks propagate.

        Without a function, return whether the state that was set last is healthy: False before the
        first `healthy()` or `unhealthy()`.
        """
        function = self._function
        if function is None:
            return self.checked and self.error is None
        error = outcome_of(function, ends_here=False)
        self._set(error)
        return error is None

    def healthy(self) -> None:
        """Set the state to healthy, until the next check or call of `unhealthy()`."""
        self._set(None)

    def unhealthy(self, error: Exception | str) -> None:
        """Set the state to unhealthy, until the next check or call of `healthy()`.

        Args:
            error: the failure. An exception is kept as it is, with the frames of its traceback.

        Raises:
            TypeError: `error` is neither an exception nor a str.
        """
        if isinstance(error, str):
            error = HealthcheckError(error)
        elif not isinstance(error, Exception):
            raise TypeError(f"invalid error {error!r}: pass an exception or a str")
        self._set(error)

    @property
    def error(self) -> Exception | None:
        """The failure of the last check; None when healthy or not checked yet."""
        run = self._running()
        if run is not None and run.error is not None:
            return run.error
        outcome = self._outcome
        return None if outcome is None else outcome.error

    @property
    def checked(self) -> bool:
        """Whether there is a result: of the function, or set by the program."""
        run = self._running()
        return self._outcome is not None or (run is not None and run.error is not None)

    def snapshot(self, reader: str = "") -> HealthcheckSnapshot:
        """Return the state now. Does not run the function; a read of the registry does."""
        error = self.error
        return HealthcheckSnapshot(None if error is None else describe(error), self.checked)

    def _set(self, error: Exception | None) -> None:
        self._outcome = Outcome(error, self._clock.monotonic())
        # A function that still hangs is older than this result.
        run = self._run
        if run is not None:
            run.error = None

    def _start(self, max_age: float) -> "Run | None":
        """Start the function in a thread if the result is older than `max_age` seconds.

        Returns:
            The run to wait for, which another reader may have started; None if there is none.
        """
        function = self._function
        if function is None:
            return None
        with self._guard():
            if self._stopped or sys.is_finalizing() or self._is_fresh(max_age):
                return None
            run = self._running()
            if run is not None:
                return run
            run = Run(self._timeout)
            run.thread = threading.Thread(
                target=self._work, args=(function, run), name=THREAD_NAME, daemon=True
            )
            self._run = run
            try:
                run.thread.start()
            except RuntimeError as error:
                self._run = None
                # No thread starts any more while the interpreter exits: the last result stays.
                if threading.main_thread().is_alive():
                    self._set(HealthcheckError(f"{name_of(function)} was not run: {error}"))
                return None
            except BaseException:
                self._run = None
                raise
            return run

    def _work(self, function: Callable[[], object], run: "Run") -> None:
        with self._guard():
            # An interrupted start has left this thread behind.
            if self._run is not run:
                return
        try:
            self._set(outcome_of(function, ends_here=True))
        finally:
            if self._run is run:
                self._run = None
            run.end()

    def _wait(self, run: "Run") -> None:
        """Wait for a run until its time is over; then the check is unhealthy until it returns."""
        if not run.wait(inf) and run.error is None:
            name = name_of(self._function)
            run.error = HealthcheckError(f"{name} did not return within {self._timeout} s")

    def _stop(self, name: str, seconds: float | None) -> None:
        """Start no more runs, and wait for the one that is going on, within the check's limit.

        Args:
            name: full name of the check, for the error.
            seconds: the longest wait; None for the check's limit alone.

        Raises:
            StopTimeoutError: the function has not returned in that time.
        """
        with self._guard():
            self._stopped = True
        run = self._running()
        # A check may stop its own container.
        if run is None or run.is_own():
            return
        if not run.wait(inf if seconds is None else seconds):
            raise StopTimeoutError(
                f"health check {name!r} is still running {name_of(self._function)}; "
                f"its thread {THREAD_NAME} ends when that returns"
            )

    def _is_fresh(self, max_age: float) -> bool:
        outcome = self._outcome
        if outcome is None or outcome.generation != _fork.generation:
            return False
        return self._clock.monotonic() - outcome.at <= max_age

    def _running(self) -> "Run | None":
        """Return the run that is going on in this process; threads do not survive a fork."""
        run = self._run
        return run if run is not None and run.generation == _fork.generation else None

    def _guard(self) -> AbstractContextManager[bool]:
        """Return the lock; a new one in a forked process that would wait for the old one."""
        if self._generation != _fork.generation:
            with _fork.renewing:
                if self._generation != _fork.generation:
                    # A lock that this thread held when it forked is still its own.
                    if _fork.is_orphaned(self._lock):
                        self._lock = threading.RLock()
                    self._generation = _fork.generation
        return self._lock

    def __repr__(self) -> str:
        state = f"error={self.error!r}" if self.checked else "not checked"
        return f"Healthcheck({self._function!r}, {state})"


@final
class Outcome:
    """Result of a check, and the time and process it was obtained in."""

    __slots__ = ("at", "error", "generation")

    def __init__(self, error: Exception | None, at: float) -> None:
        self.error = error
        self.at = at
        self.generation: int = _fork.generation


@final
class Run:
    """Call of a check's function in a thread of its own."""

    __slots__ = ("_ended", "_waking", "ends", "error", "generation", "thread")

    def __init__(self, timeout: float) -> None:
        self.ends: float = SYSTEM_CLOCK.monotonic() + timeout
        # Set when the time is over and the function has not returned.
        self.error: Exception | None = None
        self.generation: int = _fork.generation
        self.thread: threading.Thread | None = None
        # Thread.is_alive() is False after an interrupted join() (CPython issue 90882).
        self._ended = False
        # Released at the end, which wakes the waiting threads one after the other.
        self._waking = threading.Lock()
        self._waking.acquire()

    def end(self) -> None:
        """Wake the waiting threads. Called once, at the end of the thread."""
        self._ended = True
        self._waking.release()

    def is_own(self) -> bool:
        """Return whether the calling thread is the thread of the run."""
        return self.thread is not None and self.thread.ident == threading.get_ident()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the thread, at most `seconds` and not beyond the check's limit.

        As `metrics.deadline.join`, does not wait for a thread that waits for the very stop that
        waits for it, nor while the interpreter exits.

        Returns:
            Whether the thread has ended, or will at the end of the stop under way.
        """
        thread = self.thread
        ends = min(self.ends, SYSTEM_CLOCK.monotonic() + seconds)
        while not self._ended:
            if sys.is_finalizing() or thread is None:
                return True
            # An interpreted call: without one, this compiled loop would handle no signal.
            if waits_for_stop(thread):
                return True
            left = ends - SYSTEM_CLOCK.monotonic()
            if left <= 0.0:
                return False
            # An interruption before the release delays other waiting threads by one poll.
            if self._waking.acquire(timeout=min(left, POLL_SECONDS)):
                self._waking.release()
        if thread is not None:
            # All that the thread still has to do is to disappear.
            thread.join(TIMEOUT)
        return True


def refresh(checks: Iterable[Healthcheck], max_age: float) -> None:
    """Run the functions of checks whose results are older than `max_age` seconds.

    All run at the same time, each in a thread of its own, and are waited for, each within its
    limit. Does nothing in a thread that is inside a check or this function already.
    """
    if is_inside():
        return
    before = getattr(inside, "generation", None)
    try:
        inside.generation = _fork.generation
        running: list[tuple[Healthcheck, Run]] = []
        for check in checks:
            run = check._start(max_age)  # noqa: SLF001 - the same module
            if run is not None:
                running.append((check, run))
        for check, run in running:
            check._wait(run)  # noqa: SLF001 - the same module
    finally:
        inside.generation = before
