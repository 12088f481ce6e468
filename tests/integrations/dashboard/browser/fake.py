"""Server of the live page whose program does as a test says.

It speaks the page's protocol with the page's own files; its series, ticks and resources are given
by hand, so that a test needs neither a container nor time.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from html import escape
from itertools import count
from pathlib import Path
from time import time
from typing import Any

import metrics.integrations

STATIC = Path(metrics.integrations.__file__).parent / "_dashboard" / "static"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}

REMEMBERED = {"Histogram": 4, "BucketHistogram": 4, "Timer": 4, "ResettingTimer": 4, "Info": 0}
"""Columns with a history; other kinds have one."""

LOOPBACK = "127.0.0.1"

PATIENCE = 30.0

_boots = count(1)


def series(id: int, name: str, kind: str = "Counter", **more: Any) -> dict[str, Any]:  # noqa: A002
    return {
        "id": id,
        "name": name,
        "labels": {},
        "kind": kind,
        "unit": "",
        "description": "",
        **more,
    }


def resource(name: str, state: str = "RUNNING", **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "state": state,
        "asynchronous": False,
        "borrowed": False,
        "needs": [],
        "hook": f"example.{name}",
        "started": 1_764_430_000.0,
        "seconds": 0.012,
        "error": None,
        **more,
    }


class FakeProgram:
    """Program that is watched, as far as its page sees it. Its methods are for any thread."""

    def __init__(self, port: int, *, interval: float = 5.0, **state: Any) -> None:
        self.port = port
        self.url = f"http://{LOOPBACK}:{port}/"
        self.requests: list[str] = []
        self.refused: list[str] = []
        """Names of files whose next request is answered with 503; one for each request."""
        self._sent = 0
        self._streams: set[asyncio.StreamWriter] = set()
        self._times: list[float] = []
        self._rows: list[dict[str, list[Any]]] = []
        self._heats: list[dict[str, Any]] = []
        self.state: dict[str, Any] = {
            "version": 1,
            "boot": f"boot{next(_boots)}",
            "time": time(),
            "interval": interval,
            "title": "example",
            "program": "example",
            "pid": 4711,
            "uptime": 12.5,
            "series": [],
            "values": {},
            "surplus": 0,
            "workers": None,
            "container": None,
            "health": [],
            "reporters": [],
            **state,
        }
        self._remember({})

    @contextmanager
    def serving(self) -> Iterator["FakeProgram"]:
        """Serve in a thread. At the end all connections are cut off, as by the end of a process."""
        started = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=[self._serve(started.set)])
        self._thread.start()
        if not started.wait(PATIENCE):
            raise TimeoutError(f"no server on port {self.port} after {PATIENCE} s")
        try:
            yield self
        finally:
            self.kill()

    def kill(self) -> None:
        """End at once, without a word to the viewers. Another program may have the port then."""
        with suppress(RuntimeError):  # It has ended before.
            self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, report: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._over = asyncio.Event()
        connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections[writer] = asyncio.current_task()
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._answer(reader, writer)
            self._streams.discard(writer)
            writer.close()
            del connections[writer]

        server = await asyncio.start_server(connected, LOOPBACK, self.port)
        report()
        await self._over.wait()
        server.close()
        for writer in connections:
            writer.transport.abort()
        await server.wait_closed()
        await asyncio.gather(*filter(None, connections.values()))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.requests.append(path)
        name = path.removeprefix("/dashboard/")
        if name in self.refused:
            self.refused.remove(name)
            self._head(writer, 503, "text/plain")
            return
        if name == "events":
            self._head(writer, 200, "text/event-stream")
            writer.write(b"retry: 100\n\n" + self._event("state", self.state))
            self._streams.add(writer)
            # The client sends nothing more; it only leaves.
            await reader.read()
        elif name == "history.json":
            self._head(writer, 200, "application/json")
            writer.write(json.dumps(self._history()).encode())
        elif path == "/":
            page = (STATIC / "index.html").read_text()
            self._head(writer, 200, TYPES[".html"])
            title = escape(self.state["title"])
            writer.write(page.replace("{base}", "").replace("{title}", title).encode())
        elif name != path and (STATIC / name).is_file():
            self._head(writer, 200, TYPES[Path(name).suffix])
            writer.write((STATIC / name).read_bytes())
        else:
            self._head(writer, 404, "text/plain")
        await writer.drain()

    def _head(self, writer: asyncio.StreamWriter, status: int, kind: str) -> None:
        writer.write(
            f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nCache-Control: no-cache\r\n"
            f"Content-Security-Policy: {POLICY}\r\nX-Content-Type-Options: nosniff\r\n"
            "Connection: close\r\n\r\n".encode()
        )

    def _event(self, name: str, message: object) -> bytes:
        self._sent += 1
        boot = self.state["boot"]
        text = json.dumps(message)
        return f"id: {boot}-{self._sent}\nevent: {name}\ndata: {text}\n\n".encode()

    def _history(self) -> dict[str, Any]:
        kept = {str(each["id"]): REMEMBERED.get(each["kind"], 1) for each in self.state["series"]}
        columns = {
            id: [[row.get(id, [None] * 4)[i] for row in self._rows] for i in range(number)]
            for id, number in kept.items()  # noqa: A001
        }
        heat = {
            id: [row.get(id, []) for row in self._heats]
            for id, number in kept.items()  # noqa: A001
            if number > 1
        }
        boot = self.state["boot"]
        return {"boot": boot, "times": self._times, "series": columns, "heat": heat}

    def _remember(self, heat: dict[str, Any]) -> None:
        self._times.append(self.state["time"])
        self._rows.append(dict(self.state["values"]))
        self._heats.append(heat)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Call a function in the loop, and wait until it has returned."""
        done = threading.Event()

        def call() -> None:
            function(*arguments)
            done.set()

        self._loop.call_soon_threadsafe(call)
        done.wait()

    def _send(self, name: str, message: dict[str, Any]) -> None:
        data = self._event(name, message)
        for writer in self._streams:
            writer.write(data)

    @property
    def viewers(self) -> int:
        return len(self._streams)

    def tick(self, values: dict[str, Any] | None = None, **message: Any) -> None:
        """Let an interval pass; send the values that have changed, and other differences."""

        def change() -> None:
            state = self.state
            state["time"] += state["interval"]
            removed = set(message.get("removed", ()))
            kept = [each for each in state["series"] if each["id"] not in removed]
            state["series"] = [*kept, *message.get("added", ())]
            state["values"].update(values or {})
            for name in ("health", "reporters", "workers"):
                if name in message:
                    state[name] = message[name]
            self._remember(message.get("heat", {}))
            self._send("tick", {"time": state["time"], "values": values or {}, **message})

        self._call(change)

    def change(self, node: dict[str, Any], previous: str, state: str = "RUNNING") -> None:
        """Report a change of a resource, and the container's state after it."""
        self.change_all([node], previous, state)

    def change_all(
        self, nodes: list[dict[str, Any]], previous: str, state: str = "RUNNING"
    ) -> None:
        """Report changes of several resources at once."""

        def change(node: dict[str, Any]) -> None:
            container = self.state["container"]
            others = [each for each in container["resources"] if each["name"] != node["name"]]
            container["resources"] = [*others, node]
            container["state"] = state
            error = node["error"] and {key: node["error"][key] for key in ("type", "message")}
            event = {
                "time": self.state["time"],
                "resource": node["name"],
                "state": node["state"],
                "previous": previous,
                "seconds": node["seconds"],
                "error": error,
            }
            container["events"].append(event)
            message = {"time": self.state["time"], "event": event, "node": node, "state": state}
            self._send("lifecycle", message)

        def change_each() -> None:
            for node in nodes:
                change(node)

        self._call(change_each)

    def stop(self, reason: str = "the container has stopped") -> None:
        """Report the end of the program, and end the streams."""

        message = {"time": self.state["time"], "reason": reason}
        self._call(self._send, "stopped", message)
        self.end_streams()

    def end_streams(self) -> None:
        """End all streams, as a server does after half a minute."""

        def end() -> None:
            for writer in self._streams:
                writer.close()

        self._call(end)
