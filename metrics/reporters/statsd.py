"""Reports to StatsD, in its first dialect or Datadog's, as datagrams or over TCP."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from logging import getLogger
from typing import Any, Unpack

from metrics.exporters import statsd
from metrics.exporters._encoding.framing import CHUNK, SIZE, datagrams
from metrics.exporters._series.deltas import Deltas
from metrics.instruments._inner import size as checked_size
from metrics.options import boolean
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.connecting import HOST, tcp_transport, udp_transport
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    Option,
    Options,
    chosen,
    constant_labels,
    list_options,
)
from metrics.reporters._push.payloads import LINES, Codec, Report, batches, split_lines
from metrics.reporters._push.reporter import Reporter

PORT = 8125

DATAGRAMS = 10_000
"""Default number of datagrams kept for a server that is unavailable."""

DATADOG_TAGS = {
    "DD_ENV": "env",
    "DD_SERVICE": "service",
    "DD_VERSION": "version",
    "DD_ENTITY_ID": "dd.internal.entity_id",
}
"""Tags of Datadog's environment variables.

Source: https://docs.datadoghq.com/getting_started/tagging/unified_service_tagging/ and
https://docs.datadoghq.com/developers/dogstatsd/ ("Origin detection over UDP").
"""

logger = getLogger(__name__)


class StatsdOptions(Options, total=False):
    """Options of a reporter to StatsD."""

    namespace: str | None
    labels: Mapping[str, str] | str | None
    dialect: str | None
    samples: int | None
    datadog_env: bool | str | None


class StatsdUdpOptions(StatsdOptions, total=False):
    """Options of a reporter to StatsD over UDP."""

    datagram_bytes: int | None


class StatsdTcpOptions(StatsdOptions, ConnectionOptions, total=False):
    """Options of a reporter to StatsD over TCP."""


OWN = {
    "dialect": Option("statsd", "`statsd` or `dogstatsd`"),
    "samples": Option(statsd.SAMPLES, "durations of one resetting timer in one report"),
    "datadog_env": Option(
        False,
        "whether `DD_ENV`, `DD_SERVICE`, `DD_VERSION` and `DD_ENTITY_ID` are labels too, unless "
        "`labels` has them; with `dogstatsd` only",
    ),
}


@list_options(
    StatsdUdpOptions,
    **OWN,
    datagram_bytes=Option(SIZE, "largest size of a datagram"),
    buffered=Option(DATAGRAMS, "number of datagrams kept for a server that is unavailable"),
)
def udp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[StatsdUdpOptions],
) -> AbstractContextManager[Reporter]:
    """Send the updates of a registry to StatsD as datagrams, once an interval.

    The host name is looked up again about once a minute. Increments and durations that could not be
    sent are added up and sent with the next report. A datagram that gets lost on its way is lost:
    nothing reports that.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                statsd.udp,
                MetricsContainer.registry,
                "127.0.0.1",
                dialect="dogstatsd",
                labels={"env": "prod"},
            )

    Args:
        registry: the registry to report.
        host: the host name or address of the server.
        port: its port.
        options: see below.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    events = exporter_options(options)
    size = checked_size("datagram_bytes", chosen(options.get("datagram_bytes"), SIZE))
    if options.get("buffered") is None:
        options["buffered"] = DATAGRAMS

    def read(report: Report) -> Iterator[bytes]:
        deltas = store_of(registry).keep(report.reader, Deltas)
        texts = statsd.lines(registry, deltas=deltas, reader=report.reader, **events)
        return datagrams(texts, dropped=too_long, size=size)

    transport = udp_transport(registry, host, chosen(port, PORT), options)
    codec = udp_codec(events["samples"], size)
    return reporting(registry, "statsd", read, transport, options, StatsdUdpOptions, codec)


@list_options(StatsdTcpOptions, **OWN)
def tcp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[StatsdTcpOptions],
) -> AbstractContextManager[Reporter]:
    """Send the updates of a registry to StatsD over one kept connection, once an interval.

    The connection is replaced every five minutes, because the host name may have moved. Increments
    and durations that could not be sent are added up and sent with the next report. StatsD does not
    answer: lines on their way when the connection breaks are lost, or, if their payload (32 KB) was
    not sent to its end, sent again and perhaps counted twice.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                statsd.tcp,
                MetricsContainer.registry,
                "statsd.example.org",
                namespace="shop",
            )

    Args:
        registry: the registry to report.
        host: the host name or address of the server.
        port: its port.
        options: see below.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    events = exporter_options(options)

    def read(report: Report) -> Iterator[bytes]:
        deltas = store_of(registry).keep(report.reader, Deltas)
        return statsd.stream(registry, deltas=deltas, reader=report.reader, **events)

    transport = tcp_transport(registry, host, chosen(port, PORT), options)
    codec = tcp_codec(events["samples"])
    return reporting(registry, "statsd", read, transport, options, StatsdTcpOptions, codec)


def udp_codec(samples: int, size: int) -> Codec:
    """Return the codec of datagrams of at most `size` bytes."""

    def merge(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        texts = statsd.merge(map(bytes.decode, lines), samples)
        return map(split_lines, datagrams(texts, dropped=too_long, size=size))

    return LINES._replace(encode=b"\n".join, merge=merge)


def tcp_codec(samples: int) -> Codec:
    """Return the codec of chunks of whole lines."""

    def merge(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        texts = statsd.merge(map(bytes.decode, lines), samples)
        return batches(map(str.encode, texts), CHUNK, len)

    return LINES._replace(merge=merge)


def exporter_options(options: StatsdOptions) -> dict[str, Any]:
    """Return the options of the exporter.

    Raises:
        TypeError, ValueError: an option is malformed, or `datadog_env` is on in a dialect without
            tags.
    """
    dialect = chosen(options.get("dialect"), statsd.DIALECTS[0])
    tags = constant_labels(options.get("labels"))
    if boolean(options.get("datadog_env"), "datadog_env", default=False):
        if dialect == "statsd":
            raise ValueError(
                "invalid datadog_env True with dialect 'statsd', which has no tags: "
                "use dialect='dogstatsd', or leave datadog_env out"
            )
        tags = {**environment_tags(), **tags}
    events: dict[str, Any] = {
        "namespace": chosen(options.get("namespace"), ""),
        "tags": tags,
        "dialect": dialect,
        "samples": chosen(options.get("samples"), statsd.SAMPLES),
    }
    # Malformed options are errors at the start.
    statsd.lines(Registry(), deltas=Deltas(), **events)
    return events


def environment_tags() -> dict[str, str]:
    """Return the tags of Datadog's environment variables that are set."""
    found = {tag: os.environ.get(variable, "") for variable, tag in DATADOG_TAGS.items()}
    return {tag: value for tag, value in found.items() if value}


def too_long(line: str) -> None:
    """Log that a line is too long for a datagram, once for each series."""
    warn_once(line.partition(":")[0])


@lru_cache(maxsize=1024)
def warn_once(path: str) -> None:
    """Log that a series is left out, the first time only."""
    logger.warning(
        "%.100s... is left out: with its tags it is too long for a datagram; give it shorter "
        "labels, or raise datagram_bytes",
        path,
    )
