"""A pair of real Prometheus servers on one page: each of them has all values."""

from pathlib import Path

import pytest

from metrics import Registry
from metrics.integrations import asgi
from metrics.integrations.uvicorn import serve
from tests.processes import until
from tests.reporters.prometheus import Prometheus

pytestmark = pytest.mark.slow(reason="starts two Prometheus servers")


def values_of(server: Prometheus, query: str, label: str) -> dict[str, float]:
    """Return the values of the series that answer a query, by one of their labels."""
    return {
        one["metric"].get(label, ""): float(one["value"][1])  # type: ignore[attr-defined, index]
        for one in server.query(query)
    }


def test_both_servers_have_the_quantiles_of_all_values(tmp_path: Path):
    registry = Registry()
    pause = registry.resetting_timer("pause")
    registry.counter("http.requests").inc(3)
    with serve(asgi.metrics(registry, window=60), port=0) as address:
        pair: list[Prometheus] = []
        for name in ("first", "second"):
            (tmp_path / name).mkdir()
            pair.append(Prometheus(tmp_path / name, f"{address.host}:{address.port}"))
        first, second = pair

        def has(server: Prometheus, count: int) -> bool:
            return values_of(server, "pause_seconds_count", "") == {"": count}

        with first.server:
            for value in (1.0, 2.0, 3.0, 4.0, 5.0):
                pause.update(value)
            until(lambda: has(first, 5), "the first server has the first values")
            # It has read them, and the second server has to see them nevertheless.
            with second.server:
                until(lambda: has(second, 5), "the second server has the first values")
                for value in (6.0, 7.0, 8.0, 9.0):
                    pause.update(value)
                for server in pair:
                    until(lambda server=server: has(server, 9), "a server has all values")
                quantiles = [values_of(server, "pause_seconds", "quantile") for server in pair]
                sums = [values_of(server, "pause_seconds_sum", "") for server in pair]
                legacy = [values_of(server, "http_requests_total", "") for server in pair]
        assert quantiles[0] == quantiles[1]
        assert (quantiles[0]["0.5"], quantiles[0]["0.9999"]) == (5.0, 9.0)
        assert sums == [{"": 45.0}, {"": 45.0}]
        assert legacy == [{"": 3.0}, {"": 3.0}]
