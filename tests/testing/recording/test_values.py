"""Every update of a histogram or timer is recorded, in order, and the instrument stays itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import (
    BucketHistogram,
    ExpDecayReservoir,
    Family,
    Histogram,
    Registry,
    ResettingReservoir,
    ResettingTimer,
    Timer,
    UniformReservoir,
)
from metrics.registry._inner import store_of
from metrics.testing import recorded

RESERVOIRS = [
    lambda: ExpDecayReservoir(4),
    lambda: UniformReservoir(4),
    lambda: ResettingReservoir(4),
]
HISTOGRAMS = [
    *[lambda make=make: Histogram(make()) for make in RESERVOIRS],
    lambda: BucketHistogram((0.5, 30.0)),
]
NUMBERS = st.lists(st.floats(0, 1e9) | st.integers(0, 10**9))


@pytest.mark.parametrize("make", HISTOGRAMS)
@given(before=NUMBERS, inside=NUMBERS)
def test_all_updates_are_there_in_order_however_few_the_histogram_keeps(make, before, inside):
    registry = Registry()
    histogram = registry.register("h", make())
    timer = registry.register("t", Timer(make()))
    for value in before:
        histogram.update(value)
        timer.update(value)
    with recorded(registry) as changes:
        for value in inside:
            histogram.update(value)
            timer.update(value)
    assert changes["h"].values == changes["t"].values == tuple(inside)
    assert changes["h"].count == changes["t"].count == len(inside)
    assert changes["h"].sum == pytest.approx(sum(inside), rel=1e-12)
    assert histogram.count == timer.count == len(before) + len(inside)


@pytest.mark.parametrize("make", RESERVOIRS)
def test_afterwards_the_histogram_has_its_own_reservoir_back(make):
    registry = Registry()
    histogram = registry.register("h", Histogram(make()))
    before = (histogram._reservoir, histogram._decaying)
    with recorded(registry), recorded(registry):
        assert repr(histogram).startswith("Histogram(" + type(before[0]).__name__)
        histogram.update(1)
        histogram.tick()
    assert (histogram._reservoir, histogram._decaying) == before
    assert histogram.snapshot().count == 1


def test_buckets_that_nobody_listens_to_any_more_count_on():
    registry = Registry()
    histogram = registry.bucket_histogram("h", unit="seconds")
    with recorded(registry) as outer:
        with recorded(registry) as inner:
            histogram.update(1)
        histogram.update(2)
    histogram.update(3)
    assert inner["h"].values == (1.0,)
    assert outer["h"].values == (1.0, 2.0)
    assert (histogram._listeners, histogram._silence) == ((), 0.0)
    assert (histogram.count, histogram.snapshot().sum) == (3, 6.0)


def test_the_block_that_fails_leaves_everything_as_it_was():
    registry = Registry()
    histogram = registry.histogram("h")
    family = registry.register("f", Family(Histogram, ("x",)))
    reservoir = histogram._reservoir
    with pytest.raises(ZeroDivisionError), recorded(registry):
        family.labels(1).update(1 / 0)
    assert histogram._reservoir is reservoir
    assert family._factory is Histogram
    assert isinstance(family.labels(1)._reservoir, ExpDecayReservoir)
    assert isinstance(family.labels(2)._reservoir, ExpDecayReservoir)
    assert store_of(registry).watchers == []


def test_what_is_made_in_the_block_has_all_its_updates_too():
    registry = Registry()
    family = registry.register("f", Family(Timer, ("x",)))
    family.labels("old").update(9)
    with recorded(registry) as outer, recorded(registry) as inner:
        for value in (3, 1, 2):
            registry.histogram("h").update(value)
            family.labels("new").update(value)
        family.labels("old").update(4)
    for changes in (outer, inner):
        assert changes["h"].values == changes["f"].labels("new").values == (3.0, 1.0, 2.0)
        assert changes["f"].labels("old").values == (4.0,)
        assert (changes["f"].count, changes["f"].sum) == (4, 10.0)


def test_a_histogram_that_lost_its_name_in_the_block_has_its_own_reservoir_back():
    registry = Registry()
    histogram = registry.histogram("h")
    reservoir = histogram._reservoir
    with recorded(registry) as changes:
        registry.unregister("h")
        registry.histogram("h").update(5)
        assert histogram._reservoir is reservoir
    assert changes["h"].values == (5.0,)


@pytest.mark.parametrize("make", HISTOGRAMS)
def test_a_refused_update_is_not_recorded(make):
    registry = Registry()
    histogram = registry.register("h", make())
    with recorded(registry) as changes:
        with pytest.raises(ValueError, match="nan"):
            histogram.update(float("nan"))
        with pytest.raises(TypeError):
            histogram.update("1")
    assert changes["h"].values == ()


def test_updates_before_a_clear_are_recorded_all_the_same():
    registry = Registry()
    histogram = registry.histogram("h")
    histogram.update(1)
    with recorded(registry) as changes:
        histogram.update(2)
        histogram.clear()
        histogram.update(3)
    assert changes["h"].values == (2.0, 3.0)
    assert histogram.snapshot().values == (3.0,)


def test_an_instrument_with_two_names_is_recorded_under_both():
    registry = Registry()
    histogram = registry.register("a", Histogram())
    registry.register("b", histogram)
    with recorded(registry) as changes:
        histogram.update(1)
    assert changes["a"].values == changes["b"].values == (1.0,)


@given(before=NUMBERS, inside=NUMBERS, reads=st.sets(st.integers(0, 20)))
def test_a_resetting_timer_has_all_updates_in_order_however_often_they_are_looked_at(
    before, inside, reads
):
    registry = Registry()
    timer = registry.resetting_timer("t")
    for value in before:
        timer.update(value)
    with recorded(registry) as changes:
        for number, value in enumerate(inside):
            timer.update(value)
            if number in reads:
                assert changes["t"].values == tuple(inside[: number + 1])
    assert changes["t"].values == tuple(inside)


def test_a_resetting_timer_tells_that_it_kept_too_few_to_have_all_values():
    registry = Registry()
    timer = registry.register("t", ResettingTimer(2))
    timer.update(1)
    with recorded(registry) as changes:
        for _ in range(9):
            timer.update(2)
    assert (changes["t"].count, changes["t"].sum) == (9, 18.0)
    with pytest.raises(AttributeError, match=r"has no 'values'; it has count, sum$"):
        changes["t"].values  # noqa: B018 - it raises


@given(before=NUMBERS, inside=NUMBERS)
def test_of_buckets_there_are_counts_by_upper_bound_too(before, inside):
    registry = Registry()
    instrument = registry.register("b", Timer(BucketHistogram((1, 1e3, 1e6))))
    for value in before:
        instrument.update(value)
    begin = instrument.snapshot().durations.counts
    with recorded(registry) as changes:
        for value in inside:
            instrument.update(value)
    end = instrument.snapshot().durations.counts
    bounds = ("1.0", "1000.0", "1000000.0", "+Inf")
    grown = {b: new - old for b, new, old in zip(bounds, end, begin, strict=True) if new > old}
    assert changes["b"].counts == grown


class Elsewhere:
    """An instrument of a program's own, whose values were read elsewhere."""

    def __init__(self, instrument):
        self._snapshot = instrument.snapshot()

    def snapshot(self, reader=""):
        return self._snapshot


def test_what_was_read_elsewhere_has_counts_and_a_sum_without_values():
    registry = Registry()
    histogram = BucketHistogram((0.5, 30.0))
    histogram.update(0.5)
    registry.register("b", Elsewhere(histogram))
    with recorded(registry) as changes:
        for value in (0.5, 0.4, 100):
            histogram.update(value)
        registry.unregister("b")
        registry.register("b", Elsewhere(histogram))
    assert changes["b"].numbers == {
        "count": 4, "sum": pytest.approx(101.4), "counts": {"0.5": 3, "+Inf": 1}
    }  # fmt: skip


@pytest.mark.parametrize("make", HISTOGRAMS)
def test_a_child_that_was_never_made_has_no_values_and_no_durations(make):
    registry = Registry()
    registry.register("f", Family(lambda: Timer(make()), ("x",)))
    with recorded(registry) as changes:
        pass
    unmade = changes["f"].labels("?")
    assert unmade.values == ()
    assert unmade.to_dict(durations=False) == {"count": 0}


def test_a_family_as_a_whole_has_no_values():
    registry = Registry()
    registry.register("f", Family(Histogram, ("x",)))
    registry.gauges("g", labels=("x",)).labels(1).set(3)
    with recorded(registry) as changes:
        pass
    with pytest.raises(AttributeError, match=r"has no 'values', it has count, sum; ask a child"):
        changes["f"].values  # noqa: B018 - it raises
    with pytest.raises(AttributeError, match=r"has no 'value', it has delta; ask a child"):
        changes["g"].value  # noqa: B018 - it raises
    assert changes["g"].labels(1).value == 3.0


@pytest.mark.parametrize("make", HISTOGRAMS)
def test_values_equal_a_list_and_a_tuple_of_the_same_numbers(make):
    registry = Registry()
    histogram = registry.register("h", make())
    with recorded(registry) as changes:
        histogram.update(3)
        histogram.update(5)
    values = changes["h"].values
    assert values == [3, 5]
    assert [3, 5] == values  # noqa: SIM300 - the other way round
    assert values == (3.0, 5.0)
    assert values == pytest.approx([3, 5])
    assert values != [3]
    assert values != (5, 3)
    assert values != {3, 5}
    assert not values != [3, 5]  # noqa: SIM202 - the operator itself
    assert hash(values) == hash((3.0, 5.0))
    assert (repr(values), list(values), values[0], len(values)) == ("(3.0, 5.0)", [3, 5], 3, 2)


@pytest.mark.parametrize("make", [*HISTOGRAMS, ResettingTimer])
@given(inside=st.lists(st.floats(0, 100), max_size=20), p=st.floats(0, 1))
def test_percentiles_are_those_of_a_snapshot_of_all_values(make, inside, p):
    registry = Registry()
    instrument = registry.register("h", make())
    instrument.update(1e6)
    with recorded(registry) as changes:
        for value in inside:
            instrument.update(value)
    sample = Histogram(UniformReservoir(1000))
    for value in inside:
        sample.update(value)
    assert changes["h"].percentile(p) == sample.snapshot().percentile(p)


def test_a_fraction_that_is_none_and_an_instrument_without_values_have_no_percentile():
    registry = Registry()
    registry.histogram("h")
    registry.counter("c")
    with recorded(registry) as changes:
        pass
    assert changes["h"].percentile(0.5) == 0.0
    for change in (changes["h"], changes["other"]):
        with pytest.raises(ValueError, match="fraction between 0 and 1, got 50"):
            change.percentile(50)
    with pytest.raises(
        AttributeError, match="the change of a Counter has no 'values'; it has count"
    ):
        changes["c"].percentile(0.5)


@given(before=st.floats(-1e9, 1e9), inside=st.lists(st.floats(-1e9, 1e9)))
def test_a_gauge_has_the_difference_between_its_last_and_its_first_value(before, inside):
    registry = Registry()
    gauge = registry.gauge("g")
    gauge.set(before)
    with recorded(registry) as changes:
        for value in inside:
            gauge.set(value)
        registry.gauge("new").set(before)
    last = inside[-1] if inside else before
    assert (changes["g"].value, changes["g"].delta) == (last, last - before)
    assert (changes["new"].value, changes["new"].delta) == (before, before)
    changes.assert_recorded("g", delta=last - before)


def test_a_gauge_with_a_function_has_a_delta_too_and_an_info_has_none():
    registry = Registry()
    sizes = [1, 2]
    registry.gauge("size", function=lambda: len(sizes))
    registry.info("build")
    with recorded(registry) as changes:
        sizes.append(3)
    assert changes["size"].delta == 1.0
    with pytest.raises(AttributeError, match="the change of a Info has no 'delta'; it has value"):
        changes["build"].delta  # noqa: B018 - it raises
