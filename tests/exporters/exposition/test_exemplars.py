"""Exemplars on OpenMetrics' page: where they stand, and that a strict parser reads them back."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from metrics import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    CounterSnapshot,
    Exemplar,
    Family,
    Meter,
    Registry,
)
from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.reading import read_samples
from metrics.testing import ManualClock
from tests.exporters.page_reading import Custom

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
TEXT = ' # {trace_id="0af7651916cd43dd8448eb211c80319c"}'


@pytest.fixture
def registry():
    return Registry(clock=ManualClock())


def page(registry, **options):
    return openmetrics.render(registry, **options).decode()


def traced_lines(registry, **options):
    return [line for line in page(registry, **options).splitlines() if " # {" in line]


def exemplars(registry, **options):
    """Return the exemplars of a page, as the parser reads them, by name and labels."""
    return {
        (sample.name, tuple(sample.labels.items())): sample.exemplar
        for family in text_string_to_metric_families(page(registry, **options))
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_an_exemplar_follows_the_total(registry):
    registry.counter("requests").inc(3, exemplar=TRACE)
    registry.float_counter("joules").inc(0.5, exemplar=TRACE)
    registry.meter("events").mark(2, exemplar=TRACE)
    assert traced_lines(registry, created=True) == [
        f"events_total 2{TEXT} 2 1700000000.0",
        f"joules_total 0.5{TEXT} 0.5 1700000000.0",
        f"requests_total 3{TEXT} 3 1700000000.0",
    ]
    assert len(exemplars(registry, created=True)) == 3


def test_an_exemplar_follows_its_bucket(registry):
    histogram = registry.bucket_histogram("size", (1.0, 5.0))
    histogram.update(0.5, exemplar=TRACE)
    histogram.update(7.0, exemplar=TRACE)
    registry.timer("wait", bounds=(1.0,)).update(1.0, exemplar=TRACE)
    assert traced_lines(registry) == [
        f'size_bucket{{le="1.0"}} 1{TEXT} 0.5 1700000000.0',
        f'size_bucket{{le="+Inf"}} 2{TEXT} 7.0 1700000000.0',
        f'wait_seconds_bucket{{le="1.0"}} 1{TEXT} 1.0 1700000000.0',
    ]
    assert {name for name, _ in exemplars(registry)} == {"size_bucket", "wait_seconds_bucket"}


def test_children_have_exemplars_of_their_own(registry):
    family = registry.counters("requests", ("path",))
    for number in range(300):
        family.labels(str(number)).inc()
    family.labels("7").inc(exemplar={"a": "7"})
    family.labels("270").inc(exemplar={"a": "270"})
    timers = registry.timers("wait", ("path",))
    for number in range(40):
        timers.labels(str(number)).update(1.0)
    timers.labels("39").update(1.0, exemplar={"a": "39"})
    found = exemplars(registry)
    assert {dict(labels)["path"]: one.labels["a"] for (_, labels), one in found.items()} == {
        each: each for each in ("7", "270", "39")
    }


def test_the_value_is_in_the_base_unit_of_its_sample(registry):
    histogram = registry.bucket_histogram("wait", (250.0,), unit="milliseconds")
    histogram.update(125.0, exemplar=TRACE)
    (line,) = traced_lines(registry)
    assert line == f'wait_seconds_bucket{{le="0.25"}} 1{TEXT} 0.125 1700000000.0'


def test_labels_are_escaped(registry):
    registry.counter("requests").inc(exemplar={"path": 'a "b"\\\n # {c="d"} 5 '})
    assert traced_lines(registry) == [
        'requests_total 1 # {path="a \\"b\\"\\\\\\n # {c=\\"d\\"} 5 "} 1 1700000000.0'
    ]
    (exemplar,) = exemplars(registry).values()
    assert exemplar.labels == {"path": 'a "b"\\\n # {c="d"} 5 '}


@pytest.mark.parametrize("escaping", ["allow-utf-8", "dots", "values"])
def test_exemplars_are_the_same_in_every_scheme_of_names(registry, escaping):
    registry.counter("http.requests").inc(exemplar=TRACE)
    (line,) = traced_lines(registry, escaping=escaping)
    assert line.endswith(f" 1{TEXT} 1 1700000000.0")


def test_the_text_format_has_no_exemplars(registry):
    registry.counter("requests").inc(exemplar=TRACE)
    registry.timer("wait").update(1.0, exemplar=TRACE)
    for dialect in ("prometheus", "go-ethereum"):
        text = prometheus.render(registry, dialect=dialect).decode()
        assert "trace_id" not in text


def test_samples_that_the_format_does_not_allow_are_left_out_beside_exemplars(registry):
    histogram = registry.bucket_histogram("delta", (-1.0, 1.0))
    histogram.update(-5.0, exemplar=TRACE)
    histogram.update(0.5, exemplar=TRACE)
    text = page(registry)
    assert "delta_sum" not in text
    assert [line.partition(" # ")[0] for line in traced_lines(registry)] == [
        'delta_bucket{le="-1.0"} 1',
        'delta_bucket{le="1.0"} 2',
    ]
    assert [one.value for one in exemplars(registry).values()] == [-5.0, 0.5]


def test_a_page_follows_the_latest_exemplar(registry):
    counter = registry.counter("requests")
    counter.inc()
    assert exemplars(registry) == {}
    for trace in "ab":
        counter.inc(exemplar={"trace_id": trace})
        (exemplar,) = exemplars(registry).values()
        assert exemplar.labels == {"trace_id": trace}
    counter.clear()
    assert exemplars(registry) == {}


def test_unregistered_instruments_show_their_last_exemplar(registry):
    store = registry._store
    with store.follow("openmetrics"):
        registry.counter("requests").inc(exemplar=TRACE)
        registry.unregister("requests")
        assert len(exemplars(registry)) == 1


def test_snapshots_of_other_processes_have_exemplars(registry):
    exemplar = Exemplar((("a", "1"),), 1, 5.0)
    registry.register("requests", CounterSnapshotOf(CounterSnapshot(1, (exemplar,))))
    buckets = BucketHistogramSnapshot((1.0,), (0, 1), 5.0, exemplars=(None, exemplar))
    registry.register("size", CounterSnapshotOf(buckets))
    assert traced_lines(registry) == [
        'requests_total 1 # {a="1"} 1 5.0',
        'size_bucket{le="+Inf"} 1 # {a="1"} 1 5.0',
    ]


class CounterSnapshotOf(Custom):
    """An instrument of a program's own that returns a snapshot with exemplars."""


def test_a_family_of_mixed_children_has_the_exemplars_of_each(registry):
    made = iter((Counter(), Meter()))
    family = registry.register("mixed", Family(Counter, ("a",), lambda: next(made)))
    family.labels("counter").inc(exemplar={"of": "counter"})
    family.labels("meter").mark(exemplar={"of": "meter"})
    assert sorted(one.labels["of"] for one in exemplars(registry).values()) == ["counter", "meter"]


def test_samples_for_remote_write_have_exemplars_in_base_units(registry):
    registry.bucket_histogram("wait", (250.0,), unit="milliseconds").update(125.0, TRACE)
    registry.counter("requests").inc(2, TRACE)
    registry.timer("sampled", sampled=True).update(1.0, TRACE)
    found = {
        (sample.name, sample.labels): sample.exemplar
        for _, sample in read_samples(registry, "remote-write")
        if sample.exemplar is not None
    }
    labels = tuple(TRACE.items())
    assert found == {
        ("requests_total", ()): Exemplar(labels, 2, 1_700_000_000.0),
        ("wait_seconds_bucket", (("le", "0.25"),)): Exemplar(labels, 0.125, 1_700_000_000.0),
    }


NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,20}", fullmatch=True).filter(
    lambda name: not name.startswith("__") and name not in {"le", "quantile", "window"}
)
TEXTS = st.text(max_size=40) | st.text(st.sampled_from('"\\\n #{}=,\ud800\x00'), max_size=20)

EXEMPLAR = re.compile(r' # \{((?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*)\} (\S+) (\S+)\Z')
"""An exemplar at the end of a line, by the grammar of OpenMetrics."""

LABEL = re.compile(r'(\w+)="((?:[^"\\\n]|\\["\\n])*)"(?:,|\Z)')


def parsed(line):
    """Return the labels, the value and the time of the exemplar at the end of a line."""
    labels, value, seconds = EXEMPLAR.search(line).groups()
    pairs = LABEL.findall(labels)
    assert ",".join(f'{name}="{text}"' for name, text in pairs) == labels
    unescaped = {
        name: re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), text)
        for name, text in pairs
    }
    return unescaped, float(value), float(seconds)


@given(
    st.dictionaries(NAMES, TEXTS, max_size=4),
    st.floats(0.0, 1e300),
    st.integers(0, 10**400),
    st.floats(0.0, 4e9),
)
@example({"A": ""}, 0.0, 2**53 + 1, 0.0)
def test_any_exemplar_is_read_back(labels, value, number, seconds):
    clock = ManualClock(epoch=seconds)
    registry = Registry(clock=clock)
    registry.register("size", BucketHistogram((1.0, 1e6))).update(value, exemplar=labels)
    child = registry.counters("requests", ("path",)).labels("a # {b='c'}")
    child.inc(number, exemplar=labels)
    # A line feed within a label is escaped; other characters that end lines are not.
    found = [parsed(line) for line in page(registry).split("\n") if EXEMPLAR.search(line)]
    if not labels or sum(len(name) + len(text) for name, text in labels.items()) > 128:
        assert found == []
        return
    texts = {name: text.encode(errors="replace").decode() for name, text in labels.items()}
    assert found == [(texts, as_float(number), clock.time()), (texts, value, clock.time())]
    # The parser of prometheus_client takes an escaped quote in an exemplar for the end of a text.
    if '"' not in "".join(labels.values()):
        read = [
            (one.labels, as_float(one.value), float(one.timestamp))
            for one in exemplars(registry).values()
        ]
        assert read == found


def as_float(number):
    """Return a number as Prometheus reads it."""
    try:
        return float(number)
    except OverflowError:
        return float("inf")
