"""JSON pages are valid JSON under go-ethereum's keys."""

import json as stdlib
import math

from metrics import Registry
from metrics.exporters import json


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
    registry.timer("call").update(2.0)
    assert set(read(registry)["call"]) == {
        "count", "min", "max", "mean", "stddev", "median", "75%", "95%", "99%", "99.9%",
        "1m.rate", "5m.rate", "15m.rate", "mean.rate",
    }  # fmt: skip


def test_nan_and_infinities_become_null():
    registry = Registry()
    registry.gauge("nan").set(math.nan)
    registry.gauge("inf", labels=("x",)).labels("ü").set(-math.inf)
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
