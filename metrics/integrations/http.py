"""Instruments of HTTP servers, which `asgi`, `wsgi`, `django` and `aiohttp` update.

A container declares them once, and an application is measured with one line:

    class Container(MetricsContainer):
        http = Resource(http.server, MetricsContainer.registry)

    app.add_middleware(asgi.Measured, http=container.http)     # Starlette, FastAPI
    app.wsgi_app = wsgi.measured(app.wsgi_app, container.http)  # Flask

Names, labels and buckets follow OpenTelemetry's semantic conventions for HTTP servers; label names
have underscores for dots:

| instrument | labels |
| --- | --- |
| `http.server.request.duration`, in seconds | `http_request_method`, `http_route`, `http_response_status_code`, `error_type` |
| `http.server.request.body.size`, in bytes | as above |
| `http.server.response.body.size`, in bytes | as above |
| `http.server.active_requests` | `http_request_method` |
| `websocket.server.connection.duration`, in seconds | `http_route`, `websocket_close_code`, `error_type` |
| `websocket.server.active_connections` | `http_route` |

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

The content of a request is counted if it has a Content-Length; that of a response by its bytes.
"""  # noqa: E501 - rows of a table

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, final

from metrics._fork import survives_fork
from metrics.instruments import BucketHistogram, Counter, Family, UpDownCounter
from metrics.instruments._inner import Real, Whole, size
from metrics.options import is_unset
from metrics.registry import Registry
from metrics.registry._inner import Registrations

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Upper bounds of the durations of requests in seconds, as OpenTelemetry has them."""

WEBSOCKET_BOUNDS = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper bounds of the durations of connections: a tenth of a second to a day."""

MAX_SERIES = 1000
"""Default limit for the combinations of method, route, status and error type."""

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)

OTHER = "_OTHER"
"""Label of unknown methods, as OpenTelemetry has it."""

CANCELLED = "cancelled"
ABORTED = "aborted"

SERVER_ERROR = 500
"""Lowest status of an error of the server."""


class Names(NamedTuple):
    """Names of the instruments and their labels; an empty name for no instrument.

    requests: the counter of requests.
    series: the labels of a request; the method, the route, the status and perhaps the error type.
    """

    requests: str
    duration: str
    request_size: str
    response_size: str
    active: str
    series: tuple[str, ...]
    method: str
    websocket_duration: str
    websocket_active: str
    websocket_series: tuple[str, ...]
    route: str


NAMES = {
    "opentelemetry": Names(
        "",
        "http.server.request.duration",
        "http.server.request.body.size",
        "http.server.response.body.size",
        "http.server.active_requests",
        ("http_request_method", "http_route", "http_response_status_code", "error_type"),
        "http_request_method",
        "websocket.server.connection.duration",
        "websocket.server.active_connections",
        ("http_route", "websocket_close_code", "error_type"),
        "http_route",
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


class ActiveRequests(NamedTuple):
    """Updates of the requests under way with one method."""

    method: str
    enter: Callable[[], None]
    leave: Callable[[], None]


class RequestSeries(NamedTuple):
    """Updates for the end of a request with one method, route, status and error type."""

    duration: Callable[[float], None]
    request_size: Callable[[float], None]
    response_size: Callable[[float], None]
    request: Callable[[], None] | None


class OpenConnections(NamedTuple):
    """Updates of the WebSocket connections of one route."""

    enter: Callable[[], None]
    leave: Callable[[], None]


def ignore(_value: float = 0.0) -> None:
    """Do nothing, for an instrument that is left out."""


IGNORED = RequestSeries(ignore, ignore, ignore, None)


@final
class HTTPServer:
    """Instruments of one HTTP server, which the measured applications of a process share.

    Safe to use from any thread. An integration looks up the updates of a request in `active` and
    `series`, one dict lookup each, and calls `active_of` and `series_of` at the first request of
    its kind.

    Args:
        own: the registrations of the instruments.
        names: the names of the instruments.
        exclude: templates of routes that are not measured.
        max_series: the largest number of label combinations.
        bounds: upper bounds of durations in seconds.
        first_byte: whether durations end with the first byte of a response.
        sizes: whether the sizes of bodies are measured.
        now: returns the time in nanoseconds.
    """

    __slots__ = (
        "_active",
        "_connections",
        "_durations",
        "_excluded",
        "_limit",
        "_request_sizes",
        "_requests",
        "_response_sizes",
        "_websocket_durations",
        "active",
        "closed",
        "first_byte",
        "now",
        "series",
    )

    def __init__(
        self,
        own: Registrations,
        names: Names,
        exclude: frozenset[str],
        max_series: int,
        bounds: Iterable[Real],
        first_byte: bool,
        sizes: bool,
        now: Callable[[], int],
    ) -> None:
        self.active: dict[str, ActiveRequests] = {}
        self.series: dict[tuple[object, ...], RequestSeries] = {}
        self.closed = False
        self.first_byte = first_byte
        self.now = now
        self._excluded = exclude
        self._limit = max_series
        self._requests: Family[Counter] | None = None
        self._request_sizes: Family[BucketHistogram] | None = None
        self._response_sizes: Family[BucketHistogram] | None = None
        if names.requests:
            self._requests = own.counters(
                names.requests, names.series, description="Requests", max_children=max_series
            )
        self._durations = own.bucket_histograms(
            names.duration,
            names.series,
            bounds,
            unit="seconds",
            description="Time from the request to the "
            + ("first byte of the response" if first_byte else "end of the response"),
            max_children=max_series,
        )
        if sizes:
            self._request_sizes = own.bucket_histograms(
                names.request_size,
                names.series,
                unit="bytes",
                description="Bodies of requests with a Content-Length",
                max_children=max_series,
            )
            self._response_sizes = own.bucket_histograms(
                names.response_size,
                names.series,
                unit="bytes",
                description="Bodies of responses, without their headers",
                max_children=max_series,
            )
        self._active: Family[UpDownCounter] = own.updown_counters(
            names.active, (names.method,), description="Requests under way"
        )
        self._websocket_durations = own.bucket_histograms(
            names.websocket_duration,
            names.websocket_series,
            WEBSOCKET_BOUNDS,
            unit="seconds",
            description="Time that WebSocket connections were open",
            max_children=max_series,
        )
        self._connections: Family[UpDownCounter] = own.updown_counters(
            names.websocket_active,
            (names.route,),
            description="Open WebSocket connections",
            max_children=max_series,
        )

    def active_of(self, method: str) -> ActiveRequests:
        """Return the updates of the requests under way with a method, and keep them in `active`."""
        known = method if method in METHODS else OTHER
        found = self.active.get(known)
        if found is None:
            gauge = self._active.labels(known)
            found = self.active[known] = ActiveRequests(known, gauge.inc, gauge.dec)
        return found

    def series_of(self, method: str, route: str, status: int, error: str = "") -> RequestSeries:
        """Return the updates of requests of one kind, and keep them in `series`.

        Above the limit, all requests share the overflow series, whose updates are not kept.

        Args:
            method: the method, as in `ActiveRequests`.
            route: the template of the route.
            status: the status; 0 if none was sent.
            error: the error type; by default the status, if it is that of a server's error.
        """
        key = (method, route, status, error) if error else (method, route, status)
        if route in self._excluded:
            return self._keep(key, IGNORED)
        text = str(int(status)) if status else ""
        error = error or (text if status >= SERVER_ERROR else "")
        labels: tuple[str, ...] = (method, route, text, error)
        # Prometheus' names have no error type.
        labels = labels[: len(self._durations.labelnames)]
        requests, received, sent = self._requests, self._request_sizes, self._response_sizes
        return self._keep(
            key,
            RequestSeries(
                self._durations.labels(*labels).update,
                ignore if received is None else request_size(received, labels),
                ignore if sent is None else response_size(method, sent.labels(*labels).update),
                None if requests is None else requests.labels(*labels).inc,
            ),
        )

    def _keep(self, key: tuple[object, ...], series: RequestSeries) -> RequestSeries:
        if len(self.series) < self._limit:
            self.series[key] = series
        return series

    def connections_of(self, route: str) -> OpenConnections:
        """Return the updates of the open WebSocket connections of a route."""
        if route in self._excluded:
            return OpenConnections(ignore, ignore)
        gauge = self._connections.labels(route)
        return OpenConnections(gauge.inc, gauge.dec)

    def record_connection(self, route: str, seconds: float, code: int, error: str) -> None:
        """Record the end of a WebSocket connection.

        Args:
            route: the template of the route.
            seconds: the time since the connection was accepted.
            code: the close code; 0 if there was none.
            error: the error type; empty without an error.
        """
        if route in self._excluded:
            return
        labels: tuple[str, ...] = (route, str(int(code)) if code else "", error)
        durations = self._websocket_durations
        durations.labels(*labels[: len(durations.labelnames)]).update(seconds)


def request_size(
    family: Family[BucketHistogram], labels: tuple[str, ...]
) -> Callable[[float], None]:
    """Return the update of the size of a request: most routes get no body, and need no series."""
    return lambda value: family.labels(*labels).update(value)


def response_size(method: str, update: Callable[[float], None]) -> Callable[[float], None]:
    """Return the update of the size of a response: no body is sent for HEAD."""
    return (lambda _: update(0)) if method == "HEAD" else update


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
        exclude: templates of routes that are not measured, such as `/metrics`.
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
    registrations = Registrations(registry)
    try:
        instruments = HTTPServer(
            registrations,
            NAMES[dialect],
            frozenset(exclude),
            size("max_series", max_series),
            tuple(bounds),
            first_byte,
            sizes,
            registry.clock.monotonic_ns,
        )
        try:
            yield instruments
        finally:
            instruments.closed = True
    finally:
        registrations.close()


def error_type(error: BaseException) -> str:
    """Return the error type of an exception that left an application.

    A cancelled request is no error of the server; neither is a client that left, for which
    Starlette and its like raise `ClientDisconnect`.
    """
    kind: Any = type(error)
    name: str = kind.__qualname__
    if name in {"CancelledError", "GeneratorExit"}:
        return CANCELLED if name == "CancelledError" else ABORTED
    if name == "ClientDisconnect":
        return ABORTED
    return name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}"
