"""In a container, a reporter starts and stops with the rest and reports every update there was."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from dependency_injector import providers

from metrics import DuplicateMetricError, Registry, resources
from metrics.lifecycle import MetricsContainer, Resource, state
from metrics.reporters._push import reporter as reporter_module
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._transports.endpoint import endpoint_of
from tests.reporters.containers import After, Before, started
from tests.reporters.registries import recording, reported
from tests.reporters.servers import Server, full_backlog, silent
from tests.reporters.standins import Recorded
from tests.reporters.waiting import DEADLINE, FOREVER, ended
from tests.reporters.workers import workers

OFTEN = 0.002
TOKEN = "s3cr3t-t0ken"


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("kind", [Before, After])
def test_the_last_report_has_every_update_once(kind, timeout):
    transport = Recorded()
    container = started(kind, transport)
    assert workers() == ["metrics-reporter-db"]
    container.hits().inc(3)
    container.waits().update(0.5)
    container.shutdown_resources(timeout=timeout)
    assert workers() == []
    values = reported(transport)
    assert values["hits"] == [{"count": 3}]
    assert [value["count"] for value in values["waits"]] == [1]
    assert values["load"] == [{"value": 0.5}]
    assert "reporter/db/sent" in values


@pytest.mark.parametrize("kind", [Before, After])
def test_a_container_that_is_started_again_reports_again(kind):
    transport = Recorded()
    container = started(kind, transport)
    for count in (1, 2, 3):
        container.hits().inc(count)
        container.shutdown_resources()
        assert [value["count"] for value in reported(transport)["hits"]][-1] == count
        assert len(transport.payloads) == count
        container.init_resources()
    container.shutdown_resources()


def test_two_reporters_get_everything_each():
    class Two(Before):
        second_transport = providers.Dependency()
        second = Resource(
            recording, Before.registry, second_transport, "other", name="second", interval=OFTEN
        )

    transports = Recorded(), Recorded()
    container = Two(transport=transports[0], second_transport=transports[1])
    container.init_resources()
    waits = container.waits()
    for number in range(1000):
        waits.update(float(number))
    transports[1].wait_for(2)
    waits.update(1000.0)
    container.shutdown_resources()
    for transport in transports:
        assert sum(value["count"] for value in reported(transport)["waits"]) == 1001


def test_reporters_of_a_registry_and_its_child_do_not_take_from_each_other():
    registry = Registry()
    first, second = Recorded(), Recorded()
    child = registry.child("app")
    with recording(registry, first), recording(child, second):
        child.resetting_timer("waits").update(1.0)
        child.unregister("waits")
    for transport in (first, second):
        assert [value["count"] for value in reported(transport)["app/waits"]] == [1]


def test_two_reporters_of_one_name_are_an_error_of_the_start():
    registry = Registry()
    with (
        recording(registry, Recorded()),
        pytest.raises(DuplicateMetricError, match="reporter/db"),
        recording(registry, Recorded()),
    ):
        pytest.fail("the name is taken")
    assert workers() == []


def test_a_disabled_registry_is_not_reported():
    transport = Recorded()
    with recording(Registry(enabled=False), transport) as reporter:
        assert not reporter.running
        assert workers() == []
    assert transport.tries == []


@pytest.mark.parametrize("kind", [Before, After])
def test_a_black_hole_takes_no_more_than_the_budget(kind, caplog, monkeypatch):
    # All but a little of the time is for what a busy machine takes to end.
    monkeypatch.setattr(reporter_module, "WORKING", 0.02)

    class Posting(kind):
        url = providers.Dependency(instance_of=str)
        black_hole = Resource(
            lambda registry, url: posting(
                registry,
                "hole",
                lambda _: iter([b"x"]),
                Request(endpoint_of(url), {}),
                {"timeout": FOREVER, "connect_timeout": FOREVER, "interval": FOREVER},
            ),
            kind.registry,
            url,
        )

    transport = Recorded()
    with Server(silent) as server, full_backlog() as port:
        for url in (server.url, f"http://127.0.0.1:{port}"):
            container = Posting(url=url, transport=transport)
            container.init_resources()
            container.hits().inc()
            ended(partial(container.shutdown_resources, timeout=DEADLINE))
            assert str(state(container)).lower().endswith("stopped")
            assert workers() == []
            # The other reporter still got its turn.
            assert reported(transport)["hits"][-1] == {"count": 1}
    assert caplog.text.count("hole ends and has lost 1 payload that it could not deliver") == 2


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("kind", [Before, After])
def test_a_container_can_be_stopped_from_what_is_reported(kind, timeout):
    transport = Recorded()
    stopped = threading.Event()

    def stop() -> float:
        if container and threading.current_thread().name == "metrics-reporter-often":
            # It has been read for this report already.
            container.pop().hits().inc()
            owner.shutdown_resources(timeout=timeout)
            stopped.set()
        return 1.0

    class Stopping(MetricsContainer):
        registry = MetricsContainer.registry
        ticker = MetricsContainer.ticker
        transport = providers.Dependency()
        early = Resource(recording, registry, transport, "often", interval=OFTEN)
        hits = Resource(resources.counter, registry, "hits")
        stopper = Resource(resources.gauge, registry, "stopper", stop)

    class StoppingLate(MetricsContainer):
        registry = MetricsContainer.registry
        ticker = MetricsContainer.ticker
        transport = providers.Dependency()
        hits = Resource(resources.counter, registry, "hits")
        stopper = Resource(resources.gauge, registry, "stopper", stop)
        late = Resource(recording, registry, transport, "often", interval=OFTEN)

    container = []
    owner = started(Stopping if kind is Before else StoppingLate, transport)
    container.append(owner)
    assert stopped.wait(DEADLINE)
    for thread in threading.enumerate():
        if thread.name.startswith("metrics-"):
            thread.join(DEADLINE)
    assert workers() == []
    assert reported(transport)["hits"][-1] == {"count": 1}


def test_stops_at_once_make_one_last_report():
    transport = Recorded()
    container = started(Before, transport)
    with ThreadPoolExecutor(8) as threads:
        for _ in range(8):
            threads.submit(container.shutdown_resources)
    assert len(transport.payloads) == 1


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_process_reports_only_what_it_starts_itself():
    transport = Recorded()
    container = started(Before, transport)
    container.hits().inc()
    child = os.fork()
    if child == 0:
        quiet = workers() == [] and transport.tries == []
        container.shutdown_resources()
        quiet = quiet and transport.tries == []
        container.init_resources()
        container.hits().inc(5)
        container.shutdown_resources()
        values = reported(transport)["hits"]
        os._exit(0 if quiet and values == [{"count": 5}] else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    container.shutdown_resources()
    assert reported(transport)["hits"] == [{"count": 1}]
