"""HTTP and HTTPS as a transport: one kept connection, one deadline for a whole exchange."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from ssl import SSLContext, SSLEOFError, create_default_context
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, final

from metrics.reporters._transports.connection import Wire, close_descriptor
from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.secrets import Redaction
from metrics.reporters._transports.transport import (
    Malformed,
    PartlyTaken,
    Rejected,
    TooLarge,
    Unavailable,
)

if TYPE_CHECKING:
    import socket
    from http.client import HTTPConnection

    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

MOST_OF_AN_ANSWER = 4096
"""Bytes of an answer that are read; what comes after them is not waited for."""

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
"""Answers after which the same payload may be taken later."""

BLAMING = frozenset({500, 507})
"""Answers of `retried` that one payload may get for ever, while others are taken."""

MALFORMED = frozenset({400, 422})
"""Refusals that may be about one series of a payload."""

TOO_LARGE = 413


Problem = Callable[[bytes], str]
"""Tells what was wrong with a payload by the answer to it; empty if nothing was."""


class Answer(NamedTuple):
    """What a server said."""

    status: int
    retry_after: str
    body: bytes
    """Its beginning."""


def took_nothing(answer: bytes) -> bool:  # noqa: ARG001 - as every classification
    """Return False: a refusal is one of the whole payload."""
    return False


def no_problem(answer: bytes) -> str:  # noqa: ARG001 - as every problem
    """Return that nothing was wrong: the status has said so."""
    return ""


@final
class Http:
    """Sends each payload as the body of a request to one address.

    Answers of 2xx are success; 408, 425, 429 and failures of the server are worth another try,
    after as long as `Retry-After` asks for; everything else is a refusal, a redirect too: a payload
    and its credentials go where they were meant to go. The status alone decides, whatever becomes
    of the rest of the answer.

    Args:
        endpoint: where requests go.
        method: of the requests.
        headers: of the requests, credentials included.
        secrets: what no error may show, should the server repeat it.
        connect_timeout: seconds that connecting may take.
        context: how to do TLS; by default with the certificates that the system trusts.
        problem: looks at answers of success, which may say that something was left out.
        retried: answers after which the same payload may be taken later.
        took_rest: returns, for the body of a 400 or 422, whether the server has taken all series
            but the malformed ones.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        method: str = "POST",
        headers: Mapping[str, str],
        secrets: Collection[str] = (),
        connect_timeout: float,
        context: SSLContext | None = None,
        problem: Problem = no_problem,
        retried: Collection[int] = RETRIED,
        took_rest: Callable[[bytes], bool] = took_nothing,
    ) -> None:
        self._endpoint = endpoint
        self._method = method
        self._headers = dict(headers)
        self._redaction = Redaction(secrets)
        self._connect_timeout = connect_timeout
        self._context = context
        self._problem = problem
        self._retried = retried
        self._took_rest = took_rest
        self._wire = Wire()
        # The connection that was made last, if it is not closed; for `abandon` alone.
        self._connections: list[HTTPConnection] = []
        # Made at once, so that what is missing is missed at the start.
        self._pool: HTTPConnectionPool | None = self._new_pool()

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds; raise `Unavailable` or `Rejected`."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - it takes long to import

        kept = self._wire.connected
        try:
            with self._wire.within(timeout):
                answer = self._answer(payload, timeout)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            cut = self._wire.cut_reason
            # Without a connection nothing can have been sent.
            unanswered = kept or self._wire.connected
            self.close()
            reason = f"{self._endpoint}: {cut or self._redaction.shown(cause_of(error))}"
            # A socket that is cut during TLS may raise a ValueError; else it is about the request.
            if isinstance(error, ValueError) and not isinstance(error, HTTPError) and not cut:
                raise Rejected(reason) from None
            raise Unavailable(reason, unanswered=unanswered) from None
        cut_off = len(answer.body) >= MOST_OF_AN_ANSWER
        if 200 <= answer.status < 300:  # noqa: PLR2004 - as the protocol has them
            problem = self._problem(answer.body)
            if problem:
                shown = self._redaction.shown(problem, cut=cut_off)
                raise PartlyTaken(f"{self._endpoint} {shown}")
            return
        body = self._redaction.shown(answer.body.decode("utf-8", "replace"), cut=cut_off)
        reason = f"{self._endpoint} answered {answer.status} {body}".rstrip()
        if answer.status in self._retried:
            retry_after = seconds_of(answer.retry_after)
            raise Unavailable(reason, retry_after, blames_payload=answer.status in BLAMING)
        raise self._refusal_of(answer)(reason)

    def _refusal_of(self, answer: Answer) -> type[Rejected]:
        if answer.status == TOO_LARGE:
            return TooLarge
        if answer.status in MALFORMED:
            return PartlyTaken if self._took_rest(answer.body) else Malformed
        return Rejected

    def abort(self) -> None:
        """Make a `send` in another thread fail at once."""
        self._wire.cut()

    def close(self) -> None:
        """Close the connection; the next `send` makes a new one."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self._connections.clear()
        self._wire.close()

    def abandon(self) -> None:
        """Close the descriptors of a connection in a forked process; the parent goes on using it.

        The end of TLS is not announced, which would end the parent's session.
        """
        self._wire.abandon()
        for connection in self._connections:
            sock: socket.socket | None = connection.sock
            if sock is not None:
                close_descriptor(sock)
        self._connections.clear()
        pool, self._pool = self._pool, None
        waiting = None if pool is None else pool.pool
        if waiting is not None:
            # urllib3 empties the queue when the pool is collected; a thread may have held its lock.
            mutex: Any = waiting.mutex
            mutex._at_fork_reinit()  # noqa: SLF001 - as `threading` renews its own locks

    def _answer(self, payload: bytes, timeout: float) -> Answer:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - it takes long to import

        kept = self._wire.connected
        try:
            return self._exchange(payload, timeout)
        except (HTTPError, OSError) as error:
            # Servers close connections that are idle, perhaps at this very moment: only a new one
            # tells whether the server is there.
            dropped = isinstance(root_of(error), ConnectionError | SSLEOFError)
            if not kept or not dropped or self._wire.cut_reason:
                raise
        self.close()
        return self._exchange(payload, timeout)

    def _exchange(self, payload: bytes, timeout: float) -> Answer:
        from urllib3 import Timeout  # noqa: PLC0415 - it takes long to import

        if self._pool is None:
            self._pool = self._new_pool()
        response = self._pool.urlopen(
            self._method,
            self._endpoint.target,
            body=payload,
            headers=self._headers,
            retries=False,
            redirect=False,
            timeout=Timeout(connect=min(self._connect_timeout, timeout), read=None),
            preload_content=False,
            decode_content=False,
        )
        retry_after = response.headers.get("Retry-After", "")
        return Answer(response.status, retry_after, self._body(response))

    def _body(self, response: "BaseHTTPResponse") -> bytes:
        """Return the beginning of a body; let go of a connection that cannot be used again."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - it takes long to import

        try:
            body = response.read(MOST_OF_AN_ANSWER)
        except (HTTPError, HTTPException, OSError, ValueError):
            # The status has come, which is what counts; half a body may hold half a secret.
            response.close()
            self.close()
            return b""
        if len(body) < MOST_OF_AN_ANSWER:
            response.release_conn()
        else:
            response.close()
            self.close()
        return body

    def _new_pool(self) -> "HTTPConnectionPool":
        try:
            from urllib3 import HTTPConnectionPool, HTTPSConnectionPool  # noqa: PLC0415 - as above
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "reporters over HTTP need urllib3: pip install 'wired-metrics[http]'"
            ) from error
        host, port = self._endpoint.host, self._endpoint.port
        pool: HTTPConnectionPool
        if self._endpoint.scheme == "https":
            self._context = self._context or create_default_context()
            pool = HTTPSConnectionPool(host, port, maxsize=1, ssl_context=self._context)
        else:
            pool = HTTPConnectionPool(host, port, maxsize=1)
        wire = self._wire
        connections = self._connections

        class Connection(pool.ConnectionCls):  # type: ignore[name-defined, misc]
            """One whose socket can be cut."""

            response_class = Lenient

            def _new_conn(self) -> "socket.socket":
                connections[:] = [self]
                sock = wire.connect(self.host, self.port, self.timeout)
                # From here on the wire watches the time, of the whole exchange.
                sock.settimeout(None)
                return sock

        pool.ConnectionCls = Connection
        return pool

    def __repr__(self) -> str:
        return f"<Http {self._method} {self._endpoint}>"


@final
class Lenient(HTTPResponse):
    """An answer of which nobody says what is wrong with its headers, which urllib3 would log."""

    def begin(self) -> None:
        """Read the status and the headers."""
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


def root_of(error: BaseException) -> BaseException:
    """Return what is at the bottom of an error that wraps others."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return error


def cause_of(error: BaseException) -> str:
    """Return what went wrong at the bottom of an error that wraps others."""
    root = root_of(error)
    return str(root) or type(root).__name__


def seconds_of(retry_after: str) -> float:
    """Return the seconds that a `Retry-After` header asks for: a number, or a date; else 0."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
