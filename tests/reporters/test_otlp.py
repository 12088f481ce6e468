"""Collectors take reports of a registry by OTLP over HTTP."""

import gzip
import logging
import os
import sys
from collections import Counter as Tally
from importlib.metadata import version

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
from metrics.reporters._push.process import process_uuid
from metrics.reporters.otlp import problem
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.forks import in_child
from tests.processes import until
from tests.reporters.collector import collected
from tests.reporters.servers import Server, Web, response
from tests.reporters.waiting import FOREVER

KEY = "s3cr3t-k3y"

URL = "http://127.0.0.1:4318"

LAST = "zz"
"""The name of the last metric of a report."""


def requests_of(web: Web) -> list[ExportMetricsServiceRequest]:
    """Return the requests that a collector was sent, in order."""
    return [
        ExportMetricsServiceRequest.FromString(gzip.decompress(request.body))
        for request in web.requests
    ]


def metrics_of(web: Web) -> list[Metric]:
    """Return the metrics that a collector was sent, in order."""
    return [
        metric
        for request in requests_of(web)
        for resource in request.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def resource_of(web: Web) -> dict[str, str]:
    """Return the attributes of the resource, which every request has."""
    (found,) = {
        tuple((pair.key, pair.value.string_value) for pair in resource.resource.attributes)
        for request in requests_of(web)
        for resource in request.resource_metrics
    }
    return dict(found)


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
    (size,) = by_name["size"].histogram.data_points
    assert (size.count, size.sum, list(size.bucket_counts)) == (2, 30, [])
    assert found["size.quantile", ("quantile", "0.5")] == 15
    (served,) = by_name["served"].histogram.data_points
    assert (served.count, served.sum) == (1, 0.75)
    assert (list(served.explicit_bounds), list(served.bucket_counts)) == ([0.5, 1], [0, 1, 0])
    assert by_name["sent"].unit == "By"


def test_a_collector_gets_summaries_on_request():
    registry = everything()
    registry.gauge(LAST).set(1)

    def push(url: str) -> None:
        options = {"interval": FOREVER, "compress": False, "distributions": "summary"}
        with otlp.http(registry, url, **options):
            pass

    by_name = {metric.name: metric for metric in collected(push, LAST)}
    (size,) = by_name["size"].summary.data_points
    assert (size.count, size.sum) == (2, 30)
    assert {one.quantile: one.value for one in size.quantile_values}[0.5] == 15
    assert "size.quantile" not in by_name


def worked(registry: Registry, **options) -> list[Metric]:
    """Return the metrics of many reports during which hits and calls are counted 100 times."""
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


def test_the_last_cumulative_sums_are_all_counts():
    metrics = worked(Registry())
    found = values(metrics)
    for shop in range(3):
        assert found["hits", ("shop", str(shop))] == sum(range(shop, 100, 3))
    sums = [metric.sum for metric in metrics if metric.name == "hits"]
    assert {one.aggregation_temporality for one in sums} == {AGGREGATION_TEMPORALITY_CUMULATIVE}
    starts = {
        (point.attributes[0].value.string_value, point.start_time_unix_nano)
        for one in sums
        for point in one.data_points
    }
    # Each series starts once.
    assert len(starts) == 3
    last = [metric.histogram for metric in metrics if metric.name == "call"][-1]
    (point,) = last.data_points
    assert (point.count, point.sum) == (100, pytest.approx(sum(range(100)) / 100))


def test_delta_sums_add_up_to_all_counts():
    metrics = worked(Registry(), temporality="delta")
    total: Tally[str] = Tally()
    ends: dict[str, int] = {}
    for metric in [metric for metric in metrics if metric.name == "hits"]:
        assert metric.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
        for point in metric.sum.data_points:
            shop = point.attributes[0].value.string_value
            total[shop] += point.as_int
            # No two increments overlap.
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
    # The first one was not taken.
    del web.requests[0]
    taken = [metric for metric in metrics_of(web) if metric.name == "hits"]
    assert sum(point.as_int for metric in taken for point in metric.sum.data_points) == 7


def partial(rejected: int, message: str = "") -> bytes:
    return ExportMetricsServiceResponse(
        partial_success=ExportMetricsPartialSuccess(
            rejected_data_points=rejected, error_message=message
        )
    ).SerializeToString()


def test_points_that_a_collector_leaves_out_are_logged_and_counted(
    caplog: pytest.LogCaptureFixture,
):
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


def test_a_collector_may_leave_points_out_without_a_reason():
    assert problem(partial(1)) == "left out 1 data points: without a reason"


@pytest.mark.parametrize("path", ["", "/", "/v1/metrics"])
def test_a_request_has_the_headers_of_the_protocol_and_its_options(path: str):
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
        assert len(message.resource_metrics) == 1
    assert len(web.requests) > 2
    assert resource_of(web)["service.name"] == "shop"
    (used,) = [metric for metric in metrics_of(web) if metric.name == "cpu"]
    (point,) = used.sum.data_points
    assert point.time_unix_nano == clock.time_ns()
    # The instruments of `everything` are older than the reporter.
    assert point.start_time_unix_nano == NOW_NS // 10**9 * 10**9


def test_by_default_the_resource_names_the_program_the_process_and_the_library(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/gunicorn", "app"])
    web = Web(response(200))
    with Server(web) as server, otlp.http(Registry(), server.url, interval=FOREVER):
        pass
    assert resource_of(web) == {
        "service.name": "unknown_service:gunicorn",
        "service.instance.id": process_uuid(),
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "wired-metrics",
        "telemetry.sdk.version": version("wired-metrics"),
    }


def test_attributes_of_a_resource_replace_the_defaults():
    web = Web(response(200))
    own = {"service.name": "shop", "service.instance.id": "a", "deployment.environment.name": "b"}
    with Server(web) as server, otlp.http(Registry(), server.url, own, interval=FOREVER):
        pass
    assert resource_of(web).items() >= own.items()
    assert resource_of(web)["telemetry.sdk.name"] == "wired-metrics"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_reporter_that_is_started_in_a_forked_process_has_another_instance():
    web = Web(response(200))
    registry = Registry()
    with Server(web) as server, otlp.http(registry, server.url, interval=FOREVER) as reporter:

        def report() -> None:
            reporter.start()
            reporter.stop()

        in_child(report)
        child = resource_of(web)
        web.requests.clear()
    assert child.keys() == resource_of(web).keys()
    assert child["service.instance.id"] != resource_of(web)["service.instance.id"]
    assert child["service.name"] == resource_of(web)["service.name"]


def test_a_total_that_falls_starts_with_the_report_before_also_in_a_restarted_reporter():
    web = Web(response(200))
    clock = ManualClock()
    registry = Registry(clock=clock)
    histogram = BucketHistogram((1, 2))
    registry.register("a", histogram)
    with Server(web) as server:
        for counts in ((3, 0, 0), (1, 0, 0), (2, 0, 0)):
            clock.advance(10)
            histogram.set_counts(counts)
            with otlp.http(registry, server.url, interval=FOREVER, clock=clock):
                pass
    starts = [
        metric.histogram.data_points[0].start_time_unix_nano
        for metric in metrics_of(web)
        if metric.name == "a"
    ]
    assert [(start - starts[0]) // 10**9 for start in starts] == [0, 10, 10]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_payload_is_sent_again_after_the_answers_that_the_protocol_lists(status: int):
    answers = [response(status, Retry_After="0")]
    web = Web(lambda _: answers.pop() if answers else response(200))
    with Server(web) as server, otlp.http(Registry(), server.url, interval=0.05):
        until(lambda: len(web.requests) > 1, "another try")
    assert web.bodies[0] == web.bodies[1]


@pytest.mark.parametrize("status", [400, 408, 425, 500, 501, 507])
def test_a_payload_is_not_sent_again_after_any_other_answer(status: int):
    web = Web(response(status, Retry_After="0"))
    registry = Registry()
    with Server(web) as server, otlp.http(registry, server.url, interval=0.01):
        dropped = registry.counter("reporter/otlp/dropped")
        until(lambda: dropped.count > 2, "refusals")
    assert len(set(web.bodies)) == len(web.bodies)


@pytest.mark.parametrize("first", ["report", "jobs"])
def test_a_container_sends_all_counts_until_its_stop(first: str):
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
        ({"temporality": "both"}, ValueError, "'both': use cumulative or delta"),
        ({"distributions": "both"}, ValueError, "'both': use histogram or summary"),
        ({"resource": {"a": None}}, TypeError, "resource"),
        ({"resource": {"": "x"}}, ValueError, "resource"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"headers": f"api-key={KEY}"}, TypeError, "headers of type str: use a mapping"),
        ({"headers": {3: KEY}}, TypeError, "name 3 in headers: use a mapping"),
        ({"headers": {"a b": KEY}}, ValueError, "name 'a b' in headers: use letters"),
        ({"headers": {"content-type": KEY}}, ValueError, "'content-type' in headers: the reporter"),
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
        [
            "headers",
            "temporality",
            "distributions",
            "batch_size",
            "name",
            "interval",
            "compress",
            "ca_file",
        ]
    )
    with otlp.http(Registry(enabled=False), URL, None, **nothing):
        pass
