"""What every reporter's hook does: check the options, start a reporter, and stop it on time."""

import gzip
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from ssl import SSLContext, create_default_context
from typing import NamedTuple, TypedDict, TypeVar

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.deadline import remaining
from metrics.instruments.arguments import positive
from metrics.registry import Registry
from metrics.reporters.delivery import Transport
from metrics.reporters.endpoint import Endpoint
from metrics.reporters.http import RETRIED, Http, Problem, no_problem
from metrics.reporters.reporter import BUFFERED, BUFFERED_BYTES, INTERVAL, TIMEOUT, Reporter
from metrics.reporters.statistics import statistics

CONNECT_TIMEOUT = 3.0
"""Seconds that connecting may take, unless told otherwise."""

T = TypeVar("T")

BATCH = 1 << 20
"""Bytes of a payload after which it is full, before compression: 1 MiB."""


class Options(TypedDict, total=False):
    """What every reporter can be told; None is the default, as a configuration may give it.

    name: what it is called in the log and in its own metrics, `reporter/<name>/sent` and others.
    interval: seconds between two reports, 10 by default.
    timeout: seconds that one delivery may take, 5 by default.
    buffered: payloads that are kept for a server that is away, 1000 by default.
    buffered_bytes: bytes that are kept for it, all payloads together, 16 MiB by default.
    clock: where time comes from.
    """

    name: str | None
    interval: float | None
    timeout: float | None
    buffered: int | None
    buffered_bytes: int | None
    clock: Clock | None


class ConnectionOptions(Options, total=False):
    """What a reporter that keeps a connection can be told besides.

    connect_timeout: seconds that connecting may take, 3 by default.
    """

    connect_timeout: float | None


class HttpOptions(ConnectionOptions, total=False):
    """What a reporter over HTTP can be told besides.

    compress: False sends payloads as they are, not gzipped.
    ca_file: certificates to trust, instead of those that the system trusts.
    """

    compress: bool | None
    ca_file: str | None


class Reading(NamedTuple):
    """Who reads the registry, and when."""

    reader: str
    timestamp_ns: int


Read = Callable[[Reading], Iterable[bytes]]
"""Reads what is to be reported, in chunks."""


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
def reporting(
    registry: Registry,
    kind: str,
    read: Read,
    transport: Transport,
    options: Options,
    accepted: type = Options,
) -> Iterator[Reporter]:
    """Report a registry while the block runs, and once more in the end.

    The last report has all that was updated before, by instruments that were unregistered too. It
    takes no longer than the stop of the container may. A disabled registry is not reported.

    Args:
        registry: what to report.
        kind: names the reporter, unless the options do.
        read: reads what is to be reported.
        transport: delivers it.
        options: what the reporter was told.
        accepted: what it can be told, `Options` or one derived from it; an option that is not among
            these is an error.

    Raises:
        StopTimeoutError: the reporter has not ended in its time.
        DuplicateMetricError: another reporter of the registry has this name.
        TypeError, ValueError: an option is malformed.
    """
    check_known(options, accepted)
    name = checked_name(options.get("name"), kind)
    clock = chosen(options.get("clock"), SYSTEM_CLOCK)
    # The prefix tells reporters of two children of one registry apart.
    reader = f"{registry.prefix}reporter/{name}"
    with statistics(registry, name) as counted:
        following = ExitStack()
        reporter = Reporter(
            name,
            lambda: read(Reading(reader, clock.time_ns())),
            transport,
            counted,
            interval=chosen(options.get("interval"), INTERVAL),
            timeout=chosen(options.get("timeout"), TIMEOUT),
            buffered=chosen(options.get("buffered"), BUFFERED),
            buffered_bytes=chosen(options.get("buffered_bytes"), BUFFERED_BYTES),
            clock=clock,
            on_end=following.close,
        )
        following.enter_context(registry.followed(reader))
        try:
            if registry.enabled:
                reporter.start()
            yield reporter
        finally:
            try:
                reporter.stop(remaining())
            finally:
                # Stopped by a function that it reads, it makes its last report later.
                if not reporter.running:
                    following.close()


@contextmanager
def posting(
    registry: Registry,
    kind: str,
    read: Read,
    request: Request,
    options: HttpOptions,
    accepted: type = HttpOptions,
) -> Iterator[Reporter]:
    """Report over HTTP while the block runs; as `reporting`."""
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
    )
    what = compressed(read) if compress else read
    with reporting(registry, kind, what, transport, options, accepted) as reporter:
        yield reporter


def connect_timeout(options: ConnectionOptions) -> float:
    """Return the seconds that connecting may take."""
    return positive("connect_timeout", chosen(options.get("connect_timeout"), CONNECT_TIMEOUT))


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


def check_known(options: Options, accepted: type) -> None:
    """Raise TypeError for an option that does not exist, which is mistyped most likely."""
    known = accepted.__annotations__
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise TypeError(f"there is no option {unknown[0]!r}; there are {', '.join(sorted(known))}")


def checked_name(name: str | None, default: str) -> str:
    """Return what a reporter is called; raise TypeError or ValueError if it cannot be."""
    if name is None:
        return default
    if not isinstance(name, str):
        raise TypeError(f"name takes a str, got {name!r}")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(f"name takes printable characters without space around them, got {name!r}")
    return name


def checked_bool(what: str, value: object) -> bool:
    """Return an option that is on unless it is False; raise TypeError if it is no bool."""
    if value is None or isinstance(value, bool):
        return value is not False
    raise TypeError(f"{what} takes True or False, got {value!r}")


def chosen(value: T | None, default: T) -> T:
    """Return an option, or its default if a configuration left it out."""
    return default if value is None else value


def batched(chunks: Iterable[bytes], size: int = BATCH) -> Iterator[bytes]:
    """Yield chunks joined to payloads that end with the chunk that fills them."""
    waiting: list[bytes] = []
    held = 0
    for chunk in chunks:
        waiting.append(chunk)
        held += len(chunk)
        if held >= size:
            yield b"".join(waiting)
            waiting = []
            held = 0
    if held:
        yield b"".join(waiting)


def compressed(read: Read) -> Read:
    """Return what reads the same, gzipped."""
    return lambda reading: (gzip.compress(payload, mtime=0) for payload in read(reading))
