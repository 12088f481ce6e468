import gzip
import logging
from collections import Counter as Tally

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    AGGREGATION_TEMPORALITY_DELTA,
    Metric,
)

from metrics import BucketHistogram, Registry
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import otlp
from metrics.reporters.otlp import problem
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import until
from tests.reporters.collector import collected
from tests.reporters.servers import Server, Web, response
from tests.reporters.waiting import FOREVER

KEY = "s3cr3t-k3y"

URL = "http://127.0.0.1:4318"

LAST = "zz"
"""The name of what comes last."""


def metrics_of(web: Web) -> list[Metric]:
    """Return what a collector was sent, in order."""
    return [
        metric
        for body in web.bodies
        for resource in ExportMetricsServiceRequest.FromString(
            gzip.decompress(body)
        ).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def values(metrics: list[Metric]) -> dict[tuple[object, ...], float]:
    """Return the number of each point of sums and gauges, by name and attributes."""
    found: dict[tuple[object, ...], float] = {}
    for metric in metrics:
        kind = metric.WhichOneof("data")
        for point in getattr(metric, kind).data_points if kind in {"sum", "gauge"} else ():
            labels = tuple((pair.key, pair.value.string_value) for pair in point.attributes)
            value = point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
            found[metric.name, *labels] = value
    return found


def test_a_collector_understands_every_instrument():
    registry = everything()
    registry.gauge(LAST).set(1)

    def push(url: str) -> None:
        with otlp.http(registry, url, interval=FOREVER, compress=False):
            pass

    metrics = collected(push, LAST)
    found = values(metrics)
    assert found["hits", ("method", "GET")] == 3
    assert found["hits", ("method", '"\n')] == 1
    assert found["cpu",] == 1.5
    assert found["in-flight",] == -2
    assert found["used",] == 1.5 * 2**30
    assert found["height",] == 12_345_678
    assert (found["db",], found["disk",]) == (1, 0)
    assert found["sent",] == 5120
    assert found["sent.rate", ("window", "mean")] == 512
    assert found["build", ("commit", 'a"b\n'), ("version", "1.2")] == 1
    by_name = {metric.name: metric for metric in metrics}
    (size,) = by_name["size"].summary.data_points
    assert (size.count, size.sum) == (2, 30)
    assert {one.quantile: one.value for one in size.quantile_values}[0.5] == 15
    (served,) = by_name["served"].histogram.data_points
    assert (served.count, served.sum) == (1, 0.75)
    assert (list(served.explicit_bounds), list(served.bucket_counts)) == ([0.5, 1], [0, 1, 0])
    assert by_name["sent"].unit == "By"


def worked(registry: Registry, **options) -> list[Metric]:
    """Return what a collector is sent, in many reports, while 100 things are counted."""
    web = Web(response(200))
    hits = registry.counters("hits", labels=("shop",))
    call = registry.timer("call", histogram=BucketHistogram((0.5, 1)))
    with Server(web) as server, otlp.http(registry, server.url, interval=0.005, **options):
        sent = registry.counter("reporter/otlp/sent")
        for number in range(100):
            hits.labels(number % 3).inc(number)
            call.update(number / 100)
            if number % 20 == 0:
                before = sent.count
                until(lambda before=before: sent.count > before, "a report")
    return metrics_of(web)


def test_cumulative_sums_end_with_all_that_was_counted():
    metrics = worked(Registry())
    found = values(metrics)
    for shop in range(3):
        assert found["hits", ("shop", str(shop))] == sum(range(shop, 100, 3))
    sums = [metric.sum for metric in metrics if metric.name == "hits"]
    assert {one.aggregation_temporality for one in sums} == {AGGREGATION_TEMPORALITY_CUMULATIVE}
    assert len({point.start_time_unix_nano for one in sums for point in one.data_points}) == 1
    last = [metric.histogram for metric in metrics if metric.name == "call"][-1]
    (point,) = last.data_points
    assert (point.count, point.sum) == (100, pytest.approx(sum(range(100)) / 100))


def test_delta_sums_add_up_to_all_that_was_counted():
    metrics = worked(Registry(), temporality="delta")
    total: Tally[str] = Tally()
    ends: dict[str, int] = {}
    for metric in [metric for metric in metrics if metric.name == "hits"]:
        assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        for point in metric.sum.data_points:
            shop = point.attributes[0].value.string_value
            total[shop] += point.as_int
            # No time is told of twice.
            assert ends.get(shop, 0) <= point.start_time_unix_nano <= point.time_unix_nano
            ends[shop] = point.time_unix_nano
    assert total == {str(shop): sum(range(shop, 100, 3)) for shop in range(3)}
    points = [
        point
        for metric in metrics
        if metric.name == "call"
        for point in metric.histogram.data_points
    ]
    assert sum(point.count for point in points) == 100
    assert sum(point.sum for point in points) == pytest.approx(sum(range(100)) / 100)


def test_deltas_wait_for_a_collector_that_is_away():
    answers = [response(503, Retry_After="0")]
    web = Web(lambda _: answers.pop() if answers else response(200))
    registry = Registry()
    hits = registry.counter("hits")
    with (
        Server(web) as server,
        otlp.http(registry, server.url, interval=0.02, temporality="delta"),
    ):
        hits.inc(3)
        until(lambda: web.requests, "a try")
        hits.inc(4)
    # The first of them was not taken.
    del web.requests[0]
    told = [metric for metric in metrics_of(web) if metric.name == "hits"]
    assert sum(point.as_int for metric in told for point in metric.sum.data_points) == 7


def partial(rejected: int, message: str = "") -> bytes:
    return ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(
            rejected_data_points=rejected, error_message=message
        )
    ).SerializeToString()


def test_points_that_a_collector_leaves_out_are_said_and_counted(caplog: pytest.LogCaptureFixture):
    web = Web(response(200, partial(3, f"too old, says {KEY}")))
    registry = Registry()
    with (
        Server(web) as server,
        otlp.http(registry, server.url, headers={"api-key": KEY}, interval=0.01),
    ):
        failed = registry.counter("reporter/otlp/failed")
        until(lambda: failed.count > 2, "reports")
        assert registry.counter("reporter/otlp/sent").count == 0
    assert len(set(web.bodies)) == len(web.bodies)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "/v1/metrics left out 3 data points: too old, says ***" in record.getMessage()
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    "body", [b"", partial(0), partial(0, "fine"), partial(-1), b"OK", b"{}", b"\xff" * 5000]
)
def test_other_answers_of_success_are_success(body: bytes):
    web = Web(response(200, body))
    registry = Registry()
    with Server(web) as server, otlp.http(registry, server.url, interval=0.01):
        sent = registry.counter("reporter/otlp/sent")
        until(lambda: sent.count > 1, "reports")
        assert registry.counter("reporter/otlp/failed").count == 0


def test_a_collector_need_not_say_why():
    assert problem(partial(1)) == "left out 1 data points: it does not say why"


@pytest.mark.parametrize("path", ["", "/", "/v1/metrics"])
def test_a_request_says_what_it_is(path: str):
    web = Web(response(200))
    clock = ManualClock(epoch=NOW_NS // 10**9)
    registry = everything()
    with (
        Server(web) as server,
        otlp.http(
            registry,
            server.url + path,
            {"service.name": "shop"},
            headers={"Authorization": f"Bearer {KEY}"},
            batch_size=10,
            interval=FOREVER,
            clock=clock,
        ),
    ):
        clock.advance(10)
    assert {request.line for request in web.requests} == {"POST /v1/metrics HTTP/1.1"}
    for request in web.requests:
        assert request.headers["content-type"] == "application/x-protobuf"
        assert request.headers["content-encoding"] == "gzip"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        message = ExportMetricsServiceRequest.FromString(gzip.decompress(request.body))
        (resource,) = message.resource_metrics
        (pair,) = resource.resource.attributes
        assert (pair.key, pair.value.string_value) == ("service.name", "shop")
    assert len(web.requests) > 2
    (used,) = [metric for metric in metrics_of(web) if metric.name == "cpu"]
    (point,) = used.sum.data_points
    assert point.time_unix_nano == clock.time_ns()
    assert point.start_time_unix_nano == clock.time_ns() - 10 * 10**9


@pytest.mark.parametrize("first", ["report", "jobs"])
def test_a_container_sends_what_was_counted_until_it_stopped(first: str):
    web = Web(response(200))
    with Server(web) as server:

        class Reported(MetricsContainer):
            if first == "report":
                report = Resource(
                    otlp.http, MetricsContainer.registry, server.url, interval=FOREVER
                )
                jobs = Resource(_counter, MetricsContainer.registry)
            else:
                jobs = Resource(_counter, MetricsContainer.registry)
                report = Resource(
                    otlp.http, MetricsContainer.registry, server.url, interval=FOREVER
                )

        container = Reported()
        container.init_resources()
        container.jobs().inc(3)
        container.shutdown_resources(timeout=5)
    assert values(metrics_of(web))["jobs",] == 3


def _counter(registry: Registry):
    counter = registry.counter("jobs")
    yield counter
    registry.unregister("jobs", counter)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"url": None}, ValueError, "option 'url' is required"),
        ({"url": "127.0.0.1:4318"}, ValueError, "url"),
        ({"temporality": "both"}, ValueError, "temporality takes one of cumulative, delta"),
        ({"resource": {"a": None}}, TypeError, "resource"),
        ({"resource": {"": "x"}}, ValueError, "resource"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"headers": f"api-key={KEY}"}, TypeError, "headers is a mapping of str to str, got a str"),
        ({"headers": {3: KEY}}, TypeError, "headers is a mapping of str to str, got the name 3"),
        ({"headers": {"a b": KEY}}, ValueError, "headers has a name that HTTP cannot send: 'a b'"),
        ({"headers": {"content-type": KEY}}, ValueError, "'content-type', which the reporter sets"),
        ({"headers": {"api-key": f"{KEY}\n"}}, ValueError, "invalid header 'api-key' with"),
        ({"headers": {"api-key": f"{KEY}é"}}, ValueError, "invalid header 'api-key' with"),
        ({"headers": {"api-key": None}}, ValueError, "option \"header 'api-key'\" is required"),
        ({"header": {}}, TypeError, "unknown option 'header'"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(options, error, message):
    with (
        pytest.raises(error, match=message) as raised,
        otlp.http(Registry(), **{"url": URL, **options}),
    ):
        pass
    assert KEY not in str(raised.value)


def test_none_is_the_default():
    nothing = dict.fromkeys(
        ["headers", "temporality", "batch_size", "name", "interval", "compress", "ca_file"]
    )
    with otlp.http(Registry(enabled=False), URL, None, **nothing):
        pass
