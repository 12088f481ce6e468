"""Servers take reports of a registry by remote write."""

import logging
import math
import os
import sys
from pathlib import Path

import pytest

from metrics import Registry
from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import remote_write
from metrics.reporters._push.process import process_name
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.exporters.write_requests import metadata, page, read
from tests.forks import in_child
from tests.processes import until
from tests.reporters.prometheus import Prometheus, key
from tests.reporters.real import Victoria
from tests.reporters.servers import Server, Web, response
from tests.reporters.waiting import FOREVER

TOKEN = "s3cr3t-t0k3n"


def others(samples):
    return {k: v for k, v in samples.items() if not k[0].startswith("reporter_")}


def test_prometheus_answers_what_was_recorded(prometheus: Prometheus):
    with remote_write.http(
        everything(),
        f"{prometheus.url}/api/v1/write",
        labels={"job": "all", "instance": "", "zone": "eu"},
        stale_at_end=False,
        interval=FOREVER,
        clock=SYSTEM_CLOCK,
    ):
        pass
    expected = {
        (name, labels | {("zone", "eu")}): value
        for (name, labels), value in page(everything()).items()
    }
    assert others(prometheus.newest("all")) == expected


def test_victoria_metrics_has_what_was_recorded(victoria: Victoria):
    labels = {"job": "all", "instance": ""}
    options = {"stale_at_end": False, "interval": FOREVER, "clock": SYSTEM_CLOCK}
    with remote_write.http(everything(), victoria.url, labels=labels, **options):
        pass
    expected = page(everything())
    points = victoria.has(len(expected), job="all")
    found = {key({"__name__": one.name, **one.tags}): one.value for one in points}
    assert others(found) == expected


def test_every_report_is_a_sample_in_order(prometheus: Prometheus):
    registry = Registry()
    hits = registry.counter("hits")
    with remote_write.http(registry, prometheus.url, labels={"job": "often"}, interval=0.01):
        sent = registry.counter("reporter/remote-write/sent")
        for _ in range(20):
            before = sent.count
            hits.inc()
            until(lambda before=before: sent.count > before, "a report")
        hits.inc()
    samples = prometheus.every('hits_total{job="often"}')
    assert len(samples) >= 21
    assert samples == sorted(samples)
    assert samples[-1][1] == 21


def test_awkward_labels_are_read_back(prometheus: Prometheus):
    registry = Registry()
    family = registry.int_gauges("awk", labels=("l",))
    awkward = ["a b", 'a"b', "a\\", "a\nb", "é😀", "{}", "a" * 1000, "%s"]
    for number, text in enumerate(awkward):
        family.labels(text).set(number)
    labels = {"job": "awkward", "instance": ""}
    options = {"stale_at_end": False, "interval": FOREVER}
    with remote_write.http(registry, prometheus.url, labels=labels, **options):
        pass
    found = prometheus.newest("awkward")
    assert [found["awk", frozenset({("l", text)})] for text in awkward] == list(range(8))


def test_a_series_that_is_not_there_any_more_ends_at_once(prometheus: Prometheus):
    registry = Registry()
    hits = registry.counters("hits", labels=("shop",))
    hits.labels("a").inc()
    hits.labels("b").inc()
    labels = {"job": "ended", "instance": ""}
    with remote_write.http(registry, prometheus.url, labels=labels, interval=0.01):
        until(lambda: len(prometheus.query('hits_total{job="ended"}')) == 2, "both")
        hits.remove("b")
        until(lambda: len(prometheus.query('hits_total{job="ended"}')) == 1, "one")
        assert prometheus.newest("ended")["hits_total", frozenset({("shop", "a")})] == 1


@pytest.mark.parametrize("stale_at_end", [None, True, False])
@pytest.mark.parametrize("interval", [0.01, FOREVER])
def test_all_series_end_with_the_reporter_unless_they_are_to_stay(
    prometheus: Prometheus, stale_at_end: bool | None, interval: float
):
    job = f"end {stale_at_end} {interval}"
    registry = everything()
    options = {"labels": {"job": job}, "stale_at_end": stale_at_end, "interval": interval}
    with remote_write.http(registry, prometheus.url, clock=SYSTEM_CLOCK, **options):
        if interval != FOREVER:
            sent = registry.counter("reporter/remote-write/sent")
            until(lambda: sent.count > 1, "reports")
            assert prometheus.newest(job)
    found = prometheus.newest(job)
    assert bool(found) is (stale_at_end is False)
    # The last values are there all the same.
    assert prometheus.every(f'cpu_seconds_total{{job="{job}"}}')[-1][1] == 1.5


def test_a_reporter_that_is_started_again_goes_on_with_series_that_have_ended(
    prometheus: Prometheus,
):
    registry = Registry()
    hits = registry.counter("hits")
    options = {"labels": {"job": "again"}, "interval": FOREVER}
    # A clock that stands still, as a quick restart.
    clock = ManualClock(epoch=SYSTEM_CLOCK.time())
    for count in range(1, 4):
        hits.inc()
        with remote_write.http(registry, prometheus.url, clock=clock, **options):
            pass
        assert prometheus.newest("again") == {}
        assert len(prometheus.every('hits_total{job="again"}')) == count
    registry.unregister("hits")
    options["stale_at_end"] = False
    with remote_write.http(registry, prometheus.url, clock=clock, **options):
        pass
    assert ("hits_total", frozenset()) not in prometheus.newest("again")


def test_markers_come_after_the_last_values_in_requests_of_their_own():
    web = Web(response(204))
    registry = Registry()
    family = registry.int_gauges("many", labels=("i",))
    for number in range(10):
        family.labels(number).set(number)
    with (
        Server(web) as server,
        remote_write.http(registry, server.url, batch_size=20, interval=FOREVER),
    ):
        pass
    requests = [read(body) for body in web.bodies]
    assert all(len(request) <= 20 for request in requests)
    stale = [all(math.isnan(one.value) for one in request) for request in requests]
    assert stale == sorted(stale)
    values = [one for request in requests[: stale.index(True)] for one in request]
    markers = [one for request in requests[stale.index(True) :] for one in request]
    assert sorted(one.labels for one in values) == sorted(one.labels for one in markers)
    (time,) = {one.timestamp_ms for one in values}
    assert {one.timestamp_ms for one in markers} == {time + 1}


def test_after_a_failure_at_the_end_no_markers_are_sent():
    web = Web(response(503))
    with Server(web) as server, remote_write.http(Registry(), server.url, interval=FOREVER):
        pass
    assert len(web.requests) == 1


def test_a_registry_that_reports_nothing_ends_nothing():
    web = Web(response(204))
    with Server(web) as server, remote_write.http(Registry(enabled=False), server.url):
        pass
    assert web.requests == []


def labels_of(web: Web) -> list[dict[str, str]]:
    return [dict(one.labels) for body in web.bodies for one in read(body)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (None, {"job": "worker", "instance": process_name()}),
        ({}, {"job": "worker", "instance": process_name()}),
        ({"zone": "eu"}, {"job": "worker", "instance": process_name(), "zone": "eu"}),
        ({"job": "shop"}, {"job": "shop", "instance": process_name()}),
        ({"instance": "a:1"}, {"job": "worker", "instance": "a:1"}),
        ({"job": "", "instance": ""}, {}),
        ("job=,zone=eu", {"instance": process_name(), "zone": "eu"}),
        (" ", {"job": "worker", "instance": process_name()}),
    ],
)
def test_job_and_instance_are_those_of_the_process_unless_they_are_replaced(
    labels: dict[str, str] | str | None, expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "argv", ["/app/worker.py"])
    web = Web(response(204))
    registry = Registry()
    registry.gauge("a").set(1)
    with (
        Server(web) as server,
        remote_write.http(registry, server.url, labels=labels, interval=FOREVER),
    ):
        pass
    for found in labels_of(web):
        assert {k: v for k, v in found.items() if k in {"job", "instance", "zone"}} == expected


def test_labels_of_the_registry_replace_job_and_instance():
    web = Web(response(204))
    registry = Registry(labels={"job": "shop"})
    registry.gauge("a").set(1)
    with Server(web) as server, remote_write.http(registry, server.url, interval=FOREVER):
        pass
    assert {found["job"] for found in labels_of(web)} == {"shop"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_is_another_instance_and_ends_its_own_series_only():
    web = Web(response(204))
    registry = Registry()
    registry.gauge("a").set(1)
    with Server(web) as server, remote_write.http(registry, server.url, interval=0.01) as reporter:
        until(lambda: web.requests, "a report")

        def report() -> int:
            web.requests.clear()
            reporter.start()
            reporter.stop()
            return os.getpid()

        before = {found["instance"] for found in labels_of(web)}
        child = in_child(report)
    assert before == {process_name()}
    instances = {found["instance"].rpartition(":")[2] for found in labels_of(web)}
    assert instances == {str(os.getpid()), str(child)}
    ended = {
        dict(one.labels)["instance"]
        for body in web.bodies
        for one in read(body)
        if math.isnan(one.value)
    }
    assert ended == {process_name()}


def test_metadata_comes_with_the_first_report_and_once_a_minute():
    web = Web(response(204))
    registry = Registry()
    registry.counter("hits", description="Requests").inc()
    clock = ManualClock()
    with Server(web) as server:
        for seconds in (0, 30, 30):
            clock.advance(seconds)
            with remote_write.http(registry, server.url, clock=clock, interval=FOREVER):
                pass
    described = [metadata(body).get("hits_total") for body in web.bodies]
    found = [one for one in described if one is not None]
    assert [(one.kind, one.help) for one in found] == [(1, "Requests")] * 2


def test_many_series_come_in_many_requests(prometheus: Prometheus):
    registry = Registry()
    family = registry.int_gauges("many", labels=("i",), max_children=5000)
    for number in range(5000):
        family.labels(number).set(number)
    options = {"labels": {"job": "many"}, "stale_at_end": False, "interval": FOREVER}
    with remote_write.http(registry, prometheus.url, **options):
        pass
    assert prometheus.query('count(many{job="many"})')[0]["value"][1] == "5000"  # type: ignore[index]
    assert prometheus.query('sum(many{job="many"})')[0]["value"][1] == str(sum(range(5000)))  # type: ignore[index]


def test_a_prometheus_that_comes_back_gets_the_payloads_that_waited(tmp_path: Path):
    prometheus = Prometheus(tmp_path)
    registry = Registry()
    hits = registry.counter("hits")
    with (
        prometheus.server,
        remote_write.http(
            registry, prometheus.url, labels={"job": "shop"}, interval=0.05, timeout=5
        ),
    ):
        sent = registry.counter("reporter/remote-write/sent")
        failed = registry.counter("reporter/remote-write/failed")
        hits.inc()
        until(lambda: sent.count, "a report")
        prometheus.server.kill()
        until(lambda: failed.count, "a failure")
        hits.inc()
        prometheus.server.start()
        before = sent.count
        # The longer it was away, the longer it is before it is tried again.
        until(lambda: sent.count > before + 5, "what waited", 60.0)
        reported = sent.count
        samples = prometheus.every('hits_total{job="shop"}')
    values = [value for _, value in samples]
    assert len(values) >= reported
    assert values == sorted(values)
    assert set(values) == {1, 2}


@pytest.mark.parametrize("first", ["report", "requests"])
def test_a_container_writes_all_counts_until_its_stop(prometheus: Prometheus, first: str):
    def report() -> Resource:
        return Resource(
            remote_write.http,
            MetricsContainer.registry,
            prometheus.url,
            labels={"job": first, "instance": ""},
            stale_at_end=False,
            interval=FOREVER,
        )

    class Reported(MetricsContainer):
        if first == "report":
            writer = report()
            requests = Resource(_meter, MetricsContainer.registry)
        else:
            requests = Resource(_meter, MetricsContainer.registry)
            writer = report()

    container = Reported()
    container.init_resources()
    container.requests().mark(7)
    container.shutdown_resources()
    assert prometheus.newest(first)["requests_total", frozenset()] == 7


def _meter(registry: Registry):
    meter = registry.meter("requests")
    yield meter
    registry.unregister("requests", meter)


def test_a_request_has_the_headers_of_the_protocol():
    web = Web(response(204))
    clock = ManualClock()
    with (
        Server(web) as server,
        remote_write.http(
            Registry(),
            f"{server.url}/api/v1/push",
            bearer_token=TOKEN,
            interval=FOREVER,
            clock=clock,
        ),
    ):
        pass
    request, end = web.requests
    assert {**request.headers, "content-length": ""} == {**end.headers, "content-length": ""}
    assert request.line == "POST /api/v1/push HTTP/1.1"
    assert request.headers["content-encoding"] == "snappy"
    assert request.headers["content-type"] == "application/x-protobuf"
    assert request.headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert {one.timestamp_ms for one in read(request.body)} == {clock.time_ns() // 1_000_000}


class Backwards:
    """A clock that is set back, and then stands still."""

    def __init__(self, seconds: int) -> None:
        self._times = [NOW_NS]
        self._back_ns = seconds * 10**9

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def monotonic_ns(self) -> int:
        return SYSTEM_CLOCK.monotonic_ns()

    def time(self) -> float:
        return self.time_ns() / 1e9

    def time_ns(self) -> int:
        return self._times.pop() if self._times else NOW_NS - self._back_ns


@pytest.mark.parametrize(("seconds", "next_ms"), [(0, 1), (59, 1), (3600, -3_600_000)])
def test_times_go_on_when_the_clock_is_set_back_a_little(seconds: int, next_ms: int):
    web = Web(response(204))
    registry = Registry()
    with (
        Server(web) as server,
        remote_write.http(
            registry, server.url, stale_at_end=False, interval=0.01, clock=Backwards(seconds)
        ),
    ):
        until(lambda: len(web.requests) > 2, "reports")
    times = [time for body in web.bodies for time in {one.timestamp_ms for one in read(body)}]
    first, *later = times
    assert first == NOW_NS // 1_000_000
    assert later == [first + next_ms + number for number in range(len(later))]


@pytest.mark.parametrize("status", [400, 408, 409, 425])
def test_a_payload_that_a_server_refuses_is_never_sent_again(
    status: int, caplog: pytest.LogCaptureFixture
):
    web = Web(response(status, b"out of order sample " + TOKEN.encode()))
    registry = Registry()
    with (
        Server(web) as server,
        remote_write.http(registry, server.url, bearer_token=TOKEN, interval=0.01),
    ):
        dropped = registry.counter("reporter/remote-write/dropped")
        until(lambda: dropped.count > 2, "refusals")
    assert len(set(web.bodies)) == len(web.bodies)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert f"answered {status} out of order sample" in record.getMessage()
    assert TOKEN not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 501, 503, 599])
def test_a_payload_that_a_server_cannot_take_now_is_sent_again(status: int):
    answers = [response(status, Retry_After="0")]
    web = Web(lambda _: answers.pop() if answers else response(204))
    registry = Registry()
    with (
        Server(web) as server,
        remote_write.http(registry, server.url, interval=0.05),
    ):
        until(lambda: len(web.requests) > 1, "another try")
    assert web.bodies[0] == web.bodies[1]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"url": None}, ValueError, "option 'url' is required"),
        ({"url": "localhost:9090"}, ValueError, "invalid url 'localhost:9090': use an http"),
        ({"username": "me"}, ValueError, "option 'password' is required"),
        ({"password": TOKEN}, ValueError, "option 'username' is required"),
        ({"username": "me", "bearer_token": TOKEN}, ValueError, "bearer_token with a username"),
        ({"bearer_token": TOKEN + "\n"}, ValueError, "invalid bearer_token with"),
        ({"bearer_token": 3}, TypeError, "bearer_token"),
        ({"labels": {"a-b": "x"}}, ValueError, "label name 'a-b'"),
        ({"labels": ["job"]}, TypeError, "use a mapping"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"stale_at_end": "no"}, TypeError, "stale_at_end"),
        ({"token": TOKEN}, TypeError, "unknown option 'token'"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(options, error, message):
    given = {"url": "http://127.0.0.1:9", **options}
    with pytest.raises(error, match=message) as raised, remote_write.http(Registry(), **given):
        pass
    assert TOKEN not in str(raised.value)


def test_none_is_the_default():
    nothing = dict.fromkeys(
        [
            "username",
            "password",
            "bearer_token",
            "labels",
            "stale_at_end",
            "batch_size",
            "name",
            "interval",
        ]
    )
    with remote_write.http(
        Registry(enabled=False), "http://127.0.0.1:9", **nothing, compress=None, ca_file=None
    ):
        pass
