"""StatsD gets every update once, over UDP and TCP, with the tags of the environment on request."""

import logging
import socket
from typing import Any

import pytest

from metrics import Registry
from metrics.exporters.statsd import warn_once
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import statsd
from tests.exporters.examples import everything
from tests.processes import LOOPBACK, free_port, until
from tests.reporters.leaping import LeapingClock
from tests.reporters.names import SECOND_LOOPBACK
from tests.reporters.receiving import received, udp_socket
from tests.reporters.servers import Server, Sink
from tests.reporters.tally import Tally
from tests.reporters.waiting import FOREVER

EVERYTHING = {
    "cpu": 1.5,
    "sent.count": 5120,
    "size.count": 2,
    "call.count": 1,
    "served.count": 1,
    "wait.count": 1,
}


@pytest.mark.parametrize("dialect", ["statsd", "dogstatsd"])
def test_every_instrument_is_understood(dialect: str):
    tally = Tally(dialect)
    with udp_socket() as sock:
        with statsd.udp(
            everything(), LOOPBACK, sock.getsockname()[1], dialect=dialect, interval=FOREVER
        ):
            pass
        tally.take(received(sock))
    labels = ["hits|#method:GET", 'hits|#method:"_'] if dialect == "dogstatsd" else []
    labels = labels or ["hits.method.GET", "hits.method.__"]
    assert {name: tally.counters[name] for name in EVERYTHING} == EVERYTHING
    assert tally.counters[labels[0]] == 3
    assert sum(n for name, n in tally.counters.items() if name.startswith("hits")) == 4
    assert tally.gauges["in-flight"] == -2
    assert tally.gauges["used"] == 1.5 * 2**30
    assert tally.gauges["height"] == 12_345_678
    assert tally.gauges["call.max"] == 250
    assert (tally.gauges["db"], tally.gauges["disk"]) == (1, 0)
    assert tally.timings == {"pause": [500]}


def work(registry: Registry, rounds: int) -> dict[str, float]:
    """Update instruments, and return what a server should add up in the end."""
    hits = registry.counters("hits", labels=("shop",))
    cpu = registry.float_counter("cpu")
    sent = registry.meter("sent")
    call = registry.timer("call")
    registry.updown_counter("open").dec()
    registry.resetting_timer("pause").update(rounds / 1000)
    for number in range(rounds):
        hits.labels(number % 3).inc(number)
        cpu.inc(0.5)
        sent.mark(2)
        call.update(0.001)
    return {
        **{f"hits.shop.{shop}": sum(range(shop, rounds, 3)) for shop in range(3)},
        "cpu": rounds / 2,
        "sent.count": 2 * rounds,
        "call.count": rounds,
    }


def assert_all(tally: Tally, expected: list[dict[str, float]]) -> None:
    assert expected
    for name in expected[0]:
        assert tally.counters[name] == sum(one[name] for one in expected), name
    assert tally.gauges["open"] == -len(expected)
    assert len(tally.timings["pause"]) == len(expected)


def test_what_a_server_adds_up_over_many_datagrams_is_what_was_counted():
    registry = Registry()
    tally = Tally("statsd")
    expected = []
    with udp_socket() as sock:
        port = sock.getsockname()[1]
        with statsd.udp(registry, LOOPBACK, port, interval=0.002, datagram_bytes=100):
            reports = registry.counter("reporter/statsd/sent")
            for number in range(1, 100):
                expected.append(work(registry, number))
                before = reports.count
                if number % 10 == 0:
                    until(lambda before=before: reports.count > before, "a report")
                datagrams = received(sock)
                assert all(len(datagram) <= 100 for datagram in datagrams)
                tally.take(datagrams)
        tally.take(received(sock))
    assert_all(tally, expected)


def test_a_server_that_comes_back_adds_up_what_was_counted_meanwhile():
    registry = Registry()
    tally = Tally("statsd")
    failed = registry.counter("failures seen")
    port = free_port(socket.SOCK_DGRAM)
    with udp_socket(port) as sock, statsd.udp(registry, LOOPBACK, port, interval=0.005):
        expected = [work(registry, 5)]
        until(lambda: tally.take(received(sock)) or tally.timings["pause"], "the first report")
        sock.close()
        until(lambda: registry.counter("reporter/statsd/failed").count, "a refusal")
        failed.inc()
        expected += [work(registry, 7), work(registry, 9)]
        with udp_socket(port) as again:
            until(
                lambda: tally.take(received(again)) or tally.gauges["open"] == -3,
                "the report after the increments that waited",
            )
    assert_all(tally, expected)


def test_a_reporter_that_is_started_again_goes_on_where_the_last_one_ended():
    registry = Registry()
    tally = Tally("statsd")
    with udp_socket() as sock:
        for hits in (3, 4):
            with statsd.udp(registry, LOOPBACK, sock.getsockname()[1], interval=FOREVER):
                registry.counter("hits").inc(hits)
            tally.take(received(sock))
    assert tally.counters["hits"] == 7


def test_over_tcp_nothing_is_lost_when_the_server_is_started_anew():
    registry = Registry()
    port = free_port()
    expected = []
    sinks = [Sink(), Sink(), Sink()]
    # Where nothing has happened, nothing is sent.
    registry.gauge("up").set(1)
    with statsd.tcp(registry, LOOPBACK, port, interval=0.01, timeout=1):
        failed = registry.counter("reporter/statsd/failed")
        for sink in sinks:
            before = failed.count
            until(lambda before=before: failed.count > before, "a failure")
            registry.int_gauge("round").set(len(expected))
            expected.append(work(registry, 5))
            with Server(sink, port):
                sink.wait_for(f"round:{len(expected) - 1}|g\n".encode())
                expected.append(work(registry, 7))
                registry.int_gauge("told").set(len(expected))
                sink.wait_for(f"told:{len(expected)}|g\n".encode())
    tally = Tally("statsd")
    for sink in sinks:
        data = bytes(sink._received)
        # A server that goes may have half a line.
        tally.take([data[: data.rindex(b"\n")]])
    assert_all(tally, expected)


@pytest.mark.parametrize("first", ["report", "requests"])
def test_a_container_sends_what_was_counted_until_it_stopped(first: str):
    with udp_socket() as sock:
        port = sock.getsockname()[1]

        class Reported(MetricsContainer):
            if first == "report":
                report = Resource(
                    statsd.udp,
                    MetricsContainer.registry,
                    port=port,
                    namespace="shop",
                    interval=0.01,
                )
                requests = Resource(_meter, MetricsContainer.registry)
            else:
                requests = Resource(_meter, MetricsContainer.registry)
                report = Resource(
                    statsd.udp,
                    MetricsContainer.registry,
                    port=port,
                    namespace="shop",
                    interval=0.01,
                )

        container = Reported()
        container.init_resources()
        for _ in range(1000):
            container.requests().mark()
        container.shutdown_resources()
        tally = Tally("statsd")
        tally.take(received(sock))
    assert tally.counters["shop.requests.count"] == 1000


def _meter(registry: Registry):
    meter = registry.meter("requests")
    yield meter
    registry.unregister("requests", meter)


def test_options_reach_the_lines():
    registry = Registry()
    pause = registry.resetting_timers("pause", labels=("shop",))
    for number in range(100):
        pause.labels("a b").update(number)
    tally = Tally("dogstatsd")
    with udp_socket() as sock:
        with statsd.udp(
            registry,
            port=sock.getsockname()[1],
            dialect="dogstatsd",
            namespace="eu",
            labels={"zone": "1", "shop": "none"},
            samples=10,
            interval=FOREVER,
        ):
            pass
        datagrams = received(sock)
    assert b"\n".join(datagrams).count(b"|ms|@0.1|") == 10
    tally.take(datagrams)
    assert {name: len(values) for name, values in tally.timings.items()} == {
        "eu.pause|#shop:a_b,zone:1": 100
    }


def test_a_line_too_long_for_a_datagram_is_said_once(caplog: pytest.LogCaptureFixture):
    warn_once.cache_clear()
    registry = Registry()
    sizes = registry.gauges("size", labels=("of",), max_label_length=None)
    sizes.labels("x" * 2000).set(1)
    registry.gauge("short").set(1)
    tally = Tally("statsd")
    with udp_socket() as sock:
        with statsd.udp(registry, port=sock.getsockname()[1], interval=0.005):
            until(lambda: registry.counter("reporter/statsd/sent").count > 3, "reports")
        tally.take(received(sock))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "size.of.xxx" in record.getMessage()
    assert "datagram_bytes" in record.getMessage()
    assert tally.gauges["short"] == 1


DATADOG = {
    "DD_ENV": "prod",
    "DD_SERVICE": "shop",
    "DD_VERSION": "1.2",
    "DD_ENTITY_ID": "4b7c3e0f-uid",
}


@pytest.fixture
def datadog_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in DATADOG.items():
        monkeypatch.setenv(name, value)


def lines_of_one_gauge(transport: str, **options: Any) -> list[bytes]:
    registry = Registry()
    registry.gauges("up", labels=("env",)).labels("").set(1)
    registry.gauges("own", labels=("version",)).labels("9").set(1)
    options = {"interval": FOREVER, "dialect": "dogstatsd", **options}
    if transport == "udp":
        with udp_socket() as sock:
            with statsd.udp(registry, port=sock.getsockname()[1], **options):
                pass
            data = b"\n".join(received(sock))
    else:
        sink = Sink()
        with Server(sink) as server, statsd.tcp(registry, port=server.port, **options):
            pass
        data = bytes(sink._received)
    return [line for line in data.splitlines() if line.startswith((b"up", b"own"))]


@pytest.mark.usefixtures("datadog_variables")
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_datadogs_variables_become_tags_on_request(transport):
    entity = b"dd.internal.entity_id:4b7c3e0f-uid"
    assert lines_of_one_gauge(transport, datadog_env=True) == [
        b"own:1.0|g|#" + entity + b",env:prod,service:shop,version:9",
        b"up:1.0|g|#" + entity + b",env:prod,service:shop,version:1.2",
    ]
    for off in (False, None, "no"):
        assert lines_of_one_gauge(transport, datadog_env=off) == [
            b"own:1.0|g|#version:9",
            b"up:1.0|g",
        ]


@pytest.mark.usefixtures("datadog_variables")
def test_labels_of_the_program_win_over_datadogs_variables(monkeypatch):
    monkeypatch.delenv("DD_VERSION")
    monkeypatch.setenv("DD_ENTITY_ID", "")
    labels = {"service": "billing", "zone": "eu"}
    assert lines_of_one_gauge("udp", datadog_env="true", labels=labels)[1] == (
        b"up:1.0|g|#env:prod,service:billing,zone:eu"
    )


@pytest.mark.parametrize("hook", [statsd.udp, statsd.tcp])
def test_datadogs_variables_need_a_dialect_with_tags(hook):
    for options in ({}, {"dialect": "statsd"}, {"dialect": None}):
        with (
            pytest.raises(ValueError, match="invalid datadog_env True with dialect 'statsd'"),
            hook(Registry(), datadog_env=True, **options),
        ):
            pass


def test_a_server_that_moves_gets_the_reports(names):
    names.move("statsd.example", LOOPBACK)
    clock, registry = LeapingClock(), Registry()
    before, after = Tally("statsd"), Tally("statsd")
    with udp_socket() as old, udp_socket(old.getsockname()[1], SECOND_LOOPBACK) as new:
        port = old.getsockname()[1]
        with statsd.udp(registry, "statsd.example", port, clock=clock, interval=0.005):
            hits = registry.counter("hits")
            hits.inc(3)
            until(lambda: before.take(received(old)) or before.counters["hits"], "the old server")
            names.move("statsd.example", SECOND_LOOPBACK)
            clock.leap = 60.0
            # Reports are datagrams even without updates, and each may be the first to the new one.
            until(lambda: after.take(received(new)) or after.counters, "the new server")
            hits.inc(4)
        before.take(received(old))
        after.take(received(new))
    assert before.counters["hits"] == 3
    assert after.counters["hits"] == 4


@pytest.mark.parametrize("hook", [statsd.udp, statsd.tcp])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"datadog_env": "maybe"}, ValueError, "invalid datadog_env 'maybe'"),
        ({"dialect": "datadog"}, ValueError, "invalid dialect 'datadog': use one of statsd"),
        ({"namespace": 3}, TypeError, "namespace"),
        ({"labels": "a:b"}, ValueError, "labels"),
        ({"labels": {"a": b"1"}}, TypeError, "labels"),
        ({"samples": 0}, ValueError, "samples"),
        ({"host": "a b"}, ValueError, "host"),
        ({"port": 70_000}, ValueError, "port"),
        ({"tag": {}}, TypeError, "unknown option 'tag'"),
        ({"interval": 0}, ValueError, "interval"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(hook, options, error, message):
    with pytest.raises(error, match=message), hook(Registry(), **options):
        pass


def test_a_datagram_has_a_size():
    with (
        pytest.raises(ValueError, match="datagram_bytes"),
        statsd.udp(Registry(), datagram_bytes=0),
    ):
        pass
    with (
        pytest.raises(TypeError, match="unknown option 'datagram_bytes'"),
        statsd.tcp(Registry(), datagram_bytes=100),
    ):
        pass


def test_none_is_the_default():
    nothing = dict.fromkeys(
        ["namespace", "labels", "dialect", "samples", "name", "interval", "timeout"]
    )
    assert (statsd.HOST, statsd.PORT) == (LOOPBACK, 8125)
    with statsd.udp(Registry(enabled=False), None, None, datagram_bytes=None, **nothing):
        pass
    with statsd.tcp(Registry(enabled=False), None, None, connect_timeout=None, **nothing):
        pass


def test_datagrams_need_no_connection_and_take_no_time_for_one():
    with (
        pytest.raises(TypeError, match="unknown option 'connect_timeout'"),
        statsd.udp(Registry(), connect_timeout=1.0),
    ):
        pass
