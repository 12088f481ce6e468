"""Recording and measurement of durations, which all timers have in common."""

from collections.abc import Callable
from math import inf
from typing import Final, ParamSpec, TypeVar, final

from metrics._native import mypyc_attr
from metrics.clock import Clock
from metrics.instruments._arguments import Real, Whole, checked_clock, finite, integer, real
from metrics.instruments._cumulative import Cumulative
from metrics.instruments._exemplars import ExemplarLabels, checked_exemplar
from metrics.instruments._shared import Shared
from metrics.instruments._wrapping import surround, time_call

P = ParamSpec("P")
R = TypeVar("R")

SECOND: Final = 1e9
"""Nanoseconds of a second: a divisor, because the product with its inverse is not exact."""

LONGEST_NS: Final = 9_223_372_036_854_775_808
"""Upper limit of a duration in nanoseconds, exclusive: 2**63, or 292 years."""

RUNNING: Final = -1
"""Duration of a block that has not ended."""


class Durations(Cumulative):
    """Durations that a timer measures and records; subclasses keep them.

    Args:
        caller: the parameter that takes the clock, for the message of an error.
        clock: measures the durations.

    Raises:
        TypeError: `clock` lacks a method of clocks.
    """

    __slots__ = ("_ignored", "_now")

    def __init__(self, caller: str, clock: Clock) -> None:
        super().__init__()
        self._now = checked_clock(caller, clock).monotonic_ns
        self._ignored = 0

    def _record(self, seconds: float, exemplar: ExemplarLabels | None) -> None:
        """Keep a duration that has been checked.

        Raises:
            TypeError: `exemplar` is not a mapping of str to str.
            ValueError: the name of a label is malformed.
        """
        raise NotImplementedError

    @property
    def ignored(self) -> int:
        """Number of negative durations, which are not recorded: the clock was set back."""
        return self._ignored

    def update(self, seconds: Real, exemplar: ExemplarLabels | None = None) -> None:
        """Record a duration; ignore and count a negative one.

        Args:
            seconds: the duration.
            exemplar: labels of this duration, such as its trace, in place of the labels that the
                registry's function returns; dropped if they are longer than 128 characters. A timer
                without buckets ignores them: no format has exemplars of quantiles.

        Raises:
            TypeError: `seconds` is not a number, or `exemplar` not a mapping of str to str.
            ValueError: `seconds` is infinite or NaN, or the name of a label is malformed.
        """
        # A variable of type float: compiled code unboxes the argument once.
        number = seconds if type(seconds) is float else real("update() of a timer", seconds)
        if 0.0 <= number < inf:
            self._record(number, exemplar)
        else:
            finite("update() of a timer", number)  # which raises for infinity and NaN
            self._ignored += 1

    def update_ns(self, ns: Whole, exemplar: ExemplarLabels | None = None) -> None:
        """Record a duration in nanoseconds; ignore and count a negative one.

        Args:
            ns: the duration.
            exemplar: labels of this duration, as `update` takes them.

        Raises:
            TypeError: `ns` is not an int, or `exemplar` not a mapping of str to str.
            ValueError: `ns` is 292 years or more, or the name of a label is malformed.
        """
        number = ns if type(ns) is int else integer("update_ns() of a timer", ns)
        if 0 <= number < LONGEST_NS:
            self._record(number / SECOND, exemplar)
        elif number < 0:
            self._ignored += 1
        else:
            raise ValueError(
                f"update_ns() of a timer takes less than 2**63 nanoseconds, got {number:#x}"
            )

    def update_since(self, start: Real, exemplar: ExemplarLabels | None = None) -> None:
        """Record the time from `start` until now. go-ethereum's UpdateSince.

        For durations that begin in one function and end in another; `time()` and `timed` are more
        exact and faster.

        Args:
            start: seconds, as `monotonic()` of the timer's clock returned them: of
                `metrics.clock.SYSTEM_CLOCK` by default, where that is `time.perf_counter()`.
            exemplar: labels of this duration, as `update` takes them.

        Raises:
            TypeError: `start` is not a number, or `exemplar` not a mapping of str to str.
            ValueError: `start` is infinite or NaN, or the name of a label is malformed.
        """
        # Infinity and NaN differ from themselves by NaN.
        if type(start) is not float or start - start != 0.0:
            start = finite(f"{type(self).__name__}.update_since()", start)
        # As exact as the clock's `monotonic()`, without a slot for it in every timer.
        self.update(self._now() / SECOND - start, exemplar)

    def _since(self, start: int) -> None:
        """Record the duration from a time of the clock until the present."""
        ns = self._now() - start
        if ns < 0:
            self._ignored += 1
        else:
            self._record(ns / SECOND, None)

    def time(self, exemplar: ExemplarLabels | None = None) -> "Stopwatch":
        """Return a context manager that records how long its block took, even if it raises.

        `with timer.time() as stopwatch:` has the duration in `stopwatch.seconds`. Works in async
        functions as well, where the duration includes the awaits of the block.

        Args:
            exemplar: labels of this duration, as `update` takes them. A registry's function is
                called at the end of the block.

        Raises:
            TypeError: `exemplar` is not a mapping of str to str.
            ValueError: the name of a label is malformed.
        """
        # A checked copy: the end of a block must not fail for labels.
        return Stopwatch(self, None if exemplar is None else dict(checked_exemplar(exemplar)))

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

    __slots__ = ("_durations", "_exemplar", "_ns", "_start")

    def __init__(self, durations: Durations, exemplar: ExemplarLabels | None) -> None:
        self._durations = durations
        self._exemplar = exemplar
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

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        # The same as `_since`, which returns no duration: every timed call would pay for the int.
        durations = self._durations
        ns = durations._now() - self._start  # noqa: SLF001 - as above
        if ns < 0:
            self._ns = 0
            durations.update_ns(ns)
        else:
            self._ns = ns
            durations._record(ns / SECOND, self._exemplar)  # noqa: SLF001 - as above
