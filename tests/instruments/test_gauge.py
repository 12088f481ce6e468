import asyncio
import sys
from math import inf, nan

import pytest

from metrics import Gauge, GaugeSnapshot, IntGauge, Registry

UPDATES = ["set", "inc", "dec", "set_max"]


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
def test_a_gauge_is_set_and_moved(kind):
    gauge = kind()
    assert gauge.value == 0
    gauge.set(10)
    gauge.inc()
    gauge.inc(5)
    gauge.dec()
    gauge.dec(2)
    assert gauge.value == 13
    assert gauge.snapshot() == GaugeSnapshot(13)
    assert gauge.snapshot().to_dict() == {"value": 13}


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
def test_set_max_only_ever_raises_the_value(kind):
    gauge = kind()
    seen = []
    for value in (3, 1, 7, 7, -2):
        gauge.set_max(value)
        seen.append(gauge.value)
    assert seen == [3, 3, 7, 7, 7]


def test_nan_gives_way_to_any_maximum_and_is_never_one():
    gauge = Gauge()
    gauge.set(nan)
    gauge.set_max(-inf)
    assert gauge.value == -inf
    gauge.set_max(2.0)
    gauge.set_max(nan)
    assert gauge.value == 2.0


def test_an_int_gauge_keeps_ints_that_no_float_can():
    gauge = IntGauge()
    gauge.set(2**70 + 1)
    assert gauge.value == 2**70 + 1
    assert type(gauge.snapshot().value) is int


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
def test_a_function_gauge_reads_its_function_every_time(kind):
    answers = iter([1, 2, 3])
    gauge = kind(function=lambda: next(answers))
    assert gauge.value == 1
    assert gauge.snapshot().value == 2
    assert gauge.snapshot("other reader").value == 3


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
@pytest.mark.parametrize("method", UPDATES)
@pytest.mark.parametrize("value", [1, 1.0])
def test_a_function_gauge_refuses_to_be_set(kind, method, value):
    gauge = kind(function=lambda: 5)
    with pytest.raises(TypeError, match=rf"{kind.__name__}\.{method}\(\).*make one without"):
        getattr(gauge, method)(value)
    assert gauge.value == 5


@pytest.mark.parametrize(("kind", "wrong"), [(Gauge, "12"), (IntGauge, 1.5)])
def test_a_function_that_returns_no_number_is_told_on_reading(kind, wrong):
    gauge = kind(function=lambda: wrong)
    with pytest.raises(TypeError, match=f"function takes .*{wrong}"):
        gauge.snapshot()


def test_what_the_function_raises_reaches_the_reader():
    def fail():
        raise OSError("no such sensor")

    with pytest.raises(OSError, match="no such sensor"):
        Gauge(function=fail).snapshot()


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3)], ids=repr)
def test_a_function_that_is_cancelled_or_exits_fails_like_any_other(kind, error):
    def fail():
        raise error

    for read in (kind(fail).snapshot, lambda: kind(fail).value):
        with pytest.raises(
            RuntimeError, match=r"fail.*raised (CancelledError|SystemExit)"
        ) as caught:
            read()
        assert caught.value.__cause__ is error


def test_one_function_that_exits_leaves_the_other_values_readable():
    registry = Registry()
    registry.register("bad", Gauge(sys.exit))
    registry.register("good", Gauge(lambda: 1.5))
    assert {name: value.value for name, value in registry.snapshot().items()} == {"good": 1.5}


def test_a_function_gauge_gives_the_type_of_its_kind():
    assert type(Gauge(function=lambda: 1).value) is float
    assert type(IntGauge(function=lambda: True).value) is int


def test_the_repr_shows_the_value_or_the_function():
    assert repr(Gauge()) == "Gauge(0.0)"
    assert repr(IntGauge()) == "IntGauge(0)"
    assert "max" in repr(Gauge(function=max))
