"""Reports to StatsD, in its first dialect or Datadog's, as datagrams or over TCP."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Unpack

from metrics.exporters import statsd
from metrics.exporters._encoding.framing import SIZE
from metrics.exporters._series.deltas import Deltas
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
    exporter_options,
    list_options,
)
from metrics.reporters._push.payloads import LINES, Codec, Report, split_lines
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.transport import Transport

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
    """
    transport = udp_transport(registry, host, chosen(port, PORT), options)
    return report_updates(registry, transport, options, options.get("datagram_bytes"))


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
    """
    transport = tcp_transport(registry, host, chosen(port, PORT), options)
    return report_updates(registry, transport, options)


def report_updates(
    registry: Registry,
    transport: Transport,
    options: StatsdOptions,
    datagram_bytes: int | None = None,
) -> AbstractContextManager[Reporter]:
    """Report the updates of a registry to a transport, as datagrams or as chunks.

    Raises:
        TypeError, ValueError: an option is malformed, or `datadog_env` is on in a dialect without
            tags.
    """
    tags = constant_labels(options.get("labels"))
    if boolean(options.get("datadog_env"), "datadog_env", default=False):
        if options.get("dialect") == "statsd":
            raise ValueError(
                "invalid datadog_env True with dialect 'statsd', which has no tags: "
                "use dialect='dogstatsd', or leave datadog_env out"
            )
        tags = {**environment_tags(), **tags}
    events = {
        "tags": tags,
        "datagram_bytes": datagram_bytes,
        **exporter_options(options, "namespace", "dialect", "samples"),
    }
    # Malformed options are errors at the start.
    statsd.stream(Registry(), deltas=Deltas(), **events)

    def read(report: Report) -> Iterator[bytes]:
        deltas = store_of(registry).keep(report.reader, Deltas)
        return statsd.stream(registry, deltas=deltas, reader=report.reader, **events)

    codec = codec_of(chosen(options.get("samples"), statsd.SAMPLES), datagram_bytes)
    return reporting(registry, "statsd", read, transport, options, codec)


def codec_of(samples: int, datagram_bytes: int | None) -> Codec:
    """Return the codec of datagrams of at most `datagram_bytes`, or of chunks of whole lines."""

    def merge(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        payloads = statsd.merge(map(bytes.decode, lines), samples, datagram_bytes)
        return map(split_lines, payloads)

    codec = LINES._replace(merge=merge)
    return codec if datagram_bytes is None else codec._replace(encode=b"\n".join)


def environment_tags() -> dict[str, str]:
    """Return the tags of Datadog's environment variables that are set."""
    found = {tag: os.environ.get(variable, "") for variable, tag in DATADOG_TAGS.items()}
    return {tag: value for tag, value in found.items() if value}
