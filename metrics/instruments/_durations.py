"""Recording and measurement of durations, which all timers have in common."""

from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Final, ParamSpec, TypeVar, final

from metrics._native import mypyc_attr
from metrics.clock import Clock
from metrics.instruments._arguments import Real, Whole, amount, finite, natural
from metrics.instruments._cumulative import Cumulative
from metrics.instruments._shared import Shared
from metrics.instruments._wrapping import surround, time_call

P = ParamSpec("P")
R = TypeVar("R")

SECOND: Final = 1e9
"""Nanoseconds. Divided by and not multiplied with its inverse, so that 60 s are 60.0."""

LONGEST_NS: Final = 9_223_372_036_854_775_808
"""Nanoseconds that no duration reaches, 2**63: 292 years."""

RUNNING: Final = -1
"""Duration of a block that has not ended."""


class Durations(Cumulative):
    """Durations of one timer: recorded, or measured by its clock.

    Each kind of timer keeps them in a way of its own.
    """

    __slots__ = ("_now",)

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._now = clock.monotonic_ns

    def _record(self, seconds: float) -> None:
        """Keep a duration that has been checked."""
        raise NotImplementedError

    def update(self, seconds: Real) -> None:
        """Record a duration.

        Raises:
            TypeError: `seconds` is not a number.
            ValueError: `seconds` is negative, infinite or NaN.
        """
        if type(seconds) is not float or not 0.0 <= seconds < inf:
            seconds = amount(f"{type(self).__name__}.update()", seconds)
        self._record(seconds)

    def update_ns(self, ns: Whole) -> None:
        """Record a duration given in nanoseconds.

        Raises:
            TypeError: `ns` is not an int.
            ValueError: `ns` is negative, or longer than 292 years.
        """
        if type(ns) is not int or not 0 <= ns < LONGEST_NS:
            ns = natural(f"{type(self).__name__}.update_ns()", ns)
            if ns >= LONGEST_NS:
                raise ValueError(
                    f"{type(self).__name__}.update_ns() takes less than 2**63 nanoseconds, "
                    f"got {ns:#x}"
                )
        self._record(ns / SECOND)

    def update_since(self, start: Real) -> None:
        """Record the time from `start` until now. go-ethereum's UpdateSince.

        For durations that begin in one function and end in another; `time()` and `timed` are more
        exact and faster.

        Args:
            start: seconds, as `monotonic()` of the timer's clock returned them: of
                `metrics.clock.SYSTEM_CLOCK` by default, where that is `time.perf_counter()`.

        Raises:
            TypeError: `start` is not a number.
            ValueError: `start` is infinite or NaN, or lies in the future.
        """
        # Infinity and NaN differ from themselves by NaN.
        if type(start) is not float or start - start != 0.0:
            start = finite(f"{type(self).__name__}.update_since()", start)
        # As exact as the clock's `monotonic()`, without a slot for it in every timer.
        self.update(self._now() / SECOND - start)

    def _since(self, start: int) -> None:
        """Record the duration from a time of the clock until now."""
        ns = self._now() - start
        if ns < 0:
            self.update_ns(ns)  # the clock went back: treated as every negative duration
        else:
            self._record(ns / SECOND)

    def time(self) -> "Stopwatch":
        """Return a context manager that records how long its block took, even if it raises.

        `with timer.time() as stopwatch:` has the duration in `stopwatch.seconds`. Works in async
        functions as well, where the duration includes the awaits of the block.
        """
        return Stopwatch(self)

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function so that every call is recorded, even if it raises.

        Works on plain, async, generator and async generator functions; a generator is timed from
        the first value requested until it ends or is closed.

        Raises:
            TypeError: `function` cannot be called.
        """
        return surround(
            function, self.time, "timed", lambda plain: time_call(plain, self._now, self._since)
        )


# Compiled, the memory of the stopwatch released last is used again; only a stopwatch that no
# variable holds any more is released.
@mypyc_attr(free_list_len=1)
@final
class Stopwatch(Shared):
    """Context manager that times one block and records its duration, also when the block raises.

    Times one block at a time; blocks within each other, and blocks of several threads or tasks,
    take a stopwatch each.
    """

    __slots__ = ("_durations", "_ns", "_start")

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._start = 0
        self._ns = 0

    @property
    def seconds(self) -> float:
        """Duration of the block in seconds.

        The time since its beginning while the block runs, the duration as recorded after its end,
        and 0.0 before its beginning. Never negative: 0.0 if the clock went back.
        """
        ns = self._ns
        if ns == RUNNING:
            ns = max(self._durations._now() - self._start, 0)  # noqa: SLF001 - made for timers
        return ns / SECOND

    def __enter__(self) -> "Stopwatch":
        self._start = self._durations._now()  # noqa: SLF001 - as above
        self._ns = RUNNING
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The same as `_since`, which returns no duration: every timed call would pay for the int.
        durations = self._durations
        ns = durations._now() - self._start  # noqa: SLF001 - as above
        if ns < 0:
            self._ns = 0
            durations.update_ns(ns)
        else:
            self._ns = ns
            durations._record(ns / SECOND)  # noqa: SLF001 - as above
