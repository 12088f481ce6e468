"""Exemplars of data points of OTLP."""

import pytest

from metrics import Counter, Registry
from metrics.exporters import otlp
from metrics.exporters._series.deltas import Deltas
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS
from tests.exporters.otlp.reading import metrics_in, number, points_in

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"
SPAN = {"trace_id": TRACE_ID, "span_id": SPAN_ID}
MIXED_UP = {"trace_id": SPAN_ID, "span_id": TRACE_ID}
DIGITS = "\N{ARABIC-INDIC DIGIT ONE}" * 32


def exemplars(registry, **options):
    """Return the exemplars of each metric that has any."""
    request = otlp.render(registry, **{"timestamp_ns": NOW_NS, **options})
    return {
        name: list(point.exemplars)
        for name, point in points_in(request)
        if getattr(point, "exemplars", ())
    }


def named(exemplar):
    return {pair.key: pair.value.string_value for pair in exemplar.filtered_attributes}


def test_sums_and_histograms_have_exemplars():
    registry = Registry(clock=ManualClock())
    registry.counter("requests").inc(3, exemplar=SPAN)
    registry.float_counter("joules").inc(0.5, exemplar=SPAN)
    registry.meter("events").mark(2, exemplar=SPAN)
    registry.bucket_histogram("size", (1.0,)).update(0.25, exemplar=SPAN)
    timer = registry.timers("wait", ("path",)).labels("/")
    timer.update(0.5, exemplar=SPAN)
    timer.update(60.0, exemplar=SPAN)
    found = exemplars(registry)
    values = {name: [number(one) for one in those] for name, those in found.items()}
    assert values == {
        "events": [2],
        "joules": [0.5],
        "requests": [3],
        "size": [0.25],
        "wait": [0.5, 60.0],
    }
    for those in found.values():
        for one in those:
            assert one.trace_id.hex() == TRACE_ID
            assert one.span_id.hex() == SPAN_ID
            assert one.time_unix_nano == 1_700_000_000_000_000_000
            assert not one.filtered_attributes


@pytest.mark.parametrize(
    ("labels", "trace", "span", "attributes"),
    [
        ({"trace_id": TRACE_ID.upper()}, TRACE_ID, "", {}),
        ({"span_id": SPAN_ID, "user": "1"}, "", SPAN_ID, {"user": "1"}),
        (MIXED_UP, "", "", MIXED_UP),
        ({"trace_id": "x" * 32}, "", "", {"trace_id": "x" * 32}),
        ({"trace_id": f" {TRACE_ID[1:]}"}, "", "", {"trace_id": f" {TRACE_ID[1:]}"}),
        ({"trace_id": DIGITS}, "", "", {"trace_id": DIGITS}),
        ({"http_route": "/"}, "", "", {"http.route": "/"}),
        ({"a": "\ud800"}, "", "", {"a": "?"}),
    ],
)  # fmt: skip
def test_labels_are_the_span_or_attributes(labels, trace, span, attributes):
    registry = Registry()
    registry.counter("requests").inc(exemplar=labels)
    (one,) = exemplars(registry)["requests"]
    assert (one.trace_id.hex(), one.span_id.hex(), named(one)) == (trace, span, attributes)


def test_instruments_without_exemplars_have_none():
    registry = Registry()
    registry.counter("requests").inc()
    registry.timer("wait").update(1.0)
    registry.timer("sampled", sampled=True).update(1.0, exemplar=SPAN)
    registry.gauge("gauge").set(1.0)
    registry.updown_counter("updown").inc()
    assert exemplars(registry) == {}
    assert exemplars(registry, distributions="summary") == {}


def test_deltas_have_the_exemplars_of_their_interval():
    clock = ManualClock(epoch=NOW_NS / 1e9)
    registry = Registry(clock=clock)
    counter = registry.counter("requests")
    wait = registry.timer("wait", bounds=(1.0,))
    deltas = Deltas()

    def report():
        clock.advance(5.0)
        found = exemplars(registry, timestamp_ns=clock.time_ns(), deltas=deltas)
        clock.advance(5.0)
        return {name: [number(one) for one in those] for name, those in found.items()}

    counter.inc(3, exemplar=SPAN)
    wait.update(0.5, exemplar=SPAN)
    assert report() == {"requests": [3], "wait": [0.5]}
    counter.inc()
    wait.update(5.0, exemplar=SPAN)
    assert report() == {"wait": [5.0]}
    assert report() == {}
    assert len(exemplars(registry)["wait"]) == 2


def test_awkward_exemplars_do_not_fail_a_request():
    registry = Registry(clock=ManualClock(epoch=-5.0))
    registry.register("requests", Counter()).inc(10**400, exemplar=SPAN)
    (one,) = exemplars(registry)["requests"]
    assert one.time_unix_nano == 0
    assert one.as_double > 1e300
    assert len(metrics_in(otlp.render(registry, timestamp_ns=NOW_NS))) == 1
