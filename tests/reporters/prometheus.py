"""Prometheus and its Pushgateway, as a test sees them."""

import json
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from prometheus_client.parser import text_string_to_metric_families

from tests.processes import LOOPBACK, Server, answers, fetch, free_port

SCRAPES = """
scrape_configs:
  - job_name: page
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{{targets: ["{target}"]}}]
"""

Key = tuple[str, frozenset[tuple[str, str]]]
"""The name of a sample and its labels."""


class Prometheus:
    """A Prometheus that takes remote write, and scrapes one target or none.

    Args:
        directory: where it keeps everything.
        target: host and port of a page `/metrics` that it scrapes every second.
    """

    def __init__(self, directory: Path, target: str = "") -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        config = directory / "prometheus.yml"
        config.write_text(SCRAPES.format(target=target) if target else "{}\n")
        self.server = Server(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address={LOOPBACK}:{port}",
                "--web.enable-remote-write-receiver",
            ],
            partial(answers, f"{self.url}/-/ready"),
            directory / "prometheus.log",
        )

    def query(self, query: str) -> list[dict[str, object]]:
        """Return the series that answer a query."""
        answer = json.loads(fetch(f"{self.url}/api/v1/query?{urlencode({'query': query})}"))
        found: list[dict[str, object]] = answer["data"]["result"]
        return found

    def newest(self, job: str) -> dict[Key, float]:
        """Return the newest sample of each series of a job."""
        return {
            key(one["metric"]): float(one["value"][1])  # type: ignore[index]
            for one in self.query(f"{{job={json.dumps(job)}}}")
        }

    def every(self, selector: str) -> list[tuple[float, float]]:
        """Return time and value of each sample of one series."""
        (series,) = self.query(f"{selector}[1h]")
        return [(seconds, float(value)) for seconds, value in series["values"]]  # type: ignore[attr-defined]


class Pushgateway:
    """A Pushgateway that keeps nothing on disk.

    Args:
        directory: where its log goes.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.server = Server(
            ["prometheus-pushgateway", f"--web.listen-address={LOOPBACK}:{port}"],
            partial(answers, f"{self.url}/-/ready"),
            directory / "pushgateway.log",
        )

    def samples(self, job: str) -> dict[Key, float]:
        """Return what is there of a job."""
        text = fetch(f"{self.url}/metrics").decode()
        return {
            key({"__name__": sample.name, **sample.labels}): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("job") == job
        }


def key(labels: object) -> Key:
    """Return the name and the labels of a sample, without the job and an empty instance."""
    assert isinstance(labels, dict)
    left = {name: value for name, value in labels.items() if name != "job" and value}
    return left.pop("__name__"), frozenset(left.items())
