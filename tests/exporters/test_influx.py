"""A strict parser, written from the protocol's description, reads back the recorded values."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry, StateSet
from metrics.exporters import influx
from tests.exporters.line_protocol import parsed


def page(registry, **options):
    return influx.render(registry, **options).decode()


def written(text):
    """What becomes of a name or a value that a tag cannot hold."""
    found = ""
    for index, c in enumerate(text):
        follows = text[index + 1 : index + 2]
        if c == "\\" and (not follows or follows in "\\,= " or follows < " " or follows == "\x7f"):
            found += "/"
        else:
            found += repr(c)[1:-1] if c < " " or c == "\x7f" else c
    return found


def test_a_bucket_histogram_has_the_same_fields_as_a_histogram():
    registry = Registry()
    registry.histogram("a").update(1)
    registry.bucket_histogram("b", bounds=(1, 2)).update(1.5)
    sampled, counted = parsed(influx.render(registry)).values()
    assert sampled.keys() == counted.keys()
    assert (counted["count"], counted["min"], counted["p50"], counted["max"]) == (1, 1, 1.5, 2)


def test_empty_distributions_are_left_out_but_timers_are_not():
    registry = Registry()
    registry.histogram("a")
    registry.bucket_histogram("b", (1.0,))
    registry.resetting_timer("c")
    registry.timer("d", sampled=True)
    [((name, _), fields)] = parsed(influx.render(registry)).items()
    assert (name, fields["count"], fields["max"]) == ("d.timer", 0, 0)


@pytest.mark.parametrize(
    ("unit", "mean", "least"),
    [
        ("seconds", 0.25, 0.25),
        ("milliseconds", 250.0, 250.0),
        ("microseconds", 250_000.0, 250_000.0),
        ("nanoseconds", 250_000_000.0, 250_000_000),
    ],
)
def test_durations_are_in_the_requested_unit(unit, mean, least):
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    registry.histogram("size").update(0.25)
    values = parsed(influx.render(registry, duration_unit=unit))
    call = values["call.timer", ()]
    assert (call["mean"], call["p99"], call["min"]) == (mean, mean, least)
    assert type(call["min"]) is type(least)
    assert values["size.histogram", ()]["mean"] == 0.25


def test_a_variance_is_in_the_square_of_the_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    registry.timer("call", sampled=True).update(0.75)
    [fields] = parsed(influx.render(registry, duration_unit="milliseconds")).values()
    assert (fields["stddev"], fields["variance"]) == (250, 62_500)


def test_a_field_that_is_not_finite_is_left_out_of_its_line():
    registry = Registry()
    registry.histogram("a").update(1e308)
    registry.histogram("a").update(-1e308)
    [fields] = parsed(influx.render(registry)).values()
    assert "variance" not in fields
    assert fields["max"] == 1e308


def test_a_label_takes_the_place_of_a_tag_and_all_are_sorted():
    registry = Registry()
    registry.counters("a", labels=("z", "host")).labels("1", "b").inc()
    registry.counters("c", labels=("host",)).labels("").inc()
    assert page(registry, tags={"host": "h", "dc": "x"}) == (
        "a.count,dc=x,host=b,z=1 value=1i\nc.count,dc=x,host=h value=1i\n"
    )


def test_a_tag_that_the_server_reserves_gets_another_name():
    registry = Registry()
    registry.counters("a", labels=("time", "_field")).labels("1", "2").inc()
    assert page(registry) == "a.count,_field_=2,time_=1 value=1i\n"


def test_a_measurement_is_no_comment():
    registry = Registry()
    registry.counter("#a b,c=d").inc()
    assert page(registry) == "_a\\ b\\,c=d.count value=1i\n"


def test_the_names_of_states_are_escaped():
    registry = Registry()
    registry.register("mode", StateSet(("a b", "c=d,\n", "e"))).set("e")
    assert page(registry) == "mode.gauge a\\ b=0i,c\\=d\\,\\n=0i,e=1i\n"


def test_the_error_of_a_health_check_is_not_exported():
    def check():
        raise RuntimeError("password hunter2")

    registry = Registry()
    registry.healthcheck("db", check).check()
    assert page(registry) == "db.gauge value=0i\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("C:\\dir", "C:\\dir"),
        ("dir\\", "dir/"),
        ("a\\ b", "a/\\ b"),
        ("a\\,b", "a/\\,b"),
        ("a\\\\b", "a/\\b"),
        ("a\\\n", "a/\\n"),
        ("a\nb\x00", "a\\nb\\x00"),
        ("a=b, c", "a\\=b\\,\\ c"),
    ],
)
def test_a_backslash_stays_unless_it_would_be_read_as_an_escape(value, expected):
    registry = Registry()
    registry.counters("a", labels=("x",)).labels(value).inc()
    assert page(registry) == f"a.count,x={expected} value=1i\n"


@given(st.text(), st.text(), st.text(min_size=1))
def test_no_text_changes_the_structure_of_its_line(label, tag, key):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    [(measurement, tags)] = parsed(influx.render(registry, tags={key: tag}))
    assert measurement == "a.count"
    name = written(key)
    name += "_" if name in {"time", "_field", "_measurement"} else ""
    expected = {key: tag} | ({"label": label} if label else {})
    expected = {(name if k == key else k): written(v) for k, v in expected.items() if v}
    assert dict(tags) == expected


@given(st.text(st.characters(exclude_characters="\\", exclude_categories=["C"]), min_size=1))
def test_printable_text_without_backslashes_reads_back(text):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(text).inc()
    assert list(parsed(influx.render(registry))) == [("a.count", (("label", text),))]


@given(st.text(min_size=1))
def test_a_namespace_is_escaped(namespace):
    registry = Registry()
    registry.counter("a").inc()
    [(measurement, _)] = parsed(influx.render(registry, namespace=namespace))
    expected = written(f"{namespace}a.count")
    assert measurement == (f"_{expected[1:]}" if expected.startswith("#") else expected)


@given(st.dictionaries(st.text(), st.text()))
def test_info_labels_are_json(facts):
    registry = Registry()
    registry.info("build").set(facts)
    [fields] = parsed(influx.render(registry)).values()
    assert json.loads(fields["value"]) == facts


@given(st.floats() | st.integers())
def test_numbers_read_back(value):
    registry = Registry()
    (registry.gauge if isinstance(value, float) else registry.int_gauge)("a").set(value)
    found = [fields["value"] for fields in parsed(influx.render(registry)).values()]
    assert found == ([value] if -math.inf < value < math.inf else []) or found == [float(value)]
