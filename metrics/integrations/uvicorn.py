"""HTTP server that a container starts and stops."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, NamedTuple, final

from metrics import _fork
from metrics._extras import require_extra
from metrics.deadline import join, remaining
from metrics.errors import StopTimeoutError
from metrics.instruments._inner import size
from metrics.integrations._serving.places import Places
from metrics.options import seconds

if TYPE_CHECKING:
    import uvicorn
    from uvicorn import Config

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9464
THREAD_NAME = "metrics-http"

REQUEST_SECONDS = 10.0
"""Seconds from the beginning of a wait to a complete request, unless configured otherwise."""

CONNECTIONS = 256
"""Connections that may be open; twice `limit_concurrency` if that is more."""

BACKLOG = 128
"""Connections that the kernel queues, and that the loop accepts before it can close another one."""

GRACEFUL_SECONDS = 1.0
STOP_SECONDS = 5.0


class Address(NamedTuple):
    """Host and port of a running server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@contextmanager
def serve(
    application: object,  # with Any, mypy would not know the type of a resource that serves
    host: str | None = None,
    port: int | None = None,
    *,
    limit_concurrency: int = 64,
    request_timeout: float | str | None = None,
    reuse_port: bool = False,
) -> Iterator[Address]:
    """Serve an ASGI application over HTTP/1.1 from a daemon thread until the block ends.

    The port is bound before any thread starts, in the calling thread, and the block is entered once
    the server accepts connections. At the end of the block, requests under way have a second to
    finish; then neither the thread nor a socket is left and the port is free. A forked process does
    not serve: its copies of the sockets are closed at once.

    Idle connections take nothing from the requests of others. A connection without a complete
    request is closed after `request_timeout`, whether its client sends nothing, a part of
    a request, or no further request after an answer; so is one whose client stops reading an answer
    for as long. 256 connections may be open, or twice `limit_concurrency`; one more closes the
    longest idle one. WebSockets are not served.

    Streams of a live page are idle most of the time: they are no requests under way, and end at
    once when the block does.

    Args:
        application: the ASGI application; its lifespan is not run.
        host: address to listen on; loopback by default, None too.
        port: port to listen on, 9464 by default, None too; 0 picks a free one.
        limit_concurrency: requests under way at a time; above, the answer is 503, which is logged
            once for a series of refusals. Connections do not count.
        request_timeout: seconds, or a duration such as "1m30s"; 10 by default, None too.
        reuse_port: whether other processes may listen on the same port (SO_REUSEPORT), if all of
            them set it; the kernel then distributes the connections.

    Raises:
        ImportError: uvicorn is not installed.
        OSError: the address cannot be listened on.
        StopTimeoutError: the application did not let the server stop, within the time that the
            container's stop leaves, or within five seconds.
        TypeError, ValueError: `port` is not an int from 0 to 65535, `limit_concurrency` is not an
            int above 0, or `request_timeout` is no duration.
        ValueError: `reuse_port` is set, and the platform has no SO_REUSEPORT.
    """
    with require_extra("serve"):
        import uvicorn  # noqa: PLC0415
    # Below the check: it imports uvicorn.
    from metrics.integrations._serving.connections import (  # noqa: PLC0415
        Connection,
        Connections,
        RequestLimit,
    )

    requests = size("limit_concurrency", limit_concurrency)
    patience = seconds(request_timeout, "request_timeout", REQUEST_SECONDS)
    connections = Connections(max(CONNECTIONS, 2 * requests), patience)
    places = Places()

    class Config(uvicorn.Config):
        def configure_logging(self) -> None:
            """Keep the logging of the program, which another server may share."""

        def load(self) -> None:
            """Load the application, and limit its requests."""
            super().load()
            self.loaded_app = RequestLimit(self.loaded_app, requests, places)

    with bind(
        host or DEFAULT_HOST, DEFAULT_PORT if port is None else port, reuse_port=reuse_port
    ) as listener:
        config = Config(
            application,  # type: ignore[arg-type]
            http=partial(Connection, connections),  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            server_header=False,
            backlog=BACKLOG,
            # The limit of `Connection` comes first: uvicorn's own ends with the first byte.
            timeout_keep_alive=ceil(patience) + 1,
            timeout_graceful_shutdown=int(GRACEFUL_SECONDS),
        )
        with run_in_thread(config, listener, places):
            # IPv6 addresses have two more items.
            address, number = listener.getsockname()[:2]
            yield Address(address, number)


@contextmanager
def bind(host: str, port: int, *, reuse_port: bool) -> Iterator[socket.socket]:
    """Bind a listening socket, and close it at the end of the block.

    Raises:
        OSError: the address cannot be listened on.
        TypeError: `port` is not an int.
        ValueError: `port` is not from 0 to 65535, or the platform has no SO_REUSEPORT.
    """
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"invalid port {port!r} ({type(port).__name__}): use an int")
    if not 0 <= port <= 65535:  # noqa: PLR2004 - every port is 16 bits
        raise ValueError(f"invalid port {port!r}: use 0 to 65535")
    if reuse_port and not hasattr(socket, "SO_REUSEPORT"):
        raise ValueError(
            "invalid reuse_port True: this platform has no SO_REUSEPORT; use a port for each "
            "process"
        )
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # It sets SO_REUSEPORT before it binds.
        listener = socket.create_server(address[:2], family=family, reuse_port=reuse_port)
    except OSError as error:
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        # create_server puts the address into the text; the resolver's numbers are its own.
        if error.errno is None or isinstance(error, socket.gaierror):
            reason = str(error.strerror or error)
        else:
            reason = os.strerror(error.errno)
        raise OSError(
            error.errno,
            f"cannot listen on {at}: {reason[:1].lower()}{reason[1:]}; "
            "choose another address or port, or stop the program that uses it",
        ) from error
    with listener:
        yield listener


@contextmanager
def run_in_thread(config: "Config", listener: socket.socket, places: Places) -> Iterator[None]:
    """Run a server on a bound socket in a daemon thread; enter the block once it accepts.

    Args:
        config: the configuration of the server.
        listener: the socket.
        places: the streams that end when the server stops.

    Raises:
        StopTimeoutError: the server did not stop in time.
        BaseException: the server failed.
    """
    import uvicorn  # noqa: PLC0415

    started = threading.Event()
    failures: list[BaseException] = []

    class Server(uvicorn.Server):
        grace = GRACEFUL_SECONDS

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            started.set()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            places.stop()
            # A client that does not read its answer would delay the stop.
            self.config.timeout_graceful_shutdown = self.grace  # type: ignore[assignment]
            asyncio.get_running_loop().call_later(self.grace / 2, self.abort)
            await super().shutdown(sockets)

        def abort(self) -> None:
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    server = Server(config)
    inherited = Inherited(listener, server)
    _fork.track(inherited)

    def run() -> None:
        try:
            asyncio.run(server.serve([listener]))
        except BaseException as error:  # noqa: BLE001 - raised in the thread that starts the server
            failures.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name=THREAD_NAME, daemon=True)
    try:
        thread.start()
        started.wait()
        if not failures:
            yield
    finally:
        stop_seconds = time_to_stop()
        # The first half of a short time is for the requests, the second for the server itself.
        server.grace = min(GRACEFUL_SECONDS, stop_seconds / 2)
        server.should_exit = True
        if not join(thread, stop_seconds):
            raise StopTimeoutError(
                f"{THREAD_NAME} is still busy after {stop_seconds:.2g} s: a request or a health "
                "check does not end"
            )
    if failures:
        raise failures[0]


@final
class Inherited:
    """Sockets of a server in a forked process, which has no thread to serve them.

    A child that kept them open would keep the port in use, and clients of its parent waiting.
    """

    def __init__(self, listener: socket.socket, server: "uvicorn.Server") -> None:
        self._listener = listener
        self._server = server

    def _after_fork(self) -> None:
        """Close the descriptors, but do not shut down the sockets, which the parent still uses."""
        # Without the event loop: its epoll object is shared with the parent.
        descriptor = self._listener.detach()
        if descriptor >= 0:
            os.close(descriptor)
        for connection in self._server.server_state.connections:
            transport = getattr(connection, "transport", None)
            sock = None if transport is None else transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                point_to_null(sock.fileno())


def point_to_null(descriptor: int) -> None:
    """Point a descriptor to the null device, so that closing it once more closes no other file."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def time_to_stop() -> float:
    """Return the seconds that a server may take to stop."""
    left = remaining()
    return STOP_SECONDS if left is None else left
