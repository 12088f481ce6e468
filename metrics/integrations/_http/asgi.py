"""Measured ASGI applications: their requests and WebSocket connections.

The hot path: `MeasuredASGI.__call__`, `Exchange.send` and `Measurement` run for each request.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from os import fstat
from pathlib import Path
from typing import Any, final

from metrics.integrations._http.asgi_routes import Routes
from metrics.integrations._http.binding import Binding, Source
from metrics.integrations._http.instruments import (
    ABORTED,
    CANCELLED,
    HTTPServer,
    OpenConnections,
    error_type,
)
from metrics.integrations._http.measurement import SECOND, Measurement

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[..., Awaitable[Any]]
"""ASGI application. Frameworks type the parameters of routes and mounts differently."""

RouteFunction = Callable[[Message], str | None]

MEASURED = "metrics.integrations.asgi.measured"
"""Key of the scope for the instruments that measure the request, which may pass two middlewares."""

FORBIDDEN = 403
"""Status with which servers refuse a WebSocket that the application closes before it accepts."""

NORMAL_CLOSURE = 1000
NO_STATUS_RECEIVED = 1005
INTERNAL_ERROR = 1011

RESPONSE = {
    "websocket.http.response.start": "http.response.start",
    "websocket.http.response.body": "http.response.body",
}
"""Messages of the response to a refused handshake, and of a response to a request."""


@final
class MeasuredASGI:
    """ASGI middleware that measures requests and WebSocket connections.

    For Starlette, FastAPI, Litestar and any ASGI application:

        app.add_middleware(asgi.Measured, http=container.http)  # Starlette, FastAPI
        app = asgi.Measured(app, http=container.http)  # Litestar and any other

    `Litestar(middleware=[DefineMiddleware(asgi.Measured, http=container.http)])` measures the same,
    except requests for unknown paths and methods, which pass no middleware of Litestar.

    A request ends with the last message of its body: background tasks do not count. While the
    container does not run, requests are served unmeasured, which is logged once; a container that
    starts again measures again. A request that passes several such middlewares with the same
    instruments, in a mounted application for example, is counted once.

    Args:
        app: the application.
        http: the provider of the instruments, `http.server`; or the instruments themselves.
        route: returns the template of the route from the scope after the application has run, for
            frameworks that are not known; None for no route.

    Raises:
        TypeError: `http` is neither.
    """

    def __init__(
        self, app: Application, http: Source, *, route: RouteFunction | None = None
    ) -> None:
        self.app = app
        self.binding = Binding(http)
        self.template: RouteFunction = Routes().template if route is None else route

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        server = self.binding.server
        if server is None or server.closed:
            # A lifespan starts the container.
            server = None if scope["type"] == "lifespan" else self.binding.find()
        if server is None or scope.get(MEASURED) is server:
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._serve_other(server, scope, receive, send)
            return
        if scope["path"] in server.excluded:
            await self.app(scope, receive, send)
            return
        scope[MEASURED] = server
        exchange = Exchange(server, self, scope, send)
        try:
            await self.app(scope, receive, exchange.send)
        except BaseException as error:
            if exchange.open:
                exchange.fail(error)
            raise
        if exchange.open:
            exchange.finish(ABORTED)

    async def _serve_other(
        self, server: HTTPServer, scope: Message, receive: Receive, send: Send
    ) -> None:
        """Serve a WebSocket connection; pass on any other protocol."""
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        scope[MEASURED] = server
        connection = WebSocket(server, self, scope, receive, send)
        try:
            await self.app(scope, connection.receive, connection.send)
        except BaseException as error:
            connection.fail(error)
            raise
        connection.leave()


@final
class Exchange(Measurement):
    """Request under way, and its response."""

    __slots__ = ("_scope", "_send", "_template")

    def __init__(
        self, server: HTTPServer, measured: MeasuredASGI, scope: Message, send: Send
    ) -> None:
        # As `Measurement` does; a call would take a tenth of the time of a request.
        self._server = server
        self._binding = measured.binding
        self._ended = 0
        self.open = True
        self.size = 0.0
        self.status = 0
        self._scope = scope
        self._send = send
        self._template = measured.template
        # The handshake of a WebSocket is a GET.
        method: str = scope.get("method", "GET")
        self._active = active = server.active.get(method) or server.active_of(method)
        active.enter()
        self._started = server.now()

    def route(self) -> str:
        """Return the template of the route, which the router has left in the scope."""
        return self._template(self._scope) or ""

    def length(self) -> bytes | None:
        """Return the Content-Length of the request; None without one."""
        for name, value in self._scope["headers"]:
            if name == b"content-length":
                found: bytes = value
                return found
        return None

    # No coroutine function, whose coroutine would cost as much as all the rest.
    def send(self, message: Message, kind: str = "") -> Awaitable[None]:
        """Send a message of the response; `kind` is its type if it is another one."""
        kind = kind or message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            if self._server.first_byte:
                self._ended = self._server.now()
        elif kind == "http.response.body":
            self.size += len(message.get("body", b""))
            if not message.get("more_body"):
                self.finish()
        elif kind in {"http.response.pathsend", "http.response.zerocopysend"}:
            self._send_file(message)
        return self._send(message)

    def _send_file(self, message: Message) -> None:
        """Count a file that the server reads."""
        with suppress(OSError):
            if "path" in message:
                self.size += Path(message["path"]).stat().st_size
            else:
                self.size += message.get("count") or fstat(message["file"].fileno()).st_size
        if not message.get("more_body"):
            self.finish()


@final
class WebSocket:
    """WebSocket connection, or the handshake of one that the application refuses."""

    __slots__ = (
        "_accepted",
        "_connections",
        "_handshake",
        "_measured",
        "_open",
        "_receive",
        "_route",
        "_scope",
        "_send",
        "_server",
    )

    def __init__(
        self,
        server: HTTPServer,
        measured: MeasuredASGI,
        scope: Message,
        receive: Receive,
        send: Send,
    ) -> None:
        self._server = server
        self._measured = measured
        self._scope = scope
        self._receive = receive
        self._send = send
        self._accepted = 0
        self._open = False
        self._route = ""
        self._connections: OpenConnections | None = None
        self._handshake = Exchange(server, measured, scope, send)

    def send(self, message: Message) -> Awaitable[None]:
        """Send a message of the application."""
        kind = message["type"]
        if kind == "websocket.accept":
            self._accept()
        elif kind == "websocket.close":
            self.close(message.get("code", NORMAL_CLOSURE))
            if self._handshake.open:
                self._handshake.status = FORBIDDEN
                self._handshake.finish()
        elif kind in RESPONSE:
            return self._handshake.send(message, RESPONSE[kind])
        return self._send(message)

    async def receive(self) -> Message:
        """Receive a message for the application."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self.close(message.get("code", NO_STATUS_RECEIVED))
            if self._handshake.open:
                self._handshake.finish(ABORTED)
        return message

    def _accept(self) -> None:
        if not self._handshake.open:
            return
        self._handshake.cancel()
        self._open = True
        self._accepted = self._server.now()
        try:
            self._route = self._handshake.route()
            self._connections = self._server.connections_of(self._route)
            self._connections.enter()
        except Exception as problem:  # noqa: BLE001 - a connection does not fail to be measured
            self._measured.binding.report(problem)

    def fail(self, error: BaseException) -> None:
        """Record a connection whose application raised before the end."""
        if self._handshake.open:
            self._handshake.fail(error)
        elif type(error).__name__ == "WebSocketDisconnect":
            # Starlette raises it if the client was gone before a message could be sent.
            self.close(getattr(error, "code", NO_STATUS_RECEIVED))
        else:
            kind = error_type(error)
            self.close(0 if kind == CANCELLED else INTERNAL_ERROR, kind)

    def leave(self) -> None:
        """Record a connection whose application returned: servers close it."""
        if self._handshake.open:
            self._handshake.finish(ABORTED)
        self.close(NORMAL_CLOSURE)

    def close(self, code: int, error: str = "") -> None:
        """Record the end of an accepted connection, once."""
        if not self._open:
            return
        self._open = False
        seconds = (self._server.now() - self._accepted) / SECOND
        try:
            if self._connections is not None:
                self._connections.leave()
            self._server.record_connection(self._route, seconds, code, error)
        except Exception as problem:  # noqa: BLE001 - as above
            self._measured.binding.report(problem)
