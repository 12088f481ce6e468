"""Clients that send no complete request, or do not read, keep nothing from other clients."""

import asyncio
import logging
import select
import socket
import threading
from contextlib import ExitStack, contextmanager
from http.client import HTTPConnection
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil
import pytest
import uvicorn

import metrics.integrations.uvicorn as server
from metrics.integrations._serving.connections import Connection, Connections
from metrics.integrations.uvicorn import serve
from tests.processes import until

PATIENCE = 20.0
SHORT = 0.5
"""Seconds of the limit in tests that wait until it has passed."""

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def hello(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Gate:
    """ASGI application whose answers wait until it is opened."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)

    async def __call__(self, scope, receive, send) -> None:
        self.entered.release()
        await asyncio.to_thread(self.open.wait, PATIENCE)
        await hello(scope, receive, send)


class Answer:
    """A request that is under way in a thread."""

    def __init__(self, url: str) -> None:
        self.status = 0
        self._thread = threading.Thread(target=self._request, args=(url,))
        self._thread.start()

    def _request(self, url: str) -> None:
        self.status = status_of(url)

    def wait(self) -> int:
        self._thread.join(PATIENCE)
        return self.status


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=PATIENCE) as response:
            return response.status
    except HTTPError as error:
        with error:
            return error.code


def connect(address) -> socket.socket:
    return socket.create_connection(address, PATIENCE)


def open_connections(port: int) -> int:
    """Return how many accepted sockets of this process have a port as their own."""
    return sum(
        bool(each.laddr) and each.laddr.port == port and each.status == psutil.CONN_ESTABLISHED
        for each in psutil.Process().net_connections("tcp")
    )


@contextmanager
def clients(address, count: int):
    with ExitStack() as stack:
        yield [stack.enter_context(connect(address)) for _ in range(count)]


@pytest.mark.parametrize(
    "begin",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost:",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
    ],
    ids=["nothing", "half a line", "half the headers", "half a body"],
)
def test_a_connection_without_a_complete_request_is_closed(begin: bytes):
    async def read(scope, receive, send) -> None:
        while (await receive()).get("more_body"):
            pass
        await hello(scope, receive, send)

    with serve(read, port=0, request_timeout=SHORT) as address, connect(address) as client:
        client.sendall(begin)
        assert client.recv(100) == b""


def test_a_client_that_sends_byte_by_byte_does_not_extend_its_time():
    with serve(hello, port=0, request_timeout=SHORT) as address, connect(address) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX-Long: ")
        with pytest.raises(OSError):  # noqa: PT012 - closed at any of the bytes
            for _ in range(10_000):
                client.sendall(b"x")
                if select.select([client], [], [], 0.005)[0] and client.recv(100) == b"":
                    raise ConnectionResetError


def test_a_connection_is_closed_when_no_further_request_follows_an_answer():
    with serve(hello, port=0, request_timeout=SHORT) as address:
        client = HTTPConnection(address.host, address.port, timeout=PATIENCE)
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        assert client.sock.recv(100) == b""
        client.close()


def test_half_a_request_after_an_answer_is_closed_too():
    with serve(hello, port=0, request_timeout=SHORT) as address, connect(address) as client:
        client.sendall(REQUEST + REQUEST + b"GET / HT")
        received = b""
        while data := client.recv(1000):
            received += data
        assert received.count(b"hello") == 2


def test_an_answer_may_take_longer_than_a_request():
    gate = Gate()
    with serve(gate, port=0, request_timeout=SHORT) as address:
        slow = Answer(address.url)
        assert gate.entered.acquire(timeout=PATIENCE)
        # By the time that the second of two idle connections is closed, the limit has passed twice.
        for _ in range(2):
            with connect(address) as idle:
                assert idle.recv(100) == b""
        gate.open.set()
        assert slow.wait() == 200


def test_the_limit_is_ten_seconds_unless_configured():
    assert server.REQUEST_SECONDS == 10.0
    with (
        pytest.raises(ValueError, match="invalid request_timeout 0"),
        serve(hello, port=0, request_timeout=0),
    ):
        pass
    with serve(hello, port=0, request_timeout="1m30s"):
        pass


def test_a_client_that_does_not_read_its_answer_is_disconnected():
    async def flood(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000_000})

    with serve(flood, port=0, request_timeout=SHORT) as address, connect(address) as client:
        client.sendall(REQUEST)
        assert client.recv(10)
        until(lambda: not open_connections(address.port), "the server closes the connection")


def test_a_streamed_answer_that_is_not_read_ends_too():
    ended = threading.Event()

    async def stream(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while (await peek(receive))["type"] != "http.disconnect":
                body = b"x" * 100_000
                await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            ended.set()

    async def peek(receive):
        try:
            return await asyncio.wait_for(receive(), 0.001)
        except TimeoutError:
            return {"type": ""}

    with serve(stream, port=0, request_timeout=SHORT) as address, connect(address) as client:
        client.sendall(REQUEST)
        assert client.recv(10)
        assert ended.wait(PATIENCE)


def test_idle_connections_take_nothing_from_requests():
    with serve(hello, port=0, limit_concurrency=2) as address, clients(address, 100):
        for _ in range(3):
            assert status_of(address.url) == 200


def test_idle_connections_after_an_answer_take_nothing_either():
    with serve(hello, port=0, limit_concurrency=1) as address, ExitStack() as stack:
        for _ in range(10):
            client = HTTPConnection(address.host, address.port, timeout=PATIENCE)
            stack.callback(client.close)
            client.request("GET", "/")
            assert client.getresponse().read() == b"hello"


def test_one_connection_too_many_closes_the_longest_idle_one(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 4)
    with serve(hello, port=0, limit_concurrency=2) as address, ExitStack() as stack:
        first, second, *others = stack.enter_context(clients(address, 4))
        # An answer begins another wait: the second is the longest idle one in the end. Each has
        # one, because a connection that is not accepted yet has no wait at all.
        for client in (first, second, *others, first):
            client.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"\r\n0\r\n\r\n"):
                more = client.recv(1000)
                assert more
                answer += more
            assert b"200 OK" in answer
        stack.enter_context(connect(address))
        assert second.recv(100) == b""
        for client in others:
            client.sendall(REQUEST)
            assert b"200 OK" in client.recv(1000)


def test_a_connection_with_a_request_under_way_is_not_the_one_that_is_closed(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 2)
    gate = Gate()
    with serve(gate, port=0, limit_concurrency=1) as address:
        slow = Answer(address.url)
        assert gate.entered.acquire(timeout=PATIENCE)
        with connect(address) as idle, connect(address):
            assert idle.recv(100) == b""
            gate.open.set()
            assert slow.wait() == 200


def test_a_burst_of_connections_leaves_no_more_than_the_limit(monkeypatch):
    monkeypatch.setattr(server, "CONNECTIONS", 10)
    with (
        serve(hello, port=0, limit_concurrency=5) as address,
        clients(address, 100),
    ):
        assert status_of(address.url) == 200
        until(lambda: open_connections(address.port) <= 10, "the others are closed")


def test_a_request_above_the_limit_is_refused(caplog):
    gate = Gate()
    with serve(gate, port=0, limit_concurrency=2) as address:
        slow = [Answer(address.url) for _ in range(2)]
        for _ in slow:
            assert gate.entered.acquire(timeout=PATIENCE)
        with pytest.raises(HTTPError) as raised:
            urlopen(address.url, timeout=PATIENCE)
        with raised.value as refused:
            assert refused.code == 503
            assert refused.read() == b"Service Unavailable: too many requests are under way\n"
        gate.open.set()
        assert [each.wait() for each in slow] == [200, 200]
        assert status_of(address.url) == 200


def test_a_series_of_refusals_is_logged_twice(caplog):
    caplog.set_level(logging.INFO, "metrics")
    gate = Gate()
    with serve(gate, port=0, limit_concurrency=1) as address:
        for _ in range(2):
            slow = Answer(address.url)
            assert gate.entered.acquire(timeout=PATIENCE)
            assert [status_of(address.url) for _ in range(3)] == [503] * 3
            gate.open.set()
            assert slow.wait() == 200
            # The slot is free again a moment after the answer.
            until(lambda: status_of(address.url) == 200, "requests are served again")
            while gate.entered.acquire(blocking=False):
                pass
            gate.open.clear()
    lines = [r.getMessage() for r in caplog.records if r.name.startswith("metrics")]
    assert len(lines) == 4
    for first, last in (lines[:2], lines[2:]):
        assert first.startswith("a request was refused with 503, because 1 are under way")
        assert last.startswith("requests are served again after ")


@pytest.mark.parametrize(("limit", "error"), [(0, ValueError), ("64", TypeError)])
def test_a_wrong_limit_is_a_clear_error(limit, error):
    with (
        pytest.raises(error, match="limit_concurrency takes"),
        serve(hello, port=0, limit_concurrency=limit),
    ):
        pass


class Loop:
    """Event loop whose time passes only when a test says so; one timer at a time."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []

    def call_later(self, seconds, callback):
        self.timers.append(Timer(callback))
        return self.timers[-1]

    def pass_time(self) -> None:
        """Let the limit of the present timers pass once."""
        due, self.timers = self.timers, []
        for timer in due:
            if not timer.cancelled:
                timer.callback()


class Timer:
    def __init__(self, callback) -> None:
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Transport:
    """Transport of which a test says how much the client has not read."""

    def __init__(self) -> None:
        self.unread = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True

    def get_extra_info(self, name):
        return None

    def is_closing(self) -> bool:
        return self.aborted


@pytest.fixture
def bench():
    loop, transport = Loop(), Transport()
    config = uvicorn.Config(hello, ws="none", lifespan="off", log_config=None)
    config.load()
    connection = Connection(
        Connections(10, 1.0),
        config=config,
        server_state=uvicorn.server.ServerState(),
        app_state={},
        _loop=loop,
    )
    connection.connection_made(transport)
    return loop, transport, connection


def test_a_client_that_reads_slowly_keeps_its_connection_until_it_stops(bench):
    loop, transport, _ = bench
    for unread in (900, 800, 700):
        transport.unread = unread
        loop.pass_time()
        assert not transport.aborted
    loop.pass_time()
    assert transport.aborted


def test_an_application_that_sends_as_fast_as_its_client_reads_keeps_the_connection(bench):
    loop, transport, connection = bench
    connection._answering = True
    transport.unread = 900
    for _ in range(3):
        loop.pass_time()
    assert not transport.aborted
    connection.pause_writing()
    for _ in range(3):
        loop.pass_time()
        # Most of it was read, and the application has sent as much again.
        connection.resume_writing()
        connection.pause_writing()
    assert not transport.aborted
    loop.pass_time()
    loop.pass_time()
    assert transport.aborted


def test_a_lost_connection_has_no_timer(bench):
    loop, transport, connection = bench
    connection.connection_lost(OSError())
    connection._update()
    loop.pass_time()
    assert not transport.aborted
    assert not loop.timers
