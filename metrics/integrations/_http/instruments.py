"""Instruments of one HTTP server, and their updates by method, route, status and error type."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, final

from metrics.instruments._inner import Real
from metrics.registry._inner import Registrations

WEBSOCKET_BOUNDS = (0.1, 1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)
"""Upper bounds of the durations of connections: a tenth of a second to a day."""

METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}
)

OTHER = "_OTHER"
"""Label of unknown methods, as OpenTelemetry has it."""

CANCELLED = "cancelled"
ABORTED = "aborted"

WITH_LENGTH = "requests with a Content-Length"

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


@final
class ActiveRequests:
    """Updates of the requests under way with one method.

    has_content: whether the method gives a meaning to the content of a request (RFC 9110, 9.3).
    """

    __slots__ = ("enter", "has_content", "leave", "method")

    def __init__(self, method: str, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self.method = method
        self.enter = enter
        self.leave = leave
        self.has_content = method not in {"GET", "HEAD"}


@final
class RequestSeries:
    """Updates for the end of a request with one method, route, status and error type."""

    __slots__ = ("duration", "request", "request_size", "response_size")

    def __init__(
        self,
        duration: Callable[[float], None],
        request_size: Callable[[float], None] | None,
        response_size: Callable[[float], None] | None,
        request: Callable[[], None] | None,
    ) -> None:
        self.duration = duration
        self.request_size = request_size
        self.response_size = response_size
        self.request = request


@final
class OpenConnections:
    """Updates of the WebSocket connections of one route."""

    __slots__ = ("enter", "leave")

    def __init__(self, enter: Callable[[], None], leave: Callable[[], None]) -> None:
        self.enter = enter
        self.leave = leave


def ignore(_value: float = 0.0) -> None:
    """Do nothing, for a route that is not measured."""


IGNORED = RequestSeries(ignore, None, None, None)


@final
class HTTPServer:
    """Instruments of one HTTP server, which the measured applications of a process share.

    Safe to use from any thread. An integration looks up the updates of a request in `active` and
    `series`, one dict lookup each, and calls `active_of` and `series_of` at the first request of
    its kind.

    Args:
        own: the registrations of the instruments.
        names: the names of the instruments.
        exclude: paths, and templates of routes, that are not measured.
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
        "_limit",
        "_request_sizes",
        "_requests",
        "_response_sizes",
        "_websocket_durations",
        "active",
        "closed",
        "excluded",
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
        self.excluded = exclude
        self._limit = max_series
        # Families, or None for sizes and a counter that are left out; any type, because compiled
        # code would refuse the stand-ins of a disabled registry.
        self._requests: Any = None
        self._request_sizes: Any = None
        self._response_sizes: Any = None
        if names.requests:
            self._requests = own.counters(
                names.requests, names.series, description="Requests", max_children=max_series
            )
        ending = "first byte" if first_byte else "end"
        self._durations: Any = duration_family(own, names, bounds, ending, max_series)
        if sizes:
            self._request_sizes = size_family(
                own, names.request_size, names.series, WITH_LENGTH, max_series
            )
            self._response_sizes = size_family(
                own,
                names.response_size,
                names.series,
                "responses, without their headers",
                max_series,
            )
        self._active: Any = own.updown_counters(
            names.active, (names.method,), description="Requests under way"
        )
        self._websocket_durations: Any = own.bucket_histograms(
            names.websocket_duration,
            names.websocket_series,
            WEBSOCKET_BOUNDS,
            unit="seconds",
            description="Time that WebSocket connections were open",
            max_children=max_series,
        )
        self._connections: Any = own.updown_counters(
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
        if route in self.excluded:
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
                None if received is None else request_size(received, labels),
                None if sent is None else response_size(method, sent.labels(*labels).update),
                None if requests is None else requests.labels(*labels).inc,
            ),
        )

    def _keep(self, key: tuple[object, ...], series: RequestSeries) -> RequestSeries:
        if len(self.series) < self._limit:
            self.series[key] = series
        return series

    def connections_of(self, route: str) -> OpenConnections:
        """Return the updates of the open WebSocket connections of a route."""
        if route in self.excluded:
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
        if route in self.excluded:
            return
        labels: tuple[str, ...] = (route, str(int(code)) if code else "", error)
        durations = self._websocket_durations
        durations.labels(*labels[: len(durations.labelnames)]).update(seconds)


def duration_family(
    own: Registrations, names: Any, bounds: Iterable[Real], ending: str, max_series: int
) -> Any:
    """Register the durations of requests; `ending` is what ends one, of the response."""
    return own.bucket_histograms(
        names.duration,
        names.series,
        bounds,
        unit="seconds",
        description=f"Time from the request to the {ending} of the response",
        max_children=max_series,
    )


def size_family(
    own: Registrations, name: str, labels: tuple[str, ...], measured: str, max_series: int
) -> Any:
    """Register the sizes of bodies."""
    return own.bucket_histograms(
        name, labels, unit="bytes", description=f"Bodies of {measured}", max_children=max_series
    )


def request_size(family: Any, labels: tuple[str, ...]) -> Callable[[float], None]:
    """Return the update of the size of a request: most routes get no body, and need no series."""
    return lambda value: family.labels(*labels).update(value)


def response_size(method: str, update: Callable[[float], None]) -> Callable[[float], None]:
    """Return the update of the size of a response: no body is sent for HEAD."""
    return (lambda _: update(0)) if method == "HEAD" else update


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
