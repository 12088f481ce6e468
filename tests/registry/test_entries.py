import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.registry._exported_names import exported_name

from metrics import (
    BucketHistogram,
    Counter,
    DuplicateMetricError,
    Family,
    Gauge,
    Histogram,
    Info,
    IntGauge,
    Meter,
    ResettingTimer,
    Timer,
)
from metrics.registry._entries import Entries, Entry

NAMES = st.text(alphabet="ab1/._-", min_size=1, max_size=4)


def entry(name: str) -> Entry:
    return Entry(name, Counter(), "", "")


def test_an_entry_is_found_under_its_name():
    entries = Entries()
    a = entry("a")
    entries.add(a)
    assert entries.get("a") is a
    assert entries.get("b") is None


def test_a_taken_name_is_refused_with_the_type_that_has_it():
    entries = Entries()
    entries.add(Entry("a", Family(Timer, ("path",)), "", ""))
    with pytest.raises(
        DuplicateMetricError, match=r"^name 'a' is already registered, as a Family of Timer$"
    ):
        entries.add(entry("a"))


def test_a_name_that_would_be_exported_like_another_is_refused():
    entries = Entries()
    entries.add(entry("a/b"))
    with pytest.raises(
        DuplicateMetricError,
        match=r"^name 'a\.b' would be exported as 'a_b', which 'a/b' already is$",
    ):
        entries.add(entry("a.b"))
    assert entries.get("a.b") is None
    assert [e.name for e in entries.in_order("")] == ["a/b"]


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (("x", Counter), ("x_total", Gauge), "x_total"),
        (("x_total", Counter), ("x", Gauge), "x"),
        (("x", Counter), ("x_created", Gauge), "x_created"),
        (("x", BucketHistogram), ("x.count", Gauge), "x_count"),
        (("x", BucketHistogram), ("x/bucket", Gauge), "x_bucket"),
        (("x", Histogram), ("x_sum", IntGauge), "x_sum"),
        (("x", Timer), ("x_per_second", Gauge), "x_per_second"),
        (("x", Timer), ("x/seconds", Gauge), "x_seconds"),
        (("x", ResettingTimer), ("x_seconds_count", Gauge), "x_seconds_count"),
        (("x", Timer), ("x_count", Gauge), "x_count"),
        (("x", Meter), ("x_total", Gauge), "x_total"),
        (("x", Info), ("x_info", Gauge), "x_info"),
    ],
)
def test_two_instruments_with_one_name_on_a_page_are_refused(first, second, shared):
    def made(name: str, kind: type) -> Entry:
        return Entry(name, kind(), "", "")

    for one, other in ((made(*first), made(*second)), (made(*second), made(*first))):
        entries = Entries()
        entries.add(one)
        with pytest.raises(DuplicateMetricError) as raised:
            entries.add(other)
        assert str(raised.value) == (
            f"name {other.name!r} would be exported as {shared!r}, which {one.name!r} already is"
        )
        assert entries.in_order("") == (one,)
        assert entries.remove(one.name)
        entries.add(other)


def test_units_and_families_count_when_names_are_compared():
    entries = Entries()
    entries.add(Entry("wait", Family(Gauge, ("a",)), "", "milliseconds"))
    with pytest.raises(DuplicateMetricError, match="exported as 'wait_seconds', which 'wait'"):
        entries.add(Entry("wait/seconds", Gauge(), "", ""))
    entries.add(Entry("wait/milliseconds", Gauge(), "", ""))


def test_a_removed_name_and_what_is_exported_like_it_are_free_again():
    entries = Entries()
    entries.add(entry("a/b"))
    assert entries.remove("a/b")
    assert not entries.remove("a/b")
    entries.add(entry("a.b"))
    assert [e.name for e in entries.in_order("")] == ["a.b"]


def test_removal_for_another_instrument_removes_nothing():
    entries = Entries()
    a = entry("a")
    entries.add(a)
    assert not entries.remove("a", Counter())
    assert entries.get("a") is a
    assert entries.remove("a", a.instrument)


def test_in_order_keeps_what_begins_with_the_prefix():
    entries = Entries()
    for name in ("b/x", "a", "b", "b/a/c", "bb"):
        entries.add(entry(name))
    assert [e.name for e in entries.in_order("b/")] == ["b/a/c", "b/x"]
    assert [e.name for e in entries.in_order("")] == ["a", "b", "b/a/c", "b/x", "bb"]
    assert entries.in_order("c") == ()


ADD, REMOVE = "add", "remove"


@given(st.lists(st.tuples(st.sampled_from([ADD, REMOVE]), NAMES), max_size=40))
def test_it_behaves_like_a_dict_with_unique_exported_names(steps: list[tuple[str, str]]):
    entries = Entries()
    model: dict[str, Entry] = {}
    for action, name in steps:
        if action == REMOVE:
            assert entries.remove(name) is model.pop(name, None)
        elif any(exported_name(taken) == exported_name(name) for taken in model):
            with pytest.raises(DuplicateMetricError):
                entries.add(entry(name))
        else:
            model[name] = entry(name)
            entries.add(model[name])
        assert entries.in_order("") == tuple(model[key] for key in sorted(model))
        assert entries.get(name) is model.get(name)
        under_a = tuple(model[key] for key in sorted(model) if key.startswith("a/"))
        assert entries.in_order("a/") == under_a


@given(names=st.sets(NAMES, max_size=12), order=st.randoms(use_true_random=False))
def test_the_order_is_that_of_the_names_however_they_were_added(names: set[str], order):
    distinct = sorted({exported_name(name): name for name in sorted(names)}.values())
    shuffled = order.sample(distinct, len(distinct))
    entries = Entries()
    for name in shuffled:
        entries.add(entry(name))
    assert [e.name for e in entries.in_order("")] == distinct


def test_the_kind_of_a_family_names_its_children():
    assert type_name(Gauge()) == "Gauge"
    assert type_name(Family(Gauge, ("a",))) == "Family of Gauge"
