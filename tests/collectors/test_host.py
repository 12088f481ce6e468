import sys
from itertools import pairwise
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, DuplicateMetricError, Meter, Registry, Ticker
from metrics.collectors import HostCollector
from metrics.collectors._host import Totals, is_loopback
from metrics.registry._inner import store_of
from metrics.testing import ManualClock

UNITS = {
    "system/cpu/sysload": "percent",
    "system/cpu/sysload/total": "seconds",
    "system/cpu/syswait": "percent",
    "system/cpu/syswait/total": "seconds",
    "system/disk/readbytes": "bytes",
    "system/disk/readcount": "",
    "system/disk/readdata": "bytes",
    "system/disk/writebytes": "bytes",
    "system/disk/writecount": "",
    "system/disk/writedata": "bytes",
    "system/memory/available": "bytes",
    "system/memory/total": "bytes",
    "system/memory/used": "bytes",
    "system/network/drops": "",
    "system/network/egress": "bytes",
    "system/network/errors": "",
    "system/network/ingress": "bytes",
}
GROWING = [name for name in UNITS if name.endswith("/total") and "memory" not in name] + [
    name for name in UNITS if name.startswith(("system/disk", "system/network"))
]


def nic(received=0, sent=0, errin=0, errout=0, dropin=0, dropout=0):
    return SimpleNamespace(
        bytes_recv=received,
        bytes_sent=sent,
        errin=errin,
        errout=errout,
        dropin=dropin,
        dropout=dropout,
    )


def disks(read_count=0, write_count=0, read_bytes=0, write_bytes=0):
    return SimpleNamespace(
        read_count=read_count,
        write_count=write_count,
        read_bytes=read_bytes,
        write_bytes=write_bytes,
    )


class Machine:
    """Passes for psutil."""

    def __init__(self):
        self.cpu = SimpleNamespace(user=1000.0, system=500.0, idle=9e6, iowait=70.0)
        self.disks = disks(10**6, 10**6, 10**12, 10**12)
        self.nics = {"lo": nic(10**12, 10**12), "eth0": nic(10**12, 10**12, 50, 50, 50, 50)}
        self.reads = 0

    def cpu_times(self):
        self.reads += 1
        return SimpleNamespace(**vars(self.cpu))

    def virtual_memory(self):
        return SimpleNamespace(total=16_000, available=9_000, used=6_000)

    def disk_io_counters(self, *, nowrap):
        if isinstance(self.disks, Exception):
            raise self.disks
        return self.disks

    def net_io_counters(self, *, pernic, nowrap):
        return dict(self.nics)


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setitem(sys.modules, "psutil", machine)
    return machine


def values(registry, *names):
    snapshot = registry.snapshot()
    return [getattr(snapshot[name], "count" if name in GROWING else "value") for name in names]


def test_names_and_units_are_these():
    registry = Registry()
    HostCollector(registry)
    assert {entry.name: entry.unit for entry in store_of(registry).entries()} == UNITS
    assert all(entry.description for entry in store_of(registry).entries())


def test_the_first_sample_adds_no_totals_since_boot_and_sets_the_gauges():
    registry = Registry()
    HostCollector(registry)
    assert values(registry, *GROWING) == [0] * len(GROWING)
    total, available, used = values(
        registry, "system/memory/total", "system/memory/available", "system/memory/used"
    )
    assert total == psutil.virtual_memory().total
    assert 0 < available <= total
    assert 0 < used <= total


def test_work_on_the_real_machine_is_counted_and_never_more_than_its_cores_can_do():
    registry = Registry()
    collector = HostCollector(registry)
    before = sum(psutil.cpu_times()[:3])
    for _ in range(1000):
        sum(range(200_000))
        collector.tick()
        (used,) = values(registry, "system/cpu/sysload/total")
        if used:
            break
    assert 0 < used <= sum(psutil.cpu_times()) - before + 1


def test_load_is_busy_time_of_all_cores_in_percent_of_one(machine):
    registry, clock = Registry(), ManualClock()
    collector = HostCollector(registry, clock=clock)
    clock.advance(4.0)
    machine.cpu.user += 5.0
    machine.cpu.system += 3.0
    machine.cpu.idle += 100.0
    machine.cpu.iowait += 1.0
    collector.tick()
    names = ["system/cpu/sysload", "system/cpu/syswait"]
    assert values(registry, *names) == [200.0, 25.0]
    assert values(registry, *[f"{name}/total" for name in names]) == [8.0, 1.0]
    clock.advance(4.0)
    collector.tick()
    assert values(registry, *names) == [0.0, 0.0]
    assert values(registry, *[f"{name}/total" for name in names]) == [8.0, 1.0]


def test_interrupts_are_work_but_guests_and_stolen_time_are_not_added(machine):
    machine.cpu = SimpleNamespace(
        user=0.0, nice=0.0, system=0.0, idle=0.0, irq=0.0, softirq=0.0, steal=0.0, guest=0.0
    )
    registry, clock = Registry(), ManualClock()
    collector = HostCollector(registry, clock=clock)
    for field in vars(machine.cpu):
        setattr(machine.cpu, field, 1.0)
    clock.advance(1.0)
    collector.tick()
    assert values(registry, "system/cpu/sysload/total", "system/cpu/syswait/total") == [5.0, 0.0]


def test_a_cpu_time_that_goes_down_is_a_new_base_line(machine):
    registry, clock = Registry(), ManualClock()
    collector = HostCollector(registry, clock=clock)
    clock.advance(1.0)
    machine.cpu.iowait = 3.0
    collector.tick()
    assert values(registry, "system/cpu/syswait", "system/cpu/syswait/total") == [0.0, 0.0]
    clock.advance(1.0)
    machine.cpu.iowait = 3.5
    collector.tick()
    assert values(registry, "system/cpu/syswait", "system/cpu/syswait/total") == [50.0, 0.5]


def test_a_tick_without_time_passed_counts_at_once_and_rates_later(machine):
    registry, clock = Registry(), ManualClock()
    collector = HostCollector(registry, clock=clock)
    machine.cpu.user += 1.0
    collector.tick()
    assert values(registry, "system/cpu/sysload", "system/cpu/sysload/total") == [0.0, 1.0]
    clock.advance(2.0)
    machine.cpu.user += 2.0
    collector.tick()
    assert values(registry, "system/cpu/sysload", "system/cpu/sysload/total") == [150.0, 3.0]


def test_disk_growth_reaches_meters_and_counters_alike(machine):
    registry = Registry()
    collector = HostCollector(registry)
    machine.disks = disks(10**6 + 1, 10**6 + 2, 10**12 + 300, 10**12 + 4000)
    collector.tick()
    names = [name for name in UNITS if name.startswith("system/disk")]
    assert values(registry, *names) == [300, 1, 300, 4000, 2, 4000]


def test_a_machine_without_disks_or_network_leaves_the_instruments_at_0(machine):
    machine.disks = None
    machine.nics = {}
    registry = Registry()
    collector = HostCollector(registry)
    collector.tick()
    machine.disks = NotImplementedError("no record of disks")
    collector.tick()
    names = [name for name in GROWING if "cpu" not in name]
    assert values(registry, *names) == [0] * 10
    machine.disks = disks(5, 5, 500, 500)
    collector.tick()
    assert values(registry, "system/disk/readbytes") == [0]
    machine.disks = disks(5, 5, 507, 500)
    collector.tick()
    assert values(registry, "system/disk/readbytes") == [7]


def test_a_disk_that_vanishes_takes_nothing_away(machine):
    registry = Registry()
    collector = HostCollector(registry)
    machine.disks = disks(7, 10**6 + 1, 900, 10**12)
    collector.tick()
    machine.disks = disks(9, 10**6 + 1, 1000, 10**12)
    collector.tick()
    names = ["system/disk/readcount", "system/disk/readbytes", "system/disk/writecount"]
    assert values(registry, *names) == [2, 100, 1]


def test_network_leaves_loopback_out_and_adds_up_both_directions_of_trouble(machine):
    registry = Registry()
    collector = HostCollector(registry)
    machine.nics["lo"] = nic(10**13, 10**13, 9, 9, 9, 9)
    machine.nics["eth0"] = nic(10**12 + 30, 10**12 + 4, 51, 52, 54, 58)
    collector.tick()
    names = [
        "system/network/ingress",
        "system/network/egress",
        "system/network/errors",
        "system/network/drops",
    ]
    assert values(registry, *names) == [30, 4, 3, 12]


def test_interfaces_that_come_go_or_start_again_count_only_what_was_seen_growing(machine):
    registry = Registry()
    collector = HostCollector(registry)

    def received_after(**nics):
        machine.nics = {name: nic(total) for name, total in nics.items()}
        collector.tick()
        return values(registry, "system/network/ingress")[0]

    assert received_after(eth0=10**12 + 1, vpn=10**9) == 1
    assert received_after(eth0=10**12 + 1, vpn=10**9 + 10) == 11
    assert received_after(eth0=10**12 + 101) == 111
    assert received_after(eth0=5, vpn=10**10) == 111
    assert received_after(eth0=6, vpn=10**10 + 1) == 113


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lo", True),
        ("lo0", True),
        ("Loopback Pseudo-Interface 1", True),
        ("lora0", False),
        ("eth0", False),
        ("loop", False),
    ],
)
def test_loopback_is_known_by_its_name(name, expected):
    assert is_loopback(name) is expected


@given(st.lists(st.integers(0, 2**64), min_size=1, max_size=20))
def test_totals_add_up_every_growth_and_nothing_else(series):
    counter, meter = Counter(), Meter()
    totals = Totals(((counter, meter),))
    for total in series:
        totals.update({"all": (total,)})
    assert counter.count == meter.count == sum(max(b - a, 0) for a, b in pairwise(series))


def test_the_ticker_has_the_collector_feed_its_meters_before_they_tick(machine):
    ticker = Ticker(2.0)
    registry = Registry(ticker=ticker)
    collector = HostCollector(registry)
    ticker.add(collector)
    machine.nics["eth0"] = nic(10**12 + 100, 10**12)
    ticker.tick()
    assert registry.snapshot()["system/network/ingress"].rate1 == 50.0


@pytest.mark.parametrize("name", UNITS)
def test_a_taken_name_leaves_nothing_registered(name):
    registry = Registry()
    taken = registry.info(name)
    with pytest.raises(DuplicateMetricError, match=name):
        HostCollector(registry)
    assert dict(registry) == {name: taken}


def test_a_machine_that_cannot_be_read_leaves_nothing_registered(machine):
    machine.disks = OSError("no /proc")
    registry = Registry()
    with pytest.raises(OSError, match="no /proc"):
        HostCollector(registry)
    assert registry.names() == ()


def test_close_takes_out_its_own_instruments_once_and_no_others(machine):
    ticker = Ticker()
    registry = Registry("host", ticker=ticker)
    collector = HostCollector(registry)
    registry.unregister("system/memory/used")
    other = registry.gauge("system/memory/used")
    collector.close()
    successor = HostCollector(registry.child("second"))
    collector.close()
    assert registry.get("system/memory/used") is other
    assert len(registry) == 1 + len(UNITS)
    successor.close()
    assert registry.names() == ("host/system/memory/used",)
    assert len(ticker) == 0
    reads = machine.reads
    collector.tick()
    assert machine.reads == reads


def test_a_disabled_registry_stays_empty_and_the_machine_is_not_read(machine):
    registry = Registry(enabled=False)
    collector = HostCollector(registry)
    collector.tick()
    collector.close()
    assert (machine.reads, len(registry)) == (0, 0)


def test_without_psutil_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    registry = Registry()
    with pytest.raises(ImportError, match=r"pip install 'wired-metrics\[host\]'"):
        HostCollector(registry)
    assert registry.names() == ()


def test_the_values_read_as_plain_numbers(machine):
    registry, clock = Registry(), ManualClock()
    collector = HostCollector(registry, clock=clock)
    clock.advance(5.0)
    machine.disks.read_bytes += 50
    collector.tick()
    found = registry.to_dict()
    assert found["system/disk/readbytes"] == {"count": 50}
    assert found["system/memory/total"] == {"value": 16_000}
    assert found["system/cpu/sysload"] == {"value": 0.0}
    assert found["system/disk/readdata"] == {
        "count": 50,
        "1m.rate": 0.0,
        "5m.rate": 0.0,
        "15m.rate": 0.0,
        "mean.rate": 10.0,
    }
