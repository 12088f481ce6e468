"""Children of a family are chosen by all of their labels, or summed by some."""

import pytest

from metrics import Counter, Family, Gauge, Histogram, Registry, Timer
from metrics.testing import assert_recorded, recorded

LABELS = ("method", "status")


@pytest.fixture
def changes():
    registry = Registry()
    http = registry.counters("http", labels=LABELS)
    http.labels("GET", 200).inc(100)
    with recorded(registry) as changes:
        http.labels("GET", 200).inc(1)
        http.labels("GET", 500).inc(2)
        http.labels("PUT", 200).inc(4)
        assert_recorded("http", {"method": "GET"}, count=3)
    return changes


def test_a_child_is_found_by_its_values(changes):
    assert changes["http"]["GET", "200"].count == changes["http"]["GET", 200].count == 1
    assert changes["http"][{"method": "GET", "status": 500}].count == 2
    assert changes["http"]["PATCH", "200"].count == 0


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ({"method": "GET"}, 3),
        ({"method": "PUT"}, 4),
        ({"status": 200}, 5),
        ({"status": "500"}, 2),
        ({"method": "PATCH"}, 0),
        ({"status": 200, "method": "PUT"}, 4),
    ],
)
def test_children_with_some_labels_are_summed(changes, labels, count):
    assert changes["http", labels].count == count
    assert changes["http"].labels(**labels).count == count
    assert changes["http"][labels].count == count
    assert changes["http", labels].changed is bool(count)
    changes.assert_recorded("http", labels, count=count)


def test_the_sum_of_some_is_narrowed_down_further(changes):
    gets = changes["http", {"method": "GET"}]
    assert gets.children.keys() == {("GET", "200"), ("GET", "500")}
    assert gets.labels("GET", 500).count == gets.labels(status=500).count == 2
    assert gets.labels("PUT", 200).count == gets.labels(method="PUT").count == 0


def test_a_failure_lists_the_children_that_were_not_meant(changes):
    with pytest.raises(AssertionError) as caught:
        changes.assert_recorded("http", {"method": "GET"}, count=1)
    assert str(caught.value).splitlines() == [
        "'http' with method='GET' was not recorded as expected:",
        "  count: expected 1, got 3",
        "other changes:",
        '  http{method="PUT",status="200"}: count=4',
    ]


@pytest.mark.parametrize("key", ["GET", ("GET",), ("GET", 200, 1), (), {}, {"metod": "GET"}])
def test_values_that_do_not_match_are_refused(changes, key):
    with pytest.raises(ValueError, match="give all of them by position, or some by name"):
        changes["http"][key]


def test_a_family_of_one_label_takes_its_value_alone():
    registry = Registry()
    family = registry.counters("x", labels=("region",))
    with recorded(registry) as changes:
        family.labels("eu").inc()
    assert changes["x"]["eu"].count == changes["x"][("eu",)].count == 1


@pytest.mark.parametrize("make", [Histogram, Timer])
def test_percentiles_are_those_of_all_chosen_children(make):
    registry = Registry()
    family = registry.register("x", Family(make, LABELS))
    with recorded(registry) as changes:
        for value in range(1, 100):
            family.labels("GET", value % 3).update(value)
            family.labels("PUT", 0).update(1000)
    gets = changes["x", {"method": "GET"}]
    assert gets.percentile(0.5) == 50.0
    assert changes["x"].percentile(1) == 1000.0
    assert changes["x", {"method": "PATCH"}].percentile(0.5) == 0.0
    assert (gets.count, gets.sum) == (99, 4950.0)


def test_deltas_of_gauges_are_summed_and_counters_have_no_percentiles():
    registry = Registry()
    depth = registry.register("depth", Family(Gauge, ("queue",)))
    registry.register("hits", Family(Counter, ("queue",)))
    depth.labels("a").set(5)
    with recorded(registry) as changes:
        depth.labels("a").set(3)
        depth.labels("b").set(4)
    assert changes["depth"].delta == 2.0
    assert changes["depth"]["a"].delta == -2.0
    with pytest.raises(AttributeError, match="has no 'values'"):
        changes["hits"].percentile(0.5)
