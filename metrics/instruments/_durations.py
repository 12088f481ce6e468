"""What all timers have in common: they record durations, and measure blocks and functions."""

from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Final, ParamSpec, TypeVar, final

from metrics._native import mypyc_attr
from metrics.clock import Clock
from metrics.instruments._arguments import Real, Whole, amount, natural
from metrics.instruments._shared import Shared
from metrics.instruments._timing import timed

P = ParamSpec("P")
R = TypeVar("R")

SECOND: Final = 1e9
"""Nanoseconds. Divided by and not multiplied with its inverse, so that 60 s are 60.0."""

LONGEST_NS: Final = 9_223_372_036_854_775_808
"""Nanoseconds that no duration reaches, 2**63: 292 years."""


class Durations(Shared):
    """Records durations, and measures them; what becomes of them is up to the kind of timer."""

    __slots__ = ("_now",)

    def __init__(self, clock: Clock) -> None:
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

    def _since(self, start: int) -> None:
        """Record the duration from a time of the clock until now."""
        ns = self._now() - start
        if ns < 0:
            self.update_ns(ns)  # a clock that goes back is an error, which that knows how to tell
        self._record(ns / SECOND)

    def time(self) -> "Stopwatch":
        """Return a context manager that records how long its block took, even if it raises."""
        return Stopwatch(self)

    def timed(self, function: Callable[P, R]) -> Callable[P, R]:
        """Decorate a function so that every call of it is recorded, even if it raises.

        Works on plain, async, generator and async generator functions; a generator is timed from
        the first value asked for until it ends or is closed.

        Raises:
            TypeError: `function` cannot be called.
        """
        return timed(self.time, self._now, self._since, function)


# Compiled, the one that was used last is used again.
@mypyc_attr(free_list_len=1)
@final
class Stopwatch(Shared):
    """Times one `with` block and records it, also when the block raises."""

    __slots__ = ("_durations", "_start")

    def __init__(self, durations: Durations) -> None:
        self._durations = durations
        self._start = 0

    def __enter__(self) -> None:
        self._start = self._durations._now()  # noqa: SLF001 - made in this module, for these

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._durations._since(self._start)  # noqa: SLF001 - as above
