"""Objects of the program's own where an instrument, a reservoir, a clock or chance is wanted."""

import pytest

from metrics import (
    Family,
    Histogram,
    HistogramSnapshot,
    Instrument,
    Ticker,
    Timer,
    UniformReservoir,
)
from metrics.instruments._reservoir import RandomSource, Reservoir
from metrics.instruments._snapshot import Tickable

PROTOCOLS = pytest.mark.parametrize(
    "protocol", [Instrument, Tickable, Reservoir, RandomSource], ids=lambda kind: kind.__name__
)


class Requests:
    """An instrument and a reservoir of the program's own, which inherit from nothing."""

    def __init__(self) -> None:
        self.count = 0
        self.ticks = 0

    def update(self, value: float) -> None:
        self.count += 1

    def tick(self) -> None:
        self.ticks += 1

    def clear(self) -> None:
        self.count = 0

    def snapshot(self, reader: str = "") -> HistogramSnapshot:
        return HistogramSnapshot(self.count, 0.5, [0.5])


def test_an_object_with_the_right_methods_is_a_reservoir():
    reservoir = Requests()
    histogram = Histogram(reservoir)
    histogram.update(2)
    histogram.tick()
    assert (histogram.count, reservoir.ticks) == (1, 1)
    assert histogram.snapshot() == HistogramSnapshot(1, 0.5, [0.5])
    histogram.clear()
    assert reservoir.count == 0


def test_an_object_with_the_right_methods_can_be_the_child_of_a_family():
    family = Family(Requests, ["status"])
    family.labels(200).update(1.0)
    family.tick()
    assert family.labels("200").ticks == 1
    assert family.snapshot().children[("200",)] == HistogramSnapshot(1, 0.5, [0.5])


class Half:
    def random(self) -> float:
        return 0.5


def test_an_object_with_the_right_methods_is_a_source_of_chance():
    reservoir = UniformReservoir(1, rng=Half())
    for value in range(100):
        reservoir.update(value)
    assert reservoir.snapshot().count == 100


class Stopped:
    def monotonic(self) -> float:
        return 5.0

    def monotonic_ns(self) -> int:
        return 5 * 10**9

    time, time_ns = monotonic, monotonic_ns


def test_an_object_with_the_right_methods_is_a_clock():
    timer = Timer(Histogram(UniformReservoir()), clock=Stopped())
    with timer.time():
        pass
    assert timer.snapshot().durations.values == (0.0,)


@PROTOCOLS
def test_a_protocol_can_be_inherited_from(protocol):
    class Mine(protocol):
        count = 0

        def random(self):
            return 0.5

        def update(self, value):
            self.count += 1

        def clear(self):
            pass

        def tick(self):
            self.count += 1

        def snapshot(self, reader=""):
            return HistogramSnapshot(self.count, 0.0, [])

    mine = Mine()
    histogram = Histogram(mine)
    histogram.update(1.0)
    histogram.tick()
    assert histogram.snapshot() == HistogramSnapshot(2, 0.0, [])
    family = Family(Mine, ["a"])
    family.labels("b").tick()
    ticker = Ticker()
    ticker.add(family)
    ticker.tick()
    assert family.snapshot().children == {("b",): HistogramSnapshot(2, 0.0, [])}


@PROTOCOLS
def test_a_protocol_is_not_an_instrument_itself(protocol):
    with pytest.raises(TypeError, match="Protocols cannot be instantiated"):
        protocol()


def test_what_a_protocol_leaves_open_does_nothing():
    class Mine(Reservoir):
        pass

    mine = Mine()
    for _ in range(100):
        assert mine.tick() is None
        assert mine.snapshot() is None
    assert Tickable.tick(object()) is None
