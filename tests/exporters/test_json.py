"""JSON pages are valid JSON under go-ethereum's keys."""

import json as stdlib
import math

from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, Registry, Snapshot
from metrics.exporters import json
from metrics.exporters._series.clashes import warn_once
from metrics.instruments._labels import label_text
from tests.exporters.examples import everything, names, numbers, texts
from tests.exporters.page_reading import Custom


def read(registry: Registry) -> dict[str, dict[str, object]]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return stdlib.loads(json.render(registry), parse_constant=refuse)


def test_instruments_stand_under_their_full_names_in_order():
    registry = Registry("geth")
    registry.counter("b").inc(2)
    registry.gauge("a").set(1.5)
    values = read(registry)
    assert values == {"geth/a": {"value": 1.5}, "geth/b": {"count": 2}}
    assert list(values) == ["geth/a", "geth/b"]


def test_a_timer_has_go_ethereums_keys():
    registry = Registry()
    registry.timer("call", sampled=True).update(2.0)
    assert set(read(registry)["call"]) == {
        "count", "min", "max", "mean", "stddev", "median", "75%", "95%", "99%", "99.9%",
        "1m.rate", "5m.rate", "15m.rate", "mean.rate",
    }  # fmt: skip


def test_nan_and_infinities_become_null():
    registry = Registry()
    registry.gauge("nan").set(math.nan)
    registry.gauges("inf", labels=("x",)).labels("ü").set(-math.inf)
    assert read(registry) == {"nan": {"value": None}, 'inf{x="ü"}': {"value": None}}


def test_buckets_have_their_bounds():
    registry = Registry()
    registry.bucket_histogram("wait", bounds=(0.5, 1)).update(0.75)
    assert read(registry)["wait"] == {
        "count": 1,
        "mean": 0.75,
        "sum": 0.75,
        "buckets": {"0.5": 0, "1.0": 1, "+Inf": 1},
    }


def test_the_page_and_a_scrape_do_not_take_from_each_other():
    registry = Registry()
    registry.resetting_timer("pause").update(1.0)
    registry.snapshot("prometheus")
    assert read(registry)["pause"]["count"] == 1
    assert read(registry)["pause"]["count"] == 0


def test_what_json_readers_cannot_hold_does_not_fail_the_page():
    registry = Registry()
    registry.int_gauge("big").set(10**5000)
    registry.info("x").set({"a": "\ud800"})
    assert read(registry) == {"big": {"value": None}, "x": {"value": {"a": "\ud800"}}}


def test_every_instrument_stands_there_as_the_registry_has_it():
    registry = everything()
    assert read(registry) == registry.to_dict("other")


def test_a_registry_with_nothing_in_it_is_an_empty_object():
    assert read(Registry()) == {}


def test_a_large_registry_comes_in_chunks():
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=5000)
    for index in range(5000):
        family.labels(index)
    chunks = list(json.stream(registry))
    assert len(chunks) > 1
    assert max(map(len, chunks)) < 40_000
    assert stdlib.loads(b"".join(chunks)) == read(registry) == registry.to_dict()


@given(st.dictionaries(names, numbers), texts)
def test_numbers_read_back_as_they_were_recorded(values, label):
    registry = Registry()
    recorded = {}
    for name, value in values.items():
        made = registry.int_gauges if isinstance(value, int) else registry.gauges
        family = made(name, labels=("x",))
        family.labels(label).set(value)
        key = name + label_text(["x"], [label])
        recorded[key] = {"value": value if math.isfinite(value) else None}
    assert read(registry) == recorded


def test_a_name_that_looks_like_a_child_gives_way_to_it(caplog):
    warn_once.cache_clear()
    registry = Registry()
    registry.counters("a", labels=("x",)).labels("1").inc(3)
    registry.register('a{x="1"}', Counter()).inc(7)
    assert json.render(registry) == b'{"a{x=\\"1\\"}": {"count": 3}}'
    assert "is left out" in caplog.text


def test_a_value_that_has_no_form_in_json_does_not_fail_the_page():
    class Own(Snapshot):
        fields = ("kind",)
        kind = object

        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert read(registry) == {"own": {"kind": "<class 'object'>"}}
