"""This process: its CPU time, memory, threads and open files."""

import sys
from types import ModuleType
from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.collectors._owned import Owned
from metrics.instruments._counter import FloatCounter
from metrics.instruments._gauge import Gauge, IntGauge
from metrics.instruments._snapshot import Instrument
from metrics.registry import Registry


@final
class ProcessCollector:
    """Measures the process it is made in, under go-ethereum's names where it has them.

    `system/cpu/procload` is in percent of one core, so that two busy threads may show 200; its
    total counts the seconds since the collector was made, not those before. The two gauges of
    file descriptors exist only where the platform has those. Call `tick` from one thread at a
    time, as a `Ticker` does.

    Args:
        registry: where the instruments go.
        clock: measures the time between two ticks.

    Raises:
        DuplicateMetricError: a name is taken; nothing stays registered.
        ImportError: psutil is not installed.
    """

    def __init__(self, registry: Registry, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._psutil = load_psutil()
        self._watch()
        with Owned(registry) as owned:
            self._owned = owned
            add = owned.add
            self._percent = add(
                "system/cpu/procload", Gauge(), "CPU time of this process", "percent"
            )
            self._load = CpuLoad(
                self._percent,
                add(
                    "system/cpu/procload/total",
                    FloatCounter(),
                    "CPU time this process has used while it was watched",
                    "seconds",
                ),
            )
            self._threads = add(
                "system/cpu/threads", IntGauge(), "Threads that the system runs for this process"
            )
            self._held = add(
                "system/memory/held", IntGauge(), "Resident memory of this process", "bytes"
            )
            self._uptime = add("process/uptime", Gauge(), "Age of this process", "seconds")
            self._open_fds: IntGauge | None = None
            if sys.platform != "win32":
                self._open_fds = add("process/open_fds", IntGauge(), "Open file descriptors")
                self._max_fds = add(
                    "process/max_fds",
                    IntGauge(),
                    "Most file descriptors this process may open; 0 if there is no limit",
                )
            self.tick()
        _fork.track(self)

    def tick(self) -> None:
        """Read the process once and update. The ticker calls this."""
        if not self._owned.active:
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

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What the collector feeds, some of which need a ticker of their own."""
        return self._owned.instruments

    def close(self) -> None:
        """Take the instruments out of the registry. Does nothing the second time."""
        self._owned.close()

    def _watch(self) -> None:
        """Measure the process that this runs in from now on."""
        self._process = self._psutil.Process()
        # When the process began is known in the system's wall-clock time only.
        age = SYSTEM_CLOCK.time() - self._process.create_time()
        self._started = self._clock.monotonic() - max(age, 0.0)

    def _after_fork(self) -> None:
        """Measure the forked process, whose values are on its page at once."""
        if self._owned.active:
            self._watch()
            self._load.rebase()
            self._percent.set(0.0)
            self.tick()


@final
class CpuLoad:
    """A CPU time as its total and as percent of one core since the last look.

    The first update sets the base line and counts nothing.

    Args:
        percent: set at every update that comes later than the last one.
        total: increased by what the CPU time has grown.
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
        """Take the CPU time used since whenever, as read at the time `now`.

        One that is less than the last (a core was taken away) is a new base line.
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
        # Until time has passed there is no rate, and what was used waits for the next look.
        if elapsed > 0.0:
            self._percent.set(100.0 * self._unrated / elapsed)
            self._unrated = 0.0
            self._at = now


def load_psutil() -> ModuleType:
    """Return psutil.

    Raises:
        ImportError: it is not installed.
    """
    try:
        # Needed only by those who collect, and not installed for the others.
        import psutil  # noqa: PLC0415
    except ImportError as error:
        raise ImportError(
            "collecting process and host metrics takes psutil: pip install psutil", name="psutil"
        ) from error
    return psutil


def file_limit() -> int:
    """Return how many file descriptors this process may open, 0 if there is no limit."""
    # Not there on every platform.
    import resource  # noqa: PLC0415

    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 0 if limit == resource.RLIM_INFINITY else limit
