"""Hooks of collectors, one for each: the collector is ticked until its resource stops.

A collector uses the clock of the registry, unless the hook is given another one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from metrics._fork import survives_fork
from metrics.clock import Clock
from metrics.collectors import HostCollector, ProcessCollector, RuntimeCollector
from metrics.instruments._inner import Tickable, TickSource
from metrics.registry import Registry
from metrics.registry._inner import warn_without_ticker
from metrics.resources._shortcut_hooks import needs_ticker


class Collector(Tickable, Protocol):
    """Reader of values outside the program: ticked while its resource runs, closed at the stop."""

    def close(self) -> None:
        """Unregister the instruments."""


C = TypeVar("C", bound=Collector)


@needs_ticker
@survives_fork
@contextmanager
def ticked(registry: Registry, collector: C, *, ticker: TickSource | None = None) -> Iterator[C]:
    """Let the registry's ticker, or this one, tick a collector of your own.

    The collector has registered its instruments; a ticker ticks its newest member first, so that
    they are ticked after the collector has fed them. A disabled registry's are not ticked.
    """
    worker = registry.ticker if ticker is None else ticker
    if registry.enabled:
        warn_without_ticker(registry, worker, type(collector).__name__)
    try:
        if worker is not None and registry.enabled:
            worker.add(collector)
        yield collector
    finally:
        if worker is not None:
            worker.discard(collector)
        collector.close()


@needs_ticker
@survives_fork
@contextmanager
def host(
    registry: Registry, *, ticker: TickSource | None = None, clock: Clock | None = None
) -> Iterator[HostCollector]:
    """Measure the machine: CPU, memory, disks, network. Needs psutil."""
    collector = HostCollector(registry, ticker=ticker, clock=clock)
    with ticked(registry, collector, ticker=ticker):
        yield collector


@needs_ticker
@survives_fork
@contextmanager
def process(
    registry: Registry, *, ticker: TickSource | None = None, clock: Clock | None = None
) -> Iterator[ProcessCollector]:
    """Measure this process: CPU, memory, threads, open files. Needs psutil."""
    collector = ProcessCollector(registry, ticker=ticker, clock=clock)
    with ticked(registry, collector, ticker=ticker):
        yield collector


@needs_ticker
@survives_fork
@contextmanager
def runtime(
    registry: Registry, *, ticker: TickSource | None = None, clock: Clock | None = None
) -> Iterator[RuntimeCollector]:
    """Measure the interpreter: garbage collection, objects, threads."""
    collector = RuntimeCollector(registry, ticker=ticker, clock=clock)
    with ticked(registry, collector, ticker=ticker):
        yield collector
