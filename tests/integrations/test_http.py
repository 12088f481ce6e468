"""Instruments of HTTP servers: names, limits, and what every format shows of them."""

import pytest

from metrics import DuplicateMetricError, Registry
from metrics.exporters import graphite, influx, json, openmetrics, prometheus
from metrics.integrations import asgi, http
from metrics.integrations._http.instruments import error_type
from metrics.lifecycle import check
from tests.integrations.asking import ask
from tests.integrations.measuring import Container, get, recording


async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * 100})


def page(registry):
    return prometheus.render(registry).decode()


def test_opentelemetrys_names_and_bounds_are_the_default():
    with recording() as recorded:
        ask(asgi.Measured(app, recorded.server), "/", "POST", content_length="7")
        text = page(recorded.registry)
    labels = (
        'http_request_method="POST",http_route="",http_response_status_code="200",error_type=""'
    )
    for line in (
        "# TYPE http_server_request_duration_seconds histogram",
        f'http_server_request_duration_seconds_bucket{{{labels},le="0.005"}} 1',
        f'http_server_request_duration_seconds_bucket{{{labels},le="10.0"}} 1',
        f"http_server_request_duration_seconds_count{{{labels}}} 1",
        f"http_server_request_body_size_bytes_sum{{{labels}}} 7.0",
        f"http_server_response_body_size_bytes_sum{{{labels}}} 100.0",
        "# TYPE http_server_active_requests gauge",
        'http_server_active_requests{http_request_method="POST"} 0',
    ):
        assert line in text.splitlines()
    assert http.BOUNDS == (
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
    )  # fmt: skip


def test_the_names_of_existing_dashboards_are_an_option():
    with recording(names="prometheus") as recorded:
        ask(asgi.Measured(app, recorded.server), "/", "POST", content_length="7")
        text = page(recorded.registry).splitlines()
    labels = 'method="POST",handler="",status="200"'
    for line in (
        f"http_requests_total{{{labels}}} 1",
        f"http_request_duration_seconds_count{{{labels}}} 1",
        f"http_request_size_bytes_sum{{{labels}}} 7.0",
        f"http_response_size_bytes_sum{{{labels}}} 100.0",
        'http_requests_inprogress{method="POST"} 0',
    ):
        assert line in text


@pytest.mark.parametrize("names", ["opentelemetry", "prometheus"])
def test_every_format_shows_the_requests(names):
    with recording(names=names) as recorded:
        ask(asgi.Measured(app, recorded.server), "/")
        now = {"timestamp_ns": 10**18}
        for module, options in (
            (graphite, now), (influx, now), (json, {}), (openmetrics, {}), (prometheus, {}),
        ):  # fmt: skip
            written = module.render(recorded.registry, **options)
            assert b"duration" in written
            assert b"200" in written


def test_errors_have_no_label_in_prometheus_names():
    with recording(names="prometheus") as recorded:

        async def fail(scope, receive, send):
            raise LookupError

        with pytest.raises(LookupError):
            ask(asgi.Measured(fail, recorded.server), "/")
        assert 'http_requests_total{method="GET",handler="",status="500"} 1' in page(
            recorded.registry
        )


def test_above_the_limit_requests_share_one_series():
    with recording(max_series=2) as recorded:
        measured = asgi.Measured(app, recorded.server, route=lambda scope: scope["path"])
        for number in range(5):
            ask(measured, f"/{number}")
            ask(measured, f"/{number}")
        overflow = ("_overflow",) * 4
        assert recorded.requests == {get("/0"): 2, get("/1"): 2, overflow: 6}
        assert sum(recorded.requests.values()) == 10
        assert len(recorded.server.series) == 2


def test_sizes_are_an_option():
    with recording(sizes=False) as recorded:
        ask(asgi.Measured(app, recorded.server), "/", content_length="7")
        assert recorded.requests == {get(""): 1}
        assert not any("size" in name for name in recorded.registry.names())


def test_the_stop_unregisters_the_instruments_and_the_next_start_creates_others():
    registry = Registry()
    for _ in range(2):
        with http.server(registry) as server:
            ask(asgi.Measured(app, server), "/")
            family = registry.get("http.server.request.duration")
            assert [child.count for child in family.children().values()] == [1]
        assert len(registry) == 0
        assert server.closed


def test_a_second_server_of_one_registry_is_refused_and_leaves_nothing():
    registry = Registry()
    with http.server(registry):
        names = registry.names()
        with pytest.raises(DuplicateMetricError), http.server(registry):
            pass
        assert registry.names() == names
        with http.server(registry.child("admin")), http.server(registry, names="prometheus"):
            assert len(registry) > 2 * len(names)
        assert registry.names() == names


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"names": "statsd"}, ValueError, "invalid names 'statsd': use 'opentelemetry' or"),
        ({"exclude": "/metrics"}, TypeError, "invalid exclude '/metrics': use a sequence"),
        ({"max_series": 0}, ValueError, "max_series"),
        ({"bounds": [2, 1]}, ValueError, "ascending"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start(options, error, message):
    registry = Registry()
    with pytest.raises(error, match=message), http.server(registry, **options):
        pass
    assert len(registry) == 0


def test_a_container_with_the_hook_has_no_faults():
    assert check(Container()) == ()


def test_error_types_are_the_classes_of_exceptions():
    class ClientDisconnect(Exception):  # noqa: N818
        pass

    ClientDisconnect.__qualname__ = "ClientDisconnect"
    assert error_type(ValueError()) == "ValueError"
    assert error_type(DuplicateMetricError()) == "metrics.errors.DuplicateMetricError"
    assert error_type(ClientDisconnect()) == "aborted"
    assert error_type(GeneratorExit()) == "aborted"
