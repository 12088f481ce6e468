import threading
from time import monotonic

import pytest

from metrics import Meter
from metrics.testing import ManualClock
from tests.instruments.test_ewma import KNOWN


def triple(meter):
    snapshot = meter.snapshot()
    return snapshot.rate1, snapshot.rate5, snapshot.rate15


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_the_rates_decay_by_the_known_numbers(minutes):
    known = KNOWN[minutes]
    meter = Meter(clock=ManualClock())
    meter.mark(3)
    meter.tick()
    seen = [getattr(meter.snapshot(), f"rate{minutes}")]
    for _ in known[1:]:
        for _ in range(12):
            meter.tick()
        seen.append(getattr(meter.snapshot(), f"rate{minutes}"))
    assert seen == pytest.approx(known, rel=0, abs=1e-16)


def test_the_mean_rate_is_the_count_over_the_age():
    clock = ManualClock()
    meter = Meter(clock=clock)
    meter.mark(30)
    assert meter.snapshot().rate_mean == 0.0
    clock.advance(12)
    assert meter.snapshot().rate_mean == 2.5


def test_marks_are_counted_at_once_and_rated_at_the_tick():
    meter = Meter(clock=ManualClock())
    meter.mark()
    meter.mark(4)
    assert meter.count == 5
    assert meter.snapshot().to_dict() == {
        "count": 5,
        "1m.rate": 0.0,
        "5m.rate": 0.0,
        "15m.rate": 0.0,
        "mean.rate": 0.0,
    }
    meter.tick()
    assert triple(meter) == (1.0, 1.0, 1.0)
    assert repr(meter) == "Meter(count=5)"


def test_the_interval_scales_the_rates():
    meter = Meter(interval=0.5, clock=ManualClock())
    meter.mark(3)
    meter.tick()
    assert triple(meter) == (6.0, 6.0, 6.0)


@pytest.mark.usefixtures("eager_switching")
def test_the_three_rates_of_a_snapshot_come_from_the_same_tick():
    clock = ManualClock()
    meter, replay = Meter(clock=clock), Meter(clock=clock)
    stop = threading.Event()
    ticks = 0

    def keep_ticking():
        nonlocal ticks
        while not stop.is_set():
            meter.mark(ticks % 7)
            meter.tick()
            ticks += 1

    ticker = threading.Thread(target=keep_ticking)
    ticker.start()
    seen = {triple(meter)}
    reads = 0
    ends = monotonic() + 20.0
    try:
        # The other thread may have to wait for its first turn.
        while reads < 20_000 or (len(seen) < 2 and monotonic() < ends):
            seen.add(triple(meter))
            reads += 1
    finally:
        stop.set()
        ticker.join(10)
    possible = {triple(replay)}
    for tick in range(ticks):
        replay.mark(tick % 7)
        replay.tick()
        possible.add(triple(replay))
    assert len(seen) > 1
    assert seen <= possible
