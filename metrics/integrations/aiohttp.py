"""Middleware that measures aiohttp's server, and a container that lives as long as it.

app = web.Application(middlewares=[aiohttp.measured(container.http)])
app.cleanup_ctx.append(aiohttp.running(container))
"""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, final

from aiohttp import web

from metrics.integrations._binding import Binding, Source
from metrics.integrations._measurement import SECOND, Measurement
from metrics.integrations.http import ABORTED, HTTPServer, error_type

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Middleware = Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]

INTERNAL_ERROR = 1011


class LifecycleOwner(Protocol):
    """Container whose resources are started and stopped."""

    def init_resources(self) -> Any:
        """Start the resources."""

    def shutdown_resources(self) -> Any:
        """Stop the resources."""


def running(container: LifecycleOwner) -> Callable[[web.Application], AsyncIterator[None]]:
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

    A response whose handler raises after its beginning has the status 200.

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
        if server is None:
            return await handler(request)
        call = HandlerCall(server, binding, request)
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await serve_websocket(call, server, request, handler)
        try:
            response = await handler(request)
        except web.HTTPMethodNotAllowed as error:
            call.template = call.template or await template_for_others(request)
            call.respond(error)
            raise
        except web.HTTPException as error:
            call.respond(error)
            raise
        except BaseException as error:
            call.fail_begun(error)
            raise
        call.respond(response)
        return response

    return middleware


async def template_for_others(request: web.Request) -> str:
    """Return the template of the route that answers other methods of a request; empty without."""
    for resource in request.app.router.resources():
        _, methods = await resource.resolve(request)
        if methods:
            return resource.canonical
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

    __slots__ = ("_request", "template")

    def __init__(self, server: HTTPServer, binding: Binding, request: web.Request) -> None:
        super().__init__(server, binding, request.method)
        self._request = request
        # The router has run; the template has the prefixes of the applications around the route.
        resource = request.match_info.route.resource
        self.template = "" if resource is None else resource.canonical

    def route(self) -> str:
        """Return the template of the route."""
        return self.template

    def length(self) -> str | None:
        """Return the Content-Length of the request; None without one."""
        return self._request.headers.get("Content-Length")

    def respond(self, response: web.StreamResponse) -> None:
        """Record the request with its response."""
        self.begin(response.status)
        body = response.body if isinstance(response, web.Response) else None
        if isinstance(body, bytes | bytearray):
            self.size = len(body)
        else:
            self.size = response.content_length or response.body_length
        self.finish()

    def fail_begun(self, error: BaseException) -> None:
        """Record a request whose handler raised, perhaps after the beginning of its response."""
        if self._request.writer.output_size:
            self.begin(200)
        if isinstance(error, ConnectionResetError):
            self.finish(ABORTED)
        else:
            self.fail(error)
