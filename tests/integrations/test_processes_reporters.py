"""Reporters of several processes: each under its own identity, or one under that of the group."""

import gzip
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Registry
from metrics.integrations import processes
from metrics.integrations._group import member as members
from metrics.reporters import otlp, pushgateway, remote_write, statsd
from metrics.reporters._push.lifetime import own_payloads
from tests.exporters.write_requests import read
from tests.forks import forking
from tests.integrations.workers import Worker, Workers, names_of, workers
from tests.processes import LOOPBACK, until
from tests.reporters.receiving import received, udp_socket
from tests.reporters.servers import Server, Web, response
from tests.reporters.tally import Tally

__all__ = ["workers"]

pytestmark = forking

INTERVAL = 0.02


def counting(registry):
    return registry.counter("requests")


def start(
    workers: Workers, reporters: str, report: Callable[[Registry], Any], count: int = 0
) -> Worker:
    """Start a worker that reports a counter."""

    @contextmanager
    def enter() -> Iterator[dict[str, Any]]:
        registry = Registry()
        counter = registry.counter("requests")
        counter.inc(count)
        with (
            processes.share(registry, directory=workers.directory, reporters=reporters) as member,
            report(registry),
        ):
            reads, is_reporting = [], member.is_reporting
            member.is_reporting = lambda reader: reads.append(reader) or is_reporting(reader)
            yield {**names_of(registry, counter, member), "reads": reads}

    return workers.enter(enter)


class Point(NamedTuple):
    """Data point of the counter `requests`, with the identity of its resource."""

    instance: str
    start_ns: int
    value: int


def points_of(web: Web) -> list[Point]:
    """Return the data points of the counter that a collector was sent, in order."""
    found = []
    for request in web.requests:
        message = ExportMetricsServiceRequest.FromString(gzip.decompress(request.body))
        for resource in message.resource_metrics:
            attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if metric.name == "requests":
                        (point,) = metric.sum.data_points
                        found.append(
                            Point(
                                attributes["service.instance.id"],
                                point.start_time_unix_nano,
                                point.as_int,
                            )
                        )
    return found


def test_each_worker_is_an_instance_of_its_own_by_default(workers: Workers):
    web = Web(response(200))
    with Server(web) as server:

        def report(registry):
            return otlp.http(registry, server.url, interval=INTERVAL)

        group = [start(workers, "each", report, count) for count in (1, 2, 3)]
        until(lambda: len({point.instance for point in points_of(web)}) == 3, "all report")
        for worker in group:
            worker.end()
    last = {point.instance: point.value for point in points_of(web)}
    assert sorted(last.values()) == [1, 2, 3]


def test_the_total_keeps_its_identity_and_its_start_when_another_worker_reports_it(
    workers: Workers,
):
    web = Web(response(200))
    with Server(web) as server:

        def report(registry):
            return otlp.http(registry, server.url, interval=INTERVAL)

        def last() -> int:
            return points_of(web)[-1].value if points_of(web) else 0

        group = [start(workers, "one", report, 5) for _ in range(3)]
        until(lambda: last() == 15, "the first one reports for all")
        group[2].run("reads.clear()")
        until(lambda: group[2].run("len(reads)") > 2, "the others only read")
        group.pop(0).kill()
        group[0].run("made.inc()")
        until(lambda: last() == 16, "the next one reports for all")
        group.pop(0).end()
        group[0].run("made.inc()")
        until(lambda: last() == 17, "the last one reports for all")
        # A worker that joins later takes part, too.
        group.append(start(workers, "one", report, 100))
        until(lambda: last() == 117, "it is counted")
        for worker in group:
            worker.end()
    points = points_of(web)
    assert len({(point.instance, point.start_ns) for point in points}) == 1
    values = [point.value for point in points]
    assert values == sorted(values)
    assert values[-1] == 117


def test_series_written_by_remote_write_end_with_the_last_worker(workers: Workers):
    web = Web(response(204))

    def samples() -> list[tuple[str, float]]:
        sent = [one for body in web.bodies for one in read(body)]
        found = [(dict(one.labels), one.value) for one in sent]
        return [
            (labels["instance"], value)
            for labels, value in found
            if labels["__name__"] == "requests_total"
        ]

    with Server(web) as server:

        def report(registry):
            return remote_write.http(registry, server.url, interval=INTERVAL)

        group = [start(workers, "one", report, 5) for _ in range(2)]
        until(lambda: samples()[-1:] and samples()[-1][1] == 10, "the first one reports for all")
        group[0].end()
        group[1].run("made.inc()")
        until(lambda: samples()[-1][1] == 11, "the next one reports for all")
        assert not any(math.isnan(value) for _, value in samples())
        group[1].end()
    assert math.isnan(samples()[-1][1])
    assert len({instance for instance, _ in samples()}) == 1


@pytest.mark.parametrize(("reporters", "deletions"), [("each", 2), ("one", 1)])
def test_a_pushed_group_is_deleted_by_the_last_worker(workers: Workers, reporters, deletions):
    web = Web(response(202))
    with Server(web) as server:

        def report(registry):
            return pushgateway.http(
                registry, server.url, "shop", delete_at_end=True, interval=INTERVAL
            )

        group = [start(workers, reporters, report) for _ in range(2)]
        until(lambda: web.requests, "a push")
        for worker in group:
            worker.end()
    lines = [request.line.partition(" ")[0] for request in web.requests]
    assert lines.count("DELETE") == deletions
    assert lines[-1] == "DELETE"


def test_reporters_report_their_own_process_by_default(workers: Workers):
    worker = workers.start(counting)
    worker.run("made.inc(5)")
    registry = Registry()
    registry.counter("requests").inc()
    with (
        processes.share(registry, directory=workers.directory),
        members.store_of(registry).follow("reporter"),
    ):
        assert registry.snapshot("reporter")["requests"].count == 1
        assert registry.snapshot()["requests"].count == 6


def test_one_elected_worker_reports_for_all_and_is_replaced(workers: Workers):
    group = [workers.start(counting, reporters="one") for _ in range(3)]
    for worker in group:
        worker.run("made.inc()")
    reporting = "[member.is_reporting('reporter'), member.is_reporting('reporter')][1]"
    assert [worker.run(reporting) for worker in group] == [True, False, False]
    group[0].run("values()")
    group[0].kill()
    assert [worker.run(reporting) for worker in group[1:]] == [True, False]
    assert group[2].run("registry.snapshot('reporter')['requests'].count") == 3


def test_increments_that_are_read_while_a_worker_is_elected_are_sent():
    store = members.store_of(Registry())
    elected: list[bool] = []
    store.groups.append(Elected(elected))

    def payloads():
        yield b"before"
        elected.append(True)
        yield b"after"

    assert list(own_payloads(store, "reporter", payloads())) == [b"before", b"after"]
    elected.clear()
    assert not list(own_payloads(store, "reporter", [b"of another worker"]))


class Elected:
    """Group in which this process reports as soon as a list is not empty."""

    def __init__(self, elected: list[bool]) -> None:
        self._elected = elected

    def is_reporting(self, _reader: str) -> bool:
        return bool(self._elected)


def test_the_elected_reporters_send_every_increment_once(workers: Workers):
    tally = Tally("statsd")

    def check_sent(total: int) -> bool:
        tally.take(received(sock))
        assert tally.counters["requests"] == total, tally.counters
        return True

    with udp_socket() as sock:
        port = sock.getsockname()[1]

        def report(registry):
            return statsd.udp(registry, LOOPBACK, port, interval=INTERVAL)

        group = [start(workers, "one", report) for _ in range(3)]
        total = 0
        for _ in range(2):
            for worker in group:
                worker.run("made.inc(5)")
                total += 5
            until(lambda total=total: check_sent(total), "all increments arrive", 5)
            for worker in group:
                # The others follow, so that none sends the same increments when it is elected.
                worker.run("reads.clear()")
                until(lambda worker=worker: worker.run("len(reads)") > 2, "it has read")
            group.pop(0).kill()
            group.append(start(workers, "one", report))
            check_sent(total)
        for worker in group:
            worker.end()
        check_sent(total)
