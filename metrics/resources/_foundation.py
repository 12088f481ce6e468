"""Hooks of the ticker and the registry, on which all other hooks depend."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from metrics import options
from metrics._fork import survives_fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import remaining
from metrics.instruments._inner import INTERVAL, ExemplarFunction, TickSource
from metrics.registry import Registry
from metrics.registry._inner import close
from metrics.ticker import Ticker


@survives_fork
@contextmanager
def ticker(
    interval: float | str | None = None,
    clock: Clock = SYSTEM_CLOCK,
    *,
    enabled: bool | int | str | None = None,
) -> Iterator[Ticker]:
    """Start a ticker; a disabled one never starts and so has no worker.

    The stop waits for a tick under way, as long as the container has time to stop.

    Args:
        interval: the time between two ticks as `metrics.options.seconds` takes it, 5 s by default.
        clock: the clock that the ticks are due by.
        enabled: the switch as `metrics.options.boolean` takes it, on by default.

    Raises:
        StopTimeoutError: the tick did not end in that time.
        TypeError, ValueError: `interval` is no duration above 0, or `enabled` no switch.
    """
    worker = Ticker(options.seconds(interval, "tick_interval", INTERVAL), clock)
    start = options.boolean(enabled, "enabled", default=True)
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
    enabled: bool | int | str | None = None,
    labels: Mapping[str, str | float | None] | str | None = None,
    exemplars: ExemplarFunction | None = None,
) -> Iterator[Registry]:
    """Create a registry; instruments that are left in it at the stop are removed.

    Args:
        prefix: the beginning of all full names.
        ticker: ticks the instruments that have to be ticked.
        clock: the clock of the instruments that the registry creates.
        enabled: the switch as `metrics.options.boolean` takes it, on by default; switched off,
            every instrument is a no-op.
        labels: constant labels of all instruments, as `metrics.options.labels` takes them.
        exemplars: returns the labels of an exemplar, or None, at each update; see `Registry`.

    Raises:
        TypeError, ValueError: `prefix` or `labels` are malformed, `enabled` is no switch, or
            `exemplars` no function.
    """
    names = Registry(
        prefix or "",
        labels=options.labels(labels, "labels"),
        ticker=ticker,
        clock=clock,
        enabled=options.boolean(enabled, "enabled", default=True),
        exemplars=exemplars,
    )
    try:
        yield names
    finally:
        close(names)
