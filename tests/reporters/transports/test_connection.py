import socket
import threading

import pytest

from metrics.reporters._transports import connection
from metrics.reporters._transports.connection import NO_TIME, Wire
from tests.processes import free_port
from tests.reporters.servers import LOOPBACK, Server, full_backlog, silent
from tests.reporters.waiting import DEADLINE, FOREVER, ended

SOON = 0.05


class Resolver:
    """Answers when it is told to, and counts what it was asked."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.answer = threading.Event()
        self.asked = threading.Semaphore(0)
        self.questions = 0
        self._addresses = addresses

    def __call__(self, host, port, *, type, flags=0):  # noqa: A002 - as the one it stands in for
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "no address")
        self.questions += 1
        self.asked.release()
        assert self.answer.wait(DEADLINE)
        return [(socket.AF_INET, type, 0, "", address) for address in self._addresses]


@pytest.fixture
def resolver(monkeypatch):
    def install(*addresses: tuple[str, int]) -> Resolver:
        made = Resolver(*addresses)
        monkeypatch.setattr(connection.socket, "getaddrinfo", made)
        return made

    return install


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.close()


def lookups() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == connection.THREAD_NAME]


def cut_when(wire: Wire, ready: threading.Semaphore) -> threading.Thread:
    def cut() -> None:
        assert ready.acquire(timeout=DEADLINE)
        wire.cut()

    thread = threading.Thread(target=cut)
    thread.start()
    return thread


def test_it_connects(wire):
    with Server(silent) as server:
        assert not wire.connected
        with wire.within(FOREVER), wire.connect(LOOPBACK, server.port, FOREVER) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)
            assert wire.connected
        wire.close()
        assert not wire.connected


def test_the_end_of_a_request_does_not_wait_for_its_beginning_to_be_confirmed(wire):
    with (
        Server(silent) as server,
        wire.within(FOREVER),
        wire.connect(LOOPBACK, server.port, FOREVER) as sock,
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name_is_resolved(wire):
    with (
        Server(silent) as server,
        wire.within(FOREVER),
        wire.connect("localhost", server.port, FOREVER) as sock,
    ):
        assert sock.getpeername() == (LOOPBACK, server.port)


def test_nobody_there_is_an_error(wire):
    with pytest.raises(ConnectionRefusedError):
        wire.connect(LOOPBACK, free_port(), FOREVER)
    assert not wire.connected


def test_a_name_without_an_address_is_an_error(wire):
    with pytest.raises(OSError, match="cannot be the name"):
        wire.connect("a" * 64, 80, FOREVER)
    with pytest.raises(socket.gaierror):
        wire.connect("no-such-host.invalid", 80, DEADLINE)


def test_connecting_ends_on_time(wire):
    with full_backlog() as port, pytest.raises(OSError, match=r"no connection within 0\.05 s"):
        wire.connect(LOOPBACK, port, SOON)
    assert not wire.connected


def test_connecting_is_cut_when_the_block_takes_too_long(wire):
    def connect() -> None:
        with pytest.raises(OSError), wire.within(SOON):
            wire.connect(LOOPBACK, port, FOREVER)

    with full_backlog() as port:
        ended(connect)
    assert wire.cut_reason == "no answer within 0.05 s"


def test_an_address_that_is_silent_leaves_time_for_the_next(wire, resolver):
    with full_backlog() as port, Server(silent) as server:
        # The first has a hundredth of the time.
        addresses = [(LOOPBACK, port), *[(LOOPBACK, server.port)] * 99]
        resolver(*addresses).answer.set()
        with wire.connect("many", 1, DEADLINE) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)


def test_an_address_that_refuses_is_followed_by_the_next(wire, resolver):
    with Server(silent) as server:
        resolver((LOOPBACK, free_port()), (LOOPBACK, server.port)).answer.set()
        with wire.connect("two", 1, FOREVER) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)


def test_a_read_is_cut_when_the_block_takes_too_long(wire):
    with Server(silent) as server, wire.connect(LOOPBACK, server.port, FOREVER) as sock:
        sock.settimeout(FOREVER)
        with wire.within(SOON):
            assert sock.recv(1) == b""
        assert wire.cut_reason == "no answer within 0.05 s"


def test_another_thread_can_cut_a_read(wire):
    with Server(silent) as server, wire.connect(LOOPBACK, server.port, FOREVER) as sock:
        sock.settimeout(FOREVER)
        with wire.within(FOREVER):
            ready = threading.Semaphore(1)
            cutter = cut_when(wire, ready)
            ended(lambda: sock.recv(1))
            cutter.join()
        assert wire.cut_reason == NO_TIME


def test_what_was_cut_stays_cut_until_the_next_block(wire):
    with Server(silent) as server:
        with wire.within(FOREVER):
            wire.cut()
            with pytest.raises(OSError, match=NO_TIME):
                wire.connect(LOOPBACK, server.port, FOREVER)
        assert not wire.connected
        with wire.within(FOREVER), wire.connect(LOOPBACK, server.port, FOREVER):
            assert wire.cut_reason == ""


def test_a_resolver_that_does_not_answer_is_not_waited_for(wire, resolver):
    slow = resolver()
    with pytest.raises(OSError, match=r"no address of 'slow' within 0\.05 s"):
        wire.connect("slow", 1, SOON)
    slow.answer.set()


def test_a_resolver_is_not_waited_for_when_the_wire_is_cut(wire, resolver):
    slow = resolver()

    def connect() -> None:
        with wire.within(FOREVER), pytest.raises(OSError, match=NO_TIME):
            wire.connect("slow", 1, FOREVER)

    cutter = cut_when(wire, slow.asked)
    ended(connect)
    cutter.join()
    slow.answer.set()


def test_a_question_that_is_not_answered_is_not_asked_again(wire, resolver):
    with Server(silent) as server:
        slow = resolver((LOOPBACK, server.port))
        for _ in range(5):
            with pytest.raises(OSError, match="no address"):
                wire.connect("slow", 1, 0.01)
        assert slow.asked.acquire(timeout=DEADLINE)
        assert len(lookups()) == 1
        assert slow.questions == 1
        slow.answer.set()
        with wire.connect("slow", 1, FOREVER):
            pass
        wire.connect("slow", 1, FOREVER).close()
        assert slow.questions == 2


def test_no_thread_to_be_had_is_an_error_like_any_other(wire, monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="can't start new thread"), wire.within(FOREVER):
        pytest.fail("the time is not watched")
    with pytest.raises(OSError, match="can't start new thread"):
        wire.connect("localhost", 1, FOREVER)
