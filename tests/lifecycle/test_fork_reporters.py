"""Reporters and servers stay with the parent; `init_resources()` starts the child's own."""

import os
import socket
from contextlib import ExitStack
from urllib.request import urlopen

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.integrations import asgi, uvicorn
from metrics.lifecycle import MetricsContainer, Resource, State, running, state
from metrics.reporters import graphite, statsd
from tests.forks import DEADLINE, forking, in_child
from tests.processes import free_port, until
from tests.reporters.receiving import received, udp_socket
from tests.reporters.servers import Server, Sink

pytestmark = forking

FOREVER = 3600.0


class Graphite(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    reporter = Resource(
        graphite.tcp, registry, "127.0.0.1", config.port.as_int(), interval=config.interval
    )
    hits = Resource(resources.counter, registry, "hits")


class Statsd(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    reporter = Resource(
        statsd.udp, registry, "127.0.0.1", config.port.as_int(), interval=config.interval
    )
    hits = Resource(resources.counter, registry, "hits")


def started(kind, port, interval=FOREVER):
    container = kind()
    container.config.from_dict({"port": port, "interval": interval})
    container.init_resources()
    return container


def counts(sink):
    """Return the values that a sink was sent for the counter `hits`."""
    lines = bytes(sink._received).decode().splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith("hits")]


def test_the_childs_reporter_reports_the_childs_counts_to_a_real_server():
    sink = Sink()
    with Server(sink) as server:
        container = started(Graphite, server.port)
        hits = container.hits()
        hits.inc(5)

        def report():
            hits.inc(2)
            names = container.registry().names()
            container.init_resources()
            again = container.registry().names()
            same = container.hits() is hits
            container.shutdown_resources()
            return names, again, same

        names, again, same = in_child(report)
        assert names == ("hits",)
        assert "reporter/graphite/sent" in again
        assert same
        sink.wait_for(b"hits")
        assert counts(sink) == [2]
        container.shutdown_resources()
        until(lambda: counts(sink) == [2, 5], "the parent's report arrives")


def test_a_child_that_starts_nothing_sends_nothing():
    with udp_socket() as sock:
        container = started(Statsd, sock.getsockname()[1])
        hits = container.hits()
        hits.inc(5)

        def end():
            hits.inc(2)
            container.shutdown_resources()
            return state(container)

        assert in_child(end) is State.STOPPED
        assert received(sock) == []
        container.shutdown_resources()
        assert b"hits:5|c" in b"\n".join(received(sock)).split()


def test_payloads_that_the_parent_could_not_deliver_are_not_the_childs():
    port = free_port()
    container = started(Graphite, port, 0.01)
    container.hits().inc(5)
    reporter = container.reporter()
    sink = Sink()
    # Nothing listens: the reports of the parent wait.
    until(lambda: len(reporter._sender._outbox), "a report waits")

    def report():
        container.config.from_dict({"interval": FOREVER})
        with Server(sink, port=port):
            container.init_resources()
            container.hits().inc(2)
            container.shutdown_resources()
            sink.wait_for(b"hits")
        return counts(sink)

    assert in_child(report) == [2]
    container.shutdown_resources()


def test_every_generation_has_a_reporter_of_its_own():
    with udp_socket() as sock:
        container = started(Statsd, sock.getsockname()[1])
        hits = container.hits()

        def grandchild():
            hits.inc(3)
            container.init_resources()
            container.shutdown_resources()
            return True

        def child():
            hits.inc(2)
            container.init_resources()
            below = in_child(grandchild)
            container.shutdown_resources()
            return below

        hits.inc(1)
        assert in_child(child)
        container.shutdown_resources()
        lines = b"\n".join(received(sock)).split()
        assert sorted(line for line in lines if line.startswith(b"hits")) == [
            b"hits:1|c",
            b"hits:2|c",
            b"hits:3|c",
        ]


class Served(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")
    pages = providers.Singleton(asgi.exposition, registry)
    server = Resource(uvicorn.serve, pages, port=config.port.as_int())


def page(address):
    with urlopen(f"{address.url}/metrics", timeout=DEADLINE) as answer:
        lines = answer.read().decode().splitlines()
    return [line.split()[1] for line in lines if line.startswith("hits")]


@pytest.fixture
def served():
    container = Served()
    container.config.from_dict({"port": 0})
    container.init_resources()
    yield container
    container.shutdown_resources()


def test_the_childs_page_has_the_childs_counts(served):
    hits = served.hits()
    hits.inc(5)

    def serve():
        hits.inc(2)
        before = state(served, "server")
        served.init_resources()
        found = page(served.server())
        served.shutdown_resources()
        return before, found

    assert in_child(serve) == (State.NEW, ["2"])
    assert page(served.server()) == ["5"]


def test_the_parents_port_is_free_when_it_has_stopped_though_a_child_lives(served):
    address = served.server()
    with ExitStack() as stack:
        ready, end = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(end[1])
                served.hits().inc()
                os.write(ready[1], b"x")
                os.read(end[0], 1)
            finally:
                os._exit(0)
        stack.callback(os.waitpid, child, 0)
        for descriptor in (*ready, *end):
            stack.callback(os.close, descriptor)
        assert os.read(ready[0], 1) == b"x"
        assert page(address) == ["0"]
        served.shutdown_resources()
        with socket.create_server((address.host, address.port)):
            pass
        os.write(end[1], b"x")


def test_a_child_that_leaves_the_block_stops_what_it_has_and_nothing_else():
    container = Served()
    container.config.from_dict({"port": 0})
    outcomes = []
    with running(container) as entered:
        address = entered.server()
        entered.hits().inc(4)
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            outcomes.append(os.waitstatus_to_exitcode(status))
            outcomes.append(page(address))
    if child == 0:
        code = 1
        try:
            names, stopped = container.registry, state(container)
            code = 7 if stopped is State.STOPPED and names is not None else 2
        finally:
            os._exit(code)
    assert outcomes == [7, ["4"]]
    assert state(container) is State.STOPPED
