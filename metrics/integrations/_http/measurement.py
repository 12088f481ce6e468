"""Measurement of one request, from its arrival to the end of its response.

The hot path: an integration creates a `Measurement` for each request and finishes it once.
"""

from metrics._native import mypyc_attr
from metrics.integrations._http.binding import Binding
from metrics.integrations._http.instruments import (
    ABORTED,
    CANCELLED,
    SERVER_ERROR,
    HTTPServer,
    error_type,
)

SECOND = 1e9

MOST_DIGITS = 18
"""Most digits of a Content-Length that is counted: below an exabyte."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Measurement:
    """Request under way; a subclass knows its route and its Content-Length.

    Args:
        server: the instruments.
        binding: reports a request that could not be measured.
        method: the method of the request.
    """

    __slots__ = ("_active", "_binding", "_ended", "_server", "_started", "open", "size", "status")

    def __init__(self, server: HTTPServer, binding: Binding, method: str) -> None:
        self._server = server
        self._binding = binding
        self._ended = 0
        self.open = True
        # Instruments of sizes take a float.
        self.size = 0.0
        self.status = 0
        self._active = active = server.active.get(method) or server.active_of(method)
        active.enter()
        self._started = server.now()

    def route(self) -> str:
        """Return the template of the route that has answered."""
        return ""

    def length(self) -> bytes | str | None:
        """Return the Content-Length of the request; None without one."""
        return None

    def begin(self, status: int) -> None:
        """Note the status at the beginning of the response."""
        self.status = status
        if self._server.first_byte:
            self._ended = self._server.now()

    def fail(self, error: BaseException) -> None:
        """Record a request whose application raised before the end of the response."""
        kind = error_type(error)
        if kind in {CANCELLED, ABORTED}:
            # The client is gone: it got no error that a framework sends for the exception.
            self.status = self.status if self.status < SERVER_ERROR else 0
        elif not self.status:
            self.status = SERVER_ERROR
        self.finish(kind)

    def cancel(self) -> None:
        """Record no request."""
        self.open = False
        self._active.leave()

    def finish(self, error: str = "") -> None:
        """Record the request, once; log an exception, because no request fails to be measured."""
        if not self.open:
            return
        self.open = False
        server, active, status = self._server, self._active, self.status
        seconds = ((self._ended or server.now()) - self._started) / SECOND
        active.leave()
        try:
            method, route = active.method, self.route()
            key = (method, route, status, error) if error else (method, route, status)
            series = server.series.get(key) or server.series_of(method, route, status, error)
            series.duration(seconds)
            if series.request is not None:
                series.request()
            if series.response_size is not None:
                series.response_size(self.size)
            if active.has_content and series.request_size is not None:
                length = self.length()
                if length and length.isdigit() and len(length) <= MOST_DIGITS:
                    series.request_size(float(length))
        except Exception as problem:  # noqa: BLE001 - as the docstring says
            self._binding.report(problem)
