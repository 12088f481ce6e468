"""The example of the bridge to OpenTelemetry serves what the API was called with."""

import sys
from functools import partial

import pytest

from tests.examples.programs import EXAMPLES, environment
from tests.processes import LOOPBACK, Server, accepts, fetch, free_port, until

pytestmark = pytest.mark.slow(reason="starts the program of the example")


def test_the_page_has_the_instruments_of_the_library(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    port, log = free_port(), tmp_path / "log"
    command = [sys.executable, str(EXAMPLES / "opentelemetry_bridge.py"), str(port)]

    def page() -> list[str]:
        lines = fetch(f"http://{LOOPBACK}:{port}/metrics").decode().splitlines()
        assert 'shop_orders_total{payment_method="cash"} 1.0' in lines
        return lines

    with Server(command, partial(accepts, port), log):
        lines = until(page, "the orders are counted")
        assert 'shop_orders_total{payment_method="card"} 2.0' in lines
        assert 'shop_payment_duration_seconds_sum{payment_method="card"} 1.75' in lines
        assert "shop_stock 7.0" in lines
    assert log.read_text() == ""
