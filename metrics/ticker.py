"""The one background worker: it advances rates and samples at a fixed interval."""

import sys
import threading
from math import floor, inf
from types import TracebackType
from typing import Self, final

from metrics import _fork
from metrics._turns import Turns
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import join
from metrics.errors import StopTimeoutError
from metrics.instruments._arguments import Real, positive
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._meter import Meter
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Tickable

__all__ = ["Ticker"]

THREAD_NAME = "metrics-ticker"

CHUNK = 1000
"""Members that are ticked between two offers to other threads."""


@final
class Ticker(Shared):
    """Ticks what was added to it, once an interval, from one daemon thread.

    The thread exists only while the ticker is started and has something to tick. The k-th tick is
    due at start + k * interval, so that ticks do not drift; ticks missed while the machine was
    suspended or overloaded are skipped, not caught up. The newest addition is ticked first: what
    feeds an instrument was added after it and so has fed it before it is ticked.

    Something that raises is logged once, until it works again, and does not keep the others from
    their tick. Safe to use from any thread, from a tick too.

    In a forked process the ticker is as it was, but for its thread, which starts at the first use
    of the library there: a registry is read, an instrument registered, a container used.

    Args:
        interval: seconds between two ticks, above 0.
        clock: tells when the next tick is due.

    Raises:
        TypeError: `interval` is not a number.
        ValueError: `interval` is not positive.
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
        self._clock = clock
        # By identity, so that nothing added needs to be hashable.
        self._members: dict[int, Tickable] = {}
        # Of the members that a hook added, see `metrics._fork.registering`.
        self._owners: dict[int, object] = {}
        # The members as they are ticked; None when they have changed.
        self._in_order: list[Tickable] | None = None
        self._failing: set[int] = set()
        # Guards all of the above and below; wakes the worker when one of them changes.
        self._changed = threading.Condition(threading.RLock())
        self._started_at: float | None = None
        # When a tick last ended, or could have been expected to: the base line of `check`.
        self._ticked_at: float | None = None
        self._worker: threading.Thread | None = None
        self._working = False
        # Held for the length of a tick, so that ticks never overlap.
        self._ticking = threading.Lock()
        self._ticking_thread: int | None = None
        self._current: Tickable | None = None
        self._generation: int = _fork.generation
        # Of a ticker that has a worker, or had one in the parent process: see `_fork.hold`.
        self._held: int | None = None

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self._interval

    @property
    def running(self) -> bool:
        """Whether the ticker is started, be there something to tick or not."""
        return self._started_at is not None

    def __len__(self) -> int:
        return len(self._members)

    def __bool__(self) -> bool:
        # A ticker is a thing, not a container that is false when empty.
        return True

    def add(self, member: Tickable) -> None:
        """Tick `member` from now on; adding it again changes nothing.

        Raises:
            TypeError: `member` has no `tick` method.
            RuntimeError: no thread can be started.
        """
        if not callable(getattr(member, "tick", None)):
            raise TypeError(f"Ticker.add() takes something with a tick() method, got {member!r}")
        owner = _fork.registering.get()
        with self._guard():
            if id(member) not in self._members:
                self._members[id(member)] = member
                if owner is not None:
                    self._owners[id(member)] = owner
            self._in_order = None
            self._ensure_worker()

    def discard(self, member: Tickable) -> None:
        """Tick `member` no more, if it was ticked at all.

        A tick of `member` that has begun in another thread may still be going on.
        """
        changed = self._guard()
        with changed:
            self._remove(id(member))
            changed.notify_all()

    def start(self) -> None:
        """Begin to tick, the first time one interval from now. Does nothing when started."""
        with self._guard():
            if self._started_at is None:
                self._started_at = self._clock.monotonic()
            self._ensure_worker()

    def stop(self, timeout: float | None = None) -> None:
        """Stop ticking and end the worker, whatever the interval. Does nothing when stopped.

        Called from a tick, it returns at once, and the worker ends after that tick; also when a
        container is, from a tick, and stops its ticker.

        Args:
            timeout: seconds to wait for a tick that is going on; None waits for its end.

        Raises:
            StopTimeoutError: the tick has not ended in that time. The ticker is stopped all the
                same: the worker ends as soon as the tick does.
        """
        changed = self._guard()
        with changed:
            self._started_at = None
            # A worker that still ticks goes on if the ticker is started again meanwhile.
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
        """Tick everything once, now, in the calling thread.

        Raises:
            RuntimeError: called from inside a tick.
        """
        self._tick(Exception)

    def check(self) -> None:
        """Raise if ticks are overdue: a function for a `Healthcheck`.

        Raises:
            RuntimeError: the ticker runs and has members, but no tick has ended for three
                intervals and a second.
        """
        if _fork.dormant:
            _fork.resume()
        with self._guard():
            ticked_at = self._ticked_at
            idle = not self.running or not self._members
        if idle or ticked_at is None:
            return
        silence = self._clock.monotonic() - ticked_at
        if silence > 3 * self._interval + 1.0:
            raise RuntimeError(
                f"no tick for {silence:.1f} s, though one is due every {self._interval} s"
            )

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
                turns = Turns()
                for start in range(0, len(members), CHUNK):
                    self._tick_chunk(members, start, expected)
                    turns.offer()
            finally:
                self._ticked_at = self._clock.monotonic()
                self._current = None
                self._ticking_thread = None

    def _guard(self) -> threading.Condition:
        """Return the lock, which a forked process renews."""
        if sys.is_finalizing() or _fork.alone:
            # No other thread runs, and one may have been frozen while it held the lock.
            return threading.Condition()
        self._renew()
        return self._changed

    def _renew(self) -> None:
        """Renew locks and worker once in a forked process, which lacks the parent's threads."""
        if self._generation == _fork.generation:
            return
        with _fork.renewing:
            if self._generation == _fork.generation:
                return
            self._changed = threading.Condition(threading.RLock())
            # Also when a tick has forked: the child may never return from it.
            self._ticking = threading.Lock()
            self._leave_worker()
            self._generation = _fork.generation

    def _after_fork(self) -> None:
        # Locks are renewed at the first use: a server's worker may patch `threading` before, and
        # gevent's threads would deadlock with native locks.
        self._leave_worker()

    def _leave_worker(self) -> None:
        """Leave the worker, and a tick that is going on, to the parent process."""
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
        """Tick the members of owners no more; the owners are given by identity."""
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

    def _tick_chunk(
        self, members: list[Tickable], start: int, expected: type[BaseException]
    ) -> None:
        """Tick some members."""
        for index in range(start, min(start + CHUNK, len(members))):
            member = members[index]
            # A meter is quick and does not fail; compiled code calls its method directly.
            if isinstance(member, Meter):
                member.tick()
            # Others may go, and the worker be told to stop, while some are ticked.
            elif id(member) in self._members and (self.running or not self._at_work()):
                self._current = member
                self._tick_one(id(member), member, expected)

    def _tick_one(self, key: int, member: Tickable, expected: type[BaseException]) -> None:
        try:
            member.tick()
        except expected:
            if key not in self._failing:
                self._failing.add(key)
                # Loaded when needed: logging takes longer to import than this package.
                from logging import getLogger  # noqa: PLC0415

                getLogger(__name__).exception(
                    "%r failed to tick; further failures of it in a row are not logged", member
                )
        else:
            self._failing.discard(key)

    def _ensure_worker(self) -> None:
        if (
            self.running
            and self._members
            and not self._working
            # A thread does not start any more then, and would be waited for.
            and not sys.is_finalizing()
        ):
            self._worker = threading.Thread(target=self._work, name=THREAD_NAME, daemon=True)
            self._working = True
            if self._held is None:
                # The thread holds the ticker in any case.
                self._held = _fork.hold(self)
            self._ticked_at = self._clock.monotonic()
            try:
                self._worker.start()
            except BaseException:
                # A thread that an interrupted start leaves behind is not the worker and ends.
                self._worker = None
                self._working = False
                self._release()
                raise

    def _work(self) -> None:
        """Tick when due, until stopped or left without members."""
        try:
            while self._wait_until_due():
                # A tick in this thread has nobody to raise to.
                self._tick(BaseException)
        finally:
            # A clock that raises ends this worker; the next add() or start() makes a new one.
            if self._at_work() and self._working:
                self._working = False
                self._release()

    def _wait_until_due(self) -> bool:
        """Return True when a tick is due, False when the worker is to end."""
        changed = self._guard()
        with changed:
            started_at: float | None = None
            due = inf
            # In a process that a tick has forked, another worker may have taken over.
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<Ticker every {self._interval} s, {state}, {len(self._members)} members>"


def next_due(started_at: float, interval: float, now: float) -> float:
    """Return the earliest start + k * interval, k a whole number above 0, that is after `now`."""
    k = max(floor((now - started_at) / interval), 0) + 1
    due = started_at + k * interval
    # Rounding may put the product on the wrong side of now.
    return due if due > now else started_at + (k + 1) * interval
