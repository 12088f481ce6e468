"""An outage of an hour passes in a test: reporters go by the clock of their registry."""

import pytest

from metrics import Registry
from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import graphite, influxdb, opentsdb, pushgateway, statsd
from metrics.testing import ManualClock, ManualTicker, overridden
from tests.processes import LOOPBACK, until
from tests.reporters.servers import Server, Web, response

HOUR = 3600


def test_a_reporter_delivers_after_an_hour_without_its_server(caplog):
    answers = [response(503)]
    web = Web(lambda _: answers[-1])
    clock = ManualClock()
    caplog.set_level("INFO", "metrics.reporters")
    with Server(web) as server:

        class Application(MetricsContainer):
            registry = MetricsContainer.registry
            report = Resource(
                influxdb.v2, registry, server.url, token="t", org="o", bucket="b", interval="1m"
            )

        container = Application()
        with overridden(container, clock=clock, ticker=ManualTicker()):
            container.init_resources()
            own = {name: container.registry().get(f"reporter/influxdb/{name}") for name in NAMES}

            def pass_a_minute(outcome):
                before = own[outcome].count
                clock.advance(60)
                until(lambda: own[outcome].count > before, outcome)

            for _ in range(HOUR // 60):
                pass_a_minute("failed")
            assert own["sent"].count == own["dropped"].count == 0
            answers.append(response(204))
            pass_a_minute("sent")
            container.shutdown_resources()
    (outage, recovery) = [r.getMessage() for r in caplog.records if "influxdb" in r.getMessage()]
    assert "cannot deliver" in outage
    assert f"reaches its server again, after {HOUR} s" in recovery


NAMES = ("sent", "failed", "dropped")


@pytest.mark.parametrize(
    "report",
    [
        lambda registry, **options: graphite.tcp(registry, LOOPBACK, 9, **options),
        lambda registry, **options: opentsdb.tcp(registry, LOOPBACK, 9, **options),
        lambda registry, **options: statsd.tcp(registry, LOOPBACK, 9, **options),
        lambda registry, **options: statsd.udp(registry, LOOPBACK, 9, **options),
        lambda registry, **options: pushgateway.http(
            registry, "http://localhost:9", job="j", delete_at_end=True, **options
        ),
    ],
)
def test_every_reporter_goes_by_the_clock_of_its_registry_unless_it_is_given_one(report):
    clock = ManualClock()
    with report(Registry(clock=clock)) as reporter:
        assert reporter._clock is reporter._sender._clock is clock
        assert getattr(reporter._sender._transport, "_clock", clock) is clock
    with report(Registry(clock=clock), clock=SYSTEM_CLOCK) as reporter:
        assert reporter._clock is reporter._sender._clock is SYSTEM_CLOCK
