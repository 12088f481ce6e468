"""Requests to WSGI applications are measured, whichever way they respond."""

import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from wsgiref.util import FileWrapper, setup_testing_defaults

import pytest
from flask import Blueprint, Flask, Response, abort, stream_with_context
from flask import request as flask_request

from metrics import Registry
from metrics.integrations import http, wsgi
from metrics.lifecycle import MetricsContainer, Resource, State, running, state
from tests.forks import forking, in_child
from tests.integrations.asking import ask_wsgi
from tests.integrations.measuring import Container, get, levels, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


def environ_of(method="GET", **fields):
    environ = {"REQUEST_METHOD": method, "wsgi.file_wrapper": FileWrapper}
    setup_testing_defaults(environ)
    environ.update(fields)
    return environ


class Server:
    """What a server does with an application, step by step."""

    def __init__(self, app, **fields):
        self.written = b""
        self.started = []
        self.body = app(environ_of(**fields), self.start_response)

    def start_response(self, status, headers, *exc_info):
        self.started.append((status, *exc_info))
        return self.write

    def write(self, data):
        self.written += data

    def finish(self):
        for chunk in self.body:
            self.written += chunk
        self.close()
        return self.written

    def close(self):
        close = getattr(self.body, "close", None)
        if close is not None:
            close()


def responding(body, status="200 OK", headers=()):
    """Return an application whose function `body` returns the body."""

    def app(environ, start_response):
        start_response(status, list(headers))
        return body()

    return app


def test_a_request_is_counted_timed_and_sized(recorded):
    def work():
        assert recorded.active == {("POST",): 1}
        recorded.clock.advance(0.25)
        return [b"hel", b"lo"]

    app = wsgi.measured(responding(work, "201 Created"), recorded.server)
    assert Server(app, method="POST", CONTENT_LENGTH="12").finish() == b"hello"
    labels = get("", 201, method="POST")
    assert recorded.requests == {labels: 1}
    assert recorded.seconds == {labels: 0.25}
    assert recorded.received == {labels: 12}
    assert recorded.sent == {labels: 5}
    assert recorded.active == {("POST",): 0}


@pytest.mark.parametrize("length", ["", "-1", "many", "9" * 400])
def test_a_request_without_a_length_has_no_size(length, recorded):
    app = wsgi.measured(responding(list), recorded.server)
    Server(app, method="POST", CONTENT_LENGTH=length).finish()
    assert recorded.received == {}
    assert recorded.requests == {get("", method="POST"): 1}


def test_a_path_that_is_excluded_is_not_even_active():
    with recording(exclude=["/metrics", "/admin/health"]) as recorded:
        app = wsgi.measured(responding(list), recorded.server)
        Server(app, PATH_INFO="/metrics").finish()
        Server(app, SCRIPT_NAME="/v1", PATH_INFO="/admin/health").finish()
        assert recorded.active == recorded.requests == {}
        Server(app, SCRIPT_NAME="/admin", PATH_INFO="/health").finish()
        assert recorded.requests == {get(""): 1}


def test_the_application_follows_the_specification(recorded):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return iter([b"a", b"b"])

    assert ask_wsgi(wsgi.measured(app, recorded.server), "/").text == "ab"
    assert recorded.sent == {get(""): 2}


def test_unknown_methods_are_one_value(recorded):
    app = wsgi.measured(responding(list), recorded.server)
    for method in ("BREW", "get", "PROPFIND"):
        Server(app, method=method).finish()
    assert recorded.requests == {get("", method="_OTHER"): 3}
    assert set(recorded.server.active) == {"_OTHER"}


def test_a_list_reaches_the_server_as_it_is(recorded):
    body = [b"x"]
    assert Server(wsgi.measured(responding(lambda: body), recorded.server)).body is body


def test_a_stream_ends_with_its_last_bytes_and_close_is_no_latency(recorded):
    class Stream:
        closed = False

        def __iter__(self):
            recorded.clock.advance(1)
            yield b"a"
            recorded.clock.advance(1)
            yield b"b"

        def close(self):
            self.closed = True
            recorded.clock.advance(100)

    stream = Stream()
    app = wsgi.measured(responding(lambda: stream), recorded.server)
    assert Server(app).finish() == b"ab"
    assert stream.closed
    assert recorded.seconds == {get(""): 2}
    assert recorded.sent == {get(""): 2}


def test_an_application_that_is_a_generator_has_its_status(recorded):
    def app(environ, start_response):
        start_response("404 Not Found", [])
        yield b"none"

    Server(wsgi.measured(app, recorded.server)).finish()
    assert recorded.requests == {get("", 404): 1}


def test_bytes_that_are_written_count(recorded):
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"one")
        return [b"two!"]

    assert Server(wsgi.measured(app, recorded.server)).finish() == b"onetwo!"
    assert recorded.sent == {get(""): 7}


def test_a_generator_that_raises_in_the_middle_keeps_the_status(recorded):
    def stream():
        yield b"half"
        recorded.clock.advance(2)
        raise LookupError

    server = Server(wsgi.measured(responding(stream), recorded.server))
    with pytest.raises(LookupError):
        server.finish()
    server.close()
    assert recorded.requests == {get("", 200, "LookupError"): 1}
    assert recorded.seconds == {get("", 200, "LookupError"): 2}


def test_an_exception_is_a_500_of_its_type(recorded):
    def fail():
        raise KeyError

    def app(environ, start_response):
        fail()

    for each in (app, responding(fail, "500 Error")):
        with pytest.raises(KeyError):
            Server(wsgi.measured(each, recorded.server))
    assert recorded.requests == {get("", 500, "KeyError"): 2}


def test_the_error_response_of_a_failed_application_is_passed_on(recorded):
    def app(environ, start_response):
        start_response("200 OK", [])
        start_response("500 Error", [], (ValueError, ValueError(), None))
        return [b"error"]

    server = Server(wsgi.measured(app, recorded.server))
    server.finish()
    assert [each[0] for each in server.started] == ["200 OK", "500 Error"]
    assert server.started[1][1][0] is ValueError
    assert recorded.requests == {get("", 500): 1}


def test_a_client_that_leaves_is_aborted(recorded):
    stream = (chunk for chunk in [b"a", b"b"])
    server = Server(wsgi.measured(responding(lambda: stream), recorded.server))
    assert next(iter(server.body)) == b"a"
    server.close()
    server.close()
    assert recorded.requests == {get("", 200, "aborted"): 1}
    assert list(stream) == []


@pytest.mark.parametrize(("method", "headers"), [("GET", [("Content-Length", "1")]), ("HEAD", [])])
def test_a_server_need_not_iterate_to_the_end(method, headers, recorded):
    app = wsgi.measured(responding(lambda: iter([b"a"]), headers=headers), recorded.server)
    server = Server(app, method=method)
    if method == "GET":
        next(iter(server.body))
    server.close()
    assert recorded.requests == {get("", method=method): 1}


def test_a_file_stays_with_the_file_wrapper_of_the_server(recorded):
    file = io.BytesIO(b"content")

    def app(environ, start_response):
        start_response("200 OK", [("content-length", "7")])
        return environ["wsgi.file_wrapper"](file)

    server = Server(wsgi.measured(app, recorded.server))
    assert type(server.body) is FileWrapper
    recorded.clock.advance(3)
    server.close()
    assert file.closed
    assert recorded.seconds == {get(""): 3}
    assert recorded.sent == {get(""): 7}


def test_a_file_wrapper_in_c_is_passed_on(recorded):
    class Native:
        __slots__ = ()

        def __init__(self, file):
            pass

        def close(self):
            pass

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](None)

    app = wsgi.measured(app, recorded.server)
    assert type(Server(app, **{"wsgi.file_wrapper": Native}).body) is Native
    assert recorded.requests == {get(""): 1}


def test_head_has_no_body(recorded):
    Server(wsgi.measured(responding(lambda: [b"x"]), recorded.server), method="HEAD").finish()
    assert recorded.sent == {get("", method="HEAD"): 0}


def test_the_time_to_the_first_byte_is_an_option():
    def stream():
        recorded.clock.advance(10)
        yield b"x"

    def body():
        recorded.clock.advance(1)
        return stream()

    with recording(first_byte=True) as recorded:
        Server(wsgi.measured(responding(body), recorded.server)).finish()
        assert recorded.seconds == {get(""): 0}


def test_a_request_that_passes_twice_counts_once(recorded):
    app = wsgi.measured(wsgi.measured(responding(list), recorded.server), recorded.server)
    Server(app).finish()
    assert recorded.requests == {get(""): 1}


def test_a_function_names_the_routes_of_other_frameworks(recorded):
    app = wsgi.measured(
        responding(list), recorded.server, route=lambda environ: environ.get("route")
    )
    Server(app, route="/x/<id>").finish()
    Server(app).finish()
    assert recorded.requests == {get("/x/<id>"): 1, get(""): 1}


def test_a_failing_function_fails_no_request_and_is_logged_once(recorded, caplog):
    app = wsgi.measured(responding(list), recorded.server, route=lambda environ: 1 / 0)
    Server(app).finish()
    Server(app).finish()
    assert recorded.requests == {get(""): 2}
    assert levels(caplog) == [logging.ERROR]


def flask(recorded):
    app = Flask(__name__)
    app.wsgi_app = wsgi.measured(app.wsgi_app, recorded.server)

    @app.get("/items/<int:number>")
    def item(number):
        return "item"

    return app


def test_flask_has_its_templates(recorded):
    app = flask(recorded)
    blueprint = Blueprint("users", __name__, url_prefix="/users/<user>")

    @blueprint.get("/posts/<post>")
    def post(user, post):
        abort(418)

    app.register_blueprint(blueprint)
    client = app.test_client()
    for path in ("/items/1", "/items/2", "/users/ann/posts/3", "/none", "/static/none.css"):
        client.get(path, buffered=True)
    client.head("/items/1", buffered=True)
    client.options("/items/1", buffered=True)
    assert recorded.requests == {
        get("/items/<int:number>"): 2,
        get("/items/<int:number>", method="HEAD"): 1,
        get("/items/<int:number>", method="OPTIONS"): 1,
        get("/users/<user>/posts/<post>", 418): 1,
        get("/static/<path:filename>", 404): 1,
        get("", 404): 1,
    }


def test_a_method_that_flask_does_not_allow_keeps_its_route(recorded):
    flask(recorded).test_client().post("/items/1", buffered=True)
    assert recorded.requests == {get("/items/<int:number>", 405, method="POST"): 1}


def test_flask_streams_and_fails(recorded):
    app = flask(recorded)
    app.testing = False

    @app.get("/stream")
    def stream():
        def chunks():
            for _ in range(3):
                recorded.clock.advance(1)
                yield flask_request.path

        response = Response(stream_with_context(chunks()))
        response.call_on_close(lambda: recorded.clock.advance(100))
        return response

    @app.get("/fail")
    def fail():
        raise LookupError

    client = app.test_client()
    assert client.get("/stream").data == b"/stream" * 3
    app.logger.disabled = True
    assert client.get("/fail", buffered=True).status_code == 500
    assert recorded.seconds == {get("/stream"): 3, get("/fail", 500): 0}
    assert recorded.sent[get("/stream")] == 21


@pytest.mark.parametrize("wrong", [None, "container.http"])
def test_a_wrong_provider_is_a_type_error(wrong):
    with pytest.raises(TypeError, match=r"pass the provider of an `http\.server` resource"):
        wsgi.measured(responding(list), wrong)


def counted(container):
    family = container.registry().get("http.server.request.duration")
    return {labels: child.count for labels, child in family.children().items()}


def test_the_first_request_starts_the_container():
    container = Container()
    container.set_provider("reporter", Resource(list))
    app = wsgi.measured(responding(list), container.http)
    assert state(container, "http") is State.NEW
    Server(app).finish()
    assert state(container, "reporter") is State.RUNNING
    Server(app).finish()
    assert counted(container) == {get(""): 2}
    container.shutdown_resources()


def test_concurrent_first_requests_wait_for_the_start(caplog):
    arrived = threading.Event()

    @contextmanager
    def slow(registry):
        assert arrived.wait(20)
        with http.server(registry) as server:
            yield server

    container = MetricsContainer()
    container.set_provider("http", Resource(slow, container.registry))
    app = wsgi.measured(responding(list), container.http)

    def late():
        arrived.set()
        Server(app).finish()

    with ThreadPoolExecutor(2) as pool:
        for request in (lambda: Server(app).finish(), late):
            pool.submit(request)
    assert counted(container) == {get(""): 2}
    assert levels(caplog) == []
    container.shutdown_resources()


def test_a_container_that_fails_to_start_is_logged_and_fails_no_request(caplog):
    starts = []

    def fail():
        starts.append("failed")
        raise LookupError

    container = Container()
    container.set_provider("other", Resource(fail))
    app = wsgi.measured(responding(list), container.http)
    for _ in range(3):
        Server(app).finish()
    assert "unmeasured: LookupError" in caplog.text
    assert levels(caplog) == [logging.WARNING]
    assert starts == ["failed"]
    assert state(container, "http") is not State.RUNNING


def test_async_resources_are_not_started_without_an_event_loop(caplog):
    async def connect():
        yield

    container = Container()
    container.set_provider("other", Resource(connect))
    app = wsgi.measured(responding(list), container.http)
    for _ in range(3):
        Server(app).finish()
    assert "has async resources" in caplog.text
    assert levels(caplog) == [logging.ERROR]
    assert counted(container) == {get(""): 3}
    assert state(container, "other") is State.NEW
    container.shutdown_resources()


def test_a_resource_outside_any_container_is_started_alone():
    registry = Registry()
    provider = Resource(http.server, registry)
    Server(wsgi.measured(responding(list), provider)).finish()
    assert "http.server.request.duration" in registry.names()
    provider.shutdown()
    assert len(registry) == 0


def test_a_container_that_starts_again_measures_again(caplog):
    container = Container()
    app = wsgi.measured(responding(list), container.http)
    for requests in (1, 2):
        with running(container):
            for _ in range(requests):
                Server(app).finish()
            assert counted(container) == {get(""): requests}
        Server(app).finish()
        Server(app).finish()
        assert state(container, "http") is State.STOPPED
    assert levels(caplog) == [logging.WARNING] * 2


def test_a_stopped_container_is_not_started(caplog):
    container = Container()
    container.init_resources()
    container.shutdown_resources()
    Server(wsgi.measured(responding(list), container.http)).finish()
    assert state(container, "http") is State.STOPPED
    assert levels(caplog) == [logging.WARNING]


def test_a_disabled_registry_measures_nothing():
    registry = Registry(enabled=False)
    with http.server(registry) as server:
        Server(wsgi.measured(responding(list), server)).finish()
    assert len(registry) == 0


def measured_in_child(app, container):
    Server(app).finish()
    return counted(container)


@forking[0]
@forking[1]
@pytest.mark.parametrize("started", [True, False])
def test_a_forked_process_measures_for_itself(started):
    container = Container()
    app = wsgi.measured(responding(list), container.http)
    if started:
        Server(app).finish()
        Server(app).finish()
    assert in_child(measured_in_child, app, container) == {get(""): 1}
    if started:
        assert counted(container) == {get(""): 2}
    assert state(container, "http") is (State.RUNNING if started else State.NEW)
    container.shutdown_resources()
