"""Hooks of the ticker and the registry, on which all other hooks depend."""

from collections.abc import Iterator
from contextlib import contextmanager

from metrics._fork import survives_fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import remaining
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._snapshot import TickSource
from metrics.registry import Registry
from metrics.ticker import Ticker


@survives_fork
@contextmanager
def ticker(
    interval: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
    *,
    enabled: bool | None = None,
) -> Iterator[Ticker]:
    """Start a ticker; a disabled one never starts and so has no worker.

    The stop waits for a tick under way, as long as the container has time to stop.

    Raises:
        StopTimeoutError: the tick did not end in that time.
        TypeError, ValueError: `interval` is not a positive number, or `enabled` not a bool.
    """
    worker = Ticker(INTERVAL if interval is None else interval, clock)
    start = switched_on(enabled)
    try:
        if start:
            worker.start()
        yield worker
    finally:
        worker.stop(remaining())


@survives_fork
@contextmanager
def registry(
    prefix: str | None = None,
    *,
    ticker: TickSource | None = None,
    clock: Clock = SYSTEM_CLOCK,
    enabled: bool | None = None,
) -> Iterator[Registry]:
    """Create a registry; instruments that are left in it at the stop are removed.

    Args:
        prefix: the beginning of all full names.
        ticker: ticks the instruments that have to be ticked.
        clock: the clock of the instruments that the registry creates.
        enabled: False makes every instrument a no-op.

    Raises:
        TypeError, ValueError: `prefix` is malformed, or `enabled` not a bool.
    """
    names = Registry(prefix or "", ticker=ticker, clock=clock, enabled=switched_on(enabled))
    try:
        yield names
    finally:
        names.clear()


def switched_on(enabled: object) -> bool:
    """Return whether an `enabled` option is on; raise TypeError if it is not a bool or None."""
    if enabled is None or isinstance(enabled, bool):
        return enabled is not False
    raise TypeError(f"enabled takes True or False, got {enabled!r}")
