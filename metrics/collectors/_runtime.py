"""The interpreter: garbage collections and their pauses, objects, threads, version."""

import gc
import platform
import sys
import threading
from contextlib import suppress
from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.collectors._owned import Owned
from metrics.instruments._counter import Counter
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._expdecay import ExpDecayReservoir
from metrics.instruments._family import Family
from metrics.instruments._gauge import IntGauge
from metrics.instruments._histogram import Histogram
from metrics.instruments._info import Info
from metrics.instruments._snapshot import Instrument
from metrics.instruments._timer import Timer
from metrics.registry import Registry


@final
class RuntimeCollector:
    """Measures CPython, under go-ethereum's names where it has them.

    Every garbage collection is measured as it happens, in whichever thread it runs, through
    `gc.callbacks`; those before the collector was made are not counted. The gauges are as of the
    last tick.

    Args:
        registry: where the instruments go.
        clock: measures the pauses.
        interval: seconds between two ticks of the timer, which is its ticker's.

    Raises:
        DuplicateMetricError: a name is taken; nothing stays registered.
        ValueError: `interval` is not positive.
    """

    def __init__(
        self, registry: Registry, clock: Clock = SYSTEM_CLOCK, *, interval: float = INTERVAL
    ) -> None:
        self._now = clock.monotonic_ns
        self._began: int | None = None
        with Owned(registry) as owned:
            self._owned = owned
            add = owned.add
            self._pauses = add(
                "system/memory/pauses",
                Timer(Histogram(ExpDecayReservoir(clock=clock)), interval, clock),
                "Garbage collections and how long each has stopped the program",
                "seconds",
            )
            collections = add(
                "python/gc/collections",
                Family(Counter, ("generation",)),
                "Garbage collections by the oldest generation collected",
            )
            # Making a child takes a lock, which a callback must not.
            self._collections = [
                collections.labels(str(generation)) for generation in range(len(gc.get_count()))
            ]
            self._collected = add(
                "python/gc/collected", Counter(), "Objects freed by garbage collections"
            )
            self._uncollectable = add(
                "python/gc/uncollectable", Counter(), "Objects found that cannot be freed"
            )
            self._objects = add(
                "system/memory/objects",
                IntGauge(),
                "Blocks of memory that the interpreter has allocated, about one for each object",
            )
            self._threads = add(
                "python/threads", IntGauge(), "Python threads alive, daemons included"
            )
            add("python/info", Info(), "The interpreter").set(
                {
                    "implementation": platform.python_implementation(),
                    "version": platform.python_version(),
                    "platform": platform.platform(),
                }
            )
            self.tick()
        self._callback = self._on_collection
        if owned.active:
            gc.callbacks.append(self._callback)
        _fork.track(self)

    def tick(self) -> None:
        """Read the interpreter once and update. The ticker calls this."""
        if self._owned.active:
            self._objects.set(sys.getallocatedblocks())
            self._threads.set(threading.active_count())

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What the collector feeds, some of which need a ticker of their own."""
        return self._owned.instruments

    def close(self) -> None:
        """Take out callback and instruments. Does nothing the second time."""
        # Not there when closed before, in a disabled registry, or when the program has removed it.
        with suppress(ValueError):
            gc.callbacks.remove(self._callback)
        self._owned.close()

    def _after_fork(self) -> None:
        """Count the threads of the forked process, and no collection that it does not end."""
        self._began = None
        self.tick()

    def _on_collection(self, phase: str, about: dict[str, int]) -> None:
        """Measure a collection; run by the interpreter before and after it.

        This may interrupt any thread at any allocation, with any lock held: it takes none. One
        collection at a time runs in a process, so that one place to note its begin is enough.
        """
        if phase == "start":
            self._began = self._now()
            return
        began = self._began
        # The collector was made while a collection was under way.
        if began is None:
            return
        self._began = None
        self._pauses.update_ns(max(self._now() - began, 0))
        self._collections[about["generation"]].inc()
        self._collected.inc(about["collected"])
        self._uncollectable.inc(about["uncollectable"])
