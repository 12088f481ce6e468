import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum, StrEnum
from functools import partial

import pytest

from metrics import (
    BucketHistogram,
    Counter,
    CounterSnapshot,
    Family,
    FamilySnapshot,
    Gauge,
    Info,
    Meter,
    Registry,
    ResettingTimer,
)
from metrics.exporters import csv, expvar, graphite, influx, json, openmetrics, prometheus
from metrics.testing import ManualClock

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


def test_a_lookup_within_a_lookup_finds_its_own_child():
    family = requests()

    class Status:
        def __hash__(self) -> int:
            found.append(family.labels("PUT", "201"))
            found.append(family.labels(status="202", method="PUT"))
            return 0

        def __str__(self) -> str:
            return "200"

    found = []
    child = family.labels("GET", Status())
    assert family.labels(status=Status(), method="GET") is child
    assert found[:2] == found[2:4]
    assert list(family.children()) == [("GET", "200"), ("PUT", "201"), ("PUT", "202")]


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
    "name",
    [
        *("", "1st", "has space", "has-dash", "__private", "größe", "a\n", "le", "quantile"),
        *(".", ".a", "a.", "a..b", "1.a", "a.é", "a. b", "__a.b"),
    ],
)
def test_a_malformed_or_reserved_label_name_is_refused(name):
    with pytest.raises(ValueError, match="label name") as caught:
        Family(Counter, ("fine", name))
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("names", [("a", "a"), ("a", "b", "a")])
def test_repeated_names_are_refused(names):
    with pytest.raises(ValueError, match="label name 'a' is repeated"):
        Family(Counter, names)


@pytest.mark.parametrize("names", [("a.b", "a_b"), ("a_b", "a.b"), ("a.b.c", "x", "a_b.c")])
def test_names_that_formats_write_alike_are_refused(names):
    message = f"label name '{names[-1]}' is repeated: formats write '{names[0]}' alike; use "
    with pytest.raises(ValueError, match=message):
        Family(Counter, names)


def test_words_with_dots_between_them_are_a_label_name():
    family = Family(Counter, ("http.request.method", "http.2xx"))
    family.labels("GET", "yes").inc()
    named = {"http.request.method": "GET", "http.2xx": "yes"}
    assert family.labels(**named).count == 1
    assert family.labelnames == tuple(named)
    assert list(family.snapshot().to_dict()) == ['{http.request.method="GET",http.2xx="yes"}']


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


def test_a_snapshot_with_all_its_numbers_pickles_and_differs_by_them():
    family = requests(max_children=1, max_label_length=3)
    for status in ("2000", "4000"):
        family.labels("GET", status).inc()
    snapshot = family.snapshot()
    assert (snapshot.overflowed, snapshot.truncated) == (1, 2)
    assert pickle.loads(pickle.dumps(snapshot)) == snapshot
    other = FamilySnapshot(snapshot.labelnames, dict(snapshot.children), 1)
    assert other.truncated == 0
    assert other != snapshot


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


@pytest.mark.usefixtures("eager_switching")
def test_of_threads_that_remove_and_ask_none_meets_a_table_half_changed():
    family = requests()
    barrier = threading.Barrier(4)

    def use(number):
        barrier.wait(30)
        for status in range(300):
            family.labels(str(number), str(status)).inc()
            if status % 7 == 0:
                family.remove_matching(method=number)
            values, children = family.table
            assert len(values) == len(children)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    assert len(family.children()) == 4 * 5


# Labels that match.


class Method(StrEnum):
    GET = "GET"


@pytest.fixture
def four():
    family = requests()
    for method in ("GET", "PUT"):
        for status in (200, 404):
            family.labels(method, status).inc()
    return family


@pytest.mark.parametrize(
    ("labels", "named", "left"),
    [
        ({"method": "GET"}, {}, [("PUT", "200"), ("PUT", "404")]),
        ({}, {"method": Method.GET}, [("PUT", "200"), ("PUT", "404")]),
        ({"status": 404}, {}, [("GET", "200"), ("PUT", "200")]),
        ({}, {"status": 404, "method": "PUT"}, [("GET", "200"), ("GET", "404"), ("PUT", "200")]),
        ({"status": 404}, {"method": "PUT"}, [("GET", "200"), ("GET", "404"), ("PUT", "200")]),
    ],
)
def test_children_that_match_are_dropped_and_counted(four, labels, named, left):
    assert four.remove_matching(labels, **named) == 4 - len(left)
    assert [*four.children()] == left
    assert four.remove_matching(labels, **named) == 0


@pytest.mark.parametrize("status", ["500", 20, "_overflow", ""])
def test_without_a_match_nothing_is_dropped(four, status):
    assert four.remove_matching(status=status) == 0
    assert len(four.children()) == 4


def test_a_label_may_be_named_like_the_parameter():
    family = Family(Counter, ("labels", "self"))
    family.labels("a", "b")
    assert family.remove_matching({"self": "b"}, labels="a") == 1


def test_labels_to_match_may_come_from_several_mappings(four):
    assert four.remove_matching({"method": "GET"}, {"status": "200"}) == 1
    assert len(four.children()) == 3


@pytest.mark.parametrize("labels", [("method",), ({"method": "GET"}, None)])
def test_labels_to_match_that_are_no_mapping_are_refused(four, labels):
    with pytest.raises(TypeError, match="pass a mapping"):
        four.remove_matching(*labels)
    assert len(four.children()) == 4


def test_labels_that_cannot_match_are_refused_and_drop_nothing(four):
    with pytest.raises(ValueError, match=r"use clear\(\)"):
        four.remove_matching()
    with pytest.raises(ValueError, match=r"use clear\(\)"):
        four.remove_matching({})
    for labels in ({"code": "200"}, {"method": "GET", "code": "200"}, {1: "200"}):
        with pytest.raises(ValueError, match=r"unknown label .*\('method', 'status'\)"):
            four.remove_matching(labels)
    assert len(four.children()) == 4


def test_the_overflow_child_stays_until_the_family_is_cleared():
    family = requests(max_children=1)
    for status in (200, 404):
        family.labels("GET", status)
    assert family.remove_matching(method="_overflow") == 0
    assert family.remove_matching(method="GET") == 1
    assert [*family.children()] == [OVERFLOWED]
    family.clear()
    assert family.children() == {}


# Long label values.


def test_a_long_value_is_truncated_visibly_and_counted():
    family = requests(max_label_length=5)
    child = family.labels("GET", "12345")
    assert family.truncated == 0
    assert family.labels("GET", "123456") is family.labels("GET", "1234…")
    assert family.labels("GET", "123456") is not child
    assert family.labels(method="GET", status=1234567) is family.labels("GET", "1234…")
    assert [*family.children()] == [("GET", "12345"), ("GET", "1234…")]
    assert family.truncated == family.snapshot().truncated == 3
    assert family.overflowed == 0


def test_a_request_with_two_long_values_counts_once():
    family = requests(max_label_length=1)
    family.labels("GET", "200")
    assert ([*family.children()], family.truncated) == ([("…", "…")], 1)


def test_a_child_with_a_truncated_value_is_removed_by_the_long_one():
    family = requests(max_label_length=5)
    for value in ("123456", "1234xy", "short"):
        family.labels("GET", value)
    assert family.remove("GET", "12345678") is True
    family.labels("PUT", "123456")
    assert family.remove_matching(status="1234567") == 1
    assert [*family.children()] == [("GET", "short")]


def test_values_are_limited_unless_the_limit_is_none():
    family = requests()
    family.labels("GET", "x" * 1024)
    assert family.truncated == 0
    family.labels("GET", "x" * 1025)
    assert max(len(status) for _, status in family.children()) == 1024
    assert family.truncated == 1
    free = requests(max_label_length=None)
    free.labels("GET", "x" * 100_000)
    assert [len(status) for _, status in free.children()] == [100_000]
    assert free.truncated == 0


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_without_room_is_refused(limit):
    with pytest.raises(ValueError, match=f"max_label_length.*got {limit}"):
        requests(max_label_length=limit)


# Families without labels.


@pytest.mark.parametrize("names", [(), [], {}])
def test_a_family_without_labels_has_one_child(names):
    family = Family(Counter, names, max_children=1)
    child = family.labels()
    child.inc(3)
    assert family.labels() is child
    assert family.children() == {(): child}
    assert family.table == ([()], [child])
    assert family.snapshot().to_dict() == {"": {"count": 3}}
    assert family.overflowed == 0


def test_the_child_without_labels_is_there_from_the_beginning_and_after_a_clear():
    family = Family(Counter, ())
    [child] = family.children().values()
    assert family.labels() is child
    child.inc()
    family.clear()
    assert [each.count for each in family.children().values()] == [0]
    assert family.remove() is True
    assert family.remove() is False
    assert family.labels().count == 0


def test_values_for_labels_that_are_not_there_are_refused():
    family = Family(Counter, ())
    for use in (lambda: family.labels("a"), lambda: family.labels(a="b")):
        with pytest.raises(ValueError, match="does not match"):
            use()
    with pytest.raises(ValueError, match="unknown label"):
        family.remove_matching(a="b")


KINDS = [Counter, Gauge, Meter, Info, BucketHistogram, ResettingTimer]
PAGES = [
    prometheus.render,
    partial(prometheus.render, dialect="go-ethereum"),
    openmetrics.render,
    json.render,
    expvar.render,
    partial(influx.render, timestamp_ns=1),
    partial(graphite.render, timestamp_ns=1),
    partial(csv.render, timestamp_ns=1),
    Registry.to_dict,
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("page", PAGES)
def test_pages_show_the_child_without_labels_as_an_instrument(page, kind):
    alone, labelled = Registry(clock=ManualClock()), Registry(clock=ManualClock())
    make = (lambda: BucketHistogram((1.0,))) if kind is BucketHistogram else kind
    alone.register("x", make(), description="Same.")
    labelled.register("x", Family(kind, (), make, clock=labelled.clock), description="Same.")
    assert page(alone) == page(labelled)
