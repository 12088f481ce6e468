"""A strict parser, written from the protocol's description, reads back the recorded values."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry, ResettingTimer
from metrics.exporters import influx
from metrics.testing import ManualClock
from tests.exporters.line_protocol import parsed

GOLDEN = r"""
blocks.meter count=5i,m1=1.0,m15=1.0,m5=1.0,mean=0.5
build.gauge value="{\"arch\":\"a\\\"b\\\\c\",\"version\":\"1.2\"}"
call.timer count=1i,m1=0.0,m15=0.0,m5=0.0,max=250000000i,mean=250000000.0,meanrate=0.0,\
min=250000000i,p50=250000000.0,p75=250000000.0,p95=250000000.0,p99=250000000.0,\
p999=250000000.0,p9999=250000000.0,stddev=0.0,variance=0.0
cpu.count value=1.5
db.gauge value=1i
height.gauge value=17i
in-flight.count value=-2i
inserts.count value=3i
load.gauge value=0.25
pause.timer count=1i,max=1000i,mean=1000.0,min=1000i,p50=1000.0,p75=1000.0,p95=1000.0,\
p99=1000.0,p999=1000.0,p9999=1000.0
size.histogram count=4i,max=4.0,mean=2.5,min=1.0,p25=1.25,p50=2.5,p75=3.75,p95=4.0,p99=4.0,\
p999=4.0,p9999=4.0,stddev=1.118033988749895,variance=1.25
"""
GOLDEN = "".join(
    [
        f"geth.chain/{line} 1700000000123456789\n"
        for line in GOLDEN.replace("\\\n", "").strip().split("\n")
    ]
)


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


def test_every_instrument_has_go_ethereums_measurement_and_fields():
    clock = ManualClock()
    registry = Registry("chain", clock=clock)
    registry.counter("inserts").inc(3)
    registry.float_counter("cpu").inc(1.5)
    registry.updown_counter("in-flight").dec(2)
    registry.gauge("load").set(0.25)
    registry.int_gauge("height").set(17)
    registry.info("build").set({"version": "1.2", "arch": 'a"b\\c'})
    registry.healthcheck("db", lambda: None)
    registry.meter("blocks").mark(5)
    registry.meter("blocks").tick()
    clock.advance(10)
    for value in (1, 2, 3, 4):
        registry.histogram("size").update(value)
    registry.timer("call", sampled=True).update(0.25)
    registry.resetting_timer("pause").update(0.000001)
    assert page(registry, namespace="geth.", timestamp_ns=1_700_000_000_123_456_789) == GOLDEN


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


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_line_without_a_field_is_left_out(value):
    registry = Registry()
    registry.gauge("a").set(value)
    assert influx.render(registry) == b""


def test_a_field_that_is_not_finite_is_left_out_of_its_line():
    registry = Registry()
    registry.histogram("a").update(1e308)
    registry.histogram("a").update(-1e308)
    [fields] = parsed(influx.render(registry)).values()
    assert "variance" not in fields
    assert fields["max"] == 1e308


def test_a_duration_beyond_all_floats_does_not_fail_the_page():
    registry = Registry()
    registry.timer("a", sampled=True).update(1e308)
    [fields] = parsed(influx.render(registry)).values()
    assert fields["count"] == 1
    assert "max" not in fields


def test_an_int_beyond_64_bits_is_a_float_and_one_beyond_floats_is_left_out():
    registry = Registry()
    registry.int_gauge("a").set(2**63 - 1)
    registry.int_gauge("b").set(2**63)
    registry.int_gauge("c").set(10**400)
    assert page(registry) == (
        "a.gauge value=9223372036854775807i\nb.gauge value=9223372036854776000.0\n"
    )


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


def test_a_large_registry_comes_in_chunks_of_whole_lines():
    registry = Registry()
    family = registry.counters("a", labels=("n",), max_children=5000)
    for n in range(5000):
        family.labels(f"{n:020}").inc()
    chunks = list(influx.stream(registry))
    assert len(chunks) > 3
    assert all(chunk.endswith(b"\n") and len(chunk) < 40_000 for chunk in chunks)
    assert len(parsed(b"".join(chunks))) == 5000


def test_each_reader_has_its_own_values():
    registry = Registry()
    registry.register("pause", ResettingTimer()).update(1)
    assert influx.render(registry, reader="a") == influx.render(registry, reader="b") != b""
    assert influx.render(registry, reader="a") == b""


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timestamp_ns": 1.5}, TypeError),
        ({"timestamp_ns": -1}, ValueError),
        ({"namespace": None}, TypeError),
        ({"tags": {"": "x"}}, ValueError),
        ({"tags": {"a": 1}}, TypeError),
        ({"duration_unit": "hours"}, ValueError),
    ],
)
def test_options_are_checked_before_the_first_chunk(options, error):
    with pytest.raises(error, match=r"timestamp_ns|namespace|tag|duration_unit"):
        influx.stream(Registry(), **options)
