"""Files, history and events of a live page, in front of all other pages of a registry."""

import asyncio
from collections.abc import Callable
from typing import final

from metrics import _fork
from metrics.integrations._dashboard.assets import asset_response, assets, index_response
from metrics.integrations._dashboard.hub import THREADS, Hub
from metrics.integrations._dashboard.messages import json_members
from metrics.integrations._dashboard.streaming import EventStream
from metrics.integrations._providers import Source
from metrics.integrations._serving.exposition import (
    HEALTH_TIMEOUT,
    Answer,
    Headers,
    PageRequest,
    PageResponse,
    Pending,
    failure,
    plain,
)
from metrics.integrations._serving.negotiation import accepts_gzip, prefers_html
from metrics.integrations._serving.pages import compress
from metrics.integrations._serving.single_flight import Flight

FOLDER = "/dashboard/"
"""Path of the files, the history and the events, below the mount."""

JSON = ("Content-Type", "application/json")

NO_HISTORY = b'{"boot":"","times":[],"series":{},"heat":{}}'


@final
class DashboardPages:
    """Live page of a registry, and all other pages of its exposition.

    A forked process has no viewers: their connections are the parent's.

    Args:
        source: provides the registry, and is or knows its container.
        title: the title of the page.
        pages: answers requests for all other pages.
    """

    def __init__(
        self, source: Source, title: str, pages: Callable[[PageRequest], Answer | None]
    ) -> None:
        self._source = source
        self._title = title
        self._pages = pages
        self._hubs: dict[int, Hub] = {}
        _fork.track(self)

    def answer(self, request: PageRequest) -> Answer | EventStream | None:
        """Answer a request for any page; return None for an unknown path."""
        path = request.path
        name = path.removeprefix(FOLDER) if path.startswith(FOLDER) else ""
        is_root = not path.rstrip("/") and prefers_html(request.header("accept"))
        if not is_root and name not in {"events", "history.json"} and name not in assets():
            return self._pages(request)
        if request.method not in {"GET", "HEAD"}:
            return plain(405, "use GET or HEAD", ("Allow", "GET, HEAD"))
        if is_root:
            return index_response(self._title, request)
        if name == "events":
            return EventStream(self._hub, request.header("last-event-id"))
        if name == "history.json":
            return self._history(request)
        return asset_response(assets()[name], request)

    def _hub(self) -> Hub:
        """Return the hub of the running event loop."""
        loop = asyncio.get_running_loop()
        hub = self._hubs.get(id(loop))
        if hub is None or hub.loop is not loop:
            # Hubs of loops that were closed without a word to them.
            for key, other in list(self._hubs.items()):
                if other.loop.is_closed():
                    self._hubs.pop(key, None)
            hub = self._hubs[id(loop)] = Hub(self._source, self._title, self._drop_hub)
        return hub

    def _drop_hub(self, hub: Hub) -> None:
        if self._hubs.get(id(hub.loop)) is hub:
            del self._hubs[id(hub.loop)]

    def _history(self, request: PageRequest) -> Answer:
        """Answer with the history that the hub of this event loop keeps."""
        hub = self._hubs.get(id(asyncio.get_running_loop()))
        if hub is None:
            return PageResponse(200, (JSON,), NO_HISTORY)
        history = hub.history
        compressed = accepts_gzip(request.header("accept-encoding"))
        headers: Headers = (JSON, ("Vary", "Accept-Encoding"))
        if compressed:
            headers += (("Content-Encoding", "gzip"),)

        def render() -> bytes:
            body = f"{{{','.join(json_members(history()))}}}".encode("ascii")
            return compress(iter([body])) if compressed else body

        def response(flight: Flight) -> PageResponse:
            if not flight.done:
                return plain(503, "the history was not ready in time", ("Retry-After", "1"))
            if flight.error is not None:
                return failure(flight.error)
            assert isinstance(flight.result, bytes)  # noqa: S101 - returned by render()
            return PageResponse(200, headers, flight.result)

        return Pending(THREADS, (hub, compressed), render, HEALTH_TIMEOUT, response)

    def _after_fork(self) -> None:
        self._hubs = {}
