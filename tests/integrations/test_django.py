"""Requests to Django are measured, sync and async; nothing starts before the first one."""

import asyncio
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.test import AsyncClient, Client, override_settings

from metrics.integrations import django as integration
from metrics.lifecycle import State, state
from tests.integrations import django_project
from tests.integrations.measuring import get, levels, recording

container = django_project.container


@pytest.fixture(autouse=True)
def project():
    """Give each test a container that has not started, and middleware that has not seen it."""
    project = django_project
    project.container = project.Container()
    integration.application.cache_clear()
    yield
    project.container.shutdown_resources()


def client():
    return Client(raise_request_exception=False)


def fetch(browser, path, **fields):
    """Return the body of a response, closed as by a server."""
    response = browser.get(path, **fields)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    response.close()
    return body


def read(name, value):
    family = django_project.container.registry().get(name)
    return {labels: value(child) for labels, child in family.children().items()}


def requests():
    return read("http.server.request.duration", lambda child: child.count)


def sent():
    return read("http.server.response.body.size", lambda child: child.snapshot().sum)


def active():
    return read("http.server.active_requests", lambda child: child.count)


def test_routes_are_templates():
    browser = client()
    for path in ("/", "/items/1/", "/items/2/", "/v1/ann/items/3/", "/old/1999/", "/none"):
        fetch(browser, path)
    browser.head("/items/1/")
    browser.generic("BREW", "/items/1/")
    assert requests() == {
        get("/"): 1,
        get("/items/<int:number>/"): 2,
        get("/v1/<slug:tenant>/items/<int:number>/"): 1,
        get("/^old/(?P<year>[0-9]{4})/$"): 1,
        get("", 404): 1,
        get("/items/<int:number>/", method="HEAD"): 1,
        get("/items/<int:number>/", method="_OTHER"): 1,
    }
    assert set(active().values()) == {0}


def test_a_view_that_raises_keeps_its_route_and_has_its_type():
    logging.getLogger("django.request").disabled = True
    browser = client()
    fetch(browser, "/fail")
    fetch(browser, "/missing")
    assert requests() == {get("/fail", 500, "LookupError"): 1, get("/missing", 404): 1}


def test_bodies_have_their_sizes():
    client().post("/items/1/", b"12345", content_type="text/plain")
    labels = get("/items/<int:number>/", method="POST")
    assert sent() == {labels: 6}
    assert read("http.server.request.body.size", lambda child: child.snapshot().sum) == {labels: 5}


def test_a_stream_ends_with_its_last_bytes():
    assert fetch(client(), "/stream") == b"abc"
    assert requests() == {get("/stream"): 1}
    assert sent() == {get("/stream"): 3}


def test_a_stream_that_fails_keeps_its_status():
    with pytest.raises(LookupError):
        fetch(client(), "/stream?fail=1")
    assert requests() == {get("/stream", 200, "LookupError"): 1}


def test_a_client_that_leaves_is_aborted():
    response = client().get("/stream")
    assert active() == {("GET",): 1}
    assert next(iter(response.streaming_content)) == b"a"
    response.close()
    assert requests() == {get("/stream", 200, "aborted"): 1}
    assert active() == {("GET",): 0}


def test_a_file_has_its_size():
    fetch(client(), "/file")
    size = Path(django_project.__file__).stat().st_size
    assert requests() == {get("/file"): 1}
    assert sent() == {get("/file"): size}


# asgiref keeps the thread of sync views.
@pytest.mark.leakcheck(ignore="executor thread ThreadPoolExecutor-*")
def test_async_requests_are_measured():
    async def run():
        browser = AsyncClient(raise_request_exception=False)
        await browser.get("/async/1/")
        await browser.get("/items/1/")
        response = await browser.get("/async-stream")
        body = b"".join([chunk async for chunk in response.streaming_content])
        response.close()
        return body

    assert asyncio.run(run()) == b"abc"
    assert requests() == {
        get("/async/<int:number>/"): 1,
        get("/items/<int:number>/"): 1,
        get("/async-stream"): 1,
    }
    assert sent()[get("/async-stream")] == 3


def test_the_view_serves_the_values():
    browser = client()
    browser.get("/items/1/")
    response = browser.get("/metrics")
    assert response.status_code == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    assert (
        'http_server_request_duration_seconds_count{http_request_method="GET",'
        'http_route="/items/<int:number>/",http_response_status_code="200",error_type=""} 1\n'
    ) in response.content.decode()
    assert browser.post("/metrics").status_code == 405


def test_an_excluded_path_is_not_even_active():
    with (
        recording(exclude=["/metrics", "/items/<int:number>/"]) as recorded,
        override_settings(METRICS_CONTAINER=f"{django_project.__name__}.measured"),
    ):
        django_project.measured = SimpleNamespace(http=recorded.server)
        browser = client()
        browser.get("/metrics")
        assert recorded.active == {}
        browser.get("/items/1/")
        browser.get("/")
        assert recorded.requests == {get("/"): 1}
        assert recorded.active == {("GET",): 0}


def test_commands_start_nothing():
    call_command("migrate", verbosity=0)
    call_command("check")
    assert state(django_project.container, "http") is State.NEW
    assert state(django_project.container, "registry") is State.NEW


def test_the_first_request_starts_the_container_and_no_request_a_stopped_one(caplog):
    browser = client()
    browser.get("/")
    container = django_project.container
    assert state(container, "reporter") is State.RUNNING
    browser.get("/")
    assert requests() == {get("/"): 2}
    container.shutdown_resources()
    browser.get("/")
    browser.get("/")
    assert state(container, "http") is State.STOPPED
    assert levels(caplog) == [logging.WARNING]
    container.init_resources()
    browser.get("/")
    assert requests() == {get("/"): 1}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (None, "invalid setting METRICS_CONTAINER None: set it to the container"),
        (1, "invalid setting METRICS_CONTAINER 1"),
        ("no.such.container", "No module named 'no'"),
        ("pathlib.Path", "it has no 'http'; declare one"),
    ],
)
def test_a_wrong_setting_is_found_when_the_middleware_is_created(setting, message):
    with (
        override_settings(METRICS_CONTAINER=setting),
        pytest.raises(ImproperlyConfigured, match=message),
    ):
        integration.Measured(lambda request: None)
