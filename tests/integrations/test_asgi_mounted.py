"""The applications in real frameworks, at any path, beside the routes of the host."""

import asyncio
import subprocess
import sys

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute

from metrics import Registry
from metrics.integrations import asgi
from tests.integrations.asking import ask, asked

PAGE = "# HELP hits_total hits (Counter)\n# TYPE hits_total counter\nhits_total 1\n"
BROWSER = "text/html,*/*;q=0.8"

frameworks = pytest.mark.parametrize("framework", [Starlette, FastAPI])


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.counter("hits").inc()
    return registry


async def home(request) -> PlainTextResponse:
    return PlainTextResponse("home")


def test_no_framework_is_loaded():
    code = (
        "import sys, metrics.integrations.wsgi; assert 'asyncio' not in sys.modules; "
        "import metrics.integrations.asgi; "
        "print({'starlette', 'uvicorn', 'dependency_injector'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@frameworks
def test_an_endpoint_is_a_route_without_a_redirect(framework, registry):
    app = framework()
    app.add_route("/metrics", asgi.metrics(registry))
    app.add_route("/internal/metrics/", asgi.metrics(registry))
    for path in ("/metrics", "/internal/metrics/"):
        assert ask(app, path)[::2] == (200, PAGE)
        assert ask(app, path, accept=BROWSER)[::2] == (200, PAGE)
        head = ask(app, path, "HEAD")
        assert (head.status, head.text) == (200, "")
        refused = ask(app, path, "POST")
        assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD")


@frameworks
@pytest.mark.parametrize("path", ["/", "/metrics", "/metrics/", "/any/other"])
def test_an_endpoint_answers_alone_and_mounted_at_any_path(path, framework, registry):
    endpoint = asgi.metrics(registry)
    assert ask(endpoint, path)[::2] == (200, PAGE)
    app = framework()
    app.mount("/prometheus", endpoint)
    assert ask(app, f"/prometheus{path}")[::2] == (200, PAGE)


@frameworks
def test_all_pages_are_served_below_a_mount(framework, registry):
    app = framework()
    app.mount("/metrics", asgi.exposition(registry, dashboard=False))
    # The framework redirects before it calls the application.
    assert ask(app, "/metrics").headers["Location"].endswith("/metrics/")
    assert ask(app, "/metrics/")[::2] == (200, PAGE)
    assert ask(app, "/metrics/metrics")[::2] == (200, PAGE)
    assert ask(app, "/metrics/healthz/")[::2] == (200, "ok\n")
    assert ask(app, "/metrics/debug/metrics")[::2] == (200, '{"hits": 1}')
    index = ask(app, "/metrics/", accept=BROWSER)
    assert 'href="metrics.json"' in index.text
    assert ask(app, "/metrics/nothing")[::2] == (404, "Not Found\n")
    assert ask(app, "/metrics/nothing", "POST")[::2] == (404, "Not Found\n")


def test_links_are_right_without_a_slash_at_the_end(registry):
    pages = asgi.exposition(registry, dashboard=False)

    async def mounting(scope, receive, send) -> None:
        await pages({**scope, "root_path": "/x/a b&c"}, receive, send)

    assert 'href="a%20b%26c/metrics.json"' in ask(mounting, "/x/a b&c", accept=BROWSER).text
    assert 'href="metrics.json"' in ask(mounting, "/x/a b&c/", accept=BROWSER).text


@frameworks
def test_mounted_at_the_root_the_pages_leave_everything_else_as_it_was(framework, registry):
    def hosted(*applications):
        app = framework()
        app.add_route("/before/", home)
        for application in applications:
            app.mount("/", application)
        app.add_route("/later", home)
        app.add_route("/posted", home, methods=["POST"])
        return app

    bare = hosted()
    mounted = hosted(asgi.exposition(registry))
    twice = hosted(asgi.exposition(Registry()), asgi.exposition(registry))
    for path in ("/before/", "/before", "/later", "/later/", "/posted", "/nothing", "/nothing/"):
        for method in ("GET", "HEAD", "POST"):
            expected = ask(bare, path, method)
            assert ask(mounted, path, method) == expected
            assert ask(twice, path, method) == expected
    assert ask(mounted, "/metrics")[::2] == (200, PAGE)
    assert ask(mounted, "/metrics/")[::2] == (200, PAGE)
    assert ask(mounted, "/")[::2] == (200, PAGE)


@frameworks
def test_mounted_at_the_root_the_hosts_own_404_is_kept(framework, registry):
    async def missing(request, error) -> PlainTextResponse:
        return PlainTextResponse(f"no {request.url.path}", 404)

    app = framework(exception_handlers={404: missing})
    app.mount("/", asgi.exposition(registry))
    assert ask(app, "/nothing")[::2] == (404, "no /nothing")
    assert ask(app, "/healthz")[::2] == (200, "ok\n")


def test_mounted_at_the_root_with_middleware_of_its_own(registry):
    seen = []

    class Seeing:
        def __init__(self, app) -> None:
            self.app = app

        async def __call__(self, scope, receive, send) -> None:
            seen.append(scope["path"])
            await self.app(scope, receive, send)

    mount = Mount("/", asgi.exposition(registry), middleware=[Middleware(Seeing)])
    app = Starlette(routes=[mount, Route("/later", home)], middleware=[Middleware(Seeing)])
    assert ask(app, "/later")[::2] == (200, "home")
    assert ask(app, "/nothing").status == 404
    assert seen == ["/later", "/later", "/nothing", "/nothing"]


def test_included_routers_of_fastapi_stay_reachable(registry):
    app = FastAPI()
    app.mount("/", asgi.exposition(registry))
    router = APIRouter(prefix="/api")
    router.add_api_route("/users/{user}", lambda user: {"user": user})
    app.include_router(router)
    assert ask(app, "/api/users/7").text == '{"user":"7"}'
    assert ask(app, "/api/users").status == 404


def test_deeper_mounts_have_their_own_404(registry):
    inner = Router(routes=[Mount("/", asgi.exposition(registry))])
    app = Starlette(routes=[Mount("/api", inner), Mount("/", asgi.exposition(registry))])
    assert ask(app, "/api/metrics")[::2] == (200, PAGE)
    assert ask(app, "/api/nothing")[::2] == (404, "Not Found\n")


def test_a_websocket_is_closed_and_a_lifespan_confirmed(registry):
    sent = []

    async def send(message) -> None:
        sent.append(message["type"])

    async def serve() -> None:
        app = asgi.exposition(registry)
        events = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, str]:
            return {"type": next(events)}

        await app({"type": "websocket", "path": "/metrics", "headers": []}, receive, send)
        await app({"type": "lifespan"}, receive, send)

    asyncio.run(serve())
    assert sent == ["websocket.close", "lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_websockets_of_the_host_are_reached_past_the_mount(registry):
    sent = []

    async def chat(websocket) -> None:
        await websocket.accept()
        await websocket.close()

    routes = [Mount("/", asgi.exposition(registry)), WebSocketRoute("/chat", chat)]
    app = Starlette(routes=routes)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    async def send(message) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/chat", "headers": [], "query_string": b""}
    asyncio.run(app(scope, receive, send))
    assert sent == ["websocket.accept", "websocket.close"]


def test_the_root_path_may_have_been_removed_from_the_path(registry):
    async def stripping(scope, receive, send) -> None:
        scope = {**scope, "root_path": "/prometheus", "path": scope["path"]}
        await asgi.exposition(registry)(scope, receive, send)

    for path in ("/metrics", "/prometheus/metrics", "/prometheus", "/prometheus/", "/"):
        assert ask(stripping, path)[::2] == (200, PAGE)
    assert ask(stripping, "/prometheusmetrics").status == 404


def test_header_lines_of_one_name_are_one_list(registry):
    async def doubled(scope, receive, send) -> None:
        lines = [(b"accept", b"text/plain;q=0.1"), (b"accept", b"application/openmetrics-text")]
        await asgi.metrics(registry)({**scope, "headers": lines}, receive, send)

    assert asyncio.run(asked(doubled, "/")).headers["Content-Type"].startswith("application/open")
