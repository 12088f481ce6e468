"""Requests to ASGI applications are measured: how they end, and what does not count."""

import asyncio
import logging

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

from metrics import Registry
from metrics.integrations import asgi, http
from metrics.lifecycle import lifespan
from tests.forks import forking, in_child
from tests.integrations.asking import ask, asked
from tests.integrations.measuring import Container, get, levels, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


def responding(*messages, before=None, after=None):
    """Return an application that sends messages."""

    async def app(scope, receive, send):
        if before is not None:
            before()
        for message in messages:
            await send(message)
        if after is not None:
            after()

    return app


def start(status=200):
    return {"type": "http.response.start", "status": status, "headers": []}


def body(data=b"", *, more=False):
    return {"type": "http.response.body", "body": data, "more_body": more}


def scope_of(method="GET", path="/", headers=(), **fields):
    return {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "headers": list(headers),
        **fields,
    }


async def ignore(message):
    """Take a message."""


async def nothing():
    await asyncio.Event().wait()


def drive(app, **fields):
    return asyncio.run(app(scope_of(**fields), nothing, ignore))


def test_a_request_is_counted_timed_and_sized(recorded):
    def work():
        assert recorded.active == {("POST",): 1}
        recorded.clock.advance(0.25)

    app = asgi.Measured(
        responding(start(201), body(b"hel", more=True), body(b"lo"), before=work),
        http=recorded.server,
    )
    drive(app, method="POST", headers=[(b"host", b"x"), (b"content-length", b"12")])
    labels = get("", 201, method="POST")
    assert recorded.requests == {labels: 1}
    assert recorded.seconds == {labels: 0.25}
    assert recorded.received == {labels: 12}
    assert recorded.sent == {labels: 5}
    assert recorded.active == {("POST",): 0}


def test_a_request_without_a_length_has_no_size(recorded):
    app = asgi.Measured(responding(start(), body(b"hello")), http=recorded.server)
    for value in (b"-1", b"many", b"9" * 400):
        drive(app, method="POST", headers=[(b"content-length", value)])
    drive(app, method="POST")
    assert recorded.received == {}
    assert recorded.requests == {get("", method="POST"): 4}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_content_of_get_and_head_has_no_meaning_and_no_size(method, recorded):
    app = asgi.Measured(responding(start(), body()), http=recorded.server)
    drive(app, method=method, headers=[(b"content-length", b"12")])
    drive(app, method="DELETE", headers=[(b"content-length", b"12")])
    assert recorded.received == {get("", method="DELETE"): 12}


def test_a_path_that_is_excluded_is_not_even_active():
    with recording(exclude=["/metrics", "/items/{id}"]) as recorded:
        seen = []
        app = responding(start(), body(), before=lambda: seen.append(recorded.active))
        measured = asgi.Measured(app, recorded.server, route=lambda scope: "/items/{id}")
        drive(measured, path="/metrics")
        # The route of a path with parameters is known at the end only.
        drive(measured, path="/items/1")
        assert seen == [{}, {("GET",): 1}]
        assert recorded.requests == {}
        assert recorded.active == {("GET",): 0}


@pytest.mark.parametrize("method", ["BREW", "get", "PROPFIND", "X" * 4000])
def test_unknown_methods_are_one_value(recorded, method):
    app = asgi.Measured(responding(start(405), body()), http=recorded.server)
    drive(app, method=method)
    drive(app, method="ANOTHER")
    assert recorded.requests == {get("", 405, method="_OTHER"): 2}
    assert recorded.active == {("_OTHER",): 0}
    assert set(recorded.server.active) == {"_OTHER"}


def test_a_background_task_is_no_latency(recorded):
    async def endpoint(request):
        recorded.clock.advance(0.5)
        return PlainTextResponse("done", background=BackgroundTask(task))

    async def task():
        assert recorded.active == {("GET",): 0}
        assert recorded.requests == {get("/"): 1}
        recorded.clock.advance(200)

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(asgi.Measured, http=recorded.server)
    assert ask(app, "/").text == "done"
    assert recorded.seconds == {get("/"): 0.5}


def test_a_failing_background_task_changes_nothing(recorded):
    def fail():
        raise ValueError

    app = asgi.Measured(responding(start(), body(), after=fail), http=recorded.server)
    with pytest.raises(ValueError):
        drive(app)
    assert recorded.requests == {get(""): 1}


def test_an_exception_before_the_response_is_a_500_of_its_type(recorded):
    def fail():
        raise KeyError("x")

    app = asgi.Measured(responding(before=fail), http=recorded.server)
    with pytest.raises(KeyError):
        drive(app)
    assert recorded.requests == {get("", 500, "KeyError"): 1}
    assert recorded.active == {("GET",): 0}


def test_a_response_with_500_has_it_as_its_error_type(recorded):
    drive(asgi.Measured(responding(start(503), body()), http=recorded.server))
    assert recorded.requests == {("GET", "", "503", "503"): 1}


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_an_exception_in_a_view_keeps_the_route(framework, recorded):
    async def endpoint(request: Request):
        raise LookupError

    app = framework()
    app.add_route("/items/{id}", endpoint)
    app.add_middleware(asgi.Measured, http=recorded.server)
    with pytest.raises(LookupError):
        ask(app, "/items/1")
    assert recorded.requests == {get("/items/{id}", 500, "LookupError"): 1}


def test_an_exception_in_the_middle_of_a_stream_keeps_the_status(recorded):
    async def stream():
        yield b"half"
        recorded.clock.advance(2)
        raise OSError

    async def endpoint(request):
        return StreamingResponse(stream())

    app = Starlette(routes=[Route("/stream", endpoint)])
    app.add_middleware(asgi.Measured, http=recorded.server)
    with pytest.raises(BaseException):  # noqa: B017 - a group, depending on the version
        drive(app, path="/stream")
    ((labels, count),) = recorded.requests.items()
    assert labels[:3] == ("GET", "/stream", "200")
    assert labels[3] in {"OSError", "ExceptionGroup"}
    assert count == 1
    assert recorded.seconds[labels] == 2
    assert recorded.sent[labels] == 4


@pytest.mark.parametrize(("sent", "status"), [([], 0), ([start()], 200)])
def test_a_cancelled_request_is_no_error_of_the_server(recorded, sent, status):
    async def app(scope, receive, send):
        for message in sent:
            await send(message)
        await asyncio.sleep(3600)

    async def cancel():
        serving = asgi.Measured(app, http=recorded.server)(scope_of(), nothing, ignore)
        task = asyncio.create_task(serving)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert recorded.requests == {get("", status, "cancelled"): 1}
    assert recorded.active == {("GET",): 0}


@pytest.mark.parametrize(
    ("sent", "status"), [([], 0), ([start()], 200), ([start(), body(b"x", more=True)], 200)]
)
def test_a_response_without_an_end_is_aborted(recorded, sent, status):
    drive(asgi.Measured(responding(*sent), http=recorded.server))
    assert recorded.requests == {get("", status, "aborted"): 1}


@pytest.mark.parametrize("middleware", [False, True])
def test_a_client_that_leaves_is_no_500(recorded, middleware):
    async def endpoint(request):
        return PlainTextResponse(await request.body())

    async def receive():
        return {"type": "http.disconnect"}

    app = Starlette(routes=[Route("/upload", endpoint, methods=["POST"])])
    if middleware:
        app.add_middleware(BaseHTTPMiddleware, dispatch=lambda request, call: call(request))
    app.add_middleware(asgi.Measured, http=recorded.server)
    with pytest.raises(ClientDisconnect):
        asyncio.run(app(scope_of("POST", "/upload"), receive, ignore))
    assert recorded.requests == {get("/upload", 0, "aborted", "POST"): 1}


def test_the_time_to_the_first_byte_is_an_option():
    async def stream():
        recorded.clock.advance(10)
        yield b"first"

    async def endpoint(request):
        recorded.clock.advance(1)
        return StreamingResponse(stream())

    with recording(first_byte=True) as recorded:
        app = Starlette(routes=[Route("/", endpoint)])
        app.add_middleware(asgi.Measured, http=recorded.server)
        drive(app)
        assert recorded.seconds == {get("/"): 1}
        assert recorded.active == {("GET",): 0}


def test_head_has_no_body(recorded):
    async def endpoint(request):
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(asgi.Measured, http=recorded.server)
    ask(app, "/", "HEAD")
    assert recorded.sent == {get("/", method="HEAD"): 0}


def test_files_that_the_server_sends_have_their_size(recorded, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)

    async def endpoint(request):
        return FileResponse(path)

    app = Starlette(routes=[Route("/", endpoint)])
    app.add_middleware(asgi.Measured, http=recorded.server)
    drive(app)
    drive(app, extensions={"http.response.pathsend": {}})
    assert recorded.requests == {get("/"): 2}
    assert recorded.sent == {get("/"): 2000}
    with path.open("rb") as file:
        sent = {"type": "http.response.zerocopysend", "file": file}
        drive(asgi.Measured(responding(start(), sent), http=recorded.server))
        counted = sent | {"count": 10, "more_body": True}
        drive(asgi.Measured(responding(start(), counted, body()), http=recorded.server))
    assert recorded.sent[get("")] == 1010


def test_a_rebuilt_middleware_stack_measures_on(recorded):
    app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("x"))])
    app.add_middleware(asgi.Measured, http=recorded.server)
    ask(app, "/")
    app.middleware_stack = app.build_middleware_stack()
    ask(app, "/")
    assert recorded.requests == {get("/"): 2}


def test_two_applications_share_the_instruments(recorded):
    for path in ("/a", "/b"):
        app = FastAPI()
        app.add_route(path, lambda request: PlainTextResponse("x"))
        app.add_middleware(asgi.Measured, http=recorded.server)
        ask(app, path)
    assert recorded.requests == {get("/a"): 1, get("/b"): 1}


def test_a_mounted_application_that_is_measured_too_counts_once(recorded):
    inner = FastAPI()
    inner.add_route("/x", lambda request: PlainTextResponse("x"))
    inner.add_middleware(asgi.Measured, http=recorded.server)
    app = FastAPI()
    app.mount("/inner", inner)
    app.add_middleware(asgi.Measured, http=recorded.server)
    ask(app, "/inner/x")
    assert recorded.requests == {get("/inner/x"): 1}
    ask(inner, "/x")
    assert recorded.requests == {get("/inner/x"): 1, get("/x"): 1}


def test_two_servers_measure_one_request_each():
    with recording() as one, recording() as other:
        app = asgi.Measured(asgi.Measured(responding(start(), body()), one.server), other.server)
        drive(app)
        assert one.requests == other.requests == {get(""): 1}


def test_a_function_names_the_routes_of_other_frameworks(recorded):
    app = asgi.Measured(
        responding(start(), body()), recorded.server, route=lambda scope: scope.get("matched")
    )
    drive(app, matched="/items/<id>")
    drive(app)
    assert recorded.requests == {get("/items/<id>"): 1, get(""): 1}


def test_a_failing_function_fails_no_request_and_is_logged_once(recorded, caplog):
    def route(scope):
        raise ZeroDivisionError("no route")

    app = asgi.Measured(responding(start(), body()), recorded.server, route=route)
    drive(app)
    drive(app)
    assert recorded.requests == {}
    assert recorded.active == {("GET",): 0}
    assert [each.message for each in caplog.records] == ["a request was not measured: no route"]


def test_other_protocols_pass_unmeasured(recorded):
    scopes = []

    async def app(scope, receive, send):
        scopes.append(dict(scope))

    measured = asgi.Measured(app, http=recorded.server)
    for kind in ("lifespan", "mqtt"):
        asyncio.run(measured({"type": kind}, nothing, ignore))
    assert scopes == [{"type": "lifespan"}, {"type": "mqtt"}]


def test_the_measured_application_stays_a_coroutine_function_and_sends_the_servers_awaitable(
    recorded,
):
    app = asgi.Measured(responding(start(), body()), http=recorded.server)
    assert asyncio.iscoroutinefunction(app.__call__)
    assert asyncio.iscoroutinefunction(type(app).__call__)


@pytest.mark.parametrize("wrong", [None, "container.http", 1])
def test_a_wrong_provider_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=r"pass the provider of an `http\.server` resource"):
        asgi.Measured(responding(), http=wrong)


def counted(container):
    family = container.registry().get("http.server.request.duration")
    return {labels: child.count for labels, child in family.children().items()}


def test_a_container_that_starts_again_measures_again(caplog):
    container = Container()
    app = asgi.Measured(responding(start(), body()), http=container.http)
    drive(app)
    drive(app)
    assert not container.http.initialized
    for requests in (1, 2):
        container.init_resources()
        for _ in range(requests):
            drive(app)
        assert counted(container) == {get(""): requests}
        container.shutdown_resources()
        drive(app)
        drive(app)
    # Before the first start, and after each stop.
    assert levels(caplog) == [logging.WARNING] * 3
    assert caplog.text.count("requests are served unmeasured") == 3


def test_a_lifespan_starts_the_container():
    async def run():
        incoming = iter(["lifespan.startup", "lifespan.shutdown"])
        sent = []

        async def receive():
            event = next(incoming)
            if event == "lifespan.shutdown":
                await asked(app, "/items/1")
                counts.update(counted(container))
            return {"type": event}

        async def send(message):
            sent.append(message["type"])

        await app({"type": "lifespan", "state": {}}, receive, send)
        return sent

    counts = {}
    container = Container()
    app = FastAPI(lifespan=lifespan(container))
    app.add_middleware(asgi.Measured, http=container.http)

    @app.get("/items/{id}")
    async def item(id: int):  # noqa: A002
        return id

    assert asyncio.run(run()) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert counts == {get("/items/{id}"): 1}


def test_a_provider_of_another_kind_is_logged_and_fails_no_request(caplog):
    container = Container()
    container.init_resources()
    app = asgi.Measured(responding(start(), body()), http=container.registry)
    drive(app)
    assert "invalid http <Registry" in caplog.text
    container.shutdown_resources()


def test_a_disabled_registry_measures_nothing():
    registry = Registry(enabled=False)
    with http.server(registry) as server:
        app = asgi.Measured(responding(start(), body(b"x")), http=server)
        drive(app)
        drive(app)
    assert len(registry) == 0


def test_a_request_that_outlives_its_container_is_served():
    container = Container()
    container.init_resources()
    app = asgi.Measured(
        responding(start(), body(), before=container.shutdown_resources), http=container.http
    )
    drive(app)


def measured_in_child(app, container):
    drive(app)
    return counted(container)


@forking[0]
@forking[1]
def test_a_forked_process_measures_for_itself():
    container = Container()
    container.init_resources()
    app = asgi.Measured(responding(start(), body()), http=container.http)
    drive(app)
    drive(app)
    assert in_child(measured_in_child, app, container) == {get(""): 1}
    assert counted(container) == {get(""): 2}
    container.shutdown_resources()
