"""An ASGI application that serves what a registry holds."""

import asyncio
import zlib
from collections.abc import Callable, Iterator
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, final

from metrics.exporters import json, openmetrics, prometheus
from metrics.instruments._inner import describe
from metrics.integrations._negotiation import accepts_gzip, prefers_openmetrics
from metrics.registry import Registry

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PAGE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.6 system-ui, sans-serif; max-width: 40rem; margin: 4rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0; }
p { margin: .25rem 0 2rem; opacity: .7; }
dl { margin: 0; border-top: 1px solid #8884; }
dl div { display: flex; gap: 1.5rem; padding: .75rem 0; border-bottom: 1px solid #8884; }
dt { flex: 0 0 9rem; font-family: ui-monospace, monospace; }
dd { margin: 0; }
a { color: LinkText; text-decoration: none; }
a:hover { text-decoration: underline; }
"""

GZIP_LEVEL = 1
"""Pages say the same again and again: the least effort makes them small already."""

GZIP_FORMAT = 31

PAGES = {
    "metrics": "All values in Prometheus' text format or in OpenMetrics, to be scraped.",
    "metrics.json": "All values as JSON, under go-ethereum's keys.",
    "healthz": "Runs the health checks: 200 when all is well, 503 if not.",
}


def exposition(
    registry: Registry, *, title: str = "metrics", health_timeout: float = 5.0
) -> "Starlette":
    """Return an ASGI application with a registry's values, its health, and a page of links.

    The routes are relative to where it is mounted: `metrics`, `metrics.json`, `healthz`,
    `debug/metrics/prometheus` as go-ethereum has it, and the page itself. `metrics` is Prometheus'
    text format, or OpenMetrics for who asks for that; `?name[]=`, once or more often, asks for the
    metric families with these names, or with samples of these names. Pages are made in a thread,
    and compressed there for who accepts gzip.

    Args:
        registry: what is served.
        title: the heading of the page.
        health_timeout: seconds that all health checks together may take.

    Raises:
        ImportError: Starlette is not installed.
    """
    try:
        from starlette.applications import Starlette  # noqa: PLC0415
        from starlette.exceptions import HTTPException  # noqa: PLC0415
        from starlette.responses import HTMLResponse, PlainTextResponse  # noqa: PLC0415
        from starlette.routing import Route  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("exposition needs Starlette: pip install wired-metrics[agent]") from error

    async def text(request: "Request") -> "Response":
        names = request.query_params.getlist("name[]")
        exporter = openmetrics if prefers_openmetrics(field(request, "accept")) else prometheus
        return await served(
            request,
            exporter.CONTENT_TYPE,
            "Accept, Accept-Encoding",
            lambda: exporter.stream(registry, names=names),
        )

    async def as_geth(request: "Request") -> "Response":
        names = request.query_params.getlist("name[]")
        return await served(
            request,
            prometheus.CONTENT_TYPE,
            "Accept-Encoding",
            lambda: prometheus.stream(
                registry, dialect="go-ethereum", names=names, reader="go-ethereum"
            ),
        )

    async def as_json(request: "Request") -> "Response":
        return await served(
            request, json.CONTENT_TYPE, "Accept-Encoding", lambda: json.stream(registry)
        )

    checks = Checks(registry, health_timeout)

    async def health(_request: "Request") -> "Response":
        healthy, report = await checks.outcome()
        return PlainTextResponse(report, 200 if healthy else 503, HEADERS)

    async def index(_request: "Request") -> "Response":
        return HTMLResponse(page(title, len(registry)), headers=PAGE_HEADERS)

    async def refused(_request: "Request", error: Exception) -> "Response":
        status = error.status_code if isinstance(error, HTTPException) else 500
        allowed = getattr(error, "headers", None) or {}
        return PlainTextResponse(HTTPStatus(status).phrase + "\n", status, {**HEADERS, **allowed})

    return Starlette(
        exception_handlers={HTTPException: refused},
        routes=[
            Route("/", index),
            Route("/metrics", text),
            Route("/metrics.json", as_json),
            Route("/debug/metrics/prometheus", as_geth),
            Route("/healthz", health),
        ],
    )


async def served(
    request: "Request", content_type: str, vary: str, stream: Callable[[], Iterator[bytes]]
) -> "Response":
    """Return the answer that has a page, compressed if the client wants that."""
    from starlette.responses import Response  # noqa: PLC0415 - an optional dependency

    headers = {**HEADERS, "Content-Type": content_type, "Vary": vary}
    compressed = accepts_gzip(field(request, "accept-encoding"))
    if compressed:
        headers["Content-Encoding"] = "gzip"
    if request.method == "HEAD":
        # It must not make a page, which would take what a resetting timer holds for it.
        response = Response(headers=headers)
        del response.headers["Content-Length"]
        return response
    body = await asyncio.to_thread(gzipped if compressed else b"".join, stream())
    return Response(body, headers=headers)


def field(request: "Request", name: str) -> str:
    """Return a header, all its lines as one."""
    return ", ".join(request.headers.getlist(name))


def gzipped(chunks: Iterator[bytes]) -> bytes:
    """Return chunks as one gzip file. Other threads run while a chunk is compressed."""
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORMAT)
    parts = [compressor.compress(chunk) for chunk in chunks]
    return b"".join([*parts, compressor.flush()])


@final
class Checks:
    """Runs a registry's health checks in a thread, one run at a time whoever asks."""

    def __init__(self, registry: Registry, seconds: float) -> None:
        self._registry = registry
        self._seconds = seconds
        self._run: asyncio.Future[dict[str, Exception | None]] | None = None

    async def outcome(self) -> tuple[bool, str]:
        """Return whether all is well, and a line for each check."""
        # A check that hangs holds one thread, however often its health is asked for.
        if self._run is None or self._run.done():
            self._run = asyncio.ensure_future(asyncio.to_thread(self._registry.run_healthchecks))
        try:
            errors = await asyncio.wait_for(asyncio.shield(self._run), self._seconds)
        except TimeoutError:
            return False, f"FAIL the health checks did not end within {self._seconds:g} s\n"
        if not errors:
            return True, "ok\n"
        lines = [
            f"ok {name}\n" if error is None else f"FAIL {name}: {describe(error)}\n"
            for name, error in errors.items()
        ]
        return all(error is None for error in errors.values()), "".join(lines)


def page(title: str, count: int) -> str:
    """Return the page that links the others."""
    rows = "".join(
        f'<div><dt><a href="{path}">/{path}</a></dt><dd>{escape(about)}</dd></div>\n'
        for path, about in PAGES.items()
    )
    instruments = "1 instrument" if count == 1 else f"{count} instruments"
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n"
        f"<h1>{escape(title)}</h1>\n<p>{instruments}</p>\n<dl>\n{rows}</dl>\n</html>\n"
    )
