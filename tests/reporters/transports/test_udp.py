"""Datagrams are sent one by one; a refusal is noticed, a name that hangs given up."""

import socket
import threading

import pytest

from metrics.reporters._transports import connection
from metrics.reporters._transports.transport import Rejected, Unavailable
from metrics.reporters._transports.udp import Udp
from tests.processes import LOOPBACK, free_port
from tests.reporters.waiting import DEADLINE, FOREVER, ended


@pytest.fixture
def listener():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((LOOPBACK, 0))
        sock.settimeout(DEADLINE)
        yield sock


@pytest.fixture
def udp_to():
    made = []

    def make(port: int, host: str = LOOPBACK) -> Udp:
        made.append(Udp(host, port))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def test_each_payload_is_a_datagram(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    for payload in (b"one", b"two", b""):
        transport.send(payload, DEADLINE)
    assert [listener.recv(100) for _ in range(3)] == [b"one", b"two", b""]


def test_nobody_there_is_noticed_every_time_and_the_one_who_comes_gets_the_next(udp_to):
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


def test_one_who_goes_is_noticed(udp_to, listener):
    transport = udp_to(listener.getsockname()[1])
    transport.send(b"x", DEADLINE)
    listener.close()
    with pytest.raises(Unavailable, match="refused"):
        transport.send(b"y", DEADLINE)


def test_one_that_is_too_large_is_refused(udp_to, listener):
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


def test_a_name_that_is_not_resolved_is_given_up_when_aborted(udp_to, monkeypatch):
    asked, answer = threading.Event(), threading.Event()

    def resolver(*_args, **options):
        if options["flags"] == 0:
            asked.set()
            answer.wait(DEADLINE)
        raise socket.gaierror(socket.EAI_AGAIN, "later")

    monkeypatch.setattr(connection.socket, "getaddrinfo", resolver)
    transport = udp_to(1, "slow")

    def send() -> None:
        with pytest.raises(Unavailable, match="slow:1: there was no time left"):
            transport.send(b"x", FOREVER)

    def abort() -> None:
        assert asked.wait(DEADLINE)
        transport.abort()

    thread = threading.Thread(target=abort)
    thread.start()
    ended(send)
    thread.join()
    answer.set()


def test_an_address_that_cannot_be_is_an_error_at_once():
    with pytest.raises(TypeError, match="port"):
        Udp("localhost", "8125")
    with pytest.raises(ValueError, match="option 'host' is required"):
        Udp("", 8125)
    assert repr(Udp("localhost", 8125)) == "<Udp localhost:8125>"
