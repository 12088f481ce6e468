"""Differences: a message has what has changed since the one before, and nothing else."""

import pytest

from metrics import Histogram, Registry, UniformReservoir
from metrics.clock import SYSTEM_CLOCK
from metrics.integrations._dashboard.rows import read
from metrics.integrations._dashboard.table import ShownTable


@pytest.fixture
def registry() -> Registry:
    return Registry()


def reads(registry: Registry, table: ShownTable) -> dict:
    changes = table.advance(read(registry, "test", str))
    assert changes.pop("time") <= SYSTEM_CLOCK.time()
    return changes


def test_each_kind_has_its_columns(registry):
    table = ShownTable(5.0)
    registry.counter("a/counter").inc(2)
    registry.float_counter("b/float").inc(1.5)
    registry.updown_counter("c/up_down").dec(3)
    registry.gauge("d/gauge").set(2.5)
    registry.int_gauge("e/int").set(7)
    registry.info("f/info").set({"version": "1.2", "commit": "abc"})
    registry.state_set("g/states", ["idle", "busy"]).set("busy")
    registry.meter("h/meter").mark(3)
    registry.bucket_histogram("i/buckets", bounds=[1.0, 2.0]).update(1.5)
    registry.register("j/histogram", Histogram(UniformReservoir(10))).update(4.0)
    registry.timer("k/timer").update(0.5)
    registry.timer("l/sampled", sampled=True).update(0.5)
    registry.resetting_timer("m/resetting").update(2.0)
    registry.float_updown_counter("n/float_up_down").inc(0.5)
    changes = reads(registry, table)
    kinds = {one["name"][2:]: (one["kind"], one["unit"], one["id"]) for one in changes["added"]}
    values = {n: (k, u, list(changes["values"][str(i)])) for n, (k, u, i) in kinds.items()}
    none = [None] * 2
    assert values == {
        "counter": ("Counter", "", [2]),
        "float": ("FloatCounter", "", [1.5]),
        "up_down": ("UpDownCounter", "", [-3]),
        "gauge": ("Gauge", "", [2.5]),
        "int": ("IntGauge", "", [7]),
        "info": ("Info", "", ["commit=abc version=1.2"]),
        "states": ("StateSet", "", ["busy"]),
        "meter": ("Meter", "", [3, 0.0, 0.0, 0.0]),
        "buckets": ("BucketHistogram", "", [1, 1.5, 1.95, 1.99, 1.5, *none]),
        "histogram": ("Histogram", "", [1, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]),
        "timer": ("Timer", "seconds", [1, *values["timer"][2][1:4], 0.5, *none, 0.0, 0.0, 0.0]),
        "sampled": ("Timer", "seconds", [1, *[0.5] * 6, 0.0, 0.0, 0.0]),
        "resetting": ("ResettingTimer", "seconds", [1, *[2.0] * 6]),
        "float_up_down": ("FloatUpDownCounter", "", [0.5]),
    }


def test_only_changed_values_come_again(registry):
    table = ShownTable(5.0)
    one, other = registry.counter("one"), registry.counter("other")
    assert reads(registry, table)["values"] == {"1": (0,), "2": (0,)}
    assert reads(registry, table) == {"values": {}}
    other.inc()
    assert reads(registry, table) == {"values": {"2": (1,)}}
    one.inc()
    assert reads(registry, table) == {"values": {"1": (1,)}}


def test_new_and_removed_series_are_named_and_ids_never_come_back(registry):
    table = ShownTable(5.0)
    requests = registry.counters("requests", labels=("method",))
    requests.labels("GET").inc()
    added = reads(registry, table)["added"]
    assert added == [
        {
            "id": 1,
            "name": "requests",
            "labels": {"method": "GET"},
            "kind": "Counter",
            "unit": "",
            "description": "",
        }
    ]
    requests.labels("PUT").inc()
    changes = reads(registry, table)
    assert [(each["id"], each["labels"]) for each in changes["added"]] == [(2, {"method": "PUT"})]
    requests.remove("GET")
    assert reads(registry, table) == {"values": {}, "removed": [1]}
    requests.labels("GET").inc()
    changes = reads(registry, table)
    assert [each["id"] for each in changes["added"]] == [3]
    assert changes["values"] == {"3": (1,)}
    registry.clear()
    assert reads(registry, table) == {"values": {}, "removed": [2, 3]}


def test_another_kind_under_the_same_name_is_another_series(registry):
    table = ShownTable(5.0)
    registry.counter("size")
    reads(registry, table)
    registry.unregister("size")
    registry.gauge("size", description="how much")
    changes = reads(registry, table)
    assert (changes["removed"], [each["kind"] for each in changes["added"]]) == ([1], ["Gauge"])


def test_another_description_comes_with_the_same_id(registry):
    table = ShownTable(5.0)
    registry.counter("size")
    reads(registry, table)
    registry.unregister("size")
    registry.counter("size", description="how much")
    changes = reads(registry, table)
    assert [(each["id"], each["description"]) for each in changes["added"]] == [(1, "how much")]
    assert "removed" not in changes


@pytest.mark.filterwarnings("ignore")
def test_a_series_that_cannot_be_read_stays_without_a_value(registry):
    fails = False

    def value() -> float:
        if fails:
            raise OSError("gone")
        return 1.0

    table = ShownTable(5.0)
    registry.gauge("a", function=value)
    assert reads(registry, table)["values"] == {"1": (1.0,)}
    fails = True
    assert reads(registry, table) == {"values": {"1": (None,)}}
    assert reads(registry, table) == {"values": {}}
    fails = False
    assert reads(registry, table) == {"values": {"1": (1.0,)}}


def test_numbers_that_json_has_not_are_null(registry):
    table = ShownTable(5.0)
    registry.gauge("a").set(float("nan"))
    registry.gauge("b").set(float("-inf"))
    registry.counter("c").inc(10**400)
    registry.counter("d").inc(2**60)
    values = reads(registry, table)["values"]
    assert values == {"1": (None,), "2": (None,), "3": (None,), "4": (float(2**60),)}


def test_the_heat_is_that_of_the_observations_since_the_last_read(registry):
    table = ShownTable(5.0)
    buckets = registry.bucket_histogram("a", bounds=[1.0, 4.0])
    sample = registry.register("b", Histogram(UniformReservoir(10)))
    for each in (buckets, sample):
        each.update(1.0)
    assert "heat" not in reads(registry, table)
    for each in (buckets, sample):
        each.update(2.0)
        each.update(2.0)
    changes = reads(registry, table)
    assert changes["heat"]["1"] == [(4, 2)]
    assert sum(count for _, count in changes["heat"]["2"]) == 2
    assert table.state()["heat"] == changes["heat"]
    assert "heat" not in reads(registry, table)
    assert table.state()["heat"] == {}
    sample.clear()
    assert "heat" not in reads(registry, table)


def test_series_above_the_limit_are_counted_and_the_shown_ones_stay(registry):
    table = ShownTable(5.0, most=2)
    registry.counter("m")
    registry.counter("n")
    reads(registry, table)
    registry.counter("a")
    assert reads(registry, table) == {"values": {}, "surplus": 1}
    registry.unregister("m")
    changes = reads(registry, table)
    assert changes["removed"] == [1]
    assert table.state()["surplus"] == 1
    changes = reads(registry, table)
    assert ([each["name"] for each in changes["added"]], changes["surplus"]) == (["a"], 0)


def test_the_child_for_label_sets_above_the_cap_is_marked(registry):
    table = ShownTable(5.0)
    family = registry.counters("requests", labels=("user", "zone"), max_children=1)
    family.labels("a", "b").inc()
    assert "overflow" not in reads(registry, table)
    family.labels("b", "c").inc()
    changes = reads(registry, table)
    assert changes["overflow"] == [2]
    assert changes["added"][0]["overflow"] is True
    assert table.state()["overflow"] == [2]


def test_checks_come_when_their_results_change(registry):
    table = ShownTable(5.0)
    check = registry.healthcheck("db", description="whether it answers")
    check.healthy()
    (first,) = reads(registry, table)["health"]
    assert (first["name"], first["error"]) == ("db", None)
    assert first["description"] == "whether it answers"
    assert "health" not in reads(registry, table)
    check.unhealthy("no route")
    (ill,) = reads(registry, table)["health"]
    assert ill["error"] == "no route"
    assert ill["since"] >= first["since"]
    check.unhealthy("still none")
    (still,) = reads(registry, table)["health"]
    assert (still["error"], still["since"]) == ("still none", ill["since"])
    registry.unregister("db")
    assert reads(registry, table)["health"] == []


def test_an_instrument_of_the_programs_own_is_shown_by_its_views(registry):
    class Queue:
        def snapshot(self, reader: str = ""):
            return registry.prototype.snapshot(reader)

    registry.prototype = registry.counter("a")
    registry.register("queue", Queue())
    kinds = {e["name"]: e["kind"] for e in reads(registry, ShownTable(5.0))["added"]}
    assert kinds == {"a": "Counter", "queue": "Counter"}
