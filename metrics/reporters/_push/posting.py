"""Reporting over HTTP: each payload is the body of one request."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from ssl import SSLContext, create_default_context
from typing import NamedTuple

from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import HttpOptions, checked_bool, connect_timeout
from metrics.reporters._push.payloads import Read, compressed
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.http import RETRIED, Http, Problem, no_problem
from metrics.reporters._transports.transport import Transport


class Request(NamedTuple):
    """How a reporter asks a server to take something."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    method: str = "POST"
    problem: Problem = no_problem
    retried: Collection[int] = RETRIED

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.endpoint}>"


@contextmanager
def posting(
    registry: Registry,
    kind: str,
    read: Read,
    request: Request,
    options: HttpOptions,
    accepted: type = HttpOptions,
    transport: Transport | None = None,
) -> Iterator[Reporter]:
    """Report over HTTP while the block runs; as `reporting`.

    `transport` delivers the payloads; `http_transport` of the request unless it is given.
    """
    what = compressed(read) if checked_bool("compress", options.get("compress")) else read
    transport = transport or http_transport(request, options)
    with reporting(registry, kind, what, transport, options, accepted) as reporter:
        yield reporter


def http_transport(request: Request, options: HttpOptions) -> Http:
    """Return the transport that sends each payload as the body of a request.

    Raises:
        ModuleNotFoundError: urllib3 is not installed.
        TypeError, ValueError: an option is malformed.
    """
    compress = checked_bool("compress", options.get("compress"))
    return Http(
        request.endpoint,
        method=request.method,
        headers={**request.headers, "Content-Encoding": "gzip"} if compress else request.headers,
        secrets=request.secrets,
        connect_timeout=connect_timeout(options),
        context=trusting(options.get("ca_file")),
        problem=request.problem,
        retried=request.retried,
    )


def trusting(ca_file: str | None) -> SSLContext | None:
    """Return how to do TLS with servers whose certificates are in a file; None without a file.

    Raises:
        ValueError: it cannot be read, or holds no certificates.
    """
    if ca_file is None:
        return None
    try:
        return create_default_context(cafile=ca_file)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"ca_file {ca_file!r} has no certificates that can be read: {error}"
        ) from error
