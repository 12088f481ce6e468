"""Reports over HTTP: each payload is the body of one request."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from ssl import SSLContext
from typing import NamedTuple

from metrics._extras import require_extra
from metrics.options import boolean, is_unset
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    HttpOptions,
    checked_bool,
    clock_of,
    connect_timeout,
)
from metrics.reporters._push.payloads import Codec, Read, compress_payloads, gzip_codec
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import Endpoint
from metrics.reporters._transports.http import RETRIED, Http, Problem, no_problem, took_nothing
from metrics.reporters._transports.proxies import Proxy, environment_proxy, proxy_of
from metrics.reporters._transports.secrets import NO_CREDENTIALS, Credentials, Redaction
from metrics.reporters._transports.tls import client_context
from metrics.reporters._transports.transport import Transport


class Request(NamedTuple):
    """Requests of a reporter to its server; see `Http` for the other fields."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    credentials: Credentials = NO_CREDENTIALS
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
    transport: Transport | None = None,
) -> Iterator[Reporter]:
    """Report over HTTP while the block runs; see `reporting`.

    `kind` is the name of the reporter's extra. `transport` delivers the payloads; `http_transport`
    of the request unless it is given.
    """
    codec = request.codec
    if codec is not None:
        redaction, describe = Redaction(request.credentials.secrets), codec.describe
        codec = codec._replace(describe=lambda series: redaction.shown(describe(series)))
    if checked_bool("compress", options.get("compress")):
        read, codec = compress_payloads(read), codec and gzip_codec(codec)
    transport = transport or http_transport(registry, kind, request, options)
    with reporting(registry, kind, read, transport, options, codec) as reporter:
        yield reporter


def http_transport(registry: Registry, extra: str, request: Request, options: HttpOptions) -> Http:
    """Return the transport that sends each payload as the body of a request.

    Raises:
        ModuleNotFoundError: urllib3 is not installed, which `extra` has.
        TypeError, ValueError: an option is malformed.
    """
    headers = {**request.headers, **request.credentials.headers}
    if checked_bool("compress", options.get("compress")):
        headers["Content-Encoding"] = "gzip"
    trust_env = boolean(options.get("trust_env"), "trust_env", default=False)
    with require_extra(extra):
        return Http(
            request.endpoint,
            method=request.method,
            headers=headers,
            secrets=request.credentials.secrets,
            connect_timeout=connect_timeout(options),
            context=tls_context(options, trust_env),
            proxy=proxy_to(request.endpoint, options, trust_env),
            problem=request.problem,
            retried=request.retried,
            clock=clock_of(registry, options),
            took_rest=request.took_rest,
        )


def tls_context(options: HttpOptions, trust_env: bool) -> SSLContext | None:
    """Return the TLS settings of the options; None if they are the defaults, which load slowly.

    Raises:
        TypeError, ValueError: a file is unreadable or malformed.
    """
    files = (options.get("ca_file"), options.get("client_cert"), options.get("client_key"))
    if trust_env or any(file is not None for file in files):
        return client_context(*files, trust_env=trust_env)
    return None


def proxy_to(target: Endpoint, options: HttpOptions, trust_env: bool) -> Proxy | None:
    """Return the proxy of the options or of the environment; None without one.

    Raises:
        TypeError, ValueError: its URL is malformed.
    """
    url = options.get("proxy")
    if url is not None and not is_unset(url):
        return proxy_of(url)
    return environment_proxy(target) if trust_env else None
