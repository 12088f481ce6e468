"""Requests to aiohttp's server are measured, and the container lives as long as the server."""

import asyncio
import logging
from contextlib import suppress

import pytest
from aiohttp import ClientError, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from metrics.integrations import aiohttp
from metrics.lifecycle import State, state
from tests.integrations.measuring import Container, get, levels, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


async def item(request):
    return web.Response(text=f"item {len(await request.read())}")


def run(app, *calls):
    """Have clients call a served application, one after another."""

    async def main():
        async with TestClient(TestServer(app)) as client:
            return [await call(client) for call in calls]

    return asyncio.run(main())


def fetch(path, method="GET", **fields):
    async def call(client):
        async with client.request(method, path, **fields) as response:
            return await response.read()

    return call


def application(recorded, *routes):
    app = web.Application(middlewares=[aiohttp.measured(recorded.server)])
    app.router.add_routes(routes)
    return app


def test_routes_are_templates_with_those_of_sub_applications(recorded):
    below = web.Application()
    below.router.add_get("/items/{id}", item)
    app = application(recorded, web.get("/items/{id}", item))
    app.add_subapp("/v1/", below)
    run(app, fetch("/items/1"), fetch("/items/2"), fetch("/v1/items/1"), fetch("/none"),
        fetch("/items/1", "HEAD"), fetch("/items/1", "DELETE"))  # fmt: skip
    assert recorded.requests == {
        get("/items/{id}"): 2,
        get("/v1/items/{id}"): 1,
        get("", 404): 1,
        get("/items/{id}", method="HEAD"): 1,
        get("/items/{id}", 405, method="DELETE"): 1,
    }
    assert set(recorded.active.values()) == {0}


def test_bodies_have_their_sizes(recorded):
    assert run(application(recorded, web.post("/", item)), fetch("/", "POST", data=b"12345")) == [
        b"item 5"
    ]
    assert recorded.received == {get("/", method="POST"): 5}
    assert recorded.sent == {get("/", method="POST"): 6}


def test_exceptions_have_their_status_and_type(recorded):
    async def fail(request):
        raise LookupError

    async def refuse(request):
        raise web.HTTPForbidden

    logging.getLogger("aiohttp.server").disabled = True
    run(application(recorded, web.get("/fail", fail), web.get("/refuse", refuse)),
        fetch("/fail"), fetch("/refuse"))  # fmt: skip
    assert recorded.requests == {
        get("/fail", 500, "LookupError"): 1,
        get("/refuse", 403): 1,
    }


def test_an_exception_in_the_middle_of_a_stream_keeps_the_status(recorded):
    async def stream(request):
        response = web.StreamResponse(status=203)
        await response.prepare(request)
        await response.write(b"half")
        raise LookupError

    async def call(client):
        with pytest.raises(ClientError):
            await fetch("/")(client)

    logging.getLogger("aiohttp.server").disabled = True
    run(application(recorded, web.get("/", stream)), call)
    assert recorded.requests == {get("/", 203, "LookupError"): 1}


def test_an_exception_after_a_100_is_a_500(recorded):
    async def fail(request):
        await request.read()
        raise LookupError

    async def call(client):
        # Older versions close the connection.
        with suppress(ClientError):
            await fetch("/", "POST", data=b"x", expect100=True)(client)

    logging.getLogger("aiohttp.server").disabled = True
    run(application(recorded, web.post("/", fail)), call)
    assert recorded.requests == {get("/", 500, "LookupError", method="POST"): 1}


def test_the_time_to_the_first_byte_is_an_option():
    async def stream(request):
        recorded.clock.advance(1)
        response = web.StreamResponse()
        await response.prepare(request)
        recorded.clock.advance(10)
        await response.write(b"last")
        return response

    with recording(first_byte=True) as recorded:
        run(application(recorded, web.get("/", stream)), fetch("/"))
        assert recorded.seconds == {get("/"): 1}


def test_an_excluded_route_is_not_even_active():
    with recording(exclude=["/items/{id}", "/none"]) as recorded:
        app = application(recorded, web.get("/items/{id}", item))
        run(app, fetch("/items/1"), fetch("/none"))
        assert recorded.active == recorded.requests == {}


def test_a_sub_application_that_is_measured_too_counts_once(recorded):
    app = application(recorded)
    app.add_subapp("/v1", application(recorded, web.get("/items/{id}", item)))
    run(app, fetch("/v1/items/1"))
    assert recorded.requests == {get("/v1/items/{id}"): 1}


def test_a_method_that_a_sub_application_does_not_allow_keeps_the_route(recorded):
    inner, middle = web.Application(), web.Application()
    inner.router.add_get("/items/{id}", item)
    middle.add_subapp("/v1", inner)
    app = application(recorded, web.get("/items/{id}", item))
    app.add_subapp("/api", middle)
    run(app, fetch("/api/v1/items/1", "POST"), fetch("/api/v1/none", "POST"))
    assert recorded.requests == {
        get("/api/v1/items/{id}", 405, method="POST"): 1,
        get("", 404, method="POST"): 1,
    }


def test_a_cancelled_request_is_no_error_of_the_server(recorded):
    async def hang(request):
        raise asyncio.CancelledError

    async def call(client):
        # Clients repeat a GET.
        with pytest.raises(ClientError):
            await fetch("/", "POST")(client)

    run(application(recorded, web.post("/", hang)), call)
    assert recorded.requests == {get("/", 0, "cancelled", method="POST"): 1}


def test_a_websocket_is_a_connection(recorded):
    async def echo(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        assert recorded.open == {("/ws/{id}",): 1}
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
        return socket

    async def call(client):
        async with client.ws_connect("/ws/1") as socket:
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"
            await socket.close(code=4001)

    run(application(recorded, web.get("/ws/{id}", echo)), call, fetch("/none", headers={
        "Upgrade": "websocket"}))  # fmt: skip
    assert recorded.connections == {("/ws/{id}", "4001", ""): 1}
    assert recorded.open == {("/ws/{id}",): 0, ("",): 0}
    assert recorded.requests == {get("", 404): 1}
    assert recorded.active == {("GET",): 0}


def test_the_container_lives_as_long_as_the_application(caplog):
    container = Container()
    app = web.Application(middlewares=[aiohttp.measured(container.http)])
    app.router.add_get("/", item)
    app.cleanup_ctx.append(aiohttp.running(container))
    assert state(container, "http") is State.NEW

    async def count(client):
        await fetch("/")(client)
        family = container.registry().get("http.server.request.duration")
        return {labels: child.count for labels, child in family.children().items()}

    assert run(app, count) == [{get("/"): 1}]
    assert state(container, "http") is State.STOPPED
    assert levels(caplog) == []


def test_a_container_that_does_not_run_fails_no_request(caplog):
    container = Container()
    app = web.Application(middlewares=[aiohttp.measured(container.http)])
    app.router.add_get("/", item)
    assert run(app, fetch("/"), fetch("/")) == [b"item 0"] * 2
    assert state(container, "http") is State.NEW
    assert levels(caplog) == [logging.WARNING]


def test_a_wrong_provider_is_a_type_error():
    with pytest.raises(TypeError, match=r"pass the provider of an `http\.server` resource"):
        aiohttp.measured(None)


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_handler_serves_the_values(encoding):
    container = Container()
    app = web.Application(middlewares=[aiohttp.measured(container.http)])
    app.cleanup_ctx.append(aiohttp.running(container))
    app.router.add_post("/items/{id}", item)
    app.router.add_get("/metrics", aiohttp.metrics(container))

    async def page(client):
        path = "/metrics?name[]=http_server_request_duration_seconds"
        async with client.get(path, headers={"Accept-Encoding": encoding}) as response:
            assert response.status == 200
            assert response.content_type == "text/plain"
            return await response.text()

    _, text, head = run(app, fetch("/items/1", "POST"), page, fetch("/metrics", "HEAD"))
    assert 'http_request_method="POST",http_route="/items/{id}"' in text
    assert "active_requests" not in text
    assert head == b""
