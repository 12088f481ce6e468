"""Ticker that a test drives by hand."""

import threading
from decimal import ROUND_FLOOR
from typing import Self, final

from metrics.errors import StopTimeoutError
from metrics.instruments._inner import INTERVAL, Real, Shared, Tickable, amount, positive
from metrics.testing._clock import NANOSECONDS, ManualClock, nanoseconds
from metrics.ticker import Ticker, check_silence


@final
class ManualTicker(Shared):
    """`Ticker` of a test that ticks in the calling thread, when `advance` is called.

    It has no thread and never waits, so that a 15-minute rate is tested in microseconds. In all
    other respects it is like a `Ticker`: it has to be started, the k-th tick is due at start + k *
    interval, the newest member is ticked first, and a member that raises is logged and does not
    keep the others from their tick. Safe to use from any thread, from a tick too.

    Args:
        interval: seconds between two ticks, above 0.
        clock: the clock that `advance` moves; None for the clock that is given to `overridden` with
            the ticker, or else a clock of its own.

    Raises:
        TypeError: `interval` is not a number.
        ValueError: `interval` is not positive.
    """

    __slots__ = (
        "_advancing",
        "_clock",
        "_clock_is_given",
        "_due_ns",
        "_interval_ns",
        "_started_ns",
        "_ticked_ns",
        "_ticker",
        "_ticking",
    )

    def __init__(self, interval: Real = INTERVAL, clock: ManualClock | None = None) -> None:
        self._clock_is_given = clock is not None
        self._clock = ManualClock() if clock is None else clock
        # Never started, so without a thread: it holds the members, and ticks them.
        self._ticker = Ticker(positive("ManualTicker(interval)", interval), self._clock)
        # Rounded down, so that no rounding of advanced seconds falls short of a tick.
        self._interval_ns = max(nanoseconds(self._ticker.interval, ROUND_FLOOR), 1)
        self._started_ns: int | None = None
        self._due_ns = 0
        self._ticked_ns = 0
        # Held while time passes and members are ticked.
        self._advancing = threading.RLock()
        self._ticking = False

    @property
    def interval(self) -> float:
        """Seconds between two ticks."""
        return self._ticker.interval

    @property
    def clock(self) -> ManualClock:
        """The clock that `advance` moves."""
        return self._clock

    @property
    def running(self) -> bool:
        """Whether the ticker is started, with members or without."""
        return self._started_ns is not None

    def __len__(self) -> int:
        return len(self._ticker)

    def __bool__(self) -> bool:
        # Unlike a collection, a ticker is not false when empty.
        return True

    def add(self, member: Tickable) -> None:
        """Tick `member` from now on; adding it again changes nothing.

        Raises:
            TypeError: `member` has no `tick` method.
        """
        idle = not len(self)
        self._ticker.add(member)
        if idle:
            self._expect()  # without members there was no tick to miss

    def discard(self, member: Tickable) -> None:
        """Stop ticking `member`, if it was ticked."""
        self._ticker.discard(member)

    def start(self) -> None:
        """Begin to tick, the first time one interval from now; no-op when started."""
        with self._advancing:
            if self._started_ns is None:
                self._started_ns = self._clock.monotonic_ns()
                self._expect()

    def stop(self, timeout: float | None = None) -> None:
        """Stop ticking; no-op when stopped. Called from a tick, it returns at once.

        Args:
            timeout: seconds to wait for a tick under way in another thread; None waits for its end.

        Raises:
            StopTimeoutError: the tick has not ended in that time; it is the last one all the same.
        """
        self._started_ns = None
        wait = -1.0 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        if not self._advancing.acquire(timeout=wait):
            raise StopTimeoutError(f"{self!r} is still ticking after {timeout} s")
        self._advancing.release()

    def tick(self) -> None:
        """Tick all members once, now, in the calling thread, whether started or not.

        Raises:
            RuntimeError: called from inside a tick.
        """
        with self._advancing:
            if self._ticking:
                raise RuntimeError("ManualTicker.tick() was called from inside a tick")
            self._tick()

    def advance(self, seconds: Real) -> None:
        """Let `seconds` pass, and tick in the calling thread, in order, whenever a tick is due.

        During a tick the clock shows the time at which it is due. If the clock itself was advanced
        past a tick, that tick comes late, and further missed ticks are skipped, as after the
        machine was suspended.

        Raises:
            RuntimeError: the ticker is not started, or this is called from inside a tick.
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, infinite or NaN.
        """
        ns = nanoseconds(amount("ManualTicker.advance()", seconds))
        with self._advancing:
            if self._ticking:
                raise RuntimeError("ManualTicker.advance() was called from inside a tick")
            if self._started_ns is None:
                raise RuntimeError(
                    "ManualTicker.advance() has nothing to tick before start(): start the ticker, "
                    "or the container it stands in; to let time pass only, advance its clock"
                )
            end = self._clock.monotonic_ns() + ns
            while self.running and len(self) and self._due_ns <= end:
                self._move_to(self._due_ns)
                try:
                    self._tick()
                finally:
                    self._due_ns = self._next_due()
            self._move_to(end)

    def check(self) -> None:
        """Check that no tick is overdue, as the function of a `Healthcheck`.

        Raises:
            RuntimeError: the ticker is started and has members, and its clock has advanced by three
                intervals and a second without a tick.
        """
        if not self.running or not len(self):
            return
        silence_ns = self._clock.monotonic_ns() - self._ticked_ns
        check_silence(silence_ns / NANOSECONDS, self.interval)

    def _go_by(self, clock: ManualClock) -> bool:
        """Move another clock from now on, unless one was given; return whether it does."""
        with self._advancing:
            if self._clock_is_given or self.running:
                return False
            self._clock = clock
            return True

    def _tick(self) -> None:
        self._ticking = True
        try:
            self._ticker.tick()
        finally:
            self._ticking = False
            self._ticked_ns = self._clock.monotonic_ns()

    def _expect(self) -> None:
        """Expect the next tick from now on, and none that was due before."""
        self._ticked_ns = self._clock.monotonic_ns()
        self._due_ns = self._next_due()

    def _next_due(self) -> int:
        """Return the earliest start + k * interval that is after now."""
        now = self._clock.monotonic_ns()
        since = now - (self._started_ns or 0)
        return now + self._interval_ns - since % self._interval_ns

    def _move_to(self, ns: int) -> None:
        """Let time pass until a time of the clock, unless it has passed already."""
        self._clock.advance_ns(max(ns - self._clock.monotonic_ns(), 0))

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.running else "stopped"
        return f"<ManualTicker every {self.interval} s, {state}, {len(self)} members>"
