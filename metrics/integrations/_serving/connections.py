"""HTTP/1.1 connections and requests of `serve`, both bounded; imports uvicorn.

uvicorn's own `limit_concurrency` counts connections, so that idle clients make it refuse the
requests of others (`H11Protocol.handle_events`), and its only time limit ends with the first byte.
"""

from asyncio import TimerHandle, Transport
from collections.abc import Awaitable, Callable
from logging import getLogger
from typing import Any, final

from uvicorn.protocols.http.h11_impl import H11Protocol

from metrics.integrations._serving.places import PLACE, Places, RequestPlace

logger = getLogger(__name__)

REFUSAL = b"Service Unavailable: too many requests are under way\n"


@final
class Connections:
    """Connections of one server. For its event loop alone.

    Args:
        limit: connections that may be open; one more closes the longest idle one.
        seconds: the longest wait for a complete request, and for a client to read an answer.
    """

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        # In the order in which they became idle.
        self.idle: dict[Connection, None] = {}


class Connection(H11Protocol):
    """HTTP/1.1 connection that is closed if its client takes too long.

    It is idle unless a complete request is answered: before the first byte, between two bytes of a
    request or its body, and after an answer. The time of an idle connection begins once, so that
    a client that sends byte by byte does not extend it. An answer may take any time, but its client
    has to go on reading it.
    """

    def __init__(self, group: Connections, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # One line for every scrape would bury the lines of the program.
        self.access_log = False
        self._group = group
        self._answering = False
        # None before the connection is made and after it is lost.
        self._timer: TimerHandle | None = None
        # Bytes that the client had not read at the last check, and to which none could be added.
        self._unread = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; close the longest idle connection if there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._group.limit:
            surplus = next(iter(self._group.idle), self)
            # A closed connection is lost one step of the loop later; another one may come first.
            self._group.idle.pop(surplus, None)
            surplus.transport.abort()
        self._group.idle[self] = None
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._group.idle.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def handle_events(self) -> None:
        """Handle received bytes, the end of a request perhaps."""
        super().handle_events()
        self._update()

    def on_response_complete(self) -> None:
        """Handle the end of an answer."""
        super().on_response_complete()
        self._update()

    def _update(self) -> None:
        """Start another time limit when the connection becomes idle, or is idle no longer."""
        cycle: Any = self.cycle
        # None before the first request.
        answering = cycle is not None and not (cycle.more_body or cycle.response_complete)
        if answering is self._answering or self._timer is None:
            return
        self._answering = answering
        if answering:
            self._group.idle.pop(self, None)
        else:
            self._group.idle[self] = None
        self._timer.cancel()
        self._start_timer()

    def _start_timer(self) -> None:
        self._unread = 0
        self._timer = self.loop.call_later(self._group.seconds, self._check)

    def _check(self) -> None:
        """Close an idle connection, and one whose client has read nothing since the last check."""
        unread = self.transport.get_write_buffer_size()
        idle = not unread and not self._answering
        if idle or 0 < self._unread <= unread:
            self.transport.abort()
            return
        self._start_timer()
        if self.flow.write_paused or not self._answering:
            self._unread = unread

    def resume_writing(self) -> None:
        """Let the application write again, since the client has read most of the answer."""
        super().resume_writing()
        self._unread = 0


@final
class RequestLimit:
    """ASGI application that answers 503 while too many requests of another one are under way.

    Refusals are logged as one series: the first, and how many there were once half of the limit is
    free again. For one event loop.

    Args:
        application: answers the requests.
        limit: requests that may be under way, without streams, which are idle most of the time.
        places: counts the requests, and ends the streams when the server stops.
    """

    def __init__(
        self, application: Callable[..., Awaitable[None]], limit: int, places: Places
    ) -> None:
        self._application = application
        self._limit = limit
        self._refusals = 0
        self._places = places

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or refuse it."""
        places = self._places
        if places.taken >= self._limit:
            await self._refuse(send)
            return
        # Not at the first free place: under constant load that would log a series for each.
        if self._refusals and 2 * places.taken <= self._limit:
            logger.warning("requests are served again after %d refusals", self._refusals)
            self._refusals = 0
        place = scope[PLACE] = RequestPlace(places)
        try:
            await self._application(scope, receive, send)
        finally:
            place.release()

    async def _refuse(self, send: Any) -> None:
        self._refusals += 1
        if self._refusals == 1:
            logger.warning(
                "a request was refused with 503, because %d are under way, the most that "
                "limit_concurrency allows; further refusals are not logged until requests are "
                "served again",
                self._places.taken,
            )
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(REFUSAL)),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": REFUSAL})
