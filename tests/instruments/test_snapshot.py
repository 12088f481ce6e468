import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import metrics
from metrics import (
    BucketHistogramSnapshot,
    CounterSnapshot,
    FamilySnapshot,
    GaugeSnapshot,
    HealthcheckSnapshot,
    HistogramSnapshot,
    InfoSnapshot,
    MeterSnapshot,
    Snapshot,
    StateSetSnapshot,
    TimerSnapshot,
    UpDownCounterSnapshot,
)


def meter(count):
    return MeterSnapshot(count, 1.0, 2.0, 3.0, 4.0)


def histogram(value):
    return HistogramSnapshot(2, 3.0, [value, 2.0])


MAKERS = {
    BucketHistogramSnapshot: lambda n: BucketHistogramSnapshot((1.0,), [n, 1], 2.0),
    CounterSnapshot: CounterSnapshot,
    FamilySnapshot: lambda n: FamilySnapshot(("peer",), {("a",): CounterSnapshot(n)}, 0),
    GaugeSnapshot: GaugeSnapshot,
    HealthcheckSnapshot: lambda n: HealthcheckSnapshot(f"error {n}"),
    HistogramSnapshot: histogram,
    InfoSnapshot: lambda n: InfoSnapshot({"version": str(n)}),
    MeterSnapshot: meter,
    StateSetSnapshot: lambda n: StateSetSnapshot({"on": n == 1, "off": n == 2}),
    TimerSnapshot: lambda n: TimerSnapshot(histogram(n), meter(2)),
    UpDownCounterSnapshot: UpDownCounterSnapshot,
}
KINDS = pytest.mark.parametrize("kind", MAKERS)


def properties(kind):
    return [
        name for name in dir(kind) if not name.startswith("_") and not callable(getattr(kind, name))
    ]


def test_every_snapshot_of_an_instrument_is_among_those_tried():
    public = [getattr(metrics, name) for name in metrics.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Snapshot)}
    assert kinds - {Snapshot, metrics.RegistrySnapshot} == MAKERS.keys()


@KINDS
def test_nothing_can_be_set_on_a_snapshot(kind):
    snapshot = MAKERS[kind](1)
    names = properties(kind)
    assert names
    for name in [*names, "no_such_thing"]:
        with pytest.raises(AttributeError):
            setattr(snapshot, name, 5)
    assert snapshot == MAKERS[kind](1)


@KINDS
def test_nothing_can_be_deleted_from_a_snapshot(kind):
    snapshot = MAKERS[kind](1)
    for name in properties(kind):
        with pytest.raises(AttributeError):
            delattr(snapshot, name)


@KINDS
def test_snapshots_are_equal_by_value_and_hash_alike(kind):
    make = MAKERS[kind]
    assert make(1) == make(1)
    assert make(1) != make(2)
    assert make(1) != "something else"
    assert len({make(1), make(1), make(2)}) == 2


def test_snapshots_of_different_kinds_differ():
    snapshots = [make(1) for make in MAKERS.values()]
    assert len(set(snapshots)) == len(snapshots)
    assert CounterSnapshot(1) != UpDownCounterSnapshot(1) != GaugeSnapshot(1)


@KINDS
def test_the_repr_names_the_kind_and_every_field(kind):
    snapshot = MAKERS[kind](1)
    text = repr(snapshot)
    assert text.startswith(f"{kind.__name__}(")
    for field in kind.fields:
        assert f"{field}={getattr(snapshot, field)!r}" in text


@KINDS
def test_a_copy_is_the_snapshot_itself(kind):
    snapshot = MAKERS[kind](1)
    assert copy.copy(snapshot) is snapshot
    assert copy.deepcopy(snapshot) is snapshot
    assert copy.deepcopy([snapshot])[0] is snapshot


def test_the_children_of_a_family_cannot_be_replaced():
    snapshot = MAKERS[FamilySnapshot](1)
    with pytest.raises(TypeError):
        snapshot.children["a",] = CounterSnapshot(2)


def test_what_a_snapshot_says_as_a_dict_can_be_changed_without_harm():
    snapshot = MAKERS[FamilySnapshot](1)
    snapshot.to_dict().clear()
    assert snapshot.to_dict() == {'{peer="a"}': {"count": 1}}


def test_a_snapshot_of_a_snapshot_is_itself():
    for make in MAKERS.values():
        snapshot = make(1)
        assert snapshot.snapshot("me") is snapshot


PROTOCOLS = pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))


@KINDS
@PROTOCOLS
def test_a_snapshot_comes_out_of_a_pickle_as_it_went_in(kind, protocol):
    snapshot = MAKERS[kind](1)
    twin = pickle.loads(pickle.dumps(snapshot, protocol))
    assert type(twin) is kind
    assert (twin, hash(twin), repr(twin)) == (snapshot, hash(snapshot), repr(snapshot))
    assert twin.to_dict() == snapshot.to_dict()


@KINDS
def test_a_pickle_holds_what_the_constructor_takes_in_either_form(kind):
    snapshot = MAKERS[kind](1)
    rebuild, arguments = snapshot.__reduce__()
    assert rebuild is kind
    assert list(arguments) == [getattr(snapshot, field) for field in kind.fields]
    assert kind(*arguments) == snapshot


NUMBERS = st.floats(allow_nan=False)


@given(st.lists(NUMBERS, min_size=1, unique=True).map(sorted), st.data(), NUMBERS)
def test_any_buckets_come_out_of_a_pickle_as_they_went_in(bounds, data, total):
    size = len(bounds) + 1
    counts = data.draw(st.lists(st.integers(0, 2**70), min_size=size, max_size=size))
    snapshot = BucketHistogramSnapshot(tuple(bounds), counts, total)
    twin = pickle.loads(pickle.dumps(snapshot))
    assert twin == snapshot
    assert (twin.buckets, twin.count) == (snapshot.buckets, snapshot.count)


@given(st.dictionaries(st.text(), st.text()))
def test_any_facts_come_out_of_a_pickle_as_they_went_in(facts):
    twin = pickle.loads(pickle.dumps(InfoSnapshot(facts)))
    assert twin == InfoSnapshot(facts)
    with pytest.raises(TypeError):
        twin.value["version"] = "other"


class Depth(Snapshot):
    """A kind of the program's own."""

    __slots__ = ("_depth", "_unit")
    fields = ("depth", "unit")

    def __init__(self, depth, unit="m"):
        self._depth = depth
        self._unit = unit

    @property
    def depth(self):
        return self._depth

    @property
    def unit(self):
        return self._unit

    def to_dict(self):
        return {"metres": self._depth}


def test_a_kind_of_the_programs_own_has_all_that_the_others_have():
    snapshot = Depth(3)
    assert snapshot == Depth(3, "m") != Depth(4)
    assert hash(snapshot) == hash(Depth(3))
    assert repr(snapshot) == "Depth(depth=3, unit='m')"
    assert copy.deepcopy(snapshot) is snapshot


def test_what_a_kind_of_the_programs_own_overrides_is_what_the_library_calls():
    family = FamilySnapshot(("sea",), {("north",): Depth(3)}, 0)
    assert family.to_dict() == {'{sea="north"}': {"metres": 3}}


@PROTOCOLS
def test_a_kind_of_the_programs_own_pickles(protocol):
    assert pickle.loads(pickle.dumps(Depth(3, "ft"), protocol)) == Depth(3, "ft")
