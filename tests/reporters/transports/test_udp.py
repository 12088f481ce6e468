"""Datagrams are sent one by one; refusals are noticed, and a host name that moves is followed."""

import logging
import socket
import threading

import pytest

from metrics.reporters._transports import connection
from metrics.reporters._transports.transport import Rejected, Unavailable
from metrics.reporters._transports.udp import Udp
from metrics.testing import ManualClock
from tests.processes import LOOPBACK, free_port
from tests.reporters.names import SECOND_LOOPBACK, finish_lookups, lookups
from tests.reporters.receiving import received
from tests.reporters.waiting import DEADLINE, FOREVER, aborted_when, ended


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        sock.settimeout(DEADLINE)
        yield sock


@pytest.fixture
def udp_to():
    made = []

    def make(port: int, host: str = LOOPBACK, **options) -> Udp:
        made.append(Udp(host, port, **options))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def test_each_payload_is_a_datagram(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    for payload in (b"one", b"two", b""):
        transport.send(payload, DEADLINE)
    assert [listener.recv(100) for _ in range(3)] == [b"one", b"two", b""]


def test_every_refusal_is_noticed_and_a_server_that_starts_gets_the_next_datagram(udp_to):
    port = free_port(socket.SOCK_DGRAM)
    transport = udp_to(port)
    for _ in range(4):
        with pytest.raises(Unavailable, match=rf"127\.0\.0\.1:{port}: .*refused"):
            transport.send(b"lost?", DEADLINE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind((LOOPBACK, port))
        listener.settimeout(DEADLINE)
        transport.send(b"found", DEADLINE)
        assert listener.recv(100) == b"found"


def test_a_server_that_stops_is_noticed(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    transport.send(b"x", DEADLINE)
    listener.close()
    with pytest.raises(Unavailable, match="refused"):
        transport.send(b"y", DEADLINE)


def test_a_payload_too_large_for_a_datagram_is_refused(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    with pytest.raises(Rejected, match="takes no datagram of 70000 bytes"):
        transport.send(bytes(70_000), DEADLINE)
    transport.send(b"small", DEADLINE)
    assert listener.recv(100) == b"small"


def test_answers_are_ignored(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    for number in range(3):
        transport.send(b"%d" % number, DEADLINE)
        payload, sender = listener.recvfrom(100)
        assert payload == b"%d" % number
        listener.sendto(b"thanks, and more than is read", sender)


def test_the_lookup_of_a_name_is_abandoned_when_aborted(udp_to, monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def resolver(*_args, **options):
        if options["flags"] == 0:
            asked.set()
            answer.wait(DEADLINE)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(connection.socket, "getaddrinfo", resolver)
    transport = udp_to(1, "slow")

    def send() -> None:
        with pytest.raises(Unavailable, match="slow:1: no time left"):
            transport.send(b"x", FOREVER)

    with aborted_when(asked, transport):
        ended(send)
    answer.set()


def test_a_malformed_address_is_an_error_at_once():
    with pytest.raises(TypeError, match="port"):
        Udp("localhost", "8125")
    with pytest.raises(ValueError, match="option 'host' is required"):
        Udp("", 8125)
    assert repr(Udp("localhost", 8125)) == "<Udp localhost:8125>"


NAME = "statsd.example"


@pytest.fixture
def listeners():
    """Two servers at one port, each at an address of its own."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as second,
    ):
        first.bind((LOOPBACK, 0))
        second.bind((SECOND_LOOPBACK, first.getsockname()[1]))
        for sock in (first, second):
            sock.setblocking(False)
        yield first, second


def port_of(sock: socket.socket) -> int:
    return sock.getsockname()[1]


def test_a_name_that_moves_is_followed_while_datagrams_are_sent(udp_to, listeners, names, caplog):
    old, new = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"1", DEADLINE)
    names.move(NAME, SECOND_LOOPBACK)
    clock.advance(59)
    transport.send(b"2", DEADLINE)
    assert names.questions == [NAME]
    clock.advance(1)
    transport.send(b"3", DEADLINE)
    finish_lookups()
    assert received(old) == [b"1", b"2", b"3"]
    with caplog.at_level(logging.INFO):
        transport.send(b"4", DEADLINE)
        transport.send(b"5", DEADLINE)
    assert (received(old), received(new)) == ([], [b"4", b"5"])
    assert names.questions == [NAME] * 2
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert f"{NAME}:{port_of(old)} has moved from 127.0.0.1 to 127.0.0.2" in record.getMessage()


def test_a_slow_lookup_delays_no_datagram_and_is_not_repeated(udp_to, listeners, names):
    old, new = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"0", DEADLINE)
    names.move(NAME, SECOND_LOOPBACK)
    names.open.clear()
    for number in range(1, 5):
        clock.advance(60)
        ended(lambda number=number: transport.send(b"%d" % number, FOREVER))
    assert len(lookups()) == 1
    assert received(old) == [b"0", b"1", b"2", b"3", b"4"]
    names.open.set()
    finish_lookups()
    transport.send(b"5", DEADLINE)
    assert received(new) == [b"5"]
    assert names.questions == [NAME] * 2


def test_a_failed_lookup_keeps_the_address_and_is_logged_once(udp_to, listeners, names, caplog):
    old, new = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"0", DEADLINE)
    names.move(NAME)
    for number in range(1, 7):
        clock.advance(60)
        transport.send(b"%d" % number, DEADLINE)
        finish_lookups()
    transport.send(b"7", DEADLINE)
    assert received(old) == [b"%d" % number for number in range(8)]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "cannot look up 'statsd.example' again" in record.getMessage()
    assert "Temporary failure in name resolution" in record.getMessage()
    names.move(NAME, SECOND_LOOPBACK)
    clock.advance(60)
    transport.send(b"8", DEADLINE)
    finish_lookups()
    transport.send(b"9", DEADLINE)
    assert received(new) == [b"9"]


def test_a_thread_that_cannot_be_started_keeps_the_address(
    udp_to, listeners, names, monkeypatch, caplog
):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    old, _ = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"1", DEADLINE)
    monkeypatch.setattr(threading.Thread, "start", start)
    clock.advance(60)
    transport.send(b"2", DEADLINE)
    assert received(old) == [b"1", b"2"]
    assert "can't start new thread" in caplog.text


def test_a_name_with_several_addresses_stays_with_the_present_one(udp_to, listeners, names, caplog):
    old, new = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK, SECOND_LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"1", DEADLINE)
    names.move(NAME, SECOND_LOOPBACK, LOOPBACK)
    clock.advance(60)
    transport.send(b"2", DEADLINE)
    finish_lookups()
    with caplog.at_level(logging.INFO):
        transport.send(b"3", DEADLINE)
    assert (received(old), received(new)) == ([b"1", b"2", b"3"], [])
    assert caplog.text == ""


def test_after_an_address_without_a_listener_the_next_one_gets_the_datagrams(
    udp_to, listeners, names
):
    # As localhost, whose first address may be ::1, where a server may not listen.
    server, other = listeners
    other.close()
    names.move(NAME, SECOND_LOOPBACK, LOOPBACK)
    transport = udp_to(port_of(server), NAME)
    with pytest.raises(Unavailable, match="refused"):
        transport.send(b"1", DEADLINE)
    for payload in (b"1", b"2"):
        transport.send(payload, DEADLINE)
    assert received(server) == [b"1", b"2"]


def test_an_address_is_not_looked_up(udp_to, listeners, names):
    old, _ = listeners
    clock = ManualClock()
    transport = udp_to(port_of(old), clock=clock)
    for _ in range(3):
        transport.send(b"x", DEADLINE)
        clock.advance(3600)
    assert names.questions == []
    assert lookups() == []


def test_a_refusal_restarts_the_minute_of_the_lookups(udp_to, listeners, names):
    old, _ = listeners
    clock = ManualClock()
    names.move(NAME, LOOPBACK)
    transport = udp_to(port_of(old), NAME, clock=clock)
    transport.send(b"1", DEADLINE)
    clock.advance(59)
    transport.close()
    transport.send(b"2", DEADLINE)
    clock.advance(59)
    transport.send(b"3", DEADLINE)
    assert lookups() == []
    assert names.questions == [NAME] * 2
