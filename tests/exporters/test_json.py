"""JSON pages are valid JSON under go-ethereum's keys."""

import math

from hypothesis import given
from hypothesis import strategies as st

from metrics import Counter, Registry
from metrics.exporters import json
from metrics.exporters._series.clashes import warn_once
from metrics.instruments._labels import label_text
from tests.exporters.examples import everything, names, numbers, texts
from tests.exporters.formats import read_json


def read(registry: Registry) -> dict[str, dict[str, object]]:
    return read_json(json.render(registry))


def test_instruments_stand_under_their_full_names_in_order():
    registry = Registry("geth")
    registry.counter("b").inc(2)
    registry.gauge("a").set(1.5)
    values = read(registry)
    assert values == {"geth/a": {"value": 1.5}, "geth/b": {"count": 2}}
    assert list(values) == ["geth/a", "geth/b"]


def test_every_instrument_stands_there_as_the_registry_has_it():
    registry = everything()
    assert read(registry) == registry.to_dict("other")


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
