"""Push loop: collect once an interval, deliver, and deliver everything at the end."""

import sys
import threading
from collections.abc import Callable, Iterable
from logging import getLogger
from typing import NamedTuple, Self, final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import join
from metrics.errors import LifecycleError, StopTimeoutError
from metrics.instruments._inner import Real, Whole, positive
from metrics.instruments._inner import size as checked_size
from metrics.reporters._push.backoff import Backoff
from metrics.reporters._push.outbox import Outbox
from metrics.reporters._push.payloads import Codec
from metrics.reporters._push.sender import Sender
from metrics.reporters._push.statistics import Statistics
from metrics.reporters._transports.transport import Transport
from metrics.ticker import next_due

INTERVAL = 10.0
"""Default seconds between two reports."""

TIMEOUT = 5.0
"""Default seconds that one request may take."""

STOP_TIMEOUT = 10.0
"""Default seconds that the last deliveries may take."""

WORKING = 0.8
"""Share of the time of a stop that the last report may take."""

POLL_SECONDS = 0.05
"""Seconds between two readings of a clock other than the machine's, which a test may advance."""

BUFFERED = 1000
"""Default number of payloads kept for a server that is unavailable."""

BUFFERED_BYTES = 1 << 24
"""Default number of bytes kept for a server that is unavailable: 16 MiB."""

logger = getLogger(__name__)

Collect = Callable[[], Iterable[bytes]]
"""Function that reads a registry and returns the payloads of a report."""


class ReporterStatus(NamedTuple):
    """State of a reporter at one moment, without secrets."""

    name: str
    target: str
    """The destination, as the log names it."""
    sent: int
    """Payloads that the server took."""
    failed: int
    """Requests that failed or were refused."""
    dropped: int
    """Payloads of which the server has not taken every series."""
    pending: int
    """Payloads that are not delivered yet."""
    oldest: float | None
    """Seconds since the report of the oldest undelivered payload; None without any."""
    error: str | None
    """Reason of the present outage; None without one."""
    since: float | None
    """Seconds since the beginning of the outage; None without one."""


@final
class Reporter:
    """Daemon thread that collects payloads once an interval and delivers them in order.

    A server that is unavailable, silent or confused holds up nothing but the reporter's own thread.
    Undelivered payloads are kept, up to a limit, and delivered later, oldest first; payloads above
    the limit are dropped, oldest first, and counted. A payload that the server refuses is dropped
    and logged; see `Sender`. The k-th report is due at start + k * interval; reports that are
    missed while a delivery takes long are skipped.

    In a forked process it does not run, and has nothing to deliver, until it is started there.

    Args:
        name: the name in the log and in the reporter's own metrics.
        collect: reads the payloads of a report.
        transport: delivers payloads; belongs to this reporter alone, which closes it.
        statistics: counts payloads by their fate.
        interval: seconds between two reports.
        timeout: seconds one request may take.
        buffered: number of payloads to keep for later.
        buffered_bytes: bytes to keep for later, all payloads together.
        clock: the source of time.
        codec: the encoding of the payloads; None for payloads that cannot be split.
        undelivered: series that no server has taken, for codecs that merge; outlives the reporter.
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
        codec: Codec | None = None,
        undelivered: list[bytes] | None = None,
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
            codec=codec,
            undelivered=undelivered,
        )
        self._statistics = statistics
        self._on_end = on_end
        # Guards the end of the sender and the worker. It is acquired itself: a signal may interrupt
        # the methods of a condition, which are Python, while they hold it.
        self._lock = threading.RLock()
        # Wakes the worker.
        self._changed = threading.Condition(self._lock)
        self._worker: threading.Thread | None = None
        # The worker's own: the time of its next report, and whether the last one failed.
        self._due = 0.0
        self._unreadable = False
        _fork.track(self)

    @property
    def name(self) -> str:
        """The name in the log and in the reporter's own metrics."""
        return self._name

    @property
    def running(self) -> bool:
        """Whether the worker runs, its end included."""
        worker = self._worker
        return worker is not None and worker.is_alive()

    def status(self) -> ReporterStatus:
        """Return the state of the reporter. Waits for nothing; safe to call from any thread."""
        counted, outage = self._statistics, self._sender.outage()
        error = outage.error
        if error is None and self._unreadable:
            error = "it cannot read what it reports; the reason is in the log of the program"
        return ReporterStatus(
            self._name,
            self._sender.target,
            counted.sent.count,
            counted.failed.count,
            counted.dropped.count,
            outage.pending,
            outage.oldest,
            error,
            outage.since,
        )

    def start(self) -> None:
        """Start the worker, whose first report is due one interval from now; no-op when started.

        Raises:
            LifecycleError: a worker that is stopping has not ended yet.
            RuntimeError: no thread can be started.
        """
        if _fork.dormant:
            # The reported instruments may need a ticker.
            _fork.resume()
        with self._lock:
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
        """Collect once more, deliver all payloads, and end the worker; no-op when stopped.

        A server that fails is not tried again; undelivered payloads are dropped and logged. Called
        from the worker itself, by a function that it collects from, it returns at once.

        Args:
            timeout: seconds that the stop may take; 10 if None.

        Raises:
            StopTimeoutError: the worker has not ended in that time, because collecting takes
                longer; it ends as soon as the function that it collects from returns.
        """
        seconds = STOP_TIMEOUT if timeout is None else timeout
        # In the rest of the time the worker notices that its connection is cut.
        working = seconds * WORKING
        worker = self._worker
        # While the interpreter exits, the worker never runs again, but may have held the lock.
        if worker is None or not worker.is_alive() or sys.is_finalizing():
            return
        with self._lock:
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
        """Leave the worker, the connection and all payloads to the parent process."""
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._worker = None
        self._unreadable = False
        self._sender.abandon()

    def _work(self) -> None:
        try:
            while self._wait():
                self._step()
            if self._is_worker():
                self._report()
                self._sender.deliver()
        finally:
            if self._is_worker():
                self._sender.finish()
                if self._on_end is not None:
                    self._on_end()

    def _is_worker(self) -> bool:
        """Return whether this thread is the worker; False in a process that the worker forked."""
        return threading.current_thread() is self._worker

    def _wait(self) -> bool:
        """Wait for the next task; return False when the worker is to end."""
        with self._lock:
            while self._sender.ends is None and self._is_worker():
                wait = min(self._due, self._sender.due) - self._clock.monotonic()
                if wait <= 0.0:
                    return True
                if self._clock is not SYSTEM_CLOCK:
                    wait = min(wait, POLL_SECONDS)
                self._changed.wait(min(wait, threading.TIMEOUT_MAX))
            return False

    def _step(self) -> None:
        """Make a report if one is due, and deliver."""
        if self._clock.monotonic() >= self._due:
            self._report()
            # Not earlier: a report that takes longer than the interval would be due for ever.
            self._due = next_due(self._due, self._interval, self._clock.monotonic())
        self._sender.deliver(self._due)

    def _report(self) -> None:
        """Collect the payloads of a report."""
        try:
            self._sender.merge()
            for payload in self._collect():
                self._sender.add(payload)
        except BaseException:
            # The next report may work, and there is no caller to raise to.
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

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<Reporter {self._name!r} every {self._interval} s, {state}>"
