"""Reports to Graphite: lines of text over TCP, to carbon or to what speaks like it.

The protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Unpack

from metrics.exporters import graphite
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import ConnectionOptions, chosen, connect_timeout
from metrics.reporters._push.payloads import Reading
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.tcp import Tcp

PORT = 2003


class GraphiteOptions(ConnectionOptions, total=False):
    """What a reporter to Graphite can be told besides.

    prefix: what paths begin with.
    tags: given to every series that has no label of the same name.
    label_style: `tags`, which needs Graphite 1.1, or `nodes`.
    duration_unit: what timers are written in, `milliseconds` by default.
    """

    prefix: str | None
    tags: Mapping[str, str] | None
    label_style: str | None
    duration_unit: str | None


def tcp(
    registry: Registry,
    host: str | None = None,
    port: int | None = None,
    **options: Unpack[GraphiteOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to Graphite once an interval and in the end.

    Args:
        registry: what to report.
        host: where carbon is, `127.0.0.1` by default.
        port: where it listens, 2003 by default.
        options: see `GraphiteOptions`.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    lines = partial(
        graphite.stream,
        prefix=chosen(options.get("prefix"), ""),
        tags=chosen(options.get("tags"), {}),
        label_style=chosen(options.get("label_style"), "tags"),
        duration_unit=chosen(options.get("duration_unit"), "milliseconds"),
    )
    # What is wrong with the options is found out at the start.
    lines(Registry(), timestamp_ns=0)
    transport = Tcp(
        chosen(host, "127.0.0.1"), chosen(port, PORT), connect_timeout=connect_timeout(options)
    )

    def read(reading: Reading) -> Iterable[bytes]:
        return lines(registry, timestamp_ns=reading.timestamp_ns, reader=reading.reader)

    return reporting(registry, "graphite", read, transport, options, GraphiteOptions)
