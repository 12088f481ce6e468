"""Each instrument is the message that OpenTelemetry's data model has for it."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Metric,
)

from metrics import (
    BucketHistogram,
    Family,
    Histogram,
    Registry,
    Snapshot,
    Timer,
    UniformReservoir,
)
from metrics.exporters._exposition.distributions import SUMMARY_QUANTILES
from metrics.exporters._series.deltas import Deltas
from tests.exporters.examples import NOW_NS, everything, gauges, names, numbers, texts
from tests.exporters.otlp.reading import labels, metrics_of, number
from tests.exporters.page_reading import Custom

CREATED_NS = 1_700_000_000 * 10**9
"""Time at which the instruments of `everything` are created."""


def by_name(registry: Registry, **options: object) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_of(registry, **options)}


EVERYTHING = {
    "build": ("gauge", ""),
    "call": ("histogram", "s"),
    "call.quantile": ("gauge", "s"),
    "call.rate": ("gauge", "1/s"),
    "cpu": ("sum", "s"),
    "db": ("gauge", "1"),
    "disk": ("gauge", "1"),
    "height": ("gauge", "{block}"),
    "hits": ("sum", ""),
    "in-flight": ("sum", ""),
    "pause": ("histogram", "s"),
    "pause.quantile": ("gauge", "s"),
    "sent": ("sum", "By"),
    "sent.rate": ("gauge", "By/s"),
    "served": ("histogram", "s"),
    "served.rate": ("gauge", "1/s"),
    "size": ("histogram", ""),
    "size.quantile": ("gauge", ""),
    "used": ("gauge", "By"),
    "wait": ("histogram", "ms"),
}


def types(registry: Registry, **options: object) -> dict[str, tuple[str, str]]:
    return {m.name: (m.WhichOneof("data"), m.unit) for m in metrics_of(registry, **options)}


def test_every_instrument_has_its_type_and_unit():
    assert types(everything()) == EVERYTHING


def test_samples_are_summaries_on_request():
    samples = {"call": "s", "pause": "s", "size": ""}
    expected = {name: pair for name, pair in EVERYTHING.items() if ".quantile" not in name}
    expected |= {name: ("summary", unit) for name, unit in samples.items()}
    assert types(everything(), distributions="summary") == expected


@pytest.mark.parametrize("distributions", ["histogram", "summary"])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
def test_every_point_has_its_time_and_totals_have_their_start(distributions, temporality):
    deltas = Deltas() if temporality == "delta" else None
    for metric in metrics_of(everything(), distributions=distributions, deltas=deltas):
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points:
            assert point.time_unix_nano == NOW_NS
            assert point.start_time_unix_nano == (0 if kind == "gauge" else CREATED_NS)


def test_counters_are_monotonic_sums_and_updown_counters_are_not():
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


def test_a_sample_is_a_histogram_without_buckets_and_a_gauge_of_its_quantiles():
    found = by_name(everything())
    (point,) = found["size"].histogram.data_points
    assert (point.count, point.sum) == (2, 30)
    assert not point.bucket_counts
    assert not point.explicit_bounds
    # The minimum and maximum of a sample are not those of all values.
    assert not point.HasField("min")
    assert not point.HasField("max")
    quantiles = {labels(p)["quantile"]: number(p) for p in found["size.quantile"].gauge.data_points}
    others = dict.fromkeys(["0.75", "0.95", "0.99", "0.999", "0.9999", "1.0"], 20)
    assert quantiles == {"0.0": 10, "0.5": 15, **others}


def test_a_summary_has_quantiles_from_minimum_to_maximum():
    (point,) = by_name(everything(), distributions="summary")["size"].summary.data_points
    assert (point.count, point.sum) == (2, 30)
    found = {q.quantile: q.value for q in point.quantile_values}
    assert found == {0: 10, 0.5: 15, **dict.fromkeys(SUMMARY_QUANTILES[1:], 20), 1: 20}


def test_an_empty_sample_has_no_quantiles():
    registry = Registry()
    registry.histogram("size")
    (metric,) = metrics_of(registry)
    assert metric.histogram.data_points[0].count == 0
    (point,) = by_name(registry, distributions="summary")["size"].summary.data_points
    assert (point.count, len(point.quantile_values)) == (0, 0)


def test_the_totals_of_a_sample_never_fall_though_its_values_leave():
    registry = Registry()
    histogram = registry.register("size", Histogram(UniformReservoir(2)))
    counts = []
    for value in range(100):
        histogram.update(value)
        (point,) = by_name(registry)["size"].histogram.data_points
        counts.append((point.count, point.sum))
    assert counts == [(n + 1, sum(range(n + 1))) for n in range(100)]


def test_info_labels_are_attributes_of_a_gauge_of_one():
    (point,) = by_name(everything())["build"].gauge.data_points
    assert (number(point), labels(point)) == (1, {"version": "1.2", "commit": 'a"b\n'})


def test_a_health_check_is_one_or_zero():
    found = by_name(everything())
    assert [number(found[n].gauge.data_points[0]) for n in ("db", "disk")] == [1, 0]


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(-1e6, 1e6)),
)
def test_the_counts_of_buckets_are_not_cumulative(bounds, values):
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
@pytest.mark.parametrize("sampled", [True, False])
def test_a_sum_of_negative_values_is_left_out(bound, value, sampled):
    registry = Registry()
    if sampled:
        registry.histogram("a").update(min(bound, value))
    else:
        registry.bucket_histogram("a", bounds=(bound, 2)).update(value)
    (point,) = by_name(registry)["a"].histogram.data_points
    assert not point.HasField("sum")
    assert point.count == 1


def test_deltas_are_for_totals_that_only_grow():
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
    size = found["size"].histogram
    assert size.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    assert (size.data_points[0].count, size.data_points[0].sum) == (0, 0)


def test_a_summary_has_no_deltas():
    deltas = Deltas()
    registry = everything()
    for _ in range(2):
        found = by_name(registry, deltas=deltas, distributions="summary")
    assert found["size"].summary.data_points[0].count == 2


def test_the_delta_of_a_histogram_is_that_of_every_bucket():
    deltas = Deltas()
    registry = Registry()
    histogram = registry.bucket_histogram("a", bounds=(1, 2))
    sent = []
    for value in (0.5, 1.5):
        histogram.update(value)
        found = by_name(registry, deltas=deltas)["a"].histogram
        assert found.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        (point,) = found.data_points
        sent.append((point.count, point.sum, list(point.bucket_counts)))
    assert sent == [(1, 0.5, [1, 0, 0]), (1, 1.5, [0, 1, 0])]


@given(st.dictionaries(names, numbers))
def test_numbers_read_back_as_they_were_recorded(values):
    registry, recorded = gauges(values)
    found = {m.description: number(m.gauge.data_points[0]) for m in metrics_of(registry)}
    assert found.keys() == recorded.keys()
    for key, value in recorded.items():
        assert found[key] == value or math.isnan(value) or abs(value) > 1 << 63
        assert type(found[key]) is type(value) or abs(value) >= 1 << 63


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


def mixed() -> Registry:
    """Return a registry with a family of a sampled timer and a timer with buckets."""
    histograms = iter([Histogram(), BucketHistogram((1,))])
    family = Family(Timer, ("x",), lambda: Timer(next(histograms)))
    family.labels("a").update(0.5)
    family.labels("b").update(0.5)
    registry = Registry()
    registry.register("call", family)
    return registry


def test_a_family_of_two_kinds_of_timers_is_a_metric_of_histograms():
    found = by_name(mixed())
    bounds = {labels(p)["x"]: list(p.explicit_bounds) for p in found["call"].histogram.data_points}
    assert bounds == {"a": [], "b": [1]}
    assert {labels(p)["x"] for p in found["call.quantile"].gauge.data_points} == {"a"}


def test_a_family_of_two_kinds_of_timers_is_summaries_if_the_first_is():
    kinds = [(m.name, m.WhichOneof("data")) for m in metrics_of(mixed(), distributions="summary")]
    assert kinds == [("call", "summary"), ("call.rate", "gauge")]


def test_an_instrument_of_an_unknown_kind_is_left_out():
    class Own(Snapshot):
        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert metrics_of(registry) == []
