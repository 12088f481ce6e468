"""Collector of the machine: its CPUs, memory, disks and network."""

from typing import final

from metrics import _fork
from metrics.clock import Clock
from metrics.collectors._process import CpuLoad, load_psutil
from metrics.instruments import Counter, Meter
from metrics.instruments._inner import TickSource
from metrics.registry import Registry
from metrics.registry._inner import Registrations

# Time that a virtual machine's host took away (steal) is no work of this machine, and the time of
# guests is included in user and nice.
BUSY = ("user", "nice", "system", "irq", "softirq")


@final
class HostCollector:
    """Measures the machine, under go-ethereum's names where it has them.

    Load and wait are in percent of one core: four busy cores show 400. Totals count from the
    creation of the collector, not from the boot of the machine. A disk or network interface that is
    added later counts from its first read; one that is removed or restarts from 0 subtracts
    nothing. Disks are added up as psutil does it; the loopback interface is left out. Values that
    the platform lacks stay 0. Call `tick` from one thread at a time, as a `Ticker` does.

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
        with Registrations(registry, ticker=ticker, clock=clock) as own:
            self._own = own
            self._load = cpu_load(own, "system/cpu/sysload", "CPU time spent working, all cores")
            self._wait = cpu_load(
                own, "system/cpu/syswait", "CPU time spent idle for want of a disk, all cores"
            )
            self._memory = {
                field: own.int_gauge(
                    f"system/memory/{field}", description=description, unit="bytes"
                )
                for field, description in (
                    ("total", "Memory of the machine"),
                    ("available", "Memory that programs can get without swapping"),
                    ("used", "Memory in use, caches left out"),
                )
            }
            self._disks = Totals(disk_instruments(own))
            self._network = Totals(network_instruments(own))
            self.tick()
        _fork.track(self)

    def tick(self) -> None:
        """Read the machine once and update. The ticker calls this."""
        if not self._own.active:
            return
        times = self._psutil.cpu_times()
        now = self._clock.monotonic()
        # The fields depend on the platform.
        self._load.update(sum([getattr(times, field, 0.0) for field in BUSY]), now)
        self._wait.update(getattr(times, "iowait", 0.0), now)
        memory = self._psutil.virtual_memory()
        for field, gauge in self._memory.items():
            gauge.set(getattr(memory, field))
        self._disks.update(self._disk_totals())
        self._network.update(self._network_totals())

    def close(self) -> None:
        """Unregister the instruments. Does nothing the second time."""
        self._own.close()

    def _after_fork(self) -> None:
        """Count from the first tick in the forked process; the parent reports earlier totals."""
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
    """Increments of totals that the system keeps, counted by instruments.

    The first read of a device sets its base line and counts nothing; so does a total that has
    fallen.

    Args:
        instruments: the instruments of each total, in order.
    """

    __slots__ = ("_instruments", "_last")

    def __init__(self, instruments: tuple[tuple[Meter | Counter, ...], ...]) -> None:
        self._instruments = instruments
        self._last: dict[str, tuple[int, ...]] = {}

    def rebase(self) -> None:
        """Let the next update set all base lines."""
        self._last = {}

    def update(self, totals: dict[str, tuple[int, ...]]) -> None:
        """Count the increments of the totals of all devices, by the name of the device."""
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


def cpu_load(own: Registrations, name: str, description: str) -> CpuLoad:
    """Register the two instruments of a CPU time."""
    return CpuLoad(
        own.gauge(name, description=description, unit="percent"),
        own.float_counter(f"{name}/total", description=f"{description}, added up", unit="seconds"),
    )


def disk_instruments(own: Registrations) -> tuple[tuple[Meter | Counter, ...], ...]:
    """Register the instruments of operations read and written, and of bytes read and written."""
    counts: list[tuple[Meter | Counter, ...]] = []
    data: list[tuple[Meter | Counter, ...]] = []
    for verb, done in (("read", "read from"), ("write", "written to")):
        name, description = f"system/disk/{verb}", f"Bytes {done} disks"
        operations = own.meter(f"{name}count", description=f"Operations that have {done} disks")
        rate = own.meter(f"{name}data", description=description, unit="bytes")
        total = own.counter(f"{name}bytes", description=description, unit="bytes")
        counts.append((operations,))
        data.append((rate, total))
    return (*counts, *data)


def network_instruments(own: Registrations) -> tuple[tuple[Meter | Counter, ...], ...]:
    """Register the instruments of bytes received and sent, of errors and of dropped packets."""
    name, interfaces = "system/network", "by all interfaces but loopback"
    return (
        (own.meter(f"{name}/ingress", description=f"Bytes received {interfaces}", unit="bytes"),),
        (own.meter(f"{name}/egress", description=f"Bytes sent {interfaces}", unit="bytes"),),
        (own.counter(f"{name}/errors", description="Packets lost to an error, either way"),),
        (own.counter(f"{name}/drops", description="Packets dropped, either way"),),
    )


def is_loopback(interface: str) -> bool:
    """Return whether a network interface is the loopback interface, judged by its name."""
    return (
        interface == "lo"
        or (interface.startswith("lo") and interface[2:].isdecimal())
        or interface.startswith("Loopback")
    )
