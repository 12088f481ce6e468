"""Bytes go into one connection in order; servers that stop, hang, return or move are noticed."""

import threading

import pytest

from metrics.reporters._transports import tcp
from metrics.reporters._transports.connection import RENEWAL
from metrics.reporters._transports.tcp import Tcp
from metrics.reporters._transports.transport import Unavailable
from metrics.testing import ManualClock
from tests.processes import free_port
from tests.reporters.names import SECOND_LOOPBACK
from tests.reporters.servers import (
    LOOPBACK,
    Server,
    Sink,
    dripping,
    full_backlog,
)
from tests.reporters.waiting import DEADLINE, FOREVER, aborted_when, ended

SOON = 0.1


@pytest.fixture
def tcp_to():
    made = []

    def make(port: int, connect_timeout: float = FOREVER, host: str = LOOPBACK, **options) -> Tcp:
        made.append(Tcp(host, port, connect_timeout=connect_timeout, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def test_payloads_go_into_one_connection_in_order(tcp_to):
    sink = Sink()
    with Server(sink) as server:
        transport = tcp_to(server.port)
        for number in range(100):
            transport.send(b"line %d\n" % number, DEADLINE)
        sink.wait_for(b"".join(b"line %d\n" % number for number in range(100)))
        assert server.has_accepted(1)


def test_a_server_that_was_restarted_gets_the_next_payload(tcp_to):
    sink = Sink()
    with Server(sink) as server:
        transport = tcp_to(server.port)
        transport.send(b"one\n", DEADLINE)
        sink.wait_for(b"one\n")
    with pytest.raises(Unavailable, match="refused"):
        transport.send(b"two\n", DEADLINE)
    with Server(sink, port=server.port):
        transport.send(b"two\n", DEADLINE)
        sink.wait_for(b"one\ntwo\n")


def test_a_connection_that_the_server_closed_is_not_written_into(tcp_to):
    hung_up = threading.Semaphore(0)

    def handler(connection) -> None:
        connection.close()
        hung_up.release()

    with Server(handler) as server:
        transport = tcp_to(server.port)
        for _ in range(3):
            transport.send(b"", DEADLINE)
            # Each payload needs a connection of its own.
            assert hung_up.acquire(timeout=DEADLINE)
        assert server.has_accepted(3)


def test_answers_are_ignored(tcp_to):
    with Server(dripping(b"who are you?\n")) as server:
        transport = tcp_to(server.port)
        for _ in range(3):
            transport.send(b"x", DEADLINE)
        assert server.has_accepted(1)


def test_a_server_that_complains_gets_everything_before_the_connection_is_closed(tcp_to):
    received = bytearray()

    def complaining(connection) -> None:
        while data := connection.recv(1000):
            received.extend(data)
            connection.sendall(b"illegal line\n")

    with Server(complaining) as server:
        transport = tcp_to(server.port)
        transport.send(bytes(300_000), DEADLINE)
        transport.close()
    assert len(received) == 300_000


def test_a_server_that_does_not_close_is_left_when_the_delivery_is_aborted(tcp_to, monkeypatch):
    monkeypatch.setattr(tcp, "FAREWELL", FOREVER)
    closing, pause = threading.Event(), threading.Event()

    def handler(connection) -> None:
        while connection.recv(1000):
            pass
        closing.set()
        pause.wait(DEADLINE)

    with Server(handler) as server:
        transport = tcp_to(server.port)
        transport.send(b"x", DEADLINE)

        with aborted_when(closing, transport):
            ended(transport.close)
        pause.set()


def test_a_server_that_does_not_close_is_left_after_a_while(tcp_to, monkeypatch):
    monkeypatch.setattr(tcp, "FAREWELL", SOON)
    pause = threading.Event()
    with Server(lambda _: pause.wait(DEADLINE)) as server:
        transport = tcp_to(server.port)
        transport.send(b"x", DEADLINE)
        ended(transport.close)
        pause.set()


def test_a_port_without_a_server_is_unavailable_and_named(tcp_to):
    port = free_port()
    with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}: .*refused"):
        tcp_to(port).send(b"x", DEADLINE)


def test_a_server_that_does_not_accept_is_abandoned_on_time(tcp_to):
    with full_backlog() as port:
        with pytest.raises(Unavailable, match=r"no connection within 0\.05 s"):
            tcp_to(port, 0.05).send(b"x", DEADLINE)
        with pytest.raises(Unavailable, match=r"within 0\.1 s"):
            tcp_to(port).send(b"x", SOON)


def test_a_server_that_does_not_read_is_abandoned_on_time_and_gets_no_other_half(tcp_to):
    pause = threading.Event()
    with Server(lambda _: pause.wait(DEADLINE)) as server:
        transport = tcp_to(server.port)
        transport.send(b"first", DEADLINE)

        def send() -> None:
            with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
                transport.send(bytes(50_000_000), SOON)

        ended(send)
        transport.send(b"next", DEADLINE)
        assert server.has_accepted(2)
        pause.set()


def test_a_delivery_that_took_too_long_says_so_though_the_watch_is_late(tcp_to, monkeypatch):
    class Late(threading.Timer):
        def __init__(self, interval, *arguments) -> None:
            super().__init__(interval + 4 * SOON, *arguments)

    monkeypatch.setattr(threading, "Timer", Late)
    pause = threading.Event()
    with Server(lambda _: pause.wait(DEADLINE)) as server:
        transport = tcp_to(server.port)
        transport.send(b"first", DEADLINE)

        def send() -> None:
            with pytest.raises(Unavailable, match=r"no answer within 0\.1 s"):
                transport.send(bytes(50_000_000), SOON)

        ended(send)
        pause.set()


def test_a_delivery_can_be_aborted(tcp_to):
    reading, pause = threading.Event(), threading.Event()

    def handler(connection) -> None:
        connection.recv(1)
        reading.set()
        pause.wait(DEADLINE)

    with Server(handler) as server:
        transport = tcp_to(server.port)

        def send() -> None:
            with pytest.raises(Unavailable, match="no time left"):
                transport.send(bytes(50_000_000), FOREVER)

        with aborted_when(reading, transport):
            ended(send)
        pause.set()


def test_a_malformed_address_is_an_error_at_once():
    with pytest.raises(ValueError, match="host"):
        Tcp("a b", 1, connect_timeout=1.0)
    with pytest.raises(ValueError, match="port"):
        Tcp("localhost", 0, connect_timeout=1.0)


def test_closing_twice_does_no_harm(tcp_to):
    transport = tcp_to(free_port())
    transport.close()
    transport.close()
    assert repr(transport).startswith("<Tcp 127.0.0.1:")


def test_a_connection_is_replaced_after_some_minutes_so_that_a_moved_name_is_followed(
    tcp_to, names
):
    old, new = Sink(), Sink()
    clock = ManualClock()
    names.move("carbon.example", LOOPBACK)
    with (
        Server(old) as first,
        Server(new, port=first.port, host=SECOND_LOOPBACK) as second,
    ):
        transport = tcp_to(first.port, host="carbon.example", clock=clock)
        transport.send(b"1\n", DEADLINE)
        names.move("carbon.example", SECOND_LOOPBACK)
        clock.advance(RENEWAL - 1)
        transport.send(b"2\n", DEADLINE)
        clock.advance(1)
        transport.send(b"3\n", DEADLINE)
        transport.send(b"4\n", DEADLINE)
        old.wait_for(b"1\n2\n")
        new.wait_for(b"3\n4\n")
        assert first.has_accepted(1)
        assert second.has_accepted(1)


def test_a_replaced_connection_is_read_to_its_end_or_left_in_time(tcp_to, monkeypatch):
    monkeypatch.setattr(tcp, "FAREWELL", FOREVER)
    pause = threading.Event()
    clock = ManualClock()
    with Server(lambda _: pause.wait(DEADLINE)) as server:
        transport = tcp_to(server.port, clock=clock)
        transport.send(b"1", DEADLINE)
        clock.advance(RENEWAL)
        # The server never closes its side; half of the time is left for the new connection.
        ended(lambda: transport.send(b"2", 1.0))
        assert server.has_accepted(2)
        pause.set()
        monkeypatch.setattr(tcp, "FAREWELL", SOON)
