"""Viewers of a live page: in the event loop of a test, and over real sockets."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any, NamedTuple

PATIENCE = 20.0


class Event(NamedTuple):
    name: str
    identity: str
    content: Any


def events_in(text: str) -> list[Event]:
    """Return the messages of a stream; comments and `retry` are none."""
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.split("\n") if line)
        if "data" in fields:
            found.append(Event(fields["event"], fields["id"], json.loads(fields["data"])))
    return found


class Watcher:
    """Viewer of an application in the running event loop."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""
        self.ended = False
        self.gone = asyncio.Event()
        # Whether it reads; `send` waits for it as a server does whose client does not read.
        self.reads = asyncio.Event()
        self.reads.set()
        self._requested = False
        self._changed = asyncio.Event()
        self._taken = 0

    async def receive(self) -> dict[str, Any]:
        if not self._requested:
            self._requested = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode().title(): v.decode() for k, v in message["headers"]}
        else:
            self.text += message.get("body", b"").decode()
            self.ended = not message.get("more_body", False)
        self._changed.set()

    async def next(self, name: str = "") -> Event:
        """Return the next message, or the next one of an event; others before it are dropped."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._taken < len(events := events_in(self.text)):
                    self._taken += 1
                    event = events[self._taken - 1]
                    if name in {"", event.name}:
                        return event
                self._changed.clear()
                await self._changed.wait()

    async def end(self) -> None:
        """Wait for the end of the response."""
        async with asyncio.timeout(PATIENCE):
            while not self.ended:
                self._changed.clear()
                await self._changed.wait()

    @property
    def rest(self) -> list[Event]:
        """The messages that were not taken."""
        return events_in(self.text)[self._taken :]


def scope_of(path: str, method: str = "GET", **fields: str) -> dict[str, Any]:
    headers = [(name.replace("_", "-").encode(), text.encode()) for name, text in fields.items()]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("example.org", 80),
    }


@asynccontextmanager
async def watching(app, last_identity: str = "", path: str = "/dashboard/events", **keys: Any):
    """Watch the events of an application while the block runs."""
    watcher = Watcher()
    fields = {"last_event_id": last_identity} if last_identity else {}
    scope = {**scope_of(path, **fields), **keys}
    task = asyncio.create_task(app(scope, watcher.receive, watcher.send))
    try:
        yield watcher
    finally:
        watcher.gone.set()
        async with asyncio.timeout(PATIENCE):
            await task


async def until(condition: Callable[[], object]) -> None:
    """Let the event loop run until a condition holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - threads change it as well
            await asyncio.sleep(0)


def hubs(app) -> list[Any]:
    """Return the hubs of an application."""
    return list(app._answer.__self__._hubs.values())


class Stream:
    """Events of a server, read over a socket."""

    def __init__(self, response: HTTPResponse) -> None:
        self.response = response

    def __iter__(self) -> Iterator[Event]:
        block = ""
        while line := self.response.readline().decode():
            block += line
            if line == "\n":
                yield from events_in(block)
                block = ""

    def next(self, name: str) -> Event:
        return next(event for event in self if event.name == name)


@contextmanager
def streaming(
    host: str, port: int, path: str = "/dashboard/events", **fields: str
) -> Iterator[Stream]:
    """Open the events of a server."""
    connection = HTTPConnection(host, port, timeout=PATIENCE)
    try:
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request("GET", path, headers=headers)
        yield Stream(connection.getresponse())
    finally:
        connection.close()
