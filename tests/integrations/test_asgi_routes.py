"""Routes of Starlette and FastAPI are their templates, with those of their mounts."""

import asyncio
import functools

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from metrics.integrations import asgi
from tests.integrations.asking import ask
from tests.integrations.measuring import get, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


def answer(request):
    return PlainTextResponse("answer")


def other(request):
    return PlainTextResponse("other")


def measured(app, recorded):
    app.add_middleware(asgi.Measured, http=recorded.server)
    return app


def starlette(recorded, *routes):
    return measured(Starlette(routes=list(routes)), recorded)


def test_a_route_is_its_template(recorded):
    app = starlette(recorded, Route("/items/{id:int}", answer), Route("/", other))
    for path in ("/items/1", "/items/2", "/"):
        assert ask(app, path).status == 200
    assert recorded.requests == {get("/items/{id}"): 2, get("/"): 1}


def test_a_method_that_is_not_allowed_head_and_options_keep_the_route(recorded):
    app = starlette(recorded, Route("/items/{id}", answer))
    for method in ("HEAD", "OPTIONS", "POST", "BREW"):
        ask(app, "/items/1", method)
    assert recorded.requests == {
        get("/items/{id}", method="HEAD"): 1,
        get("/items/{id}", 405, method="OPTIONS"): 1,
        get("/items/{id}", 405, method="POST"): 1,
        get("/items/{id}", 405, method="_OTHER"): 1,
    }


def test_a_preflight_is_answered_by_no_route(recorded):
    app = Starlette(routes=[Route("/items/{id}", answer)])
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    measured(app, recorded)
    fields = {"Origin": "https://x", "Access-Control-Request-Method": "GET"}
    ask(app, "/items/1", "OPTIONS", **{key.lower(): value for key, value in fields.items()})
    assert recorded.requests == {get("", method="OPTIONS"): 1}


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_unknown_paths_and_redirects_are_one_value(framework, recorded):
    app = framework()
    app.add_route("/items/", answer)
    measured(app, recorded)
    for path in ("/none", "/nothing/1", "/items"):
        ask(app, path)
    assert recorded.requests == {get("", 404): 2, get("", 307): 1}


def test_a_mount_with_parameters_has_their_names_and_no_values(recorded):
    app = starlette(
        recorded,
        Mount("/t/{tenant}", routes=[
            Route("/users/{id}", answer),
            Mount("/deep/{level:int}", routes=[Route("/", other)]),
        ]),
    )  # fmt: skip
    for path in ("/t/42/users/7", "/t/43/users/8", "/t/42/deep/1/", "/t/42/none", "/t/1/deep/2/x"):
        ask(app, path)
    assert recorded.requests == {
        get("/t/{tenant}/users/{id}"): 2,
        get("/t/{tenant}/deep/{level}/"): 1,
        get("/t/{tenant}", 404): 1,
        get("/t/{tenant}/deep/{level}", 404): 1,
    }


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
@pytest.mark.parametrize("inner", [Starlette, FastAPI])
def test_an_application_that_is_mounted_twice_has_both_templates(framework, inner, recorded):
    below = inner()
    below.add_route("/users/{id}", answer)
    app = framework()
    app.mount("/v1", below)
    app.mount("/v2/{region}", below)
    measured(app, recorded)
    for path in ("/v1/users/1", "/v2/eu/users/1", "/v2/us/users/2", "/v1/none", "/v2/eu/none"):
        ask(app, path)
    assert recorded.requests == {
        get("/v1/users/{id}"): 1,
        get("/v2/{region}/users/{id}"): 2,
        get("/v1", 404): 1,
        get("/v2/{region}", 404): 1,
    }


def test_an_endpoint_of_two_routes_has_both_templates(recorded):
    app = FastAPI()
    app.get("/a/{id}")(other)
    app.get("/b/{id}")(other)
    app.add_route("/c/{id}", answer)
    app.add_route("/d/{id}", answer)
    measured(app, recorded)
    for name in "abcd":
        ask(app, f"/{name}/1?request=x")
    assert recorded.requests == {get(f"/{name}/{{id}}"): 1 for name in "abcd"}


def test_included_routers_have_their_prefixes(recorded):
    router, nested, app = APIRouter(prefix="/users"), APIRouter(prefix="/posts"), FastAPI()

    @router.get("/{id}")
    def user(id: int):  # noqa: A002
        return id

    @nested.get("/{post}")
    def post(post: int):
        return post

    router.add_route("/plain/{id}", answer)
    router.include_router(nested, prefix="/{id}")
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    measured(app, recorded)
    for version in ("v1", "v2"):
        ask(app, f"/{version}/users/1")
        ask(app, f"/{version}/users/1/posts/2")
        ask(app, f"/{version}/plain/2")
        ask(app, f"/{version}/users/1", "DELETE")
    assert recorded.requests == {
        labels: 1
        for version in ("v1", "v2")
        for labels in (
            get(f"/{version}/users/{{id}}"),
            get(f"/{version}/users/{{id}}/posts/{{post}}"),
            get(f"/{version}/plain/{{id}}"),
            get(f"/{version}/users/{{id}}", 405, method="DELETE"),
        )
    }


def test_included_routers_of_a_mounted_application_have_both_prefixes(recorded):
    router, inner, app = APIRouter(), FastAPI(), FastAPI()

    @router.get("/users/{id}")
    def user(id: int):  # noqa: A002
        return id

    inner.include_router(router, prefix="/v1")
    app.mount("/t/{tenant}", inner)
    app.include_router(router)
    measured(app, recorded)
    ask(app, "/t/x/v1/users/1")
    ask(app, "/users/1")
    assert recorded.requests == {get("/t/{tenant}/v1/users/{id}"): 1, get("/users/{id}"): 1}


def test_the_pages_of_fastapi_have_their_routes(recorded):
    inner, app = FastAPI(), FastAPI()
    app.mount("/sub", inner)
    measured(app, recorded)
    paths = ("/docs", "/openapi.json", "/sub/docs", "/sub/openapi.json")
    for path in paths:
        assert ask(app, path).status == 200
    assert recorded.requests == {get(path): 1 for path in paths}


@pytest.mark.parametrize("framework", [Starlette, FastAPI])
def test_static_files_and_opaque_applications_are_their_mount(framework, recorded, tmp_path):
    (tmp_path / "file.txt").write_text("text")

    async def opaque(scope, receive, send):
        await PlainTextResponse("opaque")(scope, receive, send)

    app = framework()
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/opaque", opaque)
    measured(app, recorded)
    for path in ("/static/file.txt", "/static/none.txt", "/opaque/a/b"):
        ask(app, path)
    assert recorded.requests == {
        get("/static"): 1,
        get("/static", 404): 1,
        get("/opaque"): 1,
    }


def test_an_application_inside_a_middleware_is_mounted_all_the_same(recorded):
    inner = Starlette(routes=[Route("/x/{id}", answer)])
    app = starlette(recorded, Mount("/wrapped", GZipMiddleware(inner)))
    ask(app, "/wrapped/x/1")
    assert recorded.requests == {get("/wrapped/x/{id}"): 1}


def test_a_router_that_no_walk_finds_has_its_own_template(recorded):
    scopes = []
    inner = Router([Route("/x/{id}", answer)])

    async def hidden(scope, receive, send):
        scopes.append(scope)
        await inner(scope, receive, send)

    app = starlette(recorded, Mount("/hidden", hidden))
    ask(app, "/hidden/x/1")
    ask(app, "/hidden/x/2")
    # Starlette below 1.0 leaves the endpoint alone, which has no template.
    template = "/x/{id}" if "route" in scopes[0] else ""
    assert recorded.requests == {get(template): 2}


def test_hosts_are_walked(recorded):
    api = Router([Route("/x/{id}", answer)])
    app = starlette(recorded, Host("api.example.org", api), Route("/y", other))
    ask(app, "/x/1", host="api.example.org")
    assert recorded.requests == {get("/x/{id}"): 1}


def test_the_root_of_the_server_is_no_route(recorded):
    below = Starlette(routes=[Route("/x/{id}", answer)])
    app = FastAPI()
    app.mount("/v1", below)
    app.mount("/v2", below)
    measured(app, recorded)

    async def server(scope, receive, send):
        await app(scope | {"root_path": "/api"}, receive, send)

    ask(server, "/api/v2/x/1")
    ask(server, "/api/v1/x/1")
    assert recorded.requests == {get("/v2/x/{id}"): 1, get("/v1/x/{id}"): 1}


def test_routes_that_are_added_later_are_found(recorded):
    app = FastAPI()
    measured(app, recorded)
    ask(app, "/none")
    for number in range(12):
        app.add_route(f"/{number}/{{id}}", functools.partial(answer))
        ask(app, f"/{number}/1")
    # The routes are walked eight times at most; the rest is not matched.
    assert sum(recorded.requests.values()) == 13
    assert get("/7/{id}") in recorded.requests
    assert not any("/1" in labels[1] and "{" not in labels[1] for labels in recorded.requests)


def test_the_cost_does_not_depend_on_the_number_of_routes(recorded):
    calls = []

    class Counted(Route):
        def __getattribute__(self, name):
            calls.append(name)
            return super().__getattribute__(name)

    app = starlette(recorded, *[Counted(f"/{number}/{{id}}", answer) for number in range(50)])
    ask(app, "/0/1")
    bare = Starlette(routes=app.routes)
    calls.clear()
    ask(bare, "/0/1")
    expected = len(calls)
    calls.clear()
    ask(app, "/0/1")
    assert len(calls) <= expected + 1


def test_excluded_routes_are_not_measured():
    with recording(exclude=["/metrics", "/health/{kind}"]) as recorded:
        app = starlette(
            recorded,
            Route("/metrics", answer), Route("/health/{kind}", answer), Route("/items", answer),
        )  # fmt: skip
        for path in ("/metrics", "/health/live", "/health/ready", "/items", "/metrics"):
            ask(app, path)
        assert recorded.requests == {get("/items"): 1}
        assert recorded.active == {("GET",): 0}


def test_a_raw_application_has_no_route(recorded):
    async def app(scope, receive, send):
        await PlainTextResponse("raw")(scope, receive, send)

    ask(asgi.Measured(app, http=recorded.server), "/any/1")
    assert recorded.requests == {get(""): 1}
    assert asyncio.iscoroutinefunction(app)
