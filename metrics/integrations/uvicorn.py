"""An HTTP server that a container starts and stops."""

import asyncio
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, final

from metrics import _fork
from metrics.deadline import join, remaining
from metrics.errors import StopTimeoutError

if TYPE_CHECKING:
    import uvicorn
    from uvicorn import Config

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 9464
THREAD_NAME = "metrics-http"

GRACEFUL_SECONDS = 1.0
STOP_SECONDS = 5.0


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The address as a URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@contextmanager
def serve(
    application: Any,
    host: str | None = None,
    port: int | None = None,
    *,
    limit_concurrency: int = 64,
) -> Iterator[Address]:
    """Serve an ASGI application from a thread of its own until the block ends.

    The port is bound before anything else, in the calling thread, and the block is entered once
    the server accepts. At the end it finishes the requests that are under way, for a second at
    most, and then neither its thread nor a socket is left and the port is free. A forked process
    does not serve: its copies of the sockets are closed at once.

    Args:
        application: the ASGI application.
        host: address to listen on; loopback by default, None too.
        port: port to listen on, 9464 by default, None too; 0 picks one that is free.
        limit_concurrency: connections and requests at a time; above, the answer is 503.

    Raises:
        ImportError: uvicorn is not installed.
        OSError: the address cannot be listened on.
        StopTimeoutError: the application did not let the server stop, within the time that the
            container's stop leaves, or within five seconds.
        TypeError, ValueError: `port` is not an int from 0 to 65535.
    """
    try:
        import uvicorn  # noqa: PLC0415
        from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415
    except ImportError as error:
        raise ImportError("serve needs uvicorn: pip install wired-metrics[agent]") from error

    with bound(host or DEFAULT_HOST, DEFAULT_PORT if port is None else port) as listener:

        class Protocol(H11Protocol):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                # One line for every scrape would drown what the program has to say.
                self.access_log = False

        class Config(uvicorn.Config):
            def configure_logging(self) -> None:
                """Leave the logging of the program alone; another server may be using it."""

        config = Config(
            application,
            http=Protocol,
            lifespan="off",
            server_header=False,
            limit_concurrency=limit_concurrency,
            timeout_graceful_shutdown=int(GRACEFUL_SECONDS),
        )
        with running(config, listener):
            # IPv6 addresses have two more items.
            address, number = listener.getsockname()[:2]
            yield Address(address, number)


@contextmanager
def bound(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a socket, and close it in the end."""
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError(f"port takes an int, got {port!r} ({type(port).__name__})")
    if not 0 <= port <= 65535:  # noqa: PLR2004 - every port is 16 bits
        raise ValueError(f"port takes a number from 0 to 65535, got {port!r}")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.create_server(address[:2], family=family)
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
            "choose another address or port, or stop what holds it",
        ) from error
    with listener:
        yield listener


@contextmanager
def running(config: "Config", listener: socket.socket) -> Iterator[None]:
    """Run a server on a bound socket in a thread, from when it accepts until the block ends."""
    import uvicorn  # noqa: PLC0415

    up = threading.Event()
    failures: list[BaseException] = []

    class Server(uvicorn.Server):
        grace = GRACEFUL_SECONDS

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            up.set()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            # A client that does not read what it asked for would hold the stop up.
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
        except BaseException as error:  # noqa: BLE001 - raised where the server is started
            failures.append(error)
        finally:
            up.set()

    thread = threading.Thread(target=run, name=THREAD_NAME, daemon=True)
    try:
        thread.start()
        up.wait()
        if not failures:
            yield
    finally:
        seconds = time_to_stop()
        # The first half of a short time is for the requests, the second for the server itself.
        server.grace = min(GRACEFUL_SECONDS, seconds / 2)
        server.should_exit = True
        if not join(thread, seconds):
            raise StopTimeoutError(
                f"{THREAD_NAME} is still busy after {seconds:.2g} s: a request or a health check "
                "does not end"
            )
    if failures:
        raise failures[0]


@final
class Inherited:
    """The sockets of a server that a forked process inherits, which has no thread to serve them.

    A child that kept them would keep the port from being bound again, and clients waiting.
    """

    def __init__(self, listener: socket.socket, server: "uvicorn.Server") -> None:
        self._listener = listener
        self._server = server

    def _after_fork(self) -> None:
        """Close the descriptors. The sockets themselves are the parent's and are not shut down."""
        # Not by way of the event loop, whose epoll object is the parent's too.
        descriptor = self._listener.detach()
        if descriptor >= 0:
            os.close(descriptor)
        for connection in self._server.server_state.connections:
            transport = getattr(connection, "transport", None)
            sock = None if transport is None else transport.get_extra_info("socket")
            if sock is not None and sock.fileno() >= 0:
                park(sock.fileno())


def park(descriptor: int) -> None:
    """Let a descriptor refer to nothing, so that closing it once more does no harm."""
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, descriptor, inheritable=False)
    finally:
        os.close(null)


def time_to_stop() -> float:
    """Return how many seconds a server may take to stop."""
    left = remaining()
    return STOP_SECONDS if left is None else left
