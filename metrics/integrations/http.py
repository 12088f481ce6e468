"""Instruments of HTTP servers, which `asgi`, `wsgi`, `django` and `aiohttp` update.

A container declares them once, and an application is measured with one line:

    class Container(MetricsContainer):
        http = Resource(http.server, MetricsContainer.registry)

    app.add_middleware(asgi.Measured, http=container.http)     # Starlette, FastAPI
    app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)  # Flask

Names, labels and buckets follow OpenTelemetry's semantic conventions for HTTP servers; a Prometheus
page has underscores for dots:

| instrument | labels |
| --- | --- |
| `http.server.request.duration`, in seconds | `http.request.method`, `http.route`, `http.response.status_code`, `error.type` |
| `http.server.request.body.size`, in bytes | as above |
| `http.server.response.body.size`, in bytes | as above |
| `http.server.active_requests` | `http.request.method` |
| `websocket.server.connection.duration`, in seconds | `http.route`, `websocket.close_code`, `error.type` |
| `websocket.server.active_connections` | `http.route` |

The number of requests is the count of their durations. With `names="prometheus"` the instruments
are `http_requests_total`, `http_request_duration_seconds`, `http_request_size_bytes` and
`http_response_size_bytes` by `method`, `handler` and `status`; `http_requests_inprogress` by
`method`; and `websocket_connection_duration_seconds` by `handler` and `code` and
`websocket_connections_active` by `handler`.

Labels never hold values that a client chooses freely:

- a method that is not in RFC 9110, nor PATCH, is `_OTHER`
- a route is its template, `/items/{id}`, and empty if no route answers: 404, a redirect to a slash
- the error type is `cancelled`; `aborted`, if the client left before the end of the response; the
  class of the exception that left the application; the status, if that is 500 or above; or empty
- the status is the one that was sent, empty if there was none; an exception before a response is
  a 500

The content of a request is counted if it has a Content-Length, and that of a response by its bytes.
That of a GET or HEAD request has no meaning (RFC 9110, section 9.3) and is not counted. The names
of Prometheus have no error type: a request that failed after its status was sent has that status.
"""  # noqa: E501 - rows of a table

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from metrics._fork import survives_fork
from metrics.instruments._inner import Real, Whole, size
from metrics.integrations._binding import registration
from metrics.integrations._http.instruments import HTTPServer, Names
from metrics.options import is_unset
from metrics.registry import Registry

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the durations of requests in seconds, as OpenTelemetry has them."""

MAX_SERIES = 1000
"""Default limit for the combinations of method, route, status and error type."""

NAMES = {
    "opentelemetry": Names(
        "",
        "http.server.request.duration",
        "http.server.request.body.size",
        "http.server.response.body.size",
        "http.server.active_requests",
        ("http.request.method", "http.route", "http.response.status_code", "error.type"),
        "http.request.method",
        "websocket.server.connection.duration",
        "websocket.server.active_connections",
        ("http.route", "websocket.close_code", "error.type"),
        "http.route",
    ),
    "prometheus": Names(
        "http_requests_total",
        "http_request_duration_seconds",
        "http_request_size_bytes",
        "http_response_size_bytes",
        "http_requests_inprogress",
        ("method", "handler", "status"),
        "method",
        "websocket_connection_duration_seconds",
        "websocket_connections_active",
        ("handler", "code"),
        "handler",
    ),
}


@survives_fork
@contextmanager
def server(
    registry: Registry,
    *,
    names: str | None = None,
    exclude: Iterable[str] = (),
    max_series: Whole = MAX_SERIES,
    bounds: Iterable[Real] = BOUNDS,
    first_byte: bool = False,
    sizes: bool = True,
) -> Iterator[HTTPServer]:
    """Register the instruments of an HTTP server.

    Memory is bounded: above `max_series` combinations of method, route, status and error type, all
    others share one series whose labels are `_overflow`.

    Args:
        registry: the registry of the instruments.
        names: `opentelemetry`, the default, or `prometheus`, for existing dashboards.
        exclude: paths, such as `/metrics`, and templates of routes that are not measured. As the
            route is known after the application has run, requests for a template with parameters
            count as active meanwhile.
        max_series: the largest number of combinations of labels.
        bounds: upper bounds of the durations of requests, in seconds.
        first_byte: whether a duration ends with the first byte of the response and not with the
            last.
        sizes: whether the sizes of bodies are measured too.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    dialect = "opentelemetry" if is_unset(names) else names
    if dialect not in NAMES:
        raise ValueError(f"invalid names {names!r}: use 'opentelemetry' or 'prometheus'")
    if isinstance(exclude, str):
        raise TypeError(f"invalid exclude {exclude!r}: use a sequence, as [{exclude!r}]")
    create = partial(
        HTTPServer,
        names=NAMES[dialect],
        exclude=frozenset(exclude),
        max_series=size("max_series", max_series),
        bounds=tuple(bounds),
        first_byte=first_byte,
        sizes=sizes,
        now=registry.clock.monotonic_ns,
    )
    with registration(registry, create) as instruments:
        yield instruments
