"""Requests of httpx's clients are measured, whichever way they end."""

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from metrics import DuplicateMetricError, Registry
from metrics.exporters import openmetrics, prometheus
from metrics.integrations.httpx import HTTPClient, client
from metrics.lifecycle import MetricsContainer, Resource, check
from metrics.testing import ManualClock
from tests.integrations.measuring import levels
from tests.processes import LOOPBACK, free_port

DURATION = "http.client.request.duration"
ACTIVE = "http.client.active_requests"
REQUEST_SIZE = "http.client.request.body.size"
RESPONSE_SIZE = "http.client.response.body.size"

ITEM = "/items/{id}"


class Handler(BaseHTTPRequestHandler):
    """Answers of a server that breaks off, redirects, fails and hangs."""

    def answer(self, status, body=b"", **fields):
        self.send_response(status)
        for name, value in {"Content_Length": len(body), **fields}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match self.path.split("/")[1]:
            case "items":
                self.answer(200, b"an item")
            case "redirect":
                self.answer(302, Location="/items/1")
            case "fail":
                self.answer(500)
            case "half":
                self.answer(200, b"half", Content_Length=100)
            case "hang":
                self.server.released.wait(20)
            case _:
                self.answer(404)

    do_POST = do_BREW = do_GET  # noqa: N815

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def server():
    with ThreadingHTTPServer((LOOPBACK, 0), Handler) as found:
        found.released = threading.Event()
        thread = threading.Thread(target=found.serve_forever, args=[0.01])
        thread.start()
        yield found
        found.released.set()
        found.shutdown()
        thread.join()


@pytest.fixture
def url(server):
    return f"http://{LOOPBACK}:{server.server_port}"


class Recording:
    def __init__(self, registry, calls, clock, port):
        self.registry = registry
        self.calls = calls
        self.clock = clock
        self.port = port

    def read(self, name, field="count"):
        children = self.registry.snapshot()[name].children
        return {labels: getattr(child, field) for labels, child in children.items()}

    @property
    def requests(self):
        return self.read(DURATION)

    @property
    def active(self):
        return sum(self.read(ACTIVE).values())

    def get(self, status=200, error="", template="", method="GET"):
        text = str(status) if status else ""
        return method, LOOPBACK, str(self.port), template, text, error


@contextmanager
def recording(port, **options):
    clock = ManualClock()
    registry = Registry(clock=clock)
    with client(registry, **options) as calls:
        yield Recording(registry, calls, clock, port)


@pytest.fixture
def recorded(server):
    with recording(server.server_port) as found:
        yield found


class AsyncCalls:
    """The methods of `httpx.Client`, each in an event loop of its own."""

    def __init__(self, recorded, **options):
        self._recorded = recorded
        self._options = options

    def request(self, *arguments, **fields):
        async def main():
            transport = self._recorded.calls.async_transport()
            async with httpx.AsyncClient(transport=transport, **self._options) as api:
                return await api.request(*arguments, **fields)

        return asyncio.run(main())


async def wait_until(found):
    """Run the other tasks of the event loop until a function returns true."""
    async with asyncio.timeout(20):
        while not found():  # noqa: ASYNC110 - no event says so
            await asyncio.sleep(0)


@contextmanager
def sync_calls(recorded, **options):
    with httpx.Client(transport=recorded.calls.transport(), **options) as api:
        yield api


@contextmanager
def async_calls(recorded, **options):
    yield AsyncCalls(recorded, **options)


@pytest.mark.parametrize("connect", [sync_calls, async_calls])
def test_requests_have_their_template_status_and_error(recorded, url, connect):
    with connect(recorded, follow_redirects=True) as api:
        for number in range(3):
            answer = api.request("GET", f"{url}/items/{number}", extensions={"url_template": ITEM})
            assert answer.text == "an item"
        api.request("POST", f"{url}/items/1", content=b"12345")
        api.request("BREW", f"{url}/items/1")
        api.request("GET", f"{url}/none")
        api.request("GET", f"{url}/fail")
        redirected = api.request("GET", f"{url}/redirect")
        assert [each.status_code for each in redirected.history] == [302]
        with pytest.raises(httpx.RemoteProtocolError):
            api.request("GET", f"{url}/half")
        with pytest.raises(httpx.ReadTimeout):
            api.request("GET", f"{url}/hang", timeout=httpx.Timeout(20, read=0.05))
    get = recorded.get
    assert recorded.requests == {
        get(template=ITEM): 3,
        get(method="POST"): 1,
        get(method="_OTHER"): 1,
        get(404, "404"): 1,
        get(500, "500"): 1,
        get(302): 1,
        get(): 1,
        get(200, "httpx.RemoteProtocolError"): 1,
        get(0, "httpx.ReadTimeout"): 1,
    }
    assert recorded.read(REQUEST_SIZE, "sum") == {get(method="POST"): 5}
    sent = recorded.read(RESPONSE_SIZE, "sum")
    assert sent[get(template=ITEM)] == 3 * len("an item")
    assert sent[get(200, "httpx.RemoteProtocolError")] == len("half")
    assert recorded.active == 0


@pytest.mark.parametrize("connect", [sync_calls, async_calls])
def test_a_server_that_cannot_be_reached_is_an_error_without_a_status(recorded, connect):
    port = recorded.port = free_port()
    with connect(recorded) as api, pytest.raises(httpx.ConnectError):
        api.request("GET", f"http://{LOOPBACK}:{port}/")
    assert recorded.requests == {recorded.get(0, "httpx.ConnectError"): 1}
    assert recorded.active == 0


@pytest.mark.parametrize(("first_byte", "seconds"), [(False, 3.0), (True, 1.0)])
def test_a_request_ends_with_the_end_of_the_body_or_with_its_headers(first_byte, seconds):
    def answer(request):
        recorded.clock.advance(1)
        return httpx.Response(200, content=iter([b"first", b"second"]))

    with recording("80", first_byte=first_byte) as recorded:
        transport = recorded.calls.transport(httpx.MockTransport(answer))
        api = httpx.Client(transport=transport)
        with api.stream("GET", f"http://{LOOPBACK}/") as response:
            assert recorded.active == 1
            parts = response.iter_raw()
            next(parts)
            recorded.clock.advance(2)
            assert recorded.requests == {}
            assert list(parts) == [b"second"]
            assert recorded.active == 0
            recorded.clock.advance(4)
        assert recorded.read(DURATION, "sum") == {recorded.get(): seconds}
        assert recorded.read(RESPONSE_SIZE, "sum") == {recorded.get(): len("firstsecond")}


def test_a_response_that_the_program_closes_early_is_no_error(recorded, url):
    with sync_calls(recorded) as api:
        with api.stream("GET", f"{url}/items/1"):
            assert recorded.active == 1
        with api.stream("GET", f"{url}/items/1") as response:
            for _ in response.iter_bytes(1):
                break
    assert recorded.requests == {recorded.get(): 2}
    assert recorded.active == 0


def test_cancelled_requests_are_counted_as_cancelled(recorded, url):
    async def main():
        transport = recorded.calls.async_transport()
        async with httpx.AsyncClient(transport=transport) as api:
            task = asyncio.create_task(api.get(f"{url}/hang"))
            await wait_until(lambda: recorded.active)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert recorded.requests == {recorded.get(0, "cancelled"): 1}
    assert recorded.active == 0


def test_a_body_that_is_cancelled_or_closed_has_its_status(recorded):
    async def parts():
        yield b"first"
        await asyncio.Event().wait()

    async def read(api, started):
        async with api.stream("GET", f"http://{LOOPBACK}/") as response:
            async for _ in response.aiter_raw():
                started.set()

    async def main():
        inner = httpx.MockTransport(lambda request: httpx.Response(200, content=parts()))
        async with httpx.AsyncClient(transport=recorded.calls.async_transport(inner)) as api:
            started = asyncio.Event()
            task = asyncio.create_task(read(api, started))
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with api.stream("GET", f"http://{LOOPBACK}/"):
                pass

    recorded.port = 80
    asyncio.run(main())
    assert recorded.requests == {recorded.get(200, "cancelled"): 1, recorded.get(): 1}
    assert recorded.active == 0


def test_responses_without_a_stream_end_at_once(recorded):
    inner = httpx.MockTransport(lambda request: httpx.Response(200, text="an item"))
    recorded.port = 443
    with httpx.Client(transport=recorded.calls.transport(inner)) as api:
        assert api.get(f"https://{LOOPBACK}/").text == "an item"
        response = api.send(api.build_request("GET", f"https://{LOOPBACK}/"), stream=True)
        assert recorded.requests == {recorded.get(): 2}
        response.close()
    assert recorded.read(RESPONSE_SIZE, "sum") == {recorded.get(): 2 * len("an item")}
    assert recorded.active == 0


def test_the_inner_transport_is_entered_and_closed_with_the_client(recorded):
    seen = []

    class Inner(httpx.BaseTransport):
        def __enter__(self):
            seen.append("enter")
            return self

        def __exit__(self, *details):
            seen.append("exit")

        def close(self):
            seen.append("close")

    class AsyncInner(httpx.AsyncBaseTransport):
        async def __aenter__(self):
            seen.append("enter")
            return self

        async def __aexit__(self, *details):
            seen.append("exit")

        async def aclose(self):
            seen.append("close")

    async def main():
        async with httpx.AsyncClient(transport=recorded.calls.async_transport(AsyncInner())):
            pass
        await httpx.AsyncClient(transport=recorded.calls.async_transport(AsyncInner())).aclose()

    with httpx.Client(transport=recorded.calls.transport(Inner())):
        pass
    httpx.Client(transport=recorded.calls.transport(Inner())).close()
    assert seen == ["enter", "exit", "close"]
    seen.clear()
    asyncio.run(main())
    assert seen == ["enter", "exit", "close"]


def test_above_the_limit_hosts_share_one_series(server):
    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    with recording(80, max_series=2) as recorded:
        with httpx.Client(transport=recorded.calls.transport(inner)) as api:
            for number in range(10):
                api.get(f"http://host{number}/")
        assert sorted(recorded.requests.values()) == [1, 1, 8]
        assert recorded.requests[("_overflow",) * 6] == 8
        assert recorded.active == 0


def test_a_label_that_cannot_be_made_fails_no_request(recorded, caplog):
    class Unprintable:
        def __str__(self):
            raise LookupError("no text")

    inner = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(transport=recorded.calls.transport(inner)) as api:
        for template in (Unprintable(), Unprintable(), [1], None):
            extensions = {"url_template": template}
            assert api.get(f"http://{LOOPBACK}/", extensions=extensions).status_code == 200
        api.post(f"http://{LOOPBACK}/", headers={"Content-Length": "many"})
    recorded.port = 80
    get = recorded.get
    assert recorded.requests == {
        get(template="[1]"): 1,
        get(template="None"): 1,
        get(method="POST"): 1,
    }
    assert levels(caplog) == [40]
    assert "a request was not measured" in caplog.text
    assert recorded.active == 0


def test_after_the_stop_clients_continue_unmeasured(url, server):
    registry = Registry()
    with client(registry) as first:
        api = httpx.Client(transport=first.transport())
        api.get(f"{url}/items/1")
        held = api.send(api.build_request("GET", f"{url}/items/1"), stream=True)
    assert len(registry) == 0
    assert held.read() == b"an item"
    with client(registry) as second, httpx.Client(transport=second.transport()) as other:
        assert api.get(f"{url}/items/1").text == "an item"
        assert registry.snapshot()[DURATION].children == {}
        other.get(f"{url}/items/1")
        assert [child.count for child in registry.snapshot()[DURATION].children.values()] == [1]
    api.close()
    assert first.closed


def test_pages_show_the_names_of_the_convention(recorded, url):
    with sync_calls(recorded) as api:
        api.get(f"{url}/items/1", extensions={"url_template": ITEM})
    labels = (
        f'http_request_method="GET",server_address="{LOOPBACK}",server_port="{recorded.port}",'
        f'url_template="{ITEM}",http_response_status_code="200",error_type=""'
    )
    lines = prometheus.render(recorded.registry).decode().splitlines()
    assert f"http_client_request_duration_seconds_count{{{labels}}} 1" in lines
    assert f"http_client_response_body_size_bytes_sum{{{labels}}} 7.0" in lines
    assert f'http_client_request_duration_seconds_bucket{{{labels},le="0.005"}} 1' in lines
    assert b"http_client_request_duration_seconds_bucket" in openmetrics.render(recorded.registry)


def test_sizes_are_an_option():
    with recording(80, sizes=False) as recorded:
        assert sorted(recorded.registry.names()) == [ACTIVE, DURATION]
        inner = httpx.MockTransport(lambda request: httpx.Response(200))
        httpx.Client(transport=recorded.calls.transport(inner)).get(f"http://{LOOPBACK}/")
        assert recorded.requests == {recorded.get(): 1}


@pytest.mark.parametrize(
    ("options", "error"), [({"max_series": 0}, ValueError), ({"bounds": [2, 1]}, ValueError)]
)
def test_a_wrong_option_is_an_error_at_the_start(options, error):
    registry = Registry()
    with pytest.raises(error), client(registry, **options):
        pass
    with client(registry), pytest.raises(DuplicateMetricError), client(registry):
        pass
    assert len(registry) == 0


def test_a_disabled_registry_measures_nothing(url):
    with client(Registry(enabled=False)) as calls, httpx.Client(transport=calls.transport()) as api:
        assert api.get(f"{url}/items/1").text == "an item"


def test_a_container_declares_instruments_and_clients():
    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        calls = Resource(client, registry)

    container = Container()
    assert check(container) == ()
    container.init_resources()
    assert isinstance(container.calls(), HTTPClient)
    container.shutdown_resources()
