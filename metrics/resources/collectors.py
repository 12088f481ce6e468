"""A hook for each collector: it is ticked while it is in use, and closed in the end.

It goes by the registry's clock, unless it is given one.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar, cast

from metrics.clock import Clock
from metrics.collectors.host import HostCollector
from metrics.collectors.process import ProcessCollector
from metrics.collectors.runtime import RuntimeCollector
from metrics.instruments.snapshot import Instrument, Tickable, TickSource
from metrics.registry import Registry, ticks


class Collector(Tickable, Protocol):
    """What reads values from the outside: ticked while in use, closed in the end."""

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What it feeds."""

    def close(self) -> None:
        """Unregister what was registered."""


C = TypeVar("C", bound=Collector)


@contextmanager
def ticked(registry: Registry, ticker: TickSource, collector: C) -> Iterator[C]:
    """Let a ticker tick a collector of your own making and, after it, the instruments it feeds.

    Nothing is ticked when the registry is disabled.
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


@contextmanager
def host(
    registry: Registry, ticker: TickSource, clock: Clock | None = None
) -> Iterator[HostCollector]:
    """Measure the machine: CPU, memory, disks, network. Needs psutil."""
    with ticked(
        registry, ticker, HostCollector(registry, clock or registry.clock, interval=ticker.interval)
    ) as collector:
        yield collector


@contextmanager
def process(
    registry: Registry, ticker: TickSource, clock: Clock | None = None
) -> Iterator[ProcessCollector]:
    """Measure this process: CPU, memory, threads, open files. Needs psutil."""
    with ticked(registry, ticker, ProcessCollector(registry, clock or registry.clock)) as collector:
        yield collector


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
