import socket
import threading

import pytest

from metrics.reporters._transports import connection
from metrics.reporters._transports.connection import NO_TIME, Connector
from tests.processes import free_port
from tests.reporters.servers import LOOPBACK, Server, full_backlog, silent
from tests.reporters.waiting import DEADLINE, FOREVER, ended

SOON = 0.05


class Resolver:
    """Resolver that answers when a test sets `answer`, and counts its questions."""

    def __init__(self, *addresses: tuple[str, int]) -> None:
        self.answer = threading.Event()
        self.asked = threading.Semaphore(0)
        self.questions = 0
        self._addresses = addresses

    def __call__(self, host, port, *, type, flags=0):  # noqa: A002 - as getaddrinfo
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
def connector():
    connector = Connector()
    yield connector
    connector.close()


def lookups() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == connection.THREAD_NAME]


def abort_when(connector: Connector, ready: threading.Semaphore) -> threading.Thread:
    def abort() -> None:
        assert ready.acquire(timeout=DEADLINE)
        connector.abort()

    thread = threading.Thread(target=abort)
    thread.start()
    return thread


def test_a_connection_is_made_and_released(connector):
    with Server(silent) as server:
        assert not connector.connected
        with connector.within(FOREVER), connector.connect(LOOPBACK, server.port, FOREVER) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)
            assert connector.connected
        connector.close()
        assert not connector.connected


def test_the_end_of_a_request_does_not_wait_for_an_acknowledgement_of_its_beginning(connector):
    with (
        Server(silent) as server,
        connector.within(FOREVER),
        connector.connect(LOOPBACK, server.port, FOREVER) as sock,
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_name_is_resolved(connector):
    with (
        Server(silent) as server,
        connector.within(FOREVER),
        connector.connect("localhost", server.port, FOREVER) as sock,
    ):
        assert sock.getpeername() == (LOOPBACK, server.port)


def test_a_port_without_a_server_is_an_error(connector):
    with pytest.raises(ConnectionRefusedError):
        connector.connect(LOOPBACK, free_port(), FOREVER)
    assert not connector.connected


def test_a_name_without_an_address_is_an_error(connector):
    with pytest.raises(OSError, match="cannot be the name"):
        connector.connect("a" * 64, 80, FOREVER)
    with pytest.raises(socket.gaierror):
        connector.connect("no-such-host.invalid", 80, DEADLINE)


def test_connecting_ends_on_time(connector):
    with full_backlog() as port, pytest.raises(OSError, match=r"no connection within 0\.05 s"):
        connector.connect(LOOPBACK, port, SOON)
    assert not connector.connected


def test_connecting_is_aborted_when_the_block_takes_too_long(connector):
    def connect() -> None:
        with pytest.raises(OSError), connector.within(SOON):
            connector.connect(LOOPBACK, port, FOREVER)

    with full_backlog() as port:
        ended(connect)
    assert connector.abort_reason == "no answer within 0.05 s"


def test_a_silent_address_leaves_time_for_the_next(connector, resolver):
    with full_backlog() as port, Server(silent) as server:
        # The first has a hundredth of the time.
        addresses = [(LOOPBACK, port), *[(LOOPBACK, server.port)] * 99]
        resolver(*addresses).answer.set()
        with connector.connect("many", 1, DEADLINE) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)


def test_after_an_address_that_refuses_the_next_is_tried(connector, resolver):
    with Server(silent) as server:
        resolver((LOOPBACK, free_port()), (LOOPBACK, server.port)).answer.set()
        with connector.connect("two", 1, FOREVER) as sock:
            assert sock.getpeername() == (LOOPBACK, server.port)


def test_a_read_is_aborted_when_the_block_takes_too_long(connector):
    with Server(silent) as server, connector.connect(LOOPBACK, server.port, FOREVER) as sock:
        sock.settimeout(FOREVER)
        with connector.within(SOON):
            assert sock.recv(1) == b""
        assert connector.abort_reason == "no answer within 0.05 s"


def test_another_thread_can_abort_a_read(connector):
    with Server(silent) as server, connector.connect(LOOPBACK, server.port, FOREVER) as sock:
        sock.settimeout(FOREVER)
        with connector.within(FOREVER):
            ready = threading.Semaphore(1)
            aborter = abort_when(connector, ready)
            ended(lambda: sock.recv(1))
            aborter.join()
        assert connector.abort_reason == NO_TIME


def test_an_aborted_connector_makes_no_connection_until_the_next_block(connector):
    with Server(silent) as server:
        with connector.within(FOREVER):
            connector.abort()
            with pytest.raises(OSError, match=NO_TIME):
                connector.connect(LOOPBACK, server.port, FOREVER)
        assert not connector.connected
        with connector.within(FOREVER), connector.connect(LOOPBACK, server.port, FOREVER):
            assert connector.abort_reason == ""


def test_a_silent_resolver_is_abandoned_on_time(connector, resolver):
    slow = resolver()
    with pytest.raises(OSError, match=r"no address of 'slow' within 0\.05 s"):
        connector.connect("slow", 1, SOON)
    slow.answer.set()


def test_a_silent_resolver_is_abandoned_when_the_connector_is_aborted(connector, resolver):
    slow = resolver()

    def connect() -> None:
        with connector.within(FOREVER), pytest.raises(OSError, match=NO_TIME):
            connector.connect("slow", 1, FOREVER)

    aborter = abort_when(connector, slow.asked)
    ended(connect)
    aborter.join()
    slow.answer.set()


def test_an_unanswered_lookup_is_waited_for_again_and_not_repeated(connector, resolver):
    with Server(silent) as server:
        slow = resolver((LOOPBACK, server.port))
        for _ in range(5):
            with pytest.raises(OSError, match="no address"):
                connector.connect("slow", 1, 0.01)
        assert slow.asked.acquire(timeout=DEADLINE)
        assert len(lookups()) == 1
        assert slow.questions == 1
        slow.answer.set()
        with connector.connect("slow", 1, FOREVER):
            pass
        connector.connect("slow", 1, FOREVER).close()
        assert slow.questions == 2


def test_a_thread_that_cannot_be_started_is_an_error(connector, monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(OSError, match="can't start new thread"), connector.within(FOREVER):
        pytest.fail("the time is not watched")
    with pytest.raises(OSError, match="can't start new thread"):
        connector.connect("localhost", 1, FOREVER)
