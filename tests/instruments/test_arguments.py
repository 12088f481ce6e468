"""What the instruments accept, what they refuse, and what they say about it."""

import re
from math import inf, isnan, nan

import pytest

from metrics import (
    EWMA,
    BucketHistogram,
    Counter,
    ExpDecayReservoir,
    FloatCounter,
    Gauge,
    Histogram,
    IntGauge,
    Meter,
    ResettingReservoir,
    ResettingTimer,
    Timer,
    UniformReservoir,
    UpDownCounter,
)


class Foreign:
    """A number of another library: it can be converted, and nothing else."""

    def __index__(self):
        return 3

    def __float__(self):
        return 3.0


class Meddling(int):
    """An int whose arithmetic must not run inside an update."""

    def __add__(self, other):
        raise AssertionError

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __add__


def ewma():
    return EWMA(1.0, 1.0)


NATURALS = [
    (Counter, "inc"),
    (Meter, "mark"),
    (ewma, "update"),
    (Timer, "update_ns"),
    (ResettingTimer, "update_ns"),
]
INTEGERS = [
    *NATURALS,
    (UpDownCounter, "inc"),
    (UpDownCounter, "dec"),
    (IntGauge, "set"),
    (IntGauge, "inc"),
    (IntGauge, "dec"),
    (IntGauge, "set_max"),
]
AMOUNTS = [(FloatCounter, "inc"), (Timer, "update"), (ResettingTimer, "update")]
FINITES = [
    *AMOUNTS,
    (BucketHistogram, "update"),
    (Histogram, "update"),
    (UniformReservoir, "update"),
    (ExpDecayReservoir, "update"),
    (ResettingReservoir, "update"),
]
GAUGE_UPDATES = [(Gauge, "set"), (Gauge, "inc"), (Gauge, "dec"), (Gauge, "set_max")]
NUMBERS = [*FINITES, *GAUGE_UPDATES]


def reading(instrument):
    """Return the one number that an update has moved."""
    if isinstance(instrument, EWMA):
        instrument.tick()
        return instrument.rate
    snapshot = instrument.snapshot()
    return next(
        getattr(snapshot, name) for name in ("sum", "value", "count") if name in dir(snapshot)
    )


@pytest.mark.parametrize(("make", "method"), INTEGERS)
@pytest.mark.parametrize("value", ["x", "1", b"1", 1.5, 1.0, None, nan])
def test_what_counts_in_ints_refuses_everything_else_and_shows_it(make, method, value):
    instrument = make()
    before = reading(instrument)
    with pytest.raises(TypeError, match=re.escape(repr(value))):
        getattr(instrument, method)(value)
    assert reading(instrument) == before


@pytest.mark.parametrize(("make", "method"), NATURALS)
def test_what_only_goes_up_refuses_a_negative_int_and_shows_it(make, method):
    instrument = make()
    with pytest.raises(ValueError, match=r"got -17\b"):
        getattr(instrument, method)(-17)
    assert reading(instrument) == 0


@pytest.mark.parametrize(("make", "method"), AMOUNTS)
def test_what_only_goes_up_refuses_a_negative_float_and_shows_it(make, method):
    instrument = make()
    with pytest.raises(ValueError, match=r"got -1\.25"):
        getattr(instrument, method)(-1.25)
    assert reading(instrument) == 0


@pytest.mark.parametrize(("make", "method"), FINITES)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_adds_up_refuses_nan_and_infinities_and_stays_clean(make, method, value):
    instrument = make()
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        getattr(instrument, method)(value)
    assert reading(instrument) == 0
    assert instrument.count == 0


@pytest.mark.parametrize(("make", "method"), NUMBERS)
@pytest.mark.parametrize("value", ["x", "1.5", b"1", bytearray(b"1"), None, 1j])
def test_what_takes_numbers_refuses_everything_else_and_shows_it(make, method, value):
    instrument = make()
    with pytest.raises(TypeError, match=re.escape(repr(value))):
        getattr(instrument, method)(value)
    assert reading(instrument) == 0


@pytest.mark.parametrize(("make", "method"), NUMBERS)
def test_an_int_too_large_for_a_float_is_a_value_error(make, method):
    with pytest.raises(ValueError, match="fits a float"):
        getattr(make(), method)(10**400)


@pytest.mark.parametrize(("make", "method"), [*INTEGERS, *NUMBERS])
@pytest.mark.parametrize("value", [3, Foreign(), Meddling(3)], ids=["int", "foreign", "subclass"])
def test_every_kind_of_number_counts_and_becomes_an_exact_one(make, method, value):
    instrument = make()
    getattr(instrument, method)(value)
    number = reading(instrument)
    scale = 1e9 if method == "update_ns" else 1
    assert abs(number) * scale == pytest.approx(3)
    exact_int = (make, method) in INTEGERS and make not in {ewma, Timer, ResettingTimer}
    assert type(number) is (int if exact_int else float)


@pytest.mark.parametrize(("make", "method"), [*INTEGERS, *NUMBERS])
def test_true_counts_as_one(make, method):
    instrument = make()
    getattr(instrument, method)(True)
    number = reading(instrument)
    assert abs(number) == pytest.approx(1e-9 if method == "update_ns" else 1)
    assert type(number) is not bool


@pytest.mark.parametrize("value", [inf, -inf, nan])
def test_a_gauge_takes_nan_and_infinities(value):
    gauge = Gauge()
    gauge.set(value)
    assert isnan(gauge.value) if isnan(value) else gauge.value == value


@pytest.mark.parametrize("reservoir", [UniformReservoir, ExpDecayReservoir, ResettingReservoir])
def test_a_reservoir_of_an_impossible_size_is_refused(reservoir):
    for size in (0, -1):
        with pytest.raises(ValueError, match=f"got {size}"):
            reservoir(size)
    for size in (1.5, "8", None):
        with pytest.raises(TypeError, match=re.escape(repr(size))):
            reservoir(size)


@pytest.mark.parametrize("make", [Meter, lambda interval: Timer(interval=interval)])
def test_an_impossible_interval_is_refused(make):
    for interval in (0, -1.0, nan, inf):
        with pytest.raises(ValueError, match=re.escape(repr(float(interval)))):
            make(interval)
    with pytest.raises(TypeError, match="'5s'"):
        make("5s")
