"""Instruments of HTTP clients, which the transports of httpx update.

A container declares them once, and each client gets a transport that measures its requests:

    @contextmanager
    def open_api(calls: HTTPClient) -> Iterator[httpx.Client]:
        with httpx.Client(transport=calls.transport()) as api:
            yield api

    class Container(MetricsContainer):
        calls = Resource(integrations.httpx.client, MetricsContainer.registry)
        api = Resource(open_api, calls)

A URL has no template unless the request names one:

    api.get(f"/items/{number}", extensions={"url_template": "/items/{number}"})

Names, labels and buckets follow OpenTelemetry's semantic conventions for HTTP clients; a
Prometheus page has underscores for dots:

| instrument | labels |
| --- | --- |
| `http.client.request.duration`, in seconds | `http.request.method`, `server.address`, `server.port`, `url.template`, `http.response.status_code`, `error.type` |
| `http.client.request.body.size`, in bytes | as above |
| `http.client.response.body.size`, in bytes | as above |
| `http.client.active_requests` | `server.address`, `server.port` |

- a method that is not in RFC 9110, nor PATCH, is `_OTHER`
- the template is empty without an extension `url_template`; a redirected request keeps that of the
  first one
- the error type is `cancelled`; the class of the exception that the transport raised, before or
  within the body; the status, if that is 400 or above; or empty. A response that the program closes
  before its end is no error
- the status is empty if there was none
- a response that the program neither reads nor closes is under way, and never counted

Each request that a transport sends is counted: redirects and the requests of an authentication too,
the connection attempts of `HTTPTransport(retries=)` not. The content of a request is counted if it
has a Content-Length; that of a response by its bytes as received, before decompression.
"""  # noqa: E501 - rows of a table

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, Self, final

from metrics._extras import require_extra

with require_extra("httpx"):
    import httpx

from metrics._fork import survives_fork
from metrics.instruments import BucketHistogram, Family, UpDownCounter
from metrics.instruments._inner import Real, Whole, size
from metrics.integrations._binding import registration
from metrics.integrations._failures import Failures
from metrics.integrations._http.instruments import (
    METHODS,
    OTHER,
    WITH_LENGTH,
    duration_family,
    error_type,
    size_family,
)
from metrics.integrations.http import BOUNDS, MAX_SERIES
from metrics.registry import Registry
from metrics.registry._inner import Registrations

TEMPLATE = "url_template"
"""Extension of a request that names the template of its URL."""

SECOND = 1e9

CLIENT_ERROR = 400
"""Lowest status of an error."""

PORTS: dict[str, int | str] = {"http": 80, "https": 443}


class HTTPClientNames(NamedTuple):
    """Names of the instruments and their labels."""

    duration: str
    request_size: str
    response_size: str
    active: str
    series: tuple[str, ...]
    server: tuple[str, ...]


NAMES = HTTPClientNames(
    "http.client.request.duration",
    "http.client.request.body.size",
    "http.client.response.body.size",
    "http.client.active_requests",
    (
        "http.request.method",
        "server.address",
        "server.port",
        "url.template",
        "http.response.status_code",
        "error.type",
    ),
    ("server.address", "server.port"),
)


@final
class HTTPClient:
    """Instruments that the transports of a program's clients share. Safe to use from any thread.

    After the stop of the container, `closed` is true and transports send requests unmeasured.

    Args:
        own: the registrations of the instruments.
        max_series: the largest number of label combinations.
        bounds: upper bounds of durations in seconds.
        first_byte: whether durations end with the headers of a response.
        sizes: whether the sizes of bodies are measured.
        now: returns the time in nanoseconds.
    """

    __slots__ = (
        "_active",
        "_durations",
        "_failures",
        "_request_sizes",
        "_response_sizes",
        "closed",
        "first_byte",
        "now",
    )

    def __init__(
        self,
        own: Registrations,
        max_series: int,
        bounds: Iterable[Real],
        first_byte: bool,
        sizes: bool,
        now: Callable[[], int],
    ) -> None:
        self.closed = False
        self.first_byte = first_byte
        self.now = now
        self._failures = Failures("a request")
        ending = "headers" if first_byte else "end"
        self._durations = duration_family(own, NAMES, bounds, ending, max_series)
        self._request_sizes: Family[BucketHistogram] | None = None
        self._response_sizes: Family[BucketHistogram] | None = None
        if sizes:
            self._request_sizes = size_family(
                own, NAMES.request_size, NAMES.series, WITH_LENGTH, max_series
            )
            self._response_sizes = size_family(
                own, NAMES.response_size, NAMES.series, "responses, as received", max_series
            )
        self._active: Family[UpDownCounter] = own.updown_counters(
            NAMES.active, NAMES.server, description="Requests under way", max_children=max_series
        )

    def transport(self, inner: httpx.BaseTransport | None = None) -> httpx.BaseTransport:
        """Return a transport for `httpx.Client(transport=)` or `mounts=` that measures requests.

        httpx ignores the options `verify`, `cert`, `http2`, `limits` and `proxy` of a client that
        has a transport, and the proxies of the environment: pass them to the inner transport.

        Args:
            inner: the transport that sends the requests; by default `httpx.HTTPTransport()`.
        """
        return MeasuredTransport(httpx.HTTPTransport() if inner is None else inner, self)

    def async_transport(
        self, inner: httpx.AsyncBaseTransport | None = None
    ) -> httpx.AsyncBaseTransport:
        """Return a transport for `httpx.AsyncClient`, as `transport` does for `httpx.Client`.

        Args:
            inner: the transport that sends the requests; by default `httpx.AsyncHTTPTransport()`.
        """
        return AsyncMeasuredTransport(httpx.AsyncHTTPTransport() if inner is None else inner, self)

    def begin(self, request: httpx.Request) -> "ClientRequest | None":
        """Return the measurement of a request that begins; None after the stop."""
        if self.closed:
            return None
        with self._failures:
            url = request.url
            server = url.host, str(url.port or PORTS.get(url.scheme, ""))
            method = request.method if request.method in METHODS else OTHER
            template = str(request.extensions.get(TEMPLATE, ""))
            length = request.headers.get("Content-Length", "")
            active = self._active.labels(*server)
            return ClientRequest(self, (method, *server, template), length, active)
        return None

    def record(
        self, labels: tuple[str, ...], seconds: float, request_size: str, response_size: int
    ) -> None:
        """Record a request that has ended; log a failure."""
        with self._failures:
            self._durations.labels(*labels).update(seconds)
            if self._request_sizes is not None and request_size:
                self._request_sizes.labels(*labels).update(float(request_size))
            if self._response_sizes is not None:
                self._response_sizes.labels(*labels).update(float(response_size))


@final
class ClientRequest:
    """Request under way, from its beginning to the end of the response.

    Args:
        client: the instruments.
        labels: method, host, port and template.
        length: the Content-Length of the request; empty without one.
        active: the number of requests under way to the same server.
    """

    __slots__ = ("_active", "_client", "_ended", "_labels", "_length", "_open", "_started",
                 "size", "status")  # fmt: skip

    def __init__(
        self, client: HTTPClient, labels: tuple[str, ...], length: str, active: UpDownCounter
    ) -> None:
        self._client = client
        self._labels = labels
        self._length = length
        self._open = True
        self._ended = 0
        self.status = 0
        self.size = 0
        self._active = active
        active.inc()
        self._started = client.now()

    def respond(self, response: httpx.Response) -> None:
        """Note the headers of the response; record the request if its body has been read."""
        self.status = response.status_code
        if self._client.first_byte:
            self._ended = self._client.now()
        if response.is_closed:
            # A response without a stream, of `httpx.MockTransport` for example.
            with suppress(httpx.ResponseNotRead):
                self.size = len(response.content)
            self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Record the request, once."""
        if not self._open:
            return
        self._open = False
        client = self._client
        seconds = ((self._ended or client.now()) - self._started) / SECOND
        self._active.dec()
        status = str(int(self.status)) if self.status else ""
        if error is not None:
            kind = error_type(error)
        else:
            kind = status if self.status >= CLIENT_ERROR else ""
        client.record((*self._labels, status, kind), seconds, self._length, self.size)


@final
class MeasuredTransport(httpx.BaseTransport):
    """Transport of `HTTPClient.transport`."""

    def __init__(self, inner: httpx.BaseTransport, client: HTTPClient) -> None:
        self._inner = inner
        self._client = client

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, whose body is measured as it is read."""
        call = self._client.begin(request)
        if call is None:
            return self._inner.handle_request(request)
        try:
            response = self._inner.handle_request(request)
        except BaseException as error:
            call.finish(error)
            raise
        call.respond(response)
        response.stream = MeasuredStream(response.stream, call)
        return response

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()

    def __enter__(self) -> Self:
        self._inner.__enter__()
        return self

    def __exit__(self, *failure: Any) -> None:  # noqa: PYI036 - httpx types them
        self._inner.__exit__(*failure)


@final
class AsyncMeasuredTransport(httpx.AsyncBaseTransport):
    """Transport of `HTTPClient.async_transport`."""

    def __init__(self, inner: httpx.AsyncBaseTransport, client: HTTPClient) -> None:
        self._inner = inner
        self._client = client

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response, whose body is measured as it is read."""
        call = self._client.begin(request)
        if call is None:
            return await self._inner.handle_async_request(request)
        try:
            response = await self._inner.handle_async_request(request)
        except BaseException as error:
            call.finish(error)
            raise
        call.respond(response)
        response.stream = AsyncMeasuredStream(response.stream, call)
        return response

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *failure: Any) -> None:  # noqa: PYI036 - as above
        await self._inner.__aexit__(*failure)


@final
class MeasuredStream(httpx.SyncByteStream):
    """Body of a response, which ends the measurement of its request."""

    def __init__(self, stream: Any, call: ClientRequest) -> None:
        self._stream = stream
        self._call = call

    def __iter__(self) -> Iterator[bytes]:
        call = self._call
        try:
            for part in self._stream:
                call.size += len(part)
                yield part
        except GeneratorExit:
            # The program reads no further, and closes the response.
            raise
        except BaseException as error:
            call.finish(error)
            raise
        call.finish()

    def close(self) -> None:
        """Close the body."""
        try:
            self._stream.close()
        finally:
            self._call.finish()


@final
class AsyncMeasuredStream(httpx.AsyncByteStream):
    """Body of a response, as `MeasuredStream`."""

    def __init__(self, stream: Any, call: ClientRequest) -> None:
        self._stream = stream
        self._call = call

    async def __aiter__(self) -> AsyncIterator[bytes]:
        call = self._call
        try:
            async for part in self._stream:
                call.size += len(part)
                yield part
        except GeneratorExit:
            # As above.
            raise
        except BaseException as error:
            call.finish(error)
            raise
        call.finish()

    async def aclose(self) -> None:
        """Close the body."""
        try:
            await self._stream.aclose()
        finally:
            self._call.finish()


@survives_fork
@contextmanager
def client(
    registry: Registry,
    *,
    max_series: Whole = MAX_SERIES,
    bounds: Iterable[Real] = BOUNDS,
    first_byte: bool = False,
    sizes: bool = True,
) -> Iterator[HTTPClient]:
    """Register the instruments of HTTP clients; one such resource is enough for all clients.

    Memory is bounded for any number of hosts: above `max_series` combinations of labels, all others
    share one series whose labels are `_overflow`.

    Args:
        registry: the registry of the instruments.
        max_series: the largest number of combinations of labels.
        bounds: upper bounds of the durations of requests, in seconds.
        first_byte: whether a duration ends with the headers of the response and not with the last
            byte of its body.
        sizes: whether the sizes of bodies are measured too.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    create = partial(
        HTTPClient,
        max_series=size("max_series", max_series),
        bounds=tuple(bounds),
        first_byte=first_byte,
        sizes=sizes,
        now=registry.clock.monotonic_ns,
    )
    with registration(registry, create) as instruments:
        yield instruments
