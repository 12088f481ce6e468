"""Several processes serve on one port when all of them say so."""

import errno
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from urllib.request import urlopen

import pytest

from metrics.integrations.uvicorn import serve
from tests.processes import free_port, until

PATIENCE = 20.0

PROGRAM = """
import os, sys
from metrics.integrations.uvicorn import serve

async def pid(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % os.getpid()})

with serve(pid, port=int(sys.argv[1]), reuse_port=True) as address:
    print(address.port, flush=True)
    sys.stdin.read()
"""

needs_reuse_port = pytest.mark.skipif(
    not hasattr(socket, "SO_REUSEPORT"), reason="this platform has no SO_REUSEPORT"
)


async def hello(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


class Process:
    """A process that serves its own number until its input ends."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self.pid = self._process.pid

    def wait_until_ready(self, port: int) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"%d\n" % port

    def stop(self) -> None:
        self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate(timeout=PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        if self._process.poll() is None:
            self.kill()


def answering(port: int) -> int:
    with urlopen(f"http://127.0.0.1:{port}", timeout=PATIENCE) as response:
        return int(response.read())


@needs_reuse_port
def test_four_processes_serve_on_one_port_and_those_that_end_leave_it_to_the_others():
    port = free_port()
    with ExitStack() as stack:
        processes = [stack.enter_context(Process(port)) for _ in range(4)]
        for process in processes:
            process.wait_until_ready(port)
        left = {process.pid for process in processes}
        seen: set[int] = set()
        # The kernel chooses by the client's port, which is another one each time.
        until(lambda: seen.add(answering(port)) or seen == left, "all four answer")
        for end, process in zip((Process.stop, Process.kill), processes, strict=False):
            end(process)
            left.remove(process.pid)
            assert {answering(port) for _ in range(20)} <= left
        for process in processes[2:]:
            process.stop()
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


@needs_reuse_port
@pytest.mark.parametrize(("first", "second"), [(True, False), (False, True), (False, False)])
def test_a_port_is_shared_only_if_both_say_so(first: bool, second: bool):
    with serve(hello, port=0, reuse_port=first) as address:
        with pytest.raises(OSError, match="address already in use") as raised:
            serve(hello, port=address.port, reuse_port=second).__enter__()
        assert raised.value.errno == errno.EADDRINUSE


@needs_reuse_port
def test_two_servers_of_one_process_share_a_port_and_free_it():
    with (
        serve(hello, port=0, reuse_port=True) as address,
        serve(hello, port=address.port, reuse_port=True) as again,
    ):
        assert again == address
    with serve(hello, port=address.port):
        pass


def test_a_platform_without_it_is_a_clear_error(monkeypatch):
    monkeypatch.delattr(socket, "SO_REUSEPORT", raising=False)
    with pytest.raises(ValueError, match=r"reuse_port .* no SO_REUSEPORT; use a port for each"):
        serve(hello, port=0, reuse_port=True).__enter__()
    with serve(hello, port=0):
        pass
