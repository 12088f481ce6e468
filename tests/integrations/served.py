"""Measured applications that real servers serve: a factory for each framework."""

import asyncio
import sys

from metrics.integrations import aiohttp, asgi, http, wsgi
from metrics.lifecycle import MetricsContainer, Resource, lifespan


def noted():
    """Note the stop in the log of the server."""
    yield
    print("the container has stopped", file=sys.stderr, flush=True)  # noqa: T201


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    http = Resource(http.server, registry, exclude=["/metrics"])
    noted = Resource(noted)


def starlette():
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse, StreamingResponse
    from starlette.routing import Mount, Route, WebSocketRoute

    async def item(request):
        return PlainTextResponse(f"item {len(await request.body())}")

    async def endless(request):
        async def chunks():
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(chunks())

    async def echo(socket):
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    container = Container()
    app = Starlette(
        routes=[
            Route("/items/{id}", item, methods=["GET", "POST"]),
            Mount("/t/{tenant}", routes=[Route("/items/{id}", item)]),
            Route("/endless", endless),
            WebSocketRoute("/ws/{id}", echo),
        ],
        lifespan=lifespan(container),
    )
    app.add_route("/metrics", asgi.metrics(container.registry))
    app.add_middleware(asgi.Measured, http=container.http)
    return app


def fastapi():
    from fastapi import APIRouter, FastAPI, Request, WebSocket
    from starlette.responses import StreamingResponse

    container = Container()
    app = FastAPI(lifespan=lifespan(container))
    router = APIRouter()

    @router.api_route("/items/{id}", methods=["GET", "POST"])
    async def item(id: int, request: Request):  # noqa: A002
        return len(await request.body())

    @app.get("/endless")
    async def endless():
        async def chunks():
            while True:
                yield b"x" * 1000
                await asyncio.sleep(0.01)

        return StreamingResponse(chunks())

    @app.websocket("/ws/{id}")
    async def echo(socket: WebSocket, id: int):  # noqa: A002
        await socket.accept()
        async for text in socket.iter_text():
            await socket.send_text(text)

    app.include_router(router)
    app.include_router(router, prefix="/t/{tenant}")
    app.add_route("/metrics", asgi.metrics(container.registry))
    app.add_middleware(asgi.Measured, http=container.http)
    return app


def raw():  # noqa: C901
    """Return an application without a framework; its container is started by the lifespan."""
    container = Container()
    page = asgi.metrics(container.registry)

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await container.init_resources()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await container.shutdown_resources()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (message := await receive())["type"] == "websocket.receive":
                await send({"type": "websocket.send", "text": message["text"]})
        elif scope["path"] == "/metrics":
            await page(scope, receive, send)
        elif scope["path"] == "/endless":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(20):
                body = {"type": "http.response.body", "body": b"x" * 1000, "more_body": True}
                await send(body)
                await asyncio.sleep(0.01)
        else:
            found = scope["path"].startswith(("/items/", "/t/"))
            headers = [(b"content-length", b"6")]
            status = 200 if found else 404
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"item 0"})

    def template(scope):
        *prefix, place, last = scope["path"].split("/")
        if last in {"metrics", "endless"}:
            return scope["path"]
        if place not in {"items", "ws"}:
            return ""
        return "/t/{tenant}/items/{id}" if prefix[1:] else f"/{place}/{{id}}"

    return asgi.Measured(app, http=container.http, route=template)


def litestar():
    from litestar import Litestar, Request, WebSocket, route, websocket
    from litestar import asgi as asgi_handler
    from litestar.params import FromPath
    from litestar.types import Receive, Scope, Send

    container = Container()
    page = asgi.metrics(container.registry)

    @route("/items/{id:int}", http_method=["GET", "POST"], status_code=200)
    async def item(id: FromPath[int], request: Request) -> str:  # noqa: A002
        return f"item {len(await request.body())}"

    @route("/t/{tenant:str}/items/{id:int}", http_method=["GET"])
    async def tenants_item(tenant: FromPath[str], id: FromPath[int]) -> str:  # noqa: A002
        return "item"

    @websocket("/ws/{id:int}")
    async def echo(socket: WebSocket, id: FromPath[int]) -> None:  # noqa: A002
        await socket.accept()
        async for text in socket.iter_data():
            await socket.send_text(text)

    @asgi_handler("/metrics", copy_scope=True)
    async def metrics(scope: Scope, receive: Receive, send: Send) -> None:
        await page(scope, receive, send)

    app = Litestar(
        [item, tenants_item, echo, metrics],
        lifespan=[lifespan(container)],
        openapi_config=None,
        logging_config=None,
    )
    return asgi.Measured(app, http=container.http)


def flask():
    from flask import Flask, request
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    container = Container()
    app = Flask(__name__)

    @app.route("/items/<id>", methods=["GET", "POST"])
    @app.get("/t/<tenant>/items/<id>")
    def item(id, tenant=None):  # noqa: A002
        return f"item {len(request.data)}"

    @app.get("/endless")
    def endless():
        def chunks():
            while True:
                yield b"x" * 1000

        return chunks()

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": wsgi.metrics(container)})
    app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)
    return app


def aiohttp_application():
    from aiohttp import web

    container = Container()

    async def item(request):
        return web.Response(text=f"item {len(await request.read())}")

    app = web.Application(middlewares=[aiohttp.measured(container.http)])
    app.router.add_route("GET", "/items/{id}", item)
    app.router.add_route("POST", "/items/{id}", item)
    app.router.add_route("GET", "/t/{tenant}/items/{id}", item)
    app.router.add_get("/metrics", aiohttp.metrics(container))
    app.cleanup_ctx.append(aiohttp.running(container))
    return app


if __name__ == "__main__":
    from aiohttp import web

    web.run_app(aiohttp_application(), host="127.0.0.1", port=int(sys.argv[1]))
