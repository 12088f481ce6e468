"""Requests to Litestar are measured, with the templates of their routes."""

import pytest
from litestar import Litestar
from litestar import asgi as asgi_handler
from litestar import get as get_handler
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from metrics.integrations import asgi
from tests.integrations.asking import ask
from tests.integrations.measuring import get, recording


@pytest.fixture
def recorded():
    with recording() as found:
        yield found


def test_routes_are_templates(recorded):
    @get_handler("/items/{id:int}")
    async def item(id: FromPath[int]) -> str:  # noqa: A002
        return "item"

    @get_handler("/")
    async def home() -> str:
        return "home"

    @asgi_handler("/mounted", is_mount=True, copy_scope=True)
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"mounted"})

    app = asgi.Measured(
        Litestar([item, home, mounted], openapi_config=None, logging_config=None),
        http=recorded.server,
    )
    for path in ("/items/1", "/items/2", "/", "/mounted/x", "/none"):
        ask(app, path)
    ask(app, "/items/1", "POST")
    assert recorded.requests == {
        get("/items/{id}"): 2,
        get("/"): 1,
        get(""): 1,
        get("", 404): 1,
        get("", 405, method="POST"): 1,
    }


def test_the_frameworks_own_middleware_measures_the_requests_that_a_route_answers(recorded):
    @get_handler("/items/{id:int}")
    async def item(id: FromPath[int]) -> str:  # noqa: A002
        return "item"

    app = Litestar(
        [item], middleware=[DefineMiddleware(asgi.Measured, http=recorded.server)],
        openapi_config=None, logging_config=None,
    )  # fmt: skip
    assert [ask(app, path).status for path in ("/items/1", "/items/2", "/none")] == [200, 200, 404]
    assert recorded.requests == {get("/items/{id}"): 2}
    assert recorded.active == {("GET",): 0}
