"""Servers that refuse one payload, one series, or large requests, at each destination."""

import gzip
import json
import logging
import socket
import threading
from collections import Counter as Tallies

import pytest
from cramjam import snappy
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Registry
from metrics.reporters import influxdb, opentsdb, otlp, pushgateway, remote_write, statsd
from tests.processes import LOOPBACK, free_port, until
from tests.reporters.receiving import received, udp_socket
from tests.reporters.servers import (
    OK,
    Request,
    Server,
    Web,
    response,
)
from tests.reporters.tally import Tally
from tests.reporters.waiting import FOREVER

SECRET = "s3cr3t-k3y"


COUNT = 40


def influx(registry: Registry, url: str, **options):
    return influxdb.v2(registry, url, SECRET, "org", "bucket", **options)


def influx_plain(registry: Registry, url: str, **options):
    return influx(registry, url, compress=False, **options)


def tsdb(registry: Registry, url: str, **options):
    return opentsdb.http(
        registry, url, username="user", password=SECRET, batch_size=1000, **options
    )


def prometheus(registry: Registry, url: str, **options):
    return remote_write.http(registry, url, bearer_token=SECRET, stale_at_end=False, **options)


def collector(registry: Registry, url: str, **options):
    return otlp.http(registry, url, headers={"api-key": SECRET}, **options)


def collector_delta(registry: Registry, url: str, **options):
    return collector(registry, url, temporality="delta", **options)


HOOKS = {
    hook.__name__: hook
    for hook in (influx, influx_plain, tsdb, prometheus, collector, collector_delta)
}


def content(request: Request) -> bytes:
    """Return the body of a request, decompressed."""
    match request.headers.get("content-encoding"):
        case "gzip":
            return gzip.decompress(request.body)
        case "snappy":
            return bytes(snappy.decompress_raw(request.body))
        case _:
            return request.body


def series_in(request: Request) -> set[str]:
    """Return the instruments of a request."""
    text = content(request)
    return {name for name in names() if name.encode() in text}


def names() -> list[str]:
    return [f"jobs{number:03}" for number in range(COUNT)]


def registry_of_jobs() -> Registry:
    registry = Registry()
    for name in names():
        registry.counter(name).inc()
    return registry


def taken(web: Web, refused) -> list[Request]:
    return [request for request in web.requests if not refused(request)]


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.INFO)


@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_one_refused_series_is_named_and_the_rest_is_delivered(hook, status, caplog):
    bad = "jobs017"

    def refused(request: Request) -> bool:
        return bad in series_in(request)

    web = Web(
        lambda request: response(status, f"bad {SECRET}".encode()) if refused(request) else OK
    )
    with Server(web) as server, hook(registry_of_jobs(), server.url, interval=FOREVER):
        pass
    found = [name for request in taken(web, refused) for name in series_in(request)]
    assert sorted(found) == sorted(set(names()) - {bad})
    assert len(web.requests) <= 32
    (line,) = [record.getMessage() for record in caplog.records]
    assert bad in line
    assert f"answered {status} bad ***" in line
    assert "refused a series" in line
    assert SECRET not in caplog.text


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_requests_too_large_are_halved(hook, caplog):
    def refused(request: Request) -> bool:
        return len(series_in(request)) > COUNT // 4

    web = Web(lambda request: response(413) if refused(request) else OK)
    registry = registry_of_jobs()
    with Server(web) as server, hook(registry, server.url, interval=FOREVER):
        pass
    found = Tallies(name for request in taken(web, refused) for name in series_in(request))
    assert found == dict.fromkeys(names(), 1)
    assert caplog.records == []


@pytest.mark.parametrize("hook", HOOKS.values(), ids=HOOKS)
def test_a_refusal_of_everything_costs_one_request_a_payload(hook, caplog):
    web = Web(response(401, f"who is {SECRET}".encode()))
    with Server(web) as server, hook(registry_of_jobs(), server.url, interval=FOREVER):
        pass
    assert len(web.requests) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "answered 401 who is ***" in line


@pytest.mark.parametrize("status", [500, 507])
def test_three_answers_of_a_failing_server_cost_the_oldest_payload(status, caplog, monkeypatch):
    monkeypatch.setattr("metrics.reporters._push.backoff.FIRST", 0.001)
    registry = Registry()
    marks = registry.int_gauge("mark")
    marks.set(1)

    def answer(request: Request) -> bytes:
        return response(status, b"panic") if b"mark.gauge value=1i" in request.body else OK

    web = Web(answer)
    with Server(web) as server, influx_plain(registry, server.url, interval=0.02):
        dropped = registry.counter("reporter/influxdb/dropped")
        until(lambda: dropped.count, "the end of the tries")
        marks.set(2)
        sent = registry.counter("reporter/influxdb/sent")
        until(lambda: sent.count, "a later payload")
    first = web.bodies[0]
    assert web.bodies.count(first) == 3
    refusals = [record for record in caplog.records if "was refused" in record.getMessage()]
    assert len(refusals) == 1
    assert f"answered {status} panic (3 times)" in refusals[0].getMessage()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_other_failures_cost_no_payload(status, monkeypatch):
    monkeypatch.setattr("metrics.reporters._push.backoff.FIRST", 0.001)
    monkeypatch.setattr("metrics.reporters._push.backoff.LONGEST", 0.001)
    registry = registry_of_jobs()
    web = Web(lambda _: response(status) if len(web.requests) < 10 else OK)
    with Server(web) as server, influx(registry, server.url, interval=0.02):
        sent = registry.counter("reporter/influxdb/sent")
        until(lambda: sent.count, "a delivery")
        assert registry.counter("reporter/influxdb/dropped").count == 0
    assert len(set(web.bodies[:10])) == 1


@pytest.mark.parametrize("status", [408, 425, 500, 501, 507])
def test_a_collector_is_tried_again_after_four_answers_only(status, caplog):
    web = Web(response(status, b"no"))
    with Server(web) as server, collector(registry_of_jobs(), server.url, interval=FOREVER):
        pass
    assert len(web.requests) == 1
    assert f"answered {status} no" in caplog.text
    assert "was refused" in caplog.text


def test_a_write_that_influxdb_took_in_part_is_not_repeated(caplog):
    reason = b'{"error":"partial write: field type conflict on \\"jobs003\\" dropped=1"}'
    web = Web(response(400, reason))
    with Server(web) as server, influx(registry_of_jobs(), server.url, interval=FOREVER):
        pass
    assert len(web.requests) == 1
    assert "field type conflict" in caplog.text
    assert "jobs003" in caplog.text


def test_a_page_for_a_pushgateway_is_not_split():
    web = Web(response(400, b"inconsistent"))
    with (
        Server(web) as server,
        pushgateway.http(registry_of_jobs(), server.url, "job", interval=FOREVER),
    ):
        pass
    assert len(web.requests) == 1


def test_the_halves_of_an_array_are_arrays():
    web = Web(lambda _: response(413) if len(web.requests) == 1 else OK)
    with Server(web) as server, tsdb(registry_of_jobs(), server.url, interval=FOREVER):
        pass
    whole, first, second = [json.loads(content(request)) for request in web.requests]
    assert first + second == whole


def sums(accepted: list[Request]) -> Tallies[str]:
    """Return what a collector adds up of the requests that it has taken."""
    found: Tallies[str] = Tallies()
    for request in accepted:
        message = ExportMetricsServiceRequest.FromString(content(request))
        for metric in message.resource_metrics[0].scope_metrics[0].metrics:
            for point in metric.sum.data_points:
                found[metric.name] += point.as_int
    return found


@pytest.mark.parametrize("status", [401, 404, 400, 500])
def test_increments_that_a_collector_refused_are_sent_with_the_next_report(status):
    registry = Registry()
    hits = registry.counter("hits")
    accepted: list[Request] = []
    refuses = threading.Event()
    refuses.set()

    def answer(request: Request) -> bytes:
        if refuses.is_set():
            return response(status)
        accepted.append(request)
        return response(200)

    web = Web(answer)
    with Server(web) as server, collector_delta(registry, server.url, interval=0.01):
        for _ in range(5):
            hits.inc(3)
            before = len(web.requests)
            until(lambda before=before: len(web.requests) > before, "a refusal")
        refuses.clear()
        hits.inc(9)
    assert sums(accepted)["hits"] == 24


def test_a_refused_series_is_counted_on_until_it_is_taken():
    registry = Registry()
    good, bad = registry.counter("good"), registry.counter("bad")
    accepted: list[Request] = []
    refuses = threading.Event()
    refuses.set()

    def answer(request: Request) -> bytes:
        if refuses.is_set() and b"bad" in content(request):
            return response(400, b"no")
        accepted.append(request)
        return response(200)

    web = Web(answer)
    with Server(web) as server, collector_delta(registry, server.url, interval=0.01):
        dropped = registry.counter("reporter/otlp/dropped")
        for _ in range(4):
            good.inc(2)
            bad.inc(5)
            before = dropped.count
            until(lambda before=before: dropped.count > before, "a refusal")
        refuses.clear()
    found = sums(accepted)
    assert (found["good"], found["bad"]) == (8, 20)


def test_a_request_whose_answer_got_lost_is_repeated_as_it_was(monkeypatch):
    monkeypatch.setattr("metrics.reporters._push.backoff.FIRST", 0.001)
    monkeypatch.setattr("metrics.reporters._push.backoff.LONGEST", 0.05)
    registry = Registry()
    hits = registry.counter("hits")
    hits.inc(3)
    lost = threading.Event()
    lost.set()
    web = Web(lambda _: Web.CLOSE if lost.is_set() else response(200))
    with Server(web) as server, collector_delta(registry, server.url, interval=0.01):
        until(lambda: len(web.requests) > 3, "some tries")
        hits.inc(4)
        until(lambda: len(web.requests) > 6, "some more")
        lost.clear()
    assert len(set(web.bodies[:7])) == 1
    distinct = dict.fromkeys(web.bodies)
    found = Tallies()
    for body in distinct:
        message = ExportMetricsServiceRequest.FromString(gzip.decompress(body))
        for metric in message.resource_metrics[0].scope_metrics[0].metrics:
            found[metric.name] += sum(point.as_int for point in metric.sum.data_points)
    assert found["hits"] == 7


@pytest.mark.parametrize("buffered", [1, 2, 10_000])
def test_an_outage_of_statsd_loses_nothing_however_little_is_kept(buffered, monkeypatch):
    monkeypatch.setattr("metrics.reporters._push.backoff.FIRST", 0.001)
    monkeypatch.setattr("metrics.reporters._push.backoff.LONGEST", 0.02)
    registry = Registry()
    counters = [registry.counter(name) for name in names()]
    waits = registry.resetting_timer("waits")
    tally = Tally("statsd")
    port = free_port(socket.SOCK_DGRAM)
    with statsd.udp(
        registry, LOOPBACK, port, interval=0.005, datagram_bytes=100, buffered=buffered
    ):
        failed = registry.counter("reporter/statsd/failed")
        for _ in range(4):
            before = failed.count
            for number, counter in enumerate(counters):
                counter.inc(number)
            waits.update(0.25)
            until(lambda before=before: failed.count > before, "a refusal")
        with udp_socket(port) as sock:
            until(
                lambda: tally.take(received(sock)) or tally.counters[names()[-1]] == 4 * 39,
                "the increments of the outage",
            )
            until(
                lambda: (
                    tally.take(received(sock))
                    or (
                        len(tally.timings["waits"]) == 4
                        and tally.counters.items()
                        >= {name: 4 * i for i, name in enumerate(names()) if i}.items()
                    )
                ),
                "all of them",
            )
    assert {name: tally.counters[name] for name in names()} == {
        name: 4 * number for number, name in enumerate(names())
    }


def test_increments_undelivered_at_the_end_are_sent_by_the_next_reporter():
    registry = Registry()
    hits = registry.counter("hits")
    web = Web(lambda _: response(503) if len(web.requests) == 1 else response(200))
    with Server(web) as server:
        hits.inc(3)
        with collector_delta(registry, server.url, interval=FOREVER):
            pass
        hits.inc(4)
        with collector_delta(registry, server.url, interval=FOREVER):
            pass
    assert sums(web.requests[1:])["hits"] == 7
