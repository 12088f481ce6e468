"""A forked process does not serve: it has no socket of its parent's server."""

import contextlib
import os
import socket
from http.client import HTTPConnection
from urllib.request import urlopen

import psutil

from metrics.integrations.uvicorn import serve
from tests.forks import DEADLINE, forking, in_child

pytestmark = forking


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Child:
    """A forked process that does nothing until it is ended."""

    def __enter__(self):
        (self._ready, ready), (end, self._end) = os.pipe(), os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._end)
            os.write(ready, b"x")
            os.read(end, 1)
            os._exit(0)
        for descriptor in (ready, end):
            os.close(descriptor)
        assert os.read(self._ready, 1) == b"x"
        return self

    def __exit__(self, *_):
        for descriptor in (self._end, self._ready):
            os.close(descriptor)
        os.waitpid(self._pid, 0)


def sockets(port):
    """Return how many sockets of this process have a port as their own."""
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(each.laddr) and each.laddr.port == port for each in connections)


def test_the_child_has_neither_the_port_nor_the_connections_of_its_parent():
    with serve(hello, port=0) as address:
        client = HTTPConnection(address.host, address.port, timeout=DEADLINE)
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        assert sockets(address.port) == 2
        # The end of the client has another port.
        assert in_child(sockets, address.port) == 0
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        client.close()


def test_the_parent_serves_on_while_a_child_lives():
    with (
        serve(hello, port=0) as address,
        Child(),
        urlopen(address.url, timeout=DEADLINE) as answer,
    ):
        assert answer.read() == b"hello"


def test_the_port_is_free_when_the_parent_has_stopped_while_a_child_lives():
    with contextlib.ExitStack() as stack:
        with serve(hello, port=0) as address:
            stack.enter_context(Child())
        with socket.create_server((address.host, address.port)):
            pass


def test_a_client_sees_the_end_of_its_connection_while_a_child_lives():
    with contextlib.ExitStack() as stack:
        with serve(hello, port=0) as address:
            client = stack.enter_context(socket.create_connection(address, DEADLINE))
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            # The body comes in chunks, the last of which is empty.
            while not answer.endswith(b"0\r\n\r\n"):
                data = client.recv(1000)
                assert data
                answer += data
            stack.enter_context(Child())
        assert client.recv(1000) == b""


def test_the_child_leaves_the_block_and_may_serve_itself():
    block = serve(hello, port=0)
    address = block.__enter__()

    def use():
        block.__exit__(None, None, None)
        with serve(hello, port=0) as own, urlopen(own.url, timeout=DEADLINE) as answer:
            return own.port != address.port, answer.read()

    assert in_child(use) == (True, b"hello")
    with urlopen(address.url, timeout=DEADLINE) as answer:
        assert answer.read() == b"hello"
    block.__exit__(None, None, None)


def test_a_fork_after_the_end_is_nothing_special():
    with serve(hello, port=0):
        pass
    assert in_child(int) == 0
