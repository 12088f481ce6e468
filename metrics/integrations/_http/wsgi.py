"""Measured WSGI applications: their requests, whichever way they respond (PEP 3333)."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any, final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from metrics.integrations._http.binding import Binding, Source
from metrics.integrations._http.instruments import ABORTED, HTTPServer
from metrics.integrations._http.measurement import MOST_DIGITS, Measurement
from metrics.integrations._http.wsgi_routes import flask_route

SEQUENCES = (list, tuple)
"""Classes of bodies that are whole when the application returns them."""

RouteFunction = Callable[[WSGIEnvironment], str | None]

MEASURED = "metrics.integrations.wsgi.measured"
"""Key of the environment for the instruments that measure the request."""


def measured(
    app: WSGIApplication, http: Source, *, route: RouteFunction | None = None
) -> WSGIApplication:
    """Return a WSGI application that measures the requests of another one.

    For Flask and any WSGI application:

        app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)  # Flask

    A request ends when the last bytes of its body have been iterated over: calls after that, of
    `close()`, do not count. Its thread is that of the server.

    WSGI knows neither the start nor the stop of an application. So the first request in a process
    starts the container of the resource, unless it runs already, and the exit of the interpreter
    stops it: that of a worker of gunicorn, for example. Importing or creating the application
    starts nothing. Async resources need an event loop: a program with such resources starts and
    stops its container. While a container is stopped, requests are served unmeasured, which is
    logged once; a container that starts again measures again.

    Args:
        app: the application.
        http: the provider of the instruments, `http.server`; or the instruments themselves.
        route: returns the template of the route from the environment when the response begins, for
            frameworks other than Flask; None for no route.

    Raises:
        TypeError: `http` is neither.
    """
    return MeasuredWSGI(app, Binding(http, starts=True), flask_route if route is None else route)


@final
class MeasuredWSGI:
    """WSGI application of `measured`."""

    __slots__ = ("_app", "_binding", "_route")

    def __init__(self, app: WSGIApplication, binding: Binding, route: RouteFunction) -> None:
        self._app = app
        self._binding = binding
        self._route = route

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        server = self._binding.server
        if server is None or server.closed:
            server = self._binding.find()
        if (
            server is None
            or environ.get(MEASURED) is server
            or environ.get("PATH_INFO") in server.excluded
        ):
            return self._app(environ, start_response)
        environ[MEASURED] = server
        call = ApplicationCall(server, self._binding, self._route, environ, start_response)
        try:
            body = self._app(environ, call.start)
        except BaseException as error:
            call.fail(error)
            raise
        # A server that gets a list knows the length of the body. Nothing follows it.
        if isinstance(body, SEQUENCES):
            for chunk in body:
                call.size += len(chunk)
            call.finish()
            return body
        wrapper: Any = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            return measure_file(body, call)
        return Body(body, call)


@lru_cache
def status_code(line: str) -> int:
    """Return the code of a status line, of which an application has few."""
    return int(line[:3])


@final
class ApplicationCall(Measurement):
    """Call of an application: a request under way, and its response."""

    __slots__ = ("_environ", "_find_route", "_headers", "_route", "_start_response", "_write")

    def __init__(
        self,
        server: HTTPServer,
        binding: Binding,
        find_route: RouteFunction,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> None:
        # As `Measurement` does; a call would take a tenth of the time of a request.
        self._server = server
        self._binding = binding
        self._ended = 0
        self.open = True
        self.size = 0.0
        self.status = 0
        self._environ = environ
        self._find_route = find_route
        self._start_response: Any = start_response
        self._route = ""
        self._headers: list[tuple[str, str]] = []
        self._write: Any = None
        method: str = environ["REQUEST_METHOD"]
        self._active = active = server.active.get(method) or server.active_of(method)
        active.enter()
        self._started = server.now()

    def route(self) -> str:
        """Return the template of the route at the beginning of the response."""
        return self._route

    def length(self) -> str | None:
        """Return the Content-Length of the request; None without one."""
        return self._environ.get("CONTENT_LENGTH")

    def start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        """Start the response; return the function that writes bytes, which few applications use."""
        if exc_info is None:
            self._write = self._start_response(status, headers)
        else:
            self._write = self._start_response(status, headers, exc_info)
        self._headers = headers
        try:
            self.status = status_code(status)
            if self._server.first_byte:
                self._ended = self._server.now()
            # Flask has no request any more when its application returns.
            self._route = self._find_route(self._environ) or ""
        except Exception as problem:  # noqa: BLE001 - no request fails to be measured
            self._binding.report(problem)
        return self.write

    def write(self, data: bytes) -> object:
        """Write bytes of the body."""
        self.size += len(data)
        return self._write(data)

    def content_length(self) -> int:
        """Return the length of the body by the headers of the response; -1 if they have none."""
        for name, value in self._headers:
            if name.lower() == "content-length":
                return int(value) if value.isdigit() and len(value) <= MOST_DIGITS else -1
        return -1

    def close(self) -> None:
        """Record a request whose response is closed; before its end, the client has left."""
        if self.open:
            # Servers need not iterate to the end of a body of known length, nor over that of HEAD.
            whole = self._active.method == "HEAD" or self.size == self.content_length()
            self.finish("" if whole else ABORTED)


@final
class Body:
    """Body of a response that the server iterates over, once, and then closes."""

    __slots__ = ("_body", "_call")

    def __init__(self, body: Iterable[bytes], call: ApplicationCall) -> None:
        self._body = body
        self._call = call

    # Its generator is faster than a method `__next__`. The generator alone would not do: closed
    # before its start, it would close nothing.
    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        try:
            for chunk in self._body:
                call.size += len(chunk)
                yield chunk
        except GeneratorExit:
            call.close()
            raise
        except BaseException as error:
            call.fail(error)
            raise
        call.finish()

    def close(self) -> None:
        """Close the body of the application."""
        try:
            self._call.close()
        finally:
            close: Any = getattr(self._body, "close", None)
            if close is not None:
                close()

    def __del__(self) -> None:
        """Record a request whose response is dropped, as clients of tests drop it."""
        self._call.close()


def measure_file(body: Any, call: ApplicationCall) -> Iterable[bytes]:
    """Return a file wrapper of the server, which knows its own class, and sends the file itself."""
    close = getattr(body, "close", None)

    def closing() -> None:
        call.size = max(call.size, call.content_length())
        call.finish()
        if close is not None:
            close()

    try:
        body.close = closing
    except AttributeError:
        # Of a server in C. The file is not sent yet, but nothing calls at its end.
        call.size = max(call.size, call.content_length())
        call.finish()
    file: Iterable[bytes] = body
    return file
