"""Ticker: the background worker that advances rates and samples at a fixed interval."""

import sys
import threading
from math import floor, inf
from typing import Self, final

from metrics import _fork
from metrics._native import i64
from metrics._turns import Turns
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import join
from metrics.errors import StopTimeoutError
from metrics.instruments import Meter
from metrics.instruments._inner import INTERVAL, Real, Shared, Tickable, checked_clock, positive

__all__ = ["Ticker"]

THREAD_NAME = "metrics-ticker"

CHUNK = 1000
"""Members ticked at one reading of the clock, and between two pauses for other threads."""


@final
class Ticker(Shared):
    """Daemon thread that ticks its members once an interval; also a context manager.

    The thread exists only while the ticker is started and has members. The k-th tick is due at
    start + k * interval, so that ticks do not drift. Ticks missed while the machine was suspended
    or overloaded are skipped: the next one counts for them in the rates of meters and timers. The
    newest member is ticked first: the source of an instrument is added after the instrument, and
    so has updated it before its tick.

    The first exception of a member is logged, further ones only after a successful tick; the other
    members are ticked all the same. Safe to use from any thread, from a tick too.

    In a forked process the ticker keeps its state and members. Its thread starts at the first use
    of the library there: a registry is read, an instrument registered, a container used.

    Args:
        interval: seconds between two ticks, above 0.
        clock: the time by which ticks are due.

    Raises:
        TypeError: `interval` is not a number, or `clock` is not a clock.
        ValueError: `interval` is not positive and finite.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_current",
        "_failing",
        "_generation",
        "_held",
        "_in_order",
        "_interval",
        "_members",
        "_owners",
        "_started_at",
        "_ticked_at",
        "_ticking",
        "_ticking_thread",
        "_worker",
        "_working",
    )

    def __init__(self, interval: Real = INTERVAL, clock: Clock = SYSTEM_CLOCK) -> None:
        self._interval = positive("Ticker(interval)", interval)
        self._clock = checked_clock("Ticker(clock)", clock)
        # By identity, so that members need not be hashable.
        self._members: dict[int, Tickable] = {}
        # Of the members that were added by a hook, see `metrics._fork.registering`.
        self._owners: dict[int, object] = {}
        # The members, newest first; None after a change.
        self._in_order: list[Tickable] | None = None
        self._failing: set[int] = set()
        # Guards the state above and below, and wakes the worker when it changes.
        self._changed = threading.Condition(threading.RLock())
        self._started_at: float | None = None
        # End of the last tick, or start of the worker: the baseline of `check`.
        self._ticked_at: float | None = None
        self._worker: threading.Thread | None = None
        self._working = False
        # Held for the length of a tick, so that ticks never overlap.
        self._ticking = threading.Lock()
        self._ticking_thread: int | None = None
        self._current: Tickable | None = None
        self._generation: int = _fork.generation
        # The number to release, of a ticker with a worker here or in the parent: see `_fork.hold`.
        self._held: int | None = None

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self._interval

    @property
    def running(self) -> bool:
        """Whether the ticker is started, with or without members."""
        return self._started_at is not None

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        # Not a container, which is false when empty.
        return True

    def add(self, member: Tickable) -> None:
        """Tick `member` once an interval from now on; adding it again changes nothing.

        Raises:
            TypeError: `member` has no `tick` method.
            RuntimeError: no thread can be started.
        """
        if not callable(getattr(member, "tick", None)):
            raise TypeError(f"Ticker.add() takes an object with a tick() method, got {member!r}")
        owner = _fork.registering.get()
        with self._guard():
            if id(member) not in self._members:
                self._members[id(member)] = member
                # Left by a member of the same identity that was discarded during its last tick.
                self._failing.discard(id(member))
                if owner is not None:
                    self._owners[id(member)] = owner
            self._in_order = None
            self._ensure_worker()

    def discard(self, member: Tickable) -> None:
        """Stop ticking `member`. Does nothing if it is no member.

        A tick of `member` that has begun in another thread may still run after the return.
        """
        changed = self._guard()
        with changed:
            self._remove(id(member))
            changed.notify_all()

    def start(self) -> None:
        """Start to tick, for the first time one interval from now. Does nothing when started."""
        with self._guard():
            if self._started_at is None:
                self._started_at = self._clock.monotonic()
            self._ensure_worker()

    def stop(self, timeout: float | None = None) -> None:
        """Stop ticking and end the worker without waiting for the interval.

        Does nothing when stopped. Called from a tick, also through the shutdown of a container, it
        returns at once, and the worker ends after that tick.

        Args:
            timeout: seconds to wait for a running tick; None waits for its end.

        Raises:
            StopTimeoutError: the tick has not ended in that time. The ticker is stopped all the
                same: the worker ends with the tick.
        """
        changed = self._guard()
        with changed:
            self._started_at = None
            # A worker in a tick continues if the ticker is started again before the tick ends.
            if not self._working:
                self._release()
            changed.notify_all()
            worker = self._worker
        inside = self._ticking_thread == threading.get_ident()
        if worker is None or self._at_work() or inside:
            return
        if not join(worker, timeout):
            raise StopTimeoutError(
                f"{THREAD_NAME} is still ticking {self._current!r} after {timeout} s; "
                "it ends when that returns"
            )

    def tick(self) -> None:
        """Tick all members once, now, in the calling thread, whether started or not.

        Raises:
            RuntimeError: called from inside a tick.
        """
        self._tick(Exception)

    def check(self) -> None:
        """Check that no tick is overdue, as the function of a `Healthcheck`.

        Raises:
            RuntimeError: the ticker runs and has members, and no tick has ended for three
                intervals and a second.
        """
        if _fork.dormant:
            _fork.resume()
        with self._guard():
            ticked_at = self._ticked_at
            idle = not self.running or not self._members
        if idle or ticked_at is None:
            return
        check_silence(self._clock.monotonic() - ticked_at, self._interval)

    def _tick(self, expected: type[BaseException]) -> None:
        self._renew()
        if self._ticking_thread == threading.get_ident():
            raise RuntimeError("Ticker.tick() was called from inside a tick")
        with self._ticking:
            self._ticking_thread = threading.get_ident()
            try:
                with self._guard():
                    if self._in_order is None:
                        self._in_order = list(reversed(self._members.values()))
                    members = self._in_order
                self._tick_all(members, expected)
            finally:
                self._ticked_at = self._clock.monotonic()
                self._current = None
                self._ticking_thread = None

    def _guard(self) -> threading.Condition:
        """Return the lock, renewed in a forked process."""
        if sys.is_finalizing() or _fork.alone:
            # No other thread runs, and a frozen thread may hold the lock.
            return threading.Condition()
        self._renew()
        return self._changed

    def _renew(self) -> None:
        """Renew locks and worker in a forked process, which lacks the parent's threads."""
        if self._generation == _fork.generation:
            return
        with _fork.renewing:
            if self._generation == _fork.generation:
                return
            self._changed = threading.Condition(threading.RLock())
            # Even if a tick has forked, because the child may never return from that tick.
            self._ticking = threading.Lock()
            self._leave_worker()
            self._generation = _fork.generation

    def _after_fork(self) -> None:
        # Locks are renewed at the first use, not here: a server's worker may patch `threading`
        # after the fork, and gevent's threads would deadlock with native locks.
        self._leave_worker()

    def _leave_worker(self) -> None:
        """Leave the worker and a running tick to the parent process."""
        self._worker = None
        self._working = False
        self._ticked_at = None
        self._failing = set()
        self._ticking_thread = None
        self._current = None

    def _resume(self) -> None:
        with self._guard():
            self._ensure_worker()

    def _drop(self, owners: frozenset[int]) -> None:
        """Discard the members of `owners`, which are identities."""
        with self._guard():
            for key, owner in list(self._owners.items()):
                if id(owner) in owners:
                    self._remove(key)

    def _remove(self, key: int) -> None:
        self._members.pop(key, None)
        self._owners.pop(key, None)
        self._in_order = None
        self._failing.discard(key)

    def _release(self) -> None:
        if self._held is not None:
            _fork.release(self._held)
            self._held = None

    def _at_work(self) -> bool:
        return threading.current_thread() is self._worker

    def _tick_all(self, members: list[Tickable], expected: type[BaseException]) -> None:
        """Tick members, and let other threads run meanwhile."""
        turns = Turns()
        clock_id = i64(id(self._clock))
        now = 0.0
        failing = False
        left = i64(0)
        for member in members:
            if left == 0:
                turns.offer()
                left = CHUNK
                now = self._clock.monotonic()
                failing = len(self._failing) > 0
            left -= 1
            try:
                # Meters are many: compiled code calls their method directly, and to read the clock
                # for each would double the time of a tick.
                if isinstance(member, Meter):
                    member._tick_at(now, clock_id)  # noqa: SLF001 - not for programs
                # The tick of another member may discard this one, or stop the ticker.
                elif id(member) in self._members and (self.running or not self._at_work()):
                    self._current = member
                    member.tick()
                else:
                    continue
            except expected:
                self._log_failure(member)
            else:
                if failing:
                    self._failing.discard(id(member))

    def _log_failure(self, member: Tickable) -> None:
        """Log the exception that is handled, if it is the member's first since it last worked."""
        if id(member) not in self._failing:
            self._failing.add(id(member))
            # Imported when needed: logging takes longer to import than this package.
            from logging import getLogger  # noqa: PLC0415

            getLogger(__name__).exception(  # noqa: LOG004 - called by a handler
                "%r failed to tick; further failures of it in a row are not logged", member
            )

    def _ensure_worker(self) -> None:
        if (
            self.running
            and self._members
            and not self._working
            # No thread starts any more at that time, and `start` would wait for it.
            and not sys.is_finalizing()
        ):
            self._worker = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
            self._working = True
            if self._held is None:
                # Keeps the ticker alive, as its thread does anyway.
                self._held = _fork.hold(self)
            self._ticked_at = self._clock.monotonic()
            try:
                self._worker.start()
            except BaseException:
                # A thread left behind by an interrupted start is not the worker, and so ends.
                self._worker = None
                self._working = False
                self._release()
                raise

    def _work(self) -> None:
        """Tick when due, until stopped or left without members."""
        try:
            while self._wait_until_due():
                # No caller in this thread could handle an exception.
                self._tick(BaseException)
        finally:
            # A clock that raises ends this worker; the next add() or start() starts another.
            if self._at_work() and self._working:
                self._working = False
                self._release()

    def _wait_until_due(self) -> bool:
        """Return True when a tick is due, False when the worker has to end."""
        changed = self._guard()
        with changed:
            started_at: float | None = None
            due = inf
            # In a process forked by a tick, another worker may have replaced this one.
            while self._at_work() and self._started_at is not None and self._members:
                now = self._clock.monotonic()
                if started_at != self._started_at:
                    started_at = self._started_at
                    due = next_due(started_at, self._interval, now)
                if now >= due:
                    return True
                changed.wait(min(due - now, threading.TIMEOUT_MAX))
            # Under the lock, so that an add() from now on starts a new worker.
            if self._at_work():
                self._working = False
                self._release()
            return False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<Ticker every {self._interval} s, {state}, {len(self._members)} members>"


def check_silence(silence: float, interval: float) -> None:
    """Raise RuntimeError if the last tick was more than three intervals and a second ago."""
    if silence > 3 * interval + 1.0:
        raise RuntimeError(f"no tick for {silence:.1f} s, though one is due every {interval} s")


def next_due(started_at: float, interval: float, now: float) -> float:
    """Return the earliest start + k * interval after `now`, k a whole number above 0."""
    k = max(floor((now - started_at) / interval), 0) + 1
    due = started_at + k * interval
    # Rounding may put the product on the wrong side of now.
    return due if due > now else started_at + (k + 1) * interval
