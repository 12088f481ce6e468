"""Each instrument becomes the message that OpenTelemetry's data model has for it."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Metric,
)

from metrics import BucketHistogram, Family, Histogram, Registry, Snapshot, Timer
from metrics.exporters import otlp
from metrics.exporters._exposition.families import SUMMARY_QUANTILES
from metrics.exporters._series.deltas import Deltas
from tests.exporters.examples import NOW_NS, everything, names, numbers, texts
from tests.exporters.page_reading import Custom

START_NS = NOW_NS - 10**10


def metrics_of(registry: Registry, **options: object) -> list[Metric]:
    page = otlp.render(registry, **{"timestamp_ns": NOW_NS, "start_ns": START_NS, **options})
    request = ExportMetricsServiceRequest.FromString(page)
    return [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]


def by_name(registry: Registry, **options: object) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_of(registry, **options)}


def labels(point: object) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in point.attributes}


def number(point: object) -> int | float:
    return getattr(point, point.WhichOneof("value"))


EVERYTHING = {
    "build": ("gauge", ""),
    "call": ("summary", "s"),
    "call.rate": ("gauge", "1/s"),
    "cpu": ("sum", "s"),
    "db": ("gauge", "1"),
    "disk": ("gauge", "1"),
    "height": ("gauge", "{blocks}"),
    "hits": ("sum", ""),
    "in-flight": ("sum", ""),
    "pause": ("summary", "s"),
    "sent": ("sum", "By"),
    "sent.rate": ("gauge", "By/s"),
    "served": ("histogram", "s"),
    "served.rate": ("gauge", "1/s"),
    "size": ("summary", ""),
    "used": ("gauge", "By"),
    "wait": ("histogram", "ms"),
}


def test_every_instrument_has_its_type_and_unit():
    found = {m.name: (m.WhichOneof("data"), m.unit) for m in metrics_of(everything())}
    assert found == EVERYTHING


def test_every_point_has_its_time_and_totals_have_their_start():
    for metric in metrics_of(everything()):
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            assert point.time_unix_nano == NOW_NS
            assert point.start_time_unix_nano == (0 if kind == "gauge" else START_NS)


def test_counters_are_monotonic_sums_and_what_goes_down_is_none():
    found = by_name(everything())
    for name, value, monotonic in [("cpu", 1.5, True), ("sent", 5120, True)]:
        data = found[name].sum
        assert data.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
        assert data.is_monotonic is monotonic
        assert [number(point) for point in data.data_points] == [value]
    down = found["in-flight"].sum
    assert not down.is_monotonic
    assert number(down.data_points[0]) == -2


def test_labels_are_attributes():
    points = by_name(everything())["hits"].sum.data_points
    assert [(labels(p), p.as_int) for p in points] == [
        ({"method": '"\n'}, 1),
        ({"method": "GET"}, 3),
    ]


def test_rates_are_a_gauge_by_window():
    for name, rate, mean in [("sent.rate", 1024, 512), ("call.rate", 0.2, 0.1)]:
        points = by_name(everything())[name].gauge.data_points
        found = {labels(point)["window"]: point.as_double for point in points}
        assert found == {"1m": rate, "5m": rate, "15m": rate, "mean": mean}


def test_a_sample_is_a_summary_from_minimum_to_maximum():
    (point,) = by_name(everything())["size"].summary.data_points
    assert (point.count, point.sum) == (2, 30)
    found = {q.quantile: q.value for q in point.quantile_values}
    assert found == {0: 10, 0.5: 15, **dict.fromkeys(SUMMARY_QUANTILES[1:], 20), 1: 20}


def test_an_empty_sample_has_no_quantiles():
    registry = Registry()
    registry.histogram("size")
    (point,) = by_name(registry)["size"].summary.data_points
    assert (point.count, len(point.quantile_values)) == (0, 0)


def test_facts_are_attributes_of_a_gauge_of_one():
    (point,) = by_name(everything())["build"].gauge.data_points
    assert (number(point), labels(point)) == (1, {"version": "1.2", "commit": 'a"b\n'})


def test_a_health_check_is_one_or_zero():
    found = by_name(everything())
    assert [number(found[n].gauge.data_points[0]) for n in ("db", "disk")] == [1, 0]


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(-1e6, 1e6)),
)
def test_buckets_are_those_of_the_instrument_and_do_not_add_up(bounds, values):
    registry = Registry()
    histogram = registry.bucket_histogram("a", bounds=bounds)
    for value in values:
        histogram.update(value)
    (point,) = by_name(registry)["a"].histogram.data_points
    snapshot = histogram.snapshot()
    assert tuple(point.explicit_bounds) == snapshot.bounds
    assert tuple(accumulate(point.bucket_counts)) == snapshot.buckets
    assert point.count == sum(point.bucket_counts) == len(values)
    if point.HasField("sum"):
        assert point.sum == snapshot.sum >= 0


@pytest.mark.parametrize(("bound", "value"), [(-1.0, 5.0), (1.0, -5.0)])
def test_of_what_may_be_negative_there_is_no_sum(bound, value):
    registry = Registry()
    registry.bucket_histogram("a", bounds=(bound, 2)).update(value)
    (point,) = by_name(registry)["a"].histogram.data_points
    assert not point.HasField("sum")
    assert point.count == 1


def test_deltas_are_for_what_only_grows():
    deltas = Deltas()
    registry = everything()
    for _ in range(2):
        found = by_name(registry, deltas=deltas)
    for name in ("cpu", "hits", "sent"):
        assert found[name].sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        assert [number(point) for point in found[name].sum.data_points] in ([0], [0, 0])
    down = found["in-flight"].sum
    assert down.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    assert number(down.data_points[0]) == -2
    assert found["size"].summary.data_points[0].count == 2


def test_the_delta_of_a_histogram_is_that_of_every_bucket():
    deltas = Deltas()
    registry = Registry()
    histogram = registry.bucket_histogram("a", bounds=(1, 2))
    told = []
    for value in (0.5, 1.5):
        histogram.update(value)
        found = by_name(registry, deltas=deltas)["a"].histogram
        assert found.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        (point,) = found.data_points
        told.append((point.count, point.sum, list(point.bucket_counts)))
    assert told == [(1, 0.5, [1, 0, 0]), (1, 1.5, [0, 1, 0])]


@given(st.dictionaries(names, numbers))
def test_numbers_read_back_as_they_were_recorded(values):
    registry = Registry()
    recorded = {}
    for name, value in values.items():
        try:
            made = registry.int_gauge if isinstance(value, int) else registry.gauge
            made(name).set(value)
        except ValueError:
            continue  # exported like one that is there
        recorded[name] = value
    found = {name: number(m.gauge.data_points[0]) for name, m in by_name(registry).items()}
    assert found.keys() == recorded.keys()
    for name, value in recorded.items():
        assert found[name] == value or math.isnan(value) or abs(value) > 1 << 63
        assert type(found[name]) is type(value) or abs(value) >= 1 << 63


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1 << 63) - 1, (1 << 63) - 1),
        (-(1 << 63), -(1 << 63)),
        (1 << 63, 2.0**63),
        (1 << 1100, math.inf),
        (-(1 << 1100), -math.inf),
    ],
)
def test_an_int_beyond_64_bits_is_a_float(value, expected):
    registry = Registry()
    registry.int_gauge("a").set(value)
    found = number(by_name(registry)["a"].gauge.data_points[0])
    assert (found, type(found)) == (expected, type(expected))


@given(st.dictionaries(texts, texts), texts, texts)
def test_any_text_makes_a_valid_request(facts, label, description):
    registry = Registry()
    registry.info("a").set(facts)
    registry.counters("b", labels=("x",), description=description, unit=label).labels(label)
    found = by_name(registry)
    held = [pair.key for pair in found["a"].gauge.data_points[0].attributes]
    assert len(set(held)) == len(held) == len(facts)
    assert all(held)
    assert labels(found["b"].sum.data_points[0]) == {"x": label}
    assert found["b"].description == " ".join(description.split())


def test_half_a_surrogate_pair_does_not_fail_the_request():
    registry = Registry()
    registry.info("a").set(dict(zip(["\ud800", "\ud801"], ["\ud800", "x"], strict=True)))
    registry.counters("b", labels=("x",), description="\ud800", unit="\ud800").labels("\ud800")
    found = by_name(registry)
    assert labels(found["a"].gauge.data_points[0]) == {"?": "?", "?_": "x"}
    assert labels(found["b"].sum.data_points[0]) == {"x": "?"}


def test_a_family_of_two_kinds_of_timers_is_a_metric_of_the_first_kind():
    made = iter([Histogram(), BucketHistogram((1,))])
    family = Family(Timer, ("x",), lambda: Timer(next(made)))
    family.labels("a").update(0.5)
    family.labels("b").update(0.5)
    registry = Registry()
    registry.register("call", family)
    kinds = [(m.name, m.WhichOneof("data")) for m in metrics_of(registry)]
    assert kinds == [("call", "summary"), ("call.rate", "gauge")]


def test_what_is_none_of_the_librarys_own_is_left_out():
    class Own(Snapshot):
        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert metrics_of(registry) == []
