"""What the instruments accept, what they refuse, and what they say about it."""

import random
import re
import time
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from math import inf, isnan, nan

import pytest

from metrics import (
    EWMA,
    BucketHistogram,
    Counter,
    ExpDecayReservoir,
    FloatCounter,
    FloatUpDownCounter,
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
from metrics.clock import SystemClock


class Foreign:
    """A number of another library: it can be converted, and nothing else."""

    def __index__(self):
        return 3

    def __float__(self):
        return 3.0


class Negative(Foreign):
    def __float__(self):
        return -3.0


class One(IntEnum):
    ONE = 1


class Meddling(int):
    """An int whose arithmetic must not run inside an update."""

    def __add__(self, other):
        raise AssertionError

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __float__ = __add__


class Stubborn(float):
    """A float whose arithmetic and conversion must not run inside an update."""

    def __add__(self, other):
        raise AssertionError

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __float__ = __add__


class Text(str):
    """A string with the methods of a number, as NumPy's strings have them."""

    __slots__ = ()

    def __float__(self):
        raise AssertionError

    __index__ = __float__


class Mute:
    """An object that is no number, and says so in the type."""

    __float__ = __index__ = None


def ewma():
    return EWMA(1.0, 1.0)


def buckets():
    return BucketHistogram((1, 2))


NATURALS = [(Counter, "inc"), (Meter, "mark"), (ewma, "update")]
DURATIONS_NS = [(Timer, "update_ns"), (ResettingTimer, "update_ns")]
INTEGERS = [
    *NATURALS,
    *DURATIONS_NS,
    (UpDownCounter, "inc"),
    (UpDownCounter, "dec"),
    (IntGauge, "set"),
    (IntGauge, "inc"),
    (IntGauge, "dec"),
    (IntGauge, "set_max"),
]
FINITES = [
    (FloatCounter, "inc"),
    (FloatUpDownCounter, "inc"),
    (FloatUpDownCounter, "dec"),
    (Timer, "update"),
    (ResettingTimer, "update"),
    (buckets, "update"),
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


@pytest.mark.parametrize("value", [-1.25, -2, Negative(), Stubborn(-1.25)])
def test_a_float_counter_only_grows(value):
    counter = FloatCounter()
    with pytest.raises(ValueError, match=r"negative, got -"):
        counter.inc(value)
    assert counter.count == 0


@pytest.mark.parametrize(("make", "method"), FINITES)
@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_what_adds_up_refuses_nan_and_infinities_and_stays_clean(make, method, value):
    instrument = make()
    with pytest.raises(ValueError, match=re.escape(repr(value))):
        getattr(instrument, method)(value)
    assert reading(instrument) == 0
    assert instrument.count == 0


@pytest.mark.parametrize(("make", "method"), NUMBERS)
@pytest.mark.parametrize(
    "value",
    [
        "x",
        "1.5",
        b"1",
        bytearray(b"1"),
        memoryview(b"1"),
        Text("1"),
        None,
        1j,
        [1.0],
        Mute(),
        float,
    ],
)
def test_what_takes_numbers_refuses_everything_else_and_shows_it(make, method, value):
    instrument = make()
    with pytest.raises(TypeError, match=re.escape(repr(value))):
        getattr(instrument, method)(value)
    assert reading(instrument) == 0


@pytest.mark.parametrize(("make", "method"), NUMBERS)
def test_an_int_too_large_for_a_float_is_a_value_error(make, method):
    with pytest.raises(ValueError, match="fits a float"):
        getattr(make(), method)(10**400)


@pytest.mark.parametrize(("make", "method"), NUMBERS)
@pytest.mark.parametrize("value", [Stubborn(3), Fraction(3), Decimal(3)], ids=type)
def test_every_kind_of_real_number_becomes_an_exact_float(make, method, value):
    instrument = make()
    getattr(instrument, method)(value)
    number = reading(instrument)
    assert abs(number) == 3.0
    assert type(number) is float


@pytest.mark.parametrize(("make", "method"), NUMBERS)
@pytest.mark.parametrize("value", [-0.0, -113.0, 5e-324, 2.0**1023, 2**53 + 1, -(2**70), 10**300])
def test_a_conversion_rounds_as_float_does(make, method, value):
    instrument = make()
    if value < 0 and make in {FloatCounter, Timer, ResettingTimer}:
        value = -value
    getattr(instrument, method)(value)
    assert abs(reading(instrument)) == (
        0.0 if method == "set_max" and value < 0 else abs(float(value))
    )


def test_numpy_scalars_are_numbers():
    numpy = pytest.importorskip("numpy")
    for kind in (numpy.float64, numpy.float32, numpy.int64, numpy.uint8, numpy.bool_):
        gauge = Gauge()
        gauge.set(kind(1))
        assert gauge.value == 1.0
        assert type(gauge.value) is float
    gauge = IntGauge()
    gauge.set(numpy.int64(2))
    assert type(gauge.value) is int
    for wrong in (
        numpy.str_("1"),
        numpy.bytes_(b"1"),
        numpy.complex128(1),
        numpy.array([1.0, 2.0]),
    ):
        with pytest.raises(TypeError):
            Gauge().set(wrong)
    for wrong in (numpy.float64(1), numpy.str_("1"), numpy.array([1, 2])):
        with pytest.raises(TypeError, match=r"takes an int"):
            Counter().inc(wrong)


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
@pytest.mark.parametrize("value", [True, One.ONE], ids=["bool", "enum"])
def test_true_and_an_enum_count_as_one(make, method, value):
    instrument = make()
    getattr(instrument, method)(value)
    number = reading(instrument)
    assert abs(number) == pytest.approx(1e-9 if method == "update_ns" else 1)
    assert type(number) in {int, float}


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


@pytest.mark.parametrize(
    "make",
    [
        lambda clock: Timer(clock=clock),
        lambda clock: ResettingTimer(clock=clock),
        lambda clock: ExpDecayReservoir(clock=clock),
    ],
    ids=["timer", "resetting timer", "reservoir"],
)
@pytest.mark.parametrize("wrong", [None, 5.0, time.monotonic, SystemClock, object()])
def test_a_clock_that_lacks_a_method_is_refused(make, wrong):
    with pytest.raises(TypeError, match=r"\(clock\) takes a clock, got .*; pass SYSTEM_CLOCK"):
        make(wrong)
    assert make(time).count == 0


@pytest.mark.parametrize("make", [UniformReservoir, ExpDecayReservoir])
@pytest.mark.parametrize("wrong", [None, 5, random.random, random.Random])
def test_a_source_of_chance_that_cannot_be_drawn_from_is_refused(make, wrong):
    with pytest.raises(TypeError, match=rf"{make.__name__}\(rng\) takes a random\.Random, got "):
        make(rng=wrong)
    assert make(rng=random.Random(1)).count == make(rng=random).count == 0
