"""Table of names: one entry a name, read in name order."""

import gc
import weakref
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, DuplicateMetricError, Family, Gauge, Meter, Ticker, Timer
from metrics.registry import _entries
from metrics.registry._entries import FEW, Entries, Entry, type_name

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


def test_names_that_formats_write_alike_are_both_kept():
    entries = Entries()
    entries.add(entry("a/b"))
    entries.add(entry("a.b"))
    assert [e.name for e in entries.in_order("")] == ["a.b", "a/b"]


def test_a_removed_name_is_free_again():
    entries = Entries()
    first = entry("a/b")
    entries.add(first)
    assert entries.remove("a/b") is first
    assert entries.remove("a/b") is None
    entries.add(entry("a/b"))
    assert [e.name for e in entries.in_order("")] == ["a/b"]


def test_an_instrument_is_shared_until_its_last_name_with_a_ticker_is_removed():
    entries, meter = Entries(), Meter()
    tickers = [Ticker(), Ticker()]
    first, second, third = (
        Entry(name, meter, "", "", ticker=ticker)
        for name, ticker in (("a", tickers[0]), ("b", tickers[0]), ("c", tickers[1]))
    )
    for each in (first, second, third):
        entries.add(each)
    entries.remove("c")
    assert not entries.is_shared(third)
    entries.remove("a")
    assert entries.is_shared(first)
    entries.remove("b")
    assert not entries.is_shared(first)


def test_removal_for_another_instrument_removes_nothing():
    entries = Entries()
    a = entry("a")
    entries.add(a)
    assert not entries.remove("a", Counter())
    assert entries.get("a") is a
    assert entries.remove("a", a.instrument)


def test_in_order_returns_the_names_with_the_prefix():
    entries = Entries()
    for name in ("b/x", "a", "b", "b/a/c", "bb"):
        entries.add(entry(name))
    assert [e.name for e in entries.in_order("b/")] == ["b/a/c", "b/x"]
    assert [e.name for e in entries.in_order("")] == ["a", "b", "b/a/c", "b/x", "bb"]
    assert entries.in_order("c") == ()


ADD, REMOVE = "add", "remove"


@given(st.lists(st.tuples(st.sampled_from([ADD, REMOVE]), NAMES), max_size=40))
def test_it_behaves_like_a_dict_of_names(steps: list[tuple[str, str]]):
    entries = Entries()
    model: dict[str, Entry] = {}
    for action, name in steps:
        if action == REMOVE:
            assert entries.remove(name) is model.pop(name, None)
        elif name in model:
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
    shuffled = order.sample(sorted(names), len(names))
    entries = Entries()
    for name in shuffled:
        entries.add(entry(name))
    assert [e.name for e in entries.in_order("")] == sorted(names)


def test_the_kind_of_a_family_names_its_children():
    assert type_name(Gauge()) == "Gauge"
    assert type_name(Family(Gauge, ("a",))) == "Family of Gauge"


@pytest.mark.parametrize("many", [False, True])
@given(
    st.lists(st.lists(st.tuples(st.booleans(), st.text("abc", min_size=1, max_size=2)), max_size=9))
)
def test_the_name_order_follows_few_and_many_changes(many, rounds):
    entries = Entries()
    for number in range(2 * FEW if many else 3):
        entries.add(entry(f"b{number}"))
    for changes in rounds:
        for is_added, name in changes:
            if is_added and name not in entries:
                entries.add(entry(name))
            elif not is_added:
                entries.remove(name)
        names = [found.name for found in entries.in_order("")]
        assert names == sorted(names)
        assert len(names) == len(entries)
        assert all(entries.get(found.name) is found for found in entries.in_order(""))


def test_an_entry_that_a_signal_handler_registers_during_a_read_is_in_the_next_one(monkeypatch):
    entries = Entries()
    entries.add(entry("b"))

    def register_in_between(*args: object, **options: object) -> int:
        if "a" not in entries:
            entries.add(entry("a"))
            entries.in_order("")
        return bisect_left(*args, **options)

    monkeypatch.setattr(_entries, "bisect_left", register_in_between)
    entries.in_order("")
    assert [found.name for found in entries.in_order("")] == ["a", "b"]


def test_entries_since_a_position_come_in_the_order_of_registration():
    entries = Entries()
    for name in ("c", "a", "b"):
        entries.add(entry(name))
    entries.remove("a")
    assert [found.name for found in entries.since(0)] == ["c", "b"]
    assert [found.name for found in entries.since(1)] == ["b"]
    assert entries.since(entries.position) == []


@pytest.mark.parametrize("many", [False, True])
def test_an_unregistered_instrument_is_not_kept_alive_until_the_next_read(many):
    class Own:
        def snapshot(self, reader=""):
            return Counter().snapshot()

    entries = Entries()
    own = Own()
    entries.add(Entry("a", own, "", ""))
    entries.add(entry("b"))
    entries.in_order("")
    for number in range(2 * FEW if many else 1):
        entries.add(entry(f"c{number}"))
    entries.remove("a")
    reference = weakref.ref(own)
    del own
    gc.collect()
    assert reference() is None
    assert [found.name for found in entries.in_order("b")] == ["b"]
