"""Small servers on loopback that do what a test tells them, which is mostly wrong."""

import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Self

from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.http import Http
from tests.reporters.waiting import DEADLINE, FOREVER

LOOPBACK = "127.0.0.1"

Handler = Callable[[socket.socket], None]


class Request(NamedTuple):
    line: str
    headers: dict[str, str]
    body: bytes


class Server:
    """Accepts connections and hands each to `handler`, in a thread of its own."""

    def __init__(
        self,
        handler: Handler,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        host: str = LOOPBACK,
    ) -> None:
        self._handler = handler
        self._tls = tls
        self._listener = socket.create_server((host, port))
        self.port: int = self._listener.getsockname()[1]
        self._accepted = 0
        self._arrived = threading.Condition()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{LOOPBACK}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            thread.start()
            self._threads.append(thread)
            with self._arrived:
                self._accepted += 1
                self._arrived.notify_all()

    def has_accepted(self, connections: int) -> bool:
        """Return whether it has accepted as many connections as that, soon, and no more."""
        with self._arrived:
            # A client is connected before the server has heard of it.
            self._arrived.wait_for(lambda: self._accepted >= connections, DEADLINE)
            return self._accepted == connections

    def _serve(self, connection: socket.socket) -> None:
        # Clients that give up are what the tests are about.
        with suppress(OSError), connection:
            if self._tls is not None:
                with self._tls.wrap_socket(connection, server_side=True) as secured:
                    self._open.append(secured)
                    self._handler(secured)
            else:
                self._handler(connection)

    def close(self) -> None:
        """Cut everything, and wait for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(DEADLINE)
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        for connection in self._open:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Web:
    """A handler that answers each request with what `answer` returns for it: raw bytes.

    It keeps what it was sent, and a connection open as long as answers do not end with `CLOSE`.
    """

    CLOSE = b"<close>"

    def __init__(self, answer: Callable[[Request], bytes] | bytes) -> None:
        self.answer = answer
        self.requests: list[Request] = []

    def __call__(self, connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        with stream:
            while (request := read_request(stream)) is not None:
                self.requests.append(request)
                answer = self.answer if isinstance(self.answer, bytes) else self.answer(request)
                connection.sendall(answer.removesuffix(self.CLOSE))
                if answer.endswith(self.CLOSE):
                    return

    @property
    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]


def read_request(stream) -> Request | None:
    line = stream.readline()
    if not line:
        return None
    headers = {}
    while (header := stream.readline().strip()) != b"":
        name, _, value = header.decode().partition(": ")
        headers[name.lower()] = value
    return Request(line.decode().strip(), headers, stream.read(int(headers["content-length"])))


def response(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a well-formed answer; underscores in the names of headers stand for dashes."""
    headers = {"Content-Length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status} Whatever", *lines])
    return f"{head}\r\n\r\n".encode() + body


OK = response(204)

TOKEN = "s3cr3t/token+with=signs"
"""Password whose spellings in URLs, JSON and base64 differ."""

BASIC = b64encode(f"user:{TOKEN}".encode()).decode()


def silent(connection: socket.socket) -> None:
    """Take everything and say nothing."""
    while connection.recv(65536):
        pass


def accepted(event: threading.Event, handler: Handler) -> Handler:
    """Tell that there is a connection before it is handled."""

    def accepting(connection: socket.socket) -> None:
        event.set()
        handler(connection)

    return accepting


def dripping(beginning: bytes, drip: bytes = b"x", said: threading.Event | None = None) -> Handler:
    """Say something, then one byte after another for as long as anybody listens.

    Args:
        beginning: what is said at once.
        drip: what is said again and again.
        said: set when the beginning is on its way.
    """

    def handler(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(beginning)
        if said is not None:
            said.set()
        pause = threading.Event()
        while not pause.wait(0.01):
            connection.sendall(drip)

    return handler


def saying(what: bytes) -> Handler:
    """Say something, whatever is asked, and close."""

    def handler(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(what)

    return handler


def hanging_up(connection: socket.socket) -> None:
    """Close at once."""


class Sink:
    """A handler that keeps every byte it is sent."""

    def __init__(self) -> None:
        self._received = bytearray()
        self._changed = threading.Condition()

    def __call__(self, connection: socket.socket) -> None:
        while data := connection.recv(65536):
            with self._changed:
                self._received += data
                self._changed.notify_all()

    def wait_for(self, data: bytes) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: data in self._received, DEADLINE), self._received


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port that drops what asks for a connection: connecting takes for ever."""
    callers = []
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            caller = socket.socket()
            caller.setblocking(False)
            callers.append(caller)
            with suppress(BlockingIOError):
                caller.connect(listener.getsockname())
        yield listener.getsockname()[1]
        for caller in callers:
            caller.close()


def certificate(folder: Path, name: str) -> Path:
    """Make a self-signed certificate and its key, in one file."""
    path, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=test", "-addext", f"subjectAltName={name}"]
    subprocess.run(
        [*command.split(), *names, "-keyout", key, "-out", path], check=True, capture_output=True
    )
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def tls(path: Path) -> ssl.SSLContext:
    """Return how a server does TLS with a certificate made here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def http_to(server: Server | str, **options) -> Http:
    url = server if isinstance(server, str) else server.url
    options = {"headers": {}, "connect_timeout": FOREVER, **options}
    return Http(endpoint_of(url).at("/write", {"db": "metrics"}), **options)
