"""What a reporter is told is checked at the start, and kept secret where it has to be."""

import gzip
import inspect
import json
import logging
import threading

import pytest
from dependency_injector import providers

from metrics import Registry
from metrics.lifecycle import Fault, MetricsContainer, Resource, check, subscribe
from metrics.reporters import (
    file,
    graphite,
    influxdb,
    log,
    opentsdb,
    otlp,
    pushgateway,
    remote_write,
    statsd,
    syslog,
)
from metrics.reporters._push.options import HttpOptions, Options
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._transports.connection import RENEWAL
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import basic
from metrics.reporters._transports.transport import Unavailable
from metrics.testing import ManualClock
from tests.processes import until
from tests.reporters.containers import After, started
from tests.reporters.leaping import LeapingClock
from tests.reporters.registries import recording
from tests.reporters.servers import Server, Web, response, saying
from tests.reporters.standins import Recorded
from tests.reporters.waiting import FOREVER
from tests.reporters.workers import workers

OFTEN = 0.002
TOKEN = "s3cr3t-t0ken"

HOOKS = [
    file.append,
    file.replace,
    graphite.tcp,
    influxdb.v1,
    influxdb.v2,
    log.to_logger,
    opentsdb.http,
    opentsdb.tcp,
    otlp.http,
    pushgateway.http,
    remote_write.http,
    statsd.tcp,
    statsd.udp,
    syslog.tcp,
    syslog.udp,
    syslog.unix,
]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"interval": 0}, ValueError, "invalid interval 0: use"),
        ({"interval": "ten"}, ValueError, "invalid interval 'ten': use"),
        ({"interval": True}, TypeError, "invalid interval True"),
        ({"timeout": -1.0}, ValueError, "invalid timeout -1.0: use"),
        ({"timeout": "0s"}, ValueError, "invalid timeout '0s': use"),
        ({"connect_timeout": 0.0}, ValueError, "invalid connect_timeout 0.0: use"),
        ({"connect_timeout": b"1s"}, TypeError, "invalid connect_timeout b'1s'"),
        ({"buffered": 0}, ValueError, "buffered takes"),
        ({"buffered_bytes": 1.5}, TypeError, "buffered_bytes takes"),
        ({"compress": "no"}, TypeError, "invalid compress 'no': use True or False"),
        ({"ca_file": "/no/such/file"}, ValueError, "invalid ca_file '/no/such/file': No such file"),
        ({"ca_file": __file__}, ValueError, "invalid ca_file .*; use the path of a readable PEM"),
        ({"ca_file": 5}, TypeError, "invalid ca_file 5: use a str"),
        ({"client_cert": "/no/such/file"}, ValueError, "invalid client_cert '/no/such/file': No"),
        ({"client_key": __file__}, ValueError, "invalid client_key .* without client_cert"),
        ({"proxy": "proxy:3128"}, ValueError, "invalid proxy 'proxy:3128': use"),
        ({"proxy": 5}, TypeError, "invalid proxy of type int: use a str"),
        ({"trust_env": "perhaps"}, ValueError, "invalid trust_env 'perhaps': use"),
        ({"name": ""}, ValueError, "invalid name"),
        ({"name": "a\nb"}, ValueError, "invalid name"),
        ({"name": 5}, TypeError, "invalid name 5: use a str"),
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


def test_intervals_and_timeouts_may_be_durations_and_text():
    options = {"interval": "1m30s", "timeout": "500ms", "connect_timeout": "2"}
    request = Request(endpoint_of("http://localhost"), {})
    with posting(Registry(), "db", lambda _: iter(()), request, options) as reporter:
        assert repr(reporter) == "<Reporter 'db' every 90.0 s, running>"


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


def push_once(url: str, **options: object) -> None:
    request = Request(endpoint_of(url), {})
    with posting(
        Registry(), "db", lambda _: iter([b"x"]), request, {"interval": FOREVER, **options}
    ):
        pass


@pytest.fixture
def environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


def test_a_report_goes_through_the_proxy_of_the_options(environment):
    environment("http_proxy", "http://127.0.0.1:1")
    web = Web(response(204))
    with Server(web) as server:
        for trust_env in (False, True):
            push_once("http://db.example:80/x", proxy=server.url, trust_env=trust_env)
    assert [request.line for request in web.requests] == [
        "POST http://db.example:80/x HTTP/1.1"
    ] * 2


@pytest.mark.parametrize("proxy", [None, ""])
def test_the_proxy_of_the_environment_is_used_on_request_alone(environment, proxy):
    direct, proxied = Web(response(204)), Web(response(204))
    with Server(direct) as server, Server(proxied) as proxy_server:
        environment("HTTP_PROXY", proxy_server.url)
        push_once(server.url, proxy=proxy)
        assert (len(direct.requests), len(proxied.requests)) == (1, 0)
        push_once(server.url, proxy=proxy, trust_env="yes")
        assert (len(direct.requests), len(proxied.requests)) == (1, 1)
        environment("NO_PROXY", "127.0.0.1")
        push_once(server.url, trust_env=True)
        assert (len(direct.requests), len(proxied.requests)) == (2, 1)


def test_connections_age_by_the_clock_of_the_reporter():
    web = Web(response(204))
    clock, registry = LeapingClock(), Registry()
    with Server(web) as server:
        request = Request(endpoint_of(server.url), {})
        options = {"interval": OFTEN, "clock": clock}
        with posting(registry, "db", lambda _: iter([b"x"]), request, options):
            sent = registry.get("reporter/db/sent")
            until(lambda: sent.count > 3, "reports")
            clock.leap = RENEWAL
            before = sent.count
            until(lambda: sent.count > before + 3, "reports")
        assert server.has_accepted(2)


def test_reports_carry_the_time_of_the_clock():
    transport = Recorded()
    with recording(Registry(), transport, clock=ManualClock(epoch=1_700_000_000.0)):
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
                Request(endpoint_of(url), {}, credentials),
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
    told.append(repr(Request(endpoint_of("http://h"), {}, credentials)))
    assert events
    text = caplog.text + "".join(told) + repr(events)
    assert "answered 401 bad *** and ***" in text
    assert TOKEN not in text
    assert encoded not in text


def test_help_lists_every_option_with_its_default_and_its_description():
    parameters = inspect.signature(influxdb.v2).parameters
    assert parameters["interval"].default == 10.0
    assert parameters["namespace"].default == ""
    assert parameters["url"].default is inspect.Parameter.empty
    assert [name for name in parameters if name not in influxdb.v2.__doc__] == []


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook.__module__}.{hook.__name__}")
def test_every_hook_names_its_options_in_its_signature(hook):
    kinds = [each.kind for each in inspect.signature(hook).parameters.values()]
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert set(Options.__annotations__) <= set(inspect.signature(hook).parameters)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook.__module__}.{hook.__name__}")
def test_every_hook_describes_its_arguments_and_options(hook):
    for name in inspect.signature(hook).parameters:
        assert f"\n    {name}: " in hook.__doc__
    assert hook.__doc__.count("\nArgs:\n") == hook.__doc__.count("\nRaises:\n") == 1


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: f"{hook.__module__}.{hook.__name__}")
def test_an_unknown_option_is_an_error_of_the_call_itself(hook):
    parameters = inspect.signature(hook).parameters.values()
    required = [None for each in parameters if each.default is inspect.Parameter.empty]
    for name in ("intervall", "options"):
        with pytest.raises(
            TypeError, match=rf"unknown option '{name}'; the options are .*interval,"
        ):
            hook(*required, **{name: 5})


def test_a_container_with_a_misspelt_option_fails_the_check_before_it_starts():
    class Misspelt(MetricsContainer):
        report = Resource(log.to_logger, MetricsContainer.registry, intervall=3)

    assert [problem.fault for problem in check(Misspelt())] == [Fault.SIGNATURE]
