"""Requests to ASGI and WSGI applications without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

Application = Callable[..., Awaitable[Any]]


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    text: str


async def asked(app: Application, path: str, method: str = "GET", **fields: str) -> Answer:
    """Return what an ASGI application answers."""
    sent: list[dict[str, Any]] = []

    requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for request in requests:
            return request
        # The client neither sends more nor leaves.
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    path, _, query = path.partition("?")
    headers = [(name.replace("_", "-").encode(), text.encode()) for name, text in fields.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("example.org", 80),
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    fields = {name.decode().title(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], fields, body.decode())


def ask(app: Application, path: str, method: str = "GET", **fields: str) -> Answer:
    """Return what an ASGI application answers, from an event loop of its own."""
    return asyncio.run(asked(app, path, method, **fields))


def ask_wsgi(app: Any, path: str, method: str = "GET", **fields: str) -> Answer:
    """Return what a WSGI application answers, both checked against PEP 3333."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
    }
    setup_testing_defaults(environ)
    environ.update({f"HTTP_{name.upper()}": text for name, text in fields.items()})
    started: list[Any] = []
    chunks = validator(app)(environ, lambda *arguments: started.append(arguments))
    try:
        body = b"".join(chunks)
    finally:
        chunks.close()
    status, headers = started[0][:2]
    return Answer(int(status.split()[0]), dict(headers), body.decode())
