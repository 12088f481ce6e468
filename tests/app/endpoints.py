"""HTTP servers with the answers that tests want, well-formed or not."""

import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class Handler(BaseHTTPRequestHandler):
    """One request, answered by the function of its server."""

    def do_GET(self) -> None:
        self.server.requests.append(self)
        # The client may have enough before the end.
        with suppress(BrokenPipeError, ConnectionResetError):
            self.server.respond(self)

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: str | bytes = "", status: int = 200, **headers: str) -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"Content_Type": TEXT, **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class Endpoint(ThreadingHTTPServer):
    """Running server; `respond` may be replaced while it runs."""

    daemon_threads = False

    def __init__(self, respond: Callable[[Handler], object], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.respond = respond
        self.requests: list[Handler] = []
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        return self.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/metrics"

    def close(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        self.server_close()


def page(body: str, content_type: str = TEXT) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(body, Content_Type=content_type)
