"""A real Prometheus scrapes the agent and answers what the agent has measured."""

import json
from functools import partial
from urllib.parse import urlencode, urlsplit

import pytest

from tests.processes import LOOPBACK, Server, answers, fetch, free_port, until

pytestmark = pytest.mark.slow(reason="starts the agent and a Prometheus server")

CONFIG = """
global:
  scrape_interval: 500ms
  scrape_timeout: 500ms
scrape_configs:
  - job_name: agent
    static_configs:
      - targets: ["{target}"]
"""


@pytest.fixture
def prometheus(tmp_path):
    servers = []

    def start(target: str) -> str:
        config = tmp_path / "prometheus.yml"
        config.write_text(CONFIG.format(target=target))
        url = f"http://{LOOPBACK}:{free_port()}"
        server = Server(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'data'}",
                f"--web.listen-address={urlsplit(url).netloc}",
            ],
            partial(answers, f"{url}/-/ready"),
            tmp_path / "log",
        )
        server.start()
        servers.append(server)
        return url

    yield start
    for server in servers:
        server.stop()


def query(url: str, expression: str) -> dict[str, float]:
    """Return what Prometheus answers, by the name of the metric."""
    answer = json.loads(fetch(f"{url}/api/v1/query?{urlencode({'query': expression})}"))
    assert answer["status"] == "success"
    return {
        found["metric"].get("__name__", ""): float(found["value"][1])
        for found in answer["data"]["result"]
    }


def test_prometheus_scrapes_the_agent_and_answers_what_it_measured(agent, prometheus):
    target = urlsplit(agent("--port", "0", "--tick-interval", "50ms").url()).netloc
    url = prometheus(target)
    assert until(partial(query, url, "up == 1"), "the agent is scraped") == {"up": 1.0}
    held = until(partial(query, url, "system_memory_held_bytes > 1e6"), "memory is stored")
    assert list(held) == ["system_memory_held_bytes"]
    assert held["system_memory_held_bytes"] < 1e10
    grown = until(
        partial(query, url, "increase(system_cpu_procload_seconds_total[5s]) > 0"), "CPU grows"
    )
    assert len(grown) == 1

    def last_scrape_was_good() -> bool:
        targets = json.loads(fetch(f"{url}/api/v1/targets"))["data"]["activeTargets"]
        # One may have taken too long.
        assert [one["lastError"] for one in targets] == [""]
        return True

    until(last_scrape_was_good, "a scrape without an error")
    name = "system_cpu_procload_seconds"
    about = json.loads(fetch(f"{url}/api/v1/metadata"))["data"]
    # OpenMetrics, which this version asks for, has no suffix in the name of the family.
    assert [known["type"] for known in about[name]] == ["counter"]
