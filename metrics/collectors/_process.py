"""Collector of this process: its CPU time, memory, threads and open files."""

import sys
from types import ModuleType
from typing import final

from metrics import _fork
from metrics._extras import require_extra
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments import FloatCounter, Gauge, IntGauge
from metrics.instruments._inner import TickSource
from metrics.registry import Registry
from metrics.registry._inner import Registrations


@final
class ProcessCollector:
    """Measures the process that creates it, under go-ethereum's names where it has them.

    `system/cpu/procload` is in percent of one core, so that two busy threads may show 200; its
    total counts the seconds since the creation of the collector. The two gauges of file
    descriptors exist only on platforms with file descriptors. Call `tick` from one thread at a
    time, as a `Ticker` does.

    Args:
        registry: the registry of the instruments.
        ticker: ticks the instruments in place of the registry's ticker.
        clock: measures the time between two ticks; by default the registry's.

    Raises:
        DuplicateMetricError: a name is taken; no instrument stays registered.
        ImportError: psutil is not installed.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        ticker: TickSource | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._clock = registry.clock if clock is None else clock
        self._psutil = load_psutil()
        self._watch()
        with Registrations(registry, ticker=ticker, clock=clock) as own:
            self._own = own
            self._percent = own.gauge(
                "system/cpu/procload", description="CPU time of this process", unit="percent"
            )
            total = own.float_counter(
                "system/cpu/procload/total",
                description="CPU time this process has used under observation",
                unit="seconds",
            )
            self._load = CpuLoad(self._percent, total)
            self._threads = own.int_gauge(
                "system/cpu/threads", description="Threads that the system runs for this process"
            )
            self._held = own.int_gauge(
                "system/memory/held", description="Resident memory of this process", unit="bytes"
            )
            self._uptime = own.gauge(
                "process/uptime", description="Age of this process", unit="seconds"
            )
            self._open_fds: IntGauge | None = None
            if sys.platform != "win32":
                self._open_fds = own.int_gauge(
                    "process/open_fds", description="Open file descriptors"
                )
                self._max_fds = own.int_gauge(
                    "process/max_fds",
                    description="Limit of open file descriptors; 0 without a limit",
                )
            self.tick()
        _fork.track(self)

    def tick(self) -> None:
        """Read the process once and update. The ticker calls this."""
        if not self._own.active:
            return
        # One read of the system's record of the process serves all three.
        with self._process.oneshot():
            times = self._process.cpu_times()
            threads = self._process.num_threads()
            memory = self._process.memory_info()
        now = self._clock.monotonic()
        self._load.update(times.user + times.system, now)
        self._threads.set(threads)
        self._held.set(memory.rss)
        self._uptime.set(now - self._started)
        if self._open_fds is not None:
            self._open_fds.set(self._process.num_fds())
            self._max_fds.set(file_limit())

    def close(self) -> None:
        """Unregister the instruments. Does nothing the second time."""
        self._own.close()

    def _watch(self) -> None:
        """Measure the current process from now on."""
        self._process = self._psutil.Process()
        # The system has the start of a process in wall-clock time only.
        age = SYSTEM_CLOCK.time() - self._process.create_time()
        self._started = self._clock.monotonic() - max(age, 0.0)

    def _after_fork(self) -> None:
        """Measure the forked process, and set its values at once."""
        if self._own.active:
            self._watch()
            self._load.rebase()
            self._percent.set(0.0)
            self.tick()


@final
class CpuLoad:
    """CPU time as its total, and as percent of one core since the last read.

    The first update sets the base line and counts nothing.

    Args:
        percent: set at every update that is later than the last one.
        total: increased by the growth of the CPU time.
    """

    __slots__ = ("_at", "_last", "_percent", "_total", "_unrated")

    def __init__(self, percent: Gauge, total: FloatCounter) -> None:
        self._percent = percent
        self._total = total
        self._last: float | None = None
        self._at = 0.0
        self._unrated = 0.0

    def rebase(self) -> None:
        """Let the next update set the base line."""
        self._last = None
        self._unrated = 0.0

    def update(self, seconds: float, now: float) -> None:
        """Update the instruments with a CPU time, in seconds, that was read at the time `now`.

        A CPU time below the last one (a core was removed) is a new base line.
        """
        if self._last is None:
            self._last = seconds
            self._at = now
            return
        grown = max(seconds - self._last, 0.0)
        self._last = seconds
        self._total.inc(grown)
        self._unrated += grown
        elapsed = now - self._at
        # Without elapsed time there is no rate; the CPU time counts at the next read.
        if elapsed > 0.0:
            self._percent.set(100.0 * self._unrated / elapsed)
            self._unrated = 0.0
            self._at = now


def load_psutil() -> ModuleType:
    """Return psutil.

    Raises:
        ImportError: psutil is not installed.
    """
    with require_extra("host"):
        import psutil  # noqa: PLC0415
    return psutil


def file_limit() -> int:
    """Return the limit of open file descriptors of this process, 0 without a limit."""
    # Missing on some platforms.
    import resource  # noqa: PLC0415

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if limit == resource.RLIM_INFINITY else limit
