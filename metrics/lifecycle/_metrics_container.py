"""Reusable part of a program's graph: a registry, its ticker and their clock."""

from dependency_injector import providers

from metrics import resources
from metrics.clock import SYSTEM_CLOCK, SystemClock
from metrics.lifecycle._container import LifecycleContainer
from metrics.lifecycle._resource import Resource


class MetricsContainer(LifecycleContainer):
    """A registry, the ticker of its instruments, and the clock of both.

    Subclass it and declare your instruments below, or embed it with
    `metrics = providers.Container(MetricsContainer, config=config.metrics)`.

    Configuration, all of it optional:
        enabled: False gives no-op instruments and no worker.
        prefix: beginning of the names of all instruments.
        tick_interval: seconds between two ticks, 5 by default.
    """

    config = providers.Configuration()
    clock: providers.Object[SystemClock] = providers.Object(SYSTEM_CLOCK)
    ticker = Resource(
        resources.ticker, interval=config.tick_interval, clock=clock, enabled=config.enabled
    )
    registry = Resource(
        resources.registry,
        prefix=config.prefix,
        ticker=ticker,
        clock=clock,
        enabled=config.enabled,
    )
