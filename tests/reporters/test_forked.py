"""Reporters stay with the parent: a forked process sends nothing, cuts nothing, and can start."""

import os
import socket
import threading
from contextlib import closing

import pytest

from metrics import Registry, _fork
from metrics.reporters import graphite, statsd
from metrics.reporters._transports.proxies import proxy_of
from metrics.reporters._transports.tcp import Tcp
from metrics.reporters._transports.tls import client_context
from metrics.reporters._transports.transport import Unavailable
from metrics.reporters._transports.udp import Udp
from metrics.reporters._transports.unix import UnixDatagrams
from metrics.testing import ManualClock
from tests.descriptors import descriptors
from tests.forks import forking, hammered, in_child
from tests.reporters.receiving import received, udp_socket, unix_socket
from tests.reporters.registries import recording, reported
from tests.reporters.servers import (
    Server,
    Sink,
    Web,
    certificate,
    http_to,
    response,
    tls,
)
from tests.reporters.standins import Recorded
from tests.reporters.tunnels import Tunnel
from tests.reporters.waiting import DEADLINE, FOREVER
from tests.reporters.workers import Numbers, reporter_of, workers

pytestmark = forking


def tcp_to(server):
    return Tcp("127.0.0.1", server.port, connect_timeout=DEADLINE)


def opened(transport):
    """Return how many descriptors a transport has of its connection, by letting go of it."""
    before = descriptors()
    transport.abandon()
    return before - descriptors()


def test_the_parents_tcp_connection_outlives_a_child_that_abandons_it():
    sink = Sink()
    with Server(sink) as server:
        transport = tcp_to(server)
        transport.send(b"one\n", DEADLINE)
        # The socket itself, and the one that cuts it.
        assert in_child(opened, transport) == 2
        transport.send(b"two\n", DEADLINE)
        sink.wait_for(b"one\ntwo\n")
        assert server.has_accepted(1)
        transport.close()


def test_the_childs_tcp_connection_is_one_of_its_own():
    sink = Sink()
    with Server(sink) as server:
        transport = tcp_to(server)
        transport.send(b"parent\n", DEADLINE)

        def send():
            transport.abandon()
            transport.send(b"child\n", DEADLINE)
            transport.close()

        in_child(send)
        sink.wait_for(b"child\n")
        assert server.has_accepted(2)
        transport.close()


@pytest.mark.parametrize("secure", [False, True])
def test_the_parents_http_connection_outlives_a_child_that_abandons_it(secure, tmp_path):
    web = Web(response(204))
    path = certificate(tmp_path, "IP:127.0.0.1")
    context = None
    if secure:
        from ssl import create_default_context

        context = create_default_context(cafile=path)
    with Server(web, tls=tls(path) if secure else None) as server:
        transport = http_to(server, context=context)
        transport.send(b"one", DEADLINE)

        def send():
            count = opened(transport)
            transport.send(b"child", DEADLINE)
            transport.close()
            return count

        assert in_child(send) == 2
        transport.send(b"two", DEADLINE)
        transport.close()
        assert web.bodies == [b"one", b"child", b"two"]
        assert server.has_accepted(2)


def test_the_parents_tunnel_outlives_a_child_that_abandons_it(tmp_path):
    path = certificate(tmp_path, "IP:127.0.0.1")
    web = Web(response(204))
    with Server(web, tls=tls(path)) as server, Server(Tunnel(), tls=tls(path)) as proxy:
        transport = http_to(
            server, proxy=proxy_of(proxy.url), context=client_context(ca_file=str(path))
        )
        transport.send(b"one", DEADLINE)
        assert in_child(opened, transport) == 2
        transport.send(b"two", DEADLINE)
        assert proxy.has_accepted(1)
        transport.close()
    assert web.bodies == [b"one", b"two"]


def test_a_server_sees_the_end_of_the_parents_connection_while_a_child_lives():
    with Server(Sink()) as server:
        transport = tcp_to(server)
        transport.send(b"one\n", DEADLINE)
        ready, go_on = os.pipe(), os.pipe()
        child = os.fork()
        if child == 0:
            transport.abandon()
            os.write(ready[1], b"x")
            os.read(go_on[0], 1)
            os._exit(0)
        assert os.read(ready[0], 1) == b"x"
        transport.close()
        assert server.has_accepted(1)
        # The handler ends when its connection does.
        server._threads[1].join(DEADLINE)
        assert not server._threads[1].is_alive()
        os.write(go_on[1], b"x")
        os.waitpid(child, 0)
        for descriptor in (*ready, *go_on):
            os.close(descriptor)


def test_datagrams_of_a_child_come_from_a_socket_of_its_own(tmp_path):
    path = tmp_path / "socket"
    with udp_socket() as sock, unix_socket(path) as local:
        udp = Udp("127.0.0.1", sock.getsockname()[1])
        unix = UnixDatagrams(str(path))
        for transport in (udp, unix):
            transport.send(b"parent", DEADLINE)

        def send():
            counts = [opened(udp), opened(unix)]
            for transport in (udp, unix):
                transport.send(b"child", DEADLINE)
                transport.close()
            return counts

        assert in_child(send) == [2, 1]
        for transport in (udp, unix):
            transport.send(b"again", DEADLINE)
            transport.close()
        assert received(sock) == received(local) == [b"parent", b"child", b"again"]


def test_what_the_parent_could_not_deliver_is_its_own_to_deliver():
    def away(_):
        raise Unavailable("away")

    clock, transport = ManualClock(), Recorded(away)
    reporter = reporter_of(Numbers(), transport, clock=clock, interval=1.0)
    reporter._due = clock.monotonic()
    reporter._step()
    assert len(reporter._sender._outbox) == 1

    def use():
        transport.fault = bool
        abandoned = transport.abandoned
        reporter.start()
        during = workers()
        reporter.stop(DEADLINE)
        return abandoned, during, transport.payloads, workers()

    assert in_child(use) == (1, ["metrics-reporter-db"], [b"2"], [])
    assert transport.abandoned == 0
    assert len(reporter._sender._outbox) == 1


def test_a_child_sends_nothing_that_it_does_not_start_itself():
    sink = Sink()
    with Server(sink) as server:
        registry = Registry()
        registry.counter("hits").inc(5)
        with graphite.tcp(registry, "127.0.0.1", server.port, interval=FOREVER) as reporter:

            def end():
                reporter.stop(DEADLINE)
                return reporter.running, workers(), registry.get("reporter/graphite/sent").count

            assert in_child(end) == (False, [], 0)
            assert reporter.running
        sink.wait_for(b"hits")
        assert server.has_accepted(1)


def test_a_child_leaves_the_block_of_a_reporter_without_a_word():
    registry, transport = Registry(), Recorded()
    registry.counter("hits").inc()
    block = recording(registry, transport)
    block.__enter__()

    def leave():
        block.__exit__(None, None, None)
        return transport.tries, registry.names()

    assert in_child(leave) == ([], ("hits",))
    block.__exit__(None, None, None)
    assert reported(transport)["hits"] == [{"count": 1}]


def test_a_reporter_of_the_same_name_starts_in_the_child_once_the_parents_names_are_dropped():
    registry = Registry()
    hits = registry.counter("hits")
    owner = object()
    with udp_socket() as sock:
        port = sock.getsockname()[1]

        def hook():
            return statsd.udp(registry, "127.0.0.1", port, interval=FOREVER)

        parent = hook()
        token = _fork.registering.set(owner)
        parent.__enter__()
        _fork.registering.reset(token)
        hits.inc(5)

        def use():
            _fork.drop_registered_by([owner])
            assert registry.names() == ("hits",)
            with hook():
                hits.inc(2)
            return registry.names()

        assert in_child(use) == ("hits",)
        assert b"hits:2|c" in b"".join(received(sock)).split()
        parent.__exit__(None, None, None)
        assert b"hits:5|c" in b"".join(received(sock)).split()


def test_the_child_is_free_whatever_the_parents_reporter_did():
    web = Web(response(204))
    with Server(web) as server:
        transport = http_to(server)
        reporter = reporter_of(Numbers(), transport, interval=0.001, timeout=DEADLINE)
        lock = threading.Lock()

        def change():
            with lock:
                reporter.start()
                reporter.stop(DEADLINE)

        def use():
            reporter.start()
            reporter.stop(DEADLINE)
            return workers(), reporter.running

        with hammered(change, threads=2):
            outcomes = [in_child(use) for _ in range(12)]
        assert outcomes == [([], False)] * 12
        assert web.bodies


def test_a_lookup_of_the_parent_is_asked_again_in_the_child(monkeypatch):
    asked = threading.Event()
    answered = threading.Event()
    parent = os.getpid()
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **options):
        if host == "127.0.0.1" or os.getpid() != parent:
            return real("127.0.0.1", *args, **options)
        if options.get("flags"):
            raise socket.gaierror("not a number")
        asked.set()
        answered.wait(DEADLINE)
        return real("127.0.0.1", *args, **options)

    with Server(Sink()) as server, closing(Tcp("db", server.port, connect_timeout=DEADLINE)) as tcp:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        sending = threading.Thread(target=tcp.send, args=(b"parent\n", DEADLINE))
        sending.start()
        assert asked.wait(DEADLINE)

        def send():
            tcp.abandon()
            tcp.send(b"child\n", DEADLINE)
            tcp.close()
            return True

        assert in_child(send)
        answered.set()
        sending.join(DEADLINE)


def test_a_collection_that_forks_and_comes_back_reports_once_at_most():
    reader, writer = os.pipe()
    parent, forked = os.getpid(), []

    def fork():
        if os.getpid() == parent and not forked:
            forked.append(os.fork())
            if forked[0] == 0:
                transport.fault = lambda payload: os.write(writer, payload)

    transport = Recorded()
    reporter = reporter_of(Numbers(fork), transport, interval=0.01)
    reporter.start()
    transport.wait_for(3)
    reporter.stop(DEADLINE)
    os.close(writer)
    # The pipe ends when the thread, and with it the child, has.
    assert os.read(reader, 100) in {b"", b"1"}
    assert os.read(reader, 100) == b""
    os.waitpid(forked[0], 0)
    os.close(reader)
