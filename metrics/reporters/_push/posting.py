"""Reports over HTTP: each payload is the body of one request."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from ssl import SSLContext, create_default_context
from typing import NamedTuple

from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import HttpOptions, checked_bool, connect_timeout
from metrics.reporters._push.payloads import Codec, Read, compress_payloads, gzip_codec
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.http import RETRIED, Http, Problem, no_problem, took_nothing
from metrics.reporters._transports.secrets import Redaction


class Request(NamedTuple):
    """Requests of a reporter to its server; see `Http` for the fields."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()
    method: str = "POST"
    problem: Problem = no_problem
    retried: Collection[int] = RETRIED
    took_rest: Callable[[bytes], bool] = took_nothing
    codec: Codec | None = None

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
) -> Iterator[Reporter]:
    """Report over HTTP while the block runs; see `reporting`."""
    compress = checked_bool("compress", options.get("compress"))
    transport = Http(
        request.endpoint,
        method=request.method,
        headers={**request.headers, "Content-Encoding": "gzip"} if compress else request.headers,
        secrets=request.secrets,
        connect_timeout=connect_timeout(options),
        context=trusting(options.get("ca_file")),
        problem=request.problem,
        retried=request.retried,
        took_rest=request.took_rest,
    )
    codec = request.codec
    if codec is not None:
        redaction, describe = Redaction(request.secrets), codec.describe
        codec = codec._replace(describe=lambda series: redaction.shown(describe(series)))
    if compress:
        read, codec = compress_payloads(read), codec and gzip_codec(codec)
    with reporting(registry, kind, read, transport, options, accepted, codec) as reporter:
        yield reporter


def trusting(ca_file: str | None) -> SSLContext | None:
    """Return the TLS context that trusts the certificates of a file; None without a file.

    Raises:
        ValueError: the file cannot be read, or holds no certificates.
    """
    if ca_file is None:
        return None
    try:
        return create_default_context(cafile=ca_file)
    except (OSError, TypeError) as error:
        raise ValueError(
            f"ca_file {ca_file!r} has no certificates that can be read: {error}"
        ) from error
