"""HTTP and HTTPS as a transport: one kept connection, one deadline for a whole exchange."""

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from ssl import SSLContext, SSLEOFError
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple, final

from metrics._version import library_version
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.reporters._transports.connection import RENEWAL, Connector, close_descriptor
from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.proxies import Proxy
from metrics.reporters._transports.secrets import Redaction
from metrics.reporters._transports.tls import client_context
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
"""Bytes of an answer that are read; the connection is closed if there are more."""

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
"""Answers after which the same payload may be taken later."""

REDIRECTS = range(300, 400)

BLAMING = frozenset({500, 507})
"""Answers of `retried` that one payload may get for ever, while others are taken."""

MALFORMED = frozenset({400, 422})
"""Refusals that may be about one series of a payload."""

TOO_LARGE = 413

CREDENTIALS_OF_URL = re.compile(r"(?<=//).*@")

Problem = Callable[[bytes], str]
"""Reason why a server has not taken all of a payload, read from its answer; empty if it has."""


class Answer(NamedTuple):
    """Answer of a server: the status, two headers, and the beginning of the body."""

    status: int
    retry_after: str
    location: str
    body: bytes


def took_nothing(answer: bytes) -> bool:  # noqa: ARG001 - as every classification
    """Return False: a refusal is one of the whole payload."""
    return False


def no_problem(answer: bytes) -> str:  # noqa: ARG001 - as every problem
    """Return an empty text: the status alone decides."""
    return ""


@final
class Http:
    """Sender of each payload as the body of a request to one address.

    Answers of 2xx are success; answers in `retried` are worth another try, after as many seconds as
    `Retry-After` demands; all other answers are refusals. Redirects are refusals too, so that a
    payload and its credentials reach no other server than the configured one. The status alone
    decides, even if the rest of the answer is malformed or does not arrive.

    The connection is kept for `RENEWAL` seconds, because the host name may have another address
    after that. Environment variables have no effect.

    Args:
        endpoint: the address of the requests.
        method: the method of the requests.
        headers: their headers, credentials included.
        secrets: texts that no error may show, should the server repeat them; secrets of the query
            and of the proxy are redacted without being among them.
        connect_timeout: seconds that connecting may take.
        context: TLS settings; by default the server needs a certificate that the system trusts.
        proxy: the proxy, which forwards http requests and tunnels https.
        problem: reads answers of success, which may say that a series was left out.
        retried: statuses after which the same payload may be taken later.
        clock: the source of a connection's age.
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
        proxy: Proxy | None = None,
        problem: Problem = no_problem,
        retried: Collection[int] = RETRIED,
        clock: Clock = SYSTEM_CLOCK,
        took_rest: Callable[[bytes], bool] = took_nothing,
    ) -> None:
        self._endpoint = endpoint
        self._method = method
        self._headers = with_user_agent(headers)
        self._redaction = Redaction(
            [*secrets, *endpoint.secrets, *(proxy.secrets if proxy is not None else ())]
        )
        self._connect_timeout = connect_timeout
        self._context = context
        self._proxy = proxy
        self._problem = problem
        self._retried = retried
        self._clock = clock
        self._took_rest = took_rest
        self._connector = Connector()
        self._renewal_due = 0.0
        # The newest connection, unless it is closed; for `abandon` alone.
        self._connections: list[HTTPConnection] = []
        # Created at once, so that a missing package is an error at the start.
        self._pool: HTTPConnectionPool | None = self._new_pool()

    @property
    def target(self) -> str:
        """The address of the requests, without a query."""
        return str(self._endpoint)

    def send(self, payload: bytes, timeout: float) -> None:
        """Deliver a payload within `timeout` seconds; raise `Unavailable` or `Rejected`."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - slow import

        kept = self._connector.connected
        try:
            with self._connector.within(timeout):
                answer = self._answer(payload, timeout)
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            aborted = self._connector.abort_reason
            # Without a connection nothing can have been sent.
            unanswered = kept or self._connector.connected
            self.close()
            reason = f"{self._route}: {aborted or self._redaction.shown(cause_of(error))}"
            # A socket that is aborted during TLS may raise a ValueError; else the request is wrong.
            if isinstance(error, ValueError) and not isinstance(error, HTTPError) and not aborted:
                raise Rejected(reason) from None
            raise Unavailable(reason, unanswered=unanswered) from None
        cut_off = len(answer.body) >= MOST_OF_AN_ANSWER
        if 200 <= answer.status < 300:  # noqa: PLR2004 - as the protocol has them
            problem = self._problem(answer.body)
            if problem:
                shown = self._redaction.shown(problem, cut=cut_off)
                raise PartlyTaken(f"{self._endpoint} {shown}")
            return
        if answer.status in REDIRECTS and answer.location:
            raise Rejected(
                f"{self._endpoint} answered {answer.status} and redirects to "
                f"{self._shown_location(answer.location)}; redirects are not followed: set the "
                "option url to the new address"
            )
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
        self._connector.abort()

    def close(self) -> None:
        """Close the connection; the next `send` reconnects."""
        if self._pool is not None:
            self._pool.close()
            self._pool = None
        self._connections.clear()
        self._connector.close()

    def abandon(self) -> None:
        """Close the descriptors of the connection in a forked process; the parent's stays open.

        The end of TLS is not announced, because that would end the parent's session.
        """
        self._connector.abandon()
        for connection in self._connections:
            sock: Any = connection.sock
            if sock is not None:
                # Within TLS to a proxy, urllib3 has a class of its own around the socket.
                close_descriptor(getattr(sock, "socket", sock))
        self._connections.clear()
        pool, self._pool = self._pool, None
        waiting = None if pool is None else pool.pool
        if waiting is not None:
            # urllib3 empties the queue when the pool is collected, and a thread of the parent may
            # have held its lock.
            mutex: Any = waiting.mutex
            mutex._at_fork_reinit()  # noqa: SLF001 - as `threading` renews its own locks

    @property
    def _route(self) -> str:
        """The address of the requests, and the proxy on the way."""
        through = f" through the proxy {self._proxy.endpoint}" if self._proxy is not None else ""
        return f"{self._endpoint}{through}"

    def _shown_location(self, location: str) -> str:
        """Return a `Location` without its query and its credentials, which may be secret."""
        address = re.split(r"[?#]", location, maxsplit=1)[0]
        return repr(self._redaction.shown(CREDENTIALS_OF_URL.sub("***@", address)))

    def _answer(self, payload: bytes, timeout: float) -> Answer:
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - slow import

        if self._connector.connected and self._clock.monotonic() >= self._renewal_due:
            self.close()
        kept = self._connector.connected
        try:
            return self._exchange(payload, timeout)
        except (HTTPError, OSError) as error:
            # Servers close idle connections, perhaps at this very moment: only a new connection
            # shows whether the server is available.
            dropped = isinstance(root_of(error), ConnectionError | SSLEOFError)
            if not kept or not dropped or self._connector.abort_reason:
                raise
        self.close()
        return self._exchange(payload, timeout)

    def _exchange(self, payload: bytes, timeout: float) -> Answer:
        from urllib3 import Timeout  # noqa: PLC0415 - slow import

        if self._pool is None:
            self._pool = self._new_pool()
        if not self._connector.connected:
            self._renewal_due = self._clock.monotonic() + RENEWAL
        response = self._pool.urlopen(
            self._method,
            # urllib3 logs it, so it is without the query.
            str(self._endpoint) if self._is_forwarded else self._endpoint.path,
            body=payload,
            headers=self._headers,
            retries=False,
            redirect=False,
            assert_same_host=False,
            timeout=Timeout(connect=min(self._connect_timeout, timeout), read=None),
            preload_content=False,
            decode_content=False,
        )
        headers = response.headers
        return Answer(
            response.status,
            headers.get("Retry-After", ""),
            headers.get("Location", ""),
            self._body(response),
        )

    @property
    def _is_forwarded(self) -> bool:
        """Whether a proxy reads the requests, and needs the whole URL (RFC 9112, section 3.2.2)."""
        return self._proxy is not None and self._endpoint.scheme == "http"

    def _body(self, response: "BaseHTTPResponse") -> bytes:
        """Return the beginning of a body; close a connection that cannot be used again."""
        from urllib3.exceptions import HTTPError  # noqa: PLC0415 - slow import

        try:
            body = response.read(MOST_OF_AN_ANSWER)
        except (HTTPError, HTTPException, OSError, ValueError):
            # The status has arrived, and it alone decides; half a body may hold half a secret.
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
        from urllib3 import PoolManager, ProxyManager  # noqa: PLC0415 - slow import

        endpoint, proxy = self._endpoint, self._proxy
        if "https" in {endpoint.scheme, proxy.endpoint.scheme if proxy is not None else ""}:
            self._context = self._context or client_context()
        if proxy is None:
            manager = PoolManager(maxsize=1, ssl_context=self._context)
        else:
            manager = ProxyManager(
                str(proxy.endpoint),
                proxy_headers=proxy.headers,
                proxy_ssl_context=self._context,
                maxsize=1,
                ssl_context=self._context,
            )
        pool = manager.connection_from_host(endpoint.host, endpoint.port, endpoint.scheme)
        connector = self._connector
        connections = self._connections
        query = f"?{endpoint.query}" if endpoint.query else ""

        class Connection(pool.ConnectionCls):  # type: ignore[name-defined, misc]
            """Connection whose socket can be aborted, and whose query is not logged."""

            response_class = Lenient

            def _new_conn(self) -> "socket.socket":
                connections[:] = [self]
                sock = connector.connect(self.host, self.port, self.timeout)
                # From here on the connector watches the time, of the whole exchange.
                sock.settimeout(None)
                return sock

            def request(self, method: str, url: str, *args: Any, **options: Any) -> None:
                super().request(method, url + query, *args, **options)

        pool.ConnectionCls = Connection
        return pool

    def __repr__(self) -> str:
        return f"<Http {self._method} {self._endpoint}>"


@final
class Lenient(HTTPResponse):
    """Answer without the defects of its headers, which urllib3 would log."""

    def begin(self) -> None:
        """Read the status and the headers."""
        super().begin()
        self.msg.defects.clear()
        self.msg.set_payload("")


def with_user_agent(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of headers, with the library as `User-Agent` unless they have one."""
    if "user-agent" in map(str.lower, headers):
        return dict(headers)
    version = library_version()
    product = f"wired-metrics/{version}" if version else "wired-metrics"
    return {"User-Agent": product, **headers}


def root_of(error: BaseException) -> BaseException:
    """Return the innermost of errors that wrap one another."""
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    return error


def cause_of(error: BaseException) -> str:
    """Return the message of the innermost of errors that wrap one another."""
    root = root_of(error)
    return str(root) or type(root).__name__


def seconds_of(retry_after: str) -> float:
    """Return the seconds of a `Retry-After` header, a number or a date; 0 if it is neither."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        return max((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - time(), 0.0)
    except (ValueError, OverflowError):
        return 0.0
