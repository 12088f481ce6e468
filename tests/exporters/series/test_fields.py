"""Fields of an instrument; the golden pages of the formats have the fields of all kinds."""

import json
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from metrics import Gauge, Histogram, InfoSnapshot, Registry, Snapshot, Timer
from metrics.exporters._series.fields import fields, info_text
from metrics.exporters._series.series import read_series


class Weather(Snapshot):
    """A snapshot of a program's own."""

    def to_dict(self):
        return {"temperature": 21.5, "sky": "clear", "wind": inf, "gusts": 2**64}


class Station:
    def snapshot(self, reader=""):
        return Weather()


def fields_of(registry, times=1):
    [one] = read_series(registry, "")
    return fields(one, times)


def test_of_an_instrument_of_the_programs_own_there_are_its_finite_numbers():
    registry = Registry()
    registry.register("weather", Station())
    assert fields_of(registry) == {"temperature": 21.5, "gusts": 2.0**64}


def test_only_durations_are_multiplied():
    registry = Registry()
    registry.register("call", Timer(Histogram())).update(0.5)
    found = fields_of(registry, 1000)
    assert (found["count"], found["mean"], found["99-percentile"]) == (1, 500, 500)
    registry.clear()
    registry.register("load", Gauge()).set(0.5)
    assert fields_of(registry, 1000) == {"value": 0.5}


def test_a_health_check_is_1_when_healthy_and_0_when_not():
    registry = Registry()
    answers = iter([True, False])
    check = registry.healthcheck("db", lambda: next(answers))
    assert fields_of(registry) == {"value": 1}
    check.check()
    assert fields_of(registry) == {"value": 0}


@given(st.dictionaries(st.text(), st.text()))
def test_info_labels_are_a_json_object_in_order_of_names(labels):
    text = info_text(InfoSnapshot(labels))
    assert json.loads(text) == labels
    assert list(json.loads(text)) == sorted(labels)
