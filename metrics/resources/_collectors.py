"""Hooks of collectors, one for each: the collector is ticked until its resource stops.

A collector uses the clock of the registry, unless the hook is given another one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, cast

from metrics._fork import survives_fork
from metrics.clock import Clock
from metrics.collectors._host import HostCollector
from metrics.collectors._process import ProcessCollector
from metrics.collectors._runtime import RuntimeCollector
from metrics.instruments._snapshot import Instrument, Tickable, TickSource
from metrics.registry import Registry, ticks


class Collector(Tickable, Protocol):
    """Reader of values outside the program: ticked while its resource runs, closed at the stop."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The instruments that it feeds."""

    def close(self) -> None:
        """Unregister the instruments."""


C = TypeVar("C", bound=Collector)


@survives_fork
@contextmanager
def ticked(registry: Registry, ticker: TickSource, collector: C) -> Iterator[C]:
    """Let a ticker tick a collector of your own and, after it, the instruments that it feeds.

    If the registry is disabled, they are not ticked.
    """
    members = [cast("Tickable", fed) for fed in collector.instruments if ticks(fed)]
    # The newest addition is ticked first: the collector feeds what is ticked after it.
    members.append(collector)
    try:
        if registry.enabled:
            for member in members:
                ticker.add(member)
        yield collector
    finally:
        for member in reversed(members):
            ticker.discard(member)
        collector.close()


@survives_fork
@contextmanager
def host(
    registry: Registry, ticker: TickSource, clock: Clock | None = None
) -> Iterator[HostCollector]:
    """Measure the machine: CPU, memory, disks, network. Needs psutil."""
    with ticked(
        registry, ticker, HostCollector(registry, clock or registry.clock, interval=ticker.interval)
    ) as collector:
        yield collector


@survives_fork
@contextmanager
def process(
    registry: Registry, ticker: TickSource, clock: Clock | None = None
) -> Iterator[ProcessCollector]:
    """Measure this process: CPU, memory, threads, open files. Needs psutil."""
    with ticked(registry, ticker, ProcessCollector(registry, clock or registry.clock)) as collector:
        yield collector


@survives_fork
@contextmanager
def runtime(
    registry: Registry, ticker: TickSource, clock: Clock | None = None
) -> Iterator[RuntimeCollector]:
    """Measure the interpreter: garbage collection, objects, threads."""
    with ticked(
        registry,
        ticker,
        RuntimeCollector(registry, clock or registry.clock, interval=ticker.interval),
    ) as collector:
        yield collector
