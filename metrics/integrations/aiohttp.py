"""Middleware that measures aiohttp's server, and a container that lives as long as it.

app = web.Application(middlewares=[aiohttp.measured(container.http)])
app.cleanup_ctx.append(aiohttp.running(container))
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, final

from metrics._extras import require_extra

with require_extra("aiohttp"):
    from aiohttp import web

from metrics.integrations import _providers, asgi
from metrics.integrations._http.binding import Binding, Source
from metrics.integrations._http.instruments import ABORTED, HTTPServer, error_type
from metrics.integrations._http.measurement import SECOND, Measurement
from metrics.integrations._providers import LifecycleOwner

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

INTERNAL_ERROR = 1011


class Middleware(Protocol):
    """Middleware of an application, whose parameters aiohttp's types name."""

    def __call__(self, request: web.Request, handler: Handler) -> Awaitable[web.StreamResponse]:
        """Answer a request."""


def metrics(registry: _providers.Source) -> Handler:
    """Return a handler of GET requests that serves all values, as `asgi.metrics` answers.

    Args:
        registry: the registry to serve, its provider, or a container with a provider `registry`.

    Raises:
        TypeError: `registry` is none of these.
    """
    application = asgi.metrics(registry)

    async def handler(request: web.Request) -> web.Response:
        scope: dict[str, Any] = {
            "type": "http",
            "method": request.method,
            "path": request.path,
            "query_string": request.rel_url.raw_query_string.encode(),
            "headers": [(name.lower(), value) for name, value in request.raw_headers],
        }
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await application(scope, None, send)
        start, body = sent
        headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return web.Response(status=start["status"], headers=headers, body=body["body"])

    return handler


def running(
    container: LifecycleOwner,
) -> Callable[[web.Application], AsyncIterator[None]]:
    """Return a cleanup context that starts a container with the application and stops it after.

    Args:
        container: the container.
    """

    async def context(_app: web.Application) -> AsyncIterator[None]:
        await wait_for(container.init_resources())
        try:
            yield
        finally:
            await wait_for(container.shutdown_resources())

    return context


async def wait_for(result: Any) -> None:
    """Wait for a start or a stop, if it has to be awaited."""
    if inspect.isawaitable(result):
        await result


def measured(http: Source) -> Middleware:
    """Return a middleware that measures requests and WebSocket connections; put it first.

    A request ends when the middleware returns: a prepared response has been sent by then, and the
    body of any other one is about to be. While the container is stopped, requests are served
    unmeasured, which is logged once; a container that starts again measures again.

    Args:
        http: the provider of the instruments, `http.server`; or the instruments themselves.

    Raises:
        TypeError: `http` is neither.
    """
    binding = Binding(http)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        server = binding.server
        if server is None or server.closed:
            server = binding.find()
        if server is None or is_measured(request, server):
            return await handler(request)
        # The router has run.
        resource = request.match_info.route.resource
        template = "" if resource is None else resource.canonical
        if template in server.excluded or request.path in server.excluded:
            return await handler(request)
        call = HandlerCall(server, binding, request, template)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await serve_websocket(call, server, request, handler)
        try:
            response = await handler(request)
        except web.HTTPMethodNotAllowed as error:
            call.template = template or await template_for_others(request, request.app)
            call.respond(error)
            raise
        except web.HTTPException as error:
            call.respond(error)
            raise
        except ConnectionResetError:
            call.finish(ABORTED)
            raise
        except BaseException as error:
            call.fail(error)
            raise
        call.respond(response)
        return response

    return middleware


def is_measured(request: web.Request, server: HTTPServer) -> bool:
    """Return whether a middleware of an outer application measures a request already."""
    call = getattr(request.writer.write_headers, "__self__", None)
    return isinstance(call, HandlerCall) and call.server is server


async def template_for_others(request: web.Request, app: web.Application) -> str:
    """Return the template of the route that answers other methods of a request; empty without."""
    for resource in app.router.resources():
        match, methods = await resource.resolve(request)
        if methods:
            # The resource of a sub-application has its prefix alone.
            below = [] if match is None else match.apps
            return await template_for_others(request, below[-1]) if below else resource.canonical
    return ""


async def serve_websocket(
    call: "HandlerCall", server: HTTPServer, request: web.Request, handler: Handler
) -> web.StreamResponse:
    """Serve a handshake, and the connection if it is accepted."""
    route, started = call.route(), server.now()
    connections = server.connections_of(route)
    code, error = 0, ""
    connections.enter()
    try:
        response = await handler(request)
    except web.HTTPException as refused:
        call.respond(refused)
        raise
    except BaseException as failure:
        error = error_type(failure)
        code = INTERNAL_ERROR if isinstance(failure, Exception) else 0
        raise
    else:
        if not isinstance(response, web.WebSocketResponse):
            call.respond(response)
        else:
            code = response.close_code or 0
        return response
    finally:
        connections.leave()
        if call.open:
            call.cancel()
            server.record_connection(route, (server.now() - started) / SECOND, code, error)


@final
class HandlerCall(Measurement):
    """Request to a handler of aiohttp under way, and its response."""

    __slots__ = ("_request", "_write_headers", "server", "template")

    def __init__(
        self, server: HTTPServer, binding: Binding, request: web.Request, template: str
    ) -> None:
        super().__init__(server, binding, request.method)
        self._request = request
        self.server = server
        self.template = template
        # A handler may prepare a response and raise, and no signal can be added after the start of
        # the application. A request has a writer of its own.
        writer: Any = request.writer
        self._write_headers = writer.write_headers
        writer.write_headers = self._begin

    async def _begin(self, status_line: str, headers: Any) -> None:
        """Write the beginning of a response."""
        self.begin(int(status_line.split(" ", 2)[1]))
        await self._write_headers(status_line, headers)

    def route(self) -> str:
        """Return the template of the route."""
        return self.template

    def length(self) -> str | None:
        """Return the Content-Length of the request; None without one."""
        return self._request.headers.get("Content-Length")

    def respond(self, response: web.StreamResponse) -> None:
        """Record the request with its response."""
        if not self.status:
            self.begin(response.status)
        body = response.body if isinstance(response, web.Response) else None
        if isinstance(body, bytes | bytearray):
            self.size = len(body)
        else:
            self.size = response.content_length or response.body_length
        self.finish()
