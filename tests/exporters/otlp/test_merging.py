"""Requests are split by data point, and those with deltas are added up as one would have been."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Registry
from metrics.exporters import otlp
from metrics.exporters._series.deltas import Deltas
from metrics.exporters.otlp._merging import describe, join, merge, split
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything

START = 1_690_000_000.0
START_NS = int(START) * 10**9

RESOURCE = {"service.name": "shop"}


def request(registry: Registry, deltas: Deltas | None = None, now_ns: int = NOW_NS) -> bytes:
    return otlp.render(registry, timestamp_ns=now_ns, resource=RESOURCE, deltas=deltas)


def decoded(payload: bytes) -> ExportMetricsServiceRequest:
    return ExportMetricsServiceRequest.FromString(payload)


def points(payload: bytes) -> list[tuple[str, object]]:
    return [
        (metric.name, point)
        for resource in decoded(payload).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def test_a_request_is_split_by_data_point_and_joined_again():
    whole = request(everything(), Deltas())
    requests = split(whole)
    assert decoded(join(requests)) == decoded(whole)
    assert [point for one in requests for point in points(one)] == points(whole)
    assert all(len(points(one)) == 1 for one in requests)
    assert split(b"") == []


def test_halves_have_the_resource_and_the_scope():
    whole = request(everything(), Deltas())
    requests = split(whole)
    halves = join(requests[:11]), join(requests[11:])
    assert points(halves[0]) + points(halves[1]) == points(whole)
    (expected,) = decoded(whole).resource_metrics
    for half in halves:
        (resource,) = decoded(half).resource_metrics
        assert resource.resource == expected.resource
        (scope,) = resource.scope_metrics
        assert scope.scope == expected.scope_metrics[0].scope


def test_a_data_point_is_described_by_its_name_and_attributes():
    registry = Registry()
    registry.counters("hits", labels=("path",)).labels("/a").inc()
    registry.counter("jobs").inc()
    texts = list(map(describe, split(request(registry))))
    assert texts == ['hits{path="/a"}', "jobs"]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 1 << 62)), max_size=5),
        min_size=1,
        max_size=6,
    )
)
def test_requests_added_up_are_the_request_of_the_whole_time(reports):
    registry = Registry(clock=ManualClock(epoch=START))
    deltas = Deltas()
    registry.gauge("load").set(1)
    registry.updown_counter("open").inc()
    requests = []
    for number, report in enumerate(reports, 1):
        for name, amount in report:
            registry.counter(name).inc(amount)
            registry.bucket_histogram(f"{name}/size", bounds=(10, 100)).update(amount % 128)
        requests += split(request(registry, deltas, START_NS + number))
    whole = request(registry, Deltas(), START_NS + len(reports))
    expected = {describe(one): points(one)[0][1] for one in split(whole)}
    found = {describe(one): points(one)[0][1] for one in merge(requests)}
    assert found.keys() == expected.keys() - {"load", "open"}
    for name, point in found.items():
        # A series that came later has no increments before its first report.
        assert point.start_time_unix_nano >= expected[name].start_time_unix_nano
        point.start_time_unix_nano = expected[name].start_time_unix_nano
        if hasattr(point, "as_int") and expected[name].HasField("as_double"):
            assert point.as_double == pytest.approx(expected[name].as_double)
        else:
            assert point == expected[name]


def test_histograms_of_other_bounds_are_other_series():
    payloads = []
    for bounds in ((1, 2), (1, 3)):
        registry = Registry()
        registry.bucket_histogram("a", bounds=bounds).update(1)
        payloads += split(request(registry, Deltas()))
    assert len(merge(payloads)) == 2
    assert len(merge(payloads + payloads)) == 2


def test_a_sum_that_one_of_the_histograms_leaves_out_is_left_out():
    registry = Registry()
    deltas = Deltas()
    histogram = registry.bucket_histogram("a", bounds=(1, 2))
    payloads = []
    for value in (1.0, -5.0):
        histogram.update(value)
        payloads += split(request(registry, deltas))
    (one,) = merge(payloads)
    ((_, point),) = points(one)
    assert point.count == 2
    assert not point.HasField("sum")


def test_cumulative_totals_are_not_added_up():
    assert merge(split(request(everything()))) == []
