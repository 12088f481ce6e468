"""The page is one flat JSON object under go-ethereum's keys."""

import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, Histogram, Registry, UniformReservoir
from metrics.exporters import expvar
from metrics.exporters._series.clashes import warn_once
from tests.exporters.examples import gauges, names, numbers
from tests.exporters.formats import read_json


def read(registry: Registry, **options: str) -> dict[str, object]:
    return read_json(expvar.render(registry, **options))


def test_labels_come_before_the_field():
    registry = Registry()
    registry.meters("rpc", labels=("method",)).labels("GET").mark(2)
    assert read(registry)['rpc{method="GET"}.count'] == 2


def test_timers_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    assert read(registry, duration_unit="seconds")["call.max"] == 0.25
    assert read(registry, duration_unit="milliseconds")["call.max"] == 250


@given(st.dictionaries(names, numbers))
def test_numbers_read_back(values):
    registry, recorded = gauges(values)
    assert read(registry) == {
        name: value if math.isfinite(value) else None for name, value in recorded.items()
    }


@pytest.mark.parametrize("name", ["a.max", "a.std-dev"])
def test_of_two_instruments_with_one_key_the_first_is_kept(name, caplog):
    warn_once.cache_clear()
    registry = Registry()
    registry.register("a", Histogram(UniformReservoir(8))).update(1.0)
    registry.counter(name).inc(7)
    with caplog.at_level(logging.WARNING):
        assert read(registry)[name] != 7
    assert f"'{name}' is left out" in caplog.text


def test_an_instrument_with_the_key_of_a_child_is_left_out():
    registry = Registry()
    registry.counters("a", labels=("x",)).labels("1").inc(3)
    registry.register('a{x="1"}', Counter()).inc(7)
    assert read(registry) == {'a{x="1"}': 3}


def test_a_name_with_a_dot_that_is_no_field_stays():
    registry = Registry()
    registry.counter("a").inc()
    registry.counter("a.count").inc(7)
    registry.meter("b")
    registry.counter("b.value").inc(8)
    page = read(registry)
    assert (page["a.count"], page["b.value"]) == (7, 8)
