"""The page is one flat JSON object under go-ethereum's keys."""

import json
import logging
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, Histogram, Registry, Snapshot, UniformReservoir
from metrics.exporters import expvar
from metrics.exporters._series.clashes import warn_once
from tests.exporters.examples import everything, names, numbers, texts
from tests.exporters.page_reading import Custom


def read(registry: Registry, **options: str) -> dict[str, object]:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        keys = [key for key, _ in pairs]
        assert len(set(keys)) == len(keys)
        return dict(pairs)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    page = expvar.render(registry, **options)
    return json.loads(page, parse_constant=refuse, object_pairs_hook=unique)


def distribution(name: str, *values: float) -> dict[str, float]:
    fields = (
        "min", "max", "mean", "std-dev",
        "50-percentile", "75-percentile", "95-percentile", "99-percentile", "999-percentile",
    )  # fmt: skip
    return {f"{name}.{field}": value for field, value in zip(fields, values, strict=True)}


def rates(name: str, rate: float) -> dict[str, float]:
    return dict.fromkeys([f"{name}.{w}-minute" for w in ("one", "five", "fifteen")], rate)


def test_every_instrument_has_go_ethereums_keys():
    assert read(everything()) == {
        "build": '{"commit": "a\\"b\\n", "version": "1.2"}',
        "call.count": 1,
        **distribution("call", 2.5e8, 2.5e8, 2.5e8, 0, *[2.5e8] * 5),
        **rates("call", 0.2),
        "call.mean-rate": 0.1,
        "cpu": 1.5,
        "db.error": None,
        "disk.error": "division by zero",
        "height": 12_345_678,
        'hits{method="\\"\\n"}': 1,
        'hits{method="GET"}': 3,
        "in-flight": -2,
        "pause.count": 1,
        **distribution("pause", 5e8, 5e8, 5e8, 0, *[5e8] * 5),
        "sent.count": 5120,
        **rates("sent", 1024),
        "sent.mean": 512,
        "served.count": 1,
        **distribution(
            "served", 5e8, 1e9, 7.5e8, 144337567.29740644, 7.5e8, 8.75e8, 9.75e8, 9.95e8, 9.995e8
        ),
        **rates("served", 0.0),
        "served.mean-rate": 0.1,
        "size.count": 2,
        **distribution("size", 10, 20, 15, 5, 15, 20, 20, 20, 20),
        "used": 1.5 * 2**30,
        "wait.count": 1,
        **distribution(
            "wait", 0.5, 1, 0.75, 0.14433756729740643, 0.75, 0.875, 0.975, 0.995, 0.9995
        ),
    }


def test_labels_come_before_the_field():
    registry = Registry()
    registry.meters("rpc", labels=("method",)).labels("GET").mark(2)
    assert read(registry)['rpc{method="GET"}.count'] == 2


def test_timers_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    assert read(registry, duration_unit="seconds")["call.max"] == 0.25
    assert read(registry, duration_unit="milliseconds")["call.max"] == 250


def test_a_wrong_unit_is_an_error_of_the_call_itself():
    with pytest.raises(ValueError, match="'hours'"):
        expvar.stream(Registry(), duration_unit="hours")


def test_an_empty_registry_is_an_empty_object():
    assert read(Registry()) == {}


@given(st.dictionaries(names, numbers))
def test_numbers_read_back(values):
    registry = Registry()
    recorded = {}
    for name, value in values.items():
        try:
            made = registry.int_gauge if isinstance(value, int) else registry.gauge
            made(name).set(value)
        except ValueError:
            continue  # exported like one that is there
        recorded[name] = value if math.isfinite(value) else None
    assert read(registry) == recorded


@given(texts, texts)
def test_any_label_and_any_info_label_make_a_valid_page(label, fact):
    registry = Registry()
    registry.counters("a", labels=("x",)).labels(label)
    registry.info("b").set({fact: fact})
    page = read(registry)
    assert len(page) == 2
    assert json.loads(page["b"]) == {fact: fact}


def test_numbers_that_json_does_not_have_are_null():
    registry = Registry()
    registry.int_gauge("a").set(10**5000)
    registry.counters("b", labels=("x",)).labels("\ud800").inc()
    registry.info("c").set({"\ud800": "\udcff"})
    assert read(registry) == {"a": None, 'b{x="\ud800"}': 1, "c": '{"\ud800": "\udcff"}'}


@pytest.mark.parametrize("name", ["a.max", "a.std-dev"])
def test_of_two_instruments_with_one_key_the_first_is_kept(name, caplog):
    warn_once.cache_clear()
    registry = Registry()
    registry.register("a", Histogram(UniformReservoir(8))).update(1.0)
    registry.counter(name).inc(7)
    with caplog.at_level(logging.WARNING):
        assert read(registry)[name] != 7
    assert f"'{name}' is left out" in caplog.text


def test_an_instrument_with_the_key_of_a_child_is_left_out():
    registry = Registry()
    registry.counters("a", labels=("x",)).labels("1").inc(3)
    registry.register('a{x="1"}', Counter()).inc(7)
    assert read(registry) == {'a{x="1"}': 3}


def test_a_name_with_a_dot_that_is_no_field_stays():
    registry = Registry()
    registry.counter("a").inc()
    registry.counter("a.count").inc(7)
    registry.meter("b")
    registry.counter("b.value").inc(8)
    page = read(registry)
    assert (page["a.count"], page["b.value"]) == (7, 8)


def test_a_foreign_instrument_shows_its_fields():
    class Own(Snapshot):
        fields = ("left", "right")
        left = 1
        right = object

        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert read(registry) == {"own.left": 1, "own.right": "<class 'object'>"}


def test_a_large_registry_comes_in_chunks():
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=5000)
    for index in range(5000):
        family.labels(index)
    chunks = list(expvar.stream(registry))
    assert len(chunks) > 1
    assert max(map(len, chunks)) < 40_000
    assert len(json.loads(b"".join(chunks))) == 5000
