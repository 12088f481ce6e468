"""WebSocket connections are counted and timed, with their route, close code and error type."""

import asyncio

import pytest
from fastapi import FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.routing import Mount, WebSocketRoute

from metrics.integrations import asgi
from tests.integrations.measuring import get, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


CONNECT = {"type": "websocket.connect"}


def text(value):
    return {"type": "websocket.receive", "text": value}


def disconnect(**fields):
    return {"type": "websocket.disconnect", **fields}


def drive(app, *received, path="/ws/1"):
    """Return the types of the messages that an application sends for these."""
    incoming, sent = iter(received), []

    async def receive():
        try:
            return next(incoming)
        except StopIteration:
            await asyncio.sleep(3600)

    async def send(message):
        sent.append(message["type"])

    scope = {
        "type": "websocket",
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "subprotocols": [],
    }
    asyncio.run(app(scope, receive, send))
    return sent


def application(endpoint, recorded, framework=Starlette):
    if framework is Starlette:
        app = Starlette(routes=[WebSocketRoute("/ws/{id}", endpoint)])
    else:
        app = FastAPI()
        app.websocket("/ws/{id}")(endpoint)
    app.add_middleware(asgi.Measured, http=recorded.server)
    return app


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_a_connection_is_counted_until_the_client_leaves(framework, recorded):
    async def endpoint(socket: WebSocket):
        assert recorded.active == {("GET",): 1}
        recorded.clock.advance(1)
        await socket.accept()
        assert recorded.active == {("GET",): 0}
        assert recorded.open == {("/ws/{id}",): 1}
        recorded.clock.advance(90)
        async for message in socket.iter_text():
            await socket.send_text(message)
        assert recorded.open == {("/ws/{id}",): 0}
        recorded.clock.advance(100)

    app = application(endpoint, recorded, framework)
    sent = drive(app, CONNECT, text("a"), text("b"), disconnect(code=1001))
    assert sent == ["websocket.accept", "websocket.send", "websocket.send"]
    assert recorded.connections == {("/ws/{id}", "1001", ""): 1}
    snapshot = recorded.registry.snapshot()["websocket.server.connection.duration"]
    assert [child.sum for child in snapshot.children.values()] == [90]
    assert recorded.requests == {}


def test_a_disconnect_without_a_code_is_1005(recorded):
    async def endpoint(socket):
        await socket.accept()
        await socket.receive()

    drive(application(endpoint, recorded), CONNECT, disconnect())
    assert recorded.connections == {("/ws/{id}", "1005", ""): 1}


@pytest.mark.parametrize(("arguments", "code"), [((), "1000"), ((4001,), "4001")])
def test_a_connection_that_the_application_closes_has_its_code(arguments, code, recorded):
    async def endpoint(socket):
        await socket.accept()
        await socket.close(*arguments)
        await socket.receive()

    drive(application(endpoint, recorded), CONNECT, disconnect(code=1006))
    assert recorded.connections == {("/ws/{id}", code, ""): 1}


def test_a_connection_whose_application_returns_is_closed_normally(recorded):
    async def endpoint(socket):
        await socket.accept()

    drive(application(endpoint, recorded), CONNECT)
    assert recorded.connections == {("/ws/{id}", "1000", ""): 1}


def test_an_exception_is_an_internal_error_of_its_type(recorded):
    async def endpoint(socket):
        await socket.accept()
        raise LookupError

    with pytest.raises(LookupError):
        drive(application(endpoint, recorded), CONNECT)
    assert recorded.connections == {("/ws/{id}", "1011", "LookupError"): 1}
    assert recorded.open == {("/ws/{id}",): 0}


def test_a_cancelled_connection_is_no_error_of_the_server(recorded):
    async def endpoint(socket):
        await socket.accept()
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        drive(application(endpoint, recorded), CONNECT)
    assert recorded.connections == {("/ws/{id}", "", "cancelled"): 1}


def test_a_client_that_is_gone_before_a_message_is_no_error(recorded):
    async def endpoint(socket):
        await socket.accept()
        await socket.receive()
        await socket.receive_text()

    with pytest.raises(RuntimeError):
        drive(application(endpoint, recorded), CONNECT, disconnect(code=1006))
    assert recorded.connections == {("/ws/{id}", "1006", ""): 1}


def test_a_refused_handshake_is_a_request(recorded):
    async def endpoint(socket):
        await socket.close()

    app = application(endpoint, recorded)
    drive(app, CONNECT)
    drive(app, CONNECT, path="/none")
    assert recorded.requests == {get("/ws/{id}", 403): 1, get("", 403): 1}
    assert recorded.active == {("GET",): 0}
    assert recorded.connections == {}


def test_a_response_to_a_handshake_has_its_status(recorded):
    async def app(scope, receive, send):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"log in"})

    sent = drive(asgi.Measured(app, http=recorded.server), CONNECT)
    assert sent == ["websocket.http.response.start", "websocket.http.response.body"]
    assert recorded.requests == {get("", 401): 1}
    assert recorded.sent == {get("", 401): 6}


def test_an_exception_before_the_handshake_is_a_500(recorded):
    async def endpoint(socket):
        raise LookupError

    with pytest.raises(LookupError):
        drive(application(endpoint, recorded), CONNECT)
    assert recorded.requests == {get("/ws/{id}", 500, "LookupError"): 1}
    assert recorded.connections == {}


def test_a_client_that_leaves_during_the_handshake_is_aborted(recorded):
    async def endpoint(socket):
        assert (await socket.receive())["type"] == "websocket.connect"
        await socket.receive()

    drive(application(endpoint, recorded), CONNECT, disconnect(code=1006))
    assert recorded.requests == {get("/ws/{id}", 0, "aborted"): 1}


def test_mounts_have_their_templates(recorded):
    async def endpoint(socket):
        await socket.accept()

    app = Starlette(routes=[Mount("/t/{tenant}", routes=[WebSocketRoute("/ws/{id}", endpoint)])])
    app.add_middleware(asgi.Measured, http=recorded.server)
    drive(app, CONNECT, path="/t/42/ws/1")
    assert recorded.connections == {("/t/{tenant}/ws/{id}", "1000", ""): 1}


def test_excluded_routes_are_not_measured():
    async def endpoint(socket):
        await socket.accept()

    with recording(exclude=["/ws/{id}"]) as recorded:
        drive(application(endpoint, recorded), CONNECT)
        assert recorded.connections == recorded.open == recorded.requests == {}
