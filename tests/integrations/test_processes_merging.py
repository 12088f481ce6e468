"""Sums over processes are exact in every order, and bounded."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.clock import SYSTEM_CLOCK
from metrics.integrations._group.building import (
    MergedEntries,
    free_label,
    gauge_value,
    health_of,
    merge_samples,
    split_child,
)
from metrics.integrations._group.files import SeriesTable
from metrics.integrations._group.merging import (
    Child,
    Contribution,
    MergedTables,
    exact_sum,
    merge,
    partials,
    sum_up,
)
from metrics.integrations._group.reading import RegistryColumns
from metrics.registry._inner import store_of

finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)


def table(**counts: float) -> SeriesTable:
    registry = Registry()
    for name, count in counts.items():
        if isinstance(count, int):
            registry.counter(name).inc(count)
        else:
            registry.float_counter(name).inc(count)
    return table_of(registry)


def table_of(registry: Registry) -> SeriesTable:
    columns = RegistryColumns(SYSTEM_CLOCK, lambda _: "sum")
    return columns.read(store_of(registry).entries())


def values(*contributions: Contribution) -> dict[str, float]:
    entries = MergedEntries().merge((), merge(contributions), "", 0.0)
    return {entry.name: entry.instrument.snapshot().scalar for entry in entries}


@given(st.lists(finite, max_size=30))
def test_partials_have_the_exact_sum(numbers):
    found = partials(numbers)
    assert sum(map(Fraction, found), Fraction()) == sum(map(Fraction, numbers), Fraction())
    assert len(found) <= 40


@given(st.lists(st.floats(min_value=0, max_value=1e9), min_size=1, max_size=12), st.randoms())
def test_a_sum_is_the_same_however_many_processes_have_ended(numbers, rng):
    alive = [Contribution(i, table(a=n)) for i, n in enumerate(numbers)]
    expected = math.fsum(numbers)
    total = sum_up([])
    rng.shuffle(alive)
    while alive:
        assert values(*alive, Contribution(None, total)) == {"a": expected}
        total = sum_up([total, alive.pop().table])
    assert values(Contribution(None, total)) == {"a": expected}


def test_sums_beyond_a_float_are_infinite():
    assert exact_sum([1e308] * 10) == math.inf
    assert exact_sum([math.inf, 1.0]) == math.inf
    assert partials([math.inf, 1.0]) == [math.inf]


def test_processes_with_other_series_add_up_by_name():
    first, second = table(a=1, b=2), table(b=3, c=4, d=0.5)
    assert values(Contribution(0, first), Contribution(1, second)) == {
        "a": 1,
        "b": 5,
        "c": 4,
        "d": 0.5,
    }
    total = sum_up([first, second, first])
    assert values(Contribution(None, total), Contribution(0, second)) == {
        "a": 2,
        "b": 10,
        "c": 8,
        "d": 1.0,
    }


def test_children_of_several_sets_add_up_by_their_label_values():
    def with_children(*codes):
        registry = Registry()
        for code in codes:
            registry.counters("requests", labels=("code",)).labels(code).inc()
            registry.timers("time", labels=("code",), bounds=(1,)).labels(code).update(0.5)
        return table_of(registry)

    parts = [with_children("a", "b"), with_children("b", "c", "a"), with_children("d")]
    contributions = [Contribution(i, part) for i, part in enumerate(parts)]
    entries = MergedEntries().merge((), merge(contributions), "", 0.0)
    found = {entry.name: entry.instrument.snapshot().children for entry in entries}
    expected = {"a": 2, "b": 2, "c": 1, "d": 1}
    assert {v[0]: c.count for v, c in found["requests"].items()} == expected
    assert {v[0]: c.count for v, c in found["time"].items()} == expected
    assert found["time"]["a",].durations.counts == (2, 0)


def test_the_total_of_ended_processes_is_bounded(caplog):
    total = sum_up([table(a=1, b=1, c=1)], most=2)
    assert values(Contribution(None, total)) == {"a": 1, "b": 1}
    assert "1 series of ended processes are dropped" in caplog.text


@pytest.mark.parametrize(
    ("samples", "weights", "expected"),
    [
        ([], [], []),
        ([[], []], [0, 0], []),
        ([[1.0, 2.0]], [2], [1.0, 2.0]),
        ([[1.0, 2.0], []], [2, 0], [1.0, 2.0]),
        ([[1.0], [2.0]], [1, 1], [1.0, 2.0]),
        ([[1.0, 3.0], [2.0, 4.0]], [2, 2], [1.0, 2.0, 3.0, 4.0]),
        ([[1.0, 1.0], [9.0, 9.0]], [999, 1], [1.0] * 4 + [9.0]),
        ([[1.0], [2.0]], [0, 0], [1.0, 2.0]),
    ],
)
def test_samples_are_merged_by_weight(samples, weights, expected):
    assert merge_samples(samples, weights) == expected


def living(levels=(), texts=()):
    child = Child([], [])
    child.numbers = [*range(1, max(len(levels), len(texts)) + 1)]
    child.levels, child.texts = [*levels], [*texts]
    return child


@pytest.mark.parametrize(
    ("mode", "value"), [("min", -1.0), ("max", 3.0), ("last", 2.0), ("sum", 4.0)]
)
def test_a_gauge_has_one_value_of_the_living_processes_by_its_mode(mode, value):
    # Each has its value, and the time of its last change.
    assert gauge_value(living([(3.0, 10), (2.0, 12), (-1.0, 11)]), mode) == value


def test_a_gauge_of_all_has_the_value_of_each_living_process():
    split = [
        (values, child.levels) for values, child in split_child(living([(3.0, 1), (2.0, 2)], "ab"))
    ]
    assert split == [(("1",), [(3.0, 1)]), (("2",), [(2.0, 2)])]


@pytest.mark.parametrize(
    ("texts", "error", "checked"),
    [
        ([(False, None), (False, None)], None, False),
        ([(False, None), (True, None)], None, True),
        ([(True, None), (True, "no disk"), (True, "no route")], "worker 2: no disk", True),
    ],
)
def test_a_check_fails_with_the_first_process_in_which_it_fails(texts, error, checked):
    health = health_of(living(texts=texts))
    assert (health.error, health.checked) == (error, checked)


def test_the_label_of_processes_has_no_name_that_is_taken():
    assert free_label("worker", ("route",)) == "worker"
    assert free_label("worker", ("worker", "worker_")) == "worker__"


def test_a_merged_entry_takes_the_place_of_its_own():
    registry = Registry()
    registry.counter("b").inc()
    (own,) = store_of(registry).entries()
    merged = merge([Contribution(0, table(a=1, b=2)), Contribution(1, table(c=5))])
    entries = MergedEntries().merge((own,), merged, "", 7.0)
    assert [entry.name for entry in entries] == ["a", "b", "c"]
    assert entries[1].position == own.position
    assert {entry.registered for entry in entries} == {7.0}
    assert own.instrument.count == 1


def test_other_names_than_those_of_the_prefix_are_left_out():
    merged = merge([Contribution(0, table(a=1, b=2))])
    assert [entry.name for entry in MergedEntries().merge((), merged, "b", 0.0)] == ["b"]


def test_values_that_do_not_add_up_leave_the_others_on_the_page(caplog):
    registry = Registry()
    registry.gauge("a").set(1.5)
    registry.counter("b").inc()
    own = store_of(registry).entries()
    first = table_of(registry)
    strange = first._replace(columns=first.columns._replace(levels=[10**400]))
    merged = merge([Contribution(0, first), Contribution(1, strange)])
    entries = MergedEntries()
    for _ in range(2):
        found = {entry.name: entry.instrument for entry in entries.merge(own, merged, "", 0.0)}
        assert found["a"].value == 1.5
        assert found["b"].count == 2
    assert len([record for record in caplog.records if "'a' shows" in record.getMessage()]) == 1


series = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9), max_size=5)


@pytest.mark.slow(reason="generates hundreds of groups")
@given(
    st.lists(st.lists(st.tuples(series, st.sampled_from((0, 1, None)), st.booleans())), max_size=6)
)
def test_a_read_is_the_same_whatever_was_read_before(reads):
    """Instruments and the structure of the sums are kept between reads."""

    def contribution(counts, number, is_removed):
        registry = Registry()
        family = registry.counters("family", labels=("x",))
        sizes = registry.bucket_histograms("sizes", labels=("x",), bounds=(2.0,))
        for name, count in counts.items():
            registry.counter(name).inc(count)
            registry.bucket_histogram(f"{name}_size", bounds=(1.0,)).update(count)
            family.labels(name).inc(count)
            sizes.labels(name).update(count)
            registry.gauge(f"{name}_level").set(count)
        is_removed = is_removed and number is None
        own = table_of(registry)
        return Contribution(number, own if number is not None else sum_up([own]), is_removed)

    tables, entries = MergedTables(), MergedEntries()
    for read in reads:
        contributions = [contribution(*each) for each in read]
        found = entries.merge((), tables.merge(contributions), "", 0.0)
        expected = MergedEntries().merge((), merge(contributions), "", 0.0)
        assert [each.name for each in found] == [each.name for each in expected]
        for one, other in zip(found, expected, strict=True):
            assert one.instrument.snapshot() == other.instrument.snapshot()
