"""A strict parser, written from the protocol's description, reads back the recorded values."""

import json

from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import opentsdb
from tests.exporters.examples import everything
from tests.exporters.line_readers import opentsdb_points

REQUIRED = {"host": "h", "timestamp_ns": 1_700_000_000_999_999_999}


def page(registry, **options):
    return opentsdb.render(registry, **REQUIRED | options).decode()


def test_json_has_the_same_points_as_the_lines():
    points = opentsdb_points(page(everything()).encode())
    body = page(everything(), dialect="json")
    assert json.loads(body) == points
    assert [type(p["value"]) for p in json.loads(body)] == [type(p["value"]) for p in points]


def test_no_json_array_has_more_points_than_its_limit():
    points = opentsdb_points(page(everything()).encode())
    bodies = [
        json.loads(body)
        for body in opentsdb.stream(everything(), dialect="json", batch_size=10, **REQUIRED)
    ]
    assert [len(body) for body in bodies] == [*[10] * (len(points) // 10), len(points) % 10]
    assert [point for body in bodies for point in body] == points


def test_an_empty_registry_is_no_line_and_no_request():
    assert page(Registry()) == ""
    assert list(opentsdb.stream(Registry(), dialect="json", batch_size=10, **REQUIRED)) == []


def test_without_a_namespace_no_metric_begins_with_a_dot():
    registry = Registry()
    registry.counter("a").inc()
    assert page(registry) == "put a.count 1700000000 1 host=h\n"
    assert page(registry, namespace="x.") == "put x.a.count 1700000000 1 host=h\n"


def test_info_labels_are_the_tags_of_a_one():
    registry = Registry()
    registry.info("build").set({"version": "1.2 beta", "": "x"})
    assert page(registry) == "put build.value 1700000000 1 _=x host=h version=1.2_beta\n"


def test_labels_are_tags_and_the_host_is_always_there():
    registry = Registry()
    family = registry.counters("a", labels=("method", "host"))
    family.labels("GET", "b").inc()
    family.labels("", "").inc()
    assert page(registry, tags={"method": "any", "dc": "", "host": ""}).splitlines() == [
        "put a.count 1700000000 1 host=h method=any",
        "put a.count 1700000000 1 host=b method=GET",
    ]


def test_durations_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    values = {
        p["metric"]: p["value"]
        for p in opentsdb_points(page(registry, duration_unit="seconds").encode())
    }
    assert (values["call.mean"], values["call.99-percentile"]) == (0.25, 0.25)


@given(st.text(min_size=1), st.text(), st.text(min_size=1), st.text(), st.text())
def test_no_text_changes_the_structure_of_its_line(host, prefix, key, tag, label):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    text = page(registry, host=host, namespace=prefix, tags={key: tag})
    [point] = opentsdb_points(text.encode())
    assert point["value"] == 7
    assert point["tags"]
    body = page(registry, host=host, namespace=prefix, tags={key: tag}, dialect="json")
    assert json.loads(body) == [point]
