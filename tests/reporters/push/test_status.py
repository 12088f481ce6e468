"""Status of a reporter: its counts, backlog, outage, and destination without secrets."""

import threading
from pathlib import Path

import pytest

from metrics import Registry
from metrics.reporters import file as files
from metrics.reporters import graphite, influxdb, log, pushgateway, statsd
from metrics.reporters._push.reporter import Reporter, ReporterStatus
from metrics.reporters._transports.transport import Unavailable
from metrics.testing import ManualClock
from tests.reporters.standins import Recorded, new_sender, new_statistics
from tests.reporters.waiting import DEADLINE

NEVER = 3600.0
SECRET = "pa55"


class Target(Recorded):
    target = "db:1"


def test_an_outage_has_its_reason_its_age_and_its_backlog():
    def fault(_: bytes) -> None:
        if away:
            raise Unavailable("no route")

    away = False
    clock = ManualClock()
    sender = new_sender(Target(fault), clock, new_statistics())
    assert sender.target == "db:1"
    assert sender.outage() == (0, None, None, None)
    away = True
    sender.add(b"1")
    clock.advance(3.0)
    sender.add(b"2")
    assert sender.outage() == (2, 3.0, None, None)
    sender.deliver()
    clock.advance(4.0)
    assert sender.outage() == (2, 7.0, "no route", 4.0)
    away = False
    clock.advance(1000.0)
    sender.deliver()
    assert sender.outage() == (0, None, None, None)


def test_the_status_of_a_reporter_has_its_counts():
    statistics = new_statistics()
    statistics.sent.inc(3)
    statistics.failed.inc(2)
    statistics.dropped.inc()
    reporter = Reporter("db", list, Target(), statistics)
    assert reporter.status() == ReporterStatus("db", "db:1", 3, 2, 1, 0, None, None, None)


@pytest.mark.filterwarnings("ignore")
def test_a_registry_that_cannot_be_read_is_an_error():
    failed = threading.Event()

    def collect() -> list[bytes]:
        failed.set()
        raise OSError(SECRET)

    reporter = Reporter("db", collect, Target(), new_statistics(), interval=0.01)
    with reporter:
        assert failed.wait(DEADLINE)
    error = reporter.status().error
    assert error is not None
    assert "cannot read" in error
    assert SECRET not in error


def test_destinations_are_named_without_secrets(tmp_path: Path):
    registry = Registry()
    path = tmp_path / "metrics.csv"
    reporters = {
        influxdb.v2(
            registry, f"http://127.0.0.1:1/x?key={SECRET}", SECRET, "o", "b", interval=NEVER
        ): "http://127.0.0.1:1/x/api/v2/write",
        graphite.tcp(registry, "127.0.0.1", 1, interval=NEVER): "127.0.0.1:1",
        statsd.tcp(registry, "::1", 1, interval=NEVER, name="tcp"): "[::1]:1",
        statsd.udp(registry, "127.0.0.1", 1, interval=NEVER): "127.0.0.1:1",
        log.to_logger(registry, "shop", interval=NEVER): "shop",
        files.append(registry, path, interval=NEVER): str(path),
        files.replace(registry, path.with_suffix(".prom"), interval=NEVER, name="prom"): str(
            path.with_suffix(".prom")
        ),
        pushgateway.http(
            registry, "http://127.0.0.1:1", "job", delete_at_end=True, interval=NEVER
        ): "http://127.0.0.1:1/metrics/job/job",
    }
    for manager, target in reporters.items():
        with manager as reporter:
            assert reporter.status().target == target
            assert SECRET not in str(reporter.status())
