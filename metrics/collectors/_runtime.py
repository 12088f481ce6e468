"""Collector of the interpreter: garbage collections and their pauses, objects, threads, version."""

import gc
import platform
import sys
import threading
from contextlib import suppress
from typing import final

from metrics import _fork
from metrics.clock import Clock
from metrics.instruments._inner import TickSource
from metrics.registry import Registry
from metrics.registry._inner import Registrations

PAUSE_BOUNDS = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 1.0,
)  # fmt: skip
"""Upper bounds for pauses, in seconds: ten microseconds, a young generation, to one second."""


@final
class RuntimeCollector:
    """Measures CPython, under go-ethereum's names where it has them.

    Every garbage collection is measured as it happens, in any thread, through `gc.callbacks`;
    collections before the creation of the collector are not counted. The gauges have the values of
    the last tick.

    Args:
        registry: the registry of the instruments.
        ticker: ticks the instruments in place of the registry's ticker.
        clock: measures the pauses; by default the registry's.

    Raises:
        DuplicateMetricError: a name is taken; no instrument stays registered.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        ticker: TickSource | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._now = (registry.clock if clock is None else clock).monotonic_ns
        self._began: int | None = None
        with Registrations(registry, ticker=ticker, clock=clock) as own:
            self._own = own
            self._pauses = own.timer(
                "system/memory/pauses",
                bounds=PAUSE_BOUNDS,
                description="Garbage collections, and the pauses of the program that they caused",
            )
            collections = own.counters(
                "python/gc/collections",
                ("generation",),
                description="Garbage collections by the oldest generation collected",
            )
            # Creating a child takes a lock, which a callback must not.
            self._collections = [
                collections.labels(str(generation)) for generation in range(len(gc.get_count()))
            ]
            self._collected = own.counter(
                "python/gc/collected", description="Objects freed by garbage collections"
            )
            self._uncollectable = own.counter(
                "python/gc/uncollectable", description="Objects found that cannot be freed"
            )
            self._objects = own.int_gauge(
                "system/memory/objects",
                description="Allocated memory blocks of the interpreter, about one for each object",
            )
            self._threads = own.int_gauge(
                "python/threads", description="Python threads alive, daemons included"
            )
            own.info("python/info", description="The interpreter").set(
                {
                    "implementation": platform.python_implementation(),
                    "version": platform.python_version(),
                    "platform": platform.platform(),
                }
            )
            self.tick()
        self._callback = self._on_collection
        if own.active:
            gc.callbacks.append(self._callback)
        _fork.track(self)

    def tick(self) -> None:
        """Read the interpreter once and update. The ticker calls this."""
        if self._own.active:
            self._objects.set(sys.getallocatedblocks())
            self._threads.set(threading.active_count())

    def close(self) -> None:
        """Remove the callback and unregister the instruments. Does nothing the second time."""
        # Missing when closed before, in a disabled registry, or when the program has removed it.
        with suppress(ValueError):
            gc.callbacks.remove(self._callback)
        self._own.close()

    def _after_fork(self) -> None:
        """Count the threads of the forked process, and no collection that began before the fork."""
        self._began = None
        self.tick()

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        """Measure a collection; the interpreter calls this before and after it.

        A collection may interrupt any thread at any allocation, with any lock held: this takes
        none. One collection at a time runs in a process, so one attribute for its start is enough.
        """
        if phase == "start":
            self._began = self._now()
            return
        began = self._began
        # The collector was created during a collection.
        if began is None:
            return
        self._began = None
        self._pauses.update_ns(max(self._now() - began, 0))
        self._collections[about["generation"]].inc()
        self._collected.inc(about["collected"])
        self._uncollectable.inc(about["uncollectable"])
