import threading
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum

import pytest

from metrics import Counter, CounterSnapshot, Family, Gauge, Meter, ResettingTimer

OVERFLOWED = ("_overflow", "_overflow")


def requests(**options):
    return Family(Counter, ("method", "status"), **options)


def test_a_child_is_found_by_position_and_by_name_in_any_order():
    family = requests()
    child = family.labels("GET", "200")
    assert family.labels("GET", "200") is child
    assert family.labels(method="GET", status="200") is child
    assert family.labels(status="200", method="GET") is child
    assert family.labels("200", "GET") is not child
    assert isinstance(child, Counter)


def test_values_that_are_not_str_are_turned_into_str():
    class Status(IntEnum):
        OK = 200

    family = requests()
    child = family.labels("GET", "200")
    assert family.labels("GET", 200) is child
    assert family.labels("GET", Status.OK) is child
    assert family.labels(method="GET", status=200) is child
    assert list(family.children()) == [("GET", "200")]


def test_values_without_a_hash_are_turned_into_str_too():
    family = requests()
    child = family.labels(["GET"], {})
    assert family.labels(status={}, method=["GET"]) is child
    assert list(family.children()) == [("['GET']", "{}")]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ((), {}),
        (("GET",), {}),
        (("GET", "200", "more"), {}),
        ((), {"method": "GET"}),
        ((), {"method": "GET", "code": "200"}),
        ((), {"method": "GET", "status": "200", "more": "x"}),
        (("GET",), {"status": "200"}),
        (("GET", "200"), {"status": "200"}),
    ],
)
def test_values_that_do_not_match_the_labels_are_refused_and_shown(values, named):
    family = requests()
    family.labels("GET", "200")
    for method in (family.labels, family.remove):
        with pytest.raises(ValueError, match=r"does not match the family's labels") as caught:
            method(*values, **named)
        for value in (*values, *named, *named.values()):
            assert value in str(caught.value)
    assert list(family.children()) == [("GET", "200")]


@pytest.mark.parametrize(
    "name", ["", "1st", "has space", "has-dash", "__private", "größe", "a\n", "le", "quantile"]
)
def test_a_malformed_or_reserved_label_name_is_refused(name):
    with pytest.raises(ValueError, match="label name") as caught:
        Family(Counter, ("fine", name))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("names", [(), ("a", "a")])
def test_no_names_and_repeated_names_are_refused(names):
    with pytest.raises(ValueError, match="one or more different"):
        Family(Counter, names)


@pytest.mark.parametrize("names", ["method", (1,), (None,), (b"a",)])
def test_label_names_that_are_not_a_sequence_of_str_are_refused(names):
    with pytest.raises(TypeError, match="label name"):
        Family(Counter, names)


@pytest.mark.parametrize("limit", [0, -1])
def test_a_family_without_room_is_refused(limit):
    with pytest.raises(ValueError, match=f"got {limit}"):
        requests(max_children=limit)


def test_what_is_above_the_limit_goes_to_one_child_and_is_counted():
    family = requests(max_children=2)
    first = family.labels("GET", "200")
    family.labels("GET", "404").inc()
    surplus = family.labels("PUT", "200")
    assert family.labels("PUT", "500") is surplus
    surplus.inc(5)
    assert family.labels("GET", "200") is first
    assert family.overflowed == 2
    snapshot = family.snapshot()
    assert [*snapshot.children] == [("GET", "200"), ("GET", "404"), OVERFLOWED]
    assert snapshot.children[OVERFLOWED] == CounterSnapshot(5)
    assert snapshot.overflowed == 2


def test_remove_drops_a_child_and_makes_room():
    family = requests(max_children=1)
    old = family.labels("GET", "200")
    assert family.remove(method="GET", status=200) is True
    assert family.remove("GET", "200") is False
    family.labels("PUT", "200")
    old.inc()
    assert [*family.children()] == [("PUT", "200")]
    assert family.overflowed == 0


def test_clear_drops_every_child():
    family = requests(max_children=1)
    family.labels("GET", "200").inc()
    family.labels("PUT", "200").inc()
    family.clear()
    assert family.children() == {}
    assert family.labels("PUT", "200").count == 0


def test_children_come_in_the_order_of_their_labels():
    family = requests()
    for values in (("b", "1"), ("a", "2"), ("a", "1")):
        family.labels(*values)
    assert (
        [*family.children()]
        == [("a", "1"), ("a", "2"), ("b", "1")]
        == [*family.snapshot().children]
    )


def test_a_tick_reaches_every_child_the_overflow_too():
    family = Family(Meter, ("peer",), max_children=1)
    for peer in ("a", "b"):
        family.labels(peer).mark(5)
    family.tick()
    assert [child.rate1 for child in family.snapshot().children.values()] == [1.0, 1.0]


def test_children_that_do_not_tick_are_left_alone():
    family = Family(Gauge, ("peer",))
    family.labels("a").set(3)
    family.tick()
    assert family.labels("a").value == 3


def test_the_factory_makes_the_children_and_a_prototype_is_none_of_them():
    family = Family(Meter, ("peer",), factory=lambda: Meter(interval=1.0))
    prototype = family.prototype()
    prototype.mark()
    assert family.children() == {}
    family.labels("a").mark(3)
    family.tick()
    assert family.labels("a").snapshot().rate1 == 3.0
    assert family.kind is Meter


def test_a_factory_that_fails_leaves_no_child_behind():
    def factory():
        raise OSError

    family = Family(Counter, ("peer",), factory=factory)
    with pytest.raises(OSError):
        family.labels("a")
    assert family.children() == {}


def test_the_reader_s_name_reaches_the_children():
    family = Family(ResettingTimer, ("peer",))
    family.labels("a").update(1)
    counts = [family.snapshot(reader).children["a",].count for reader in ("x", "y", "x")]
    assert counts == [1, 1, 0]


def test_to_dict_writes_and_escapes_the_labels():
    family = requests()
    family.labels('a"b', "c\\d\n").inc(2)
    assert family.snapshot().to_dict() == {
        '{method="a\\"b",status="c\\\\d\\n"}': {"count": 2},
    }


@pytest.mark.usefixtures("eager_switching")
def test_threads_that_ask_at_once_get_the_same_child():
    made = []

    def factory():
        made.append(None)
        return Counter()

    family = Family(Counter, ("peer",), factory=factory)
    barrier = threading.Barrier(8)

    def ask(_number):
        barrier.wait(30)
        for peer in range(100):
            family.labels(str(peer)).inc()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert len(made) == 100
    assert {child.count for child in family.children().values()} == {8}


def test_the_repr_shows_kind_labels_and_size():
    assert repr(requests()) == "Family(Counter, labelnames=('method', 'status'), children=0)"
