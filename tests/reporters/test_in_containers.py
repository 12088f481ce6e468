"""Reporters as a container declares them: configured, stopped with the last values, and patient."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metrics import resources
from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle import MetricsContainer, Resource, running
from metrics.reporters import graphite, influxdb, opentsdb
from tests.processes import until
from tests.reporters.real import Influx, Victoria

NEVER = 3600.0
"""An interval that does not end within a test: only the last report is made."""


class Recorder:
    """The system's clock, which remembers the times it was read at: one for each report."""

    def __init__(self) -> None:
        self.times: list[int] = []

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    def monotonic_ns(self) -> int:
        return SYSTEM_CLOCK.monotonic_ns()

    def time(self) -> float:
        return SYSTEM_CLOCK.time()

    def time_ns(self) -> int:
        self.times.append(SYSTEM_CLOCK.time_ns())
        return self.times[-1]


class ToInflux(MetricsContainer):
    """The reporter is declared before what it reports, and so stopped after it."""

    config = MetricsContainer.config
    registry = MetricsContainer.registry
    reporter = Resource(
        influxdb.v1,
        registry,
        url=config.influx.url,
        database=config.influx.database,
        username=config.influx.username,
        password=config.influx.password,
        interval=config.influx.interval,
        labels=config.influx.labels,
        clock=config.influx.clock,
    )
    hits = Resource(resources.counter, registry, "hits")
    pause = Resource(resources.resetting_timer, registry, "pause")


class ToVictoria(MetricsContainer):
    """All ways there are into one server; each reporter after what it reports."""

    config = MetricsContainer.config
    registry = MetricsContainer.registry
    hits = Resource(resources.counter, registry, "hits")
    influx = Resource(
        influxdb.v2,
        registry,
        url=config.url,
        token=config.token,
        org="o",
        bucket="b",
        labels=config.tags.influx,
        interval=NEVER,
    )
    graphite = Resource(
        graphite.tcp,
        registry,
        port=config.graphite_port,
        labels=config.tags.graphite,
        interval=NEVER,
    )
    telnet = Resource(
        opentsdb.tcp,
        registry,
        port=config.opentsdb_port,
        labels=config.tags.telnet,
        interval=NEVER,
        name="opentsdb-telnet",
    )
    opentsdb = Resource(
        opentsdb.http,
        registry,
        url=config.opentsdb_url,
        labels=config.tags.opentsdb,
        interval=NEVER,
    )


@pytest.fixture
def own_influx(tmp_path: Path) -> Iterator[Influx]:
    """A server of the test's own, which it may kill."""
    influx = Influx(tmp_path)
    with influx.server:
        yield influx


def to_influx(influx: Influx, **options: Any) -> ToInflux:
    container = ToInflux()
    container.config.from_dict({"influx": {"url": influx.url, **options}})
    return container


def test_the_last_report_has_the_last_updates_of_what_was_stopped_before(influx: Influx):
    database = influx.database()
    container = to_influx(influx, database=database, interval=NEVER, labels={"zone": "eu"})
    with running(container):
        hits, pause = container.hits(), container.pause()
        hits.inc(41)
        hits.inc()
        pause.update(0.25)
    (row,) = [row for row in influx.rows(database) if row.name == "hits.count"]
    assert (row.fields, row.tags) == ({"value": 42}, {"zone": "eu"})
    (row,) = [row for row in influx.rows(database) if row.name == "pause.timer"]
    assert (row.fields["count"], row.fields["max"]) == (1, 250_000_000)


def test_every_reporter_of_one_registry_makes_its_last_report(victoria: Victoria):
    container = ToVictoria()
    ways = ("influx", "graphite", "telnet", "opentsdb")
    container.config.from_dict(
        {
            "url": victoria.url,
            "token": "t",
            "graphite_port": victoria.graphite_port,
            "opentsdb_port": victoria.opentsdb_port,
            "opentsdb_url": victoria.opentsdb_url,
            "tags": {way: {"test": f"last-{way}"} for way in ways},
        }
    )
    with running(container):
        container.hits().inc(42)
    for way in ways:
        name = "hits.count_value" if way == "influx" else "hits.count"
        (point,) = victoria.has(1, test=f"last-{way}", __name__=name)
        assert point.value == 42, way


def test_a_resetting_timer_is_reported_whole_over_many_reports(influx: Influx):
    database = influx.database()
    container = to_influx(influx, database=database, interval=0.02)
    with running(container):
        pause = container.pause()
        sent = container.registry().counter("reporter/influxdb/sent")
        for number in range(5):
            pause.update(number)
            reports = sent.count
            until(lambda reports=reports: sent.count >= reports + 2, "another report")
        pause.update(5)
    rows = [row.fields for row in influx.rows(database) if row.name == "pause.timer"]
    assert [(row["count"], row["max"]) for row in rows] == [
        (1, number * 1_000_000_000) for number in range(6)
    ]


def test_a_server_that_is_killed_and_comes_back_has_every_report(own_influx: Influx):
    database = own_influx.database()
    clock = Recorder()
    container = to_influx(own_influx, database=database, interval=0.02, clock=clock)
    with running(container):
        hits = container.hits()
        registry = container.registry()
        sent = registry.counter("reporter/influxdb/sent")
        failed = registry.counter("reporter/influxdb/failed")
        dropped = registry.counter("reporter/influxdb/dropped")

        def reported(more: int) -> None:
            wanted = len(clock.times) + more
            until(lambda: len(clock.times) >= wanted and hits.inc() is None, "reports")

        reported(3)
        own_influx.server.kill()
        until(lambda: failed.count, "a failure")
        reported(10)
        own_influx.server.start()
        before = sent.count
        # The longer it was away, the longer it is before it is tried again.
        until(lambda: sent.count > before + 10, "what was kept", 60.0)
        reported(3)
    rows = [row for row in own_influx.rows(database) if row.name == "hits.count"]
    assert [row.time_ns for row in rows] == clock.times
    assert rows[-1].fields == {"value": hits.count}
    values = [row.fields["value"] for row in rows]
    assert values == sorted(values)  # type: ignore[type-var]
    assert not dropped.count
