"""A strict parser, written from the protocol's description, reads back the recorded values."""

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import opentsdb
from metrics.testing import ManualClock

NOW = 1_700_000_000_999_999_999
LINE = re.compile(r"put (\S+) (\d{10}) (-?\d+(?:\.\d+)?)((?: [^ =]+=[^ =]+)+)")

GOLDEN = """
blocks.count 5
blocks.one-minute 1.0
blocks.five-minute 1.0
blocks.fifteen-minute 1.0
blocks.mean 0.5
call.count 1
call.min 250.0
call.max 250.0
call.mean 250.0
call.std-dev 0.0
call.50-percentile 250.0
call.75-percentile 250.0
call.95-percentile 250.0
call.99-percentile 250.0
call.999-percentile 250.0
call.one-minute 0.0
call.five-minute 0.0
call.fifteen-minute 0.0
call.mean-rate 0.0
cpu.count 1.5
db.value 1
height.value 17
in-flight.count -2
inserts.count 3
load.value 0.25
pause.count 1
pause.min 1.0
pause.max 1.0
pause.mean 1.0
pause.std-dev 0.0
pause.50-percentile 1.0
pause.75-percentile 1.0
pause.95-percentile 1.0
pause.99-percentile 1.0
pause.999-percentile 1.0
size.count 4
size.min 1.0
size.max 4.0
size.mean 2.5
size.std-dev 1.118033988749895
size.50-percentile 2.5
size.75-percentile 3.75
size.95-percentile 4.0
size.99-percentile 4.0
size.999-percentile 4.0
"""
GOLDEN = "".join(
    [
        f"put geth.chain/{name} 1700000000 {value} host=here\n"
        for name, value in map(str.split, GOLDEN.strip().split("\n"))
    ]
)


def everything() -> Registry:
    clock = ManualClock()
    registry = Registry("chain", clock=clock)
    registry.counter("inserts").inc(3)
    registry.float_counter("cpu").inc(1.5)
    registry.updown_counter("in-flight").dec(2)
    registry.gauge("load").set(0.25)
    registry.int_gauge("height").set(17)
    registry.healthcheck("db", lambda: None)
    registry.meter("blocks").mark(5)
    registry.meter("blocks").tick()
    clock.advance(10)
    for value in (1, 2, 3, 4):
        registry.histogram("size").update(value)
    registry.timer("call", sampled=True).update(0.25)
    registry.resetting_timer("pause").update(0.001)
    return registry


def page(registry, **options):
    return opentsdb.render(registry, **{"host": "h", "timestamp_ns": NOW} | options).decode()


def parsed(text):
    points = []
    assert text.endswith("\n") or not text
    for line in text.split("\n")[:-1]:
        match = LINE.fullmatch(line)
        assert match, f"{line!r} is no put line"
        name, seconds, value, tags = match.groups()
        pairs = dict(tag.split("=") for tag in tags.split())
        for word in (name, *pairs, *pairs.values()):
            assert all(c.isalpha() or c in "0123456789-_./" for c in word)
        number = float(value) if "." in value else int(value)
        points.append({"metric": name, "timestamp": int(seconds), "value": number, "tags": pairs})
    return points


def test_every_instrument_has_go_ethereums_fields():
    assert page(everything(), host="here", namespace="geth") == GOLDEN


def test_json_has_the_same_points_as_the_lines():
    points = parsed(page(everything()))
    registry = everything()
    body = opentsdb.render_json(registry, host="h", timestamp_ns=NOW)
    assert json.loads(body) == points
    assert [type(p["value"]) for p in json.loads(body)] == [type(p["value"]) for p in points]


def test_no_json_array_has_more_points_than_its_limit():
    points = parsed(page(everything()))
    bodies = [
        json.loads(body)
        for body in opentsdb.stream_json(everything(), host="h", timestamp_ns=NOW, batch_size=10)
    ]
    assert [len(body) for body in bodies] == [10, 10, 10, 10, len(points) - 40]
    assert [point for body in bodies for point in body] == points


def test_an_empty_registry_is_no_line_and_no_request():
    assert page(Registry()) == ""
    assert list(opentsdb.stream_json(Registry(), host="h", timestamp_ns=NOW)) == []
    assert opentsdb.render_json(Registry(), host="h", timestamp_ns=NOW) == b"[]"


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


def test_an_empty_distribution_has_a_count_and_no_statistics():
    registry = Registry()
    registry.histogram("a")
    registry.bucket_histogram("b", (1.0,))
    registry.resetting_timer("c")
    registry.timer("d", sampled=True)
    assert [(point["metric"], point["value"]) for point in parsed(page(registry))] == [
        ("a.count", 0),
        ("b.count", 0),
        ("c.count", 0),
        ("d.count", 0),
        ("d.one-minute", 0),
        ("d.five-minute", 0),
        ("d.fifteen-minute", 0),
        ("d.mean-rate", 0),
    ]


def test_nan_and_infinities_are_left_out_and_large_ints_are_floats():
    registry = Registry()
    registry.gauge("a").set(math.nan)
    registry.gauge("b").set(-math.inf)
    registry.int_gauge("c").set(10**400)
    registry.int_gauge("d").set(2**70)
    registry.gauge("e").set(1e-7)
    assert page(registry) == (
        "put d.value 1700000000 1180591620717411300000.0 host=h\n"
        "put e.value 1700000000 0.0000001 host=h\n"
    )


def test_durations_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    values = {p["metric"]: p["value"] for p in parsed(page(registry, duration_unit="seconds"))}
    assert (values["call.mean"], values["call.99-percentile"]) == (0.25, 0.25)


@given(st.text(min_size=1), st.text(), st.text(min_size=1), st.text(), st.text())
def test_no_text_changes_the_structure_of_its_line(host, prefix, key, tag, label):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    text = page(registry, host=host, namespace=prefix, tags={key: tag})
    [point] = parsed(text)
    assert point["value"] == 7
    assert point["tags"]
    body = opentsdb.render_json(
        registry, host=host, namespace=prefix, tags={key: tag}, timestamp_ns=NOW
    )
    assert json.loads(body) == [point]


def test_a_large_registry_comes_in_chunks_of_whole_lines():
    registry = Registry()
    family = registry.counters("a", labels=("n",), max_children=5000)
    for n in range(5000):
        family.labels(f"{n:020}").inc()
    chunks = list(opentsdb.stream(registry, host="h", timestamp_ns=NOW))
    assert len(chunks) > 3
    assert all(chunk.endswith(b"\n") and len(chunk) < 40_000 for chunk in chunks)
    assert len(parsed(b"".join(chunks).decode())) == 5000


@pytest.mark.parametrize("stream", [opentsdb.stream, opentsdb.stream_json, opentsdb.render_json])
@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timestamp_ns": None}, TypeError),
        ({"host": ""}, ValueError),
        ({"host": None}, TypeError),
        ({"namespace": None}, TypeError),
        ({"tags": {"": "x"}}, ValueError),
        ({"duration_unit": "hours"}, ValueError),
    ],
)
def test_options_are_checked_before_the_first_chunk(stream, options, error):
    with pytest.raises(error, match=r"timestamp_ns|host|namespace|tag|duration_unit"):
        stream(Registry(), **{"host": "h", "timestamp_ns": NOW} | options)


def test_an_empty_batch_is_refused():
    with pytest.raises(ValueError, match="batch_size"):
        opentsdb.stream_json(Registry(), host="h", timestamp_ns=NOW, batch_size=0)
