"""Reporter by Prometheus' remote write: to Prometheus, Mimir, Thanos, VictoriaMetrics.

The protocol: https://prometheus.io/docs/specs/prw/remote_write_spec/
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from threading import Event
from typing import Unpack, final

from metrics.exporters import remote_write
from metrics.exporters._encoding.units import MILLISECOND
from metrics.exporters.remote_write import _splitting as splitting
from metrics.options import is_unset, label_pairs
from metrics.registry import Registry
from metrics.registry._inner import GroupIdentity, store_of
from metrics.reporters._push.options import (
    HttpOptions,
    Option,
    checked_bool,
    chosen,
    constant_labels,
    list_options,
)
from metrics.reporters._push.payloads import Codec, Report
from metrics.reporters._push.posting import Request, posting
from metrics.reporters._push.process import process_name, program_name
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.secrets import (
    Credentials,
    authorization,
    basic,
    require,
    require_ascii,
)

PATH = "/api/v1/write"

RETRIED = frozenset({429, *range(500, 600)})
"""Answers after which the same payload may be taken later, as the protocol has them."""

SET_BACK = 60 * 10**9
"""Nanoseconds by which the wall clock may be set back without a server noticing."""


class RemoteWriteOptions(HttpOptions, total=False):
    """Options of a reporter by remote write."""

    labels: Mapping[str, str] | str | None
    stale_at_end: bool | None
    batch_size: int | None


@list_options(
    RemoteWriteOptions,
    labels=Option(
        None,
        'labels of every series that has no label of the same name: a mapping, or "zone=eu,rack=7"'
        "; `job` is the name of the program and `instance` the host and the process id by default, "
        "and an empty value removes one",
    ),
    stale_at_end=Option(
        True,
        "whether all series end with the reporter; otherwise they are shown for five minutes more. "
        "Turn it off for processes that share one `instance`",
    ),
    batch_size=Option(remote_write.MAX_SAMPLES, "samples of one request"),
    compress=Option(True, "no effect: requests always are compressed, with snappy"),
)
def http(
    registry: Registry,
    url: str,
    *,
    username: str | None = None,
    password: str | None = None,
    bearer_token: str | None = None,
    **options: Unpack[RemoteWriteOptions],
) -> AbstractContextManager[Reporter]:
    """Write a registry to a Prometheus server at each interval and at the end.

    A series ends at once when its instrument is unregistered, when its child is removed or expires,
    and when the reporter ends: the last payload, after the last values, marks all series as stale.
    A payload that is lost costs no counts: the next one has the totals.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                remote_write.http,
                MetricsContainer.registry,
                "http://127.0.0.1:9090/api/v1/write",
                labels={"job": "shop"},
            )

    Args:
        registry: the registry to report.
        url: the URL that takes remote write, `http://127.0.0.1:9090/api/v1/write`; that path is
            added to a URL without one.
        username: for basic authentication.
        password: for basic authentication.
        bearer_token: for authentication with a token instead.
        options: see below.

    Raises:
        ImportError: urllib3 or cramjam is not installed.
        TypeError, ValueError: an option is missing or malformed.
    """
    labels = options.get("labels")
    stale_at_end = checked_bool("stale_at_end", options.get("stale_at_end"))
    batch_size = chosen(options.get("batch_size"), remote_write.MAX_SAMPLES)
    requests = partial(remote_write.stream, batch_size=batch_size)
    # A wrong option is an error at the start.
    requests(Registry(), timestamp_ns=0, labels=series_labels(labels, None))
    is_ending = Event()

    def read(report: Report) -> Iterable[bytes]:
        store = store_of(registry)
        server = store.keep(report.reader, WrittenServer)
        yield from requests(
            registry,
            timestamp_ns=server.next_ns(report.timestamp_ns),
            labels=series_labels(labels, store.identity()),
            staleness=server.staleness,
            metadata=server.metadata,
            reader=report.reader,
        )
        if stale_at_end and is_ending.is_set() and not store.is_continued():
            yield from remote_write.stream_end(
                server.staleness,
                timestamp_ns=server.next_ns(report.timestamp_ns),
                batch_size=batch_size,
            )

    server = endpoint_of(require("url", url))
    headers = {
        "Content-Encoding": "snappy",
        "Content-Type": remote_write.CONTENT_TYPE,
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    request = Request(
        server.at(PATH) if server.path == "/" else server,
        headers,
        credentials_of(username, password, bearer_token),
        retried=RETRIED,
        codec=Codec(splitting.split, splitting.join, splitting.describe),
    )
    options["compress"] = False
    running = posting(registry, "remote-write", read, request, options)
    return announce_end(running, is_ending)


@contextmanager
def announce_end(running: AbstractContextManager[Reporter], is_ending: Event) -> Iterator[Reporter]:
    """Run a reporter; set an event before its last report."""
    with running as reporter:
        try:
            yield reporter
        finally:
            is_ending.set()


@final
class WrittenServer:
    """State of one server: its series and metadata, and the time of the newest samples."""

    __slots__ = ("_newest_ns", "metadata", "staleness")

    def __init__(self) -> None:
        self.staleness = remote_write.Staleness()
        self.metadata = remote_write.Metadata()
        self._newest_ns = 0

    def next_ns(self, now_ns: int) -> int:
        """Return the time of the next samples, in nanoseconds since 1970.

        A server takes one sample of a series for a millisecond, and no sample that is older.
        """
        next_ns = max(now_ns, self._newest_ns + MILLISECOND)
        self._newest_ns = next_ns if next_ns - now_ns < SET_BACK else now_ns
        return self._newest_ns


def series_labels(
    value: Mapping[str, str] | str | None, group: GroupIdentity | None
) -> dict[str, str]:
    """Return the option `labels` with `job` and `instance`, unless it has them.

    Args:
        value: the option.
        group: the identity of a total of several processes; None for values of this one.

    Raises:
        TypeError, ValueError: the option is malformed.
    """
    constant = constant_labels(value)
    # An empty value, which is no label, removes a default.
    named = set() if is_unset(value) else {name for name, _ in label_pairs(value, "labels")}
    defaults = {"job": program_name(), "instance": process_name() if group is None else group.name}
    return {name: text for name, text in defaults.items() if name not in named} | constant


def credentials_of(
    username: str | None, password: str | None, bearer_token: str | None
) -> Credentials:
    """Return the header of basic authentication or of a token; no header without either.

    Raises:
        TypeError, ValueError: both are requested, or one is malformed.
    """
    if not bearer_token:
        return basic(username, password)
    if username or password:
        raise ValueError(
            "invalid bearer_token with a username or password: use one of the two to authenticate"
        )
    return authorization("Bearer", require_ascii("bearer_token", bearer_token))
