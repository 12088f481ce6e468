"""Served pages of a registry: routes, statuses, headers and limits, for any kind of server.

No function here reads or writes a socket: `asgi` and `wsgi` pass requests in, wait for pending
responses, and send them.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from html import escape
from logging import getLogger
from typing import NamedTuple, final
from urllib.parse import parse_qs, quote

from metrics.errors import LifecycleError
from metrics.exporters._exposition.escaping import checked_escaping
from metrics.instruments._inner import checked_labels, describe
from metrics.integrations._providers import Source, check_source, resolve
from metrics.integrations._serving.negotiation import Format, accepts_gzip, negotiate, prefers_html
from metrics.integrations._serving.pages import (
    RENDERINGS,
    PageKind,
    PageOptions,
    ServedPage,
    report_overdue,
    report_ready,
    seconds_to_wait,
)
from metrics.integrations._serving.single_flight import Flight, SingleFlight
from metrics.options import boolean, seconds
from metrics.registry import Registry

logger = getLogger("metrics.integrations")

Headers = tuple[tuple[str, str], ...]

HEALTH = SingleFlight("metrics-health", 8)
"""Runs of health checks, each of one registry. Each check has a limit of its own."""

TIMEOUT = 10.0
"""Default limit of a page in seconds: Prometheus' own default."""

WINDOW = 60.0
"""Default seconds for which pages show the values of a resetting timer: Prometheus' interval."""

HEALTH_TIMEOUT = 5.0

MOST_PARAMETERS = 1000
"""Most parameters of a query."""

HEADERS: Headers = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
PLAIN = ("Content-Type", "text/plain; charset=utf-8")
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
HTML_HEADERS: Headers = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Vary", "Accept, Accept-Encoding"),
    ("Content-Security-Policy", POLICY),
)

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 44rem; margin: 4rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0; }
p { margin: .25rem 0 2rem; opacity: .7; }
dl { margin: 0; border-top: 1px solid #8884; }
dl div { display: flex; gap: 1.5rem; padding: .75rem 0; border-bottom: 1px solid #8884; }
dt { flex: 0 0 15rem; font-family: ui-monospace, monospace; }
dd { margin: 0; }
a { color: LinkText; text-decoration: none; }
a:hover { text-decoration: underline; }
"""

LINKS = {
    "metrics": "All values in Prometheus' text format or in OpenMetrics, to be scraped.",
    "metrics.json": "All values as JSON, under go-ethereum's keys.",
    "healthz": "Runs the health checks: 200 when all is well, 503 if not.",
    "debug/metrics": "All values as go-ethereum's expvar page has them.",
    "debug/metrics/prometheus": "All values in go-ethereum's dialect of the text format.",
}


class PageRequest(NamedTuple):
    """Request for a page."""

    method: str
    path: str
    """The path below the mount: empty, or with a slash at its beginning."""
    location: str
    """The last segment of the whole path, if no slash follows it; links are relative to it."""
    query: str
    header: Callable[[str], str]
    """Returns the value of a header by its name in lower case; empty without one."""


class PageResponse(NamedTuple):
    """Response with the headers of its kind; `complete` adds the headers of all responses."""

    status: int
    headers: Headers
    body: bytes

    def complete(self, method: str) -> "PageResponse":
        """Return the response to send for a method, with all its headers."""
        length = (("Content-Length", str(len(self.body))),)
        own = {name for name, _ in self.headers}
        common = tuple([pair for pair in HEADERS if pair[0] not in own])
        if method == "HEAD":
            # The length of a page is known only when it is rendered; other bodies are short.
            return PageResponse(self.status, common + self.headers, b"")
        return PageResponse(self.status, common + self.headers + length, self.body)


@final
class Pending:
    """Response that needs the result of a call in another thread.

    Args:
        flights: makes the call.
        key: the identity of the result.
        function: returns the result.
        seconds: the longest wait.
        response: returns the response when the call has ended or the time is up.
    """

    __slots__ = ("_flights", "_function", "_key", "response", "seconds")

    def __init__(
        self,
        flights: SingleFlight,
        key: tuple[object, ...],
        function: Callable[[], object],
        seconds: float,
        response: Callable[[Flight], PageResponse],
    ) -> None:
        self._flights = flights
        self._key = key
        self._function = function
        self.seconds = seconds
        self.response = response

    def join(self, wake: Callable[[], object]) -> AbstractContextManager[Flight]:
        """Share the call in the block, as `SingleFlight.join`."""
        return self._flights.join(self._key, self._function, wake)


Answer = PageResponse | Pending
Route = Callable[[PageRequest, Registry], Answer]


def page_options(
    window: float | str | None,
    target: Mapping[str, str] | None,
    created: bool,
    escaping: str | None,
) -> PageOptions:
    """Return the options of an endpoint; raise TypeError or ValueError if one is malformed."""
    return PageOptions(
        seconds(window, "window", WINDOW),
        checked_labels(target or {}),
        boolean(created, "created", default=False),
        "" if escaping is None else checked_escaping(escaping),
    )


@final
class Exposition:
    """Pages of the registry that a source provides at each request.

    Args:
        source: a registry, its provider, or a container.
        options: the options of the pages.
        timeout: seconds that a request waits for a page without a header of its scraper.
        title: the heading of the index page.
        health_timeout: seconds that a request waits for the health checks.

    Raises:
        TypeError: `source` can provide no registry.
        TypeError, ValueError: a time is no duration above 0.
    """

    def __init__(
        self,
        source: Source,
        options: PageOptions,
        timeout: float | str | None,
        title: str = "metrics",
        health_timeout: float | str | None = None,
    ) -> None:
        check_source(source)
        self._options = options
        self._source = source
        self._title = title
        self._timeout = seconds(timeout, "timeout", TIMEOUT)
        self._health_timeout = seconds(health_timeout, "health_timeout", HEALTH_TIMEOUT)

    def metrics(self, request: PageRequest) -> Answer:
        """Answer with the values, in the format that the client prefers."""
        return self._answer(request, self._page)

    def pages(self, request: PageRequest) -> Answer | None:
        """Answer a request for any page; return None for an unknown path."""
        routes: dict[str, Route] = {
            "": self._root,
            "/metrics": self._page,
            "/metrics.json": partial(self._page, kind=PageKind.JSON),
            "/healthz": self._health,
            "/debug/metrics": partial(self._page, kind=PageKind.EXPVAR),
            "/debug/metrics/prometheus": partial(self._page, kind=PageKind.GETH),
        }
        route = routes.get(request.path.rstrip("/"))
        return None if route is None else self._answer(request, route)

    def _answer(self, request: PageRequest, route: Route) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            return plain(405, "use GET or HEAD", ("Allow", "GET, HEAD"))
        try:
            registry = resolve(self._source)
        except LifecycleError as error:
            return plain(503, describe(error))
        return route(request, registry)

    def _root(self, request: PageRequest, registry: Registry) -> Answer:
        if not prefers_html(request.header("accept")):
            return self._page(request, registry)
        index = render_index(self._title, len(registry), request.location)
        return PageResponse(200, HTML_HEADERS, index.encode())

    def _format(self, request: PageRequest) -> Format:
        """Return the format that the client prefers, with the escaping scheme of the endpoint."""
        preferred = negotiate(request.header("accept"))
        if preferred.escaping and self._options.escaping:
            return preferred._replace(escaping=self._options.escaping)
        return preferred

    def _page(
        self, request: PageRequest, registry: Registry, kind: PageKind = PageKind.METRICS
    ) -> Answer:
        """Answer with a page, or with the headers that it would have."""
        compressed = accepts_gzip(request.header("accept-encoding"))
        page = ServedPage(registry, kind, self._options, compressed)
        vary = "Accept-Encoding"
        if kind is PageKind.METRICS:
            vary = "Accept, Accept-Encoding"
            page = page._replace(format=self._format(request))
        if kind in {PageKind.METRICS, PageKind.GETH}:
            try:
                page = page._replace(names=requested_names(request.query))
            except ValueError:
                return plain(400, f"too many parameters: use at most {MOST_PARAMETERS}")
        headers: Headers = (("Content-Type", page.content_type), ("Vary", vary))
        if compressed:
            headers += (("Content-Encoding", "gzip"),)
        if request.method == "HEAD":
            # A rendering would be wasted, and would wait for hanging instruments.
            return PageResponse(200, headers, b"")
        seconds = seconds_to_wait(
            request.header("x-prometheus-scrape-timeout-seconds"), self._timeout
        )

        def response(flight: Flight) -> PageResponse:
            if not flight.done:
                return plain(503, report_overdue(flight, seconds))
            if flight.error is not None:
                return failure(flight.error)
            report_ready(page)
            assert isinstance(flight.result, bytes)  # noqa: S101 - returned by ServedPage.render()
            return PageResponse(200, headers, flight.result)

        return Pending(RENDERINGS, page, page.render, seconds, response)

    def _health(self, _request: PageRequest, registry: Registry) -> Pending:
        """Answer with the results of all health checks, run now."""
        seconds = self._health_timeout

        def response(flight: Flight) -> PageResponse:
            if not flight.done:
                return plain(503, f"FAIL the health checks did not end within {seconds:g} s")
            if flight.error is not None:
                return failure(flight.error)
            errors: dict[str, Exception | None] = flight.result  # type: ignore[assignment]
            lines = [
                f"ok {name}" if error is None else f"FAIL {name}: {describe(error)}"
                for name, error in errors.items()
            ]
            healthy = all(error is None for error in errors.values())
            return plain(200 if healthy else 503, "\n".join(lines) or "ok")

        return Pending(HEALTH, (registry,), registry.run_healthchecks, seconds, response)


def requested_names(query: str) -> frozenset[str]:
    """Return the values of `name[]` in a query; raise ValueError for too many parameters."""
    fields = parse_qs(
        query, keep_blank_values=True, errors="replace", max_num_fields=MOST_PARAMETERS
    )
    return frozenset(fields.get("name[]", ()))


def plain(status: int, text: str, *headers: tuple[str, str]) -> PageResponse:
    """Return a response of plain text, with a line feed at its end."""
    return PageResponse(status, (PLAIN, *headers), f"{text}\n".encode(errors="replace"))


def failure(error: BaseException) -> PageResponse:
    """Log an exception of a page; return the response, which does not expose it."""
    logger.error("a page could not be rendered", exc_info=error)
    return plain(500, "the page could not be rendered; the reason is in the log of the program")


def last_segment(path: str) -> str:
    """Return the last segment of a path, empty if a slash follows it."""
    return path.rpartition("/")[2]


def render_index(title: str, count: int, location: str) -> str:
    """Return the page that links the others.

    Args:
        title: the heading.
        count: the number of instruments.
        location: the last segment of the page's own path, which links have to repeat.
    """
    base = f"{quote(location, safe='')}/" if location else ""
    rows = "".join(
        f'<div><dt><a href="{escape(base + path)}">/{path}</a></dt><dd>{escape(about)}</dd></div>\n'
        for path, about in LINKS.items()
    )
    instruments = "1 instrument" if count == 1 else f"{count} instruments"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n<p>{instruments}</p>\n<dl>\n{rows}</dl>\n</html>\n"
    )
