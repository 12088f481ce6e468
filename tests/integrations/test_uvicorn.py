"""The server is up when the block begins; afterwards nothing of it is left."""

import errno
import logging
import socket
import sys
import threading
from http.client import HTTPConnection
from urllib.request import urlopen

import pytest
import uvicorn

from metrics.integrations.uvicorn import serve
from tests.descriptors import descriptors

PATIENCE = 10.0


async def hello(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def servers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "metrics-http"]


def test_it_accepts_as_soon_as_the_block_begins_and_only_then():
    with serve(hello, port=0) as address:
        assert address.host == "127.0.0.1"
        with urlopen(address.url, timeout=PATIENCE) as response:
            assert response.read() == b"hello"
            assert response.headers["Server"] is None
        assert len(servers()) == 1
    assert servers() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port), PATIENCE)


def test_the_port_is_free_again_at_once():
    with serve(hello, port=0) as address:
        pass
    for _ in range(5):
        with serve(hello, port=address.port) as again:
            assert again == address


def test_cycles_leave_no_descriptor():
    def cycle() -> None:
        with serve(hello, port=0) as address, urlopen(address.url, timeout=PATIENCE) as response:
            response.read()

    cycle()
    before = descriptors()
    for _ in range(10):
        cycle()
    assert descriptors() == before


def test_a_taken_port_is_a_clear_error():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: address already"):
            serve(hello, port=port).__enter__()
    assert servers() == []


def test_the_error_keeps_its_number():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError) as raised:
        serve(hello, port=taken.getsockname()[1]).__enter__()
    assert raised.value.errno == errno.EADDRINUSE


def test_an_unknown_host_is_a_clear_error():
    with pytest.raises(OSError, match=r"cannot listen on no\.such\.host\.invalid:1: "):
        serve(hello, "no.such.host.invalid", 1).__enter__()


@pytest.mark.parametrize(("port", "error"), [("80", TypeError), (True, TypeError), (-1, ValueError),
                                             (65536, ValueError)])  # fmt: skip
def test_a_wrong_port_is_a_clear_error(port, error):
    with pytest.raises(error, match="invalid port"):
        serve(hello, port=port).__enter__()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6_works_and_its_url_has_brackets():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with serve(hello, "::1", 0) as address, urlopen(address.url, timeout=PATIENCE) as response:
        assert address.url.startswith("http://[::1]:")
        assert response.read() == b"hello"


def test_an_idle_and_a_half_sent_request_do_not_hold_up_the_stop():
    idle = half = None
    try:
        with serve(hello, port=0) as address:
            idle = HTTPConnection(address.host, address.port, timeout=PATIENCE)
            idle.request("GET", "/")
            idle.getresponse().read()
            half = socket.create_connection((address.host, address.port), PATIENCE)
            half.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert servers() == []
    finally:
        for connection in (idle, half):
            if connection is not None:
                connection.close()


def test_an_exception_in_the_block_stops_the_server_too():
    with pytest.raises(KeyError), serve(hello, port=0):
        raise KeyError
    assert servers() == []


def test_the_program_s_logging_is_left_alone_and_requests_are_not_logged(caplog):
    names = ("uvicorn", "uvicorn.access", "uvicorn.error", "uvicorn.asgi")

    def state() -> list[tuple[int, list[logging.Handler], bool]]:
        loggers = [logging.getLogger(name) for name in names]
        return [(each.level, each.handlers[:], each.propagate) for each in loggers]

    before = state()
    caplog.set_level(logging.INFO)
    with serve(hello, port=0) as address, urlopen(address.url, timeout=PATIENCE) as response:
        response.read()
    assert state() == before
    assert not [record for record in caplog.records if record.name == "uvicorn.access"]


def test_a_client_that_does_not_read_does_not_hold_up_the_stop():
    sent = threading.Event()

    async def flood(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * 50_000_000})
        sent.set()

    client = None
    try:
        with serve(flood, port=0) as address:
            client = socket.create_connection((address.host, address.port), PATIENCE)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert sent.wait(PATIENCE)
        assert servers() == []
    finally:
        if client is not None:
            client.close()


@pytest.mark.parametrize("moment", ["startup", "shutdown"])
def test_a_server_that_fails_says_so_and_leaves_nothing(moment, monkeypatch):
    async def fail(self, sockets=None) -> None:
        raise LookupError(moment)

    monkeypatch.setattr(uvicorn.Server, moment, fail)
    before = descriptors()
    with pytest.raises(LookupError, match=moment), serve(hello, port=0):
        assert moment == "shutdown"
    assert servers() == []
    assert descriptors() <= before


def test_without_uvicorn_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"pip install 'wired-metrics\[serve\]'"):
        serve(hello, port=0).__enter__()
