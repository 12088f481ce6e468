"""Server-sent events of a hub as an ASGI response, which ends promptly in every case."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import final

from metrics.integrations._dashboard.hub import Hub
from metrics.integrations._dashboard.messages import RETRY
from metrics.integrations._dashboard.viewers import Viewer
from metrics.integrations._http.asgi import Message, Receive, Send
from metrics.integrations._serving.exposition import Headers, PageResponse, plain
from metrics.integrations._serving.places import place_of

HEADERS: Headers = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store, no-transform"),
    # Middleware that compresses leaves an encoded response alone; it would keep messages back.
    ("Content-Encoding", "identity"),
    # nginx would keep messages back as well.
    ("X-Accel-Buffering", "no"),
    ("X-Content-Type-Options", "nosniff"),
)


@final
class EventStream:
    """Response of endless events.

    Args:
        hub_of: returns the hub of the running event loop.
        last_identity: the last message that the client has; empty for none.
    """

    __slots__ = ("_hub_of", "_last_identity")

    def __init__(self, hub_of: Callable[[], Hub], last_identity: str) -> None:
        self._hub_of = hub_of
        self._last_identity = last_identity

    def refusal(self, method: str) -> PageResponse | None:
        """Return the response to one viewer too many, and to HEAD; None to an ordinary request."""
        if method == "HEAD":
            return PageResponse(200, HEADERS, b"")
        if self._hub_of().is_full:
            return plain(503, "too many viewers: try again later", ("Retry-After", "10"))
        return None

    async def send(self, scope: Message, receive: Receive, send: Send) -> None:
        """Send events until the hub ends the stream, the client goes, or it does not read."""
        fields = [(name.lower().encode(), value.encode()) for name, value in HEADERS]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        hub = self._hub_of()
        viewer = hub.join(self._last_identity)
        place = place_of(scope)
        if place is not None:
            place.stream(lambda: hub.stop("the server is stopping"))
        tasks = [
            asyncio.ensure_future(each)
            for each in (send_all(viewer, send), wait_disconnected(receive), viewer.cut.wait())
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                # Raises what sending has raised.
                await tasks[0]
        finally:
            hub.leave(viewer)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def send_all(viewer: Viewer, send: Send) -> None:
    """Send the messages of a viewer, and end the response after the last one."""
    # A server may raise any OSError when the client has gone.
    with suppress(OSError):
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        while (data := await viewer.take()) is not None:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def wait_disconnected(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
