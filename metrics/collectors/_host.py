"""The machine: its CPUs, memory, disks and network."""

from typing import final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.collectors._owned import Owned
from metrics.collectors._process import CpuLoad, load_psutil
from metrics.instruments._counter import Counter, FloatCounter
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._gauge import Gauge, IntGauge
from metrics.instruments._meter import Meter
from metrics.instruments._snapshot import Instrument
from metrics.registry import Registry

# What a virtual machine's host took away (steal) is no work of this machine, and guests' time is
# part of user and nice already.
BUSY = ("user", "nice", "system", "irq", "softirq")


@final
class HostCollector:
    """Measures the machine, under go-ethereum's names where it has them.

    Load and wait are in percent of one core: four busy cores show 400. Everything that only grows
    counts from the making of the collector, not from the boot of the machine. A disk or network
    interface that comes later counts from when it is first seen, one that goes or starts again
    from 0 takes nothing away. Disks are added up as psutil does it; the loopback interface is left
    out. What the platform does not tell stays 0. Call `tick` from one thread at a time, as a
    `Ticker` does.

    Args:
        registry: where the instruments go.
        clock: measures the time between two ticks.
        interval: seconds between two ticks of the meters, which is their ticker's.

    Raises:
        DuplicateMetricError: a name is taken; nothing stays registered.
        ImportError: psutil is not installed.
        ValueError: `interval` is not positive.
    """

    def __init__(
        self, registry: Registry, clock: Clock = SYSTEM_CLOCK, *, interval: float = INTERVAL
    ) -> None:
        self._clock = clock
        self._psutil = load_psutil()
        with Owned(registry) as owned:
            self._owned = owned
            self._load = cpu_load(owned, "system/cpu/sysload", "CPU time spent working, all cores")
            self._wait = cpu_load(
                owned, "system/cpu/syswait", "CPU time spent idle for want of a disk, all cores"
            )
            self._memory = {
                field: owned.add(f"system/memory/{field}", IntGauge(), description, "bytes")
                for field, description in (
                    ("total", "Memory of the machine"),
                    ("available", "Memory that programs can get without swapping"),
                    ("used", "Memory in use, caches left out"),
                )
            }
            self._disks = Totals(disk_instruments(owned, interval, clock))
            self._network = Totals(network_instruments(owned, interval, clock))
            self.tick()
        _fork.track(self)

    def tick(self) -> None:
        """Read the machine once and update. The ticker calls this."""
        if not self._owned.active:
            return
        times = self._psutil.cpu_times()
        now = self._clock.monotonic()
        # Which of these there are depends on the platform.
        self._load.update(sum([getattr(times, field, 0.0) for field in BUSY]), now)
        self._wait.update(getattr(times, "iowait", 0.0), now)
        memory = self._psutil.virtual_memory()
        for field, gauge in self._memory.items():
            gauge.set(getattr(memory, field))
        self._disks.update(self._disk_totals())
        self._network.update(self._network_totals())

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What the collector feeds, some of which need a ticker of their own."""
        return self._owned.instruments

    def close(self) -> None:
        """Take the instruments out of the registry. Does nothing the second time."""
        self._owned.close()

    def _after_fork(self) -> None:
        """Count from the first tick in the forked process; the parent counts what was before."""
        self._load.rebase()
        self._wait.rebase()
        self._disks.rebase()
        self._network.rebase()

    def _disk_totals(self) -> dict[str, tuple[int, ...]]:
        try:
            # psutil's own treatment of totals that go down is a state shared by the whole program.
            total = self._psutil.disk_io_counters(nowrap=False)
        except NotImplementedError:
            # A sandbox in which the system has no record of disks.
            return {}
        if total is None:
            return {}
        return {"all": (total.read_count, total.write_count, total.read_bytes, total.write_bytes)}

    def _network_totals(self) -> dict[str, tuple[int, ...]]:
        interfaces = self._psutil.net_io_counters(pernic=True, nowrap=False)
        return {
            name: (
                nic.bytes_recv,
                nic.bytes_sent,
                nic.errin + nic.errout,
                nic.dropin + nic.dropout,
            )
            for name, nic in interfaces.items()
            if not is_loopback(name)
        }


@final
class Totals:
    """Gives instruments what totals kept by somebody else have grown since the last look.

    The first time something is seen sets its base line and counts nothing; so does a total that
    has gone down.

    Args:
        instruments: for each total, in order, what to update.
    """

    __slots__ = ("_instruments", "_last")

    def __init__(self, instruments: tuple[tuple[Meter | Counter, ...], ...]) -> None:
        self._instruments = instruments
        self._last: dict[str, tuple[int, ...]] = {}

    def rebase(self) -> None:
        """Let the next update set all base lines."""
        self._last = {}

    def update(self, totals: dict[str, tuple[int, ...]]) -> None:
        """Take the totals of everything there is, by its name."""
        grown = [0] * len(self._instruments)
        for name, now in totals.items():
            before = self._last.get(name, now)
            for at, (old, new) in enumerate(zip(before, now, strict=True)):
                grown[at] += max(new - old, 0)
        self._last = totals
        for amount, instruments in zip(grown, self._instruments, strict=True):
            for instrument in instruments:
                if isinstance(instrument, Meter):
                    instrument.mark(amount)
                else:
                    instrument.inc(amount)


def cpu_load(owned: Owned, name: str, description: str) -> CpuLoad:
    """Register the two instruments of a CPU time."""
    return CpuLoad(
        owned.add(name, Gauge(), description, "percent"),
        owned.add(f"{name}/total", FloatCounter(), f"{description}, added up", "seconds"),
    )


def disk_instruments(
    owned: Owned, interval: float, clock: Clock
) -> tuple[tuple[Meter | Counter, ...], ...]:
    """Register what takes the operations read and written and the bytes read and written."""
    counts: list[tuple[Meter | Counter, ...]] = []
    data: list[tuple[Meter | Counter, ...]] = []
    for verb, done in (("read", "read from"), ("write", "written to")):
        operations = owned.add(
            f"system/disk/{verb}count",
            Meter(interval, clock),
            f"Operations that have {done} disks",
            "",
        )
        description = f"Bytes {done} disks"
        rate = owned.add(f"system/disk/{verb}data", Meter(interval, clock), description, "bytes")
        total = owned.add(f"system/disk/{verb}bytes", Counter(), description, "bytes")
        counts.append((operations,))
        data.append((rate, total))
    return (*counts, *data)


def network_instruments(
    owned: Owned, interval: float, clock: Clock
) -> tuple[tuple[Meter | Counter, ...], ...]:
    """Register what takes the bytes received and sent, the errors and the packets dropped."""
    add = owned.add
    return (
        (
            add(
                "system/network/ingress",
                Meter(interval, clock),
                "Bytes received by all interfaces but loopback",
                "bytes",
            ),
        ),
        (
            add(
                "system/network/egress",
                Meter(interval, clock),
                "Bytes sent by all interfaces but loopback",
                "bytes",
            ),
        ),
        (add("system/network/errors", Counter(), "Packets not received or sent for an error"),),
        (add("system/network/drops", Counter(), "Packets dropped coming in or going out"),),
    )


def is_loopback(interface: str) -> bool:
    """Return whether a network interface is the machine talking to itself, going by its name."""
    return (
        interface == "lo"
        or (interface.startswith("lo") and interface[2:].isdecimal())
        or interface.startswith("Loopback")
    )
