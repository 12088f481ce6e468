"""Middleware that measures Django, sync and async, and a view that serves the values.

In the settings, and in the URLs:

    MIDDLEWARE = ["metrics.integrations.django.Measured", ...]
    METRICS_CONTAINER = "shop.containers.container"

    urlpatterns = [path("metrics", metrics.integrations.django.metrics)]

The setting names the container, whose attribute `http` is the resource of `http.server` and whose
attribute `registry` is the registry. The container starts at the first request in a process, and
stops when the interpreter exits, unless the program starts and stops it itself: neither
`manage.py migrate`, nor the parent of the autoreloader, nor a worker that serves nothing starts it.
Async resources need an event loop: a program with such resources starts and stops its container.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from functools import cache
from http import HTTPStatus
from typing import Any, cast, final
from wsgiref.types import WSGIApplication

from metrics._extras import require_extra

with require_extra("django"):
    from asgiref.sync import iscoroutinefunction, markcoroutinefunction
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.http import HttpRequest, HttpResponse
    from django.http.response import HttpResponseBase
    from django.utils.module_loading import import_string

from metrics.integrations import wsgi
from metrics.integrations._http.binding import Binding
from metrics.integrations._http.instruments import ABORTED, SERVER_ERROR, HTTPServer, error_type
from metrics.integrations._http.measurement import Measurement

SETTING = "METRICS_CONTAINER"

MEASUREMENT = "metrics.integrations.django.measurement"
"""Key of `request.META` for the measurement of the request."""

GetResponse = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]


def metrics(request: HttpRequest) -> HttpResponse:
    """Return all values of the registry of the container, as `wsgi.metrics` answers.

    Raises:
        ImproperlyConfigured: the setting METRICS_CONTAINER is missing, or names no container.
    """
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> Any:
        started.append((status, headers))

    # An environment, of which ASGI requests have all keys that the page reads.
    body = b"".join(application()(request.META, start_response))
    status, headers = started[0]
    return HttpResponse(body, status=HTTPStatus(int(status[:3])), headers=dict(headers))


@cache
def application() -> WSGIApplication:
    """Return the WSGI application of the view."""
    return wsgi.metrics(find_container("registry"))


def find_container(attribute: str) -> Any:
    """Return the container that the setting names.

    Raises:
        ImproperlyConfigured: the setting is missing, or its container has no such attribute.
    """
    name = getattr(settings, SETTING, None)
    rule = f"set it to the container, as in {SETTING} = 'project.containers.container'"
    if not isinstance(name, str):
        raise ImproperlyConfigured(f"invalid setting {SETTING} {name!r}: {rule}")
    try:
        container = import_string(name)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"invalid setting {SETTING} {name!r}: {error}; {rule}"
        ) from error
    if not hasattr(container, attribute):
        raise ImproperlyConfigured(
            f"invalid setting {SETTING} {name!r}: it has no {attribute!r}; declare one"
        )
    return container


@final
class Measured:
    """Middleware that measures the requests of Django; put it first.

    A request ends with its response; a streaming one, with its last bytes. While the container is
    stopped, requests are served unmeasured, which is logged once; a container that starts again
    measures again.

    Raises:
        ImproperlyConfigured: the setting METRICS_CONTAINER is missing, or names no container with
            an attribute `http`.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        container = find_container("http")
        self._binding = Binding(container.http, starts=True, container=container)
        self._get_response: Any = get_response
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Serve one request."""
        if self._async:
            return self._serve(request)
        call = self._measure(request)
        if call is None:
            return cast("HttpResponseBase", self._get_response(request))
        try:
            response: HttpResponseBase = self._get_response(request)
        except BaseException as error:
            call.fail(error)
            raise
        call.respond(response)
        return response

    async def _serve(self, request: HttpRequest) -> HttpResponseBase:
        """Serve one request in the event loop."""
        call = self._measure(request)
        if call is None:
            return cast("HttpResponseBase", await self._get_response(request))
        try:
            response: HttpResponseBase = await self._get_response(request)
        except BaseException as error:
            call.fail(error)
            raise
        call.respond(response)
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note the exception of a view, of which Django makes a response."""
        call = request.META.get(MEASUREMENT)
        if call is not None:
            call.error = error_type(exception)

    def _measure(self, request: HttpRequest) -> "ViewCall | None":
        """Begin to measure a request; return None for an excluded one or without instruments."""
        server = self._binding.server
        if server is None or server.closed:
            server = self._binding.find()
        if server is None or request.path_info in server.excluded:
            return None
        call = request.META[MEASUREMENT] = ViewCall(server, self._binding, request)
        return call


@final
class ViewCall(Measurement):
    """Request to Django under way, and its response."""

    __slots__ = ("_request", "error")

    def __init__(self, server: HTTPServer, binding: Binding, request: HttpRequest) -> None:
        super().__init__(server, binding, request.method or "")
        self._request = request
        self.error = ""

    def route(self) -> str:
        """Return the template of the route; Django's own begins without a slash."""
        match = self._request.resolver_match
        return "" if match is None else f"/{match.route}"

    def length(self) -> str | None:
        """Return the Content-Length of the request; None without one."""
        return cast("str | None", self._request.META.get("CONTENT_LENGTH"))

    def respond(self, response: Any) -> None:
        """Record the request with its response, or with the end of a streaming one."""
        self.begin(response.status_code)
        error = self.error if self.status >= SERVER_ERROR else ""
        if not response.streaming:
            self.size = len(response.content)
            self.finish(error)
            return
        is_file = getattr(response, "file_to_stream", None) is not None
        if not is_file:
            content = response.streaming_content
            response.streaming_content = (
                self._iterate_async(content) if response.is_async else self._iterate(content)
            )
        close = response.close

        def closing() -> None:
            if is_file:
                # The server may have sent it without a copy.
                self.size = int(response.headers.get("Content-Length", 0))
                self.finish()
            else:
                # Before the end, the client has left; of HEAD, no server reads the content.
                self.finish("" if self._active.method == "HEAD" else ABORTED)
            close()

        response.close = closing

    def _iterate(self, content: Iterable[bytes]) -> Iterator[bytes]:
        try:
            for chunk in content:
                self.size += len(chunk)
                yield chunk
        except BaseException as error:
            self.fail(error)
            raise
        self.finish()

    async def _iterate_async(self, content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        try:
            async for chunk in content:
                self.size += len(chunk)
                yield chunk
        except BaseException as error:
            self.fail(error)
            raise
        self.finish()
