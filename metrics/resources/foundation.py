"""The hooks that everything else is declared with: the worker, and the table of names."""

from collections.abc import Iterator
from contextlib import contextmanager

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import remaining
from metrics.instruments.ewma import INTERVAL
from metrics.instruments.snapshot import TickSource
from metrics.registry import Registry
from metrics.ticker import Ticker


@contextmanager
def ticker(
    interval: float | None = None,
    clock: Clock = SYSTEM_CLOCK,
    *,
    enabled: bool | None = None,
) -> Iterator[Ticker]:
    """Start a ticker; disabled, it never starts and so has no worker.

    In the end, a tick that is going on is waited for as long as the container's stop may take.

    Raises:
        StopTimeoutError: the tick did not end in that time.
        TypeError, ValueError: `interval` is not a positive number, or `enabled` not a bool.
    """
    worker = Ticker(INTERVAL if interval is None else interval, clock)
    if switched_on(enabled):
        worker.start()
    try:
        yield worker
    finally:
        worker.stop(remaining())


@contextmanager
def registry(
    prefix: str | None = None,
    *,
    ticker: TickSource | None = None,
    clock: Clock = SYSTEM_CLOCK,
    enabled: bool | None = None,
) -> Iterator[Registry]:
    """Make a registry; what is left in it at the end is removed.

    Args:
        prefix: what full names begin with.
        ticker: ticks what needs it.
        clock: given to the instruments that the registry makes.
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
