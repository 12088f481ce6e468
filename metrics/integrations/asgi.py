"""ASGI applications that serve the values of a registry, and middleware that measures others.

Neither needs a framework. `Measured` measures the requests of an application:

    app.add_middleware(asgi.Measured, http=container.http)  # Starlette, FastAPI

`metrics` is one endpoint for any path:

    app.add_route("/metrics", asgi.metrics(container.registry))  # Starlette, FastAPI

`exposition` has a live page, JSON, health checks and go-ethereum's pages as well:

    app.mount("/", asgi.exposition(container))

Both are created with a registry, its provider, or a container, and look the registry up at each
request. So they can be created when a module is imported, which starts nothing: until the container
has started, and again when it has stopped, they answer 503 with the reason, except for the live
page, which shows the container then. Pass the provider itself and not a function that calls it,
which would start the container at the first scrape.

Starlette and FastAPI answer a request for `/metrics` with a redirect to `/metrics/` if an
application is mounted at `/metrics`, before the application is called. Prometheus follows it. To
have none, add `metrics` with `add_route`, once more for `/metrics/` if needed; or mount
`exposition` at `/`, where requests for other paths are answered as if it was not there: by routes
that were added later, a redirect to or from a trailing slash, or the 404 of the application.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from typing import Any, final

from metrics.integrations._dashboard.pages import DashboardPages
from metrics.integrations._dashboard.streaming import EventStream
from metrics.integrations._http.asgi import Application, MeasuredASGI, Message, Receive, Send
from metrics.integrations._providers import Source
from metrics.integrations._serving.exposition import (
    HEALTH_TIMEOUT,
    TIMEOUT,
    WINDOW,
    Answer,
    Exposition,
    PageRequest,
    PageResponse,
    Pending,
    last_segment,
    page_options,
    plain,
)
from metrics.options import boolean

Measured = MeasuredASGI

PASSED = "metrics.integrations.asgi.passed"
"""Key of the scope for the applications that have passed a request on to their router."""


def metrics(
    registry: Source,
    *,
    timeout: float | str | None = TIMEOUT,
    window: float | str | None = WINDOW,
    target: Mapping[str, str] | None = None,
    created: bool = False,
    escaping: str | None = None,
) -> Application:
    """Return an ASGI application that answers GET and HEAD with all values, at any path.

    The format is the one that the client prefers: Prometheus' text format or OpenMetrics, with
    gzip if accepted. `?name[]=`, once or more often, selects the metric families with these names,
    or with samples of these names. Other methods are answered with 405.

    A page is rendered in a thread of its own, of which a process has two at most, and concurrent
    requests for the same page share one rendering: they may get values that were read a moment
    before they were sent. A page that is not ready in time is answered with 503 and a line that
    names the instrument that hangs, which is logged once. The time is that of the header
    `X-Prometheus-Scrape-Timeout-Seconds`, less half a second for the answer and at most a minute.

    Args:
        registry: the registry to serve, its provider, or a container with a provider `registry`.
        timeout: seconds that a request without that header waits for a page.
        window: seconds, or a duration such as "1m". A page shows the values that a resetting timer
            has got in at least the last `window` seconds to every scraper, so that several scrapers
            do not take values from one another; use the longest scrape interval.
        target: labels of the process, such as `{"version": "1.2"}`, for the series `target_info`.
        created: whether OpenMetrics pages have `_created` samples, which double their series.
        escaping: `underscores`, `allow-utf-8`, `dots` or `values`: the names for scrapers that
            accept any of these, as Prometheus 3 does; by default as they request. Prometheus 3
            requests UTF-8 names, `rpc/requests_total`, where Prometheus 2 has
            `rpc_requests_total`; with `underscores` both have the same.

    Raises:
        TypeError: `registry` is none of these.
        TypeError, ValueError: `timeout` or `window` is no duration above 0, or another option
            is malformed.
    """
    options = page_options(window, target, created, escaping)
    return ASGIPages(Exposition(registry, options, timeout).metrics)


def exposition(
    registry: Source,
    *,
    title: str = "metrics",
    timeout: float | str | None = TIMEOUT,
    window: float | str | None = WINDOW,
    target: Mapping[str, str] | None = None,
    created: bool = False,
    escaping: str | None = None,
    health_timeout: float | str | None = HEALTH_TIMEOUT,
    dashboard: bool = True,
) -> Application:
    """Return an ASGI application with all pages of a registry.

    Below its mount:
        /: the live page for browsers, which accept HTML; the page `/metrics` for all other clients.
        /metrics: as `metrics` answers.
        /metrics.json: the values as JSON, under go-ethereum's keys.
        /healthz: runs the health checks; 200 when all are healthy, 503 if not.
        /debug/metrics: go-ethereum's expvar page.
        /debug/metrics/prometheus: go-ethereum's dialect of the text format.

    The live page shows the values of all instruments, and the graph of the container, as they
    change. Its files and events are below `/dashboard/`. It is read-only, and shows no value of the
    container's configuration. Nothing is read for it without a viewer, and once for each tick of
    the registry's ticker for all viewers, 100 at most.

    Each path may have a slash at its end. An unknown path is answered with 404; mounted at `/` in
    Starlette or FastAPI, it is answered as if nothing was mounted there.

    Args:
        registry: the registry to serve, its provider, or a container with a provider `registry`.
            The live page has no graph of a registry itself, whose container is unknown.
        title: the heading of the page at `/`.
        timeout: as for `metrics`.
        window: as for `metrics`.
        target: as for `metrics`.
        created: as for `metrics`.
        escaping: as for `metrics`.
        health_timeout: seconds that all health checks together may take.
        dashboard: False for a page of links at `/` in place of the live page.

    Raises:
        TypeError: `registry` is none of these.
        TypeError, ValueError: a time is no duration above 0, or another option is malformed.
    """
    options = page_options(window, target, created, escaping)
    exposed = Exposition(registry, options, timeout, title, health_timeout)
    if not boolean(dashboard, "dashboard", default=True):
        return ASGIPages(exposed.pages)
    return ASGIPages(DashboardPages(registry, title, exposed.pages).answer)


@final
class ASGIPages:
    """ASGI application of served pages.

    Args:
        answer: returns the response to a request, or None for an unknown path.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[[PageRequest], Answer | EventStream | None]) -> None:
        self._answer = answer

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await live(receive, send)
            return
        answer = self._answer(request_of(scope)) if scope["type"] == "http" else None
        if isinstance(answer, EventStream):
            refusal = answer.refusal(scope["method"])
            if refusal is None:
                await answer.send(scope, receive, send)
                return
            answer = refusal
        if isinstance(answer, Pending):
            answer = await wait(answer)
        if answer is not None:
            await respond(answer, scope, send)
        elif not await pass_on(self, scope, receive, send):
            await refuse(scope, send)


def request_of(scope: Message) -> PageRequest:
    """Return the request of an HTTP scope."""

    def header(name: str) -> str:
        wanted = name.encode("latin-1")
        # The lines of one header are one list (RFC 9110, section 5.3).
        return ", ".join(
            value.decode("latin-1") for key, value in scope["headers"] if key == wanted
        )

    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    # The path of a mounted application has its root in it, but some frameworks remove that.
    has_root = path == root or path.startswith(f"{root}/")
    below = path[len(root) :] if has_root else path
    query = scope.get("query_string", b"").decode(errors="replace")
    return PageRequest(scope["method"], below, last_segment(root + below), query, header)


async def wait(pending: Pending) -> PageResponse:
    """Return a response when it is ready, or when its time is up."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def wake() -> None:
        # The loop may be closed, if its server has abandoned the request.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    with pending.join(wake) as flight:
        with suppress(TimeoutError):
            async with asyncio.timeout(pending.seconds):
                await ended.wait()
        return pending.response(flight)


async def respond(response: PageResponse, scope: Message, send: Send) -> None:
    """Send a response."""
    status, headers, body = response.complete(scope["method"])
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def pass_on(application: object, scope: Message, receive: Receive, send: Send) -> bool:
    """Have the router in which an application is mounted at "/" answer without that mount.

    Starlette's router, and FastAPI's, end their search at the first mount that matches, and one at
    "/" matches all paths.

    Returns:
        False, with nothing sent, if the application is not mounted at "/" in such a router.
    """
    router = scope.get("router")
    passed = [*scope.get(PASSED, ()), application]
    routes: Iterable[Any] = getattr(router, "routes", ())
    others = [route for route in routes if not is_mount(route, passed)]
    if not any(is_mount(route, [application]) for route in routes):
        return False
    scope[PASSED] = passed
    # Of the mount: the values for the route that answers are set again.
    scope.pop("endpoint", None)
    scope.pop("route", None)
    rest: Any = copy(router)
    rest.routes = others
    # Not the router itself, which would call its middleware a second time.
    await getattr(rest, "app", rest)(scope, receive, send)
    return True


def is_mount(route: object, applications: list[object]) -> bool:
    """Return whether a route mounts one of some applications at "/"."""
    mounted = getattr(route, "app", None), getattr(route, "_base_app", None)
    return getattr(route, "path", None) == "" and any(
        application is one for application in applications for one in mounted
    )


async def refuse(scope: Message, send: Send) -> None:
    """Answer a request for an unknown path."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
    else:
        await respond(plain(404, "Not Found"), scope, send)


async def live(receive: Receive, send: Send) -> None:
    """Confirm the start and the stop of a server; there is nothing to do for either."""
    while True:
        message = await receive()
        event = message["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return
