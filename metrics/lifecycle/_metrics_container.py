"""Reusable part of a program's graph: a registry, its ticker, their clock and its exemplars."""

from typing import ClassVar

from dependency_injector import providers

from metrics import resources
from metrics.clock import SYSTEM_CLOCK, SystemClock
from metrics.instruments._inner import ExemplarFunction
from metrics.lifecycle._container import LifecycleContainer
from metrics.lifecycle._resource import Resource


class MetricsContainer(LifecycleContainer):
    """A registry, the ticker of its instruments, the clock of both, and a source of exemplars.

    Subclass it and declare your instruments below, or embed it with
    `metrics = providers.Container(MetricsContainer, config=config.metrics)`. Both replace a
    provider by an argument of its name: `exemplars=providers.Object(current_span)` is the function
    that returns the labels of the present update, as `Registry` takes it; None by default.

    Configuration, all of it optional; None and empty text mean the default:
        enabled: False, "false", "no", "off" or 0 gives no-op instruments and no worker. Let an
            environment variable be text: `from_env(name, as_=bool)` makes True of "false".
        labels: constant labels of all instruments: a mapping, or text such as
            "service=shop,zone=eu".
        prefix: beginning of the names of all instruments.
        tick_interval: time between two ticks, 5 seconds by default: a number of seconds, or a
            duration such as "500ms", "2.5s" or "1m30s".

    A misspelt key is found by `check()` and before the start. In the configuration of a container
    of this very class, every key is one that is neither an option nor read by another provider. A
    subclass has options of its own, which code outside of the container may read: there, a key is
    misspelt if it closely resembles an option that is not set, and no declaration reads it.
    """

    _known_options: ClassVar[tuple[str, ...]] = ("enabled", "labels", "prefix", "tick_interval")

    config = providers.Configuration()
    clock: providers.Object[SystemClock] = providers.Object(SYSTEM_CLOCK)
    exemplars: providers.Object[ExemplarFunction | None] = providers.Object(None)
    ticker = Resource(
        resources.ticker, interval=config.tick_interval, clock=clock, enabled=config.enabled
    )
    registry = Resource(
        resources.registry,
        prefix=config.prefix,
        ticker=ticker,
        clock=clock,
        enabled=config.enabled,
        labels=config.labels,
        exemplars=exemplars,
    )
