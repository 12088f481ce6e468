"""WSGI applications that serve the values of a registry, and one that measures others.

None needs a framework. `measured` measures the requests of an application:

    app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)  # Flask

`metrics` is one endpoint for any path, and `exposition` has all pages. For Flask, before
`measured`, so that the first scrape starts the container as any other request does:

    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/metrics": wsgi.metrics(container)})

As the applications of `asgi`, these two look the registry up at each request, and answer 503 with
the reason while its container does not run.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, final
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from metrics.integrations._http.wsgi import (
    measured as measured,  # noqa: PLC0414 - re-exported
)
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


def metrics(
    registry: Source,
    *,
    timeout: float | str | None = TIMEOUT,
    window: float | str | None = WINDOW,
    target: Mapping[str, str] | None = None,
    created: bool = False,
    escaping: str | None = None,
) -> WSGIApplication:
    """Return a WSGI application that answers GET and HEAD with all values, at any path.

    It answers as `asgi.metrics`, with the same limits. The thread of the request waits for the
    rendering, which another thread makes; keep `timeout` below that of the server's workers.

    Args:
        registry: the registry to serve, its provider, or a container with a provider `registry`.
        timeout: seconds that a request waits for a page, if its scraper sends no limit.
        window: as for `asgi.metrics`, and so are the others.
        target: labels of the series `target_info`.
        created: whether OpenMetrics pages have `_created` samples.
        escaping: the scheme of names for scrapers that request any.

    Raises:
        TypeError: `registry` is none of these.
        TypeError, ValueError: `timeout` or `window` is no duration above 0, or another option
            is malformed.
    """
    options = page_options(window, target, created, escaping)
    return WSGIPages(Exposition(registry, options, timeout).metrics)


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
) -> WSGIApplication:
    """Return a WSGI application with all pages of a registry, as `asgi.exposition` has them.

    Args:
        registry: the registry to serve, its provider, or a container with a provider `registry`.
        title: the heading of the index page.
        timeout: as for `metrics`.
        window: as for `metrics`.
        target: as for `metrics`.
        created: as for `metrics`.
        escaping: as for `metrics`.
        health_timeout: seconds that all health checks together may take.

    Raises:
        TypeError: `registry` is none of these.
        TypeError, ValueError: a time is no duration above 0, or another option is malformed.
    """
    options = page_options(window, target, created, escaping)
    exposed = Exposition(registry, options, timeout, title, health_timeout)
    return WSGIPages(exposed.pages)


@final
class WSGIPages:
    """WSGI application of served pages.

    Args:
        answer: returns the response to a request, or None for an unknown path.
    """

    __slots__ = ("_answer",)

    def __init__(self, answer: Callable[[PageRequest], Answer | None]) -> None:
        self._answer = answer

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        request = request_of(environ)
        answer = self._answer(request)
        if isinstance(answer, Pending):
            answer = wait(answer)
        response = answer or plain(404, "Not Found")
        status, headers, body = response.complete(request.method)
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers))
        return [body] if body else []


def request_of(environ: WSGIEnvironment) -> PageRequest:
    """Return the request of an environment."""

    def header(name: str) -> str:
        value: str = environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return value

    root, path = text(environ.get("SCRIPT_NAME", "")), text(environ.get("PATH_INFO", ""))
    return PageRequest(
        environ["REQUEST_METHOD"],
        path,
        last_segment(root + path),
        text(environ.get("QUERY_STRING", "")),
        header,
    )


def text(value: Any) -> str:
    """Return the text of a value of the environment, whose characters are bytes (PEP 3333)."""
    return str(value).encode("latin-1", "replace").decode(errors="replace")


def wait(pending: Pending) -> PageResponse:
    """Return a response when it is ready, or when its time is up."""
    ended = threading.Event()
    with pending.join(ended.set) as flight:
        ended.wait(pending.seconds)
        return pending.response(flight)
