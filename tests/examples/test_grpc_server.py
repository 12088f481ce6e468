"""The example of a measured gRPC server serves calls and their page."""

import sys
from functools import partial

import grpc
import pytest

from tests.examples.programs import EXAMPLES, environment, present
from tests.processes import DEADLINE, LOOPBACK, Server, accepts, fetch, free_port

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def test_the_example_counts_its_calls(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    port, page, log = free_port(), free_port(), tmp_path / "log"
    command = [sys.executable, str(EXAMPLES / "grpc_server.py"), str(port), str(page)]
    with Server(command, partial(accepts, page), log) as server:
        options = [("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"{LOOPBACK}:{port}", options) as channel:
            greet = channel.unary_unary("/Greeter/Greet")
            assert [greet(b"you", timeout=DEADLINE) for _ in range(3)] == [b"Hello, you"] * 3
        lines = fetch(f"http://{LOOPBACK}:{page}/metrics").decode().splitlines()
        process = server._process
    # SIGTERM has ended it, and not SIGKILL after the deadline.
    assert process.returncode == 143
    method = 'rpc_system="grpc",rpc_service="Greeter",rpc_method="Greet"'
    status = 'rpc_grpc_status_code="0"'
    assert f"rpc_server_duration_seconds_count{{{method},{status}}} 3" in lines
    assert f"rpc_server_active_requests{{{method}}} 0" in lines
    assert log.read_text() == ""
