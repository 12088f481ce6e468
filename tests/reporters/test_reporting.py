"""In a container, a reporter starts and stops with the rest and reports every update there was."""

import gzip
import json
import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from dependency_injector import providers

from metrics import DuplicateMetricError, Registry, resources
from metrics.lifecycle import MetricsContainer, Resource, state, subscribe
from metrics.reporters.credentials import basic
from metrics.reporters.delivery import Unavailable
from metrics.reporters.endpoint import endpoint_of
from metrics.reporters.reporting import HttpOptions, Request, batched, posting
from tests.fakes import FakeClock
from tests.reporters.registries import recording, reported
from tests.reporters.servers import Server, Web, full_backlog, response, saying, silent
from tests.reporters.transports import Recorded
from tests.reporters.waiting import DEADLINE, FOREVER, ended

OFTEN = 0.002
TOKEN = "s3cr3t-t0ken"


class Before(MetricsContainer):
    """The reporter is declared before what it reports, and stops after it."""

    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    transport = providers.Dependency()
    reporter = Resource(recording, registry, transport)
    hits = Resource(resources.counter, registry, "hits")
    waits = Resource(resources.resetting_timer, registry, "waits")
    load = Resource(resources.gauge, registry, "load", lambda: 0.5)


class After(MetricsContainer):
    """The reporter is declared after what it reports, and stops before it."""

    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    transport = providers.Dependency()
    hits = Resource(resources.counter, registry, "hits")
    waits = Resource(resources.resetting_timer, registry, "waits")
    load = Resource(resources.gauge, registry, "load", lambda: 0.5)
    reporter = Resource(recording, registry, transport)


def started(kind, transport: Recorded):
    container = kind(transport=providers.Object(transport))
    # A container copies its objects.
    container.transport.override(providers.Callable(lambda: transport))
    container.init_resources()
    return container


def workers() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("metrics-reporter")]


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
    container = Two()
    for name, transport in zip(("transport", "second_transport"), transports, strict=True):
        getattr(container, name).override(providers.Callable(lambda made=transport: made))
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
def test_a_black_hole_takes_no_more_than_the_budget(kind, caplog):
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
            container = Posting(url=url)
            container.transport.override(providers.Callable(lambda: transport))
            container.init_resources()
            container.hits().inc()
            ended(partial(container.shutdown_resources, timeout=0.5))
            assert str(state(container)).lower().endswith("stopped")
            assert workers() == []
            # The other reporter still got its turn.
            assert reported(transport)["hits"][-1] == {"count": 1}
    assert caplog.text.count("hole ends with 1 payloads that it could not deliver") == 2


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


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"interval": 0}, ValueError, "interval takes"),
        ({"interval": "10"}, TypeError, "interval takes"),
        ({"timeout": -1.0}, ValueError, "timeout takes"),
        ({"connect_timeout": 0.0}, ValueError, "connect_timeout takes"),
        ({"buffered": 0}, ValueError, "buffered takes"),
        ({"buffered_bytes": 1.5}, TypeError, "buffered_bytes takes"),
        ({"compress": "no"}, TypeError, "compress takes True or False"),
        ({"ca_file": "/no/such/file"}, ValueError, "ca_file '/no/such/file' has no certificates"),
        ({"ca_file": __file__}, ValueError, "ca_file .* has no certificates"),
        ({"ca_file": 5}, (TypeError, ValueError), "ca_file 5"),
        ({"name": ""}, ValueError, "name takes"),
        ({"name": "a\nb"}, ValueError, "name takes"),
        ({"name": 5}, TypeError, "name takes"),
        ({"intervall": 5}, TypeError, "no option 'intervall'; there are buffered, "),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_wrong_option_is_named_at_the_start(options, error, message, enabled):
    registry = Registry(enabled=enabled)
    request = Request(endpoint_of("http://localhost"), {})
    with (
        pytest.raises(error, match=message),
        posting(registry, "db", lambda _: iter(()), request, options),
    ):
        pytest.fail("the option is wrong")
    assert registry.names() == ()
    assert workers() == []


def test_options_that_a_configuration_left_out_have_their_defaults():
    left_out = dict.fromkeys(HttpOptions.__annotations__)
    del left_out["clock"]
    request = Request(endpoint_of("http://localhost"), {})
    with posting(Registry(), "db", lambda _: iter(()), request, left_out) as reporter:
        assert repr(reporter) == "<Reporter 'db' every 10.0 s, running>"


@pytest.mark.parametrize("compress", [True, False, None])
def test_payloads_are_compressed_unless_told_otherwise(compress):
    web = Web(response(204))
    with Server(web) as server:
        request = Request(endpoint_of(server.url), {"X": "y"}, method="PUT")
        options = {"compress": compress, "interval": FOREVER}
        with posting(Registry(), "db", lambda _: iter([b"a" * 1000]), request, options):
            pass
    (got,) = web.requests
    assert got.headers["x"] == "y"
    if compress is False:
        assert "content-encoding" not in got.headers
        assert got.body == b"a" * 1000
    else:
        assert got.headers["content-encoding"] == "gzip"
        assert gzip.decompress(got.body) == b"a" * 1000


def test_reports_carry_the_time_of_the_clock():
    transport = Recorded()
    with recording(Registry(), transport, clock=FakeClock(epoch=1_700_000_000.0)):
        pass
    assert json.loads(transport.payloads[0])["at"] == 1_700_000_000_000_000_000


def test_a_reporter_counts_what_it_did():
    def away(_payload):
        raise Unavailable("away")

    registry = Registry()
    transport = Recorded()
    with recording(registry, transport, interval=OFTEN):
        transport.wait_for(2)
        transport.fault = away
    last = {}

    class Watched(After):
        pass

    transport = Recorded()
    container = started(Watched, transport)
    sent = container.registry().get("reporter/db/sent")
    dropped = container.registry().get("reporter/db/dropped")
    failed = container.registry().get("reporter/db/failed")
    container.shutdown_resources()
    last = (sent.count, dropped.count, failed.count)
    assert last == (1, 0, 0)
    container.init_resources()
    transport.fault = away
    dropped = container.registry().get("reporter/db/dropped")
    container.shutdown_resources()
    assert dropped.count == 1


def test_secrets_are_nowhere_to_be_seen(caplog):
    credentials = basic("user", TOKEN)
    encoded = credentials.secrets[1]
    answer = f"bad {TOKEN} and {encoded}".encode()
    told, events = [], []

    class Secret(MetricsContainer):
        url = providers.Dependency(instance_of=str)
        reporter = Resource(
            lambda registry, url: posting(
                registry,
                "db",
                lambda _: iter([b"x"]),
                Request(endpoint_of(url), credentials.headers, credentials.secrets),
                {"interval": OFTEN},
            ),
            MetricsContainer.registry,
            url,
        )

    with caplog.at_level(logging.DEBUG):
        for status in (401, 503):
            web = Web(response(status, answer))
            with Server(web) as server:
                container = Secret(url=server.url)
                subscribe(container, events.append)
                container.init_resources()
                told += [thread.name for thread in threading.enumerate()]
                told.append(repr(container.reporter()))
                container.shutdown_resources()
            assert web.requests[0].headers["authorization"] == f"Basic {encoded}"
        with Server(saying(answer)) as server:
            container = Secret(url=server.url)
            container.init_resources()
            container.shutdown_resources()
    told.append(repr(Request(endpoint_of("http://h"), credentials.headers, credentials.secrets)))
    assert events
    text = caplog.text + "".join(told) + repr(events)
    assert "answered 401 bad *** and ***" in text
    assert TOKEN not in text
    assert encoded not in text


def test_chunks_are_joined_to_payloads_of_a_size():
    chunks = [b"aa", b"bb", b"c", b"dddd", b"", b"e"]
    assert list(batched(chunks, 4)) == [b"aabb", b"cdddd", b"e"]
    assert list(batched([])) == []
