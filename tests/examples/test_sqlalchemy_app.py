"""The example of a measured engine serves its queries and its pool."""

import sys
from functools import partial

import pytest

from tests.examples.programs import EXAMPLES, environment, present
from tests.processes import LOOPBACK, Server, accepts, fetch, free_port

pytestmark = [present, pytest.mark.slow(reason="starts the program of the example")]


def test_the_example_counts_its_queries(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(EXAMPLES), "sqlalchemy_app:app"]
    options = ["--host", LOOPBACK, "--port", str(port)]
    with Server([*command, *options], partial(accepts, port), log):
        url = f"http://{LOOPBACK}:{port}"
        assert [fetch(f"{url}/items/{number}") for number in range(3)] == [b'"0"', b'"1"', b'"2"']
        lines = fetch(f"{url}/metrics").decode().splitlines()
    labels = 'db_system_name="sqlite",db_operation_name="SELECT",error_type=""'
    assert f"db_client_operation_duration_seconds_count{{{labels}}} 3" in lines
    assert 'db_client_connection_count{db_client_connection_state="idle"} 1' in lines
    assert "Application shutdown complete" in log.read_text()
    assert "Traceback" not in log.read_text()
