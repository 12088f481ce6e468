"""Durations in nanoseconds, and what measures one block of code."""

from collections.abc import Callable
from types import TracebackType
from typing import final

from metrics.instruments.arguments import natural

NANOSECOND = 1e-9
LONGEST_NS = 1 << 63
"""Nanoseconds that no duration reaches: 292 years."""


def nanoseconds(caller: str, ns: object) -> int:
    """Return a duration in nanoseconds as an exact int.

    Raises:
        TypeError: `ns` is not an integer.
        ValueError: `ns` is negative, or longer than 292 years.
    """
    duration = natural(caller, ns)
    if duration >= LONGEST_NS:
        raise ValueError(f"{caller} takes less than 2**63 nanoseconds, got {duration:#x}")
    return duration


@final
class Stopwatch:
    """Times one `with` block and reports it, also when the block raises.

    Args:
        now: the time in nanoseconds.
        report: takes the duration in nanoseconds.
    """

    __slots__ = ("_now", "_report", "_start")

    def __init__(self, now: Callable[[], int], report: Callable[[int], None]) -> None:
        self._now = now
        self._report = report
        self._start = 0

    def __enter__(self) -> None:
        self._start = self._now()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._report(self._now() - self._start)
