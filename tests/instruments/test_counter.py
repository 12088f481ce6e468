import gc

import pytest

from metrics import (
    COMPILED,
    Counter,
    CounterSnapshot,
    FloatCounter,
    FloatUpDownCounter,
    UpDownCounter,
    UpDownCounterSnapshot,
)


def test_a_counter_adds_one_unless_told_how_many():
    counter = Counter()
    counter.inc()
    counter.inc(41)
    counter.inc(0)
    assert counter.count == 42
    assert counter.snapshot() == CounterSnapshot(42)
    assert repr(counter) == "Counter(count=42)"


def test_a_counter_stays_exact_above_what_a_float_can_hold():
    counter = Counter()
    counter.inc(2**53)
    counter.inc()
    assert counter.snapshot().count == 2**53 + 1


def test_a_float_counter_adds_up_amounts():
    counter = FloatCounter()
    counter.inc()
    counter.inc(0.5)
    counter.inc(2)
    assert counter.count == 3.5
    assert counter.snapshot() == CounterSnapshot(3.5)
    assert repr(counter) == "FloatCounter(count=3.5)"


def test_an_up_down_counter_goes_both_ways_and_below_zero():
    counter = UpDownCounter()
    counter.inc()
    counter.inc(4)
    counter.dec()
    counter.dec(7)
    assert counter.count == -3
    counter.inc(-2)
    counter.dec(-1)
    assert counter.snapshot() == UpDownCounterSnapshot(-4)
    assert repr(counter) == "UpDownCounter(count=-4)"


def test_a_float_up_down_counter_goes_both_ways_and_below_zero():
    counter = FloatUpDownCounter()
    counter.inc()
    counter.inc(0.5)
    counter.dec()
    counter.dec(3)
    assert counter.count == -2.5
    counter.inc(-1.25)
    counter.dec(-0.75)
    assert counter.snapshot() == UpDownCounterSnapshot(-3.0)
    assert type(counter.snapshot().count) is float
    assert repr(counter) == "FloatUpDownCounter(count=-3.0)"


@pytest.mark.parametrize("kind", [Counter, FloatCounter, UpDownCounter, FloatUpDownCounter])
def test_clear_starts_again_from_zero_and_leaves_old_snapshots_alone(kind):
    counter = kind()
    counter.inc(5)
    before = counter.snapshot()
    counter.clear()
    assert counter.count == 0
    assert before.count == 5
    counter.inc()
    assert counter.snapshot().to_dict() == {"count": 1}


@pytest.mark.skipif(not COMPILED, reason="interpreted, every instrument is tracked")
@pytest.mark.parametrize("kind", [Counter, FloatCounter])
def test_the_garbage_collector_tracks_a_counter_from_its_first_exemplar_on(kind):
    counter = kind()
    counter.inc()
    assert not gc.is_tracked(counter)
    counter.inc(exemplar={"trace_id": "1"})
    assert gc.is_tracked(counter)
    counter.clear()
    counter.inc(exemplar={"trace_id": "2"})
    assert gc.is_tracked(counter)
