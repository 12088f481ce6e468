"""The push loop: collect once an interval, deliver, and deliver all in the end."""

import sys
import threading
from collections.abc import Callable, Iterable
from logging import getLogger
from types import TracebackType
from typing import Self, final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import join
from metrics.errors import LifecycleError, StopTimeoutError
from metrics.instruments._inner import Real, Whole, positive
from metrics.instruments._inner import size as checked_size
from metrics.reporters._push.backoff import Backoff
from metrics.reporters._push.outbox import Outbox
from metrics.reporters._push.sender import Sender
from metrics.reporters._push.statistics import Statistics
from metrics.reporters._transports.transport import Transport
from metrics.ticker import next_due

INTERVAL = 10.0
"""Seconds between two reports, unless told otherwise."""

TIMEOUT = 5.0
"""Seconds one delivery may take, unless told otherwise."""

STOP_TIMEOUT = 10.0
"""Seconds the last deliveries may take, unless told otherwise."""

WORKING = 0.8
"""The part of the time for a stop that is for the last report."""

BUFFERED = 1000
"""Payloads kept for a server that does not take them, unless told otherwise."""

BUFFERED_BYTES = 1 << 24
"""Bytes kept for a server that does not take them, unless told otherwise: 16 MiB."""

logger = getLogger(__name__)

Collect = Callable[[], Iterable[bytes]]
"""Reads what is to be reported, as payloads."""


@final
class Reporter:
    """Collects payloads once an interval and delivers them, in order, from one daemon thread.

    A server that is away, silent or confused holds up nothing but the reporter's own thread. What
    it does not take is kept, up to a limit, and delivered later, oldest first; what is above the
    limit is dropped, oldest first, and counted. A payload that the server refuses is dropped and
    logged. The k-th report is due at start + k * interval; reports that are missed while a delivery
    takes long are skipped.

    In a forked process it does not run, and has nothing to deliver, until it is started there.

    Args:
        name: what it is called in the log and in its own metrics.
        collect: reads what is to be reported.
        transport: delivers it; belongs to this reporter alone, which closes it.
        statistics: counts what becomes of the payloads.
        interval: seconds between two reports.
        timeout: seconds one delivery may take.
        buffered: payloads to keep for later.
        buffered_bytes: bytes to keep for later, all payloads together.
        clock: tells when the next report is due.
        on_end: called by the worker, after its last report.

    Raises:
        TypeError, ValueError: a number is not positive.
    """

    def __init__(
        self,
        name: str,
        collect: Collect,
        transport: Transport,
        statistics: Statistics,
        *,
        interval: Real = INTERVAL,
        timeout: Real = TIMEOUT,
        buffered: Whole = BUFFERED,
        buffered_bytes: Whole = BUFFERED_BYTES,
        clock: Clock = SYSTEM_CLOCK,
        on_end: Callable[[], object] | None = None,
    ) -> None:
        self._name = name
        self._collect = collect
        self._interval = positive("interval", interval)
        self._clock = clock
        self._sender = Sender(
            name,
            transport,
            statistics,
            Outbox(
                checked_size("buffered", buffered), checked_size("buffered_bytes", buffered_bytes)
            ),
            timeout=positive("timeout", timeout),
            clock=clock,
            backoff=Backoff(),
        )
        self._statistics = statistics
        self._on_end = on_end
        # Guards the end of the sender and what follows; wakes the worker.
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        # The worker's own: when it collects next, and whether that failed.
        self._due = 0.0
        self._unreadable = False
        _fork.track(self)

    @property
    def name(self) -> str:
        """What it is called in the log and in its own metrics."""
        return self._name

    @property
    def running(self) -> bool:
        """Whether the worker is there, be it at work or ending."""
        worker = self._worker
        return worker is not None and worker.is_alive()

    def start(self) -> None:
        """Begin to report, the first time one interval from now. Does nothing when started.

        Raises:
            LifecycleError: a worker that was told to stop has not ended yet.
            RuntimeError: no thread can be started.
        """
        if _fork.dormant:
            # What is reported may need a ticker.
            _fork.resume()
        with self._changed:
            if self.running:
                if self._sender.ends is None:
                    return
                raise LifecycleError(f"{self!r} has not ended yet; start it when it has")
            self._sender.ends = None
            self._due = self._clock.monotonic() + self._interval
            worker = threading.Thread(
                target=self._work, name=f"metrics-reporter-{self._name}", daemon=True
            )
            # Recorded first: a worker that an interrupted start leaves behind ends at once.
            self._worker = worker
            try:
                worker.start()
            except BaseException:
                self._worker = None
                raise

    def stop(self, timeout: float | None = None) -> None:
        """Collect once more, deliver what there is, and end the worker. Does nothing when stopped.

        A server that fails is not tried again. What is left then is lost, and logged. Called from
        the worker itself, by a function that it collects from, it returns at once.

        Args:
            timeout: seconds all of that may take, 10 unless told otherwise.

        Raises:
            StopTimeoutError: the worker has not ended in that time, because collecting takes
                longer; it ends as soon as that returns.
        """
        seconds = STOP_TIMEOUT if timeout is None else timeout
        # The rest of the time is for the worker to notice that its time is up.
        working = seconds * WORKING
        worker = self._worker
        # While the interpreter exits, the worker never runs again, but may have held the lock.
        if worker is None or not worker.is_alive() or sys.is_finalizing():
            return
        with self._changed:
            ends = self._clock.monotonic() + working
            before = self._sender.ends
            self._sender.ends = ends if before is None else min(before, ends)
            self._changed.notify_all()
        if worker is threading.current_thread():
            return
        if not join(worker, working):
            self._sender.abort()
        if not join(worker, seconds - working):
            raise StopTimeoutError(
                f"{worker.name} has not ended after {seconds:.3g} s, because it still reads what "
                "it reports; it ends when that returns"
            )

    def _after_fork(self) -> None:
        """Leave the worker, the connection and all payloads to the parent; it can be started."""
        self._changed = threading.Condition()
        self._worker = None
        self._unreadable = False
        self._sender.abandon()

    def _work(self) -> None:
        try:
            while self._wait():
                self._step()
            if self._at_work():
                self._report()
                self._sender.deliver()
        finally:
            if self._at_work():
                self._sender.finish()
                if self._on_end is not None:
                    self._on_end()

    def _at_work(self) -> bool:
        """Return whether this thread is the worker; not in a process that the worker has forked."""
        return threading.current_thread() is self._worker

    def _wait(self) -> bool:
        """Return True when there is something to do, False when everything is to end."""
        with self._changed:
            while self._sender.ends is None and self._at_work():
                wait = min(self._due, self._sender.due) - self._clock.monotonic()
                if wait <= 0.0:
                    return True
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
            return False

    def _step(self) -> None:
        """Do what is due."""
        if self._clock.monotonic() >= self._due:
            self._report()
            # Not before: a report that takes longer than the interval would be due for ever.
            self._due = next_due(self._due, self._interval, self._clock.monotonic())
        self._sender.deliver(self._due)

    def _report(self) -> None:
        """Collect what is to be reported."""
        try:
            for payload in self._collect():
                self._sender.add(payload)
        except BaseException:
            # The next report may work, and nobody is there to raise to.
            self._statistics.failed.inc()
            if not self._unreadable:
                self._unreadable = True
                logger.exception(
                    "%s cannot read what it reports; it tries again every %g s, which is "
                    "not logged until it works",
                    self._name,
                    self._interval,
                )
        else:
            self._unreadable = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<Reporter {self._name!r} every {self._interval} s, {state}>"
